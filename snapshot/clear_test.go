package snapshot

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAKeptSnapshotStaysAndIsNamed(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	opt := r.options("b")
	opt.KeepSnapshot = true
	res, err := Take(t.Context(), r.repo, n, opt)
	if err != nil || res.ClearFailure != nil {
		t.Fatal(err, res)
	}
	if diff := cmp.Diff([]string{res.SnapshotLeft}, n.snapshots()); diff != "" {
		t.Errorf("snapshots (-named +left):\n%s", diff)
	}
	r.take(n, "c")
	if diff := cmp.Diff([]string{res.SnapshotLeft}, n.snapshots()); diff != "" {
		t.Errorf("the next backup did not leave it alone (-want +got):\n%s", diff)
	}
}

func TestASnapshotThatCannotBeClearedIsReportedAndClearedByTheNext(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	stuck := errors.New("JMX is away")
	n.fail["ClearSnapshot 1"] = stuck
	res := r.take(n, "one")
	if !errors.Is(res.ClearFailure, stuck) || res.SnapshotLeft == "" || !strings.Contains(res.ClearFailure.Error(), res.SnapshotLeft) {
		t.Errorf("result %+v", res)
	}
	if left := n.snapshots(); len(left) != 1 {
		t.Fatalf("snapshots %v", left)
	}
	// While it cannot be cleared either, no other is taken: they would fill the disk.
	n.calls, n.fail["ClearSnapshot 1"] = nil, stuck
	_, err := Take(t.Context(), r.repo, n, r.options("two"))
	if !errors.Is(err, stuck) || !strings.Contains(err.Error(), "interrupted backup") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"Identity", "Schema", "ClearSnapshot"}, n.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	n.calls, n.fail = nil, nil
	r.take(n, "two")
	if left := n.snapshots(); len(left) != 0 {
		t.Errorf("snapshots left: %v", left)
	}
	n.calls = nil
	r.take(n, "three")
	if diff := cmp.Diff([]string{"Identity", "Schema", "Snapshot", "Schema", "SnapshotTables", "Identity", "Ring", "Roles", "ConfigFiles", "ClearSnapshot"}, n.calls); diff != "" {
		t.Errorf("the responsibility for it did not end (-want +got):\n%s", diff)
	}
}

func TestAFailedBackupThatCannotClearUpSaysBoth(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	first, second := errors.New("ring unknown"), errors.New("JMX is away")
	n.fail["Ring 1"], n.fail["ClearSnapshot 1"] = first, second
	if _, err := Take(t.Context(), r.repo, n, r.options("b")); !errors.Is(err, first) || !errors.Is(err, second) {
		t.Errorf("got %v", err)
	}
}
