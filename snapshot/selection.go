package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"cbk/cassandra/node"
)

// ErrNoTable is matched when a selection names what is not there.
var ErrNoTable = errors.New("no table matches")

// Selection says which tables a backup is of. The zero value selects all. A table is in when a pattern of Keyspaces or of
// Tables matches it, or there are none of either, and no pattern of Exclude does. Patterns are those of path.Match on names as
// Cassandra keeps them, without quotes.
type Selection struct {
	Keyspaces []string `json:"keyspaces,omitempty"` // KEYSPACE
	Tables    []string `json:"tables,omitempty"`    // KEYSPACE.TABLE
	Exclude   []string `json:"exclude,omitempty"`   // either
}

// All reports whether nothing is left out.
func (s *Selection) All() bool { return len(s.Keyspaces)+len(s.Tables)+len(s.Exclude) == 0 }

// ID tells selections apart, as those who may not read descriptions need to: the backups of one are no successors of those
// of another. It is 16 hex digits of the SHA-256 of the selection's JSON, patterns sorted; empty where all tables are in.
func (s *Selection) ID() string {
	if s == nil || s.All() {
		return ""
	}
	sorted := Selection{slices.Sorted(slices.Values(s.Keyspaces)), slices.Sorted(slices.Values(s.Tables)), slices.Sorted(slices.Values(s.Exclude))}
	doc, err := json.Marshal(sorted)
	if err != nil {
		panic(err) // lists of strings
	}
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:8])
}

// Check refuses what is no pattern.
func (s *Selection) Check() error {
	for _, p := range slices.Concat(s.Keyspaces, s.Tables, s.Exclude) {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return fmt.Errorf("pattern %q is malformed", p)
		}
	}
	for _, p := range s.Tables {
		if !strings.Contains(p, ".") {
			return fmt.Errorf("table pattern %q: give KEYSPACE.TABLE", p)
		}
	}
	for _, p := range s.Keyspaces {
		if strings.Contains(p, ".") {
			return fmt.Errorf("keyspace pattern %q has a dot: a table is chosen with KEYSPACE.TABLE", p)
		}
	}
	return nil
}

// Has reports whether a table is selected.
func (s *Selection) Has(keyspace, table string) bool {
	matches := func(p string) bool { return match(p, keyspace, table) }
	chosen := len(s.Keyspaces)+len(s.Tables) == 0 || slices.ContainsFunc(s.Keyspaces, matches) || slices.ContainsFunc(s.Tables, matches)
	return chosen && !slices.ContainsFunc(s.Exclude, matches)
}

// match matches a pattern of a keyspace or, with a dot, of a table. No name has a dot.
func match(pattern, keyspace, table string) bool {
	name := keyspace
	if strings.Contains(pattern, ".") {
		name += "." + table
	}
	ok, _ := path.Match(pattern, name)
	return ok
}

// check refuses a selection that leaves nothing, or names what is not there: a mistyped name must not make a backup that
// schema reads the schema of a node and refuses a selection that does not fit it.
func (s *Selection) schema(ctx context.Context, src Source) (node.Schema, error) {
	got, err := src.Schema(ctx)
	if err == nil && got.Absent == "" && !s.All() {
		err = s.check(got.Tables)
	}
	return got, err
}

// lacks the table that was meant.
func (s *Selection) check(tables []node.Table) error {
	for _, p := range slices.Concat(s.Keyspaces, s.Tables, s.Exclude) {
		if !slices.ContainsFunc(tables, func(t node.Table) bool { return match(p, t.Keyspace, t.Name) }) {
			return fmt.Errorf("%w %q", ErrNoTable, p)
		}
	}
	if !slices.ContainsFunc(tables, func(t node.Table) bool { return s.Has(t.Keyspace, t.Name) }) {
		return fmt.Errorf("%w what is selected and not excluded", ErrNoTable)
	}
	return nil
}

// keyspaces returns those with selected tables, for Cassandra to take no snapshot of others; nil for all.
func (s *Selection) keyspaces(tables []node.Table) (names []string) {
	if s.All() {
		return nil
	}
	for _, t := range tables {
		if s.Has(t.Keyspace, t.Name) && !slices.Contains(names, t.Keyspace) {
			names = append(names, t.Keyspace)
		}
	}
	return names
}

// of returns the selected ones of directories.
func (s *Selection) of(dirs []node.TableDir) []node.TableDir {
	return slices.DeleteFunc(dirs, func(d node.TableDir) bool { return !s.Has(d.Keyspace, d.Table) })
}

// tablesIn lists the tables of directories, for want of a schema.
func tablesIn(dirs []node.TableDir) (tables []node.Table) {
	for _, d := range dirs {
		tables = append(tables, node.Table{Keyspace: d.Keyspace, Name: d.Table, ID: d.ID})
	}
	return tables
}
