package repo_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// spoil flips a byte of every shard and returns their names.
func spoil(t *testing.T, st store.Store) []string {
	t.Helper()
	names := objects(t, st, "index/")
	for _, name := range names {
		data, err := st.Get(t.Context(), name, 1<<26)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, st, name, flip(data, len(data)/2))
	}
	return names
}

func TestTheIndexIsMadeAnewFromPacks(t *testing.T) {
	owner, st := newRepo(t)
	one, two := noise(1, 3<<20), noise(2, 2<<20)
	backup(t, owner, "node-1", "one", one)
	backup(t, owner, "node-2", "two", two)
	bad := spoil(t, st)
	k := keyed(t, owner, st, roles.RoleKeeper)
	if _, err := k.GC(t.Context(), "node-1", impatient()); err == nil {
		t.Fatal("gc goes on where a shard cannot be read")
	}
	before := objects(t, st, "")
	plan, err := k.RepairIndex(t.Context(), repo.GCOptions{DryRun: true, Now: time.Now})
	if diff := cmp.Diff(before, objects(t, st, "")); err != nil || diff != "" {
		t.Fatalf("a dry run: %v\n%s", err, diff)
	}
	want := &repo.IndexRepair{Removed: bad, Adopted: len(objects(t, st, "packs/"))}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	done, err := k.RepairIndex(t.Context(), repo.GCOptions{Now: time.Now})
	if diff := cmp.Diff(want, done); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "one", one)
	mustRestore(t, openRepo(t, st, ""), "node-2", "two", two)
	now(t, k)
	mustBeSound(t, openRepo(t, st, ""))
	if again, err := k.RepairIndex(t.Context(), repo.GCOptions{Now: time.Now}); err != nil || again.Adopted+len(again.Removed) > 0 {
		t.Errorf("a second repair: %+v, %v", again, err)
	}
	if cost := backup(t, openRepo(t, st, ""), "node-1", "three", one); cost.Plain > 1<<20 {
		t.Errorf("%d bytes stored again", cost.Plain)
	}
}

// A keeper condemns a pack in which little is needed and dies before it has copied that; then the shards rot.
func TestWhatBackupsNeedOfCondemnedPacksIsFoundAgain(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(1, 900_000)
	backup(t, owner, "node-1", "large", file)
	backup(t, owner, "node-1", "small", file[:200_000])
	remove(t, owner, "large")
	o := impatient()
	o.MaxRepack = 1 << 30
	if _, err := openRepo(t, dead{st, "packs/"}, "").GC(t.Context(), "node-1", o); !errors.Is(err, errDead) || len(objects(t, st, "gc/")) != 1 {
		t.Fatalf("gc ends with %v, tombstones %v", err, objects(t, st, "gc/"))
	}
	spoil(t, st)
	if done, err := owner.RepairIndex(t.Context(), repo.GCOptions{Now: time.Now}); err != nil || done.Adopted == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	for range 2 {
		if _, err := openRepo(t, st, "").GC(t.Context(), "node-1", o); err != nil {
			t.Fatal(err)
		}
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "small", file[:200_000])
	mustBeSound(t, openRepo(t, st, ""))
}

func TestShardsOfANewerVersionAreNotRepaired(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "b", noise(1, 100_000))
	name, data := only(t, st, "index/")
	replace(t, st, name, append(slices.Concat(data[:4], []byte{data[4] + 1}), data[5:]...))
	before := objects(t, st, "")
	if res, err := owner.RepairIndex(t.Context(), repo.GCOptions{Now: time.Now}); !errors.Is(err, pack.ErrNewer) || len(res.Removed) > 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if diff := cmp.Diff(before, objects(t, st, "")); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyWhoMayDeleteRepairsTheIndex(t *testing.T) {
	owner, st := newRepo(t)
	if _, err := keyed(t, owner, st, roles.RoleReader).RepairIndex(t.Context(), repo.GCOptions{Now: time.Now}); !errors.Is(err, roles.ErrRole) {
		t.Errorf("a reader: %v", err)
	}
}
