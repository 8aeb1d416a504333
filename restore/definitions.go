package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cbk/cassandra/node"
	"cbk/cassandra/schema"
	"cbk/snapshot"
)

// definitions are the statements that make one keyspace, in an order in which they can be run. nil has none.
type definitions struct {
	all []*schema.Statement
}

// maxDefinitions bounds the text of one keyspace that is read from a backup: ten thousand tables of 16 KiB.
const maxDefinitions = 160 << 20

// backedUpDefinitions reads what makes a keyspace in a backup. It is nil where the backup has no schema of it.
func backedUpDefinitions(ctx context.Context, snap *snapshot.Snapshot, keyspace string) (*definitions, error) {
	i := slices.IndexFunc(snap.Node.Schema, func(t snapshot.Text) bool { return t.Name == keyspace })
	if i < 0 {
		return nil, nil
	}
	var b bounded
	if err := snap.Text(ctx, &snap.Node.Schema[i], &b); err != nil {
		return nil, fmt.Errorf("schema of keyspace %w", err)
	}
	return define(keyspace, b.String())
}

// bounded is a text of at most maxDefinitions bytes.
type bounded struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxDefinitions {
		return 0, fmt.Errorf("it is larger than %d bytes", maxDefinitions)
	}
	return b.Buffer.Write(p)
}

func define(keyspace, cql string) (*definitions, error) {
	all, err := schema.ParseAll(cql)
	if err != nil {
		return nil, fmt.Errorf("schema of keyspace %s: %w", keyspace, err)
	}
	return &definitions{all}, nil
}

// liveDefinitions are those of a keyspace that the node has, nil where it has none.
func liveDefinitions(s *node.Schema, keyspace string) (*definitions, error) {
	for _, k := range s.Keyspaces {
		if k.Name == keyspace {
			return define(keyspace, k.CQL)
		}
	}
	return nil, nil
}

// of are the statements of a kind, or of several.
func (d *definitions) of(kinds ...schema.Kind) (some []*schema.Statement) {
	if d == nil {
		return nil
	}
	for _, s := range d.all {
		if slices.Contains(kinds, s.Kind) {
			some = append(some, s)
		}
	}
	return some
}

// get is the statement that makes something, nil where there is none.
func (d *definitions) get(kind schema.Kind, name string) *schema.Statement {
	for _, s := range d.of(kind) {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// has reports whether what a statement makes, of whatever keyspace, is there. A column is there after it was added and not
// after it was dropped.
func (d *definitions) has(s *schema.Statement) bool {
	switch s.Kind {
	case schema.KindDrop:
		_, there := d.columns(s.On)[s.Name]
		return !there && d.get(schema.KindTable, s.On) != nil
	case schema.KindAdd:
		_, there := d.columns(s.On)[s.Name]
		return there
	case schema.KindKeyspace:
		return d != nil
	}
	for _, own := range d.of(s.Kind) {
		if own.Name == s.Name && slices.Equal(own.Arguments, s.Arguments) {
			return true
		}
	}
	return false
}

// columns are the columns of a table by their names, without those that were dropped; dropped are these.
func (d *definitions) columns(table string) map[string]schema.Column {
	has, _ := d.columnsOf(table)
	return has
}

func (d *definitions) columnsOf(table string) (has, dropped map[string]schema.Column) {
	has, dropped = make(map[string]schema.Column), make(map[string]schema.Column)
	t := d.get(schema.KindTable, table)
	if t == nil {
		return has, dropped
	}
	for _, c := range t.Columns {
		has[c.Name] = c
	}
	for _, s := range d.of(schema.KindDrop, schema.KindAdd) {
		switch {
		case s.On != table:
		case s.Kind == schema.KindDrop:
			dropped[s.Name] = has[s.Name]
			delete(has, s.Name)
		default:
			has[s.Name] = s.Columns[0]
		}
	}
	return has, dropped
}

// types are those of the keyspace that some tables use, and those that these use, as their names.
func (d *definitions) types(tables []string) map[string]bool {
	used := make(map[string]bool)
	var visit func(columns []schema.Column)
	visit = func(columns []schema.Column) {
		for _, c := range columns {
			for _, n := range schema.TypeNames(c.Type) {
				if t := d.get(schema.KindType, n); t != nil && !used[n] {
					used[n] = true // before its own, which ends circles
					visit(t.Columns)
				}
			}
		}
	}
	for _, name := range tables {
		if t := d.get(schema.KindTable, name); t != nil {
			visit(t.Columns)
		}
	}
	return used
}

// checkColumns refuses a table of the node whose columns are not those that the backup's schema has; it may have more. What
// the SSTables themselves have, and what was dropped since, is judged with the risks.
func (d *definitions) checkColumns(table string, live *definitions) error {
	want := d.columns(table)
	has, dropped := live.columnsOf(table)
	var bad []string
	for _, c := range sortedColumns(want) {
		own, there := has[c.Name]
		_, hidden := dropped[c.Name]
		switch {
		case !there && !hidden:
			bad = append(bad, fmt.Sprintf("there is no column %q %s", c.Name, c.Type))
		case there && (!schema.SameType(own.Type, c.Type) || own.Key != c.Key):
			bad = append(bad, fmt.Sprintf("column %q is %s there and %s in the backup", c.Name, inWords(own), inWords(c)))
		}
	}
	for _, c := range sortedColumns(has) {
		if _, there := want[c.Name]; !there && (strings.HasPrefix(c.Key, "partition") || strings.HasPrefix(c.Key, "clustering")) {
			bad = append(bad, fmt.Sprintf("key column %q is not in the backup", c.Name))
		}
	}
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, ", "))
	}
	return nil
}

func inWords(c schema.Column) string { return strings.TrimSpace(c.Type + " " + c.Key) }

func sortedColumns(m map[string]schema.Column) []schema.Column {
	all := make([]schema.Column, 0, len(m))
	for name, c := range m {
		c.Name = name
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b schema.Column) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// checkType refuses a type of the node that lacks fields of the backup's: fields are only ever added at the end.
func checkType(want, has *schema.Statement) error {
	for i, f := range want.Columns {
		if i >= len(has.Columns) || has.Columns[i].Name != f.Name || !schema.SameType(has.Columns[i].Type, f.Type) {
			return fmt.Errorf("field %q %s is not at its place in the type %s of this node", f.Name, f.Type, want.Name)
		}
	}
	return nil
}
