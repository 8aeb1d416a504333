package repo_test

import (
	"errors"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
)

func adopt(t *testing.T, r *repo.Repo, o repo.GCOptions) (adopted, unreadable int) {
	t.Helper()
	adopted, unreadable, err := r.Adopt(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return adopted, unreadable
}

// orphans leaves packs in the store that no shard names: their writer died.
func orphans(t *testing.T, r *repo.Repo, file []byte) {
	t.Helper()
	if err := tryBackup(t.Context(), r, "dying", file); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
}

func TestPacksWithoutAShardAreAdoptedAndUsed(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(1, 3<<20)
	u, _ := export(t, owner, roles.RoleWriter, "node-1")
	// The very first session of the domain: nothing but packs tells of it.
	orphans(t, openWith(t, dead{st, "index/"}, u, ""), file)
	packs := len(objects(t, st, "packs/"))
	if packs == 0 || len(objects(t, st, "index/")) != 0 {
		t.Fatal("nothing to adopt")
	}
	k := keyed(t, owner, st, roles.RoleKeeper)
	if n, bad := adopt(t, k, repo.GCOptions{MinAge: time.Hour, Now: time.Now}); n != 0 || bad != 0 {
		t.Errorf("%d young packs adopted, %d unreadable", n, bad)
	}
	if n, bad := adopt(t, k, impatient()); n != packs || bad != 0 {
		t.Errorf("%d of %d packs adopted, %d unreadable", n, packs, bad)
	}
	if n, _ := adopt(t, k, impatient()); n != 0 {
		t.Errorf("%d packs adopted twice", n)
	}
	w := openWith(t, st, u, "")
	if cost := backup(t, w, "node-1", "b", file); cost.Plain > int64(len(file))*3/4 {
		t.Errorf("%d bytes stored again", cost.Plain)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "b", file)
	mustBeSound(t, openRepo(t, st, ""))
}

func TestAdoptedPacksThatNobodyNeedsAreCollected(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "kept", noise(2, 100_000))
	orphans(t, openRepo(t, dead{st, "index/"}, ""), noise(1, 3<<20))
	k := keyed(t, owner, st, roles.RoleKeeper)
	now(t, k)
	if left := bytesIn(t, st, "packs/"); left < 2<<20 {
		t.Fatalf("gc takes what no shard names: %d bytes left", left)
	}
	adopt(t, k, impatient())
	now(t, k)
	if left := bytesIn(t, st, "packs/"); left > 1<<20 {
		t.Errorf("%d bytes left", left)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "kept", noise(2, 100_000))
	mustBeSound(t, openRepo(t, st, ""))
}

func TestWhatIsNoPackOfThisRepositoryIsCountedAndLeftAlone(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "b", noise(1, 100_000))
	other, foreign := newRepo(t)
	backup(t, other, "node-1", "b", noise(2, 100_000))
	name, data := only(t, foreign, "packs/")
	_, mine := only(t, st, "packs/")
	damaged := flip(mine, 100)   // not the bytes that any name says
	forged := pack.Name(damaged) // a genuine tail behind other bytes
	for at, bytes := range map[string][]byte{
		repo.PackName(forged):     damaged,                      //
		name:                      data,                         // of another repository
		repo.PackName(pack.ID{1}): mine,                         // a copy under another name
		repo.PackName(pack.ID{2}): damaged,                      //
		repo.PackName(pack.ID{3}): {},                           //
		repo.PackName(pack.ID{4}): make([]byte, pack.MaxPack+1), // larger than any pack
	} {
		if err := st.Create(t.Context(), at, bytes); err != nil {
			t.Fatal(err)
		}
	}
	before := len(objects(t, st, ""))
	n, bad := adopt(t, keyed(t, owner, st, roles.RoleKeeper), impatient())
	if n != 0 || bad != 6 {
		t.Errorf("%d packs adopted, %d unreadable", n, bad)
	}
	if after := len(objects(t, st, "")); after != before+2 {
		t.Errorf("%d objects before, %d after", before, after) // the keeper's grant and statement
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "b", noise(1, 100_000))
}

// A pack that a keeper is about to delete has no shard any more, and gets none.
func TestCondemnedPacksAreNotAdopted(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "b", noise(1, 300_000))
	name, _ := only(t, st, "packs/")
	remove(t, owner, "b")
	stuck := openRepo(t, undeletable{st, "packs/"}, "")
	if _, err := stuck.GC(t.Context(), "node-1", impatient()); !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	if left := objects(t, st, "index/"); len(left) > 0 {
		t.Fatalf("shards %v", left)
	}
	if n, bad := adopt(t, owner, impatient()); n != 0 || bad != 0 {
		t.Errorf("%d adopted, %d unreadable", n, bad)
	}
	if got := objects(t, st, "packs/"); len(got) != 1 || got[0] != name {
		t.Errorf("packs %v", got)
	}
	// The next keeper still finds the domain, and takes the pack.
	domains, err := owner.Domains(t.Context())
	if err != nil || len(domains) != 1 {
		t.Fatalf("domains %v, %v", domains, err)
	}
	if res := now(t, owner); res.Deleted != 1 {
		t.Errorf("%+v", res)
	}
}
