package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cbk/pack"
	"cbk/repo/store"
)

// Usage is what a repository takes in its store, and what is in its packs.
type Usage struct {
	Kinds  []KindUse
	Unseen int       // objects of domains that the key cannot see; for such a key, packs are those its domains name
	Blobs  []BlobUse // by type; what no backup needs any more is among them until gc has taken it
}

// KindUse counts objects of a kind.
type KindUse struct {
	Kind string `json:"kind"`
	Objects
}

// BlobUse counts the blobs of one type that shards name, each once. Bytes are plain ones.
type BlobUse struct {
	Type  string `json:"type"`
	Blobs int    `json:"blobs"`
	Bytes int64  `json:"bytes"`
}

// usageKinds are the kinds that Usage tells apart, by what stands for them in reports.
var usageKinds = []struct {
	name  string
	kinds []Kind
}{
	{"packs", []Kind{KindPack}},
	{"full copies", []Kind{KindFull}},
	{"index", []Kind{KindShard}},
	{"backups", []Kind{KindRoot, KindPending}},
	{"garbage collection", []Kind{KindEpoch, KindDeleted}},
	{"keys", []Kind{KindConfig, KindKey, KindTrust, KindSession}},
	{"records", []Kind{KindRecord}},
	{"strangers", []Kind{Stranger}},
}

// blobTypes are the types of blobs, by what stands for them in reports.
var blobTypes = map[pack.Type]string{pack.Data: "data", pack.Recipe: "recipe", pack.Description: "description", pack.Refs: "refs", pack.Ring: "ring"}

// Usage lists the repository and reads every shard that the key can see: those that cannot be read are given to damaged.
// It holds 12 bytes of each blob of one domain at a time: 120 MiB for ten million.
func (r *Repo) Usage(ctx context.Context, damaged func(*DamageError)) (*Usage, error) {
	u := &Usage{}
	for _, k := range usageKinds {
		u.Kinds = append(u.Kinds, KindUse{Kind: k.name})
	}
	domains := make(map[string]bool)
	err := r.st.List(ctx, "", func(i store.Info) error {
		u.object(r, i, domains)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list repository: %w", err)
	}
	t := &tally{usage: u, types: make(map[pack.Type]*BlobUse), own: len(r.Key().Domains()) > 0}
	for _, domain := range slices.Sorted(maps.Keys(domains)) {
		if err := t.domain(ctx, r, domain, damaged); err != nil {
			return nil, err
		}
	}
	for _, name := range []pack.Type{pack.Data, pack.Recipe, pack.Description, pack.Refs, pack.Ring} {
		if b := t.types[name]; b != nil {
			u.Blobs = append(u.Blobs, *b)
		}
	}
	return u, nil
}

// object counts one object of the listing.
func (u *Usage) object(r *Repo, i store.Info, domains map[string]bool) {
	kind := Classify(i.Name)
	inner := logical(i.Name)
	if k := Classify(inner); inDomain(k) {
		if !r.sees(domainOf(inner)) {
			u.Unseen++
			return
		}
		if kind == KindShard {
			domains[domainOf(inner)] = true
		}
	}
	if kind == KindPack && len(r.Key().Domains()) > 0 {
		return // counted by the shards that name it
	}
	u.add(kind, 1, i.Size)
}

func (u *Usage) add(kind Kind, n int, size int64) {
	for i, k := range usageKinds {
		if slices.Contains(k.kinds, kind) {
			u.Kinds[i].Objects.add(n, size)
		}
	}
}

// Stored adds up the kinds.
func (u *Usage) Stored() (all Objects) {
	for _, k := range u.Kinds {
		all.add(k.Objects.Objects, k.Bytes)
	}
	return all
}

// Unique adds up the blobs.
func (u *Usage) Unique() (n int, plain int64) {
	for _, b := range u.Blobs {
		n, plain = n+b.Blobs, plain+b.Bytes
	}
	return n, plain
}

// tally counts blobs domain by domain.
type tally struct {
	usage *Usage
	types map[pack.Type]*BlobUse
	own   bool // packs are counted here
}

// sized is a blob, by the beginning of its id: among ten million, two different ones begin alike once in 300,000
// repositories, and then one goes uncounted. Type and size share a number, see pack.MaxBlob.
type sized struct {
	id   [8]byte
	what uint32
}

const typeBits = 4

func (t *tally) domain(ctx context.Context, r *Repo, domain string, damaged func(*DamageError)) error {
	names, err := r.ListShards(ctx, domain)
	if err != nil {
		return err
	}
	met := make(map[pack.ID]bool)
	var blobs []sized
	for _, name := range names {
		shard, err := r.readShard(ctx, name)
		var damage *DamageError
		switch {
		case vanished(err): // gc has put another in its place
			continue
		case errors.As(err, &damage):
			damaged(damage)
			continue
		case err != nil:
			return err
		}
		for i := range shard.packs {
			p := &shard.packs[i]
			if met[p.Name] {
				continue
			}
			met[p.Name] = true
			if t.own {
				t.usage.add(KindPack, 1, int64(p.Size))
			}
			for _, e := range p.Entries {
				blobs = append(blobs, sized{[8]byte(e.ID[:8]), e.Plain<<typeBits | uint32(e.Type)})
			}
		}
	}
	t.count(blobs)
	return nil
}

// count adds each blob once: racing sessions and gc's copies store some twice.
func (t *tally) count(blobs []sized) {
	slices.SortFunc(blobs, func(a, b sized) int { return bytes.Compare(a.id[:], b.id[:]) })
	for i, b := range blobs {
		if i > 0 && b.id == blobs[i-1].id {
			continue
		}
		kind := pack.Type(b.what & (1<<typeBits - 1))
		if t.types[kind] == nil {
			t.types[kind] = &BlobUse{Type: blobTypes[kind]}
		}
		t.types[kind].Blobs++
		t.types[kind].Bytes += int64(b.what >> typeBits)
	}
}
