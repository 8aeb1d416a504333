package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/restore"
)

// richShop adds to the shop what an import must make again: a dropped column, a view, a counter.
func (r *rig) richShop() {
	r.t.Helper()
	r.cql(func(s *gocql.Session) error {
		for _, cql := range []string{
			`CREATE TABLE shop."Orders" (id int, at int, v text, gone text, PRIMARY KEY (id, at)) WITH CLUSTERING ORDER BY (at DESC)`,
			`CREATE TABLE shop.visits (id int PRIMARY KEY, n counter)`,
			`INSERT INTO shop."Orders" (id, at, v, gone) VALUES (1, 1, 'a', 'x')`,
			`INSERT INTO shop."Orders" (id, at, v, gone) VALUES (1, 2, 'b', 'y')`,
			`INSERT INTO shop."Orders" (id, at, v) VALUES (2, 1, 'a')`,
			`UPDATE shop.visits SET n = n + 3 WHERE id = 7`,
		} {
			if err := s.Query(cql).Exec(); err != nil {
				return fmt.Errorf("%s: %w", cql, err)
			}
		}
		return nil
	})
	r.nodetool("flush", "shop")
	r.exec(`ALTER TABLE shop."Orders" DROP gone`, `CREATE MATERIALIZED VIEW shop.by_v AS SELECT v, id, at FROM shop."Orders"
		WHERE v IS NOT NULL AND id IS NOT NULL AND at IS NOT NULL PRIMARY KEY (v, id, at)`, `CREATE INDEX by_at ON shop."Orders" (at) USING 'sai'`)
	r.built("shop")
}

// built waits until Cassandra has built the view of a keyspace, and an index can be asked.
func (r *rig) built(keyspace string) {
	r.t.Helper()
	r.cql(func(s *gocql.Session) error {
		for {
			var view string
			err := errors.Join(s.Query(`SELECT view_name FROM system.built_views WHERE keyspace_name = ?`, keyspace).Scan(&view),
				s.Query(`SELECT id FROM "`+keyspace+`"."Orders" WHERE at = 1`).Exec())
			if err == nil {
				return nil
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-r.t.Context().Done():
				return err
			}
		}
	})
}

func (r *rig) exec(statements ...string) {
	r.t.Helper()
	r.cql(func(s *gocql.Session) (err error) {
		for _, cql := range statements {
			err = errors.Join(err, s.Query(cql).Exec())
		}
		return err
	})
}

// query reads the rows of statements as text, those of each sorted.
func (r *rig) query(statements ...string) (all []string) {
	r.t.Helper()
	r.cql(func(s *gocql.Session) error {
		for _, cql := range statements {
			rows, err := s.Query(cql).Iter().SliceMap()
			if err != nil {
				return fmt.Errorf("%s: %w", cql, err)
			}
			var some []string
			for _, row := range rows {
				some = append(some, fmt.Sprint(row))
			}
			slices.Sort(some)
			all = append(all, some...)
		}
		return nil
	})
	return all
}

// everyQuery reads all of a keyspace that looks like the shop, by its indexes and its view too.
func everyQuery(keyspace string) []string {
	k := keyspace + "."
	return []string{`SELECT JSON * FROM ` + k + `customers`, `SELECT JSON * FROM ` + k + `readings`, `SELECT JSON * FROM ` + k + `"Orders"`, `SELECT JSON * FROM ` + k + `visits`,
		`SELECT JSON * FROM ` + k + `by_v`, `SELECT JSON id FROM ` + k + `"Orders" WHERE at = 1`,
		`SELECT JSON id FROM ` + k + `customers WHERE email = 'customer7@example.com'`}
}

// writing writes into a table until it is stopped, and returns what was written.
func (r *rig) writing() (stop func() int) {
	end, done := make(chan struct{}), make(chan int)
	r.exec(`CREATE TABLE IF NOT EXISTS shop.busy (id int PRIMARY KEY)`)
	s, err := r.node.Session()
	if err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer s.Close()
		for i := 0; ; i++ {
			select {
			case <-end:
				done <- i
				return
			default:
			}
			if err := s.Query(`INSERT INTO shop.busy (id) VALUES (?)`, i).Exec(); err != nil {
				r.t.Error(err)
			}
		}
	}()
	return sync.OnceValue(func() int { close(end); return <-done })
}

// TestTablesComeBackWhileTheNodeRuns imports into a node that goes on serving: tables that were dropped, one that was only
// changed, a keyspace under another name.
func TestTablesComeBackWhileTheNodeRuns(t *testing.T) {
	cluster := cassandratest.Run(t, cassandratest.Options{DataDirs: 2})
	r := rigOf(t, cluster.Nodes[0])
	r.ok("init", "--pack-size", "1MiB")
	r.shop(300)
	r.richShop()
	want := r.query(everyQuery("shop")...)
	r.ok("backup", "--name", "b", "--keyspace", "shop")

	stop := r.writing()
	defer stop()
	r.exec(`DROP TABLE shop.customers`, `DROP MATERIALIZED VIEW shop.by_v`, `DROP TABLE shop."Orders"`, `DROP TYPE shop.address`, `TRUNCATE shop.visits`, `DELETE FROM shop.readings WHERE sensor = 1 AND day = '2024-01-01'`)
	plan := doc[planJSON](r, "restore", "b", "--import", "--dry-run", "--table", "shop.customers", "--table", "shop.Orders", "--table", "shop.by_v")
	if n := len(plan.Online.Schema) + len(plan.Online.Views); n != 7 || len(plan.Tables) != 2 || plan.Online.Foreign {
		t.Errorf("%d statements: %+v", n, plan)
	}
	got := doc[restoreJSON](r, "restore", "b", "--import", "--yes", "--table", "shop.customers", "--table", "shop.Orders", "--table", "shop.by_v", "--table", "shop.visits")
	if len(got.Verified.Tables) != 3 || got.Import == nil || len(got.Import.Schema)+len(got.Import.Views) != 7 || got.Files == 0 {
		t.Errorf("%+v", got)
	}
	r.built("shop")
	r.fails(5, []string{"risk", "views", "by_v"}, "restore", "b", "--import", "--yes", "--table", "shop.Orders")
	r.exec(`DELETE FROM shop."Orders" WHERE id = 1`)
	r.ok("restore", "b", "--import", "--yes", "--table", "shop.readings", "--table", "shop.Orders", "--table", "shop.by_v", "--truncate-first")
	if diff := cmp.Diff(want, r.query(everyQuery("shop")...)); diff != "" {
		t.Errorf("rows (-want +got):\n%.3000s", diff)
	}
	if n := stop(); n == 0 || len(r.query("SELECT id FROM shop.busy")) != n {
		t.Errorf("of %d rows that were written meanwhile there are %d", n, len(r.query("SELECT id FROM shop.busy")))
	}

	out := r.ok("restore", "b", "--import", "--yes", "--keyspace", "shop", "--as-keyspace", "Copy")
	if !strings.Contains(out, "as keyspace Copy") {
		t.Errorf("it says:\n%s", out)
	}
	r.built("Copy")
	if diff := cmp.Diff(want, r.query(everyQuery(`"Copy"`)...)); diff != "" {
		t.Errorf("rows of the copy (-want +got):\n%.3000s", diff)
	}
	r.exec(`DROP KEYSPACE "Copy"`)
	if left := r.ok("restore", "--status"); strings.Count(left, "committed") != 3 {
		t.Errorf("restores:\n%s", left)
	}
	r.fails(1, []string{"cannot be taken out again"}, "restore", "--rollback", "--yes", got.ID)
	r.fails(2, []string{"not-found", "no table matches"}, "restore", "b", "--import", "--yes", "--table", "shop.none")
}

// TestAnOldReleaseRefreshesWhatIsImported does it on 3.11, which has no import.
func TestAnOldReleaseRefreshesWhatIsImported(t *testing.T) {
	cluster := cassandratest.Run(t, cassandratest.Options{Version: "3.11.19", DataDirs: 2})
	r := rigOf(t, cluster.Nodes[0])
	r.ok("init", "--pack-size", "1MiB")
	r.shop(200)
	want := r.dump()
	r.ok("backup", "--name", "b", "--keyspace", "shop")
	r.exec("DROP TABLE shop.customers", "TRUNCATE shop.readings")
	r.ok("restore", "b", "--import", "--yes", "--table", "shop.customers", "--table", "shop.readings")
	if diff := cmp.Diff(want, r.dump()); diff != "" {
		t.Errorf("rows (-want +got):\n%.3000s", diff)
	}
	if rows := r.query("SELECT id FROM shop.customers WHERE email = 'customer7@example.com'"); len(rows) != 1 {
		t.Errorf("the index finds %v", rows)
	}
}

func TestWhatIsConfirmedIsWhatTheRestoreDoes(t *testing.T) {
	for _, c := range []struct {
		order restore.Order
		says  string
	}{
		{restore.Order{Way: restore.InPlace}, "replaces the node's data"},
		{restore.Order{Way: restore.Import}, "mixes with what is there"},
		{restore.Order{Way: restore.Import, TruncateFirst: true}, "empties the tables"},
	} {
		if got := does(c.order); !strings.Contains(got, c.says) {
			t.Errorf("%+v: %s", c.order, got)
		}
	}
}
