package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
)

// inodes lists what is in the data directories of users' tables, each name with its inode.
func (r *rig) inodes(keyspace string) map[string]uint64 {
	r.t.Helper()
	all := make(map[string]uint64)
	for _, dir := range r.dataDirs() {
		err := filepath.WalkDir(filepath.Join(dir, keyspace), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil {
				all[path] = info.Sys().(*syscall.Stat_t).Ino
			}
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return all
}

// TestAChosenTableComesBackAmongOthers restores one table of a running node: through an index that was made after the
// backup its rows are found too, what was written to others since stays, and a rollback brings today's rows back.
func TestAChosenTableComesBackAmongOthers(t *testing.T) {
	r := newRig(t)
	r.shop(300)
	monday := r.dump()
	r.ok("backup", "--name", "b")
	r.exec(`ALTER TABLE shop.files WITH gc_grace_seconds = 0`)
	r.nodetool("flush", "shop")
	before := r.inodes("shop")
	r.fails(exitRefused, []string{"risk", "tombstones", "shop.files"}, "restore", "b", "--in-place", "--yes", "--keyspace", "shop")
	if diff := cmp.Diff(before, r.inodes("shop")); diff != "" {
		t.Errorf("inodes after a refusal (-before +after):\n%s", diff)
	}

	r.exec(`CREATE INDEX customers_name ON shop.customers (name)`)
	r.cql(func(s *gocql.Session) error { return cassandratest.Fill(s, 7, 100, 400) })
	// These stand in the commit log alone, and must outlive a switch that empties it.
	today := r.dump()
	if len(today["files"]) != 400 || cmp.Equal(today["customers"][:300], monday["customers"]) {
		t.Fatalf("%d files", len(today["files"]))
	}

	plan := r.ok("restore", "b", "--in-place", "--dry-run", "--table", "shop.customers")
	if !strings.Contains(plan, "build anew on shop.customers: index customers_name") || !strings.Contains(plan, "less than a minute to fetch") {
		t.Errorf("plan:\n%s", plan)
	}
	got := doc[restoreJSON](r, "restore", "b", "--in-place", "--yes", "--table", "shop.customers")
	now := r.dump()
	if diff := cmp.Diff(monday["customers"], now["customers"]); diff != "" {
		t.Errorf("customers (-want +got):\n%s", diff)
	}
	for _, other := range []string{"files", "readings"} {
		if diff := cmp.Diff(today[other], now[other]); diff != "" {
			t.Errorf("%s (-before +after):\n%s", other, diff)
		}
	}
	if found := r.query(byName(r, 7)); len(found) == 0 {
		t.Error("through the index nothing is found")
	}
	r.ok("restore", "--rollback", got.ID, "--yes")
	if diff := cmp.Diff(today, r.dump()); diff != "" {
		t.Errorf("rolled back (-before +after):\n%s", diff)
	}
	r.ok("restore", "--commit", got.ID, "--yes")
}

// byName asks for a customer through the index.
func byName(r *rig, id int) string {
	var name string
	r.cql(func(s *gocql.Session) error {
		return s.Query(`SELECT name FROM shop.customers WHERE id = ?`, id).Scan(&name)
	})
	return fmt.Sprintf(`SELECT id FROM shop.customers WHERE name = '%s'`, name)
}
