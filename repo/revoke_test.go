package repo_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// revoke ends a key; all its backups so far count on.
func revoke(t *testing.T, owner *repo.Repo, id roles.KeyID) []roles.LastRoot {
	t.Helper()
	last, err := owner.Newest(t.Context(), id)
	if err == nil {
		err = owner.Revoke(t.Context(), id, last)
	}
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func TestAWriterRevokedInTheMiddleOfABackupEndsWithoutOne(t *testing.T) {
	owner, st := newRepo(t)
	u, id := export(t, owner, roles.RoleWriter, "node-1")
	w := openWith(t, st, u, t.TempDir())
	backup(t, w, "node-1", "first", noise(1, 100_000))
	s := session(t, w, "node-1")
	revoke(t, owner, id)
	if _, err := save(s, "second", noise(2, 100_000)); !errors.Is(err, roles.ErrRevoked) || !repo.KeyMismatch(err) {
		t.Fatalf("error %v", err)
	}
	s.Close()
	if got := committed(t, owner); len(got) != 1 {
		t.Errorf("backups %v", got)
	}
	if _, err := owner.ReadRoot(t.Context(), rootName(t, owner, "second")); !repo.Aborted(err) {
		t.Errorf("the attempt is %v", err)
	}
	// It stays at its end: the same process, and the next one.
	for range 2 {
		if _, err := w.NewSession(t.Context(), "node-1"); !errors.Is(err, roles.ErrRevoked) {
			t.Errorf("another session: %v", err)
		}
	}
	if _, err := repo.Open(t.Context(), st, u, t.TempDir()); !errors.Is(err, roles.ErrRevoked) {
		t.Errorf("another process: %v", err)
	}
	now(t, openRepo(t, st, t.TempDir()))
	mustRestore(t, openRepo(t, st, ""), "node-1", "first", noise(1, 100_000))
	mustBeSound(t, openRepo(t, st, ""))
}

// A session that finds its key revoked once finds it again: no answer of the store makes the second try a success.
func TestARefusalIsNotForgottenBetweenTwoCommits(t *testing.T) {
	owner, st := newRepo(t)
	u, id := export(t, owner, roles.RoleWriter, "node-1")
	w := openWith(t, st, u, "")
	one, two := session(t, w, "node-1"), session(t, w, "node-1")
	revoke(t, owner, id)
	for i, s := range []*repo.Session{one, two} {
		if _, err := save(s, string(rune('a'+i)), noise(i, 1000)); !errors.Is(err, roles.ErrRevoked) {
			t.Errorf("session %d: %v", i, err)
		}
	}
}

// forgeNext makes a root with a stolen key in the chain of its author, after those that are there.
func forgeNext(t *testing.T, v *theft, name string, link repo.Link) string {
	t.Helper()
	at := rootName(t, v.owner, name)
	data := must(t)(v.thief.ForgeRoot("node-1", at, &repo.Root{Catalogue: []byte(name), Link: link}))
	return v.put(t, at, data)
}

func TestWhatARevokedKeySignsLaterIsNoBackupAndStandsInNobodysWay(t *testing.T) {
	v := newTheft(t)
	u, id := export(t, v.owner, roles.RoleWriter, "node-1")
	v.thief = openWith(t, v.st, u, t.TempDir())
	backup(t, v.thief, "node-1", "one", noise(1, 400_000))
	backup(t, v.thief, "node-1", "two", noise(2, 400_000))
	last := revoke(t, v.owner, id)
	if len(last) != 1 || last[0].Domain != "node-1" || last[0].Sequence != 2 {
		t.Fatalf("last roots %v", last)
	}
	v.owner = openRepo(t, v.st, t.TempDir())
	two, err := v.owner.ReadRoot(t.Context(), rootName(t, v.owner, "two"))
	if err != nil || two.Hash != last[0].Root {
		t.Fatalf("the last that counts: %v", err)
	}
	for name, link := range map[string]repo.Link{
		"next":              {Sequence: 3, Previous: two.Hash},
		"in place of two":   {Sequence: 2, Previous: two.Previous},
		"a first one":       {Sequence: 1},
		"an unheard-of":     {Sequence: 0, Previous: pack.ID{1}},
		"far in the future": {Sequence: 1 << 40, Previous: two.Hash},
	} {
		at := forgeNext(t, v, name, link)
		if _, err := v.owner.ReadRoot(t.Context(), at); !repo.Void(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := v.owner.CountVoid(t.Context(), id, last); n != 5 || err != nil {
		t.Errorf("%d void roots: %v", n, err)
	}
	remove(t, v.owner, "one") // its record carries the chain
	if res := now(t, v.owner); res.Deleted == 0 {
		t.Errorf("gc took nothing: %+v", res)
	}
	fresh := openRepo(t, v.st, "")
	mustRestore(t, fresh, "node-1", "two", noise(2, 400_000))
	if _, err := fresh.ReadRoot(t.Context(), rootName(t, fresh, "next")); !repo.Void(err) {
		t.Error(err)
	}
	if err := fresh.Delete(t.Context(), rootName(t, fresh, "next"), nil); err != nil {
		t.Errorf("a void root cannot be deleted: %v", err)
	}
}

// With a root of a revoked key gone behind everybody's back, whether the earlier ones count cannot be told. They are not
// called void, or gc would take good backups.
func TestAGapInTheChainOfARevokedKeyIsDamageAndStopsGC(t *testing.T) {
	owner, st := newRepo(t)
	u, id := export(t, owner, roles.RoleWriter, "node-1")
	w := openWith(t, st, u, t.TempDir())
	for i, name := range []string{"one", "two", "three"} {
		backup(t, w, "node-1", name, noise(i, 300_000))
	}
	revoke(t, owner, id)
	gone := rootName(t, owner, "two")
	data, err := st.Get(t.Context(), gone, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, st, gone, nil)
	k := openRepo(t, st, t.TempDir())
	one := rootName(t, k, "one")
	_, err = k.ReadRoot(t.Context(), one)
	mustDamage(t, err, one)
	mustRestore(t, k, "node-1", "three", noise(2, 300_000))
	packs := len(objects(t, st, "packs/"))
	_, err = k.GC(t.Context(), "node-1", impatient())
	mustDamage(t, err, one)
	if left := len(objects(t, st, "packs/")); left != packs {
		t.Errorf("%d packs of %d", left, packs)
	}
	// Brought back, all is well.
	replace(t, st, gone, data)
	k = openRepo(t, st, t.TempDir())
	now(t, k)
	mustRestore(t, k, "node-1", "one", noise(0, 300_000))
	// Or the owner gives the unclear ones up.
	replace(t, st, gone, nil)
	k = openRepo(t, st, t.TempDir())
	remove(t, k, "one")
	now(t, k)
	mustRestore(t, k, "node-1", "three", noise(2, 300_000))
}

func TestAfterARevocationAnotherWriterGoesOnInTheNextGeneration(t *testing.T) {
	owner, st := newRepo(t)
	stolen, id := export(t, owner, roles.RoleWriter, "node-1")
	spare, _ := export(t, owner, roles.RoleWriter, "node-1")
	thief, w := openWith(t, st, stolen, t.TempDir()), openWith(t, st, spare, t.TempDir())
	file, gone := noise(1, 2<<20), noise(2, 3<<20)
	backup(t, thief, "node-1", "first", file)
	backup(t, thief, "node-1", "dying", gone, file[:500_000])
	s := session(t, w, "node-1") // opened before, as is the keeper
	k := keyed(t, owner, st, roles.RoleKeeper)
	rd := keyed(t, owner, st, roles.RoleReader)
	revoke(t, owner, id)
	if g := owner.Key().Trust().Generation("node-1"); g != 2 {
		t.Fatalf("generation %d", g)
	}
	if _, err := save(s, "second", file); !errors.Is(err, repo.ErrCondemned) {
		t.Fatalf("a session of the old generation: %v", err)
	}
	s.Close()
	if cost := backup(t, w, "node-1", "second", file); cost.Plain < int64(len(file)) {
		t.Errorf("it relies on what the stolen key wrote: %d bytes stored", cost.Plain)
	}
	if cost := backup(t, w, "node-1", "third", file, gone[:1<<20]); cost.Plain > 3<<20 {
		t.Errorf("%d bytes stored of what the generation knows", cost.Plain)
	}
	remove(t, k, "dying")
	remove(t, k, "third")
	now(t, k)
	if res := now(t, k); res.Condemned != 0 {
		t.Errorf("gc finds more at its second look: %+v", res)
	}
	for _, r := range []*repo.Repo{rd, owner, openRepo(t, st, t.TempDir())} {
		mustRestoreAttempt(t, r, "first", file)
		mustRestoreAttempt(t, r, "second", file)
	}
	mustBeSound(t, openRepo(t, st, ""))
	mustBeSound(t, keyed(t, owner, st, roles.RoleKeeper))
}

// A keeper that runs since before a key was made, or a generation begun, reads the trust log again before it judges.
func TestAKeeperLearnsOfYoungerKeys(t *testing.T) {
	owner, st := newRepo(t)
	k := keyed(t, owner, st, roles.RoleKeeper)
	now(t, k)
	u, id := export(t, owner, roles.RoleWriter, "node-1")
	backup(t, openWith(t, st, u, ""), "node-1", "young", noise(1, 100_000))
	mustBeSound(t, k)
	now(t, k)
	revoke(t, owner, id)
	backup(t, keyed(t, owner, st, roles.RoleWriter, "node-1"), "node-1", "younger", noise(2, 100_000))
	mustBeSound(t, k)
	now(t, k)
	if got := committed(t, k); len(got) != 2 {
		t.Errorf("backups %v", got)
	}
}

// Two processes of one key that each think themselves the newest fork the chain. A revocation can let one side count.
func TestARevocationTellsHowManyRootsOfAForkItVoids(t *testing.T) {
	owner, st := newRepo(t)
	u, id := export(t, owner, roles.RoleWriter, "node-1")
	one, two := openWith(t, st, u, t.TempDir()), openWith(t, st, u, t.TempDir())
	file := noise(1, 1000)
	backup(t, one, "node-1", "root", file)
	backup(t, two, "node-1", "left", file)
	backup(t, one, "node-1", "right 1", file) // its cache knows nothing of left
	backup(t, one, "node-1", "right 2", file)
	mustBeSound(t, owner)
	last, err := owner.Newest(t.Context(), id)
	if err != nil || len(last) != 1 || last[0].Sequence != 3 {
		t.Fatalf("%v, %v", last, err)
	}
	if n, err := owner.CountVoid(t.Context(), id, last); n != 1 || err != nil {
		t.Errorf("%d roots void: %v", n, err)
	}
	if n, err := owner.CountVoid(t.Context(), id, nil); n != 4 || err != nil {
		t.Errorf("%d roots void if none counts: %v", n, err)
	}
	if err := owner.Revoke(t.Context(), id, last); err != nil {
		t.Fatal(err)
	}
	for name, void := range map[string]bool{"root": false, "left": true, "right 1": false, "right 2": false} {
		if _, err := owner.ReadRoot(t.Context(), rootName(t, owner, name)); repo.Void(err) != void {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The grants that make a generation known may be read a moment too late; the next try has them.
func TestAFailedLookAtTheTrustLogIsRepeated(t *testing.T) {
	owner, st := newRepo(t)
	u, _ := export(t, owner, roles.RoleWriter, "node-1")
	_, id := export(t, owner, roles.RoleWriter, "node-1")
	off := &offline{Store: st}
	w := openWith(t, off, u, t.TempDir())
	backup(t, w, "node-1", "b", noise(1, 1000))
	revoke(t, owner, id)
	off.prefix = "keys/"
	if _, err := w.NewSession(t.Context(), "node-1"); !errors.Is(err, errStore) {
		t.Fatalf("error %v", err)
	}
	off.prefix = ""
	backup(t, w, "node-1", "c", noise(1, 1000))
	mustRestore(t, openRepo(t, st, ""), "node-1", "c", noise(1, 1000))
}

// offline is a store in which nothing under a prefix can be listed.
type offline struct {
	store.Store
	prefix string
}

func (o *offline) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if o.prefix != "" && strings.HasPrefix(prefix, o.prefix) {
		return errStore
	}
	return o.Store.List(ctx, prefix, fn)
}
