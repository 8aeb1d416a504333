package repo_test

import (
	"context"
	"testing"
	"time"

	"cbk/repo"
	"cbk/repo/store"
)

// freed predicts what the deletion of backups of a domain brings back.
func freed(t *testing.T, r *repo.Repo, names ...string) *repo.Freed {
	t.Helper()
	return freedFrom(t, r, 0, time.Now(), names...)
}

func freedFrom(t *testing.T, r *repo.Repo, minAge time.Duration, now time.Time, names ...string) *repo.Freed {
	t.Helper()
	var roots []string
	for _, name := range names {
		root, err := r.RootName("node-1", name)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root)
	}
	f, err := r.Freed(t.Context(), roots, repo.GCOptions{MinAge: minAge, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// mustCome deletes backups from a copy of the repository, collects, and compares what came with what was predicted.
func mustCome(t *testing.T, st store.Store, f *repo.Freed, names ...string) {
	t.Helper()
	r := openRepo(t, copyOf(t, st), t.TempDir())
	for _, name := range names {
		remove(t, r, name)
	}
	res := now(t, r)
	packs := f.Whole.Objects + f.Repacked.Objects + f.Garbage.Objects
	bytes := f.Whole.Bytes + f.Repacked.Bytes + f.Garbage.Bytes
	if res.Deleted != packs || res.BytesFreed != bytes || (res.Copied > 0) != (f.Copied > 0) {
		t.Errorf("without %v gc deleted %d packs of %d bytes and copied %d blobs; predicted %d, %d: %+v", names, res.Deleted, res.BytesFreed, res.Copied, packs, bytes, f)
	}
	mustBeSound(t, r)
}

func TestWhatADeletionWouldFreeIsWhatGCThenDeletes(t *testing.T) {
	r, st := newRepo(t)
	shared := noise(1, 3<<20)
	backup(t, r, "node-1", "one", shared, noise(2, 4<<20))
	backup(t, r, "node-1", "two", shared, noise(3, 1<<20))
	backup(t, r, "node-1", "three", noise(4, 2<<20), noise(2, 4<<20)[:3<<20]) // most of what one brought
	backup(t, r, "node-2", "other", shared)
	whole, all := false, []string{"one", "two", "three"}
	for _, names := range [][]string{{"one"}, {"two"}, {"three"}, {"one", "two"}, {"one", "three"}, {"two", "three"}, all} {
		f := freed(t, r, names...)
		if f.Bytes == 0 || f.Blobs == 0 || f.Later > f.Bytes || f.Garbage.Objects > 0 || f.Copies.Objects > 0 {
			t.Errorf("%v: %+v", names, f)
		}
		whole = whole || f.Whole.Objects > 0 && f.Repacked.Objects > 0
		mustCome(t, st, f, names...)
	}
	if !whole {
		t.Error("no case had packs that go as a whole beside others that are repacked")
	}
	if f := freed(t, r, all...); f.Later != 0 || f.Repacked.Objects != 0 || f.Copied != 0 {
		t.Errorf("of a node without backups all goes: %+v", f)
	}
	if f := freed(t, r, "one"); f.Bytes > 3<<20 {
		t.Errorf("what three needs too is counted: %+v", f)
	}
}

func TestBlobsInPacksThatStayAreToldApart(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "large", noise(1, 900_000))
	backup(t, r, "node-1", "small", noise(1, 900_000)[:800_000])
	f := freed(t, r, "large")
	if f.Later == 0 || f.Later != f.Bytes || f.Whole.Objects+f.Repacked.Objects != 0 {
		t.Errorf("%+v", f)
	}
	mustCome(t, st, f, "large")
}

func TestGarbageIsNotCountedAsFreed(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "gone", noise(1, 2<<20))
	backup(t, r, "node-1", "one", noise(2, 1<<20))
	remove(t, r, "gone")
	f := freed(t, r, "one")
	if f.Garbage.Bytes < 2<<20 || f.Bytes > 3<<19 {
		t.Errorf("%+v", f)
	}
	mustCome(t, st, f, "one")
	// Once condemned, the same packs are garbage still.
	collect(t, r, time.Hour, 0, time.Now())
	if again := freed(t, r, "one"); again.Garbage != f.Garbage || again.Bytes != f.Bytes {
		t.Errorf("condemned: %+v, before %+v", again, f)
	}
}

func TestAPendingBackupKeepsWhatItNeeds(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 2<<20)
	backup(t, r, "node-1", "one", file)
	before := freed(t, r, "one")
	// The session dies between its announcement and its root.
	dying := openRepo(t, &refusing{Store: st, prefix: "snapshots/"}, t.TempDir())
	if _, err := save(session(t, dying, "node-1"), "two", file); err == nil {
		t.Fatal("a backup without a root")
	}
	f := freed(t, r, "one")
	if f.Bytes*2 > before.Bytes {
		t.Errorf("%d bytes, %d without the other session", f.Bytes, before.Bytes)
	}
}

// refusing creates nothing under a prefix.
type refusing struct {
	store.Store
	prefix string
}

func (f *refusing) Create(ctx context.Context, name string, data []byte) error {
	if len(name) >= len(f.prefix) && name[:len(f.prefix)] == f.prefix {
		return errStore
	}
	return f.Store.Create(ctx, name, data)
}

func TestYoungPacksAreToldWithTheTimeFromWhichTheyCount(t *testing.T) {
	r, _ := newRepo(t)
	backup(t, r, "node-1", "one", noise(1, 2<<20))
	now := time.Now()
	f := freedFrom(t, r, time.Hour, now, "one")
	if f.Young != f.Whole || f.Newest.After(now.Add(time.Minute)) || f.Newest.Before(now.Add(-time.Hour)) {
		t.Errorf("%+v", f)
	}
	if f := freedFrom(t, r, time.Hour, now.Add(2*time.Hour), "one"); f.Young.Objects != 0 || !f.Newest.IsZero() {
		t.Errorf("two hours later: %+v", f)
	}
}

func TestAFullCopyGoesWithItsBackup(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "one", noise(1, 1<<20))
	fullBackup(t, r, "node-1", "full", noise(1, 1<<20))
	tree := treeOf(t, r, "full")
	n := len(objects(t, st, tree))
	f := freed(t, r, "full")
	if f.Copies.Bytes != bytesIn(t, st, tree) || f.Copies.Objects != n || n == 0 {
		t.Errorf("%+v; %d objects in the copy", f, n)
	}
	mustCome(t, st, f, "full")
}

func TestWhatGoesWithABackupInTwoDomainsIsCountedInBoth(t *testing.T) {
	r, _ := newRepo(t)
	both(t, r, "b", noise(1, 1<<20), noise(2, 2<<20))
	names, parts := backups(t, r)
	f, err := r.Freed(t.Context(), names, repo.GCOptions{Now: time.Now})
	if err != nil || len(names) != 1 || f.Bytes < 3<<20 || f.Whole.Bytes < f.Bytes {
		t.Errorf("%+v, %v; roots %v, parts %v", f, err, names, parts)
	}
}

func TestWhatCannotBeReadIsNotGuessed(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "one", noise(1, 1<<20))
	backup(t, r, "node-1", "two", noise(2, 1<<20))
	one, err := r.RootName("node-1", "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.RootName("node-1", "two")
	if err != nil {
		t.Fatal(err)
	}
	data, err := st.Get(t.Context(), two, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, st, two, flip(data, len(data)-3))
	_, err = r.Freed(t.Context(), []string{one}, repo.GCOptions{Now: time.Now})
	mustDamage(t, err, two)
}
