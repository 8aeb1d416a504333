package repo_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// noLink is the body of a deletion record that says nothing.
var noLink = make([]byte, 32+8+1+32+1)

// theft is a repository of two nodes with a backup each, and the stolen key of the first.
type theft struct {
	owner *repo.Repo
	thief *repo.Repo
	st    store.Store
	file  []byte
	mine  string // root of node-1
	other string // root of node-2
}

func newTheft(t *testing.T) *theft {
	t.Helper()
	owner, st := newRepo(t)
	v := &theft{owner: owner, st: st, file: noise(1, 1<<20)}
	backup(t, owner, "node-1", "daily", v.file)
	backup(t, owner, "node-2", "daily", v.file)
	v.mine = rootName(t, owner, "daily")
	var err error
	if v.other, err = owner.RootName("node-2", "daily"); err != nil {
		t.Fatal(err)
	}
	v.thief = keyed(t, owner, st, roles.RoleWriter, "node-1")
	return v
}

func must(t *testing.T) func(data []byte, err error) []byte {
	return func(data []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
}

// put creates an object that nobody should believe.
func (v *theft) put(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := v.st.Create(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
	return name
}

// Whatever a stolen writer key and all rights to the store make, both backups stay what they are: restored whole, and
// not collected. The object is named by a check, unless it is of no consequence.
func TestAStolenWriterKeyTakesNothingAway(t *testing.T) {
	root := func() *repo.Root { return &repo.Root{Link: repo.Link{Sequence: 1}} }
	for _, c := range []struct {
		name string
		do   func(t *testing.T, v *theft) (object string)
	}{
		{"a shard for another domain", func(t *testing.T, v *theft) string {
			name, data, err := v.thief.ForgeShard("node-1", "node-2")
			return v.put(t, name, must(t)(data, err))
		}},
		{"a root for another node", func(t *testing.T, v *theft) string {
			name := repo.RootName("node-2", pack.ID{7})
			return v.put(t, name, must(t)(v.thief.ForgeRoot("node-1", name, root())))
		}},
		{"a root of its own under another name", func(t *testing.T, v *theft) string {
			made := must(t)(v.thief.ForgeRoot("node-1", v.mine, root()))
			return v.put(t, repo.RootName("node-1", pack.ID{7}), made)
		}},
		{"an abort record in place of another node's next backup", func(t *testing.T, v *theft) string {
			name := repo.RootName("node-2", pack.ID{7})
			return v.put(t, name, must(t)(v.thief.Forge("node-1", pack.ClassAbort, name, []byte("dead"))))
		}},
		{"a deletion record in its own domain", func(t *testing.T, v *theft) string {
			name := repo.Deleted(v.mine)
			return v.put(t, name, must(t)(v.thief.Forge("node-1", pack.ClassRecord, name, noLink)))
		}},
		{"a deletion record in another domain", func(t *testing.T, v *theft) string {
			name := repo.Deleted(v.other)
			return v.put(t, name, must(t)(v.thief.Forge("node-1", pack.ClassRecord, name, noLink)))
		}},
		{"a deletion record of no sense", func(t *testing.T, v *theft) string {
			return v.put(t, repo.Deleted(v.other), []byte("gone"))
		}},
		{"a tombstone in its own domain", func(t *testing.T, v *theft) string {
			return v.put(t, "gc/node-1/1", must(t)(v.thief.Forge("node-1", pack.ClassEpoch, "gc/node-1/1", []byte{0})))
		}},
		{"a tombstone in another domain", func(t *testing.T, v *theft) string {
			return v.put(t, "gc/node-2/1", must(t)(v.thief.Forge("node-1", pack.ClassEpoch, "gc/node-2/1", []byte{0})))
		}},
		{"a root that calls another node's backup its part", func(t *testing.T, v *theft) string {
			name := repo.RootName("node-1", pack.ID{7})
			r := root()
			r.Parts = []repo.Place{putAt(t, v.other)}
			v.put(t, name, must(t)(v.thief.ForgeRoot("node-1", name, r)))
			if err := v.owner.Delete(t.Context(), name, nil); err != nil {
				t.Errorf("the forged root cannot be deleted: %v", err)
			}
			return ""
		}},
		{"a part of a backup that another node may yet make", func(t *testing.T, v *theft) string {
			name := repo.RootName("node-1", pack.ID{7})
			r := root()
			r.Main = &repo.Place{Domain: "node-2", ID: pack.ID{8}}
			return v.put(t, repo.Pending(name), must(t)(v.thief.ForgeRoot("node-1", name, r)))
		}},
		{"an audit record in the chain of another key", func(t *testing.T, v *theft) string {
			data := must(t)(v.thief.ForgeAudit("node-1", v.owner.Key().KeyID(), 1, pack.ID{}, "{}"))
			return v.put(t, recordAt(v.owner.Key().KeyID(), 1), data)
		}},
		{"a session key that is none", func(t *testing.T, v *theft) string {
			return v.put(t, "sessions/"+strings.Repeat("ab", 16)+"/"+strings.Repeat("cd", 8), make([]byte, roles.SealedSessionSize))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newTheft(t)
			object := c.do(t, v)
			k := openRepo(t, v.st, t.TempDir())
			for _, domain := range []string{"node-1", "node-2"} {
				_, err := k.GC(t.Context(), domain, impatient())
				var damage *repo.DamageError
				if err != nil && (!errors.As(err, &damage) || damage.Object != object) {
					t.Errorf("gc of %s: %v", domain, err)
				}
			}
			if left, err := v.st.Stat(t.Context(), repo.RootName("node-2", pack.ID{8})); err == nil {
				t.Errorf("a keeper made %v", left)
			}
			if object != "" {
				if got := inspect(t, k).objects(); !slices.Contains(got, object) || len(got) > 1 {
					t.Errorf("a check finds %v, not %s", got, object)
				}
				replace(t, v.st, object, nil)
			}
			mustRestore(t, k, "node-1", "daily", v.file)
			mustRestore(t, k, "node-2", "daily", v.file)
			mustBeSound(t, k)
		})
	}
}

func putAt(t *testing.T, root string) repo.Place {
	t.Helper()
	parts := strings.Split(root, "/")
	id, err := pack.ParseID(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	return repo.Place{Domain: parts[1], ID: id}
}

// A deletion record that nobody may have made hides no backup from those who list them, and frees no name.
func TestAForgedDeletionRecordHidesNoBackup(t *testing.T) {
	v := newTheft(t)
	name := repo.Deleted(v.mine)
	v.put(t, name, must(t)(v.thief.Forge("node-1", pack.ClassRecord, name, noLink)))
	if got := committed(t, v.owner); !slices.Contains(got, v.mine) {
		t.Errorf("listed: %v", got)
	}
	inv, err := v.owner.Inventory(t.Context())
	if err != nil || !slices.Contains(inv.Roots, v.mine) {
		t.Errorf("in stock: %v, %v", inv.Roots, err)
	}
	if _, err := v.owner.CheckFree(t.Context(), "node-1", "daily"); !errors.Is(err, repo.ErrSnapshotExists) {
		t.Errorf("the name: %v", err)
	}
	mustDamage(t, v.owner.Delete(t.Context(), v.mine, nil), name)
	if there, err := v.owner.HasRoot(t.Context(), v.mine); err != nil || !there {
		t.Errorf("a deletion without a record removed the root: %v", err)
	}
}

// The copy of a full backup is kept by its own root: neither a forged record nor what a writer of another domain puts
// down under the same id takes it away.
func TestNobodyElseTakesAFullCopyAway(t *testing.T) {
	v := newTheft(t)
	if _, err := tryFull(t.Context(), v.owner, "node-2", "full", v.file); err != nil {
		t.Fatal(err)
	}
	at, err := v.owner.RootName("node-2", "full")
	if err != nil {
		t.Fatal(err)
	}
	before := len(objects(t, v.st, "full/"))
	mine := strings.Replace(at, "node-2", "node-1", 1)
	abort := must(t)(v.thief.Forge("node-1", pack.ClassAbort, mine, []byte("dead")))
	for name, data := range map[string][]byte{mine: abort, repo.Deleted(at): []byte("gone")} {
		if err := v.st.Create(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		_, err := v.owner.SweepFull(t.Context(), impatient())
		if left := len(objects(t, v.st, "full/")); left != before {
			t.Fatalf("%s: %d objects of %d are left, %v", name, left, before, err)
		}
		replace(t, v.st, name, nil)
	}
	v.put(t, mine, must(t)(v.thief.ForgeRoot("node-1", mine, &repo.Root{Link: repo.Link{Sequence: 1}, Full: true})))
	if err := v.owner.Delete(t.Context(), mine, nil); err != nil {
		t.Fatal(err)
	}
	sweep(t, v.owner, 0)
	mustRestore(t, v.owner, "node-2", "full", v.file)
}

// A full backup that is announced keeps its copy, whatever the writer of another domain puts down under its id.
func TestNobodyElseTakesACopyFromUnderARunningBackup(t *testing.T) {
	v := newTheft(t)
	var left, made int
	st := &following{Store: v.st, prefix: "full/", do: func() {
		var at string // of the backup under way
		for _, name := range objects(t, v.st, "pending/node-2/") {
			root := strings.Replace(name, "pending/", "snapshots/", 1)
			if there, err := v.owner.HasRoot(t.Context(), root); err == nil && !there {
				at = root
			}
		}
		mine := strings.Replace(at, "node-2", "node-1", 1)
		v.put(t, mine, must(t)(v.thief.Forge("node-1", pack.ClassAbort, mine, []byte("dead"))))
		made = len(objects(t, v.st, "full/"))
		sweep(t, v.owner, 0)
		left = len(objects(t, v.st, "full/"))
	}}
	if _, err := tryFull(t.Context(), openRepo(t, st, ""), "node-2", "full", v.file); err != nil {
		t.Fatal(err)
	}
	if made == 0 || left != made {
		t.Errorf("%d of %d objects were left", left, made)
	}
	mustRestore(t, v.owner, "node-2", "full", v.file)
	sweep(t, v.owner, 0)
	mustRestore(t, v.owner, "node-2", "full", v.file)
}

// A forged record at the name of the next attempt does not meet the backup that would stand there.
func TestABackupStepsAsideOfAForgedDeletionRecord(t *testing.T) {
	v := newTheft(t)
	name := repo.Deleted(rootName(t, v.owner, "next"))
	v.put(t, name, []byte("gone"))
	backup(t, v.owner, "node-1", "next", v.file)
	replace(t, v.st, name, nil)
	mustRestoreAttempt(t, v.owner, "next", v.file)
}

// alien returns statements and key objects for the same repository id, made by somebody who is not its owner.
func alien(t *testing.T, id string, statements int) (owner *roles.Owner, objects []roles.Object) {
	t.Helper()
	raw, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(smallSettings())
	if err != nil {
		t.Fatal(err)
	}
	owner, objects, err = roles.Create([16]byte(raw), text)
	for n := 2; err == nil && n < statements; n++ {
		var more []roles.Object
		more, err = owner.RotateSeal("")
		objects = append(objects, more...)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, slot, err := owner.AddSlot(roles.RoleOwner, roles.Passphrase([]byte(passphrase), cheap))
	if err != nil {
		t.Fatal(err)
	}
	return owner, append(objects, slot...)
}

func head(r *repo.Repo) int {
	n, _ := r.Key().Trust().Head()
	return int(n)
}

// The seal key that writers believe is the owner's, or nothing is written.
func TestNobodySealsToAKeyThatTheOwnerDidNotSign(t *testing.T) {
	v := newTheft(t)
	u, _ := export(t, v.owner, roles.RoleWriter, "node-2")
	w := openWith(t, v.st, u, t.TempDir())
	s := session(t, w, "node-2")
	next := roles.TrustName(uint64(head(v.owner) + 1))
	_, forged := alien(t, v.owner.ID(), head(v.owner)+1)
	for _, o := range forged {
		if o.Name == next {
			v.put(t, o.Name, o.Data)
		}
	}
	_, err := save(s, "during", v.file)
	mustDamage(t, err, next)
	_, err = repo.Open(t.Context(), v.st, u, t.TempDir())
	mustDamage(t, err, next)
	_, err = w.NewSession(t.Context(), "node-1")
	mustDamage(t, err, next)
}

func TestAReplayedTrustLogIsRefusedByWhoeverHasSeenMore(t *testing.T) {
	v := newTheft(t)
	old := copyOf(t, v.st)
	dir := t.TempDir()
	early, _ := export(t, v.owner, roles.RoleWriter, "node-1")
	later, _ := export(t, v.owner, roles.RoleWriter, "node-2")
	openWith(t, v.st, early, dir)
	for name, open := range map[string]func() error{
		"a machine that has seen the newest one": func() error {
			_, err := repo.Open(t.Context(), old, early, dir)
			return err
		},
		"a key file exported since": func() error {
			_, err := repo.Open(t.Context(), old, later, "")
			return err
		},
		"a passphrase on a machine that has seen the newest one": func() error {
			_, err := repo.Open(t.Context(), old, roles.WithPassphrase([]byte(passphrase)), dir)
			return err
		},
		"a process under way": func() error {
			swap := &swapped{Store: v.st}
			r := openWith(t, swap, early, t.TempDir())
			s := session(t, r, "node-1")
			swap.Store = old
			_, err := save(s, "b", v.file)
			return err
		},
	} {
		if err := open(); !errors.Is(err, roles.ErrRolledBack) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// swapped is a store that can be exchanged for another one.
type swapped struct{ store.Store }

func TestTheObjectsOfAnotherRepositoryAreNotBelieved(t *testing.T) {
	v := newTheft(t)
	foreign, other := newRepo(t)
	export(t, foreign, roles.RoleWriter, "node-1")
	u, _ := export(t, v.owner, roles.RoleWriter, "node-1")
	take := func(prefix string) func(to store.Store) {
		return func(to store.Store) {
			for _, name := range objects(t, to, prefix) {
				replace(t, to, name, nil)
			}
			for name, data := range dump(t, other) {
				if strings.HasPrefix(name, prefix) {
					if err := to.Create(t.Context(), name, []byte(data)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(to store.Store)
		want   func(t *testing.T, err error)
	}{
		{"its config", take("config"), func(t *testing.T, err error) { mustDamage(t, err, "trust/1") }},
		{"its trust log", take("trust/"), func(t *testing.T, err error) { mustDamage(t, err, "trust/1") }},
		{"its key objects", take("keys/"), func(t *testing.T, err error) {
			if !errors.Is(err, roles.ErrNoGrant) && !errors.Is(err, roles.ErrNoFit) {
				t.Error(err)
			}
		}},
		{"all of it", take(""), func(t *testing.T, err error) {
			if !errors.Is(err, roles.ErrWrongRepository) {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := copyOf(t, v.st)
			c.change(to)
			_, err := repo.Open(t.Context(), to, u, "")
			c.want(t, err)
			if c.name == "all of it" {
				return // with the passphrase it opens: it is the repository of somebody with the same passphrase
			}
			_, err = repo.Open(t.Context(), to, roles.WithPassphrase([]byte(passphrase)), "")
			c.want(t, err)
		})
	}
	// Beside the own ones, the slots and grants of others change nothing.
	to := copyOf(t, v.st)
	for name, data := range dump(t, other) {
		if strings.HasPrefix(name, "keys/") {
			if err := to.Create(t.Context(), name, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustRestore(t, openRepo(t, to, ""), "node-1", "daily", v.file)
	openWith(t, to, u, "")
}

// A repository of the same id whose config names another owner takes in nobody who holds a key of the true one.
func TestAConfigOfAnotherOwnerIsRefused(t *testing.T) {
	v := newTheft(t)
	u, _ := export(t, v.owner, roles.RoleWriter, "node-1")
	dir := t.TempDir()
	openWith(t, v.st, u, dir)
	evil, objects := alien(t, v.owner.ID(), 2)
	_, config := only(t, v.st, "config")
	to := memory(t)
	for _, o := range append(objects, roles.Object{Name: "config", Data: forgedBy(evil, config, same)}) {
		if err := to.Create(t.Context(), o.Name, o.Data); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := repo.Open(t.Context(), to, u, ""); !errors.Is(err, roles.ErrWrongRepository) {
		t.Errorf("a key file: %v", err)
	}
	if _, err := repo.Open(t.Context(), to, u, dir); !errors.Is(err, roles.ErrWrongRepository) && !errors.Is(err, roles.ErrRolledBack) {
		t.Errorf("a key file and what this machine remembers: %v", err)
	}
}
