package repo

import (
	"context"

	"cbk/pack"
	"cbk/repo/store"
)

// rehearse counts what a run would do if nobody else were at work, and changes nothing.
func (k *keeper) rehearse(ctx context.Context) error {
	if err := k.wouldEnd(ctx); err != nil {
		return err
	}
	w, err := k.look(ctx)
	if err != nil {
		return err
	}
	plan, err := k.plan(ctx, w)
	if err != nil {
		return err
	}
	k.count(plan)
	for _, n := range plan.numbers {
		w.packs[n].condemned = true
	}
	k.wouldCopy(w)
	k.res.Tidied += len(k.parts)
	return k.wouldSweep(ctx, w, plan)
}

// wouldEnd finds the pending roots that a run would remove: what only they need is dead.
func (k *keeper) wouldEnd(ctx context.Context) error {
	k.ended = make(map[string]bool)
	return k.repo.st.List(ctx, pendPrefix+k.domain+"/", func(i store.Info) error {
		if Classify(i.Name) != KindPending {
			return nil
		}
		pending, err := k.repo.readPending(ctx, i.Name)
		if err != nil {
			return ignoreMissing(err)
		}
		f, err := k.repo.fateOf(ctx, pending.decider(i.Name))
		if err != nil || f == undecided && !k.past(i.ModTime, k.opt.MinAge) {
			return err
		}
		if f == undecided {
			k.res.Aborted++
		}
		k.ended[i.Name] = true
		k.res.Tidied++
		return nil
	})
}

// wouldCopy counts the blobs whose every readable holder is or would be condemned.
func (k *keeper) wouldCopy(w *world) {
	w.held.groups(func(group []holder, needed *holder) {
		if needed == nil {
			return
		}
		best := &group[0]
		for i := range group {
			if w.rank(&group[i]) < w.rank(best) {
				best = &group[i]
			}
		}
		if w.packs[best.pack].condemned {
			k.res.Copied++
			k.res.BytesCopied += int64(best.bytes())
		}
	})
}

// wouldSweep adds up the packs that are due, with those of the plan where no grace is given.
func (k *keeper) wouldSweep(ctx context.Context, w *world, plan *gcPlan) error {
	var due []pack.ID
	for _, g := range w.view.groups {
		if !g.gone && k.past(g.at, k.opt.Grace) {
			due = append(due, g.packs...)
		}
	}
	if k.opt.Grace <= 0 {
		due = append(due, plan.packs...)
	}
	if len(due) == 0 {
		return nil
	}
	for i := range w.shards {
		if w.dirty(&w.shards[i]) {
			k.res.ShardsRemoved++
		}
	}
	return each(ctx, len(due), func(ctx context.Context, i int) error {
		info, err := k.repo.st.Stat(ctx, PackName(due[i]))
		if err == nil {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.res.Deleted++
			k.res.BytesFreed += info.Size
		}
		return ignoreMissing(err)
	})
}
