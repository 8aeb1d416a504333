package repo_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
)

// commit makes a backup that is only a root.
func commit(t *testing.T, r *repo.Repo, name string, root *repo.Root) error {
	t.Helper()
	s := session(t, r, "node-1")
	return errors.Join(s.Commit(name, root), s.Close())
}

func rootName(t *testing.T, r *repo.Repo, backup string) string {
	t.Helper()
	name, err := r.RootName("node-1", backup)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestARootComesBack(t *testing.T) {
	r, _ := newRepo(t)
	for name, root := range map[string]*repo.Root{
		"nothing in it":     {},
		"one description":   {Catalogue: []byte("entry"), Ring: pack.ID{1}, Descriptions: []pack.ID{{2}}},
		"the largest there": {Catalogue: bytes.Repeat([]byte{7}, 8<<10), Ring: pack.ID{255}, Descriptions: make([]pack.ID, 64<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			if err := commit(t, r, name, root); err != nil {
				t.Fatal(err)
			}
			got, err := r.ReadRoot(t.Context(), rootName(t, r, name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Catalogue, root.Catalogue) || got.Ring != root.Ring || !slices.Equal(got.Descriptions, root.Descriptions) {
				t.Fatalf("%d bytes, ring %s and %d descriptions came back", len(got.Catalogue), got.Ring, len(got.Descriptions))
			}
		})
	}
}

// A root that its reader would refuse is no backup, so it must not be written.
func TestARootThatCouldNotBeReadIsNotWritten(t *testing.T) {
	r, st := newRepo(t)
	for name, root := range map[string]*repo.Root{
		"a catalogue entry too long": {Catalogue: make([]byte, 8<<10+1)},
		"too many descriptions":      {Descriptions: make([]pack.ID, 64<<10+1)},
	} {
		if err := commit(t, r, name, root); err == nil {
			_, readErr := r.ReadRoot(t.Context(), rootName(t, r, name))
			t.Errorf("%s: committed, and read with %v", name, readErr)
		}
	}
	if roots := objects(t, st, "snapshots/"); len(roots) > 0 {
		t.Errorf("roots %v", roots)
	}
}

func TestARootStandsWhereItsNameSays(t *testing.T) {
	r, st := newRepo(t)
	if err := commit(t, r, "daily", &repo.Root{}); err != nil {
		t.Fatal(err)
	}
	want, other := rootName(t, r, "daily"), rootName(t, r, "weekly")
	if got, _ := only(t, st, "snapshots/"); got != want || want == other {
		t.Errorf("root at %s, want %s; another name's is %s", got, want, other)
	}
	if strings.Contains(want, "daily") {
		t.Errorf("the name of a backup shows in %s", want)
	}
	for name, want := range map[string]bool{want: true, other: false} {
		if got, err := r.HasRoot(t.Context(), name); err != nil || got != want {
			t.Errorf("root at %s: %v, %v", name, got, err)
		}
	}
	_, err := r.ReadRoot(t.Context(), other)
	mustDamage(t, err, other)
	if _, err := r.RootName("Bad Label", "daily"); err == nil {
		t.Error("a bad label has a root")
	}
}

func TestRootsAreListedWithoutStrangers(t *testing.T) {
	r, st := newRepo(t)
	var want []string
	for _, domain := range []string{"node-1", "node-2"} {
		backup(t, r, domain, "daily", []byte("x"))
		name, err := r.RootName(domain, "daily")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	if err := st.Create(t.Context(), "snapshots/node-1/tmp", nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := r.ListRoots(t.Context(), func(name string) error { got = append(got, name); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	enough := errors.New("enough")
	if err := r.ListRoots(t.Context(), func(string) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}
