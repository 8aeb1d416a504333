package repo

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"cbk/pack"
	"cbk/repo/store"
)

// maxOneEpoch bounds the packs condemned by one run; the next condemns more.
const maxOneEpoch = 1 << 16

// repackBelow is the live share, in percent of the bytes of a pack's blobs, below which its live part is copied and the
// pack given up. Padding and table of contents do not count: of a pack with one small blob they are the most, and its copy
// would be no better.
const repackBelow = 60

// gcPlan is what a keeper is about to condemn.
type gcPlan struct {
	packs    []pack.ID
	numbers  []int // in world.packs
	bytes    int64
	repacked int
	repack   int64 // bytes
}

func (p *gcPlan) add(n int, s *packState) {
	p.packs = append(p.packs, s.name)
	p.numbers = append(p.numbers, n)
	p.bytes += int64(s.size)
}

// plan names the packs that should go: those with nothing alive, and within MaxRepack those with least, whose live blobs
// are then copied.
func (k *keeper) plan(ctx context.Context, w *world) (*gcPlan, error) {
	live := w.liveBytes()
	var dead, thin []int
	for n, p := range w.packs {
		switch {
		case p.condemned:
		case live[n] == 0:
			goes, err := k.mayGo(ctx, &w.packs[n])
			if err != nil {
				return nil, err
			}
			if goes {
				dead = append(dead, n)
			}
		case p.claimed: // nothing is copied out of what may be damaged
		case p.thin(live[n]):
			thin = append(thin, n)
		}
	}
	plan := &gcPlan{}
	for part := range slices.Chunk(dead, maxOneEpoch) {
		old, err := k.old(ctx, w, part)
		if err != nil {
			return nil, err
		}
		for _, n := range old[:min(len(old), maxOneEpoch-len(plan.packs))] {
			plan.add(n, &w.packs[n])
		}
	}
	slices.SortStableFunc(thin, func(a, b int) int {
		return cmp.Compare(live[a]*w.packs[b].content, live[b]*w.packs[a].content)
	})
	return plan, k.planRepack(ctx, w, plan, thin)
}

// thin reports whether so little of a pack is needed, or nothing, that it is given up.
func (p *packState) thin(live uint64) bool { return live == 0 || live*100 < p.content*repackBelow }

// planRepack adds packs in the order given for as long as they may be read and copied.
func (k *keeper) planRepack(ctx context.Context, w *world, plan *gcPlan, thin []int) error {
	for _, n := range thin {
		p := &w.packs[n]
		if int64(p.size) > k.opt.MaxRepack-k.res.BytesRepacked-plan.repack || len(plan.packs) == maxOneEpoch {
			continue
		}
		old, err := k.old(ctx, w, []int{n})
		if err != nil {
			return err
		}
		if len(old) > 0 {
			plan.add(n, p)
			plan.repacked++
			plan.repack += int64(p.size)
		}
	}
	return nil
}

// liveBytes returns for each pack the stored bytes of the blobs that are needed from there.
func (w *world) liveBytes() []uint64 {
	live := make([]uint64, len(w.packs))
	w.held.groups(func(_ []holder, needed *holder) {
		if needed != nil {
			live[needed.pack] += needed.bytes()
		}
	})
	return live
}

// count adds a plan that was carried out.
func (k *keeper) count(p *gcPlan) {
	k.res.Condemned += len(p.packs)
	k.res.BytesCondemned += p.bytes
	k.res.Repacked += p.repacked
	k.res.BytesRepacked += p.repack
}

// old returns those of the packs that are at least MinAge old.
func (k *keeper) old(ctx context.Context, w *world, packs []int) ([]int, error) {
	if k.opt.MinAge <= 0 {
		return packs, nil
	}
	young := make([]bool, len(packs))
	err := each(ctx, len(packs), func(ctx context.Context, i int) (err error) {
		young[i], err = k.young(ctx, PackName(w.packs[packs[i]].name))
		return err
	})
	var old []int
	for i, n := range packs {
		if !young[i] {
			old = append(old, n)
		}
	}
	return old, err
}

func (k *keeper) young(ctx context.Context, name string) (bool, error) {
	info, err := k.repo.st.Stat(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil // another keeper was faster; to condemn it once more does no harm
	}
	return !k.past(info.ModTime, k.opt.MinAge), err
}

// past reports whether something is at least so old. No patience is needed for none, whatever the clocks say.
func (k *keeper) past(since time.Time, age time.Duration) bool {
	return age <= 0 || k.opt.Now().Sub(since) >= age
}

// gcWidth is how many small requests a keeper has under way: a store far away answers each after some 20 ms, and a run
// may have thousands.
const gcWidth = 8

// each calls fn for the numbers below n, some at a time, and ends with the first error.
func each(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	g, running := errgroup.WithContext(ctx)
	g.SetLimit(gcWidth)
	for i := 0; i < n && running.Err() == nil; i++ {
		g.Go(func() error { return fn(running, i) })
	}
	return errors.Join(g.Wait(), context.Cause(ctx))
}
