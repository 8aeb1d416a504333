package repo_test

import (
	"math"
	"path"
	"slices"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// packsRead returns a checker that has gone through the shards of a repository of some ten packs, and these in order.
func packsRead(t *testing.T, r *repo.Repo, st store.Store) (*repo.Checker, *findings, []pack.ID) {
	t.Helper()
	inv, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &findings{damage: map[string]string{}, blobs: map[pack.ID]string{}}
	c := r.NewChecker(inv, f)
	if err := c.Packs(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ids []pack.ID
	for _, name := range objects(t, st, "packs/") {
		id, err := pack.ParseID(path.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return c, f, ids
}

func number(id pack.ID) (n uint64) {
	for _, b := range id[:8] {
		n = n<<8 | uint64(b)
	}
	return n
}

func readPacks(t *testing.T, c *repo.Checker, what repo.Reading) repo.Back {
	t.Helper()
	back, err := c.ReadPacks(t.Context(), what)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestPacksAreReadByNameAndTime(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "daily", noise(1, 12<<20))
	c, f, ids := packsRead(t, r, st)
	all := repo.Everything()
	n := int64(len(ids))
	if n < 6 {
		t.Fatalf("%d packs", n)
	}
	now := time.Now().Unix()
	extent := func(change func(*repo.Extent)) repo.Reading {
		e := all
		change(&e)
		return repo.Reading{Extent: e}
	}
	for _, one := range []struct {
		name string
		what repo.Reading
		want int64
	}{
		{"all", repo.Reading{Extent: all}, n},
		{"from the third on", extent(func(e *repo.Extent) { e.From = number(ids[2]) }), n - 2},
		{"up to the third", extent(func(e *repo.Extent) { e.To = number(ids[2]) }), 3},
		{"behind the last", extent(func(e *repo.Extent) { e.From = number(ids[n-1]) + 1 }), 0},
		{"none so young", extent(func(e *repo.Extent) { e.After = now + 3600 }), 0},
		{"none so old", extent(func(e *repo.Extent) { e.Until = now - 3600 }), 0},
		{"one that is picked", repo.Reading{Extent: all, Pick: func(id pack.ID) bool { return id == ids[1] }}, 1},
		{"none is wanted", repo.Reading{Extent: all, Wanted: true}, 0},
	} {
		if back := readPacks(t, c, one.what); back.Packs != one.want || !back.Whole || back.To != one.what.To {
			t.Errorf("%s: %+v, want %d packs", one.name, back, one.want)
		}
	}
	c.Want("", ids[3])
	if back := readPacks(t, c, repo.Reading{Extent: all, Wanted: true}); back.Packs != 1 || !c.Wanted(repo.PackName(ids[3])) || c.Wanted(repo.PackName(ids[4])) {
		t.Errorf("of what is wanted: %+v", back)
	}
	if len(f.damage)+len(f.blobs) > 0 {
		t.Errorf("damage %v", f.damage)
	}
}

func TestAReadingEndsWhereItIsToldTo(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "daily", noise(1, 12<<20))
	c, _, ids := packsRead(t, r, st)
	asked := 0
	back := readPacks(t, c, repo.Reading{Extent: repo.Everything(), More: func(bytes int64) bool {
		asked++
		return asked <= 3 && (asked == 1) == (bytes == 0)
	}})
	if back.Whole || back.Packs != 3 || back.To != number(ids[2]) {
		t.Errorf("%+v, asked %d times", back, asked)
	}
	if none := readPacks(t, c, repo.Reading{Extent: repo.Everything(), More: func(int64) bool { return false }}); none.Whole || none.Packs != 0 {
		t.Errorf("%+v", none)
	}
}

// A pack and its copy have one name: a budget does not come between them.
func TestAPackAndItsCopiesAreReadTogether(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "daily", noise(1, 6<<20))
	fullBackup(t, r, "node-1", "full", noise(1, 6<<20))
	c, _, ids := packsRead(t, r, st)
	back := readPacks(t, c, repo.Reading{Extent: repo.Everything()})
	if back.Packs <= int64(len(ids)) {
		t.Fatalf("copies are not read: %+v, %d shared packs", back, len(ids))
	}
	for limit := range int(back.Packs) {
		n := 0
		part := readPacks(t, c, repo.Reading{Extent: repo.Everything(), More: func(int64) bool { n++; return n <= limit+1 }})
		rest := repo.Reading{Extent: repo.Everything()}
		if rest.From = part.To + 1; part.To == math.MaxUint64 {
			continue
		}
		if sum := part.Packs + readPacks(t, c, rest).Packs; sum != back.Packs {
			t.Fatalf("after %d: %d packs in two parts, %d in one", part.Packs, sum, back.Packs)
		}
	}
}

// What gc takes away between the listing and the reading is no damage; what a shard still names is.
func TestAPackThatGoesWhileACheckRunsIsDamageOnlyIfItIsNamed(t *testing.T) {
	for _, named := range []bool{false, true} {
		r, st := newRepo(t)
		backup(t, r, "node-1", "daily", noise(1, 100_000))
		c, f, ids := packsRead(t, r, st)
		if err := st.Delete(t.Context(), repo.PackName(ids[0])); err != nil {
			t.Fatal(err)
		}
		if !named {
			for _, shard := range objects(t, st, "index/") {
				if err := st.Delete(t.Context(), shard); err != nil {
					t.Fatal(err)
				}
			}
		}
		readPacks(t, c, repo.Reading{Extent: repo.Everything()})
		if want := named; (len(f.damage) > 0) != want || c.Lost("", ids[0]) != want {
			t.Errorf("named %v: damage %v", named, f.damage)
		}
	}
}

// A keeper replaces shards while a check goes through them.
func TestAShardThatIsReplacedWhileACheckRunsIsNoDamage(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "daily", noise(1, 100_000))
	inv, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name, _ := only(t, st, "index/")
	replace(t, st, name, nil)
	backup(t, r, "node-1", "other", noise(2, 100_000)) // another shard
	f := &findings{damage: map[string]string{}, blobs: map[pack.ID]string{}}
	c := r.NewChecker(inv, f)
	if err := c.Packs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(f.objects(), name) || c.Blobs.Load() == 0 {
		t.Errorf("damage %v, %d blobs", f.damage, c.Blobs.Load())
	}
}

func TestACheckHoldsLittleForEachPack(t *testing.T) {
	if repo.HeldSize != 64 {
		t.Errorf("%d bytes a pack, and docs/design.md says 64", repo.HeldSize)
	}
}
