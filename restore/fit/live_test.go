package fit

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gocql/gocql"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/cassandra/sstable"
)

// TestWhatIsMendedCanBeImported has a node read SSTables whose columns its schema lacks: it cannot, and can after the
// statements have run. Its own rows of system_schema fit the SSTables that it flushed.
func TestWhatIsMendedCanBeImported(t *testing.T) {
	live := cassandratest.Run(t, cassandratest.Options{Version: "4.1.10"}).Nodes[0]
	n, err := node.New(live.Config(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	s, err := live.Session()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	run(t, s, "CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
		"CREATE TYPE shop.place (street text, zip int)",
		`CREATE TABLE shop.orders (k int, c timestamp, s set<text> static, "Home" frozen<place>, other place, m map<text, frozen<list<int>>>, gone text, n int,
			PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)`,
		`INSERT INTO shop.orders (k, c, s, "Home", other, m, gone, n) VALUES (1, 5, {'a'}, {street: 'x', zip: 4}, {street: 'y', zip: 5}, {'z': [1, 2]}, 'was', 7) USING TIMESTAMP 1000`)
	nodetool(t, live, "flush", "shop")
	dir, h := copied(t, n)
	if got := against(liveTable(t, n), h, "nb"); len(got) > 0 {
		t.Fatalf("its own schema: %+v", got)
	}
	// The drop is of a time before the row, whose value stays hidden all the same where there is no column.
	run(t, s, "DROP TABLE shop.orders", "CREATE TABLE shop.orders (k int, c timestamp, n int, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC)")
	if out, err := exec.Command(live.Bin("nodetool"), "import", "--copy-data", "shop", "orders", dir).CombinedOutput(); err == nil && selects(s) == nil {
		t.Fatalf("SSTables with unknown columns are imported and read: %s", out)
	}
	run(t, s, "TRUNCATE shop.orders")
	problems := against(liveTable(t, n), h, "nb", Drop{"shop", "orders", "gone", 2000, false})
	r := Result{Tables: []TableFit{{Columns: problems}}}
	if len(problems) != 5 || len(r.Mend()) != 6 {
		t.Fatalf("%+v", problems)
	}
	run(t, s, r.Mend()...)
	if got := against(liveTable(t, n), h, "nb", Drop{"shop", "orders", "gone", 2000, false}); len(got) > 0 {
		t.Fatalf("the mended schema: %+v", got)
	}
	nodetool(t, live, "import", "--copy-data", "shop", "orders", dir)
	var number int
	var street string
	if err := s.Query(`SELECT n, "Home".street FROM shop.orders WHERE k = 1`).Scan(&number, &street); err != nil || number != 7 || street != "x" {
		t.Errorf("%d, %q, %v", number, street, err)
	}
}

func run(t *testing.T, s *gocql.Session, statements ...string) {
	t.Helper()
	for _, cql := range statements {
		if err := s.Query(cql).Exec(); err != nil {
			t.Fatalf("%s: %v", cql, err)
		}
	}
}

// selects reads all rows.
func selects(s *gocql.Session) error {
	iter := s.Query("SELECT * FROM shop.orders").Iter()
	for iter.MapScan(make(map[string]any)) {
	}
	return iter.Close()
}

func nodetool(t *testing.T, n *cassandratest.Node, args ...string) {
	t.Helper()
	if out, err := exec.Command(n.Bin("nodetool"), args...).CombinedOutput(); err != nil {
		t.Fatalf("nodetool %s: %v: %s", args, err, out)
	}
}

// liveTable is the table as the node's rows have it.
func liveTable(t *testing.T, n *node.Node) *Table {
	t.Helper()
	rows, err := n.System(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tables, err := FromRows(rows, func(keyspace string) bool { return keyspace == "shop" })
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	return &tables[0]
}

// copied copies the flushed SSTables of the table, and reads the header of one.
func copied(t *testing.T, n *node.Node) (dir string, h *sstable.Header) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.Layout().DataDirs[0], "shop/orders-*/*.*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	dir = filepath.Join(t.TempDir(), "shop", "orders")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, from := range files {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(from)), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(from, sstable.Statistics) {
			m, err := sstable.ParseStatistics(b, "nb")
			if err != nil {
				t.Fatal(err)
			}
			h = &m.Header
		}
	}
	return dir, h
}
