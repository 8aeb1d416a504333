package repo_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

func rotate(t *testing.T, owner *repo.Repo, domain string) {
	t.Helper()
	if _, err := owner.RotateSeal(t.Context(), domain); err != nil {
		t.Fatal(err)
	}
}

func retire(t *testing.T, owner *repo.Repo, domain string) []roles.SealKeyID {
	t.Helper()
	retired, err := owner.RetireSeals(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	return retired
}

func TestRotationLeavesEveryBackupReadableToEveryReader(t *testing.T) {
	owner, st := newRepo(t)
	before, after := noise(1, 300_000), noise(2, 300_000)
	backup(t, owner, "node-1", "before", before)
	old, _ := export(t, owner, roles.RoleReader)
	rotate(t, owner, "")
	backup(t, owner, "node-1", "after", after)
	young, _ := export(t, owner, roles.RoleReader)
	check := func(what string) {
		t.Helper()
		for name, u := range map[string]roles.Unlock{"old": old, "young": young, "passphrase": roles.WithPassphrase([]byte(passphrase))} {
			r := openWith(t, st, u, t.TempDir())
			for backup, file := range map[string][]byte{"before": before, "after": after} {
				if _, err := restore(t.Context(), r, "node-1", backup); err != nil {
					t.Errorf("%s, %s reader, %s: %v", what, name, backup, err)
				}
				mustRestore(t, r, "node-1", backup, file)
			}
			mustBeSound(t, r)
		}
	}
	check("rotated")
	if n := len(retire(t, owner, "")); n != 1 {
		t.Fatalf("%d seal keys retired", n)
	}
	check("retired")
	rotate(t, owner, "")
	retire(t, owner, "")
	check("rotated and retired again")
	if n, err := owner.Reseal(t.Context()); n != 0 || err != nil {
		t.Errorf("%d sessions left to seal anew: %v", n, err)
	}
	// What is known stays known: nobody stores it again because its session key moved.
	w := keyed(t, owner, st, roles.RoleWriter, "node-1")
	if cost := backup(t, w, "node-1", "again", before, after); cost.Plain != 0 {
		t.Errorf("%d bytes stored again", cost.Plain)
	}
}

// withoutOverlays removes the session keys sealed anew.
func withoutOverlays(t *testing.T, st store.Store) {
	t.Helper()
	for _, name := range objects(t, st, "sessions/") {
		replace(t, st, name, nil)
	}
}

// shredded is a repository with one backup whose session nobody can open any more.
func shredded(t *testing.T, file []byte) (*repo.Repo, store.Store) {
	t.Helper()
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "lost", file)
	rotate(t, owner, "")
	retire(t, owner, "")
	withoutOverlays(t, st)
	return openRepo(t, st, t.TempDir()), st
}

func TestWhatNobodyCanOpenIsStoredAgain(t *testing.T) {
	file := noise(1, 2<<20)
	owner, st := shredded(t, file)
	if _, err := restore(t.Context(), owner, "node-1", "lost"); !errors.Is(err, roles.ErrNoSealKey) {
		t.Fatalf("without any seal key left: %v", err)
	}
	if f, c := check(t, owner, true); len(f.blobs) == 0 && !slices.ContainsFunc(objects(t, st, "packs/"), func(name string) bool {
		id, err := pack.ParseID(path.Base(name))
		return err != nil || c.Lost("", id)
	}) {
		t.Error("a check that reads finds every blob readable")
	}
	w := keyed(t, owner, st, roles.RoleWriter, "node-1")
	if cost := backup(t, w, "node-1", "next", file); cost.Plain < int64(len(file)) {
		t.Errorf("it relies on what nobody can open: %d bytes stored", cost.Plain)
	}
	if cost := backup(t, w, "node-1", "third", file); cost.Plain != 0 {
		t.Errorf("stored once more: %d bytes", cost.Plain)
	}
	fresh := func() *repo.Repo { return openRepo(t, st, t.TempDir()) }
	mustRestore(t, fresh(), "node-1", "next", file)
	mustRestore(t, fresh(), "node-1", "lost", file) // the same blobs, and one holder can be read
	// A keeper keeps the holder that can be read, whatever it met first.
	remove(t, owner, "lost")
	k := keyed(t, owner, st, roles.RoleKeeper)
	now(t, k)
	now(t, k)
	mustRestore(t, fresh(), "node-1", "next", file)
	mustRestore(t, fresh(), "node-1", "third", file)
	mustBeSound(t, fresh())
}

// What was lost once does not keep the owner from the next rotation.
func TestALostSessionDoesNotStandInTheWayOfRotation(t *testing.T) {
	owner, st := shredded(t, noise(1, 100_000))
	file := noise(2, 100_000)
	backup(t, owner, "node-1", "kept", file)
	rotate(t, owner, "")
	if n := len(retire(t, owner, "")); n != 1 {
		t.Errorf("%d seal keys retired", n)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "kept", file)
}

// A session that began before a rotation and commits after it seals its own key anew: the owner looked too early.
func TestASessionThatCommitsAcrossARotationStaysReadable(t *testing.T) {
	for _, c := range []struct {
		name   string
		retire bool
	}{{"rotated", false}, {"rotated and retired", true}} {
		t.Run(c.name, func(t *testing.T) {
			owner, st := newRepo(t)
			file := noise(1, 300_000)
			w := keyed(t, owner, st, roles.RoleWriter, "node-1")
			s := session(t, w, "node-1")
			rotate(t, owner, "")
			if c.retire {
				retire(t, owner, "")
			}
			if _, err := save(s, "across", file); err != nil {
				t.Fatal(err)
			}
			s.Close()
			if n := len(objects(t, st, "sessions/")); n != 1 {
				t.Errorf("%d session keys sealed anew", n)
			}
			mustRestore(t, keyed(t, owner, st, roles.RoleReader), "node-1", "across", file)
			if n, err := owner.Reseal(t.Context()); n != 0 || err != nil {
				t.Errorf("%d sessions left to seal anew: %v", n, err)
			}
			mustBeSound(t, openRepo(t, st, ""))
		})
	}
}

func TestADomainMayHaveASealKeyOfItsOwn(t *testing.T) {
	owner, st := newRepo(t)
	one, two := noise(1, 100_000), noise(2, 100_000)
	backup(t, owner, "node-1", "early", one)
	rotate(t, owner, "node-1")
	s := keyed(t, owner, st, roles.RoleWriter, "node-1", "node-2")
	backup(t, s, "node-1", "b", one, two)
	backup(t, s, "node-2", "b", two)
	own, _, err := owner.Key().Trust().SealKey("node-1")
	if err != nil {
		t.Fatal(err)
	}
	general, _, err := owner.Key().Trust().SealKey("node-2")
	if err != nil || own == general {
		t.Fatalf("node-1 seals to %s, node-2 to %s: %v", own, general, err)
	}
	// Only the early session of node-1 was sealed anew.
	for _, name := range objects(t, st, "sessions/") {
		if !strings.HasSuffix(name, own.String()) {
			t.Errorf("sealed to another key: %s", name)
		}
	}
	rotate(t, owner, "node-1")
	if retired := retire(t, owner, "node-1"); len(retired) != 1 || retired[0] != own {
		t.Errorf("retired %v, the old key of the domain is %s", retired, own)
	}
	r := openRepo(t, st, "")
	mustRestore(t, r, "node-1", "b", one, two)
	mustRestore(t, r, "node-2", "b", two)
	mustRestore(t, r, "node-1", "early", one)
	mustBeSound(t, r)
}

func TestAFlippedOverlayIsNamed(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "b", noise(1, 100_000))
	rotate(t, owner, "")
	retire(t, owner, "")
	k := keyed(t, owner, st, roles.RoleKeeper)
	name, data := only(t, st, "sessions/")
	for at, keeperSees := range map[int]bool{0: true, 7: true, 8: false, len(data) - 1: false} {
		t.Run(fmt.Sprint("byte ", at), func(t *testing.T) {
			replace(t, st, name, flip(data, at))
			_, err := restore(t.Context(), openRepo(t, st, ""), "node-1", "b")
			mustDamage(t, err, name)
			f, _ := check(t, openRepo(t, st, ""), false)
			if got := f.objects(); len(got) != 1 || got[0] != name {
				t.Errorf("a check finds %v", got)
			}
			if f, _ := check(t, k, false); (len(f.damage) == 1) != keeperSees {
				t.Errorf("a keeper finds %v", f.damage)
			}
		})
	}
	replace(t, st, name, data[:len(data)-1])
	_, err := restore(t.Context(), openRepo(t, st, ""), "node-1", "b")
	mustDamage(t, err, name)
}

// failingOverlays is a store that refuses to create objects under a prefix, as long as it does.
type failingOverlays struct {
	store.Store
	prefix string
}

func (f *failingOverlays) Create(ctx context.Context, name string, data []byte) error {
	if f.prefix != "" && strings.HasPrefix(name, f.prefix) {
		return errStore
	}
	return f.Store.Create(ctx, name, data)
}

func TestARotationThatEndsHalfwayIsFinishedLater(t *testing.T) {
	_, st := newRepo(t)
	file := noise(1, 100_000)
	backup(t, openRepo(t, st, ""), "node-1", "b", file)
	f := &failingOverlays{Store: st, prefix: "sessions/"}
	owner := openRepo(t, f, t.TempDir())
	if _, err := owner.RotateSeal(t.Context(), ""); !errors.Is(err, errStore) {
		t.Fatal(err)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "b", file)
	if _, err := owner.RetireSeals(t.Context(), ""); !errors.Is(err, errStore) {
		t.Fatalf("retired with sessions not sealed anew: %v", err)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "b", file)
	f.prefix = ""
	retire(t, owner, "")
	mustRestore(t, openRepo(t, st, ""), "node-1", "b", file)
}
