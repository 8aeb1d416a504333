package repo_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// export makes a key file and returns what opens with it.
func export(t testing.TB, owner *repo.Repo, role roles.Role, domains ...string) (roles.Unlock, roles.KeyID) {
	t.Helper()
	text, id, err := owner.ExportKey(t.Context(), role, domains)
	if err != nil {
		t.Fatal(err)
	}
	f, err := roles.ParseKeyFile(text)
	if err != nil {
		t.Fatal(err)
	}
	return roles.WithKeyFile(f), id
}

// openWith opens the repository with a key, and local state in a directory.
func openWith(t testing.TB, st store.Store, u roles.Unlock, dir string) *repo.Repo {
	t.Helper()
	r, err := repo.Open(t.Context(), st, u, dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// keyed opens the repository with a key made for it.
func keyed(t testing.TB, owner *repo.Repo, st store.Store, role roles.Role, domains ...string) *repo.Repo {
	t.Helper()
	u, _ := export(t, owner, role, domains...)
	return openWith(t, st, u, t.TempDir())
}

// dump returns every object of a store.
func dump(t testing.TB, st store.Store) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range objects(t, st, "") {
		data, err := st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}

// impatient is gc without any patience.
func impatient() repo.GCOptions { return repo.GCOptions{MaxRepack: math.MaxInt64, Now: time.Now} }

// try is one thing that somebody may want of a repository in which node-1 and node-2 have a backup each.
type try struct {
	name string
	may  []roles.Role
	do   func(t *testing.T, r *repo.Repo) error
}

var everybody = []roles.Role{roles.RoleOwner, roles.RoleWriter, roles.RoleKeeper, roles.RoleReader}

func tries() []try {
	owner, keepers := []roles.Role{roles.RoleOwner}, []roles.Role{roles.RoleOwner, roles.RoleKeeper}
	readers, writers := []roles.Role{roles.RoleOwner, roles.RoleReader}, []roles.Role{roles.RoleOwner, roles.RoleWriter}
	all := []roles.Role{roles.RoleOwner, roles.RoleKeeper, roles.RoleReader}
	at := func(r *repo.Repo, domain string) string {
		name, _ := r.RootName(domain, "old")
		return name
	}
	return []try{
		{"back up in node-1", writers, func(t *testing.T, r *repo.Repo) error { return tryIn(t, r, "node-1", "new") }},
		{"back up in node-2", owner, func(t *testing.T, r *repo.Repo) error { return tryIn(t, r, "node-2", "new") }},
		{"read content", readers, func(t *testing.T, r *repo.Repo) error {
			_, err := restoreRoot(t.Context(), r, at(r, "node-1"))
			return err
		}},
		{"list roots", everybody, func(t *testing.T, r *repo.Repo) error {
			return r.ListRoots(t.Context(), func(name string) error { _, err := r.ReadRoot(t.Context(), name); return err })
		}},
		{"look into node-2", all, func(t *testing.T, r *repo.Repo) error {
			rd, err := r.NewReader(t.Context(), "node-2")
			if err != nil {
				return err
			}
			return rd.Close()
		}},
		{"delete a backup", keepers, func(t *testing.T, r *repo.Repo) error { return r.Delete(t.Context(), at(r, "node-1"), nil) }},
		{"collect garbage", keepers, func(t *testing.T, r *repo.Repo) error {
			_, err := r.GC(t.Context(), "node-1", impatient())
			return err
		}},
		{"adopt packs", keepers, func(t *testing.T, r *repo.Repo) error {
			_, _, err := r.Adopt(t.Context(), impatient())
			return err
		}},
		{"check", everybody, func(t *testing.T, r *repo.Repo) error { mustBeSound(t, r); return nil }},
		{"add a slot", owner, func(t *testing.T, r *repo.Repo) error {
			_, err := r.AddSlot(t.Context(), roles.RoleReader, roles.Passphrase([]byte("another"), cheap))
			return err
		}},
		{"export a key", owner, func(t *testing.T, r *repo.Repo) error {
			_, _, err := r.ExportKey(t.Context(), roles.RoleReader, nil)
			return err
		}},
		{"revoke a key", owner, func(t *testing.T, r *repo.Repo) error {
			for p := range r.Key().Trust().Principals() {
				if p.Role == roles.RoleReader {
					return r.Revoke(t.Context(), p.ID, nil)
				}
			}
			return nil
		}},
		{"rotate the seal key", owner, func(t *testing.T, r *repo.Repo) error { _, err := r.RotateSeal(t.Context(), ""); return err }},
		{"retire seal keys", owner, func(t *testing.T, r *repo.Repo) error { _, err := r.RetireSeals(t.Context(), ""); return err }},
		{"seal sessions anew", readers, func(t *testing.T, r *repo.Repo) error { _, err := r.Reseal(t.Context()); return err }},
	}
}

// tryIn is a whole backup in a domain.
func tryIn(t *testing.T, r *repo.Repo, domain, name string) error {
	s, err := r.NewSession(t.Context(), domain)
	if err != nil {
		return err
	}
	_, err = save(s, name, noise(7, 10_000))
	return errors.Join(err, s.Close())
}

func TestEachKeyDoesWhatItsRoleMayAndNothingElse(t *testing.T) {
	for _, try := range tries() {
		t.Run(try.name, func(t *testing.T) {
			owner, st := newRepo(t)
			backup(t, owner, "node-1", "old", noise(1, 10_000))
			backup(t, owner, "node-2", "old", noise(2, 10_000))
			export(t, owner, roles.RoleReader) // so that one may be revoked
			for _, role := range slices.Backward(everybody) {
				var domains []string
				if role == roles.RoleWriter {
					domains = []string{"node-1"}
				}
				u, _ := export(t, owner, role, domains...)
				copied := copyOf(t, st)
				r := openWith(t, copied, u, t.TempDir())
				before := dump(t, copied)
				err := try.do(t, r)
				if slices.Contains(try.may, role) {
					if err != nil {
						t.Errorf("%s: %v", role, err)
					}
					continue
				}
				if !errors.Is(err, roles.ErrRole) {
					t.Errorf("%s: error %v, want one of its role", role, err)
				}
				if after := dump(t, copied); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("%s left %d objects where %d were", role, len(after), len(before))
				}
			}
		})
	}
}

// copyOf returns another store of the same objects.
func copyOf(t testing.TB, st store.Store) store.Store {
	t.Helper()
	out := memory(t)
	for name, data := range dump(t, st) {
		if err := out.Create(t.Context(), name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestAWriterSeesItsOwnDomainsOnly(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "old", noise(1, 10_000))
	backup(t, owner, "node-2", "old", noise(2, 10_000))
	w := keyed(t, owner, st, roles.RoleWriter, "node-1")
	mine := rootName(t, owner, "old")
	if got := committed(t, w); !slices.Equal(got, []string{mine}) {
		t.Errorf("it lists %v, its own is %s", got, mine)
	}
	other, err := owner.RootName("node-2", "old")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadRoot(t.Context(), other); !errors.Is(err, roles.ErrRole) {
		t.Errorf("a root of node-2: %v", err)
	}
	inv, err := w.Inventory(t.Context())
	if err != nil || len(inv.Roots) != 1 || inv.Unseen == 0 {
		t.Errorf("it takes stock of the roots %v, %d objects unseen: %v", inv.Roots, inv.Unseen, err)
	}
}

func TestAWriterKeyIsEnoughToStoreNothingTwice(t *testing.T) {
	owner, st := newRepo(t)
	u, _ := export(t, owner, roles.RoleWriter, "node-1")
	dir, file := t.TempDir(), noise(1, 3<<20)
	// Killed before its root, it leaves packs and shards that the next session uses.
	s := session(t, openWith(t, dead{st, "snapshots/"}, u, dir), "node-1")
	if _, err := save(s, "killed", file); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	s.Close()
	for _, state := range []string{dir, dir, t.TempDir(), ""} {
		w := openWith(t, st, u, state)
		if cost := backup(t, w, "node-1", fmt.Sprintf("b%d", len(objects(t, st, "snapshots/"))), file); cost.Plain != 0 {
			t.Errorf("with the state in %q it stores %d bytes again", state, cost.Plain)
		}
	}
	if got := len(committed(t, owner)); got != 4 {
		t.Errorf("%d backups", got)
	}
	mustBeSound(t, owner)
}

// What a stolen node can open of its own backups with its key: what gc needs to see, and no content.
func TestAWriterOpensNoContentWithEveryObjectInHand(t *testing.T) {
	owner, st := newRepo(t)
	w := keyed(t, owner, st, roles.RoleWriter, "node-1")
	backup(t, w, "node-1", "daily", noise(1, 200_000))
	if err := tryIn(t, owner, "node-2", "other"); err != nil {
		t.Fatal(err)
	}
	root, err := w.ReadRoot(t.Context(), rootName(t, w, "daily"))
	if err != nil {
		t.Fatal(err)
	}
	rd := reader(t, w, "node-1")
	var scratch repo.Scratch
	refs, err := rd.Load(t.Context(), &scratch, nil, root.Refs[0], pack.Refs)
	if err != nil {
		t.Fatalf("the references, which its index key opens: %v", err)
	}
	ids, err := repo.DecodeRefs(bytes.Clone(refs))
	if err != nil || len(ids) == 0 {
		t.Fatalf("%d blobs: %v", len(ids), err)
	}
	for _, id := range ids {
		if plain, err := rd.Load(t.Context(), &scratch, nil, id, pack.Data); !errors.Is(err, roles.ErrRole) || plain != nil {
			t.Fatalf("blob %s: %d bytes, %v", id, len(plain), err)
		}
	}
	if _, err := rd.Load(t.Context(), &scratch, nil, root.Descriptions[0], pack.Description); !errors.Is(err, roles.ErrRole) {
		t.Errorf("a description: %v", err)
	}
}

func TestAKeeperCollectsWhatWritersLeaveWithoutReadingIt(t *testing.T) {
	owner, st := newRepo(t)
	w := keyed(t, owner, st, roles.RoleWriter, "node-1")
	k := keyed(t, owner, st, roles.RoleKeeper)
	gone, kept := noise(1, 3<<20), noise(2, 1<<20)
	backup(t, w, "node-1", "gone", gone)
	backup(t, w, "node-1", "kept", kept, gone[:1<<20])
	remove(t, k, "gone")
	if res := now(t, k); res.Deleted == 0 || res.Copied == 0 {
		t.Fatalf("%+v", res)
	}
	mustRestore(t, keyed(t, owner, st, roles.RoleReader), "node-1", "kept", kept, gone[:1<<20])
	mustBeSound(t, owner)
	mustBeSound(t, k)
}
