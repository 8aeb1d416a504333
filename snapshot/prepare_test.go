package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/repo"
)

func (r *rig) prepare(n *fakeNode, name string) *Prepared {
	r.t.Helper()
	p, err := Prepare(r.t.Context(), r.repo, n, r.state, r.options(name))
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// What is stored is what stood when the snapshot was taken, with the schema of that moment, whatever came since.
func TestABackupIsOfTheMomentItWasPreparedAt(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	want := n.live()
	p := r.prepare(n, "b")
	if p.Ready == nil || !p.Ready.After(p.Started) || p.Backup != "b" || p.HostID != hostA {
		t.Errorf("prepared: %+v", p)
	}
	n.sstable(n.table(0, "later", 2), "nb-1-big-", 7, 1000)
	n.sstable("ks/t-"+tableID(1), "nb-2-big-", 8, 1000)
	n.schema = node.Schema{Keyspaces: []node.KeyspaceSchema{{Name: "ks", CQL: "CREATE KEYSPACE ks; -- changed\n"}}}
	n.calls = nil
	loaded, err := LoadPrepared(r.state)
	if err == nil {
		loaded, err = loaded.For("b", n)
	}
	if err != nil {
		t.Fatal(err)
	}
	opt := r.options("b")
	opt.Prepared = loaded
	res, err := Take(t.Context(), r.repo, n, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Started.Equal(p.Started) || len(res.Appeared)+len(res.Gone)+len(res.Missing) != 0 || res.SnapshotLeft != "" {
		t.Errorf("result: %+v", res)
	}
	if slices.Contains(n.calls, "Schema") || slices.Contains(n.calls, "Snapshot") || slices.Contains(n.calls, "ClearSnapshot") {
		t.Errorf("calls: %v", n.calls)
	}
	r.mustHold("b", want)
	var schema strings.Builder
	if err := r.snapshot("b").Schema(t.Context(), &schema); err != nil || schema.String() != "CREATE KEYSPACE ks;\n" {
		t.Errorf("schema %q, %v", &schema, err)
	}
	if diff := cmp.Diff([]string{p.Tag}, n.snapshots()); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
	if err := p.Clear(t.Context(), n, r.state); err != nil || len(n.snapshots()) != 0 {
		t.Errorf("%v, left %v", err, n.snapshots())
	}
	if p, err := LoadPrepared(r.state); p != nil || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestOneSnapshotStandsAtATime(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	first := r.prepare(n, "b")
	if again := r.prepare(n, "b"); !cmp.Equal(first, again) {
		t.Errorf("prepared again: %s", cmp.Diff(first, again))
	}
	if _, err := first.For("c", n); !errors.Is(err, ErrNotPrepared) {
		t.Errorf("for another backup: %v", err)
	}
	other := r.options("b")
	other.Selection = Selection{Tables: []string{"ks.t"}}
	some, err := Prepare(t.Context(), r.repo, n, r.state, other)
	if err != nil || some.Tag == first.Tag {
		t.Fatalf("of other tables: %+v, %v", some, err)
	}
	next := r.prepare(n, "c")
	if diff := cmp.Diff([]string{next.Tag}, n.snapshots()); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
	if err := n.ClearSnapshot(t.Context(), next.Tag); err != nil {
		t.Fatal(err)
	}
	if _, err := next.For("c", n); !errors.Is(err, ErrNotPrepared) {
		t.Errorf("of one that an operator cleared: %v", err)
	}
	if again := r.prepare(n, "c"); again.Tag == next.Tag || len(n.snapshots()) != 1 {
		t.Errorf("prepared as %s after %s, snapshots %v", again.Tag, next.Tag, n.snapshots())
	}
	r.take(n, "taken")
	if _, err := Prepare(t.Context(), r.repo, n, r.state, r.options("taken")); !errors.Is(err, repo.ErrSnapshotExists) {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestASnapshotThatFailsIsClearedAndForgotten(t *testing.T) {
	t.Parallel()
	stuck := errors.New("disk full")
	for _, call := range []string{"Snapshot 1", "Schema 2"} {
		r, n := newRig(t), oneTable(t, hostA)
		n.fail[call] = stuck
		if _, err := Prepare(t.Context(), r.repo, n, r.state, r.options("b")); !errors.Is(err, stuck) {
			t.Errorf("%s: %v", call, err)
		}
		if p, err := LoadPrepared(r.state); p != nil || err != nil || len(n.snapshots()) != 0 {
			t.Errorf("%s: %+v, %v, left %v", call, p, err, n.snapshots())
		}
	}
}

// A killed cbk leaves a note of a snapshot that may or may not stand. The next one clears it.
func TestASnapshotOfAKilledPrepareIsCleared(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	n.during = func() { panic("killed") }
	func() {
		defer func() { recover() }()
		r.prepare(n, "b")
	}()
	n.during = nil
	left := n.snapshots()
	if p, err := LoadPrepared(r.state); err != nil || len(left) != 1 || p.Tag != left[0] || p.Ready != nil {
		t.Fatalf("noted %+v, %v, left %v", p, err, left)
	}
	p := r.prepare(n, "b")
	if diff := cmp.Diff([]string{p.Tag}, n.snapshots()); diff != "" || p.Tag == left[0] {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
}

func TestANoteThatCannotBeReadStopsThePrepare(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	for _, text := range []string{"", "{", `{"backup":"b"}`, `{"tag":"cbk-1"}`} {
		if err := os.WriteFile(filepath.Join(r.state, preparedName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Prepare(t.Context(), r.repo, n, r.state, r.options("b")); err == nil || !strings.Contains(err.Error(), "prepared snapshot in "+r.state) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if len(n.snapshots()) != 0 {
		t.Errorf("left %v", n.snapshots())
	}
}
