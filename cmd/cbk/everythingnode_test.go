package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gocql/gocql"

	"cbk/cassandra/cassandratest"
)

// everyTable is a table of two columns with rows, by its name in CQL and on disk.
type everyTable struct {
	cql, disk string
	columns   [2]string
	with      string
	made      []string // statements that make of it what has SSTables or components of its own
}

// idv are the columns of a table where their names do not matter.
var idv = [2]string{"id", "v"}

// everyTables are what a node can hold: names that differ in case, names that begin as Cassandra's own do, every compressor,
// every kind of index, a view.
func everyTables() []everyTable {
	return []everyTable{
		{`"Mixed"."Quoted_Name"`, "Mixed/Quoted_Name", [2]string{`"Id"`, `"a ""quoted"" column"`}, "", []string{
			`CREATE INDEX "Quoted_Index" ON "Mixed"."Quoted_Name" ("a ""quoted"" column")`,
			`CREATE MATERIALIZED VIEW "Mixed"."Quoted_View" AS SELECT * FROM "Mixed"."Quoted_Name"
				WHERE "Id" IS NOT NULL AND "a ""quoted"" column" IS NOT NULL PRIMARY KEY ("a ""quoted"" column", "Id")`}},
		{"mixed.quoted_name", "mixed/quoted_name", idv, "", nil},
		{"systematics.local", "systematics/local", idv, "", nil},
		{"every.peers", "every/peers", idv, "", nil},
		{"every.peers_x", "every/peers_x", idv, "", nil},
		{"every.indexed", "every/indexed", idv, "", []string{`CREATE INDEX by_v ON every.indexed (v)`}},
		{"every.sasi", "every/sasi", idv, "", []string{`CREATE CUSTOM INDEX by_sasi ON every.sasi (v) USING 'org.apache.cassandra.index.sasi.SASIIndex'`}},
		{"every.sai", "every/sai", idv, "", []string{`CREATE INDEX by_sai ON every.sai (v) USING 'sai'`}},
		{"every.plain", "every/plain", idv, "WITH compression = {'enabled': false}", nil},
		{"every.lz4", "every/lz4", idv, "WITH compression = {'class': 'LZ4Compressor'}", nil},
		{"every.snappy", "every/snappy", idv, "WITH compression = {'class': 'SnappyCompressor'}", nil},
		{"every.deflate", "every/deflate", idv, "WITH compression = {'class': 'DeflateCompressor'}", nil},
		{"every.zstd", "every/zstd", idv, "WITH compression = {'class': 'ZstdCompressor'}", nil},
		{"every.again", "every/again", idv, "", nil},
		{"every.dropped", "every/dropped", idv, "", nil},
	}
}

func (e everyTable) create() []string {
	return append([]string{fmt.Sprintf("CREATE TABLE %s (%s int PRIMARY KEY, %s text) %s", e.cql, e.columns[0], e.columns[1], e.with)}, e.made...)
}

// everyIndex are queries that an index or the view answers: four of forty rows, or of eighty eight.
func everyIndex() []string {
	return []string{
		`SELECT "Id" FROM "Mixed"."Quoted_Name" WHERE "a ""quoted"" column" = 'value 7'`,
		`SELECT "Id" FROM "Mixed"."Quoted_View" WHERE "a ""quoted"" column" = 'value 7'`,
		"SELECT id FROM every.indexed WHERE v = 'value 7'",
		"SELECT id FROM every.sasi WHERE v = 'value 7'",
		"SELECT id FROM every.sai WHERE v = 'value 7'",
	}
}

// everything is a node whose directories hold all that Cassandra puts there and a little that it does not.
type everything struct{ *rig }

func newEverything(t *testing.T) *everything {
	t.Helper()
	c := cassandratest.Run(t, cassandratest.Options{DataDirs: 2, LocalSystem: true, AutoSnapshot: true, Cluster: "everything",
		ExtraYAML: patient("sasi_indexes_enabled: true", "incremental_backups: true", "flush_compression: table")})
	e := &everything{rigOf(t, c.Nodes[0])}
	e.ok("init", "--pack-size", "1MiB")
	e.cql(func(s *gocql.Session) error { return e.make(s) })
	return e
}

// make makes the tables and fills them. Some end as they should not be found in a backup.
func (e *everything) make(s *gocql.Session) error {
	var all []string
	for _, keyspace := range []string{`"Mixed"`, "mixed", "systematics", "every"} {
		all = append(all, "CREATE KEYSPACE "+keyspace+" WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 1}")
	}
	for _, table := range everyTables() {
		all = append(all, table.create()...)
	}
	if err := runAll(s, append(all, "CREATE TABLE every.empty (id int PRIMARY KEY)")...); err != nil {
		return err
	}
	if err := e.fill(s, everyTables(), 0); err != nil {
		return err
	}
	e.nodetool("flush")
	e.nodetool("snapshot", "-t", operators)
	again := everyTables()[slices.IndexFunc(everyTables(), func(t everyTable) bool { return t.disk == "every/again" })]
	err := runAll(s, append([]string{"DROP TABLE every.dropped", "DROP TABLE every.again"}, again.create()...)...)
	return errors.Join(err, e.fill(s, []everyTable{again}, 0))
}

// operators is the tag of a snapshot that an operator took.
const operators = "Operators_own"

func runAll(s *gocql.Session, statements ...string) error {
	for _, statement := range statements {
		if err := s.Query(statement).Exec(); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// fill writes the forty rows after from into each table.
func (e *everything) fill(s *gocql.Session, tables []everyTable, from int) error {
	for _, t := range tables {
		insert := fmt.Sprintf("INSERT INTO %s (%s, %s) VALUES (?, ?)", t.cql, t.columns[0], t.columns[1])
		for id := from; id < from+40; id++ {
			if err := s.Query(insert, id, fmt.Sprintf("value %d", id%10)).Exec(); err != nil {
				return fmt.Errorf("%s: %w", insert, err)
			}
		}
	}
	return nil
}

// second starts the node again with the format bti and writes the rows after the first forty: each table has SSTables of
// both formats then.
func (e *everything) second() {
	e.t.Helper()
	stray := e.one("data", "every/plain-*") + "/stray"
	if err := os.WriteFile(stray, nil, 0o644); err != nil {
		e.t.Fatal(err)
	}
	e.stop()
	e.addYAML("storage_compatibility_mode: NONE\nsstable:\n  selected_format: bti\n")
	if err := e.node.Start(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	e.cql(func(s *gocql.Session) error {
		last := slices.DeleteFunc(everyTables(), func(t everyTable) bool { return t.disk == "every/dropped" })
		return e.fill(s, last, 40)
	})
	e.nodetool("flush")
}

// stop stops the node with nothing left to replay.
func (e *everything) stop() {
	e.t.Helper()
	e.nodetool("drain")
	if err := e.node.Stop(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
}

func (e *everything) addYAML(lines string) {
	e.t.Helper()
	b, err := os.ReadFile(e.node.YAML())
	if err == nil {
		err = os.WriteFile(e.node.YAML(), append(b, lines...), 0o644)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// one finds the one path in a data directory that matches a pattern.
func (e *everything) one(dir, pattern string) string {
	e.t.Helper()
	found, err := filepath.Glob(filepath.Join(e.node.Dir, "data", dir, pattern))
	if err != nil || len(found) != 1 {
		e.t.Fatalf("%s in %s: %v, %v", pattern, dir, found, err)
	}
	return found[0]
}
