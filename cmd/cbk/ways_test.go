package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cbk/snapshot"
)

func TestABackupOfChosenTablesSaysSoAndIsNotRestoredInPlace(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	b := doc[backupJSON](r, "backup", "--name", "part", "--table", "shop.*", "--exclude", "shop.files")
	if !b.Selected || b.Tables == 0 {
		t.Errorf("%d tables, selected %v", b.Tables, b.Selected)
	}
	for _, table := range doc[showJSON](r, "show", "part").Nodes[0].Tables {
		if table.Keyspace != "shop" || table.Table == "files" {
			t.Errorf("in the backup: %s.%s", table.Keyspace, table.Table)
		}
	}
	if list := r.ok("list"); !strings.Contains(list, "chosen tables") {
		t.Errorf("list does not say it:\n%s", list)
	}
	r.fails(5, []string{"refused", "chosen tables"}, "restore", "part", "--in-place", "--yes")
	r.fails(2, []string{"not-found", "shop.fils"}, "backup", "--name", "typo", "--exclude", "shop.fils")
	if left := r.snapshots(); len(left) != 0 {
		t.Errorf("snapshots left: %v", left)
	}
}

func TestAnOperatorsOwnSnapshotIsBackedUp(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	r.nodetool("snapshot", "-t", "Mine_1")
	defer r.nodetool("clearsnapshot", "-t", "Mine_1")
	b := doc[backupJSON](r, "backup", "--name", "b", "--use-snapshot", "Mine_1")
	if b.SnapshotLeft != "" || b.SSTables == 0 {
		t.Errorf("%d SSTables, left %q", b.SSTables, b.SnapshotLeft)
	}
	if left, err := filepath.Glob(r.dataDirs()[0] + "/shop/*/snapshots/Mine_1"); err != nil || len(left) != 3 {
		t.Errorf("of the operator's snapshot there is %v, %v", left, err)
	}
	r.ok("check", "--read-data")
	r.fails(2, []string{"not-found", "nobody"}, "backup", "--name", "c", "--use-snapshot", "nobody")
}

func TestATableMissingFromTheSnapshotIsExit3WhereAllowed(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	r.onSnapshot(strings.ReplaceAll(`nodetool "$@" && rm -r DATA/shop/customers-*/snapshots/$TAG`, "DATA", r.dataDirs()[0]))
	r.fails(3, []string{"incomplete", "shop.customers"}, "backup", "--name", "b", "--allow-missing")
	if list := doc[listJSON](r, "list").Backups[0]; *list.Complete || list.Missing != 1 {
		t.Errorf("listed as %+v", list)
	}
	r.fails(5, []string{"shop.customers"}, "restore", "b", "--in-place", "--yes")
}

func TestDamageAtTheSourceIsExit4AndTheBackupIsMarked(t *testing.T) {
	r := newRig(t)
	r.shop(500)
	r.nodetool("flush")
	// A copy replaces the hard link, so that the node's own file stays.
	r.onSnapshot(fmt.Sprintf(`nodetool "$@"
cd "$(echo %s/shop/files-*/snapshots/$TAG)"
f=$(ls *-Data.db | head -1)
cp "$f" copy && rm "$f" && mv copy "$f"
printf x | dd of="$f" bs=1 seek=200 conv=notrunc 2>/dev/null`, r.dataDirs()[0]))
	code, stdout, stderr := r.run("backup", "--name", "b", "--json")
	var b backupJSON
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || code != 4 || !strings.Contains(stderr, "source-damage") {
		t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if b.Damaged != 1 || b.DamagedNames[0].Table != "files" || !strings.Contains(strings.Join(b.DamagedNames[0].What, ";"), "Data.db") {
		t.Errorf("damaged: %+v", b.DamagedNames)
	}
	if list := doc[listJSON](r, "list").Backups[0]; list.Damaged != 1 {
		t.Errorf("listed as %+v", list)
	}
	if out := r.ok("show", "b", "--sstables"); !strings.Contains(out, "DAMAGED") || !strings.Contains(out, "tokens ") {
		t.Errorf("show does not say it:\n%s", out)
	}
	r.ok("check", "--read-data") // the repository holds what the node had
}

func TestSchemaRolesAndConfigurationAreInTheBackup(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	r.ok("backup", "--name", "b")
	if cql := r.ok("show", "b", "--schema", "--keyspace", "shop"); !strings.Contains(cql, "CREATE TABLE shop.customers") {
		t.Errorf("schema:\n%s", cql)
	}
	if yaml := r.ok("show", "b", "--file", "cassandra.yaml"); !strings.Contains(yaml, "data_file_directories") {
		t.Errorf("cassandra.yaml:\n%s", yaml)
	}
	r.fails(2, []string{"not-found"}, "show", "b", "--file", "passwd")
	r.ok("backup", "--name", "c", "--no-config")
	r.fails(2, []string{"not-found"}, "show", "c", "--file", "cassandra.yaml")
}

func TestAStoppedNodeIsBackedUpFromItsFiles(t *testing.T) {
	r := newRig(t)
	r.shop(200)
	want := r.dump()
	r.fails(1, []string{"stop"}, "backup", "--offline")
	online := doc[backupJSON](r, "backup", "--name", "online")
	if err := r.node.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.node.Start(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	r.cfg.Cassandra.Nodetool = []string{filepath.Join(r.dir, "none")}
	r.save()
	b := doc[backupJSON](r, "backup", "--name", "offline", "--offline")
	if b.Node != online.Node || b.CommitLog != 0 {
		t.Errorf("node %+v, want %+v; commit log %d", b.Node, online.Node, b.CommitLog)
	}
	shown := doc[showJSON](r, "show", "offline").Nodes[0]
	if shown.Way != snapshot.WayOffline || shown.SchemaAbsent != "" || shown.Tokens == 0 {
		t.Errorf("way %q, schema %q, %d tokens", shown.Way, shown.SchemaAbsent, shown.Tokens)
	}
	if cql := r.ok("show", "offline", "--schema"); !strings.Contains(cql, "CREATE TABLE shop.customers") {
		t.Errorf("schema:\n%s", cql)
	}
	r.ok("check", "--read-data")
	r.ok("restore", "offline", "--in-place", "--yes")
	if got := r.dump(); len(got["customers"]) != len(want["customers"]) {
		t.Errorf("%d customers of %d", len(got["customers"]), len(want["customers"]))
	}
}
