package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/cassandra/ring"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func TestIdentityIsWhatTheNodeSaysOfItself(t *testing.T) {
	id, err := connect(t, nil).Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !uuid.MatchString(id.HostID) || len(id.Tokens) != 4 {
		t.Errorf("host id %q, tokens %q", id.HostID, id.Tokens)
	}
	id.HostID, id.Tokens = "", nil
	want := node.Identity{
		Name: live.Address, Address: live.Address, Cluster: "Live Test", Version: cassandratest.Version,
		Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner", DC: "north", Rack: "r7",
	}
	if diff := cmp.Diff(want, id); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLayoutIsThatOfTheRunningNode(t *testing.T) {
	l := connect(t, nil).Layout()
	want := []string{filepath.Join(live.Dir, "data/data"), filepath.Join(live.Dir, "data/data2")}
	if diff := cmp.Diff(want, l.DataDirs); diff != "" || l.ClusterName != "Live Test" {
		t.Errorf("cluster %q, data directories (-want +got):\n%s", l.ClusterName, diff)
	}
	for _, dir := range []string{l.CommitLog, l.Hints, l.SavedCaches} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			t.Errorf("directory %q: %v", dir, err)
		}
	}
}

func TestRingOfOneNode(t *testing.T) {
	keyspace(t, "ringed")
	n := connect(t, nil)
	id, err := n.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := n.Ring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []ring.Member{{HostID: id.HostID, Address: live.Address, DC: "north", Rack: "r7", State: ring.Normal, Up: true, Tokens: id.Tokens}}
	if diff := cmp.Diff(want, r.Members); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if r.Cluster != "Live Test" || r.Partitioner != id.Partitioner {
		t.Errorf("cluster %q, partitioner %q", r.Cluster, r.Partitioner)
	}
	options := map[string]string{"class": "org.apache.cassandra.locator.SimpleStrategy", "replication_factor": "1"}
	if diff := cmp.Diff(options, r.Replication["ringed"]); diff != "" {
		t.Errorf("replication (-want +got):\n%s", diff)
	}
}

func TestSchemaHoldsWhatABackupNeedsToMakeTheTablesAgain(t *testing.T) {
	s := keyspace(t, "Described",
		`CREATE TYPE %s."Place" (street text, code int)`,
		`CREATE TABLE %s."Mixed" (id int PRIMARY KEY, home frozen<"Place">, mail text, gone text)`,
		`CREATE INDEX by_mail ON %s."Mixed" (mail)`,
		`INSERT INTO %s."Mixed" (id, gone) VALUES (1, 'x')`,
		`ALTER TABLE %s."Mixed" DROP gone`,
		`CREATE TABLE %s.base (id int PRIMARY KEY, mail text)`,
		`CREATE MATERIALIZED VIEW %[1]s.mails AS SELECT id, mail FROM %[1]s.base WHERE mail IS NOT NULL AND id IS NOT NULL PRIMARY KEY (mail, id)`,
	)
	n := connect(t, nil)
	schema, err := n.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table, view := find(schema, "Described", "Mixed"), find(schema, "Described", "mails")
	if len(table.ID) != 32 || table.View || len(view.ID) != 32 || !view.View {
		t.Errorf("table %+v, view %+v", table, view)
	}
	var id string
	if err := s.Query(`SELECT id FROM system_schema.tables WHERE keyspace_name = 'Described' AND table_name = 'Mixed'`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`CREATE KEYSPACE "Described" WITH`, `CREATE TYPE "Described"."Place"`, "WITH ID = " + id,
		`DROP gone USING TIMESTAMP`, `CREATE INDEX by_mail ON "Described"."Mixed"`, `CREATE MATERIALIZED VIEW "Described".mails`,
	} {
		if !strings.Contains(schema.Text(), want) {
			t.Errorf("schema has no %q:\n%s", want, schema.Text())
		}
	}
	again, err := n.Schema(t.Context())
	if diff := cmp.Diff(schema, again); err != nil || diff != "" {
		t.Errorf("read again: error %v (-first +second):\n%s", err, diff)
	}
}

func find(s node.Schema, keyspace, table string) node.Table {
	for _, t := range s.Tables {
		if t.Keyspace == keyspace && t.Name == table {
			return t
		}
	}
	return node.Table{}
}

func TestSchemaListsSystemTablesButNoVirtualOnes(t *testing.T) {
	schema, err := connect(t, nil).Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keyspaces := make(map[string]bool)
	for _, table := range schema.Tables {
		keyspaces[table.Keyspace] = true
	}
	for _, name := range []string{"system", "system_schema", "system_auth", "system_distributed", "system_traces"} {
		if !keyspaces[name] {
			t.Errorf("no table of %s", name)
		}
	}
	if keyspaces["system_views"] || keyspaces["system_virtual_schema"] {
		t.Error("virtual tables are listed")
	}
	if !slices.IsSortedFunc(schema.Tables, func(a, b node.Table) int {
		return strings.Compare(a.Keyspace+"."+a.Name, b.Keyspace+"."+b.Name)
	}) {
		t.Error("tables are not sorted")
	}
}

func TestALargeSchemaComesInPagesAndWhole(t *testing.T) {
	const types = 7
	statements := make([]string, types)
	for i := range statements {
		statements[i] = fmt.Sprintf("CREATE TYPE %%s.type%d (a int)", i)
	}
	keyspace(t, "large", statements...)
	n := connect(t, nil)
	n.SetPageRows(3)
	schema, err := n.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(schema.Tables) < 40 {
		t.Errorf("%d tables", len(schema.Tables))
	}
	if got := strings.Count(schema.Text(), "CREATE TYPE large.type"); got != types {
		t.Errorf("%d types of %d", got, types)
	}
}

func TestSampleQueryReadsAnyTable(t *testing.T) {
	keyspace(t, "Sampled",
		`CREATE TABLE %s."MixedCase" (id int PRIMARY KEY, v vector<float, 3>, m map<text, frozen<set<int>>>, t tuple<int, text>)`,
		`INSERT INTO %s."MixedCase" (id, v, m, t) VALUES (1, [1, 2, 3], {'a': {1}}, (1, 'x'))`,
		`CREATE TABLE %s.empty (id int PRIMARY KEY)`,
		`CREATE TABLE %s."select" (id int PRIMARY KEY)`,
	)
	n := connect(t, nil)
	for _, table := range []string{"MixedCase", "empty", "select"} {
		if err := n.SampleQuery(t.Context(), "Sampled", table); err != nil {
			t.Error(err)
		}
	}
	if err := n.SampleQuery(t.Context(), "system", "local"); err != nil {
		t.Error(err)
	}
}

func TestSampleQueryFailsForATableThatIsNotThere(t *testing.T) {
	n := connect(t, nil)
	for _, table := range []string{"missing", "", `local"; DROP`, "a b"} {
		if err := n.SampleQuery(t.Context(), "system", table); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("table %q gives %v", table, err)
		}
	}
	if err := n.SampleQuery(t.Context(), "system", "local"); err != nil {
		t.Errorf("after the failures: %v", err)
	}
}

func TestAWrongPasswordIsOneLineThatNamesTheConfig(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		edit func(*node.Config)
		want string
	}{
		"a wrong password": {func(c *node.Config) { c.CQL.PasswordFile = password }, "check cassandra.cql in the config"},
		"no password":      {func(c *node.Config) { c.CQL.Username = "" }, "check cassandra.cql in the config"},
		"no password file": {func(c *node.Config) { c.CQL.PasswordFile = password + "x" }, "check cassandra.cql.password_file in the config"},
		"no host":          {func(c *node.Config) { c.CQL.Host = "" }, "set cassandra.cql in the config"},
		"an unknown host":  {func(c *node.Config) { c.CQL.Host = "no-such-host.invalid" }, "cannot reach CQL at no-such-host.invalid:9042"},
		"a closed port":    {func(c *node.Config) { c.CQL.Port = 1 }, "cannot reach CQL at " + live.Address + ":1"},
	}
	for what, tt := range tests {
		t.Run(what, func(t *testing.T) {
			n := connect(t, tt.edit)
			_, err := n.Identity(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "wrong") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			if n.Answers(t.Context()) {
				t.Error("the node answers")
			}
		})
	}
}

func TestANodeIsStoppedAndStartedAgain(t *testing.T) {
	keyspace(t, "kept", `CREATE TABLE %s.t (id int PRIMARY KEY)`, `INSERT INTO %s.t (id) VALUES (1)`)
	n := connect(t, nil)
	before, err := n.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Snapshot(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // stopping what is stopped is no error
		if err := n.StopCassandra(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("while it is down", func(t *testing.T) { testDown(t, n) })
	for range 2 { // and so is starting what runs
		if err := n.StartCassandra(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.WaitUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := n.Identity(t.Context())
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("error %v, identity (-before +after):\n%s", err, diff)
	}
	if !n.Answers(t.Context()) {
		t.Error("the node does not answer")
	}
	if err := n.ClearSnapshot(t.Context(), "kept"); err != nil {
		t.Error(err)
	}
}

// testDown holds what a node that is down can and cannot do.
func testDown(t *testing.T, n *node.Node) {
	if n.Answers(t.Context()) {
		t.Error("the node answers")
	}
	if _, err := n.Identity(t.Context()); err == nil || !strings.Contains(err.Error(), "is Cassandra running?") {
		t.Errorf("identity: %v", err)
	}
	var failed *node.CommandError
	err := n.Snapshot(t.Context(), "down")
	if !errors.As(err, &failed) || failed.ExitCode != 1 || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("snapshot: %v", err)
	}
	if _, err := n.Ring(t.Context()); err == nil {
		t.Error("the ring is read")
	}
	if dirs, err := n.SnapshotTables("kept"); err != nil || len(dirs) == 0 {
		t.Errorf("%d directories of the snapshot, error %v", len(dirs), err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no longer")
	cancel(why)
	if err := n.WaitUp(ctx); !errors.Is(err, why) {
		t.Errorf("wait: %v", err)
	}
}
