package repo_test

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/repo/store/storetest/server"
)

// fullBackup is backup with a copy of its own.
func fullBackup(t testing.TB, r *repo.Repo, domain, name string, files ...[]byte) repo.Copied {
	t.Helper()
	copied, err := tryFull(t.Context(), r, domain, name, files...)
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

func tryFull(ctx context.Context, r *repo.Repo, domain, name string, files ...[]byte) (repo.Copied, error) {
	s, err := r.NewSession(ctx, domain)
	if err != nil {
		return repo.Copied{}, err
	}
	_, err = saveAs(s, name, &repo.Root{Catalogue: []byte(name), Full: true}, files...)
	return s.Copied(), errors.Join(err, s.Close())
}

// treeOf returns the prefix of the copy of a backup's first attempt.
func treeOf(t testing.TB, r *repo.Repo, name string) string {
	t.Helper()
	at, err := r.RootName("node-1", name)
	if err != nil {
		t.Fatal(err)
	}
	return "full/" + path.Base(at) + "/"
}

// strip deletes everything but one copy, config, keys and trust log.
func strip(t testing.TB, st store.Store, tree string) {
	t.Helper()
	for _, name := range objects(t, st, "") {
		keep := slices.ContainsFunc([]string{"config", "keys/", "trust/", tree}, func(p string) bool { return strings.HasPrefix(name, p) })
		if !keep {
			replace(t, st, name, nil)
		}
	}
}

// places are stores of every kind that copies in a way of its own.
func places(t *testing.T) map[string]func(t *testing.T, name string) store.Store {
	open := func(t *testing.T, url string, o store.Options) store.Store {
		st, err := store.Open(t.Context(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	srv := server.MinIO(t, "")
	return map[string]func(t *testing.T, name string) store.Store{
		"memory":    func(t *testing.T, _ string) store.Store { return memory(t) },
		"directory": func(t *testing.T, _ string) store.Store { return open(t, t.TempDir(), store.Options{Make: true}) },
		"MinIO": func(t *testing.T, name string) store.Store {
			srv.Setenv(t)
			return open(t, srv.Path(name), store.Options{})
		},
	}
}

func TestAFullBackupComesBackFromItsCopyAlone(t *testing.T) {
	rotate := func(t *testing.T, r *repo.Repo) {
		t.Helper()
		if _, err := r.RotateSeal(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if gone, err := r.RetireSeals(t.Context(), ""); err != nil || len(gone) != 1 {
			t.Fatalf("retired %v: %v", gone, err)
		}
	}
	never := func(*testing.T, *repo.Repo) {}
	for kind, open := range places(t) {
		for _, tc := range []struct {
			name          string
			before, after func(*testing.T, *repo.Repo)
		}{
			{"with the first seal key", never, never},
			{"with old content, after the key it was sealed to was destroyed", rotate, never},
			{"after all the keys it was sealed to were destroyed", rotate, rotate},
		} {
			t.Run(kind+" "+tc.name, func(t *testing.T) {
				st := open(t, strings.ReplaceAll(tc.name[:14], " ", "-"))
				if err := repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte(passphrase), cheap)); err != nil {
					t.Fatal(err)
				}
				r := openRepo(t, st, t.TempDir())
				files := [][]byte{noise(1, 2<<20), noise(2, 300_000)}
				backup(t, r, "node-1", "monday", files...)
				tc.before(t, r)
				files = append(files, noise(3, 500_000))
				counted, counts := store.Counting(st)
				got := fullBackup(t, openRepo(t, counted, t.TempDir()), "node-1", "tuesday", files...)
				if got.Packs < 3 || got.Bytes < 2_800_000 || counts.Copies.Load() != int64(got.Packs) || got.Inside < got.Bytes/2 || got.Inside > got.Bytes {
					t.Errorf("copied %+v with %d requests", got, counts.Copies.Load())
				}
				tc.after(t, r)
				tree := treeOf(t, r, "tuesday")
				mustBeSound(t, r)
				strip(t, st, tree)
				mustStandAlone(t, openRepo(t, st, t.TempDir()), st, tree, files...)
			})
		}
	}
}

// mustStandAlone demands that the one backup of a repository is that in a copy, that it is sound and comes back, and that
// it can be deleted.
func mustStandAlone(t *testing.T, r *repo.Repo, st store.Store, tree string, want ...[]byte) {
	t.Helper()
	roots := committed(t, r)
	if len(roots) != 1 || !strings.HasPrefix(roots[0], tree+"snapshots/node-1/") {
		t.Fatalf("listed: %v", roots)
	}
	if c := mustBeSound(t, r); c.Read.Load() < 2_800_000 {
		t.Errorf("a check read %d bytes", c.Read.Load())
	}
	got, err := restoreRoot(t.Context(), r, roots[0])
	if err != nil || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("restored %d files of %d: %v", len(got), len(want), err)
	}
	if err := r.Delete(t.Context(), roots[0], nil); err != nil {
		t.Fatal(err)
	}
	if left := objects(t, st, "full/"); len(left) != 0 || len(committed(t, r)) != 0 {
		t.Errorf("after its deletion: %v", left)
	}
}

func TestOfPacksThatAreMostlyForeignTheBlobsAreRepacked(t *testing.T) {
	r, st := newRepo(t)
	// Each backup has a session of its own, and a pack most of which only it needs.
	var mine [][]byte
	for i := range 20 {
		mine = append(mine, noise(100+i, 5_000))
		backup(t, r, "node-1", "b"+string(rune('a'+i)), mine[i], noise(200+i, 60_000))
	}
	got := fullBackup(t, r, "node-1", "full", mine...)
	if got.Repacked < 20 || got.Packs != 1 {
		t.Errorf("copied %+v", got)
	}
	tree := treeOf(t, r, "full")
	if n := bytesIn(t, st, tree+"packs/"); n > 300_000 || n != got.Bytes {
		t.Errorf("%d bytes of packs in the copy, %d told", n, got.Bytes)
	}
	mustBeSound(t, r)
	strip(t, st, tree)
	r = openRepo(t, st, t.TempDir())
	mustBeSound(t, r)
	mustRestoreAttempt(t, r, "full", mine...)
}

func TestTwoFullBackupsOfANodeShareNothing(t *testing.T) {
	r, st := newRepo(t)
	shared, first, second := noise(1, 1<<20), noise(2, 200_000), noise(3, 200_000)
	fullBackup(t, r, "node-1", "first", shared, first)
	fullBackup(t, r, "node-1", "second", shared, second)
	if _, err := tryFull(t.Context(), r, "node-1", "first", shared); !errors.Is(err, repo.ErrSnapshotExists) {
		t.Errorf("a name was given twice: %v", err)
	}
	kept := len(objects(t, st, treeOf(t, r, "second")))
	remove(t, r, "first")
	if left := objects(t, st, treeOf(t, r, "first")); len(left) != 0 || len(objects(t, st, treeOf(t, r, "second"))) != kept {
		t.Errorf("after the first was deleted: %v", left)
	}
	mustRestore(t, r, "node-1", "second", shared, second)
	// A committed copy keeps nothing of the shared packs.
	now(t, r)
	if left := objects(t, st, "packs/"); len(left) != 0 {
		t.Errorf("packs left: %v", left)
	}
	mustBeSound(t, r)
	mustRestore(t, r, "node-1", "second", shared, second)
	// What only a copy holds is stored again for those that do not read it.
	backup(t, r, "node-1", "third", shared)
	mustRestore(t, r, "node-1", "third", shared)
	remove(t, r, "second")
	if left := objects(t, st, "full/"); len(left) != 0 {
		t.Errorf("copies left: %v", left)
	}
	mustBeSound(t, r)
}

func TestWhereSnapshotsExistTheRootThereDecides(t *testing.T) {
	file := noise(1, 400_000)
	for _, tc := range []struct {
		name   string
		left   string // prefix of what else is left
		listed int
	}{
		{"nothing else left, the copy is a backup", "none", 1},
		{"its pending root says that it may not have been committed", "pending/", 0},
		{"its deletion record outranks it", "deleted/", 0},
		{"the root of another backup says that there are roots", "snapshots/", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, st := newRepo(t)
			fullBackup(t, r, "node-1", "full", file)
			tree := treeOf(t, r, "full")
			at, err := r.RootName("node-1", "full")
			if err != nil {
				t.Fatal(err)
			}
			saved := make(map[string][]byte)
			for _, name := range objects(t, st, tree) {
				saved[name], err = st.Get(t.Context(), name, pack.MaxPack)
				if err != nil {
					t.Fatal(err)
				}
			}
			if tc.left == "deleted/" {
				remove(t, r, "full")
			} else {
				replace(t, st, at, nil)
			}
			if tc.left == "snapshots/" {
				backup(t, r, "node-1", "other", file)
			}
			for name, data := range saved {
				if err := st.Create(t.Context(), name, data); err != nil {
					t.Fatal(err)
				}
			}
			for _, prefix := range []string{"pending/", "deleted/", "snapshots/", "packs/", "index/"} {
				for _, name := range objects(t, st, prefix) {
					if !strings.HasPrefix(name, tc.left) {
						replace(t, st, name, nil)
					}
				}
			}
			roots := committed(t, openRepo(t, st, ""))
			roots = slices.DeleteFunc(roots, func(name string) bool { return path.Base(name) != path.Base(at) })
			if len(roots) != tc.listed {
				t.Errorf("listed: %v", roots)
			}
		})
	}
}

func TestACopyWhoseRootWasLostIsKeptAndNamedByACheck(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 400_000)
	fullBackup(t, r, "node-1", "full", file)
	backup(t, r, "node-1", "other", noise(2, 100_000))
	at, _ := r.RootName("node-1", "full")
	tree := treeOf(t, r, "full")
	replace(t, st, at, nil)
	for _, name := range objects(t, st, "pending/") {
		replace(t, st, name, nil)
	}
	if res := sweep(t, r, 0); res.Kept != 1 || res.Copies != 0 || len(committed(t, r)) != 1 {
		t.Errorf("%+v", res)
	}
	f, _ := check(t, r, false)
	if _, named := f.damage[at]; !named {
		t.Errorf("damage %v, want %s", f.damage, at)
	}
	if err := store.Copy(t.Context(), st, at, tree+at); err != nil {
		t.Fatal(err)
	}
	mustBeSound(t, r)
	mustRestore(t, r, "node-1", "full", file)
}

// sweep removes copies that are garbage and at least so old.
func sweep(t testing.TB, r *repo.Repo, minAge time.Duration) *repo.FullSweep {
	t.Helper()
	res, err := r.SweepFull(t.Context(), repo.GCOptions{MinAge: minAge, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestDamageInACopyIsNamedThereAndNowhereElse(t *testing.T) {
	for _, kind := range []string{"packs/", "index/", "snapshots/"} {
		for how, change := range map[string]func([]byte) []byte{
			"missing": func([]byte) []byte { return nil },
			"altered": func(b []byte) []byte { return flip(b, len(b)/3) },
		} {
			t.Run(kind+" "+how, func(t *testing.T) {
				r, st := newRepo(t)
				file := noise(1, 400_000)
				fullBackup(t, r, "node-1", "full", file)
				backup(t, r, "node-1", "other", file)
				name, data := only(t, st, treeOf(t, r, "full")+kind)
				replace(t, st, name, change(data))
				f, _ := check(t, r, true)
				if got := f.objects(); len(got) != 1 || got[0] != name {
					if kind != "index/" || how != "missing" {
						t.Errorf("damage %v, want %s", f.damage, name)
					}
				}
				for _, at := range f.blobs {
					if at != name {
						t.Errorf("blobs of %s are bad", at)
					}
				}
				mustRestore(t, r, "node-1", "other", file)
				_, err := restore(t.Context(), r, "node-1", "full")
				if kind != "snapshots/" {
					mustDamage(t, err, treeOf(t, r, "full"))
				}
			})
		}
	}
}

func TestAWriterKeyMakesFullBackupsAndAKeeperSweepsThem(t *testing.T) {
	r, st := newRepo(t)
	as := func(role roles.Role, domains ...string) *repo.Repo {
		text, _, err := r.ExportKey(t.Context(), role, domains)
		if err != nil {
			t.Fatal(err)
		}
		key, err := roles.ParseKeyFile(text)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := repo.Open(t.Context(), st, roles.WithKeyFile(key), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	writer, keeper := as(roles.RoleWriter, "node-1"), as(roles.RoleKeeper)
	file := noise(1, 400_000)
	fullBackup(t, writer, "node-1", "full", file)
	mustRestore(t, r, "node-1", "full", file)
	mustBeSound(t, keeper)
	if res := sweep(t, keeper, 0); *res != (repo.FullSweep{}) {
		t.Errorf("swept %+v", res)
	}
	if _, err := writer.SweepFull(t.Context(), repo.GCOptions{}); !errors.Is(err, roles.ErrRole) {
		t.Errorf("a writer sweeps: %v", err)
	}
	remove(t, keeper, "full")
	if left := objects(t, st, "full/"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestTheChainOfANodeIsReadFromCopiesOnlyWhereNothingElseIsLeft(t *testing.T) {
	r, st := newRepo(t)
	fullBackup(t, r, "node-1", "full", noise(1, 100_000))
	backup(t, r, "node-2", "other", noise(2, 100_000))
	at, err := r.RootName("node-1", "full")
	if err != nil {
		t.Fatal(err)
	}
	replace(t, st, at, nil)
	for _, name := range objects(t, st, "pending/") {
		replace(t, st, name, nil)
	}
	tree := treeOf(t, r, "full")
	for _, want := range []string{"node-2", "node-1"} {
		last, err := openRepo(t, st, "").Newest(t.Context(), r.Key().KeyID())
		if err != nil || len(last) != 1 || last[0].Domain != want || last[0].Sequence != 1 {
			t.Errorf("newest roots %+v, want one of %s: %v", last, want, err)
		}
		strip(t, st, tree)
	}
}
