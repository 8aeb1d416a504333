package node_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/cassandra/sstable"
)

// snapshot takes a snapshot that ends with the test.
func snapshot(t *testing.T, n *node.Node, tag string) []node.TableDir {
	t.Helper()
	if err := n.Snapshot(t.Context(), tag); err != nil {
		t.Fatal(err)
	}
	dirs, err := n.SnapshotTables(tag)
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// tableNames gives the tables that have a directory, each once.
func tableNames(dirs []node.TableDir) []string {
	var names []string
	for _, d := range dirs {
		names = append(names, fmt.Sprintf("%s.%s %s", d.Keyspace, d.Table, d.ID))
	}
	return slices.Compact(names)
}

func TestASnapshotHasEveryTableOfTheSchemaAndNoOther(t *testing.T) {
	keyspace(t, "Every",
		`CREATE TABLE %s.empty (id int PRIMARY KEY, v text)`,
		`CREATE TABLE %s."Full" (id int PRIMARY KEY, v text)`,
		`INSERT INTO %s."Full" (id, v) VALUES (1, 'x')`,
		`CREATE TABLE %s.counted (id int PRIMARY KEY, n counter)`,
		`CREATE MATERIALIZED VIEW %[1]s.seen AS SELECT * FROM %[1]s."Full" WHERE v IS NOT NULL AND id IS NOT NULL PRIMARY KEY (v, id)`,
	)
	n := connect(t, nil)
	dirs := snapshot(t, n, "every")
	schema, err := n.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, table := range schema.Tables {
		want = append(want, fmt.Sprintf("%s.%s %s", table.Keyspace, table.Name, table.ID))
	}
	if diff := cmp.Diff(want, tableNames(dirs)); diff != "" {
		t.Errorf("(-schema +snapshot):\n%s", diff)
	}
	manifests := make(map[string]bool)
	for _, d := range dirs {
		if _, err := d.SSTables(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(d.Path + "/manifest.json"); err == nil {
			manifests[d.ID] = true
		}
	}
	if len(manifests) != len(want) {
		t.Errorf("%d manifests for %d tables", len(manifests), len(want))
	}
	clear(t, n, "every")
}

func clear(t *testing.T, n *node.Node, tag string) {
	t.Helper()
	if err := n.ClearSnapshot(t.Context(), tag); err != nil {
		t.Error(err)
	}
	if dirs, err := n.SnapshotTables(tag); err != nil || len(dirs) != 0 {
		t.Errorf("after clearing: %d directories, error %v", len(dirs), err)
	}
}

func TestASnapshotHasAllComponentsOfItsSSTables(t *testing.T) {
	s := keyspace(t, "indexed",
		`CREATE TABLE %s.t (id int PRIMARY KEY, mail text, age int)`,
		`CREATE INDEX by_mail ON %s.t (mail)`,
		`CREATE INDEX by_age ON %s.t (age) USING 'sai'`,
	)
	for i := range 100 {
		if err := s.Query(`INSERT INTO indexed.t (id, mail, age) VALUES (?, ?, ?)`, i, fmt.Sprint("m", i), i).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	n := connect(t, nil)
	subs, dataDirs := make(map[string]bool), make(map[int]bool)
	sai := 0
	for _, d := range snapshot(t, n, "indexed") {
		if d.Keyspace != "indexed" {
			continue
		}
		all, err := d.SSTables()
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range all {
			subs[table.Sub] = true
			dataDirs[d.DataDir] = true
			sai += checkSSTable(t, table)
		}
	}
	if diff := cmp.Diff(map[string]bool{"": true, ".by_mail": true}, subs); diff != "" {
		t.Errorf("sub-directories (-want +got):\n%s", diff)
	}
	if len(dataDirs) != 2 {
		t.Errorf("SSTables lie in the data directories %v, want both", dataDirs)
	}
	if sai == 0 {
		t.Error("no component of the SAI index")
	}
	clear(t, n, "indexed")
}

// checkSSTable holds a real SSTable against its own TOC and digest, and counts
// its SAI components.
func checkSSTable(t *testing.T, table node.SSTable) (sai int) {
	t.Helper()
	content := make(map[string][]byte)
	var names []string
	for _, f := range table.Files {
		b, err := os.ReadFile(f.Path)
		if err != nil || int64(len(b)) != f.Size {
			t.Fatalf("%s has %d bytes of %d, error %v", f.Path, len(b), f.Size, err)
		}
		component := strings.TrimPrefix(f.Name, table.Desc.Prefix())
		content[component] = b
		names = append(names, component)
		if strings.HasPrefix(component, "SAI+") {
			sai++
		}
	}
	toc, err := sstable.ParseTOC(content[sstable.TOC])
	slices.Sort(toc)
	if diff := cmp.Diff(toc, names); err != nil || diff != "" {
		t.Errorf("error %v, components (-TOC +files):\n%s", err, diff)
	}
	digest, err := sstable.ParseDigest(content[sstable.Digest])
	if sum := crc32.ChecksumIEEE(content[sstable.Data]); err != nil || digest != sum {
		t.Errorf("digest %d, CRC of the file %d, error %v", digest, sum, err)
	}
	return sai
}

func TestASnapshotStaysUntilItIsCleared(t *testing.T) {
	n := connect(t, nil)
	t.Run("taken", func(t *testing.T) {
		keyspace(t, "dropped", `CREATE TABLE %s.t (id int PRIMARY KEY)`, `INSERT INTO %s.t (id) VALUES (1)`)
		snapshot(t, n, "stays")
	})
	dirs, err := n.SnapshotTables("stays")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(dirs, func(d node.TableDir) bool { return d.Keyspace == "dropped" }) {
		t.Error("the snapshot of the dropped table is gone")
	}
	err = n.Snapshot(t.Context(), "stays")
	var failed *node.CommandError
	if !errors.As(err, &failed) || failed.ExitCode != 2 || !strings.Contains(err.Error(), "Snapshot stays already exists") {
		t.Errorf("the same tag again: %v", err)
	}
	clear(t, n, "stays")
	clear(t, n, "stays") // clearing what is cleared is no error
}

func TestNodetoolThatCannotConnectIsACommandError(t *testing.T) {
	n := connect(t, func(c *node.Config) { c.Nodetool = []string{live.Bin("nodetool"), "-h", "127.0.0.1", "-p", "1"} })
	for what, err := range map[string]error{
		"snapshot":      n.Snapshot(t.Context(), "x"),
		"clearsnapshot": n.ClearSnapshot(t.Context(), "x"),
	} {
		var failed *node.CommandError
		if !errors.As(err, &failed) || failed.ExitCode != 1 || !strings.Contains(failed.Output, "Failed to connect") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
