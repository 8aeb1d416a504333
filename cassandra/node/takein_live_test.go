package node_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gocql/gocql"
)

func TestTheNodeTakesInWhatItOnceHeld(t *testing.T) {
	s := keyspace(t, "Takes_In", `CREATE TABLE %s."Mixed" (id int PRIMARY KEY, v text)`)
	n := connect(t, nil)
	if err := n.Execute(t.Context(), `CREATE INDEX "By_v" ON "Takes_In"."Mixed" (v)`); err != nil {
		t.Fatal(err)
	}
	for id := range 20 {
		if err := s.Query(`INSERT INTO "Takes_In"."Mixed" (id, v) VALUES (?, 'x')`, id).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	staged := filepath.Join(t.TempDir(), "Mixed")
	stageSnapshot(t, staged)
	if err := n.TruncateTable(t.Context(), "Takes_In", "Mixed"); err != nil {
		t.Fatal(err)
	}
	if got := rowsWithX(t, s); got != 0 {
		t.Fatalf("%d rows after it was emptied", got)
	}
	if err := n.Import(t.Context(), "Takes_In", "Mixed", staged); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(staged + "/*-Data.db"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if got := rowsWithX(t, s); got != 20 {
		t.Errorf("the index finds %d rows of 20", got)
	}
	if err := n.Import(t.Context(), "Takes_In", "Mixed", staged+"/absent"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestAStatementThatCassandraRefusesIsToldWithWhatItSays(t *testing.T) {
	n := connect(t, nil)
	err := n.Execute(t.Context(), "CREATE TABLE nowhere.t (id int PRIMARY KEY)")
	if err == nil || !strings.Contains(err.Error(), "nowhere") || !strings.HasPrefix(err.Error(), "CREATE TABLE") {
		t.Errorf("got %v", err)
	}
}

func rowsWithX(t *testing.T, s *gocql.Session) (n int) {
	t.Helper()
	if err := s.Query(`SELECT count(*) FROM "Takes_In"."Mixed" WHERE v = 'x'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// stageSnapshot copies the SSTables of the table into a directory, those of its index left out.
func stageSnapshot(t *testing.T, staged string) {
	t.Helper()
	n := connect(t, nil)
	if err := n.Snapshot(t.Context(), "take-in", "Takes_In"); err != nil {
		t.Fatal(err)
	}
	dirs, err := n.SnapshotTables("take-in")
	if err == nil {
		err = os.Mkdir(staged, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		files, err := filepath.Glob(d.Path + "/*-*")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := os.Link(f, filepath.Join(staged, filepath.Base(f))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := n.ClearSnapshot(t.Context(), "take-in"); err != nil {
		t.Fatal(err)
	}
}
