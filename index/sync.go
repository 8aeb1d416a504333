package index

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"cbk/pack"
)

// Source is where shards come from. ListShards gives the object names of a domain's shards in order; strangers are left
// out. ReadShard opens one; its error decides whether Sync fails, and a nil list leaves the shard out until the next Sync.
type Source interface {
	ListShards(ctx context.Context, domain string) ([]string, error)
	ReadShard(ctx context.Context, name string) ([]pack.Info, error)
}

// Sync brings the cache in step with the shards of a domain: one LIST, one GET for each shard not yet loaded. If a loaded
// shard is no longer there, what shards said is forgotten and read anew, because entries may point to packs that are gone as well.
// It returns the sequence number of the newest shard, 0 when there is none.
func (c *Cache) Sync(ctx context.Context, src Source, domain string) (newest uint64, err error) {
	listed, err := src.ListShards(ctx, domain)
	if err != nil {
		return 0, fmt.Errorf("list index shards: %w", err)
	}
	loaded, err := c.Shards()
	if err != nil {
		return 0, err
	}
	present := make(map[string]bool, len(listed))
	for _, name := range listed {
		present[path.Base(name)] = true
	}
	if !subset(loaded, present) {
		if err := c.Forget(); err != nil {
			return 0, err
		}
		loaded = nil
	}
	for _, name := range listed {
		base := path.Base(name)
		seq, _, _ := ParseShardName(base)
		newest = max(newest, seq)
		if loaded[base] {
			continue
		}
		packs, err := src.ReadShard(ctx, name)
		if err != nil {
			return 0, err
		}
		if packs == nil {
			continue
		}
		if err := c.Add(base, packs); err != nil {
			return 0, err
		}
	}
	return newest, nil
}

func subset(a, b map[string]bool) bool {
	return !slices.ContainsFunc(slices.Collect(maps.Keys(a)), func(k string) bool { return !b[k] })
}
