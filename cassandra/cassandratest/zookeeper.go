package cassandratest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"
)

// zooWriters is how many writes are under way at once.
const zooWriters = 16

// makeFixtures runs a node of the release for as long as it takes to write the
// zoo, and leaves its SSTables and the texts about them.
func makeFixtures(ctx context.Context, rel Release, dir string) error {
	c, err := New(filepath.Join(dir, "node"), Options{Version: rel.Release, Heap: "512M", ExtraYAML: formatYAML(rel)})
	if err != nil {
		return err
	}
	defer c.Stop()
	n := c.Nodes[0]
	// The schema need not survive the node.
	if err := n.start(ctx, "-Dcassandra.test.flush_local_schema_changes=false"); err != nil {
		return err
	}
	if err := n.makeZoo(ctx, zooTables(rel)); err != nil {
		return err
	}
	if err := n.Stop(ctx); err != nil {
		return err
	}
	if err := n.moveSnapshots(dir); err != nil {
		return err
	}
	if err := n.describe(ctx, rel, dir); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dir, "node"))
}

// formatYAML makes a release write the format. Only the SSTables of the newest
// one bear UUIDs in their names, so that there are names of both kinds.
func formatYAML(rel Release) []string {
	timeout := "%s_timeout: 60000ms"
	if !rel.number().since(4, 1) {
		timeout = "%s_timeout_in_ms: 60000"
	}
	var lines []string
	for _, what := range []string{"read_request", "write_request", "counter_write_request"} {
		lines = append(lines, fmt.Sprintf(timeout, what)) // a busy machine may pause a node for longer than the usual 2 s
	}
	if rel.number().since(4, 0) {
		// Else flushed files would all be of LZ4.
		lines = append(lines, "flush_compression: table")
	}
	if rel.Format == "oa" || rel.Format == "da" {
		lines = append(lines, "storage_compatibility_mode: NONE")
	}
	if rel.Format == "da" {
		lines = append(lines, "sstable:", "  selected_format: bti", "uuid_sstable_identifiers_enabled: true")
	}
	return lines
}

// makeZoo makes and fills the tables, with a snapshot of what was flushed and one
// of what came of it by a compaction.
func (n *Node) makeZoo(ctx context.Context, tables []table) error {
	s, err := n.Session()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := createZoo(s, tables); err != nil {
		return err
	}
	for round := range zooRounds {
		if err := fillZoo(s, tables, round); err != nil {
			return err
		}
		if err := n.nodetool(ctx, "flush", zoo); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"snapshot", "-t", "flush", zoo}, {"compact", zoo}, {"snapshot", "-t", "compaction", zoo}} {
		if err := n.nodetool(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) nodetool(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, n.Bin("nodetool"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("nodetool %s: %w\n%s", args[0], err, lastLines(out, 20))
	}
	return nil
}

// createZoo makes the tables. Cassandra does not compact them by itself: four
// SSTables are the least that move it, and there are two.
func createZoo(s *gocql.Session, tables []table) error {
	create := []string{`CREATE KEYSPACE zoo WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`}
	for _, t := range tables {
		create = append(create, t.schema...)
	}
	return execAll(s, create)
}

func execAll(s *gocql.Session, statements []string) error {
	for _, stmt := range statements {
		if err := s.Query(stmt).Exec(); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return nil
}

// fillZoo writes a round of every table, many writes at a time.
func fillZoo(s *gocql.Session, tables []table, round int) error {
	var all errgroup.Group
	all.SetLimit(zooWriters)
	for _, t := range tables {
		if round > 0 {
			if err := execAll(s, t.between); err != nil {
				return errors.Join(err, all.Wait())
			}
		}
		for _, w := range t.rows(seeded(t.name, round), round) {
			all.Go(func() error {
				if err := s.Query(w.cql, w.args...).Exec(); err != nil {
					return fmt.Errorf("%.500s: %w", w.cql, err)
				}
				return nil
			})
		}
	}
	return all.Wait()
}

// moveSnapshots moves the SSTables out of the node's directory to how/table.
func (n *Node) moveSnapshots(dir string) error {
	snapshots, err := filepath.Glob(n.path("data/data/" + zoo + "/*/snapshots/*"))
	if err != nil {
		return err
	}
	for _, from := range snapshots {
		// A table's directory is its name, a dash and its id.
		name, _, _ := strings.Cut(filepath.Base(filepath.Dir(filepath.Dir(from))), "-")
		to := filepath.Join(dir, filepath.Base(from), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.Rename(from, to)); err != nil {
			return err
		}
	}
	return nil
}

// describe writes the texts of the tools about every SSTable.
func (n *Node) describe(ctx context.Context, rel Release, dir string) error {
	if err := os.Mkdir(filepath.Join(dir, "text"), 0o755); err != nil {
		return err
	}
	fixtures, err := listFixtures(dir, rel)
	if err != nil {
		return err
	}
	var runs []toolRun
	for _, f := range fixtures {
		data, text := f.Component("Data.db"), f.textPath(dir)
		runs = append(runs,
			toolRun{"org.apache.cassandra.tools.SSTableMetadataViewer", text + "metadata", []string{data}},
			toolRun{"org.apache.cassandra.tools.SSTableExport", text + "json", []string{data, "-t"}},
		)
	}
	failed, said, err := n.runTools(ctx, runs)
	if err != nil {
		return err
	}
	for _, i := range failed {
		// The runs come in pairs.
		if i%2 == 0 || !undumped(fixtures[i/2].Table) {
			return fmt.Errorf("%s of %s failed: %s", runs[i].class, fixtures[i/2], said)
		}
		if err := os.Remove(runs[i].output); err != nil {
			return err
		}
	}
	return nil
}

// undumped tells the tables for which sstabledump ends with an exception of its
// own: it cannot write composites, clusterings cut short, nor the keys of an
// index.
func undumped(table string) bool {
	return table == "custom" || table == "dense_short" || strings.Contains(table, ".")
}
