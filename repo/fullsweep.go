package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cbk/pack"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// FullSweep counts what SweepFull did.
type FullSweep struct {
	Copies  int // removed, or what there was of them
	Objects int
	Bytes   int64
	Kept    int // copies with a root of which nothing else is known: only a loss outside leaves such, so they stay
}

func (s *FullSweep) plus(o FullSweep) {
	s.Copies += o.Copies
	s.Objects += o.Objects
	s.Bytes += o.Bytes
}

// SweepFull removes self-contained copies that are garbage: those whose attempt is dead or whose backup was deleted, and
// those without root, pending root and record that are older than MinAge. It follows GC, which ends silent sessions. One
// copy whose fate cannot be read keeps no other. With DryRun it only counts.
func (r *Repo) SweepFull(ctx context.Context, o GCOptions) (*FullSweep, error) {
	if err := r.must("collect garbage", roles.RoleKeeper, roles.RoleOwner); err != nil {
		return nil, err
	}
	// A copy is begun after its pending root stands, and a pending root goes when the root or a record stands. Looked at in
	// this order, no copy under way can be taken for one that nobody makes.
	all, err := r.trees(ctx)
	if err != nil || len(all) == 0 {
		return &FullSweep{}, err
	}
	w, err := r.newSweeper(ctx, o)
	if err != nil {
		return nil, err
	}
	var failed error
	for id, t := range all {
		// A root that went since it was listed has its record: the next sweep sees it.
		if err := w.tree(ctx, id, t); ignoreMissing(err) != nil {
			failed = errors.Join(failed, fmt.Errorf("full copy %s: %w", id, err))
		}
	}
	return &w.res, failed
}

func (r *Repo) newSweeper(ctx context.Context, o GCOptions) (*sweeper, error) {
	w := &sweeper{repo: r, opt: o, places: make(map[pack.ID][]Place)}
	for _, prefix := range []string{pendPrefix, deadPrefix, rootPrefix} { // in this order, see SweepFull
		names, err := r.names(ctx, prefix, byID[strings.TrimSuffix(prefix, "/")])
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if p := placeOf(name); !slices.Contains(w.places[p.ID], p) {
				w.places[p.ID] = append(w.places[p.ID], p)
			}
		}
	}
	return w, nil
}

type sweeper struct {
	repo *Repo
	opt  GCOptions
	// places are where something bears a snapshot id: a pending root, a root, a record. An honest id is of one domain; who
	// writes another may put down objects of the same id there.
	places map[pack.ID][]Place
	res    FullSweep
}

// tree removes one copy, or leaves it.
func (w *sweeper) tree(ctx context.Context, id pack.ID, t *tree) error {
	f, err := w.fate(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case f == committed:
		return nil
	case f == undecided && t.root != "":
		w.res.Kept++
		return nil
	case f == undecided && w.opt.MinAge > 0 && w.opt.Now().Sub(t.newest) < w.opt.MinAge:
		return nil
	}
	at := Place{ID: id}
	if t.root != "" {
		at = placeOf(t.root)
	}
	drop := w.repo.dropTree
	if w.opt.DryRun {
		drop = w.repo.weighTree
	}
	got, err := drop(ctx, at)
	w.res.plus(got)
	return err
}

// weighTree counts what dropTree would remove.
func (r *Repo) weighTree(ctx context.Context, at Place) (res FullSweep, err error) {
	err = r.eachCopied(ctx, fullTree(at.ID), func(_ pack.ID, _ string, i store.Info) error {
		res.Objects++
		res.Bytes += i.Size
		return nil
	})
	if err == nil {
		res.Copies++
	}
	return res, err
}

// fate finds out what became of the backup whose copy this is. One root that counts, or one announcement that is not
// decided, keeps it (committed), whatever else bears its id; without one, an abort or deletion record is its end. A root
// that needs no copy decides nothing about one.
func (w *sweeper) fate(ctx context.Context, id pack.ID) (fate, error) {
	found := undecided
	for _, at := range w.places[id] {
		gone, err := w.repo.deleted(ctx, at.Name())
		if err != nil {
			return undecided, err // what only bears the name of a record takes no copy away
		}
		if gone {
			found = dead
			continue
		}
		root, err := w.repo.ReadRoot(ctx, at.Name())
		switch {
		case Aborted(err) || Void(err):
			found = dead
		case vanished(err):
			return committed, nil // announced, or gone since it was listed: the next sweep sees which
		case err != nil:
			return undecided, err
		case root.Full:
			return committed, nil
		}
	}
	return found, nil
}

// dropDead removes the copy of a backup that was deleted, unless something else that bears its id needs it.
func (r *Repo) dropDead(ctx context.Context, at Place) error {
	w, err := r.newSweeper(ctx, GCOptions{})
	if err != nil {
		return err
	}
	if f, err := w.fate(ctx, at.ID); err != nil || f != dead {
		return err
	}
	_, err = r.dropTree(ctx, at)
	return err
}

// dropPage bounds the names held while a copy is removed.
const dropPage = 4096

var errPage = errors.New("page full")

// dropTree removes a copy: its root first, if its place is known, so that what is left of it looks like no backup. Names
// that are not a copy's stay.
func (r *Repo) dropTree(ctx context.Context, at Place) (res FullSweep, err error) {
	prefix := fullTree(at.ID)
	if at.Domain != "" {
		if err := r.st.Delete(ctx, prefix+at.Name()); err != nil {
			return res, err
		}
	}
	for {
		var names []string
		err := r.eachCopied(ctx, prefix, func(_ pack.ID, _ string, i store.Info) error {
			names = append(names, i.Name)
			res.Bytes += i.Size
			if len(names) == dropPage {
				return errPage
			}
			return nil
		})
		if err != nil && !errors.Is(err, errPage) {
			return res, err
		}
		for _, name := range names {
			if err := r.st.Delete(ctx, name); err != nil {
				return res, err
			}
			res.Objects++
		}
		if err == nil {
			res.Copies++
			return res, nil
		}
	}
}
