package repo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

// sweep is K3: for tombstones old enough, shards that name condemned packs are replaced by shards that do not, and packs
// that no shard names any more are deleted. Only keepers rewrite shards.
func (k *keeper) sweep(ctx context.Context) error {
	due := k.due()
	if len(due) == 0 {
		return nil
	}
	if err := k.rewrite(ctx); err != nil {
		return err
	}
	named, err := k.named(ctx)
	if err != nil {
		return err
	}
	for _, id := range due {
		if named[id] {
			continue
		}
		if err := k.remove(ctx, id); err != nil {
			return err
		}
	}
	return k.dropEpochs(ctx)
}

// due returns the packs condemned at least the grace time ago.
func (k *keeper) due() (ids []pack.ID) {
	for _, g := range k.world.view.groups {
		if !g.gone && k.past(g.at, k.opt.Grace) {
			ids = append(ids, g.packs...)
		}
	}
	return ids
}

// noteGone marks the groups whose packs are all deleted, for the next tombstone: later keepers need not look for them.
func (k *keeper) noteGone(ctx context.Context, e *epochs) error {
	for i := range e.groups {
		g := &e.groups[i]
		if g.gone || !k.past(g.at, k.opt.Grace) {
			continue
		}
		g.gone = true
		for _, id := range g.packs {
			there, err := k.repo.exists(ctx, PackName(id))
			if err != nil {
				return err
			}
			if there {
				g.gone = false
				break
			}
		}
	}
	return nil
}

// past reports whether something is at least so old. No patience is needed for none, whatever the clocks say.
func (k *keeper) past(since time.Time, age time.Duration) bool {
	return age <= 0 || k.opt.Now().Sub(since) >= age
}

// rewrite replaces the shards that name condemned packs by shards that do not.
func (k *keeper) rewrite(ctx context.Context) error {
	w := k.world
	var old []string
	keep := make(map[uint32][]pack.Info) // by generation
	doms := make(map[uint32]*roles.Domain)
	for _, s := range w.shards {
		if !slices.ContainsFunc(s.packs, func(n int) bool { return w.view.condemned[w.packs[n].name] }) {
			continue
		}
		old = append(old, s.name)
		read, err := k.repo.readShard(ctx, s.name)
		if ignoreMissing(err) != nil {
			return err
		}
		if err != nil {
			continue
		}
		g := read.dom.Generation
		doms[g] = read.dom
		for _, p := range read.packs {
			if !w.view.condemned[p.Name] {
				keep[g] = append(keep[g], p)
			}
		}
	}
	for g, packs := range keep {
		if err := k.writeShards(ctx, doms[g], packs); err != nil {
			return err
		}
	}
	for _, name := range old {
		k.res.ShardsRemoved++
		if err := k.repo.st.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// writeShards writes the packs into as few shards as their bound allows.
func (k *keeper) writeShards(ctx context.Context, d *roles.Domain, packs []pack.Info) error {
	for len(packs) > 0 {
		n, entries := 0, 0
		for n < len(packs) && (n == 0 || entries+len(packs[n].Entries) <= index.MaxShardEntries) {
			entries += len(packs[n].Entries)
			n++
		}
		k.seq++
		name, data := k.repo.sealShard(d, k.seq, packs[:n])
		if err := k.repo.st.Create(ctx, name, data); err != nil {
			return err
		}
		packs = packs[n:]
	}
	return nil
}

// named lists the shards once more and returns every pack that one of them names. Where one goes as it is read, another
// keeper has replaced it by one that may not be in the list: all is listed again.
func (k *keeper) named(ctx context.Context) (map[pack.ID]bool, error) {
	known := make(map[string][]pack.ID)
	for _, s := range k.world.shards {
		for _, n := range s.packs {
			known[s.name] = append(known[s.name], k.world.packs[n].name)
		}
	}
	for range maxRetries {
		named, err := k.namedNow(ctx, known)
		if ignoreMissing(err) != nil || err == nil {
			return named, err
		}
	}
	return nil, fmt.Errorf("shards vanish as they are read, %d times in a row: try again later", maxRetries)
}

func (k *keeper) namedNow(ctx context.Context, known map[string][]pack.ID) (map[pack.ID]bool, error) {
	names, err := k.repo.ListShards(ctx, k.domain)
	if err != nil {
		return nil, err
	}
	named := make(map[pack.ID]bool)
	for _, name := range names {
		packs, read := known[name]
		if !read {
			s, err := k.repo.readShard(ctx, name)
			if err != nil {
				return nil, err
			}
			for _, p := range s.packs {
				packs = append(packs, p.Name)
			}
			known[name] = packs
		}
		for _, id := range packs {
			named[id] = true
		}
	}
	return named, nil
}

func (k *keeper) remove(ctx context.Context, id pack.ID) error {
	name := PackName(id)
	info, err := k.repo.st.Stat(ctx, name)
	if err != nil {
		return ignoreMissing(err)
	}
	if err := k.repo.st.Delete(ctx, name); err != nil {
		return err
	}
	k.res.Deleted++
	k.res.BytesFreed += info.Size
	return nil
}

// dropEpochs removes the tombstones that the newest one contains.
func (k *keeper) dropEpochs(ctx context.Context) error {
	for _, n := range k.world.view.older {
		if err := k.repo.st.Delete(ctx, epochName(k.domain, n)); err != nil {
			return err
		}
	}
	return nil
}

// Domains returns every domain with a root, pending root, shard or tombstone that the key can see: where a keeper died
// between shards and packs, only the tombstone tells of the packs.
func (r *Repo) Domains(ctx context.Context) ([]string, error) {
	found := make(map[string]bool)
	for prefix, kind := range map[string]Kind{rootPrefix: KindRoot, pendPrefix: KindPending, indexPrefix: KindShard,
		epochPrefix: KindEpoch} {
		names, err := r.names(ctx, prefix, kind)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if r.sees(domainOf(n)) {
				found[domainOf(n)] = true
			}
		}
	}
	if len(found) == 0 {
		err := r.eachBareRoot(ctx, "", func(name string) error { found[domainOf(name)] = true; return nil })
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}
