package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"cbk/repo"
	"cbk/repo/store"
	"cbk/snapshot"
)

// protection asks what the store keeps. A key that may not know it, and a store that has no such thing, count as keeping
// nothing: where the URL says that objects are locked, nobody has to be asked.
func (s *session) protection(c *cli.Context) (store.Protection, error) {
	p, err := store.Protected(c.Context, s.store)
	if errors.Is(err, store.ErrUnsupported) || errors.Is(err, store.ErrDenied) {
		return store.Protection{}, nil
	}
	return p, err
}

// lockWidth is how many locks are asked for at a time.
const lockWidth = 8

// locks returns the ends of the locks of the roots of backups that are to go, by name.
func (s *session) locks(c *cli.Context, gone []snapshot.Verdict) (map[string]time.Time, error) {
	p, err := s.protection(c)
	if err != nil || !p.Versions {
		return nil, err // S3 has locks only where it has versions
	}
	var mu sync.Mutex
	until := make(map[string]time.Time)
	g, ctx := errgroup.WithContext(c.Context)
	g.SetLimit(lockWidth)
	for i := range gone {
		for _, e := range gone[i].Nodes {
			g.Go(func() error {
				lock, err := store.LockOf(ctx, s.store, e.Root)
				if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDenied) && p.For == 0 {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				until[e.Root] = lock.Until
				return err
			})
		}
	}
	return until, g.Wait()
}

// lockedError refuses to remove what the store keeps for some time.
type lockedError struct {
	backup string
	until  time.Time
}

// Error says until when.
func (e *lockedError) Error() string {
	return fmt.Sprintf("%s is locked by the store until %s, and nothing was deleted", e.backup, clock(e.until))
}

// unlocked refuses when one of the backups is inside its lock.
func (s *session) unlocked(c *cli.Context, gone []snapshot.Verdict) error {
	until, err := s.locks(c, gone)
	if err != nil {
		return err
	}
	for i := range gone {
		for _, e := range gone[i].Nodes {
			if t := until[e.Root]; t.After(time.Now()) {
				return &lockedError{gone[i].Name, t}
			}
		}
	}
	return nil
}

func lockFlags() []cli.Flag {
	return []cli.Flag{
		&cli.DurationFlag{Name: "lock-window", Usage: "extend object locks that end within `TIME`", DefaultText: "half of lock_days"},
		&cli.BoolFlag{Name: "no-extend-locks", Usage: "let object locks run out"},
	}
}

// extendLocks extends the locks of what backups need, where the store locks new objects.
func (s *session) extendLocks(c *cli.Context, p store.Protection, dryRun bool) (res *repo.LockResult, err error) {
	if p.For == 0 || c.Bool("no-extend-locks") {
		return nil, nil
	}
	window := c.Duration("lock-window")
	if window == 0 {
		window = p.For / 2
	}
	if window < 0 || window >= p.For {
		return nil, usageError("--lock-window %s: more than nothing, and less than the %s that an object is locked", window, snapshot.Span(p.For))
	}
	ending, err := s.ending(c)
	if err != nil {
		return nil, err
	}
	first, err := store.Open(c.Context, s.cfg.Repository, store.Options{FirstVersion: true, ReadOnly: dryRun, Log: s.log})
	if err != nil {
		return nil, fmt.Errorf("extend locks: %w", err)
	}
	defer func() { err = errors.Join(err, first.Close()) }()
	res, err = s.repo.ExtendLocks(c.Context, first, repo.LockOptions{Mode: p.Mode, For: p.For, Within: window, Ending: ending, DryRun: dryRun, Now: time.Now})
	if err != nil {
		err = fmt.Errorf("extend locks: %w", err)
	}
	return res, err
}

// ending names the roots of the backups that the configured policy does not keep: their locks run out, so that purge can
// remove them. Without a policy, or with a plan that is refused, every backup stays locked.
func (s *session) ending(c *cli.Context) (map[string]bool, error) {
	r, err := s.retention(c, func(*repo.DamageError) {}) // what cannot be read is in no plan, and stays locked
	if errors.Is(err, snapshot.ErrEmptyPolicy) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	plan, err := r.Plan()
	if err != nil || len(plan.Refused) > 0 {
		return nil, err
	}
	roots := make(map[string]bool)
	for _, v := range verdicts(plan, false) {
		for _, e := range v.Nodes {
			roots[e.Root] = true
		}
	}
	return roots, nil
}

// lockJSON is what gc did about locks.
type lockJSON struct {
	Needed   int     `json:"objects_needed"`
	Asked    int     `json:"locks_asked"`
	Extended int     `json:"locks_extended"`
	Failed   int     `json:"locks_failed"`
	First    *string `json:"first_lock_ends"` // of those objects; null where one has no lock
}

func lockDocument(r *repo.LockResult) *lockJSON {
	if r == nil {
		return nil
	}
	doc := &lockJSON{Needed: r.Needed, Asked: r.Asked, Extended: r.Extended, Failed: r.Failed}
	if !r.Earliest.IsZero() {
		at := clock(r.Earliest)
		doc.First = &at
	}
	return doc
}

func (l *lockJSON) print(w io.Writer) error {
	first := "not all are locked"
	if l.First != nil {
		first = "the first lock ends " + *l.First
	}
	_, err := fmt.Fprintf(w, "locks: %d extended of the %s that must stay; %s\n", l.Extended, plural(l.Needed, "object"), first)
	return err
}
