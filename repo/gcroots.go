package repo

import (
	"context"
	"path"

	"cbk/pack"
)

// part names the root of a part, and its main root.
type part struct{ name, main string }

// needs are the blobs that the roots of a domain name themselves, each once however many roots share it, with what is known
// of it.
type needs map[pack.ID]needed

type needed struct {
	segment   bool // a reference segment: what it lists is needed too
	committed bool // by a root that stands. What only pending ones need and do not find is no damage: their writers learn of it before they commit
}

func (n needs) add(root *Root, pending bool) {
	note := func(id pack.ID, segment bool) {
		was := n[id]
		n[id] = needed{segment || was.segment, !pending || was.committed}
	}
	note(root.Ring, false)
	for _, id := range root.Descriptions {
		note(id, false)
	}
	for _, id := range root.Refs {
		note(id, true)
	}
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
func (k *keeper) roots(ctx context.Context, pending []string) (needs, error) {
	alive := make(needs)
	k.theirs = make(needs)
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
		if err := k.root(ctx, alive, name); err != nil {
			return nil, err
		}
	}
	return alive, nil
}

// root adds what the root at a name needs, committed or announced, if it is alive.
func (k *keeper) root(ctx context.Context, alive needs, name string) error {
	if Classify(name) == KindPending {
		root, err := k.repo.readPending(ctx, name)
		if err == nil {
			_, err = k.revive(ctx, alive, root, true)
		}
		return err
	}
	root, err := k.repo.ReadRoot(ctx, name)
	if Aborted(err) || Void(err) {
		return nil
	}
	if err != nil {
		return err
	}
	lives, err := k.revive(ctx, alive, root, false)
	if err == nil && root.Main != nil && !lives {
		k.parts = append(k.parts, part{name, root.Main.Name()})
	}
	return err
}

// revive adds what a root needs, unless it is part of one that is dead, or committed with a copy of its own.
func (k *keeper) revive(ctx context.Context, alive needs, root *Root, pending bool) (lives bool, err error) {
	if root.Full && !pending { // one that is pending may still be copying
		return false, nil
	}
	if root.Main != nil {
		f, err := k.repo.fateOf(ctx, root.Main.Name())
		if err != nil || f == dead {
			return false, err
		}
	}
	if k.leaving[root.At] || root.Main != nil && k.leaving[*root.Main] {
		alive = k.theirs
	}
	alive.add(root, pending)
	return true, nil
}
