package repo

import (
	"context"

	"cbk/repo/store"
)

// tidy ends sessions that have been silent for MinAge, and removes pending roots whose fate is decided. Pending is listed
// before the roots: a session that commits in between is seen in one of the two.
func (k *keeper) tidy(ctx context.Context) error {
	var pending []store.Info
	err := k.repo.st.List(ctx, pendPrefix+k.domain+"/", func(i store.Info) error {
		if Classify(i.Name) == KindPending {
			pending = append(pending, i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range pending {
		if err := k.settle(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (k *keeper) settle(ctx context.Context, p store.Info) error {
	pending, err := k.repo.readPending(ctx, p.Name)
	if err != nil {
		return ignoreMissing(err)
	}
	main := pending.decider(p.Name)
	f, err := k.repo.fateOf(ctx, main)
	if err != nil {
		return err
	}
	if f == undecided {
		if !k.past(p.ModTime, k.opt.MinAge) {
			return nil
		}
		if f, err = k.end(ctx, main); err != nil {
			return err
		}
	}
	if f == dead && pending.Main != nil {
		if err := k.spare(k.repo.buryPart(ctx, sibling(rootPrefix, p.Name), main)); err != nil {
			return err
		}
	}
	if gone, err := k.remove(ctx, p.Name); err != nil || !gone {
		return err
	}
	k.res.Tidied++
	return nil
}

// decider returns the name of the root whose fate is that of one announced. The fate of a part is that of its main root,
// whose domain any keeper may write.
func (r *Root) decider(pending string) string {
	if r.Main != nil {
		return r.Main.Name()
	}
	return sibling(rootPrefix, pending)
}

// removeParts removes committed parts of roots that are dead; as backups they ended with their main roots.
func (k *keeper) removeParts(ctx context.Context) error {
	for _, p := range k.parts {
		err := k.repo.buryPart(ctx, p.name, p.main)
		if err == nil {
			k.res.Tidied++
		}
		if err := k.spare(err); err != nil {
			return err
		}
	}
	return nil
}

// end closes a session that was silent for too long. Age decided when to try; who creates the object at the root's name
// decides the outcome.
func (k *keeper) end(ctx context.Context, main string) (fate, error) {
	won, err := k.repo.abort(ctx, main, "silent for too long")
	if err != nil {
		return undecided, err
	}
	if !won {
		k.res.AbortsLost++
		return committed, nil
	}
	k.res.Aborted++
	return dead, nil
}
