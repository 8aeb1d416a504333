package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
	"cbk/cassandra/sstable"
)

// online is what a fake host does of a running Cassandra: it keeps a schema, and moves what it imports into the directories
// of tables.
type online struct {
	version string
	cql     map[string]string // of each keyspace
	members int               // 1 where zero
	left    string            // what an import leaves in the staging directory
}

// describe parses the schema of the host.
func (h *fakeHost) describe() (s node.Schema, err error) {
	s.Tables = slices.Clone(h.tables)
	for _, keyspace := range []string{"shop", "copy", "other"} {
		cql := h.cql[keyspace]
		if cql == "" {
			continue
		}
		s.Keyspaces = append(s.Keyspaces, node.KeyspaceSchema{Name: keyspace, CQL: cql})
		all, err := schema.ParseAll(cql)
		if err != nil {
			return s, err
		}
		for _, one := range all {
			if one.Kind == schema.KindTable || one.Kind == schema.KindView {
				s.Tables = append(s.Tables, node.Table{Keyspace: keyspace, Name: one.Name, ID: fmt.Sprintf("%032x", len(one.Name)), View: one.Kind == schema.KindView})
			}
		}
	}
	return s, nil
}

// Execute refuses, as Cassandra does, to make what is there.
func (h *fakeHost) Execute(_ context.Context, statement string) error {
	s, err := schema.Parse(statement)
	if err != nil {
		return err
	}
	if err := h.call(fmt.Sprintf("execute %s %s", s.Kind, s.Name)); err != nil {
		return err
	}
	if h.cql == nil {
		h.cql = make(map[string]string)
	}
	own, err := define(s.Keyspace, h.cql[s.Keyspace])
	if err != nil {
		return err
	}
	if h.cql[s.Keyspace] != "" && own.has(s) {
		return errors.New("it exists already")
	}
	h.cql[s.Keyspace] += statement + ";\n"
	if s.Kind == schema.KindTable {
		return os.MkdirAll(h.liveDir(s.Keyspace, s.Name), 0o755)
	}
	return nil
}

func (h *fakeHost) Ring(context.Context) (ring.Ring, error) {
	var r ring.Ring
	for range max(1, h.members) {
		r.Members = append(r.Members, ring.Member{State: ring.Normal})
	}
	return r, h.call("ring")
}

func (h *fakeHost) liveDir(keyspace, table string) string {
	return filepath.Join(h.dir, "data", keyspace, fmt.Sprintf("%s-%032x", table, len(table)))
}

// TruncateTable removes the files of a table, as if all had been in SSTables.
func (h *fakeHost) TruncateTable(_ context.Context, keyspace, table string) error {
	return errors.Join(h.call("truncate "+keyspace+"."+table), os.RemoveAll(h.liveDir(keyspace, table)))
}

// Import moves components as Cassandra does, the data file last, and leaves those of SAI.
func (h *fakeHost) Import(_ context.Context, keyspace, table string, dirs ...string) error {
	if err := h.call("import " + keyspace + "." + table); err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := h.takeAll(dir, h.liveDir(keyspace, table)); err != nil {
			return err
		}
	}
	return nil
}

func (h *fakeHost) takeAll(from, to string) error {
	names, err := fileNames(from)
	if err != nil {
		return err
	}
	for _, data := range []bool{false, true} {
		for _, name := range names {
			_, c, err := sstable.ParseName(name)
			if err != nil || (c == sstable.Data) != data || strings.HasPrefix(c, "SAI+") || name == h.left {
				continue
			}
			if err := errors.Join(os.MkdirAll(to, 0o755), os.Rename(filepath.Join(from, name), filepath.Join(to, "own"+name))); err != nil {
				return err
			}
		}
	}
	return nil
}

// Refresh gives what lies under high numbers names of the host's own.
func (h *fakeHost) Refresh(_ context.Context, keyspace, table string) error {
	if err := h.call("refresh " + keyspace + "." + table); err != nil {
		return err
	}
	dir := h.liveDir(keyspace, table)
	names, err := fileNames(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		d, c, err := sstable.ParseName(name)
		if err != nil || len(d.ID) < 7 || h.left != "" {
			continue
		}
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, fmt.Sprintf("own%d-%s-%s", len(names), d.ID[len(d.ID)-3:], c))); err != nil {
			return err
		}
	}
	return nil
}

func fileNames(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
