package repo

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"cbk/pack"
	"cbk/repo/store"
)

// copied takes an object of a self-contained copy into the inventory; false if it is of a domain that the key cannot see.
func (inv *Inventory) copied(r *Repo, i store.Info) bool {
	id, inner, _ := SplitFull(i.Name)
	kind := Classify(inner)
	if inDomain(kind) && !r.sees(domainOf(inner)) {
		return false
	}
	c := inv.copies[id]
	if c == nil {
		c = newInventory()
		c.packs, c.place = inv.packs, uint32(len(inv.copies)+1)
		inv.copies[id] = c
	}
	switch kind {
	case KindPack:
		name, _ := pack.ParseID(path.Base(inner))
		c.packs.add(c.place, name, i)
	case KindShard:
		c.shards[domainOf(inner)] = append(c.shards[domainOf(inner)], i.Name)
	case KindSession:
		c.sessions = append(c.sessions, i.Name)
	case KindRoot:
		c.Roots = append(c.Roots, i.Name)
	}
	return true
}

// bareRoots makes the roots in copies those of the repository.
func (inv *Inventory) bareRoots(seen map[string]bool) {
	for id, c := range inv.copies {
		for _, name := range c.Roots {
			if placeOf(name).ID != id {
				continue
			}
			inv.Roots = append(inv.Roots, name)
			if d := domainOf(name); !seen[d] {
				seen[d] = true
				inv.Domains = append(inv.Domains, d)
			}
		}
	}
	slices.Sort(inv.Roots)
	slices.Sort(inv.Domains)
}

// copies checks the self-contained copy of every backup that has one, as shared checks what the others share, and that
// the root in it is the backup's. A copy with a root that is neither committed nor announced nor recorded as dead shows
// that its own root was lost: nothing else leaves such.
func (c *Checker) copies(ctx context.Context) error {
	if c.only == nil {
		if err := c.eachUnclaimed(ctx); err != nil {
			return err
		}
	}
	for _, name := range c.inv.Roots {
		if c.only != nil && !c.only.roots[name] {
			continue
		}
		root, err := c.repo.ReadRoot(ctx, name)
		if err != nil || !root.Full {
			if ignoreDamage(err) != nil && !Aborted(err) && !Void(err) {
				return err
			}
			continue // who reads the root tells of its damage
		}
		if err := c.copy(ctx, name, root); err != nil {
			return err
		}
	}
	return nil
}

func (c *Checker) eachUnclaimed(ctx context.Context) error {
	roots := make(map[pack.ID]string)
	for _, name := range c.inv.Roots {
		roots[placeOf(name).ID] = name
	}
	for _, id := range slices.SortedFunc(maps.Keys(c.inv.copies), func(a, b pack.ID) int { return slices.Compare(a[:], b[:]) }) {
		if roots[id] == "" {
			if err := c.note(c.unclaimed(ctx, id)); err != nil {
				return err
			}
		}
	}
	return nil
}

// unclaimed looks at a copy of which no root was listed.
func (c *Checker) unclaimed(ctx context.Context, id pack.ID) error {
	for _, name := range c.inv.copies[id].Roots {
		at := placeOf(name)
		if at.ID != id {
			continue
		}
		for _, prefix := range []string{pendPrefix, deadPrefix, rootPrefix} {
			if there, err := c.repo.exists(ctx, sibling(prefix, at.Name())); err != nil || there {
				return err
			}
		}
		// A copy that went meanwhile was garbage.
		if there, err := c.repo.exists(ctx, name); err != nil || !there {
			return err
		}
		return &DamageError{Object: at.Name(), What: fmt.Sprintf("missing, and its full copy is there: copying %s to this name brings the backup back", name)}
	}
	return nil
}

// copy checks one copy.
func (c *Checker) copy(ctx context.Context, name string, root *Root) error {
	inv := c.inv.copies[root.At.ID]
	if inv == nil {
		inv = newInventory() // there is nothing of it
	}
	own := root.Copy() + root.At.Name()
	if name != own {
		twin, err := c.repo.loadRoot(ctx, own, root.At.Name())
		if Aborted(err) || err == nil && twin.Hash != root.Hash {
			err = &DamageError{Object: own, What: "it is not the root at " + name}
		}
		if err := c.note(err); err != nil {
			return err
		}
	}
	t := &shelf{repo: c.repo.inside(root.Copy()), inv: inv, domains: make(map[pack.SessionID]string)}
	c.shelves[inv.place] = t
	if err := c.packs(ctx, t); err != nil {
		return err
	}
	return c.overlays(ctx, t)
}
