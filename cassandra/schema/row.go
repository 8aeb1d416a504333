package schema

import "fmt"

// Row is one row of a table by column name. A column without a value is missing. Values have these types:
//
//	text, ascii, varchar   string        inet        net.IP
//	boolean                bool          timestamp   time.Time, UTC
//	tinyint .. int         int           blob        []byte
//	bigint, counter        int64         list, set   []T of the above, a set in Cassandra's order
//	float, double          float64       map<text,T> map[string]T of the above, or of map[string]string
//	uuid, timeuuid         [16]byte
type Row map[string]any

// System is what system_schema holds of a cluster: the rows of its tables, in any order. ColumnMasks exist since 5.0.
type System struct {
	Keyspaces, Tables, Columns, DroppedColumns, Types, Functions, Aggregates, Views, Indexes, Triggers, ColumnMasks []Row
}

// Access is what system_auth holds of roles: the rows of its tables, in any order. Networks are network_permissions, which
// exist since 4.0; Identities are identity_to_role, since 5.0.
type Access struct {
	Roles, Members, Permissions, Networks, Identities []Row
}

// fields reads the columns of one row. The first that is not as it must be is err; what is read then is zero.
type fields struct {
	table string // of the row, for messages
	row   Row
	err   error
}

// value is a column's value; zero where there is none.
func value[T any](f *fields, column string) T {
	var zero T
	v, there := f.row[column]
	if !there || v == nil {
		return zero
	}
	typed, ok := v.(T)
	if !ok {
		f.fail("column %s is %T, not %T", column, v, zero)
	}
	return typed
}

// need is the value of a column that must be there.
func need[T any](f *fields, column string) T {
	if f.row[column] == nil {
		f.fail("column %s has no value", column)
	}
	return value[T](f, column)
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("row of %s: %s", f.table, fmt.Sprintf(format, args...))
	}
}

// name is the value of a text column that names something.
func (f *fields) name(column string) string {
	s := need[string](f, column)
	if s == "" {
		f.fail("column %s is empty", column)
	}
	return s
}
