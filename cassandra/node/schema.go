package node

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/gocql/gocql"
)

const (
	// maxSchema bounds the CQL of a schema: 16 KiB for each of 10,000 tables.
	maxSchema = 160 << 20
	// maxTables bounds the tables of a node; Cassandra itself warns above 150.
	maxTables = 1 << 20
)

// Schema is the cluster's schema as one node knows it.
type Schema struct {
	// Keyspaces are the user keyspaces in the order of their names.
	Keyspaces []KeyspaceSchema
	// Tables are all tables and views that have SSTables, those of the system
	// keyspaces too, in the order of keyspace and name.
	Tables []Table
	// Absent says why there is no schema; empty where there is one, be it of no
	// keyspace at all.
	Absent string
}

// Text is the CQL of all keyspaces.
func (s Schema) Text() string {
	var text strings.Builder
	for _, k := range s.Keyspaces {
		text.WriteString(k.CQL)
	}
	return text.String()
}

// KeyspaceSchema is what makes one keyspace again: its statements as DESCRIBE
// SCHEMA WITH INTERNALS gives them, one after the other, with types, functions,
// tables, indexes and views, with table ids and dropped columns.
type KeyspaceSchema struct {
	Name string
	CQL  string
}

// Table names one table or view.
type Table struct {
	Keyspace string
	Name     string
	ID       string // 32 hex digits, as in the name of its directory
	View     bool   // a materialized view
}

// Schema reads the schema. Releases since 4.0 describe themselves; where what they say does not make the same again, and
// for 3.0 to 3.11, the text is made of the rows of system_schema. Releases before 3.0 keep their schema in another form:
// it is absent, and the tables are known. The answer is the same for the same schema.
func (n *Node) Schema(ctx context.Context) (Schema, error) {
	var s Schema
	var err error
	if s.Keyspaces, err = n.keyspaces(ctx); answeredWith(err, gocql.ErrCodeInvalid) {
		return n.oldSchema(ctx)
	}
	if err != nil {
		return Schema{}, fmt.Errorf("describe the schema: %w", err)
	}
	if s.Tables, err = n.tables(ctx); err != nil {
		return Schema{}, fmt.Errorf("list the tables: %w", err)
	}
	return s, nil
}

// oldSchema knows the tables of a release before 3.0, which has no system_schema.
func (n *Node) oldSchema(ctx context.Context) (Schema, error) {
	tables, err := n.tablesOf(ctx, false, "SELECT keyspace_name, columnfamily_name, cf_id FROM system.schema_columnfamilies")
	if err != nil {
		return Schema{}, fmt.Errorf("list the tables: %w", err)
	}
	byName(tables)
	return Schema{Tables: tables, Absent: "a release before 3.0 neither describes its schema nor has system_schema"}, nil
}

// keyspaces asks the node to describe itself, and renders the rows of those keyspaces that it cannot describe.
func (n *Node) keyspaces(ctx context.Context) ([]KeyspaceSchema, error) {
	described, flawed, err := n.describe(ctx)
	if answeredWith(err, gocql.ErrCodeSyntax) {
		return n.render(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := n.withTriggers(ctx, flawed); err != nil || len(flawed) == 0 {
		return described, err
	}
	rendered, err := n.render(ctx)
	if err != nil {
		return nil, err
	}
	for i, k := range described {
		at := slices.IndexFunc(rendered, func(r KeyspaceSchema) bool { return r.Name == k.Name })
		if flawed[k.Name] && at >= 0 {
			described[i] = rendered[at]
		}
	}
	return described, nil
}

// render writes the user keyspaces from the rows of system_schema.
func (n *Node) render(ctx context.Context) ([]KeyspaceSchema, error) {
	rows, err := n.System(ctx)
	if err != nil {
		return nil, err
	}
	keyspaces, err := rows.CQL()
	if err != nil {
		return nil, err
	}
	var all []KeyspaceSchema
	for _, k := range keyspaces {
		all = append(all, KeyspaceSchema{Name: k.Name, CQL: k.CQL})
	}
	return all, nil
}

// withTriggers adds the keyspaces that have triggers: DESCRIBE leaves those out.
func (n *Node) withTriggers(ctx context.Context, flawed map[string]bool) error {
	return n.query(ctx, func(row gocql.Scanner) error {
		var keyspace string
		err := row.Scan(&keyspace)
		flawed[keyspace] = true
		return err
	}, "SELECT keyspace_name FROM system_schema.triggers")
}

// isFlawed tells whether a statement of DESCRIBE makes nothing or something else: a table with COMPACT STORAGE is a
// comment, and $$ within the body of a function ends it.
func isFlawed(kind, statement string) bool {
	return strings.HasPrefix(statement, "/*") ||
		kind == "function" && (strings.Count(statement, "$$") != 2 || strings.Contains(statement, "$$$"))
}

// describe gives the keyspaces as DESCRIBE has them, by their names as they are and not as they are quoted, and the names
// of those that it describes badly.
func (n *Node) describe(ctx context.Context) (all []KeyspaceSchema, flawed map[string]bool, err error) {
	flawed = make(map[string]bool)
	var text strings.Builder
	total := 0
	err = n.query(ctx, func(row gocql.Scanner) error {
		var keyspace, kind, statement string
		if err := row.Scan(&keyspace, &kind, nil, &statement); err != nil {
			return err
		}
		keyspace = unquoted(keyspace)
		if isFlawed(kind, statement) {
			flawed[keyspace] = true
		}
		if total += len(statement); total > maxSchema {
			return fmt.Errorf("schema is larger than %d bytes", maxSchema)
		}
		if len(all) == 0 || all[len(all)-1].Name != keyspace {
			endKeyspace(all, &text)
			all = append(all, KeyspaceSchema{Name: keyspace})
		}
		text.WriteString(statement)
		text.WriteByte('\n')
		return nil
	}, "DESCRIBE SCHEMA WITH INTERNALS")
	endKeyspace(all, &text)
	slices.SortFunc(all, func(a, b KeyspaceSchema) int { return cmp.Compare(a.Name, b.Name) })
	return all, flawed, err
}

// unquoted takes the quotes from a name that DESCRIBE wrote.
func unquoted(name string) string {
	if inner, ok := strings.CutPrefix(name, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return name
}

// endKeyspace gives the last keyspace its text.
func endKeyspace(all []KeyspaceSchema, text *strings.Builder) {
	if len(all) > 0 {
		all[len(all)-1].CQL = text.String()
	}
	text.Reset()
}

func (n *Node) tables(ctx context.Context) ([]Table, error) {
	tables, err := n.tablesOf(ctx, false, "SELECT keyspace_name, table_name, id FROM system_schema.tables")
	if err != nil {
		return nil, err
	}
	views, err := n.tablesOf(ctx, true, "SELECT keyspace_name, view_name, id FROM system_schema.views")
	if err != nil {
		return nil, err
	}
	tables = append(tables, views...)
	byName(tables)
	return tables, nil
}

func byName(tables []Table) {
	slices.SortFunc(tables, func(a, b Table) int {
		return cmp.Or(cmp.Compare(a.Keyspace, b.Keyspace), cmp.Compare(a.Name, b.Name))
	})
}

func (n *Node) tablesOf(ctx context.Context, view bool, stmt string) ([]Table, error) {
	var tables []Table
	err := n.query(ctx, func(row gocql.Scanner) error {
		t := Table{View: view}
		var id gocql.UUID
		if err := row.Scan(&t.Keyspace, &t.Name, &id); err != nil {
			return err
		}
		if len(tables) >= maxTables {
			return fmt.Errorf("more than %d tables", maxTables)
		}
		t.ID = hex.EncodeToString(id[:])
		tables = append(tables, t)
		return nil
	}, stmt)
	return tables, err
}

// SampleQuery reads up to ten rows of a table through CQL, to the end. It tells
// that the table's files can be opened and read, not that every row is there.
func (n *Node) SampleQuery(ctx context.Context, keyspace, table string) error {
	if err := checkTable(keyspace, table); err != nil {
		return err
	}
	stmt := fmt.Sprintf(`SELECT * FROM "%s"."%s" LIMIT 10`, keyspace, table)
	if err := n.query(ctx, func(gocql.Scanner) error { return nil }, stmt); err != nil {
		return fmt.Errorf("sample %s.%s: %w", keyspace, table, err)
	}
	return nil
}
