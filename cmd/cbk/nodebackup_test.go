package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/snapshot/fleet"
)

// last decodes the last line that a phase prints.
func last[T any](r *rig, args ...string) (v T) {
	r.t.Helper()
	out := strings.Split(strings.TrimSpace(r.ok(args...)), "\n")
	if err := json.Unmarshal([]byte(out[len(out)-1]), &v); err != nil {
		r.t.Fatalf("cbk %v: %v\n%s", args, err, out)
	}
	return v
}

// TestANodeStoresWhatItPrepared does the phases of a cluster's backup on a node, each of them twice.
func TestANodeStoresWhatItPrepared(t *testing.T) {
	r := newRig(t)
	r.shop(50)
	want := r.dump()
	here := last[fleet.Here](r, "node", "ring")
	if len(here.Ring.Members) != 1 || here.Ring.Members[0].HostID != here.HostID || len(here.Ring.Replication["shop"]) == 0 {
		t.Errorf("ring: %+v", here)
	}
	r.fails(exitUsage, []string{"usage", "--name"}, "node", "prepare")
	r.fails(exitUsage, []string{"not-prepared", "prepare backup b first"}, "node", "upload", "--name", "b")
	first := last[fleet.Prepared](r, "node", "prepare", "--name", "b")
	if again := last[fleet.Prepared](r, "node", "prepare", "--name", "b"); again != first || first.Tag == "" || first.HostID != here.HostID || first.Ready < first.Started {
		t.Errorf("prepared %+v, then %+v", first, again)
	}
	r.cql(func(s *gocql.Session) error { return cassandratest.Fill(s, 9, 0, 80) })
	r.nodetool("flush", "shop")
	if diff := cmp.Diff([]string{first.Tag}, r.snapshots()); diff != "" {
		t.Errorf("snapshots (-want +got):\n%s", diff)
	}
	got := last[backupJSON](r, "node", "upload", "--name", "b")
	if got.Schema != "cbk.backup/1" || got.Backup != "b" || got.SSTables == 0 || got.SnapshotLeft != "" || !strings.HasPrefix(first.Started, strings.TrimSuffix(got.Started, "Z")) {
		t.Errorf("uploaded: %+v", got)
	}
	if left := r.snapshots(); len(left) != 0 {
		t.Errorf("snapshots left: %v", left)
	}
	for _, phase := range []string{"upload", "prepare"} {
		if again := last[fleet.Prepared](r, "node", phase, "--name", "b"); !strings.HasPrefix(again.Recorded, "snapshots/") || again.Tag != "" {
			t.Errorf("%s again: %+v", phase, again)
		}
	}
	r.unleash()
	last[fleet.Prepared](r, "node", "prepare", "--name", "given-up")
	for range 2 {
		last[fleet.Prepared](r, "node", "clear", "--name", "given-up")
	}
	if left := r.snapshots(); len(left) != 0 {
		t.Errorf("snapshots left: %v", left)
	}
	r.ok("restore", "b", "--in-place", "--yes", "--keyspace", "shop")
	if diff := cmp.Diff(want, r.dump()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// unleash lets go of a node that takes its snapshot, which ends it and clears up.
func (r *rig) unleash() {
	r.t.Helper()
	r.onSnapshot(`touch ` + r.path("begun") + `; sleep 3; nodetool "$@"`)
	defer r.wrapNodetool(`nodetool "$@"`)
	cmd := r.command("node", "--leash", "prepare", "--name", "unleashed")
	in, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	for {
		if _, err := os.Stat(r.path("begun")); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	in.Close()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		r.t.Errorf("let go: %v\n%s", err, &out)
	}
	if left := r.snapshots(); len(left) != 0 {
		r.t.Errorf("snapshots left: %v", left)
	}
}
