package repo

import (
	"context"
	"maps"
	"slices"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

// rewriting replaces the shards that name packs which may go by shards that do not.
type rewriting struct {
	*keeper
	settled map[tag]bool // what shards that stay say
	waiting map[tag]bool // what the batch says
	keep    map[*roles.Domain][]pack.Info
	old     []string // shards that the batch replaces
	weight  int
	full    error
}

// rewrite goes through the shards in batches. What a shard that stays says too is not written once more: where shards
// cannot be deleted, each run would leave another copy. A keeper that deletes the shard that stays condemns more, and
// writes what it says.
func (k *keeper) rewrite(ctx context.Context) error {
	r := &rewriting{keeper: k, settled: make(map[tag]bool), waiting: make(map[tag]bool), keep: make(map[*roles.Domain][]pack.Info)}
	var dirty []*shard
	for i := range k.world.shards {
		s := &k.world.shards[i]
		switch {
		case k.world.dirty(s):
			dirty = append(dirty, s)
		case !s.revoked:
			for _, say := range s.says {
				r.settled[say] = true
			}
		}
	}
	var bare []string
	for _, s := range dirty {
		if r.covers(s) {
			bare = append(bare, s.name)
		} else if err := r.take(ctx, s); err != nil {
			return err
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := k.dropShards(ctx, bare); err != nil {
		return err
	}
	return r.full
}

// dirty reports whether a shard names a pack that may go.
func (w *world) dirty(s *shard) bool {
	return slices.ContainsFunc(s.packs, func(n uint32) bool { return w.packs[n].goes() })
}

// covers reports whether shards that stay say all that a shard does, apart from what goes.
func (r *rewriting) covers(s *shard) bool {
	for i, n := range s.packs {
		if !r.world.packs[n].goes() && !r.settled[s.says[i]] {
			return false
		}
	}
	return true
}

// take adds what a shard keeps to the batch.
func (r *rewriting) take(ctx context.Context, s *shard) error {
	if r.full != nil {
		return nil
	}
	read, err := r.repo.readShard(ctx, s.name)
	if err != nil {
		return ignoreMissing(err)
	}
	for i, n := range s.packs {
		if say := s.says[i]; !r.world.packs[n].goes() && !r.settled[say] && !r.waiting[say] {
			r.waiting[say] = true
			r.keep[read.dom] = append(r.keep[read.dom], read.packs[i])
			r.weight += weight(&read.packs[i])
		}
	}
	r.old = append(r.old, s.name)
	if r.weight < maxShardWeight {
		return nil
	}
	return r.flush(ctx)
}

// flush writes the batch, and then deletes the shards that it replaces.
func (r *rewriting) flush(ctx context.Context) error {
	for d, packs := range r.keep {
		if err := r.writeShards(ctx, d, packs); err != nil {
			r.full, r.old, r.keep = err, nil, nil
			return ignoreFull(err)
		}
	}
	maps.Copy(r.settled, r.waiting)
	clear(r.waiting)
	clear(r.keep)
	old := r.old
	r.old, r.weight = nil, 0
	return r.dropShards(ctx, old)
}

func (k *keeper) dropShards(ctx context.Context, names []string) error {
	return each(ctx, len(names), func(ctx context.Context, i int) error {
		gone, err := k.remove(ctx, names[i])
		if gone {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.res.ShardsRemoved++
		}
		return err
	})
}

const (
	// maxShardWeight leaves a shard well below index.MaxShard, whatever its packs are.
	maxShardWeight = index.MaxShard / 2
	// maxSweptPacks is far below what a shard may name.
	maxSweptPacks = 1024
)

// weight returns at most how many bytes a shard holds about a pack.
func weight(p *pack.Info) int {
	n := 64 + 50*len(p.Entries)
	for _, s := range p.Sessions {
		n += 32 + len(s.Sealed)
	}
	return n
}

// writeShards writes the packs into as few shards as their bounds allow.
func (k *keeper) writeShards(ctx context.Context, d *roles.Domain, packs []pack.Info) error {
	for len(packs) > 0 {
		n, entries, bytes := 0, 0, 0
		for n < len(packs) && n < maxSweptPacks {
			entries += len(packs[n].Entries)
			bytes += weight(&packs[n])
			if n > 0 && (entries > index.MaxShardEntries || bytes > maxShardWeight) {
				break
			}
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
