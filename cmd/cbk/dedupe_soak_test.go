//go:build soak

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gocql/gocql"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// dedupeDomain is the one domain of all nodes here: content of one counts as known for the others.
const dedupeDomain = "cluster"

// dedupe is a cluster of three nodes and two repositories of it, one for each recipe. Nodes 1 and 2 are a data centre
// that shares the rows, node 3 is one by itself and has them all.
type dedupe struct {
	t       *testing.T
	cluster *cassandratest.Cluster
	rigs    map[string][]*rig // by recipe, one for each node
	rows    []dedupeRow
}

// dedupeRow is what a backup after an operation found new in one table.
type dedupeRow struct {
	after, table string
	data, plain  int64 // bytes of Data.db on the node, and of the rows in it
	lz4, blobs   share
}

// share is what one recipe stored of all that it could have had to store.
type share struct{ new, all, stored, source int64 }

func (s share) percent() float64       { return 100 * float64(s.new) / float64(s.all) }
func (s share) storedPercent() float64 { return 100 * float64(s.stored) / float64(s.source) }

func newDedupe(t *testing.T) *dedupe {
	d := &dedupe{t: t, rigs: make(map[string][]*rig)}
	// One token a node, so that what a node owns is one or two runs of the ring, as large in 100 MB as vnodes are in 100 GB.
	// Two data directories give relocatesstables something to do.
	var err error
	d.cluster, err = cassandratest.New(t.TempDir(), cassandratest.Options{Nodes: 3, Vnodes: 1, DataDirs: 2, Heap: "1G", Cluster: "dedupe",
		DCs: []string{"dc1", "dc1", "dc2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.cluster.Stop)
	for _, n := range d.cluster.Nodes {
		largeMemtables(t, n.YAML())
	}
	if err := d.cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, recipe := range []string{"auto", "blobs"} {
		repo := filepath.Join(t.TempDir(), "repo")
		for _, n := range d.cluster.Nodes {
			r := rigOf(t, n)
			r.cfg.Repository, r.cfg.Recipe = repo, recipe
			r.save()
			d.rigs[recipe] = append(d.rigs[recipe], r)
		}
		d.rigs[recipe][0].ok("init")
	}
	return d
}

// largeMemtables lets a node keep half of what is written in memory: only then is it the test that says when to flush,
// and an SSTable has several chunks.
func largeMemtables(t *testing.T, config string) {
	t.Helper()
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, o := range [][2]string{{"memtable_heap_space: 48MiB", "memtable_heap_space: 700MiB"}, {"commitlog_total_space: 128MiB", "commitlog_total_space: 1GiB"}} {
		if !strings.Contains(text, o[0]) {
			t.Fatalf("%s has no %s", config, o[0])
		}
		text = strings.Replace(text, o[0], o[1], 1)
	}
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (d *dedupe) node(n int) *rig { return d.rigs["auto"][n-1] }

// measure backs up a node by both recipes and keeps what was new in the tables.
func (d *dedupe) measure(n int, after string) {
	d.t.Helper()
	name := fmt.Sprintf("backup-%d", len(d.rows))
	lz4, blobs := d.backup("auto", n, name), d.backup("blobs", n, name)
	for i, table := range dedupeTables() {
		row := dedupeRow{after: after, table: table}
		var info int64
		row.data, row.plain, info = d.data(n, name, table)
		row.blobs = shareOf(blobs[i].BytesSource, blobs[i])
		row.lz4 = shareOf(lz4[i].BytesSource-row.data-info+row.plain, lz4[i])
		d.rows = append(d.rows, row)
		d.t.Log(row.markdown())
	}
}

func shareOf(all int64, t shownTableJSON) share {
	return share{new: t.BytesNew, all: all, stored: t.BytesStored, source: t.BytesSource}
}

// backup returns what a backup says of the tables.
func (d *dedupe) backup(recipe string, n int, name string) (tables []shownTableJSON) {
	d.t.Helper()
	r := d.rigs[recipe][n-1]
	r.ok("backup", "--name", name, "--node", dedupeDomain)
	shown := doc[showJSON](r, "show", name)
	for _, table := range dedupeTables() {
		for _, t := range shown.Nodes[0].Tables {
			if t.Keyspace == dedupeKeyspace && t.Table == table {
				tables = append(tables, t)
			}
		}
	}
	if len(tables) != len(dedupeTables()) {
		d.t.Fatalf("the backup has %d tables of %s", len(tables), dedupeKeyspace)
	}
	return tables
}

// data sizes the Data.db of a table, the rows in it and the CompressionInfo.db beside it.
func (d *dedupe) data(n int, backup, table string) (data, plain, info int64) {
	d.t.Helper()
	for _, f := range d.files(n, backup, table) {
		switch {
		case strings.HasSuffix(f.Path, "-Data.db"):
			data += f.Size
		case strings.HasSuffix(f.Path, "-CompressionInfo.db"):
			info += f.Size
			plain += d.plainLength(n, f.Path)
		}
	}
	return data, plain, info
}

func (d *dedupe) files(n int, backup, table string) (files []fileJSON) {
	d.t.Helper()
	for _, f := range doc[struct{ Files []fileJSON }](d.node(n), "files", backup).Files {
		if f.Keyspace == dedupeKeyspace && f.Table == table {
			files = append(files, f)
		}
	}
	return files
}

// plainLength reads how many bytes of rows an SSTable has from its CompressionInfo.db in a data directory.
func (d *dedupe) plainLength(n int, path string) int64 {
	d.t.Helper()
	for _, dir := range d.node(n).dataDirs() {
		f, err := os.Open(filepath.Join(dir, path))
		if err != nil {
			continue
		}
		defer f.Close()
		h, _, err := sstable.ParseCompressionHeader(bufio.NewReader(f), "nb")
		if err != nil {
			d.t.Fatal(err)
		}
		return int64(h.DataLength)
	}
	d.t.Fatalf("%s is in no data directory", path)
	return 0
}

// offline stops a node with nothing left to replay, does something to its files, and starts it.
func (d *dedupe) offline(n int, do func(dirs []string) error) {
	d.t.Helper()
	node := d.cluster.Nodes[n-1]
	d.node(n).nodetool("drain")
	if err := node.Stop(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	if err := do(d.node(n).dataDirs()); err != nil {
		d.t.Fatal(err)
	}
	if err := node.Start(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// eachDedupeFile calls do for the components of the measured tables in a data directory.
func eachDedupeFile(dir string, do func(path string) error) error {
	found, err := filepath.Glob(filepath.Join(dir, dedupeKeyspace, "*", "*-big-*"))
	if err != nil {
		return err
	}
	for _, path := range found {
		if err := do(path); err != nil {
			return err
		}
	}
	return nil
}

// gather moves all SSTables into the first data directory, where about half of them do not belong.
func gather(dirs []string) error {
	for _, dir := range dirs[1:] {
		err := eachDedupeFile(dir, func(path string) error {
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			return os.Rename(path, filepath.Join(dirs[0], rel))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// discard removes all SSTables of the measured tables.
func discard(dirs []string) error {
	for _, dir := range dirs {
		if err := eachDedupeFile(dir, os.Remove); err != nil {
			return err
		}
	}
	return nil
}

// mustBeRelocated fails the test unless every data directory of a node has SSTables again.
func (d *dedupe) mustBeRelocated(n int) {
	d.t.Helper()
	for _, dir := range d.node(n).dataDirs() {
		files := 0
		if err := eachDedupeFile(dir, func(string) error { files++; return nil }); err != nil || files == 0 {
			d.t.Errorf("%d files in %s after relocatesstables, %v", files, dir, err)
		}
	}
}

// borrowedMinima tells how many SSTables of a node count timestamps from one that no cell of theirs has.
func (d *dedupe) borrowedMinima(n int) string {
	d.t.Helper()
	borrowed, all := 0, 0
	for _, dir := range d.node(n).dataDirs() {
		err := eachDedupeFile(dir, func(path string) error {
			if !strings.HasSuffix(path, sstable.Statistics) {
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			m, err := sstable.ParseStatistics(b, "nb")
			if err != nil {
				return err
			}
			all++
			if m.Header.MinTimestamp != m.Stats.MinTimestamp {
				borrowed++
			}
			return nil
		})
		if err != nil {
			d.t.Fatal(err)
		}
	}
	return fmt.Sprintf("As flushed, %d of %d SSTables count timestamps from a minimum that no cell of theirs has.", borrowed, all)
}

// replicate says how many replicas the first data centre has; the second has one.
func (d *dedupe) replicate(dc1 int) {
	d.node(3).cql(func(s *gocql.Session) error {
		return s.Query(fmt.Sprintf("ALTER KEYSPACE %s WITH replication = %s", dedupeKeyspace, dedupeReplication(dc1))).Exec()
	})
}

// mustBeCopies fails the test unless every Data.db of a node is one of another.
func (d *dedupe) mustBeCopies(n int, backup string, of int, original string) {
	d.t.Helper()
	for _, table := range dedupeTables() {
		known, copies := make(map[string]bool), 0
		for _, f := range d.files(of, original, table) {
			known[f.SHA256] = true
		}
		for _, f := range d.files(n, backup, table) {
			if !strings.HasSuffix(f.Path, "-Data.db") {
				continue
			}
			copies++
			if !known[f.SHA256] {
				d.t.Errorf("%s of %s is not a copy: it was not streamed whole", f.Path, backup)
			}
		}
		if copies == 0 {
			d.t.Errorf("node %d has no SSTable of %s", n, table)
		}
	}
}

// last is the name of the newest backup.
func (d *dedupe) last() string { return fmt.Sprintf("backup-%d", len(d.rows)-len(dedupeTables())) }

// TestDedupeAfterWhatCassandraDoesToItsFiles measures, for docs/dedupe.md, what a backup stores again after each
// operation, and prints a table. It fails where content is stored again that the page says is not.
func TestDedupeAfterWhatCassandraDoesToItsFiles(t *testing.T) {
	d := newDedupe(t)
	d.load()
	d.measure(3, "first backup")
	d.measure(1, "replicas of two thirds, on node 1")
	d.measure(2, "replicas of one third, on node 2")
	borrowed := d.borrowedMinima(3)
	d.node(3).nodetool("upgradesstables", "-a", dedupeKeyspace)
	d.measure(3, "upgradesstables -a of flushed files")
	d.node(3).nodetool("upgradesstables", "-a", dedupeKeyspace)
	d.measure(3, "upgradesstables -a once more")
	d.node(3).nodetool("scrub", "--no-snapshot", dedupeKeyspace)
	d.measure(3, "scrub")
	d.offline(3, gather)
	d.node(3).nodetool("relocatesstables", dedupeKeyspace)
	d.mustBeRelocated(3)
	d.measure(3, "relocatesstables")
	d.node(3).nodetool("compact", dedupeKeyspace)
	d.measure(3, "major compaction")
	compacted := d.last()

	d.offline(1, discard)
	d.replicate(2)
	d.node(1).nodetool("rebuild", "-ks", dedupeKeyspace, "--", "dc2")
	d.measure(1, "zero-copy streaming to another node")
	d.mustBeCopies(1, d.last(), 3, compacted)
	d.replicate(1)
	d.node(1).nodetool("cleanup", dedupeKeyspace)
	d.measure(1, "cleanup of what a node lost")

	fmt.Print(d.markdown(), "\n", borrowed, "\n")
	d.mustHold()
}

// mustHold compares the shares of the recipe lz4 with what the page promises. Upper bounds are of operations that keep
// rows as they are: what is new are statistics, filters, and a chunk or two where a file is cut. Lower ones say that
// the measurement sees what is new.
func (d *dedupe) mustHold() {
	d.t.Helper()
	bounds := map[string][2]float64{
		"first backup":                        {95, 105},
		"replicas of two thirds, on node 1":   {50, 105},
		"replicas of one third, on node 2":    {50, 105},
		"upgradesstables -a once more":        {0, 5},
		"scrub":                               {0, 5},
		"relocatesstables":                    {0, 5},
		"major compaction":                    {50, 105},
		"zero-copy streaming to another node": {0, 1},
		"cleanup of what a node lost":         {0.5, 60},
	}
	for _, row := range d.rows {
		b, bounded := bounds[row.after]
		if p := row.lz4.percent(); bounded && (p < b[0] || p > b[1]) {
			d.t.Errorf("after %s %.1f %% of %s are new, expected %.0f to %.0f", row.after, p, row.table, b[0], b[1])
		}
	}
}

func (d *dedupe) markdown() string {
	var b strings.Builder
	b.WriteString("| backup after | table | Data.db, MiB | rows, MiB | `lz4`: new, MiB | % | stored, % | `blobs`: new, MiB | % | stored, % |\n")
	b.WriteString("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range d.rows {
		b.WriteString(r.markdown() + "\n")
	}
	return b.String()
}

func (r dedupeRow) markdown() string {
	line := fmt.Sprintf("| %s | %s | %.1f | %.1f |", r.after, r.table, mib(r.data), mib(r.plain))
	for _, s := range []share{r.lz4, r.blobs} {
		line += fmt.Sprintf(" %.1f | %.1f | %.1f |", mib(s.new), s.percent(), s.storedPercent())
	}
	return line
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }
