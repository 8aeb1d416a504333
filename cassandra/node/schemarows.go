package node

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/gocql/gocql"

	"cbk/cassandra/schema"
)

// settleTries is how often the rows of the schema are read anew because it changed meanwhile. A change takes a second, a
// reading of thousands of tables a few.
const settleTries = 5

// answeredWith tells whether the node answered a query with an error of one of the kinds.
func answeredWith(err error, codes ...int) bool {
	var answer gocql.RequestError
	if !errors.As(err, &answer) {
		return false
	}
	for _, code := range codes {
		if answer.Code() == code {
			return true
		}
	}
	return false
}

// System reads all of system_schema at one version of the schema.
func (n *Node) System(ctx context.Context) (*schema.System, error) {
	for range settleTries {
		before, err := n.schemaVersion(ctx)
		if err != nil {
			return nil, err
		}
		s, err := n.readSchemaRows(ctx)
		if err != nil {
			return nil, err
		}
		after, err := n.schemaVersion(ctx)
		if err != nil {
			return nil, err
		}
		if before == after {
			return s, nil
		}
	}
	return nil, errors.New("the schema changes while it is read; try again when it has settled")
}

func (n *Node) schemaVersion(ctx context.Context) (version gocql.UUID, err error) {
	err = n.query(ctx, func(row gocql.Scanner) error { return row.Scan(&version) },
		"SELECT schema_version FROM system.local WHERE key = 'local'")
	return version, err
}

func (n *Node) readSchemaRows(ctx context.Context) (*schema.System, error) {
	s := new(schema.System)
	return s, n.readTables(ctx, "system_schema", map[string]*[]schema.Row{
		"keyspaces": &s.Keyspaces, "tables": &s.Tables, "columns": &s.Columns, "dropped_columns": &s.DroppedColumns,
		"types": &s.Types, "functions": &s.Functions, "aggregates": &s.Aggregates, "views": &s.Views,
		"indexes": &s.Indexes, "triggers": &s.Triggers, "column_masks": &s.ColumnMasks,
	})
}

// readTables reads those tables of a keyspace that the release has.
func (n *Node) readTables(ctx context.Context, keyspace string, tables map[string]*[]schema.Row) error {
	var there []string
	err := n.query(ctx, func(row gocql.Scanner) error {
		var name string
		err := row.Scan(&name)
		if tables[name] != nil {
			there = append(there, name)
		}
		return err
	}, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", keyspace)
	if err != nil {
		return err
	}
	left := maxSchema
	for _, name := range there {
		if *tables[name], err = n.rows(ctx, keyspace+"."+name, &left); err != nil {
			return fmt.Errorf("read %s.%s: %w", keyspace, name, err)
		}
	}
	return nil
}

// rows reads a table. It takes the size of the rows off left, and fails where nothing is left.
func (n *Node) rows(ctx context.Context, table string, left *int) ([]schema.Row, error) {
	s, err := n.session(ctx)
	if err != nil {
		return nil, err
	}
	iter := s.Query("SELECT * FROM " + table).WithContext(ctx).Iter()
	rows, err := scanRows(iter, left)
	if closed := iter.Close(); closed != nil {
		err = closed
		var answered gocql.RequestError
		if !errors.As(err, &answered) {
			n.drop()
		}
	}
	return rows, err
}

func scanRows(iter *gocql.Iter, left *int) ([]schema.Row, error) {
	var rows []schema.Row
	columns := iter.Columns()
	for {
		// A pointer to a pointer stays nil where there is no value.
		values := make([]any, len(columns))
		for i, c := range columns {
			v, err := c.TypeInfo.NewWithError()
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
			values[i] = reflect.New(reflect.TypeOf(v)).Interface()
		}
		if !iter.Scan(values...) {
			return rows, nil
		}
		row := make(schema.Row)
		for i, c := range columns {
			if p := reflect.ValueOf(values[i]).Elem(); !p.IsNil() {
				row[c.Name] = rowValue(p.Elem().Interface())
			}
		}
		if *left -= sizeOf(row); *left < 0 {
			return nil, fmt.Errorf("rows are larger than %d bytes", maxSchema)
		}
		rows = append(rows, row)
	}
}

// rowValue gives a value of the driver the type that schema.Row says.
func rowValue(v any) any {
	switch v := v.(type) {
	case gocql.UUID:
		return [16]byte(v)
	case time.Time:
		return v.UTC()
	case int8:
		return int(v)
	case int16:
		return int(v)
	case float32:
		return float64(v)
	}
	return v
}

// sizeOf is about the memory that a row takes.
func sizeOf(row schema.Row) int {
	size := 64
	for _, v := range row {
		size += 64
		switch v := v.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case []string:
			for _, s := range v {
				size += 16 + len(s)
			}
		case map[string]string:
			for k, s := range v {
				size += 64 + len(k) + len(s)
			}
		case map[string][]byte:
			for k, b := range v {
				size += 64 + len(k) + len(b)
			}
		}
	}
	return size
}
