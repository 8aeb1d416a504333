package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
)

func TestADeletedBackupGivesItsSpaceBackAndLeavesTheOthersWhole(t *testing.T) {
	r := newRig(t)
	r.shop(1500)
	r.ok("backup", "--name", "b1")
	r.cql(func(s *gocql.Session) error { return cassandratest.Fill(s, 9, 0, 1500) })
	r.nodetool("flush", "shop")
	r.nodetool("compact", "shop")
	r.ok("backup", "--name", "b10")

	r.fails(2, []string{"not-found", `"b"`, "nothing was deleted"}, "delete", "b", "--yes")
	r.fails(2, []string{"not-found", `"b2"`}, "delete", "b1", "b2", "--yes")
	r.fails(2, []string{"add --yes"}, "delete", "b1")
	if out := r.ok("delete", "b1", "--dry-run"); !strings.Contains(out, "delete b1 of cluster e2e") || !strings.Contains(out, "cluster e2e: restorable from b10 ") {
		t.Errorf("plan:\n%s", out)
	}
	if diff := cmp.Diff([]string{"b1", "b10"}, r.names()); diff != "" {
		t.Fatalf("refused and planned deletions deleted (-want +got):\n%s", diff)
	}
	done := doc[deleteJSON](r, "delete", "b1", "--yes")
	if !strings.Contains(r.ok("audit", "list"), " delete --yes b1 ") || done.AuditHead == "" {
		t.Errorf("the deletion is not in the audit chain, head %q", done.AuditHead)
	}
	if diff := cmp.Diff([]string{"b1", "to", "b10"}, slices.Concat(done.Deleted, []string{"to"}, done.Left)); diff != "" || done.BytesPut == 0 || len(done.Stays) != 1 {
		t.Errorf("%+v\n%s", done, diff)
	}
	if diff := cmp.Diff([]string{"b10"}, r.names()); diff != "" {
		t.Fatal(diff)
	}
	if spared := doc[gcJSON](r, "gc"); spared.Condemned != 0 {
		t.Errorf("gc took packs that are minutes old: %+v", spared)
	}
	freed := doc[gcJSON](r, "gc", "--grace", "0s", "--min-age", "0s")
	if freed.Deleted == 0 || freed.BytesFreed == 0 || freed.Nodes != 1 {
		t.Errorf("gc: %+v", freed)
	}
	r.ok("check", "--read-data")
	r.ok("restore", "b10", "--to", r.path("out"))
	r.fails(2, []string{"not-found"}, "restore", "b1", "--to", r.path("out1"))
	// The name is free again, and what gc took is stored once more.
	if again := doc[backupJSON](r, "backup", "--name", "b1"); again.Files == 0 {
		t.Errorf("%+v", again)
	}
	r.ok("check", "--read-data")
}
