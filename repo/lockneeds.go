package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cbk/pack"
)

// lockNeeds says which objects must stay.
type lockNeeds struct {
	packs  []pack.ID       // sorted
	all    bool            // every pack, because it is not clear which
	names  map[string]bool // shards, tombstones
	roots  map[string]bool // that are deleted, or left to their locks
	copies map[pack.ID]bool
}

// has reports whether an object must stay. Records, keys and what the trust log says stay as long as anything does: it
// cannot be told from a listing which of them somebody has hidden.
func (n *lockNeeds) has(name string) bool {
	switch Classify(name) {
	case KindConfig, KindKey, KindTrust, KindSession, KindRecord, KindDeleted, KindAudit:
		return true
	case KindPack:
		id, _ := pack.ParseID(name[len(name)-64:])
		_, found := slices.BinarySearchFunc(n.packs, id, compareIDs)
		return found || n.all
	case KindShard:
		return n.names[name] || n.all
	case KindEpoch:
		return n.names[name]
	case KindRoot:
		return !n.roots[name]
	case KindFull:
		id, inner, _ := SplitFull(name)
		return n.copies[id] && !n.roots[inner]
	}
	return false
}

// lockNeeds looks at every domain by first versions. unclear says of which it could not be told what is needed.
func (r *Repo) lockNeeds(ctx context.Context, first *Repo, ending map[string]bool) (n *lockNeeds, unclear, err error) {
	n = &lockNeeds{names: make(map[string]bool), roots: maps.Clone(ending), copies: make(map[pack.ID]bool)}
	if n.roots == nil {
		n.roots = make(map[string]bool)
	}
	if err := n.backups(ctx, first); err != nil {
		return nil, nil, err
	}
	domains, err := first.Domains(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, domain := range domains {
		shards, err := r.ListShards(ctx, domain)
		if err != nil {
			return nil, nil, err
		}
		if err := n.domain(ctx, first, domain, shards); ignoreDamage(err) != nil {
			return nil, nil, err
		} else if err != nil {
			n.all = true
			unclear = errors.Join(unclear, fmt.Errorf("what %s needs is not clear, so that the lock of every pack counts: %w", domain, err))
		}
	}
	slices.SortFunc(n.packs, compareIDs)
	return n, unclear, nil
}

// backups finds out which roots are deleted and which copies belong to one that is not. What only bears the name of a
// deletion record deletes nothing.
func (n *lockNeeds) backups(ctx context.Context, first *Repo) error {
	records, err := first.names(ctx, deadPrefix, KindDeleted)
	if err != nil {
		return err
	}
	for _, record := range records {
		root := sibling(rootPrefix, record)
		gone, err := first.deleted(ctx, root)
		if ignoreDamage(err) != nil {
			return err
		}
		if gone {
			n.roots[root] = true
		}
	}
	all, err := first.trees(ctx)
	for id, t := range all {
		if t.root == "" {
			continue // nothing reads what is left of it
		}
		gone, failed := first.deleted(ctx, logical(t.root))
		if ignoreDamage(failed) != nil {
			return failed
		}
		n.copies[id] = !gone
	}
	return err
}

// domain adds what the live roots of a domain need. Of a blob in several packs all count: which of them the next garbage
// collection leaves is open. current are the shards that are there by the newest versions.
func (n *lockNeeds) domain(ctx context.Context, first *Repo, domain string, current []string) error {
	k := &keeper{repo: first, domain: domain, res: &GCResult{}}
	w, err := k.look(ctx)
	if err != nil {
		return err
	}
	needed := make([]bool, len(w.packs))
	w.held.groups(func(group []holder, one *holder) {
		if one == nil {
			return
		}
		for i := range group {
			if h := &group[i]; h == one || !w.packs[h.pack].condemned {
				needed[h.pack] = true
			}
		}
	})
	for i := range w.packs {
		if needed[i] {
			n.packs = append(n.packs, w.packs[i].name)
		}
	}
	for i := range w.shards {
		s := &w.shards[i]
		// One that names condemned packs and is gone was replaced by a keeper.
		if slices.ContainsFunc(s.packs, func(p uint32) bool { return needed[p] }) && (!w.dirty(s) || slices.Contains(current, s.name)) {
			n.names[s.name] = true
		}
	}
	if w.view.newest > 0 {
		n.names[epochName(domain, w.view.newest)] = true
	}
	return nil
}
