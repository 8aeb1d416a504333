package snapshot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"cbk/pack"
	"cbk/repo"
)

// Kinds of holds.
const (
	HoldLegal   = "legal"   // somebody's decision; lasts until it is removed
	HoldRestore = "restore" // of a restore that is running; ends by itself
)

const (
	// maxHoldText bounds a reason and a name: enough for a paragraph, too little to hide a file in.
	maxHoldText = 4 << 10
	// RestoreHold is how long a restore holds its backup unless it says again that it still runs: more than a restore takes
	// that nobody looks after, so that one that was killed does not keep its backup for ever.
	RestoreHold = 7 * 24 * time.Hour
	// maxHolds bounds the holds of a repository, removed ones too: four restores an hour for ten years.
	maxHolds = 350_000
)

// ErrNoHold is matched when a hold that is named is not there or has ended.
var ErrNoHold = errors.New("no such hold")

// Hold keeps the backup of one name of one cluster from being removed.
type Hold struct {
	ID      pack.ID // of its record
	Kind    string
	Backup  string
	Cluster string
	Reason  string
	By      string // as the one who added it is called on the machine where that was
	Key     string // id of the key that signed it
	Added   time.Time
	Expires time.Time // zero: never
	Removed *Removal  // nil while it was not removed
}

// Removal is the end that somebody made of a hold.
type Removal struct {
	ID         pack.ID // of its record
	Reason, By string
	Key        string
	At         time.Time
}

// holdRecord is the body of a record: of a hold or, with Removes, of the removal of one.
type holdRecord struct {
	Version int        `json:"version"`
	Kind    string     `json:"kind,omitempty"`
	Backup  string     `json:"backup,omitempty"`
	Cluster string     `json:"cluster,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	Removes *ID        `json:"removes,omitempty"`
	Reason  string     `json:"reason"`
	By      string     `json:"by"`
	At      time.Time  `json:"at"`
}

// Active reports whether the hold still holds. The clock that reads is not the one that wrote: a day later it has ended for
// both.
func (h *Hold) Active(now time.Time) bool {
	return h.Removed == nil && (h.Expires.IsZero() || now.Before(h.Expires.Add(maxSkew)))
}

// Holds reports whether it keeps a backup: that of its name in its cluster, whatever ring it is of.
func (h *Hold) Holds(b *Backup, now time.Time) bool {
	return h.Active(now) && h.Backup == b.Name && h.Cluster == b.Cluster
}

// Why says it in words.
func (h *Hold) Why() string {
	if h.Kind == HoldRestore {
		return fmt.Sprintf("a restore by %s since %s needs it (%s)", h.By, stamp(h.Added), h.Short())
	}
	return fmt.Sprintf("held by %s since %s: %s (%s)", h.By, stamp(h.Added), h.Reason, h.Short())
}

// Short is the beginning of the id, which names the hold where no other begins alike.
func (h *Hold) Short() string { return h.ID.String()[:12] }

// AddHold keeps a backup from being removed. Whoever deletes it at the same moment may not see the hold: look for the
// backup again when this has returned. A reason is required; so is an end for a hold of kind HoldRestore.
func AddHold(ctx context.Context, r *repo.Repo, h Hold) (Hold, error) {
	rec := holdRecord{Version: 1, Kind: h.Kind, Backup: h.Backup, Cluster: h.Cluster, Reason: h.Reason, By: h.By, At: h.Added.UTC()}
	if !h.Expires.IsZero() {
		end := h.Expires.UTC()
		rec.Expires = &end
	}
	if err := rec.check(); err != nil {
		return Hold{}, err
	}
	return h, put(ctx, r, &rec, &h.ID, &h.Key)
}

// RemoveHold ends a hold. Its record stays, and another is added that says who ended it and why.
func RemoveHold(ctx context.Context, r *repo.Repo, h *Hold, end Removal) error {
	id := ID(h.ID)
	rec := holdRecord{Version: 1, Removes: &id, Reason: end.Reason, By: end.By, At: end.At.UTC()}
	if err := rec.check(); err != nil {
		return err
	}
	if err := put(ctx, r, &rec, &end.ID, &end.Key); err != nil {
		return err
	}
	h.Removed = &end
	return nil
}

func put(ctx context.Context, r *repo.Repo, rec *holdRecord, id *pack.ID, key *string) error {
	body, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	added, err := r.AddRecord(ctx, repo.HoldRecord, body)
	if err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	*id, *key = added.ID, added.Author.String()
	return nil
}

// CheckReason refuses a reason that is none, or that would spoil a table.
func CheckReason(text string) error {
	if strings.TrimSpace(text) == "" || len(text) > maxHoldText || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("a hold needs a reason, of at most %d bytes and without control characters", maxHoldText)
	}
	return nil
}

// check refuses records that do not say what must be said.
func (rec *holdRecord) check() error {
	restore := rec.Kind == HoldRestore
	switch {
	case rec.Version != 1:
		return fmt.Errorf("hold of version %d: %w", rec.Version, pack.ErrNewer)
	case CheckReason(rec.Reason) != nil:
		return CheckReason(rec.Reason)
	case len(rec.By) > maxHoldText || strings.ContainsFunc(rec.By, unicode.IsControl):
		return errors.New("hold of somebody with an impossible name")
	case rec.Removes != nil:
		return nil
	case !restore && rec.Kind != HoldLegal:
		return fmt.Errorf("hold of kind %q", rec.Kind)
	case restore != (rec.Expires != nil):
		return fmt.Errorf("hold of kind %s: only one of kind %s ends by itself, and must", rec.Kind, HoldRestore)
	case len(rec.Cluster) > maxHoldText:
		return errors.New("hold of a cluster with a name too long")
	}
	return CheckName(rec.Backup)
}

// Holds returns all holds that were ever added, oldest first. One that cannot be read is a *repo.DamageError: nobody knows
// what it holds, so nothing may be removed.
func Holds(ctx context.Context, r *repo.Repo) ([]Hold, error) {
	f := folded{holds: make(map[pack.ID]*Hold)}
	n := 0
	err := r.Records(ctx, repo.HoldRecord, func(rec repo.Record, err error) error {
		if n++; err == nil && n > maxHolds {
			err = fmt.Errorf("more than %d holds", maxHolds)
		}
		if err != nil {
			return err
		}
		return f.add(rec, r.MayDelete(rec.Author))
	})
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	return f.all(), nil
}

// folded are holds while their records are read, in any order.
type folded struct {
	holds    map[pack.ID]*Hold
	removals []removal
}

type removal struct {
	of      pack.ID
	deletes bool // its signer may delete backups
	revoked bool
	Removal
}

func (f *folded) add(rec repo.Record, deletes bool) error {
	var body holdRecord
	err := json.Unmarshal(rec.Body, &body)
	if err = cmp.Or(err, body.check()); err != nil {
		return &repo.DamageError{Object: rec.Name, What: fmt.Sprintf("hold: %v", err)}
	}
	if body.Removes != nil {
		f.removals = append(f.removals, removal{pack.ID(*body.Removes), deletes, rec.Revoked, Removal{rec.ID, body.Reason, body.By, rec.Author.String(), body.At}})
		return nil
	}
	h := &Hold{ID: rec.ID, Kind: body.Kind, Backup: body.Backup, Cluster: body.Cluster, Reason: body.Reason, By: body.By, Key: rec.Author.String(), Added: body.At}
	if body.Expires != nil {
		h.Expires = *body.Expires
	}
	f.holds[h.ID] = h
	return nil
}

// all ends what was removed. A reader ends its own holds only: who may not delete a backup must not be able to let others
// do it. What a revoked key removed is held again: nobody knows whether that was before or after it was stolen.
func (f *folded) all() []Hold {
	slices.SortFunc(f.removals, func(x, y removal) int { return x.At.Compare(y.At) })
	for i := range f.removals {
		end := &f.removals[i]
		h := f.holds[end.of]
		if h == nil || h.Removed != nil || end.revoked {
			continue
		}
		if end.deletes || end.Key == h.Key {
			h.Removed = &end.Removal
		}
	}
	out := make([]Hold, 0, len(f.holds))
	for _, h := range f.holds {
		out = append(out, *h)
	}
	slices.SortFunc(out, func(x, y Hold) int { return cmp.Or(x.Added.Compare(y.Added), slices.Compare(x.ID[:], y.ID[:])) })
	return out
}

// FindHold returns the hold that is meant: by id, by the beginning of one, at least 8 digits, or by the name of the only
// backup that has exactly one. Only active holds are found.
func FindHold(holds []Hold, name, cluster string, now time.Time) (*Hold, error) {
	var found []*Hold
	for i := range holds {
		h := &holds[i]
		byID := len(name) >= 8 && strings.HasPrefix(h.ID.String(), name)
		if h.Active(now) && (byID || h.Backup == name && (cluster == "" || h.Cluster == cluster)) {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: %q", ErrNoHold, name)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%w: %q means %d holds: name one by its id", ErrNoHold, name, len(found))
}

// HoldForRestore holds a backup while a restore runs; end removes the hold again. The backup must be looked for once more
// after the hold stands. The error matches roles.ErrRole or store.ErrReadOnly where the restore has no right to write:
// then gc's grace is its limit once the backup is deleted.
func HoldForRestore(ctx context.Context, r *repo.Repo, b *Backup, by string, now func() time.Time) (end func(context.Context) error, err error) {
	at := now()
	h, err := AddHold(ctx, r, Hold{Kind: HoldRestore, Backup: b.Name, Cluster: b.Cluster, Reason: "restore", By: by, Added: at, Expires: at.Add(RestoreHold)})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		return RemoveHold(ctx, r, &h, Removal{Reason: "restore ended", By: by, At: now()})
	}, nil
}
