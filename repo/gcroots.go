package repo

import (
	"context"
	"path"
)

// part names the root of a part, and its main root.
type part struct{ name, main string }

// aliveRoot is a root that keeps its blobs. What a pending one needs and does not find is no damage: its writer learns of
// it before it commits.
type aliveRoot struct {
	*Root
	pending bool
}

// fate says what became of a root that was announced.
type fate int

const (
	undecided fate = iota
	committed
	dead
)

// fateOf finds out what became of the root at a name: dead if its deletion record stands, or an abort record in its
// place. dead is for ever; and a root that a revoked key wrote too late never lived.
func (r *Repo) fateOf(ctx context.Context, name string) (fate, error) {
	deleted, err := r.deleted(ctx, name)
	if err != nil {
		return undecided, err
	}
	if deleted {
		return dead, nil
	}
	_, err = r.ReadRoot(ctx, name)
	switch {
	case err == nil:
		return committed, nil
	case Aborted(err) || Void(err):
		return dead, nil
	case ignoreMissing(err) == nil:
		return undecided, nil
	}
	return undecided, err
}

// roots reads what is alive: committed roots without a deletion record, and pending roots whose id has no abort or
// deletion record.
func (k *keeper) roots(ctx context.Context, pending []string) (alive []aliveRoot, err error) {
	records, err := k.repo.names(ctx, deadPrefix+k.domain+"/", KindDeleted)
	if err != nil {
		return nil, err
	}
	record := make(map[string]bool)
	for _, name := range records {
		record[path.Base(name)] = true
	}
	committed, err := k.repo.names(ctx, rootPrefix+k.domain+"/", KindRoot)
	if err != nil {
		return nil, err
	}
	met := make(map[string]bool)
	for _, name := range append(committed, pending...) {
		id := path.Base(name)
		if met[id] {
			continue // a pending root whose id has a root says nothing more
		}
		met[id] = true
		// Only where a root stands has its record anything to say, and is read.
		if record[id] {
			if _, err := k.repo.deleted(ctx, sibling(rootPrefix, name)); err != nil {
				return nil, err
			}
			continue
		}
		if alive, err = k.root(ctx, alive, name); err != nil {
			return nil, err
		}
	}
	return alive, nil
}

// root adds the root at a name, committed or announced, to those alive.
func (k *keeper) root(ctx context.Context, alive []aliveRoot, name string) ([]aliveRoot, error) {
	if Classify(name) == KindPending {
		root, err := k.repo.readPending(ctx, name)
		if err != nil {
			return nil, err
		}
		return k.revive(ctx, alive, aliveRoot{Root: root, pending: true})
	}
	root, err := k.repo.ReadRoot(ctx, name)
	if Aborted(err) || Void(err) {
		return alive, nil
	}
	if err != nil {
		return nil, err
	}
	n := len(alive)
	if alive, err = k.revive(ctx, alive, aliveRoot{Root: root}); err != nil {
		return nil, err
	}
	if root.Main != nil && len(alive) == n {
		k.parts = append(k.parts, part{name, root.Main.Name()})
	}
	return alive, nil
}

// revive adds a root to those alive, unless it is part of one that is dead, or committed with a copy of its own.
func (k *keeper) revive(ctx context.Context, alive []aliveRoot, root aliveRoot) ([]aliveRoot, error) {
	if root.Full && !root.pending { // one that is pending may still be copying
		return alive, nil
	}
	if root.Main != nil {
		f, err := k.repo.fateOf(ctx, root.Main.Name())
		if err != nil || f == dead {
			return alive, err
		}
	}
	return append(alive, root), nil
}
