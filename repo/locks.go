package repo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cbk/repo/roles"
	"cbk/repo/store"
)

// LockOptions say which locks ExtendLocks extends.
type LockOptions struct {
	Mode   string        // governance or compliance; an object that is in compliance mode stays in it
	For    time.Duration // how long a lock that is extended lasts from now on
	Within time.Duration // locks that end within it are extended; below For
	// Ending are roots, by name, that are left to their locks: a backup that is to go one day must not be locked for ever.
	Ending map[string]bool
	DryRun bool // change nothing, and count what would be done
	Now    func() time.Time
}

// LockResult counts what ExtendLocks did, or would do.
type LockResult struct {
	Needed   int       // objects that must stay
	Asked    int       // of these, whose lock was asked for, because this machine did not know it
	Extended int       // or locked in the first place
	Failed   int       // of those, that were not
	Earliest time.Time // end of the first lock that ends, among those needed; zero where one has none or nothing is needed
}

// maxLockErrors bounds the objects that an error names; the rest is counted.
const maxLockErrors = 1000

// lockPage is how many objects are looked at side by side, gcWidth at a time: as many as a store lists at once.
const lockPage = 1000

// ExtendLocks extends the object locks, ending soon, of what live backups need: packs, shards, roots, copies, the newest
// tombstones, and config, keys, trust log and records. first is the same store by first versions: what was hidden or
// written over is needed as before, and it is the genuine version that is locked. Where it cannot be told what a domain
// needs, every pack counts as needed and the error says so. A lock is never shortened. Locks that were seen are remembered
// in the state directory; without it each is asked for. An object whose lock is refused is named by the error, and the
// others go on; the result is nil only where nothing was begun.
func (r *Repo) ExtendLocks(ctx context.Context, first store.Store, o LockOptions) (*LockResult, error) {
	if err := r.must("extend locks", roles.RoleKeeper, roles.RoleOwner); err != nil {
		return nil, err
	}
	if o.For <= o.Within {
		return nil, fmt.Errorf("locks of %s cannot all outlast %s", o.For, o.Within)
	}
	x := &extender{repo: r.By(first), opt: o, now: o.Now()}
	needs, unclear, err := r.lockNeeds(ctx, x.repo, o.Ending)
	if err != nil {
		return nil, err
	}
	memory, err := openLockMemory(r.stateDir, r.ID(), o.DryRun)
	if err != nil {
		return nil, err
	}
	err = x.walk(ctx, needs, memory)
	err = errors.Join(append(x.refused, unclear, err, memory.close(err == nil))...)
	if more := x.res.Failed - len(x.refused); more > 0 {
		err = errors.Join(err, fmt.Errorf("and %d objects more whose locks were not extended", more))
	}
	return &x.res, err
}

// extender is one run of ExtendLocks.
type extender struct {
	repo *Repo // by first versions
	opt  LockOptions
	now  time.Time

	mu      sync.Mutex // of the two below
	res     LockResult
	refused []error
}

// lockSeen is an object whose lock ends at a time, as far as is known; the zero time is unknown or none.
type lockSeen struct {
	store.Info
	until time.Time
}

// walk goes through the objects in the order of their names, which is that of what is remembered.
func (x *extender) walk(ctx context.Context, needs *lockNeeds, memory *lockMemory) error {
	var page []lockSeen
	flush := func() error {
		if err := each(ctx, len(page), func(ctx context.Context, i int) error { return x.one(ctx, &page[i]) }); err != nil {
			return err
		}
		for i := range page {
			x.tally(&page[i])
			if err := memory.put(&page[i]); err != nil {
				return err
			}
		}
		page = page[:0]
		return nil
	}
	err := x.repo.st.List(ctx, "", func(i store.Info) error {
		if !needs.has(i.Name) {
			return nil
		}
		if page = append(page, lockSeen{i, memory.get(i)}); len(page) < lockPage {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func (x *extender) tally(s *lockSeen) {
	if x.res.Needed++; x.res.Needed == 1 || s.until.Before(x.res.Earliest) {
		x.res.Earliest = s.until
	}
}

// one extends the lock of an object if it ends soon. What the store refuses is noted; a failure that may pass, and did not
// while it was repeated, ends the run.
func (x *extender) one(ctx context.Context, s *lockSeen) error {
	soon := x.now.Add(x.opt.Within)
	if s.until.After(soon) {
		return nil
	}
	lock, err := store.LockOf(ctx, x.repo.st, s.Name)
	s.until = lock.Until
	due := err == nil && !lock.Until.After(soon)
	if due && !x.opt.DryRun {
		to := store.Lock{Mode: x.opt.Mode, Until: x.now.Add(x.opt.For).UTC().Truncate(time.Second)}
		if lock.Mode == "compliance" {
			to.Mode = lock.Mode
		}
		if err = store.SetLock(ctx, x.repo.st, s.Name, to); err == nil {
			s.until = to.Until
		}
	}
	return x.note(err, due)
}

func (x *extender) note(err error, due bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.res.Asked++
	var said *store.Error
	switch {
	case err == nil && due:
		x.res.Extended++
	case err == nil:
	case errors.As(err, &said) && said.Kind != nil && !errors.Is(err, store.ErrStalled):
		if x.res.Failed++; len(x.refused) < maxLockErrors {
			x.refused = append(x.refused, err)
		}
	default:
		return err
	}
	return nil
}
