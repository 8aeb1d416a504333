package repo_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// link returns a committed root's place in its chain.
func link(t *testing.T, r *repo.Repo, name string) *repo.Root {
	t.Helper()
	root, err := r.ReadRoot(t.Context(), rootName(t, r, name))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func mustFollow(t *testing.T, r *repo.Repo, name string, before *repo.Root) *repo.Root {
	t.Helper()
	got := link(t, r, name)
	if got.Sequence != before.Sequence+1 || got.Previous != before.Hash {
		t.Errorf("%s is number %d after %s, not behind number %d", name, got.Sequence, got.Previous.Short(), before.Sequence)
	}
	return got
}

func TestACheckTellsADeletedBackupFromAVanishedOne(t *testing.T) {
	for _, c := range []struct {
		name string
		take func(t *testing.T, r *repo.Repo, st store.Store, at string)
		told bool
	}{
		{"deleted", func(t *testing.T, r *repo.Repo, _ store.Store, at string) {
			if err := r.Delete(t.Context(), at, nil); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"gone behind everybody's back", func(t *testing.T, _ *repo.Repo, st store.Store, at string) { replace(t, st, at, nil) }, true},
		{"gone with its deletion record", func(t *testing.T, r *repo.Repo, st store.Store, at string) {
			if err := r.Delete(t.Context(), at, nil); err != nil {
				t.Fatal(err)
			}
			replace(t, st, repo.Deleted(at), nil)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, st := newRepo(t)
			for _, name := range []string{"one", "two", "three"} {
				backup(t, r, "node-1", name, noise(1, 10_000))
			}
			c.take(t, r, st, rootName(t, r, "two"))
			f, _ := check(t, r, false)
			three := rootName(t, r, "three")
			if _, told := f.damage[three]; told != c.told || len(f.damage) > 1 {
				t.Errorf("found %v", f.damage)
			}
			if c.told && !strings.Contains(f.damage[three], "neither root nor deletion record") {
				t.Errorf("told as %q", f.damage[three])
			}
		})
	}
}

// Whatever happens to the local state, the next backup stands behind the last one of its key.
func TestTheChainGoesOnFromRootsAndRecords(t *testing.T) {
	file, damagedOne := noise(1, 10_000), ""
	for _, c := range []struct {
		name string
		then func(t *testing.T, owner *repo.Repo, st store.Store, u roles.Unlock, dir string) (state string)
	}{
		{"with its local state", func(_ *testing.T, _ *repo.Repo, _ store.Store, _ roles.Unlock, dir string) string { return dir }},
		{"without local state", func(*testing.T, *repo.Repo, store.Store, roles.Unlock, string) string { return "" }},
		{"without local state, the last backup deleted", func(t *testing.T, owner *repo.Repo, _ store.Store, _ roles.Unlock, _ string) string {
			remove(t, owner, "two")
			return ""
		}},
		{"with the last one deleted", func(t *testing.T, owner *repo.Repo, _ store.Store, _ roles.Unlock, dir string) string {
			remove(t, owner, "two")
			return dir
		}},
		{"after another key used its local state", func(t *testing.T, owner *repo.Repo, st store.Store, _ roles.Unlock, dir string) string {
			other, _ := export(t, owner, roles.RoleWriter, "node-1")
			w := openWith(t, st, other, dir)
			backup(t, w, "node-1", "of another key", file)
			if first := link(t, w, "of another key"); first.Sequence != 1 {
				t.Errorf("the first of another key is number %d", first.Sequence)
			}
			return dir
		}},
		{"in the next generation", func(t *testing.T, owner *repo.Repo, _ store.Store, _ roles.Unlock, dir string) string {
			_, id := export(t, owner, roles.RoleWriter, "node-1")
			revoke(t, owner, id)
			return dir
		}},
		{"with an older backup damaged and no local state", func(t *testing.T, owner *repo.Repo, st store.Store, _ roles.Unlock, _ string) string {
			damagedOne = rootName(t, owner, "one")
			replace(t, st, damagedOne, []byte("not a root"))
			return ""
		}},
		{"after a death just before the root", func(t *testing.T, _ *repo.Repo, st store.Store, u roles.Unlock, dir string) string {
			if err := tryBackup(t.Context(), openWith(t, dead{st, "snapshots/"}, u, dir), "dying", file); !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			return dir
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			owner, st := newRepo(t)
			u, _ := export(t, owner, roles.RoleWriter, "node-1")
			dir := t.TempDir()
			w := openWith(t, st, u, dir)
			backup(t, w, "node-1", "one", file)
			one := link(t, w, "one")
			backup(t, w, "node-1", "two", file)
			two := mustFollow(t, w, "two", one)
			w = openWith(t, st, u, c.then(t, owner, st, u, dir))
			backup(t, w, "node-1", "three", file)
			mustFollow(t, w, "three", two)
			f, _ := check(t, openRepo(t, st, ""), false)
			if damagedOne != "" { // it is told, and that the next has lost its predecessor
				delete(f.damage, damagedOne)
				delete(f.damage, rootName(t, owner, "two"))
				damagedOne = ""
			}
			if len(f.damage) > 0 {
				t.Errorf("damage %v", f.damage)
			}
		})
	}
}

// The root was created and the answer lost: the next backup finds it and stands behind it.
func TestACrashBetweenARootAndItsNoteDoesNotForkTheChain(t *testing.T) {
	owner, st := newRepo(t)
	u, _ := export(t, owner, roles.RoleWriter, "node-1")
	dir, file := t.TempDir(), noise(1, 10_000)
	backup(t, openWith(t, st, u, dir), "node-1", "one", file)
	deaf := openWith(t, &unheard{st, "snapshots/"}, u, dir)
	if err := tryBackup(t.Context(), deaf, "two", file); !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	w := openWith(t, st, u, dir)
	backup(t, w, "node-1", "three", file)
	mustFollow(t, w, "three", mustFollow(t, w, "two", link(t, w, "one")))
	mustBeSound(t, openRepo(t, st, ""))
}

// unheard is a store whose answers to the creation of objects under a prefix are lost.
type unheard struct {
	store.Store
	prefix string
}

func (u *unheard) Create(ctx context.Context, name string, data []byte) error {
	err := u.Store.Create(ctx, name, data)
	if err == nil && strings.HasPrefix(name, u.prefix) {
		return errStore
	}
	return err
}

// A backup may go while a check reads the chain: it is met as a root or as a record.
func TestADeletionDuringACheckIsNotTakenForALoss(t *testing.T) {
	r, st := newRepo(t)
	for _, name := range []string{"one", "two", "three"} {
		backup(t, r, "node-1", name, noise(1, 10_000))
	}
	for _, prefix := range []string{"snapshots/node-1/", "deleted/node-1/"} {
		victim := map[string]string{"snapshots/node-1/": "one", "deleted/node-1/": "two"}[prefix]
		listing := &listed{Store: st, prefix: prefix, do: func() { remove(t, openRepo(t, st, ""), victim) }}
		mustBeSound(t, openRepo(t, listing, ""))
	}
}

// listed runs a function after the first listing of a prefix.
type listed struct {
	store.Store
	prefix string
	do     func()
}

func (l *listed) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	err := l.Store.List(ctx, prefix, fn)
	if prefix == l.prefix && l.do != nil {
		do := l.do
		l.do = nil
		do()
	}
	return err
}
