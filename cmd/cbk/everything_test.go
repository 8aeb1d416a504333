package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"
)

// rows reads every row of every table and view of users, and what the indexes find.
func (e *everything) rows() map[string][]string {
	e.t.Helper()
	queries := everyIndex()
	for name := range e.tables() {
		if keyspace, table := path.Split(name); !strings.HasPrefix(keyspace, "system") || keyspace == "systematics/" {
			queries = append(queries, fmt.Sprintf(`SELECT * FROM "%s"."%s"`, strings.TrimSuffix(keyspace, "/"), table))
		}
	}
	all := make(map[string][]string)
	e.cql(func(s *gocql.Session) error {
		for _, q := range queries {
			rows, err := s.Query(q).Iter().SliceMap()
			if err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
			for _, row := range rows {
				all[q] = append(all[q], fmt.Sprint(row))
			}
			slices.Sort(all[q])
		}
		return nil
	})
	return all
}

// tables are the directories that the tables and views of the schema have, by KEYSPACE/TABLE.
func (e *everything) tables() map[string]string {
	e.t.Helper()
	all := make(map[string]string)
	e.cql(func(s *gocql.Session) error {
		for _, q := range []string{"SELECT keyspace_name, table_name, id FROM system_schema.tables", "SELECT keyspace_name, view_name, id FROM system_schema.views"} {
			rows := s.Query(q).Iter()
			var keyspace, table string
			var id gocql.UUID
			for rows.Scan(&keyspace, &table, &id) {
				all[keyspace+"/"+table] = fmt.Sprintf("%s/%s-%x", keyspace, table, id[:])
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		return nil
	})
	return all
}

// mustBeEverything fails the test where the node does not hold what the test is about.
func (e *everything) mustBeEverything() {
	e.t.Helper()
	for _, premise := range []string{
		"data/every/lz4-*/nb-*-big-Data.db", "data2/every/lz4-*/nb-*-big-Data.db", "data2/every/lz4-*/da-*-bti-Data.db",
		"data*/Mixed/Quoted_Name-*/.Quoted_Index/nb-*-big-Data.db", "data/Mixed/Quoted_View-*/da-*-bti-Data.db",
		"data/every/sasi-*/nb-*-big-SI_by_sasi.db", "data/every/sai-*/da-*-bti-SAI+*+by_sai+*.db",
		"data/every/peers-*/backups/*-Data.db", "data*/every/indexed-*/backups/.by_v/*-Data.db",
		"data/every/peers-*/snapshots/" + operators, "data/every/dropped-*/snapshots/dropped-*", "data/every/plain-*/stray",
		"local/system/local-*/*-Data.db", "local/system_schema/tables-*/*-Data.db", "data/system_auth/roles-*",
	} {
		if found, err := filepath.Glob(filepath.Join(e.node.Dir, "data", premise)); err != nil || len(found) == 0 {
			e.t.Errorf("the node has no %s: %v", premise, err)
		}
	}
	if again, _ := filepath.Glob(filepath.Join(e.node.Dir, "data/data/every/again-*")); len(again) != 2 {
		e.t.Errorf("directories of a table that was dropped and made again: %v", again)
	}
	have := e.compressions("every")
	for _, want := range []string{"none plain", "LZ4Compressor 16384 lz4", "SnappyCompressor 16384 snappy", "DeflateCompressor 16384 deflate", "ZstdCompressor 16384 zstd"} {
		if have[want] < 4 {
			e.t.Errorf("%d SSTables %s, want two in each data directory: %v", have[want], want, have)
		}
	}
}

func TestEverythingInTheDataDirectoriesIsBackedUpAndComesBack(t *testing.T) {
	e := newEverything(t)
	e.second()
	e.mustBeEverything()
	rows := e.rows()
	kept := doc[backupJSON](e.rig, "backup", "--name", "all", "--keep-snapshot")
	e.mustBeWhole(kept)
	e.choose(kept.SnapshotLeft)
	placed := users(e.snapshot(kept.SnapshotLeft, e.dataDirs()[1]))
	e.nodetool("clearsnapshot", "-t", kept.SnapshotLeft)
	e.operatorsOwn()
	tables := e.tables()
	e.stop()
	e.offline(tables)
	e.destroy()
	e.ok("restore", "all", "--in-place", "--yes")
	if diff := cmp.Diff(placed, users(e.live("data2"))); diff != "" {
		t.Errorf("files in the second data directory (-before +restored):\n%s", diff)
	}
	if diff := cmp.Diff(rows, e.rows()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for _, q := range everyIndex() {
		if len(rows[q]) != 8 {
			t.Errorf("%d rows of %s", len(rows[q]), q)
		}
	}
}

// mustBeWhole compares a backup with its snapshot, and the directories of its tables with the schema.
func (e *everything) mustBeWhole(kept backupJSON) {
	e.t.Helper()
	out := e.path("whole")
	e.ok("restore", kept.Backup, "--to", out)
	e.mustBeSnapshot(out, kept)
	if diff := cmp.Diff(slices.Sorted(maps.Values(e.tables())), directories(e.t, out)); diff != "" {
		e.t.Errorf("directories of tables (-schema +restored):\n%s", diff)
	}
	empty := 0
	for _, f := range doc[struct{ Files []fileJSON }](e.rig, "files", kept.Backup).Files {
		if f.Size == 0 && strings.HasSuffix(f.Path, "-Rows.db") {
			empty++
		}
	}
	if empty == 0 {
		e.t.Error("no empty file among those of the snapshot")
	}
}

// choose backs up parts of a snapshot that stands.
func (e *everything) choose(tag string) {
	e.t.Helper()
	all := slices.Sorted(maps.Keys(e.tables()))
	that := func(keep func(keyspace, table string) bool) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !keep(path.Split(name)) })
	}
	system := func(keyspace, _ string) bool { return strings.HasPrefix(keyspace, "system") }
	for i, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--table", "every.peers*", "--exclude", "*.peers"}, []string{"every/peers_x"}},
		{[]string{"--table", "*.peers"}, []string{"every/peers", "system/peers"}},
		{[]string{"--keyspace", "system*"}, that(system)},
		{[]string{"--exclude", "system", "--exclude", "system_*"}, that(func(k, t string) bool { return !system(k, t) || k == "systematics/" })},
		{[]string{"--keyspace", "mixed", "--table", "Mixed.*View"}, []string{"Mixed/Quoted_View", "mixed/quoted_name"}},
	} {
		e.mustChoose(fmt.Sprintf("part-%d", i), c.want, append(c.args, "--use-snapshot", tag)...)
	}
	for _, args := range [][]string{{"--keyspace", "MIXED"}, {"--table", "mixed.Quoted_Name"}} {
		e.fails(2, []string{"not-found", args[1]}, append([]string{"backup", "--use-snapshot", tag}, args...)...)
	}
	// Here nodetool takes the snapshot, of both keyspaces by their names.
	e.mustChoose("quoted", []string{"Mixed/Quoted_Name", "mixed/quoted_name"}, "--keyspace", "[Mm]ixed", "--exclude", "Mixed.*View")
}

// mustChoose makes a backup, which must have these tables and no other.
func (e *everything) mustChoose(name string, want []string, args ...string) {
	e.t.Helper()
	e.ok(append([]string{"backup", "--name", name}, args...)...)
	var got []string
	for _, table := range doc[showJSON](e.rig, "show", name).Nodes[0].Tables {
		got = append(got, table.Keyspace+"/"+table.Table)
	}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		e.t.Errorf("backup %v (-want +got):\n%s", args, diff)
	}
}

// operatorsOwn backs up a snapshot that is older than a table of today and has one that is gone, and an empty component.
func (e *everything) operatorsOwn() {
	e.t.Helper()
	toc := e.one("data2", "every/plain-*/snapshots/"+operators+"/*-TOC.txt")
	empty := strings.TrimSuffix(toc, "TOC.txt") + "Empty.db"
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		e.t.Fatal(err)
	}
	e.fails(1, []string{"every.again"}, "backup", "--name", "operators", "--use-snapshot", operators)
	code, stdout, stderr := e.run("backup", "--name", "operators", "--use-snapshot", operators, "--allow-missing", "--json")
	var took backupJSON
	if err := json.Unmarshal([]byte(stdout), &took); err != nil || code != 3 || !slices.Equal(took.Missing, []string{"every.again"}) {
		e.t.Fatalf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	e.ok("restore", "operators", "--to", e.path("operators"))
	took.SnapshotLeft = operators
	e.mustBeSnapshot(e.path("operators"), took)
	if found, _ := filepath.Glob(filepath.Join(e.path("operators"), "every/plain-*", filepath.Base(empty))); len(found) != 1 {
		e.t.Errorf("the empty component came back as %v", found)
	}
}

// live reads the files in a data directory that are neither of a snapshot nor of incremental backups, and of a table.
func (e *everything) live(dir string) map[string]string {
	e.t.Helper()
	all := make(map[string]string)
	collect(e.t, filepath.Join(e.node.Dir, "data", dir), all, func(rel string) (string, bool) {
		return rel, !strings.Contains(rel, "/snapshots/") && !strings.Contains(rel, "/backups/") && !strings.HasPrefix(rel, "system/_paxos_repair_state/")
	})
	return all
}

// users lists the files of users' tables, which a node leaves as they are where nobody writes.
func users(files map[string]string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(name string) bool {
		return strings.HasPrefix(name, "system/") || strings.HasPrefix(name, "system_")
	})
}

// offline backs up the stopped node and compares the backup with what lies in its directories, byte for byte. A file that
// is not Cassandra's is refused by its name.
func (e *everything) offline(tables map[string]string) {
	e.t.Helper()
	e.fails(1, []string{"stray"}, "backup", "--offline")
	if err := os.Remove(e.one("data", "every/plain-*/stray")); err != nil {
		e.t.Fatal(err)
	}
	want, got := make(map[string]string), make(map[string]string)
	for _, dir := range []string{"data", "data2", "local"} {
		maps.Copy(want, e.live(dir))
	}
	e.ok("backup", "--name", "stopped", "--offline")
	e.ok("restore", "stopped", "--to", e.path("stopped"))
	collect(e.t, e.path("stopped"), got, func(rel string) (string, bool) { return rel, true })
	if diff := cmp.Diff(want, got); diff != "" {
		e.t.Errorf("files of the stopped node (-live +restored):\n%s", diff)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Values(tables)), directories(e.t, e.path("stopped"))); diff != "" {
		e.t.Errorf("directories of tables of the stopped node (-schema +restored):\n%s", diff)
	}
}

// destroy empties the data directories.
func (e *everything) destroy() {
	e.t.Helper()
	for _, dir := range e.dataDirs() {
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
			e.t.Fatal(err)
		}
	}
}

// directories lists the directories of tables below a restored directory.
func directories(t testing.TB, dir string) (names []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		names = append(names, strings.TrimPrefix(f, dir+"/"))
	}
	slices.Sort(names)
	return names
}
