package repo

import (
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// Conditions a caller decides on, matched with errors.Is.
var (
	// ErrNoRepository: there is no config object at this place.
	ErrNoRepository = errors.New("no repository there")
	// ErrRepositoryExists: init found a config object.
	ErrRepositoryExists = errors.New("a repository exists there already")
	// ErrSnapshotExists: a root of this name is committed.
	ErrSnapshotExists = errors.New("a backup of this name exists")
	// ErrCondemned: while a session wrote, gc condemned packs it relies on, or took the session for dead. Nothing is
	// committed; storing the same content again in a new session, and committing that, succeeds.
	ErrCondemned = errors.New("garbage collection overtook the session")
)

// DamageError names an object of the repository that is not as it was written, or that this program is too old to read.
type DamageError struct {
	Object string // object name, or "blob <id>" where no object can be named
	What   string // what is wrong with it
	Newer  bool   // it says that a newer cbk wrote it; the error then matches pack.ErrNewer
}

// Error returns one line.
func (e *DamageError) Error() string {
	if e.Newer {
		return fmt.Sprintf("%s cannot be read: %s", e.Object, e.What)
	}
	return fmt.Sprintf("%s is damaged: %s", e.Object, e.What)
}

// Is implements errors.Is.
func (e *DamageError) Is(target error) bool { return e.Newer && target == pack.ErrNewer }

// missing is the What of an object that is not there.
const missing = "missing"

func ignoreMissing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	var damage *DamageError
	if errors.As(err, &damage) && damage.What == missing {
		return nil
	}
	return err
}

// vanished reports whether err says that an object is not there.
func vanished(err error) bool { return err != nil && ignoreMissing(err) == nil }

// asDamage turns errors that mean "these bytes are not as written" into a DamageError for object; others pass. An object
// that claims a newer version than the repository's config is one of them.
func asDamage(object string, err error) error {
	var damage *DamageError
	var overlay *roles.OverlayError
	switch {
	case err == nil || errors.As(err, &damage):
		return err
	case errors.As(err, &overlay) && errors.Is(err, pack.ErrAuthentication):
		return &DamageError{Object: sessionName(overlay.Session, overlay.Seal), What: overlay.Err.Error()}
	case errors.Is(err, store.ErrNotFound):
		return &DamageError{Object: object, What: missing}
	case errors.Is(err, pack.ErrAuthentication), errors.Is(err, wire.ErrMalformed), errors.Is(err, pack.ErrNewer), isShort(err),
		errors.Is(err, store.ErrTooLarge):
		return &DamageError{Object: object, What: err.Error(), Newer: errors.Is(err, pack.ErrNewer)}
	}
	return err
}

// KeyMismatch reports whether err means that the key given does not open the repository, or no longer does.
func KeyMismatch(err error) bool {
	for _, known := range []error{roles.ErrNoFit, roles.ErrRevoked, roles.ErrNoGrant, roles.ErrStale, roles.ErrWrongRepository,
		roles.ErrTypo, roles.ErrLoan, roles.ErrExpired, roles.ErrNotLent} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
