package snapshot

import (
	"fmt"
	"strings"

	"cbk/cassandra/node"
)

// MissingError says that the snapshot lacks tables that the schema has.
type MissingError struct {
	Tables []string // KEYSPACE.TABLE
	Of     int      // tables that should be there
}

// Error names the first of the tables.
func (e *MissingError) Error() string {
	n := len(e.Tables)
	return fmt.Sprintf("the snapshot lacks %d of %d tables: %s; is this the cassandra.yaml of the running node, and can its data directories be read?",
		n, e.Of, strings.Join(e.Tables[:min(n, 5)], ", "))
}

// Found compares the tables of the schema, before and after the snapshot was taken, with the directories in it. All names
// are KEYSPACE.TABLE, sorted as the schema is.
type Found struct {
	Missing  []string `json:"missing,omitempty"`  // there before and after, but not in the snapshot
	Appeared []string `json:"appeared,omitempty"` // created meanwhile: in the snapshot or not
	Gone     []string `json:"gone,omitempty"`     // dropped meanwhile: in the snapshot or not
}

// tableKey tells a table from another that was created under its name.
type tableKey struct{ keyspace, table, id string }

func keysOf(tables []node.Table, chosen *Selection) map[tableKey]bool {
	keys := make(map[tableKey]bool, len(tables))
	for _, t := range tables {
		if chosen.Has(t.Keyspace, t.Name) {
			keys[tableKey{t.Keyspace, t.Name, t.ID}] = true
		}
	}
	return keys
}

// findTables compares. A directory made before 2.1 has no id and stands for any table of its name.
func findTables(before, after []node.Table, dirs []node.TableDir, chosen *Selection) (f Found) {
	have := make(map[tableKey]bool, len(dirs))
	for _, d := range dirs {
		have[tableKey{d.Keyspace, d.Table, d.ID}] = true
	}
	was, is := keysOf(before, chosen), keysOf(after, chosen)
	for _, t := range before {
		k := tableKey{t.Keyspace, t.Name, t.ID}
		name := t.Keyspace + "." + t.Name
		switch {
		case !was[k]:
		case !is[k]:
			f.Gone = append(f.Gone, name)
		case !have[k] && !have[tableKey{t.Keyspace, t.Name, ""}]:
			f.Missing = append(f.Missing, name)
		}
	}
	for _, t := range after {
		if k := (tableKey{t.Keyspace, t.Name, t.ID}); is[k] && !was[k] {
			f.Appeared = append(f.Appeared, t.Keyspace+"."+t.Name)
		}
	}
	return f
}

// check demands a snapshot of every table that existed before and after it was taken: a snapshot command that reports
// success and leaves tables out must not become a backup. With allowed, some of them may be missing.
func (f *Found) check(before []node.Table, dirs []node.TableDir, allowed bool) error {
	if len(f.Missing) == 0 || allowed && len(dirs) > 0 {
		return nil
	}
	return &MissingError{f.Missing, len(before)}
}
