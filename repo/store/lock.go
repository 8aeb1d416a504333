package store

import (
	"context"
	"time"
)

// Protection is what a store keeps of an object although somebody deletes or
// replaces it.
type Protection struct {
	// Versions: what is deleted or replaced stays as a version.
	Versions bool
	// Suspended: what was deleted or replaced earlier did, and is still there.
	Suspended bool
	// Mode and For are the lock of every new object: governance or compliance,
	// counted from its write on. Empty and 0 where there is none.
	Mode string
	For  time.Duration
	// ByBucket: the default of the bucket locks them, not the URL.
	ByBucket bool
}

// Lock is what keeps an object from being deleted or replaced before a time; the
// zero Lock is none.
type Lock struct {
	Mode  string // governance or compliance
	Until time.Time
}

// Locker is a Store whose objects can be locked: nobody deletes or replaces one
// before a time. A Store opened with Options.FirstVersion speaks of the first
// version of an object, any other of the newest.
type Locker interface {
	// Protection asks what is kept. ErrDenied where the credentials may not
	// know it.
	Protection(ctx context.Context) (Protection, error)

	// LockOf returns the lock of an object.
	LockOf(ctx context.Context, name string) (Lock, error)

	// SetLock locks an object. The store refuses to end a lock in compliance
	// mode earlier than it stands.
	SetLock(ctx context.Context, name string, lock Lock) error
}

// Protected asks s what it keeps; ErrUnsupported where that is no Locker.
func Protected(ctx context.Context, s Store) (Protection, error) {
	if l, ok := s.(Locker); ok {
		return l.Protection(ctx)
	}
	return Protection{}, &Error{Op: "ask for versions and locks", Kind: ErrUnsupported}
}

// LockOf asks s for the lock of an object; ErrUnsupported where that is no
// Locker.
func LockOf(ctx context.Context, s Store, name string) (Lock, error) {
	if l, ok := s.(Locker); ok {
		return l.LockOf(ctx, name)
	}
	return Lock{}, &Error{Op: "ask for the lock of", Name: name, Kind: ErrUnsupported}
}

// SetLock asks s to lock an object; ErrUnsupported where that is no Locker.
func SetLock(ctx context.Context, s Store, name string, lock Lock) error {
	if l, ok := s.(Locker); ok {
		return l.SetLock(ctx, name, lock)
	}
	return &Error{Op: "lock", Name: name, Kind: ErrUnsupported}
}

// Protection implements Locker.
func (t *telling) Protection(ctx context.Context) (Protection, error) {
	return Protected(t.tell(ctx), t.Store)
}

// LockOf implements Locker.
func (t *telling) LockOf(ctx context.Context, name string) (Lock, error) {
	return LockOf(t.tell(ctx), t.Store, name)
}

// SetLock implements Locker.
func (t *telling) SetLock(ctx context.Context, name string, lock Lock) error {
	return SetLock(t.tell(ctx), t.Store, name, lock)
}

// Protection implements Locker.
func (l *limited) Protection(ctx context.Context) (p Protection, err error) {
	err = l.do(ctx, "ask for versions and locks", "", func() error {
		p, err = Protected(ctx, l.Store)
		return err
	})
	return p, err
}

// LockOf implements Locker.
func (l *limited) LockOf(ctx context.Context, name string) (lock Lock, err error) {
	err = l.do(ctx, "ask for the lock of", name, func() error {
		lock, err = LockOf(ctx, l.Store, name)
		return err
	})
	return lock, err
}

// SetLock implements Locker.
func (l *limited) SetLock(ctx context.Context, name string, lock Lock) error {
	return l.do(ctx, "lock", name, func() error { return SetLock(ctx, l.Store, name, lock) })
}

// Protection implements Locker.
func (r *retrying) Protection(ctx context.Context) (p Protection, err error) {
	err = r.do(ctx, func() error {
		p, err = Protected(ctx, r.Store)
		return err
	})
	return p, err
}

// LockOf implements Locker.
func (r *retrying) LockOf(ctx context.Context, name string) (lock Lock, err error) {
	err = r.do(ctx, func() error {
		lock, err = LockOf(ctx, r.Store, name)
		return err
	})
	return lock, err
}

// SetLock implements Locker.
func (r *retrying) SetLock(ctx context.Context, name string, lock Lock) error {
	return r.do(ctx, func() error { return SetLock(ctx, r.Store, name, lock) })
}

// Protection implements Locker.
func (r readOnly) Protection(ctx context.Context) (Protection, error) {
	return Protected(ctx, r.Store)
}

// LockOf implements Locker.
func (r readOnly) LockOf(ctx context.Context, name string) (Lock, error) {
	return LockOf(ctx, r.Store, name)
}

// SetLock implements Locker.
func (readOnly) SetLock(_ context.Context, name string, _ Lock) error {
	return &Error{Op: "lock", Name: name, Kind: ErrReadOnly}
}
