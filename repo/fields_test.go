package repo_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// aged is a repository with an object of every class: two generations of keys, session keys sealed anew, a deletion, an
// aborted and a pending attempt, a tombstone, a revoked key, two kinds of slots.
func aged(t *testing.T) (*place, store.Store) {
	t.Helper()
	p := lived(t)
	st := p.copy(t)
	r := openRepo(t, st, "")
	collect(t, r, time.Hour, 0, time.Now()) // ends the dead session, leaves a tombstone
	last, err := r.Newest(t.Context(), p.writer)
	if err == nil {
		err = r.Revoke(t.Context(), p.writer, last)
	}
	if err != nil {
		t.Fatal(err)
	}
	w, _ := roles.Recovery()
	if _, err := r.AddSlot(t.Context(), roles.RoleReader, w); err != nil {
		t.Fatal(err)
	}
	p.files["next"] = [][]byte{noise(30, 5_000)}
	backup(t, r, "node-1", "next", p.files["next"]...)
	if err := tryBackup(t.Context(), openRepo(t, dead{st, "snapshots/"}, ""), "dead again", noise(40, 5_000)); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	return p, st
}

// fields are places in an object of n bytes: every field of the headers that objects start with, some of what is sealed or
// signed, and of what ends them.
func fields(n int) []int {
	at := []int{0, 4, 5, 6, 7, 8, 14, 15, 38, 39, n - 65, n - 64, n - 16, n - 4, n - 1}
	for i := range 5 {
		at = append(at, n*(i+1)/6)
	}
	at = slices.DeleteFunc(at, func(i int) bool { return i < 0 || i >= n })
	slices.Sort(at)
	return slices.Compact(at)
}

// One flip in any field of any class of object is told, and told of that object; no backup comes back with other bytes.
func TestAFlipInAnyFieldOfAnyClassIsToldOfItsObject(t *testing.T) {
	p, st := aged(t)
	alt := &altered{Store: st}
	r := openRepo(t, alt, "")
	if f := inspect(t, r); len(f.damage) > 0 {
		t.Fatalf("a sound repository: %v", f.damage)
	}
	classes, flips := make(map[repo.Kind]int), 0
	for _, name := range objects(t, st, "") {
		data, err := st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		kind := repo.Classify(name)
		classes[kind]++
		for _, i := range fields(len(data)) {
			flips++
			alt.name, alt.data = name, flip(data, i)
			opensOrTells(t, alt, kind, name)
			if kind == repo.KindConfig {
				continue // read when the repository is opened, and then only
			}
			if got := inspect(t, r).objects(); !slices.Equal(got, []string{name}) {
				t.Fatalf("byte %d of %s: found %v", i, name, got)
			}
		}
		neverWrong(t, p, r, name)
	}
	t.Logf("%d flips, objects of each kind: %v", flips, classes)
	for kind := repo.KindConfig; kind <= repo.KindSession; kind++ {
		if classes[kind] == 0 {
			t.Errorf("no object of kind %d among %v", kind, slices.Sorted(maps.Keys(classes)))
		}
	}
}

// opensOrTells requires that who opens the repository is told of the damaged object, unless it is a key of somebody else.
func opensOrTells(t *testing.T, alt *altered, kind repo.Kind, name string) {
	t.Helper()
	err := tryOpen(t.Context(), alt, passphrase)
	read := kind == repo.KindConfig || kind == repo.KindTrust
	if read && err == nil || err != nil && !strings.Contains(err.Error(), name) {
		t.Fatalf("flip in %s: %v", name, err)
	}
}

// neverWrong reads every backup back while the object is damaged.
func neverWrong(t *testing.T, p *place, r *repo.Repo, object string) {
	t.Helper()
	for name, want := range p.files {
		got, err := restore(t.Context(), r, "node-1", name)
		if err == nil && !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%s damaged: %s comes back with other bytes", object, name)
		}
		if err != nil && !errors.As(err, new(*repo.DamageError)) {
			t.Fatalf("%s damaged: %s ends with %v", object, name, err)
		}
	}
}
