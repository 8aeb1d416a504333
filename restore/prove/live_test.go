package prove_test

import (
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/restore/prove"
)

var _ prove.Querier = (*node.Node)(nil)

// shop are its tables, and some of the kinds that the shop lacks.
func shop(dropped int64) []prove.Table {
	return []prove.Table{
		{Keyspace: "shop", Name: "customers", Key: []string{"id"}},
		{Keyspace: "shop", Name: "readings", Key: []string{"sensor", "day"}},
		{Keyspace: "shop", Name: "files", Key: []string{"name"}},
		{Keyspace: "shop", Name: "by_email", Key: []string{"email"}, View: true},
		{Keyspace: "shop", Name: "visits", Key: []string{"page"}},
		{Keyspace: "shop", Name: "lost", Key: []string{"k"}, Dropped: map[string]int64{"gone": dropped}},
		{Keyspace: "shop", Name: "none", Key: []string{"k"}},
	}
}

// fill writes each row twice, into two SSTables a table, and deletes some; it returns when a column was dropped.
func fill(t *testing.T, s *gocql.Session, flush func(tag string)) int64 {
	t.Helper()
	run := func(statements ...string) {
		for _, stmt := range statements {
			if err := s.Query(stmt).Exec(); err != nil {
				t.Fatalf("%s: %v", stmt, err)
			}
		}
	}
	if err := cassandratest.CreateShop(s, 1); err != nil {
		t.Fatal(err)
	}
	run(`CREATE MATERIALIZED VIEW shop.by_email AS SELECT id, email, name FROM shop.customers
			WHERE email IS NOT NULL AND id IS NOT NULL PRIMARY KEY (email, id)`,
		`CREATE TABLE shop.visits (page text PRIMARY KEY, n counter)`, `CREATE TABLE shop.none (k int PRIMARY KEY)`,
		`CREATE TABLE shop.lost (k int PRIMARY KEY, v text, gone text)`,
		`UPDATE shop.lost SET gone = 'x' WHERE k = 1`, `UPDATE shop.lost SET v = 'x' WHERE k = 2`,
		`UPDATE shop.visits SET n = n + 1 WHERE page = 'start'`)
	for i := range uint64(2) {
		if err := cassandratest.Fill(s, i, 0, 200); err != nil {
			t.Fatal(err)
		}
		if err := cassandratest.Delete(s, 50, 100); err != nil {
			t.Fatal(err)
		}
		run(`UPDATE shop.customers SET email = 'other@example.com' WHERE id = 7`)
		flush([]string{"first", "second"}[i])
	}
	run(`ALTER TABLE shop.lost DROP gone`)
	var dropped time.Time
	if err := s.Query(`SELECT dropped_time FROM system_schema.dropped_columns WHERE keyspace_name = 'shop'`).Scan(&dropped); err != nil {
		t.Fatal(err)
	}
	return dropped.UnixMicro()
}

func TestARealNodeHasWhatItsFilesHaveUntilATableIsEmptied(t *testing.T) {
	live := cassandratest.Run(t, cassandratest.Options{}).Nodes[0]
	n, err := node.New(live.Config(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	s, err := live.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tables := shop(fill(t, s, func(tag string) {
		if err := n.Snapshot(t.Context(), tag, cassandratest.Shop); err != nil {
			t.Fatal(err)
		}
	}))
	dirs, err := n.SnapshotTables("second")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		i := slices.IndexFunc(tables, func(t prove.Table) bool { return t.Name == d.Table })
		tables[i].Dirs = append(tables[i].Dirs, d.Path)
	}
	p := prepare(t, options(prove.Counts), tables...)
	queries, err := prove.ReadQueries(strings.NewReader(`
- query: SELECT id, email, phones FROM shop.customers WHERE id = 70
  rows: 0
- query: SELECT id, email FROM shop.customers WHERE id = 7
  result: [[7, other@example.com]]
`))
	if err != nil {
		t.Fatal(err)
	}
	found, err := prove.Check(t.Context(), n, p, queries)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := found.Text(&text); err != nil || found.Err() != nil {
		t.Errorf("error %v:\n%s", err, &text)
	}
	t.Log(text.String())
	for _, table := range found.Tables {
		if c := table.Counts; len(table.Notes) > 0 || table.Undecided > 0 || table.Sampled == 0 != (table.Table == "none") || !c.Compared || c.Rows != c.Least {
			t.Errorf("%+v, counts %+v", table, c)
		}
	}
	if err := s.Query(`TRUNCATE shop.files`).Exec(); err != nil {
		t.Fatal(err)
	}
	if found, err = prove.Check(t.Context(), n, p, nil); err != nil {
		t.Fatal(err)
	}
	for _, table := range found.Tables {
		if table.Table == "files" && (table.Failed != 11 || !strings.Contains(table.Failures[0], "('file-")) || table.Table != "files" && table.Failed != 0 {
			t.Errorf("after files was emptied: %+v", table)
		}
	}
	if err := found.Err(); err == nil || !strings.Contains(err.Error(), "shop.files: partition 0x") {
		t.Error(err)
	}
}
