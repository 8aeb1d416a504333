package cassandratest

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the text that decides what a mould holds
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// MouldDCs are the data centres of a mould, each with three replicas of everything.
var MouldDCs = []string{"dc1", "dc2", "dc3"}

// MouldTable is the table that a mould has SSTables of, and MouldEmpty one that it has none of.
const (
	MouldTable = "bulk.docs"
	MouldEmpty = "bulk.notes"
)

// mouldRows fill MouldSSTables files of a MiB of plain rows, some 2 KiB each.
const (
	mouldRows = 330_000
	// MouldSSTables is how many SSTables a mould has at the least: two for each of 180 nodes.
	MouldSSTables = 360
)

// Mould is what many nodes can be given that are not to be started: real files of one real node.
type Mould struct {
	Data     string   // a data directory as the node left it, stopped in order, with its schema in its system tables
	Table    string   // directory of MouldTable, below Data and relative to it; it has no SSTable
	SSTables []string // prefixes of paths, "…/oa-12-big-", each an SSTable of MouldTable with rows of its own
}

//go:embed mould.go
var mouldText []byte

// NewMould returns the mould, which is made at the first call on a machine and kept beside the jars. Its files are shared: who
// writes copies them first.
func NewMould(t testing.TB) Mould {
	t.Helper()
	dir, err := cached(fmt.Sprintf("mould/%s-%x", Version, sha256.Sum256(append(mouldText, generateText...)))[:40], func(dir string) error {
		return makeMould(t.Context(), dir)
	})
	var m Mould
	if err == nil {
		m, err = readMould(dir)
	}
	if err != nil {
		t.Fatalf("mould of a node: %v", err)
	}
	return m
}

func readMould(dir string) (m Mould, err error) {
	m.Data = filepath.Join(dir, "data")
	tables, err := filepath.Glob(filepath.Join(m.Data, strings.Replace(MouldTable, ".", "/", 1)+"-*"))
	if err != nil || len(tables) != 1 {
		return m, fmt.Errorf("directories of %s: %q, %w", MouldTable, tables, err)
	}
	if m.Table, err = filepath.Rel(m.Data, tables[0]); err != nil {
		return m, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "made/bulk/docs/*-Data.db"))
	for _, f := range files {
		m.SSTables = append(m.SSTables, strings.TrimSuffix(f, "Data.db"))
	}
	if err != nil || len(m.SSTables) < MouldSSTables {
		return m, fmt.Errorf("%d SSTables, too few: %v", len(m.SSTables), err)
	}
	slices.Sort(m.SSTables)
	return m, nil
}

func makeMould(ctx context.Context, dir string) error {
	work, err := os.MkdirTemp("", "cbk-mould-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	c, err := New(work, Options{Nodes: len(MouldDCs), Cluster: "mould", Vnodes: 16, DCs: MouldDCs, ExtraYAML: []string{"storage_compatibility_mode: NONE"}})
	if err != nil {
		return err
	}
	defer c.Stop()
	if err := makeSchema(ctx, c); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(c.Nodes[0].path("data/data"))); err != nil {
		return err
	}
	_, err = Generate(ctx, filepath.Join(dir, "made"), Docs, mouldRows, 1, GenerateOptions{FileMiB: 1})
	return err
}

// makeSchema has a cluster make the schema and stops it in order. A node of each data centre is needed: Cassandra takes no
// data centre in a replication that it knows no node of.
func makeSchema(ctx context.Context, c *Cluster) error {
	replication := "{'class': 'NetworkTopologyStrategy'"
	for _, dc := range MouldDCs {
		replication += fmt.Sprintf(", '%s': 3", dc)
	}
	replication += "}"
	statements := []string{"CREATE KEYSPACE bulk WITH replication = " + replication,
		"CREATE TABLE " + MouldTable + " (id uuid PRIMARY KEY, email text, name text, body text, tags set<text>, created timestamp)",
		"CREATE TABLE " + MouldEmpty + " (id uuid PRIMARY KEY, note text)"}
	for _, k := range []string{"system_auth", "system_distributed", "system_traces"} {
		statements = append(statements, "ALTER KEYSPACE "+k+" WITH replication = "+replication)
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	if err := c.Nodes[0].execute(statements); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if err := n.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// execute runs statements, one after the other.
func (n *Node) execute(statements []string) error {
	s, err := n.Session()
	if err != nil {
		return err
	}
	defer s.Close()
	for _, stmt := range statements {
		if err := s.Query(stmt).Exec(); err != nil {
			return fmt.Errorf("%s: %w", stmt, err)
		}
	}
	return nil
}
