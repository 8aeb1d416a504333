package repo_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"cbk/repo"
	"cbk/repo/store"
	"cbk/repo/store/storefault"
)

// Whichever operation of a full backup fails, and however: it reports an error, the name is free or taken by a complete
// backup, the next one succeeds, and what the dead attempt copied is swept.
func TestAFullBackupSurvivesAFaultAtAnyOperation(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, mode := range sweptModes {
		t.Run(mode.String(), func(t *testing.T) {
			met := make(map[string]bool)
			for n := 0; ; n++ {
				hit := surviveFullFault(t, storefault.Fault{At: n, Mode: mode})
				op, rest, _ := strings.Cut(hit, " ")
				folder, inner, _ := strings.Cut(rest, "/")
				if folder == "full" {
					inner, _, _ = strings.Cut(inner[65:], "/")
					met[op+" "+inner] = true
				}
				if hit == "" {
					break
				}
			}
			for _, op := range []string{"copy packs", "create packs", "create index", "create snapshots", "stat packs"} {
				if !met[op] {
					t.Errorf("no fault at any %s of a copy: %v", op, met)
				}
			}
		})
	}
	settled(t, before)
}

// surviveFullFault runs one full backup with a fault and returns the operation it struck, "" if there are fewer.
func surviveFullFault(t *testing.T, fault storefault.Fault) string {
	t.Helper()
	_, st := newRepo(t)
	// Of the first backup's pack the second needs little: that is repacked.
	backup(t, openRepo(t, st, ""), "node-1", "first", noise(1, 10_000), noise(9, 100_000))
	cache := t.TempDir()
	files := [][]byte{noise(1, 10_000), noise(2, 1_300_000)}
	f, broken := faulty(st)
	r := openRepo(t, broken, cache)
	start := len(f.Ops())
	f.Arm(fault)
	_, err := tryFull(t.Context(), r, "node-1", "daily", files...)
	hit := struck(f, start+fault.At)
	if hit == "" || fault.Mode == storefault.Twice {
		if err != nil {
			t.Fatalf("without a lasting fault: %v", err)
		}
		return hit
	}
	injected(t, fault.Mode, err)
	sound := openRepo(t, st, cache)
	done := len(committed(t, sound)) == 2
	if done && (fault.Mode != storefault.ErrorAfter || !strings.HasPrefix(hit, "create snapshots/")) {
		t.Fatalf("fault at %s: there is a root", hit)
	}
	mustBeSound(t, sound)
	sweep(t, sound, 0) // of an attempt that may be alive nothing may go
	if !done {
		if _, err := tryFull(t.Context(), sound, "node-1", "daily", files...); err != nil {
			t.Fatalf("fault at %s: the next backup ends with %v", hit, err)
		}
	}
	now(t, sound)
	sweep(t, sound, 0)
	if trees := trees(t, st); len(trees) != 1 {
		t.Fatalf("fault at %s: %d copies are left", hit, len(trees))
	}
	mustRestoreAttempt(t, sound, "daily", files...)
	mustBeSound(t, sound)
	return hit
}

func trees(t *testing.T, st store.Store) map[string]bool {
	t.Helper()
	all := make(map[string]bool)
	for _, name := range objects(t, st, "full/") {
		all[name[:len("full/")+64]] = true
	}
	return all
}

// following runs a function once, after the first creation of an object whose name starts with a prefix.
type following struct {
	store.Store
	prefix string
	do     func()
	once   sync.Once
}

func (f *following) Create(ctx context.Context, name string, data []byte) error {
	err := f.Store.Create(ctx, name, data)
	if strings.HasPrefix(name, f.prefix) {
		f.once.Do(f.do)
	}
	return err
}

// oldPacks is a store whose packs look old.
type oldPacks struct{ store.Store }

func (a oldPacks) Stat(ctx context.Context, name string) (store.Info, error) {
	i, err := a.Store.Stat(ctx, name)
	if strings.HasPrefix(name, "packs/") {
		i.ModTime = i.ModTime.Add(-time.Hour)
	}
	return i, err
}

// A keeper at its fastest: it deletes another backup, condemns the packs it shared with the one under way, and removes
// them without any grace.
func TestAFullBackupBesideAKeeperIsWholeOrStartsOver(t *testing.T) {
	shared := noise(1, 150_000)
	for _, tc := range []struct {
		name string
		when func(st store.Store, do func()) store.Store
		want error

		copied int // live blobs, by the keeper
		minAge time.Duration
	}{
		{"packs move between the announcement and the copy",
			func(st store.Store, do func()) store.Store { return &following{Store: st, prefix: "pending/", do: do} }, nil, 3, time.Minute},
		{"packs move between two copies",
			func(st store.Store, do func()) store.Store { return &following{Store: st, prefix: "full/", do: do} }, nil, 3, time.Minute},
		{"packs went before the announcement",
			func(st store.Store, do func()) store.Store { return &hooked{Store: st, prefix: "pending/", do: do} }, repo.ErrCondemned, 0, time.Minute},
		{"the attempt is ended, and its copy swept, while it copies",
			func(st store.Store, do func()) store.Store { return &following{Store: st, prefix: "full/", do: do} }, repo.ErrCondemned, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, st := newRepo(t)
			for i := range 3 {
				backup(t, r, "node-1", fmt.Sprint("old", i), shared[i*50_000:(i+1)*50_000], noise(10+i, 700_000))
			}
			k := openRepo(t, oldPacks{st}, t.TempDir())
			w := openRepo(t, tc.when(st, func() {
				for i := range 3 {
					remove(t, k, fmt.Sprint("old", i))
				}
				if res := collect(t, k, 0, tc.minAge, time.Now()); res.Deleted < 3 || res.Copied < tc.copied {
					t.Errorf("keeper: %+v", res)
				}
				sweep(t, k, 0)
			}), t.TempDir())
			parts := [][]byte{shared[:50_000], shared[50_000:100_000], shared[100_000:]}
			if _, err := tryFull(t.Context(), w, "node-1", "new", parts...); !errors.Is(err, tc.want) {
				t.Fatalf("error %v", err)
			}
			if tc.want != nil {
				if len(committed(t, w)) != 0 {
					t.Error("a backup that lacks packs is one")
				}
				fullBackup(t, w, "node-1", "new", parts...)
			}
			mustRestoreAttempt(t, r, "new", parts...)
			now(t, k)
			sweep(t, k, 0)
			mustBeSound(t, r)
			mustRestoreAttempt(t, r, "new", parts...)
			if n := len(trees(t, st)); n != 1 {
				t.Errorf("%d copies", n)
			}
		})
	}
}

func TestAPackThatIsLostIsDamageAndNoFullBackup(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 300_000)
	backup(t, r, "node-1", "old", file)
	name, data := only(t, st, "packs/")
	for what, bad := range map[string][]byte{"missing": nil, "shortened": data[:len(data)-1]} {
		replace(t, st, name, bad)
		_, err := tryFull(t.Context(), r, "node-1", "full "+what, file)
		mustDamage(t, err, name)
		if roots := committed(t, r); len(roots) != 1 {
			t.Errorf("%s: %v", what, roots)
		}
	}
}

func TestUnfinishedCopiesAreSparedWhileTheyMayBeAlive(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 300_000)
	_, err := tryFull(t.Context(), openRepo(t, dead{st, "snapshots/"}, t.TempDir()), "node-1", "full", file)
	if !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if res := sweep(t, r, 0); len(trees(t, st)) != 1 || res.Kept != 0 {
		t.Errorf("the copy of an announced backup: %+v", res)
	}
	if res := collect(t, r, 0, time.Hour, time.Now()); res.Aborted != 0 || res.Condemned != 0 {
		t.Errorf("an announced full backup does not keep the shared packs: %+v", res)
	}
	now(t, r) // ends the session
	if res := sweep(t, r, time.Hour); len(trees(t, st)) != 0 || res.Copies != 1 || res.Bytes == 0 {
		t.Errorf("the copy of an aborted attempt: %+v", res)
	}
	// Objects under a name that never was a backup's go when they are old.
	stray := "full/" + strings.Repeat("ab", 32) + "/packs/cd/" + strings.Repeat("cd", 32)
	if err := st.Create(t.Context(), stray, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if res := sweep(t, r, time.Hour); res.Copies != 0 {
		t.Errorf("swept young objects: %+v", res)
	}
	if res := sweep(t, r, 0); res.Copies != 1 || res.Objects != 1 {
		t.Errorf("old objects: %+v", res)
	}
}

// Whoever rotates and destroys the old seal key while a copy is made, at any moment: what is committed can be read.
func TestASealKeyMayBeRotatedWhileACopyIsMade(t *testing.T) {
	for _, tc := range []struct {
		name string
		when func(st store.Store, tree string, do func()) store.Store
	}{
		{"after the announcement", func(st store.Store, _ string, do func()) store.Store {
			return &following{Store: st, prefix: "pending/", do: do}
		}},
		{"after the first pack", func(st store.Store, tree string, do func()) store.Store {
			return &following{Store: st, prefix: tree + "packs/", do: do}
		}},
		{"after the last shard", func(st store.Store, tree string, do func()) store.Store {
			return &following{Store: st, prefix: tree + "index/", do: do}
		}},
		{"after the keys were looked at, before the root stands in the copy", func(st store.Store, tree string, do func()) store.Store {
			return &hooked{Store: st, prefix: tree + "snapshots/", do: do}
		}},
		{"before the root", func(st store.Store, _ string, do func()) store.Store {
			return &hooked{Store: st, prefix: "snapshots/", do: do}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, st := newRepo(t)
			files := [][]byte{noise(1, 400_000), noise(2, 300_000)}
			backup(t, r, "node-1", "old", files[0])
			ran := false
			w := openRepo(t, tc.when(st, treeOf(t, r, "full"), func() {
				ran = true
				if _, err := r.RotateSeal(t.Context(), ""); err != nil {
					t.Error(err)
				}
				if gone, err := r.RetireSeals(t.Context(), ""); err != nil || len(gone) != 1 {
					t.Errorf("retired %v: %v", gone, err)
				}
			}), t.TempDir())
			fullBackup(t, w, "node-1", "full", files...)
			if !ran {
				t.Fatal("nothing was rotated")
			}
			mustBeSound(t, r)
			strip(t, st, treeOf(t, r, "full"))
			r = openRepo(t, st, t.TempDir())
			mustBeSound(t, r)
			mustRestoreAttempt(t, r, "full", files...)
		})
	}
}

// stubborn is a store that deletes nothing under a prefix.
type stubborn struct {
	store.Store
	prefix string
}

func (s stubborn) Delete(ctx context.Context, name string) error {
	if strings.HasPrefix(name, s.prefix) {
		return errStore
	}
	return s.Store.Delete(ctx, name)
}

func TestADeletionThatEndsHalfwayIsFinishedByGC(t *testing.T) {
	for _, prefix := range []string{"snapshots/", "full/"} {
		t.Run("before the first deletion under "+prefix, func(t *testing.T) {
			r, st := newRepo(t)
			fullBackup(t, r, "node-1", "full", noise(1, 300_000))
			at, err := r.RootName("node-1", "full")
			if err != nil {
				t.Fatal(err)
			}
			if err := openRepo(t, stubborn{st, prefix}, "").Delete(t.Context(), at, nil); !errors.Is(err, errStore) {
				t.Fatalf("error %v", err)
			}
			if roots := committed(t, r); len(roots) != 0 {
				t.Errorf("listed: %v", roots)
			}
			mustBeSound(t, r)
			if res := sweep(t, r, time.Hour); res.Copies != 1 || len(objects(t, st, "full/")) != 0 {
				t.Errorf("%+v", res)
			}
			mustBeSound(t, r)
		})
	}
}
