package repo_test

import (
	"slices"
	"testing"

	"cbk/repo"
	"cbk/repo/roles"
)

// use returns what a repository says it takes; nothing of it may be damaged.
func use(t *testing.T, r *repo.Repo) *repo.Usage {
	t.Helper()
	u, err := r.Usage(t.Context(), func(d *repo.DamageError) { t.Error(d) })
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// kind returns what a kind takes.
func kind(u *repo.Usage, name string) repo.Objects {
	i := slices.IndexFunc(u.Kinds, func(k repo.KindUse) bool { return k.Kind == name })
	return u.Kinds[i].Objects
}

func TestUsageAddsUpToWhatIsInTheStore(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "one", noise(1, 1<<20))
	backup(t, r, "node-2", "one", noise(1, 1<<20))
	fullBackup(t, r, "node-1", "full", noise(2, 100_000))
	remove(t, r, "one")
	if err := st.Create(t.Context(), "packs/README", []byte("mine")); err != nil {
		t.Fatal(err)
	}
	u := use(t, r)
	if all := u.Stored(); all.Objects != len(objects(t, st, "")) || all.Bytes != bytesIn(t, st, "") || u.Unseen != 0 {
		t.Errorf("%+v, in the store %d objects of %d bytes", u, len(objects(t, st, "")), bytesIn(t, st, ""))
	}
	for name, prefix := range map[string]string{"full copies": "full/", "index": "index/", "garbage collection": "deleted/"} {
		if k := kind(u, name); k.Bytes != bytesIn(t, st, prefix) || k.Objects == 0 {
			t.Errorf("%s: %+v", name, k)
		}
	}
	if k := kind(u, "strangers"); k != (repo.Objects{Objects: 1, Bytes: 4}) {
		t.Errorf("strangers: %+v", k)
	}
	if k := kind(u, "packs"); k.Bytes != bytesIn(t, st, "packs/")-4 {
		t.Errorf("packs: %+v", k)
	}
}

func TestABlobThatIsStoredTwiceIsCountedOnce(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 1<<20)
	// Two sessions side by side store the same; the second began before the first was there.
	late := session(t, openRepo(t, st, t.TempDir()), "node-1")
	first := backup(t, r, "node-1", "one", file)
	before := use(t, r)
	if _, err := save(late, "two", file); err != nil {
		t.Fatal(err)
	}
	after := use(t, r)
	data := func(u *repo.Usage) repo.BlobUse { return u.Blobs[0] }
	if data(before).Type != "data" || data(before).Bytes != 1<<20 || data(after) != data(before) || first.Plain < 1<<20 {
		t.Errorf("%+v, then %+v", before.Blobs, after.Blobs)
	}
	if a, b := kind(before, "packs"), kind(after, "packs"); b.Bytes < a.Bytes+1<<20 {
		t.Errorf("packs %+v, then %+v: nothing was stored twice", a, b)
	}
	n, plain := after.Unique()
	if plain <= 1<<20 || n <= data(after).Blobs {
		t.Errorf("%d blobs of %d bytes in all", n, plain)
	}
}

func TestAWriterIsToldWhatItsOwnDomainsTake(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "one", noise(1, 1<<20))
	whole := use(t, owner)
	backup(t, owner, "node-2", "one", noise(2, 2<<20))
	writer := keyed(t, owner, st, roles.RoleWriter, "node-1")
	u := use(t, writer)
	if kind(u, "packs") != kind(whole, "packs") || kind(u, "index") != kind(whole, "index") || kind(u, "backups") != kind(whole, "backups") || u.Unseen == 0 {
		t.Errorf("%+v, alone %+v", u, whole)
	}
	if keeper := use(t, keyed(t, owner, st, roles.RoleKeeper)); keeper.Stored().Bytes != bytesIn(t, st, "") || len(keeper.Blobs) != 4 {
		t.Errorf("a keeper: %+v", keeper)
	}
}

func TestAShardThatCannotBeReadIsTold(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "one", noise(1, 100_000))
	name, data := only(t, st, "index/")
	replace(t, st, name, flip(data, len(data)/2))
	var told []string
	u, err := r.Usage(t.Context(), func(d *repo.DamageError) { told = append(told, d.Object) })
	if err != nil || len(u.Blobs) != 0 || !slices.Equal(told, []string{name}) {
		t.Errorf("%+v, damage %v, %v", u, told, err)
	}
}
