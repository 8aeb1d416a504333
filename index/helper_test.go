package index_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"
	"testing"

	"cbk/index"
	"cbk/pack"
)

func blobID(n int) pack.ID { return sha256.Sum256(fmt.Append(nil, "blob", n)) }

// onePack describes the n-th pack: blobs of them, all unlike those of other packs, by two sessions.
func onePack(n, blobs int) pack.Info {
	p := pack.Info{Name: sha256.Sum256(fmt.Append(nil, "pack", n)), Size: 64 << 20, Sessions: []pack.Session{
		{ID: pack.SessionID{1, byte(n / 7)}, Sealed: fmt.Append(nil, "key 1 of ", n/7)},
		{ID: pack.SessionID{2}, Sealed: []byte("key 2")}}}
	for i := range blobs {
		p.Entries = append(p.Entries, pack.Entry{Type: pack.Type(1 + i%6), ID: blobID(n*1_000_000 + i), Offset: uint32(i * 1000),
			Stored: 900 + uint32(i%100), Plain: 2000 + uint32(i), Session: p.Sessions[i%2].ID})
	}
	return p
}

// locations says what Lookup has to answer for every blob of the packs.
func locations(packs []pack.Info) map[pack.ID]index.Location {
	want := make(map[pack.ID]index.Location)
	for _, p := range packs {
		for _, e := range p.Entries {
			l := index.Location{Type: e.Type, Pack: p.Name, PackSize: p.Size, Offset: e.Offset, Stored: e.Stored, Plain: e.Plain}
			for _, s := range p.Sessions {
				if s.ID == e.Session {
					l.Session = s
				}
			}
			want[e.ID] = l
		}
	}
	return want
}

func open(t testing.TB, dir string) *index.Cache {
	t.Helper()
	c, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closeCache(t testing.TB, c *index.Cache) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// temporary returns a cache that is closed with the test.
func temporary(t testing.TB) *index.Cache {
	t.Helper()
	c, err := index.OpenTemporary()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeCache(t, c) })
	return c
}

func add(t testing.TB, c *index.Cache, shard string, packs ...pack.Info) {
	t.Helper()
	if err := c.Add(shard, packs); err != nil {
		t.Fatal(err)
	}
}

func sync(t testing.TB, c *index.Cache, src index.Source) uint64 {
	t.Helper()
	newest, err := c.Sync(t.Context(), src, "node")
	if err != nil {
		t.Fatal(err)
	}
	return newest
}

func mustHave(t testing.TB, c *index.Cache, packs ...pack.Info) {
	t.Helper()
	for id, want := range locations(packs) {
		got, ok, err := c.Lookup(id)
		if err != nil || !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("blob %s is at %+v, want %+v (found %v, %v)", id.Short(), got, want, ok, err)
		}
		if _, has, err := c.Holder(id); err != nil || !has {
			t.Errorf("blob %s is not known: %v", id.Short(), err)
		}
	}
}

func mustLack(t testing.TB, c *index.Cache, packs ...pack.Info) {
	t.Helper()
	for id := range locations(packs) {
		_, ok, err := c.Lookup(id)
		_, has, hasErr := c.Holder(id)
		if ok || has || err != nil || hasErr != nil {
			t.Errorf("blob %s: found %v, known %v, %v, %v", id.Short(), ok, has, err, hasErr)
		}
	}
}

// bucket is a Source in memory that counts what is asked of it.
type bucket struct {
	shards map[string][]pack.Info
	order  []string
	reads  []string
	broken map[string]error
}

func newBucket() *bucket {
	return &bucket{shards: map[string][]pack.Info{}, broken: map[string]error{}}
}

func (b *bucket) put(seq uint64, packs ...pack.Info) string {
	name := index.ShardName("node", seq, fmt.Append(nil, "shard", seq))
	b.shards[name], b.order = packs, append(b.order, name)
	slices.Sort(b.order)
	return name
}

func (b *bucket) remove(name string) {
	delete(b.shards, name)
	b.order = slices.DeleteFunc(b.order, func(n string) bool { return n == name })
}

// taken returns the sequence numbers of the shards read since the last call.
func (b *bucket) taken() (seqs []uint64) {
	for _, name := range b.reads {
		seq, _, _ := index.ParseShardName(path.Base(name))
		seqs = append(seqs, seq)
	}
	b.reads = nil
	return seqs
}

func (b *bucket) ListShards(_ context.Context, domain string) ([]string, error) {
	if domain != "node" {
		return nil, errors.New("another domain")
	}
	return slices.Clone(b.order), b.broken["list"]
}

func (b *bucket) ReadShard(_ context.Context, name string) ([]pack.Info, error) {
	b.reads = append(b.reads, name)
	return b.shards[name], b.broken[name]
}
