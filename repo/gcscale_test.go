package repo_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

const (
	packBlobs = 64 // blobs of a pack: 1 MiB each, as of large SSTables
	shardHas  = 16 // packs of a shard
)

// crowdedDomain says what a domain made for a collection holds. Of its blobs only what gc reads is there: shards, a backup
// with reference segments, and in place of the packs that go some bytes.
type crowdedDomain struct {
	blobs  int // in all
	dead   int // of packs every n-th is dead
	thin   int // packs of their own, real ones, a third of which lives
	needed []pack.ID
	shard  []pack.Info
	total  crowdedTotals
}

type crowdedTotals struct{ deadPacks, shards int }

func numbered(kind byte, n int) pack.ID {
	var b [9]byte
	b[0] = kind
	binary.BigEndian.PutUint64(b[1:], uint64(n))
	return sha256.Sum256(b[:])
}

// build makes the domain in an empty store.
func (c *crowdedDomain) build(t testing.TB, st store.Store) {
	t.Helper()
	if err := repo.Init(t.Context(), st, repo.DefaultSettings(), roles.Passphrase([]byte(passphrase), cheap)); err != nil {
		t.Fatal(err)
	}
	r := openRepo(t, st, "")
	s := session(t, r, "node-1")
	root := &repo.Root{Catalogue: []byte("crowded")}
	ring, _, err := s.Put(pack.Ring, []byte("ring"))
	if err != nil {
		t.Fatal(err)
	}
	root.Ring = ring.ID
	refer := func(atLeast int) {
		if len(c.needed) < atLeast || len(c.needed) == 0 {
			return
		}
		ref, _, err := s.Put(pack.Refs, repo.EncodeRefs(c.needed))
		if err != nil {
			t.Fatal(err)
		}
		root.Refs, c.needed = append(root.Refs, ref.ID), c.needed[:0]
	}
	for n := range c.blobs {
		if n/packBlobs%c.dead != 0 {
			c.needed = append(c.needed, numbered('b', n))
			refer(repo.MaxRefs)
		}
	}
	for n := range c.thin * packBlobs {
		if n%3 == 0 {
			c.needed = append(c.needed, numbered('t', n))
		}
	}
	refer(0)
	if err := s.Commit("crowded", root); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.packs(t, r, st)
}

// packs writes the shards, and what stands for packs.
func (c *crowdedDomain) packs(t testing.TB, r *repo.Repo, st store.Store) {
	t.Helper()
	for p := range c.blobs / packBlobs {
		info := described(numbered('p', p), 'b', p*packBlobs)
		if p%c.dead == 0 {
			c.total.deadPacks++
			if err := st.Create(t.Context(), repo.PackName(info.Name), info.Name[:]); err != nil {
				t.Fatal(err)
			}
		}
		if c.shard = append(c.shard, info); len(c.shard) == shardHas {
			c.writeShard(t, r, st)
		}
	}
	for p := range c.thin {
		content := noise(p, 64<<20)
		info := described(pack.Name(content), 't', p*packBlobs)
		if err := st.Create(t.Context(), repo.PackName(info.Name), content); err != nil {
			t.Fatal(err)
		}
		c.shard = append(c.shard, info)
	}
	c.writeShard(t, r, st)
}

// described is a pack of blobs with consecutive numbers.
func described(name pack.ID, kind byte, first int) pack.Info {
	info := pack.Info{Name: name, Size: 64 << 20, Sessions: []pack.Session{{Sealed: make([]byte, 1200)}}}
	for i := range packBlobs {
		info.Entries = append(info.Entries, pack.Entry{Type: pack.Data, ID: numbered(kind, first+i), Offset: uint32(i) << 20, Stored: 1 << 20,
			Plain: 1 << 20})
	}
	return info
}

func (c *crowdedDomain) writeShard(t testing.TB, r *repo.Repo, st store.Store) {
	t.Helper()
	name, data, err := r.ForgeShard("node-1", "node-1", c.shard...)
	if err == nil {
		err = st.Create(t.Context(), name, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.shard = c.shard[:0]
	c.total.shards++
}

// BenchmarkCollect condemns and deletes half a million dead blobs beside as many live ones, in a directory; its budget is
// 60 s.
func BenchmarkCollect(b *testing.B) {
	const dead = 500_000
	var spent time.Duration
	for b.Loop() {
		b.StopTimer()
		st, c := directory(b), &crowdedDomain{blobs: 2 * dead, dead: 2}
		c.build(b, st)
		r := openRepo(b, st, "")
		b.StartTimer()
		start := time.Now()
		res, err := r.GC(b.Context(), "node-1", repo.GCOptions{Now: time.Now})
		if spent += time.Since(start); err != nil || res.Deleted != c.total.deadPacks {
			b.Fatalf("%+v, %v", res, err)
		}
	}
	b.ReportMetric(spent.Seconds()/float64(b.N), "s/500k-dead")
	b.ReportMetric(spent.Seconds()/float64(b.N)/60, "of-budget")
}

// A small domain of that kind comes to the same end: the scale of the others is not what makes them right.
func TestACrowdedDomainIsCollected(t *testing.T) {
	st := memory(t)
	c := &crowdedDomain{blobs: 20 * packBlobs * shardHas, dead: 20, thin: 1}
	c.build(t, st)
	r := openRepo(t, st, "")
	o := repo.GCOptions{MaxRepack: 1 << 30, DryRun: true, Now: time.Now}
	for _, o.DryRun = range []bool{true, false} {
		res, err := r.GC(t.Context(), "node-1", o)
		want := fmt.Sprintf("condemned %d, repacked 1, copied 22, deleted %d", c.total.deadPacks+1, c.total.deadPacks+1)
		if got := fmt.Sprintf("condemned %d, repacked %d, copied %d, deleted %d", res.Condemned, res.Repacked, res.Copied, res.Deleted); err != nil || got != want {
			t.Errorf("%s, want %s: %v", got, want, err)
		}
	}
}
