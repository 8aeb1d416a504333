package repo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"cbk/pack"
)

// sweep is K3: for tombstones old enough, shards that name condemned packs are replaced by shards that do not, and packs
// that no shard names any more are deleted. Only keepers rewrite shards. On a store without room for the new shards packs
// go before the shards that name them: readers then look for other holders, and nothing is lost (DropBeforeShards in
// gcmodel).
func (k *keeper) sweep(ctx context.Context) error {
	due := k.due()
	if len(due) == 0 {
		return nil
	}
	crowded := k.rewrite(ctx)
	if ignoreFull(crowded) != nil {
		return crowded
	}
	if crowded == nil {
		named, err := k.named(ctx)
		if err != nil {
			return err
		}
		due = slices.DeleteFunc(due, func(id pack.ID) bool { return named[id] })
	}
	err := each(ctx, len(due), func(ctx context.Context, i int) error { return k.removePack(ctx, due[i]) })
	if err == nil {
		err = crowded
	}
	if err == nil {
		err = k.dropEpochs(ctx)
	}
	return err
}

// due returns the packs condemned at least the grace time ago, but those that had to be kept.
func (k *keeper) due() (ids []pack.ID) {
	kept := make(map[pack.ID]bool)
	for i := range k.world.packs {
		if p := &k.world.packs[i]; p.kept {
			kept[p.name] = true
		}
	}
	for _, g := range k.world.view.groups {
		if !g.gone && k.past(g.at, k.opt.Grace) {
			ids = append(ids, g.packs...)
		}
	}
	return slices.DeleteFunc(ids, func(id pack.ID) bool { return kept[id] })
}

// noteGone marks the groups whose packs are all deleted, for the next tombstone: later keepers need not look for them.
func (k *keeper) noteGone(ctx context.Context, e *epochs) error {
	for i := range e.groups {
		g := &e.groups[i]
		if g.gone || !k.past(g.at, k.opt.Grace) {
			continue
		}
		var found atomic.Bool
		err := each(ctx, len(g.packs), func(ctx context.Context, i int) error {
			if found.Load() {
				return nil
			}
			there, err := k.repo.exists(ctx, PackName(g.packs[i]))
			if there {
				found.Store(true)
			}
			return err
		})
		if err != nil {
			return err
		}
		g.gone = !found.Load()
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

func (k *keeper) removePack(ctx context.Context, id pack.ID) error {
	name := PackName(id)
	info, err := k.repo.st.Stat(ctx, name)
	if err != nil {
		return ignoreMissing(err)
	}
	gone, err := k.remove(ctx, name)
	if gone {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.res.Deleted++
		k.res.BytesFreed += info.Size
	}
	return err
}

// dropEpochs removes the tombstones that the newest one contains.
func (k *keeper) dropEpochs(ctx context.Context) error {
	for _, n := range k.world.view.older {
		if _, err := k.remove(ctx, epochName(k.domain, n)); err != nil {
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
