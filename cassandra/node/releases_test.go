package node_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
)

// oneRelease is a node of a release, and how to reach it.
type oneRelease struct {
	version string
	server  *cassandratest.Node
	node    *node.Node
	session *gocql.Session
}

// TestEveryRelease runs what a backup asks of a node on a real one of each release, one at a time: the node that the
// other tests share rests meanwhile.
func TestEveryRelease(t *testing.T) {
	if err := live.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"3.11.19", "4.0.19", "4.1.10", "5.0.6"} {
		t.Run(version, func(t *testing.T) {
			r := startRelease(t, version)
			t.Run("tells who it is and what ring it is in", r.testIdentityAndRing)
			t.Run("takes and clears a snapshot", r.testSnapshot)
			t.Run("its rows become a schema that makes the same rows", r.testSchema)
			t.Run("its roles become CQL that makes the same roles", r.testRoles)
			t.Run("a user who may not read roles finds them absent", r.testRolesForbidden)
		})
	}
	if err := live.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func startRelease(t *testing.T, version string) *oneRelease {
	t.Helper()
	c, err := cassandratest.New(t.TempDir(), cassandratest.Options{Version: version, Auth: true, ExtraYAML: richYAML(version)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	start := exec.CommandContext(t.Context(), c.Nodes[0].Bin("start"))
	start.Env = append(os.Environ(), "CASSANDRATEST_JVM=-Dcassandra.triggers_dir="+triggersDir(t, version))
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("start: %v\n%s", err, out)
	}
	r := &oneRelease{version: version, server: c.Nodes[0]}
	r.node = r.connect(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // ends a hang, not a slow machine
	defer cancel()
	if err := r.node.WaitUp(ctx); err != nil {
		t.Fatal(err)
	}
	if r.session, err = r.server.Session(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.session.Close)
	return r
}

// connect makes a node.Node of the release's node, its configuration changed by edit.
func (r *oneRelease) connect(t *testing.T, edit func(*node.Config)) *node.Node {
	t.Helper()
	c := r.server.Config()
	if edit != nil {
		edit(&c)
	}
	n, err := node.New(c, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func (r *oneRelease) exec(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := r.session.Query(s).Exec(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func (r *oneRelease) testIdentityAndRing(t *testing.T) {
	id, err := r.node.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id.Version != r.version || id.Cluster != "test" || id.DC != "dc1" || len(id.Tokens) != 4 || !uuid.MatchString(id.HostID) {
		t.Errorf("identity %+v", id)
	}
	got, err := r.node.Ring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []ring.Member{{HostID: id.HostID, Address: r.server.Address, DC: "dc1", Rack: "rack1", State: ring.Normal, Up: true, Tokens: id.Tokens}}
	if diff := cmp.Diff(want, got.Members); diff != "" || got.Replication["system_auth"] == nil {
		t.Errorf("replication %v, members (-want +got):\n%s", got.Replication, diff)
	}
}

func (r *oneRelease) testSnapshot(t *testing.T) {
	r.exec(t, `CREATE KEYSPACE snapped WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
		`CREATE TABLE snapped."T" (id int PRIMARY KEY)`, `INSERT INTO snapped."T" (id) VALUES (1)`)
	if err := r.node.Snapshot(t.Context(), "each-release"); err != nil {
		t.Fatal(err)
	}
	dirs, err := r.node.SnapshotTables("each-release")
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(dirs, func(d node.TableDir) bool { return d.Keyspace == "snapped" && d.Table == "T" })
	if at < 0 {
		t.Fatalf("no directory of the table among %d", len(dirs))
	}
	if all, err := dirs[at].SSTables(); err != nil || len(all) != 1 {
		t.Errorf("SSTables %v, error %v", all, err)
	}
	if err := r.node.ClearSnapshot(t.Context(), "each-release"); err != nil {
		t.Fatal(err)
	}
	if dirs, err := r.node.SnapshotTables("each-release"); err != nil || len(dirs) != 0 {
		t.Errorf("after clearing: %v, error %v", dirs, err)
	}
	r.exec(t, "DROP KEYSPACE snapped")
}

// rows reads the rows of the rich keyspaces, in the order in which they come.
func (r *oneRelease) rows(t *testing.T) *schema.System {
	t.Helper()
	s, err := r.node.System(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []*[]schema.Row{&s.Keyspaces, &s.Tables, &s.Columns, &s.DroppedColumns, &s.Types, &s.Functions,
		&s.Aggregates, &s.Views, &s.Indexes, &s.Triggers, &s.ColumnMasks} {
		*rows = slices.DeleteFunc(*rows, func(row schema.Row) bool { return !slices.Contains(richKeyspaces, row["keyspace_name"].(string)) })
	}
	return s
}

func (r *oneRelease) testSchema(t *testing.T) {
	r.exec(t, richFor(r.version)...)
	if t.Failed() {
		t.FailNow()
	}
	before := r.rows(t)
	keyspaces, err := before.CQL()
	if err != nil {
		t.Fatal(err)
	}
	writeRowsFile(t, r.version, before)
	t.Run("Schema gives the same text", func(t *testing.T) { r.testText(t, keyspaces) })
	for _, k := range keyspaces {
		r.exec(t, fmt.Sprintf(`DROP KEYSPACE "%s"`, k.Name))
	}
	for _, k := range keyspaces {
		r.exec(t, k.Statements...)
	}
	if diff := cmp.Diff(before, r.rows(t), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("rows of the schema (-before +after):\n%s", diff)
	}
}

// defaults are the options that DESCRIBE prints and no row holds.
var defaults = strings.NewReplacer("    AND allow_auto_snapshot = true\n", "", "    AND cdc = false\n", "", "    AND memtable = 'default'\n", "",
	"    AND incremental_backups = true\n", "", " default int", ` "default" int`)

// testText compares what is rendered with what Schema gives, and with DESCRIBE where the release has it and what it says
// can be run.
func (r *oneRelease) testText(t *testing.T, want []schema.Keyspace) {
	got, err := r.node.Schema(t.Context())
	if err != nil || got.Absent != "" {
		t.Fatalf("absent %q, error %v", got.Absent, err)
	}
	rich := slices.IndexFunc(got.Keyspaces, func(k node.KeyspaceSchema) bool { return k.Name == "Rich" })
	if rich < 0 {
		t.Fatalf("no keyspace Rich in %v", got.Keyspaces)
	}
	if diff := cmp.Diff(want[0].CQL, got.Keyspaces[rich].CQL); diff != "" {
		t.Errorf("rendered and Schema (-rendered +got):\n%s", diff)
	}
	described, err := r.node.Describe(t.Context())
	if r.version < "4" {
		if err == nil {
			t.Errorf("describes itself: %v", described)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range described {
		compareDescribed(t, want[i].Statements, statements(defaults.Replace(k.CQL)))
	}
}

// statements parts the text of DESCRIBE after each semicolon that ends a line. What it comments out ends in its midst.
func statements(text string) []string {
	var all []string
	for s := range strings.SplitAfterSeq(text, ";\n") {
		if s = strings.TrimSpace(strings.TrimPrefix(s, "*/")); s != "" {
			all = append(all, s)
		}
	}
	return all
}

// droppedAt finds when a column was dropped. Cassandra's tables have it in milliseconds, while its memory, until the next
// start, counts the microseconds of statements within one.
var droppedAt = regexp.MustCompile(`( USING TIMESTAMP [0-9]+)[0-9]{3};`)

// compareDescribed finds each rendered statement in what DESCRIBE says, but for those that it does not say rightly: tables
// with COMPACT STORAGE, a body with $$, triggers, and the order of dropped columns.
func compareDescribed(t *testing.T, rendered, described []string) {
	t.Helper()
	for i := range described {
		described[i] = droppedAt.ReplaceAllString(described[i], "${1}000;")
	}
	for _, s := range rendered {
		apart := strings.Contains(s, "COMPACT STORAGE") || strings.Contains(s, "$$ */") || strings.Contains(s, `TABLE "Rich".dropped (`) ||
			strings.HasPrefix(s, "CREATE TRIGGER")
		if found := slices.Contains(described, s); found == apart {
			t.Errorf("DESCRIBE has it: %v\n%s", found, s)
		}
	}
	if len(rendered) < 2 || len(described) < 2 {
		t.Errorf("%d rendered, %d described", len(rendered), len(described))
	}
}

var roleStatements = []struct{ from, cql string }{
	{"3", `CREATE ROLE "Group One" WITH SUPERUSER = false AND LOGIN = false`},
	{"3", `CREATE ROLE ada WITH PASSWORD = 'it''s hers' AND LOGIN = true`},
	{"3", `CREATE ROLE boss WITH PASSWORD = 'x' AND LOGIN = true AND SUPERUSER = true`},
	{"3", `GRANT "Group One" TO ada`},
	{"3", `GRANT SELECT ON ALL KEYSPACES TO "Group One"`},
	{"3", `GRANT ALTER ON KEYSPACE "Rich" TO ada`},
	{"3", `GRANT MODIFY ON TABLE "Rich"."Everything" TO ada`},
	{"3", `GRANT CREATE ON ALL ROLES TO ada`},
	{"3", `GRANT AUTHORIZE ON ROLE "Group One" TO ada`},
	{"3", `GRANT EXECUTE ON ALL FUNCTIONS TO ada`},
	{"3", `GRANT EXECUTE ON ALL FUNCTIONS IN KEYSPACE "Rich" TO ada`},
	{"4", `GRANT EXECUTE ON FUNCTION "Rich"."Of"("Place") TO ada`},
	{"4", `GRANT EXECUTE ON FUNCTION "Rich".plus(bigint, map<text, int>) TO ada`},
	{"4", `GRANT EXECUTE ON FUNCTION "Rich".fold(tuple<int, text>, int) TO ada`},
	{"3", `GRANT SELECT ON ALL MBEANS TO ada`},
	{"3", `GRANT EXECUTE ON MBEANS 'org.apache.cassandra.db:type=Tables,*' TO ada`},
	{"4.1", `GRANT SELECT ON ALL TABLES IN KEYSPACE "Rich" TO ada`},
	{"5", `GRANT UNMASK ON TABLE "Rich".masked TO ada`},
	{"5", `GRANT SELECT_MASKED ON TABLE "Rich".masked TO ada`},
	{"5", `ADD IDENTITY 'spiffe://one/two' TO ROLE ada`},
}

func (r *oneRelease) testRoles(t *testing.T) {
	for _, s := range roleStatements {
		if r.version >= s.from {
			r.exec(t, s.cql)
		}
	}
	before, err := r.node.Roles(t.Context())
	if err != nil || before.Absent != "" {
		t.Fatalf("absent %q, error %v", before.Absent, err)
	}
	r.exec(t, `DROP ROLE "Group One"`, `DROP ROLE ada`, `DROP ROLE boss`)
	if gone, err := r.node.Roles(t.Context()); err != nil || strings.Contains(gone.CQL, "ada") {
		t.Fatalf("after dropping: error %v\n%s", err, gone.CQL)
	}
	r.exec(t, statements(before.CQL)...)
	after, err := r.node.Roles(t.Context())
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("error %v (-before +after):\n%s", err, diff)
	}
	for _, want := range []string{`GRANT "Group One" TO ada;`, `GRANT MODIFY ON TABLE "Rich"."Everything" TO ada;`, "$2a$"} {
		if !strings.Contains(after.CQL, want) {
			t.Errorf("no %s in\n%s", want, after.CQL)
		}
	}
	if strings.Contains(after.CQL, "--") {
		t.Errorf("something was not translated:\n%s", after.CQL)
	}
}

func (r *oneRelease) testRolesForbidden(t *testing.T) {
	r.exec(t, `CREATE ROLE nobody WITH PASSWORD = 'nothing' AND LOGIN = true`)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := r.connect(t, func(c *node.Config) { c.CQL.Username, c.CQL.PasswordFile = "nobody", password })
	got, err := n.Roles(t.Context())
	if err != nil || got.CQL != "" || !strings.Contains(got.Absent, "system_auth cannot be read") {
		t.Errorf("roles %+v, error %v", got, err)
	}
}
