package cassandratest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"
)

// The story of one node: filled, dumped, changed, a table loaded again from its
// snapshot, the node killed and back.
func TestTheShopOnOneNode(t *testing.T) {
	c := Run(t, Options{})
	s := session(t, c.Nodes[0])
	if err := CreateShop(s, 1); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 1, 0, 400)
	first := dump(t, s)
	for table, rows := range first {
		if len(rows) != 400 {
			t.Errorf("%s has %d rows", table, len(rows))
		}
	}
	t.Run("the same seed writes the same rows", func(t *testing.T) {
		fill(t, s, 1, 100, 200)
		if diff := cmp.Diff(first, dump(t, s)); diff != "" {
			t.Errorf("(-first +second):\n%s", diff)
		}
	})
	t.Run("another seed writes other values to the same keys", func(t *testing.T) {
		fill(t, s, 2, 0, 10)
		for table, rows := range dump(t, s) {
			if len(rows) != 400 || common(rows, first[table]) != 390 {
				t.Errorf("%s: %d rows, %d as they were", table, len(rows), common(rows, first[table]))
			}
		}
		fill(t, s, 1, 0, 10)
	})
	t.Run("rows are deleted", func(t *testing.T) { testDelete(t, s, first) })
	t.Run("a table is loaded from its snapshot", func(t *testing.T) { testLoad(t, c.Nodes[0], s, first) })
	t.Run("the node is killed and comes back with every row", func(t *testing.T) { testKill(t, c.Nodes[0], first) })
}

func session(t *testing.T, n *Node) *gocql.Session {
	t.Helper()
	s, err := n.Session()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func fill(t *testing.T, s *gocql.Session, seed uint64, from, to int) {
	t.Helper()
	if err := Fill(s, seed, from, to); err != nil {
		t.Fatal(err)
	}
}

func dump(t *testing.T, s *gocql.Session) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, table := range Tables() {
		rows, err := Dump(s, table)
		if err != nil {
			t.Fatal(err)
		}
		all[table] = rows
	}
	return all
}

// common counts the rows that two sorted dumps share.
func common(a, b []string) int {
	n := 0
	for _, row := range a {
		if _, found := slices.BinarySearch(b, row); found {
			n++
		}
	}
	return n
}

func testDelete(t *testing.T, s *gocql.Session, first map[string][]string) {
	if err := Delete(s, 50, 75); err != nil {
		t.Fatal(err)
	}
	for table, rows := range dump(t, s) {
		if len(rows) != 375 || common(rows, first[table]) != 375 {
			t.Errorf("%s: %d rows, %d as they were", table, len(rows), common(rows, first[table]))
		}
	}
	fill(t, s, 1, 50, 75)
}

// testLoad runs the tools of the bin folder on real SSTables.
func testLoad(t *testing.T, n *Node, s *gocql.Session, first map[string][]string) {
	run(t, n.Bin("nodetool"), "-Dsome.option=1", "snapshot", "-t", "load", Shop)
	data := copySnapshot(t, n, filepath.Join(t.TempDir(), Shop, "files"))
	if out := run(t, n.Bin("sstabledump"), "-e", data); !strings.Contains(out, "file-000000") {
		t.Errorf("sstabledump: %s", out)
	}
	if out := run(t, n.Bin("sstablemetadata"), data); !strings.Contains(out, "Murmur3Partitioner") {
		t.Errorf("sstablemetadata: %s", out)
	}
	if err := s.Query("TRUNCATE shop.files").Exec(); err != nil {
		t.Fatal(err)
	}
	run(t, n.Bin("sstableloader"), "-d", n.Address, "-f", n.YAML(), "--no-progress", filepath.Dir(data))
	if diff := cmp.Diff(first["files"], dump(t, s)["files"]); diff != "" {
		t.Errorf("(-first +loaded):\n%s", diff)
	}
}

// copySnapshot copies the snapshot of shop.files and returns one Data.db of it.
func copySnapshot(t *testing.T, n *Node, to string) (data string) {
	t.Helper()
	files, err := filepath.Glob(n.path("data/data/shop/files-*/snapshots/load/nb-*"))
	if err != nil || os.MkdirAll(to, 0o755) != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Link(f, filepath.Join(to, filepath.Base(f))); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "-Data.db") {
			data = filepath.Join(to, filepath.Base(f))
		}
	}
	if data == "" {
		t.Fatal("the snapshot has no Data.db")
	}
	return data
}

func testKill(t *testing.T, n *Node, first map[string][]string) {
	n.Kill()
	if n.Running() {
		t.Fatal("the node runs")
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, dump(t, session(t, n))); diff != "" {
		t.Errorf("(-first +after):\n%s", diff)
	}
}

func TestDumpKnowsOnlyTheTablesOfTheShop(t *testing.T) {
	if _, err := Dump(nil, "customers; DROP"); err == nil {
		t.Error("no error")
	}
}

func TestDataIsMadeBySeedAndNumberAlone(t *testing.T) {
	sensor, day, at := reading(20*60*25 + 7)
	if sensor != 7 || at.Format("2006-01-02 15:04") != "2024-01-02 01:00" || day.Format("2006-01-02 15:04") != "2024-01-02 00:00" {
		t.Errorf("reading of sensor %d on %s at %s", sensor, day, at)
	}
	if name, part := file(4*17 + 3); name != "file-000017" || part != 3 {
		t.Errorf("part %d of %s", part, name)
	}
}
