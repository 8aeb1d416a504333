package offline_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/cassandra/offline"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
)

// What a node said of itself while it ran is what is read from its files when it is stopped, in every format there is and by every release.
func TestAStoppedNodeSaysWhatItSaidWhileItRan(t *testing.T) {
	for _, tt := range []struct {
		format, release string
		yaml            []string
	}{
		{"me", "3.11.19", nil},
		{"nb", "4.0.19", nil},
		{"nb", "4.1.10", []string{"uuid_sstable_identifiers_enabled: true"}},
		{"nb", "5.0.6", nil},
		{"oa", "5.0.6", []string{"storage_compatibility_mode: NONE"}},
		{"da", "5.0.6", []string{"storage_compatibility_mode: NONE", "sstable:", "  selected_format: bti", "uuid_sstable_identifiers_enabled: true"}},
	} {
		t.Run(tt.release+" "+tt.format, func(t *testing.T) {
			c := cassandratest.Run(t, cassandratest.Options{Version: tt.release, Cluster: "Off Line", DataDirs: 2, Auth: true,
				DCs: []string{"north"}, Racks: []string{"r7"}, ExtraYAML: tt.yaml})
			n := c.Nodes[0]
			running := ask(t, n, tt.release)
			if !strings.HasPrefix(tt.release, "3.") { // its own nodetool runs on no Java from 9 on, and a later one does not describe its cluster
				compareWithoutCQL(t, n)
			}
			if _, err := offline.New(n.Config(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), n.Address) {
				t.Errorf("a node that runs: %v", err)
			}
			stop(t, n)
			checkFormat(t, n, tt.format)
			stopped, log := open(t, n)
			compareAnswers(t, running, stopped)
			compareFiles(t, running, stopped)
			if log.Len() > 0 {
				t.Errorf("log: %s", log)
			}
			if !strings.HasPrefix(tt.release, "4.") { // which writes the segments of a 5.0
				checkCommitLog(t, n, stopped)
			}
		})
	}
}

// open makes an offline.Node of a stopped one.
func open(t *testing.T, n *cassandratest.Node) (*offline.Node, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	off, err := offline.New(node.Config{YAML: n.YAML()}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return off, &log
}

// answers are what a node said through CQL.
type answers struct {
	identity node.Identity
	system   schema.System
	access   schema.Access
	snapshot []string // files of the user keyspace
}

// statements make something of everything that a schema can have. What is dropped and changed again leaves deletions of
// partitions, ranges, rows and collections in the system tables.
var statements = []string{
	`CREATE KEYSPACE "Shop" WITH replication = {'class': 'NetworkTopologyStrategy', 'north': 1}`,
	`CREATE TYPE "Shop"."Place" (street text, code int)`,
	`CREATE TABLE "Shop"."Mixed" (id int, c timeuuid, home frozen<"Place">, mail text, gone text, s set<text> static, PRIMARY KEY (id, c)) WITH CLUSTERING ORDER BY (c DESC) AND comment = 'it''s'`,
	`CREATE INDEX by_mail ON "Shop"."Mixed" (mail)`,
	`ALTER TABLE "Shop"."Mixed" DROP gone`,
	`CREATE TABLE "Shop".base (id int PRIMARY KEY, mail text, n double)`,
	`CREATE TABLE "Shop".empty (id int PRIMARY KEY)`,
	`CREATE MATERIALIZED VIEW "Shop".mails AS SELECT id, mail FROM "Shop".base WHERE mail IS NOT NULL AND id IS NOT NULL PRIMARY KEY (mail, id)`,
	`ALTER TABLE "Shop".base WITH gc_grace_seconds = 77 AND caching = {'keys': 'NONE', 'rows_per_partition': '5'}`,
	`CREATE TABLE "Shop".dropped (id int PRIMARY KEY, v text)`,
	`DROP TABLE "Shop".dropped`,
	`CREATE TABLE "Shop".dropped (id int PRIMARY KEY, w int)`,
	`CREATE KEYSPACE went WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
	`CREATE TABLE went.t (id int PRIMARY KEY)`,
	`DROP KEYSPACE went`,
	`CREATE ROLE baker WITH PASSWORD = 'x' AND LOGIN = true`,
	`CREATE ROLE guest`,
	`GRANT baker TO guest`,
	`GRANT SELECT ON KEYSPACE "Shop" TO baker`,
	`GRANT MODIFY ON KEYSPACE "Shop" TO baker`,
	`REVOKE SELECT ON KEYSPACE "Shop" FROM baker`,
	`INSERT INTO "Shop".base (id, mail) VALUES (1, 'a')`,
	`INSERT INTO "Shop"."Mixed" (id, c, mail) VALUES (1, now(), 'a')`,
}

// peer is a member that does not run. It has next to none of the ring.
var peer = ring.Member{HostID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", Address: "127.0.9.9", DC: "north", Rack: "r8", State: ring.Normal,
	Tokens: []string{"-9223372036854775806", "-9223372036854775805"}}

// peerOf tells a node of the peer.
func peerOf(release string) string {
	table, column, port := "peers_v2", "peer_port, ", "7000, "
	if strings.HasPrefix(release, "3.") {
		table, column, port = "peers", "", ""
	}
	return fmt.Sprintf("INSERT INTO system.%s (peer, %sdata_center, host_id, rack, tokens) VALUES ('%s', %s'%s', %s, '%s', {'%s'})",
		table, column, peer.Address, port, peer.DC, peer.HostID, peer.Rack, strings.Join(peer.Tokens, "', '"))
}

// ask fills a node and asks it. Its tables are flushed half way, so that they have several SSTables.
func ask(t *testing.T, n *cassandratest.Node, release string) (a answers) {
	t.Helper()
	s, err := n.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nodetool(t, n, "disableautocompaction")
	for i, stmt := range append(slices.Clone(statements), peerOf(release)) {
		if i%7 == 6 {
			nodetool(t, n, "flush")
		}
		if err := s.Query(stmt).Exec(); err != nil {
			t.Fatalf("%s: %v", stmt, err)
		}
	}
	client, err := node.New(n.Config(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if a.identity, err = client.Identity(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, rows := range tablesOf(&a.system, &a.access) {
		*rows = selectAll(t, s, name)
	}
	a.snapshot = snapshotFiles(t, n, client)
	return a
}

// tablesOf names the system tables of the rows.
func tablesOf(s *schema.System, a *schema.Access) map[string]*[]schema.Row {
	return map[string]*[]schema.Row{
		"system_schema.keyspaces": &s.Keyspaces, "system_schema.tables": &s.Tables, "system_schema.columns": &s.Columns,
		"system_schema.dropped_columns": &s.DroppedColumns, "system_schema.types": &s.Types, "system_schema.functions": &s.Functions,
		"system_schema.aggregates": &s.Aggregates, "system_schema.views": &s.Views, "system_schema.indexes": &s.Indexes,
		"system_schema.triggers": &s.Triggers, "system_auth.roles": &a.Roles, "system_auth.role_members": &a.Members,
		"system_auth.role_permissions": &a.Permissions,
	}
}

func selectAll(t *testing.T, s *gocql.Session, name string) []schema.Row {
	t.Helper()
	iter := s.Query("SELECT * FROM " + name).Consistency(gocql.One).Iter()
	var all []schema.Row
	for {
		r := make(map[string]any)
		if !iter.MapScan(r) {
			break
		}
		for column, v := range r {
			if id, ok := v.(gocql.UUID); ok {
				r[column] = [16]byte(id)
			}
		}
		all = append(all, r)
	}
	if err := iter.Close(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return all
}

// canonical puts rows in one order, as text. The driver gives null as zero, so that neither counts.
func canonical(all []schema.Row) []string {
	var lines []string
	for _, r := range all {
		var columns []string
		for name, v := range r {
			value := reflect.ValueOf(v)
			if empty := value.Kind() == reflect.Slice || value.Kind() == reflect.Map; !value.IsZero() && !(empty && value.Len() == 0) {
				columns = append(columns, fmt.Sprintf("%s=%T %v", name, v, v))
			}
		}
		slices.Sort(columns)
		lines = append(lines, strings.Join(columns, " "))
	}
	slices.Sort(lines)
	return lines
}

func compareAnswers(t *testing.T, want answers, stopped *offline.Node) {
	t.Helper()
	id, err := stopped.Identity(t.Context())
	if diff := cmp.Diff(want.identity, id); err != nil || diff != "" {
		t.Errorf("identity: %v (-running +stopped):\n%s", err, diff)
	}
	r, err := stopped.Ring(t.Context())
	member := ring.Member{HostID: id.HostID, Address: id.Address, DC: "north", Rack: "r7", State: ring.Normal, Tokens: id.Tokens}
	both := ring.Ring{Members: []ring.Member{peer, member}}
	both.Sort()
	if diff := cmp.Diff(both.Members, r.Members); err != nil || diff != "" || r.Cluster != "Off Line" {
		t.Errorf("ring of %q: %v (-want +got):\n%s", r.Cluster, err, diff)
	}
	if diff := cmp.Diff(map[string]string{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "north": "1"}, r.Replication["Shop"]); diff != "" {
		t.Errorf("replication (-want +got):\n%s", diff)
	}
	var got answers
	if got.system, err = stopped.System(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.access, err = stopped.Access(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := tablesOf(&got.system, &got.access)
	for name, rows := range tablesOf(&want.system, &want.access) {
		if diff := cmp.Diff(canonical(*rows), canonical(*other[name])); diff != "" {
			t.Errorf("%s (-running +stopped):\n%s", name, diff)
		}
	}
	if n := len(got.system.Columns); n < 100 || len(got.access.Roles) != 3 || len(got.access.Permissions) == 0 {
		t.Errorf("%d columns, %d roles, permissions %v", n, len(got.access.Roles), got.access.Permissions)
	}
}

// snapshotFiles takes a snapshot and tells the files of the user keyspace in it by inode.
func snapshotFiles(t *testing.T, n *cassandratest.Node, client *node.Node) []string {
	t.Helper()
	nodetool(t, n, "snapshot", "-t", "last")
	dirs, err := client.SnapshotTables("last")
	if err != nil {
		t.Fatal(err)
	}
	return files(t, dirs, "Shop")
}

// files draws the directories of a keyspace, and their files with their inodes.
func files(t *testing.T, dirs []node.TableDir, keyspace string) []string {
	t.Helper()
	var lines []string
	for _, d := range dirs {
		if d.Keyspace != keyspace {
			continue
		}
		lines = append(lines, fmt.Sprintf("%d %s", d.DataDir, d.Live))
		all, err := d.SSTables()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			for _, f := range s.Files {
				lines = append(lines, fmt.Sprintf("%d %s/%s/%s %d", d.DataDir, d.Live, s.Sub, f.Name, f.Inode))
			}
		}
	}
	return lines
}

// compareFiles holds the files of the stopped node against the last snapshot, and its tables against the schema.
func compareFiles(t *testing.T, want answers, stopped *offline.Node) {
	t.Helper()
	if err := stopped.Snapshot(t.Context(), "any"); err != nil {
		t.Fatal(err)
	}
	dirs, err := stopped.SnapshotTables("any")
	if err != nil {
		t.Fatal(err)
	}
	// Every table of the snapshot has a directory with its manifest in one data directory at least; live it has in all.
	got := slices.DeleteFunc(files(t, dirs, "Shop"), func(line string) bool { return strings.Count(line, "/") == 1 })
	snapshot := slices.DeleteFunc(want.snapshot, func(line string) bool { return strings.Count(line, "/") == 1 })
	if diff := cmp.Diff(snapshot, got); diff != "" || len(got) < 20 {
		t.Errorf("%d files (-snapshot +live):\n%s", len(got), diff)
	}
	s, err := stopped.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var tables, listed []string
	for _, table := range s.Tables {
		tables = append(tables, fmt.Sprint(table.Keyspace, ".", table.Name, "-", table.ID))
	}
	for _, d := range dirs {
		listed = append(listed, fmt.Sprint(d.Keyspace, ".", d.Table, "-", d.ID))
	}
	if diff := cmp.Diff(tables, slices.Compact(listed)); diff != "" {
		t.Errorf("(-schema +directories):\n%s", diff)
	}
	if !slices.ContainsFunc(s.Tables, func(table node.Table) bool { return table.Name == "mails" && table.View }) {
		t.Error("the view is none")
	}
}

// checkFormat makes sure that the node wrote what the test is about.
func checkFormat(t *testing.T, n *cassandratest.Node, format string) {
	t.Helper()
	off, _ := open(t, n)
	dirs, err := node.LiveTables(off.Layout())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		all, err := d.SSTables()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Desc.Version != format {
				t.Errorf("%s has %s", d.Path, s.Desc.Prefix())
			}
		}
	}
}

// checkCommitLog looks at what is left of the commit log by each way to stop. The node is stopped in order before.
func checkCommitLog(t *testing.T, n *cassandratest.Node, stopped *offline.Node) {
	t.Helper()
	left := func(what string) int64 {
		size, err := stopped.CommitLog()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes of commit log", what, size)
		return size
	}
	if size := left("stopped in order"); size != 0 {
		t.Errorf("%d bytes after an orderly stop", size)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, n)
	n.Kill()
	if size := left("killed"); size < 1<<20 {
		t.Errorf("%d bytes after a kill, and 1 MiB was written", size)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	nodetool(t, n, "drain")
	n.Kill()
	if size := left("drained and killed"); size != 0 {
		t.Errorf("%d bytes after a drain", size)
	}
}

// write writes 1 MiB.
func write(t *testing.T, n *cassandratest.Node) {
	t.Helper()
	s, err := n.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 16 {
		if err := s.Query(`INSERT INTO "Shop".base (id, mail) VALUES (?, ?)`, i, strings.Repeat("x", 60<<10)).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 16 {
		if err := s.Query(`UPDATE "Shop".base SET n = 1, mail = ? WHERE id = ?`, strings.Repeat("z", 60<<10), i).Exec(); err != nil {
			t.Fatal(err)
		}
	}
}

func stop(t *testing.T, n *cassandratest.Node) {
	t.Helper()
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func nodetool(t *testing.T, n *cassandratest.Node, args ...string) {
	t.Helper()
	if out, err := exec.Command(n.Bin("nodetool"), args...).CombinedOutput(); err != nil {
		t.Fatalf("nodetool %s: %v: %s", args, err, out)
	}
}
