package repo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cbk/repo/roles"
	"cbk/repo/store"
)

// GCOptions bound what one run of garbage collection does. The times only save work or spare running restores: safety
// depends on neither, nor on any clock.
type GCOptions struct {
	Grace  time.Duration // packs are deleted when the tombstone that condemns them is at least this old
	MinAge time.Duration // younger packs are not condemned, and sessions not taken for dead
	// MaxRepack bounds the sizes, in bytes, of the packs that are given up although something in them is alive; 0: none is.
	MaxRepack int64
	DryRun    bool // change nothing, and count what would be done
	Now       func() time.Time
}

// GCResult counts what a run did, or would do.
type GCResult struct {
	Condemned      int   // packs newly condemned
	BytesCondemned int64 // their sizes
	Repacked       int   // of these, packs with something alive in them
	BytesRepacked  int64 // their sizes
	Deleted        int   // packs deleted
	BytesFreed     int64 // their sizes
	Copied         int   // live blobs copied out of condemned packs
	BytesCopied    int64 // their sealed sizes
	Aborted        int   // dead sessions ended
	AbortsLost     int   // sessions that committed while they were being ended
	EpochsTaken    int   // times another keeper was first
	Tidied         int   // pending roots removed, parts of dead roots, and records of wanted blobs that have done their work
	ShardsRemoved  int
	Epochs         []string // names of the tombstones that were made
}

// maxRetries bounds how often a keeper starts over because another one was first.
const maxRetries = 100

// GC collects one domain: the steps K0 to K3 of the protocol in docs/gc.md. It may run beside writers and other keepers.
// It refuses a domain in which anything that says what is alive cannot be read; the error is then a *DamageError. Where
// the store denies deletions, what was to go stays, nothing else changes, and the error names each object. The result is
// nil only where nothing was begun: with an error comes what was done in spite of it.
func (r *Repo) GC(ctx context.Context, domain string, o GCOptions) (*GCResult, error) {
	if err := r.must("collect garbage", roles.RoleKeeper, roles.RoleOwner); err != nil {
		return nil, err
	}
	if err := r.refreshOnce(ctx); err != nil {
		return nil, err
	}
	k := &keeper{repo: r, domain: domain, opt: o, res: &GCResult{}}
	run := k.run
	if o.DryRun {
		run = k.rehearse
	}
	if err := run(ctx); err != nil {
		return k.res, fmt.Errorf("gc of %s: %w", domain, err)
	}
	return k.res, nil
}

// run goes through the steps, and where the store is full once more for as long as what was deleted has made room.
func (k *keeper) run(ctx context.Context) error {
	for {
		freed := k.res.BytesFreed
		err := k.pass(ctx)
		if !errors.Is(err, store.ErrFull) || k.res.BytesFreed == freed {
			return errors.Join(append(k.denied, err)...)
		}
	}
}

// pass is K0 to K3. Where the store is full, the steps that need no room still bring some back.
func (k *keeper) pass(ctx context.Context) error {
	k.denied = nil
	crowded := k.condemn(ctx)
	if ignoreFull(crowded) != nil {
		return crowded
	}
	// K2, always this keeper's own: nothing records that another's was finished.
	uncopied := k.rescue(ctx)
	if ignoreFull(uncopied) != nil {
		return uncopied
	}
	return errors.Join(crowded, uncopied, k.sweep(ctx), k.removeParts(ctx), k.dropWanted(ctx))
}

// ignoreFull drops the error of a store that has no room.
func ignoreFull(err error) error {
	if errors.Is(err, store.ErrFull) {
		return nil
	}
	return err
}

// spare notes that the store does not allow to delete an object, which then stays. Other errors pass.
func (k *keeper) spare(err error) error {
	var failed *store.Error
	if errors.As(err, &failed) && failed.Op == "delete" && errors.Is(err, store.ErrDenied) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.denied = append(k.denied, err)
		return nil
	}
	return err
}

// remove deletes an object, unless the store denies it.
func (k *keeper) remove(ctx context.Context, name string) (gone bool, err error) {
	err = k.repo.st.Delete(ctx, name)
	return err == nil, k.spare(err)
}

// condemn is K0 and K1: find dead packs and create the next tombstone. If another keeper takes the number, its tombstone
// is read and all is looked at anew.
func (k *keeper) condemn(ctx context.Context) error {
	for range maxRetries {
		if err := k.tidy(ctx); err != nil {
			return err
		}
		w, err := k.look(ctx)
		if err != nil {
			return err
		}
		plan, err := k.plan(ctx, w)
		if err != nil || len(plan.packs) == 0 {
			return err
		}
		if err := k.noteGone(ctx, w.view); err != nil {
			return err
		}
		taken, err := k.repo.createEpoch(ctx, k.domain, w.view, plan.packs)
		if err != nil {
			return err
		}
		if !taken {
			k.count(plan)
			k.res.Epochs = append(k.res.Epochs, epochName(k.domain, w.view.newest+1))
			return nil
		}
		k.res.EpochsTaken++
	}
	return fmt.Errorf("other keepers took %d tombstones in a row: try again later", maxRetries)
}
