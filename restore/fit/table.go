package fit

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cbk/cassandra/schema"
)

// Column is a column of a table.
type Column struct {
	Name string
	Type Type
}

// Dropped is a column that a table had.
type Dropped struct {
	Column
	Micros int64 // cells written up to then are gone, microseconds since 1970
}

// Index is an index on a table.
type Index struct {
	Name  string
	Class string // of a custom one, as "StorageAttachedIndex"; empty of an index table of its own
}

// Table is a table or view of the target.
type Table struct {
	Keyspace, Name, ID    string // the id as 32 hex digits
	Partition, Clustering []Column
	Static, Regular       []Column
	Dropped               []Dropped
	Indexes               []Index
	View                  bool
	Base                  string // of a view
	Compact               bool   // COMPACT STORAGE: no column can be added
	Counter               bool
	GCGrace               time.Duration
	Replicas              int  // of the keyspace, over all data centers; 0 where its strategy does not say
	Transient             bool // some of the replicas are
	Accord                bool // it has a transactional_mode, which system_schema of 6.0 does not show: DESCRIBE does
}

// FromRows reads tables and views of the keyspaces that wanted holds for, in the order of their names.
func FromRows(s *schema.System, wanted func(keyspace string) bool) ([]Table, error) {
	c := &catalog{tables: make(map[[2]string]*Table), types: make(map[[2]string]schema.Row)}
	for _, step := range []struct {
		rows []schema.Row
		read func(*fields)
	}{
		{s.Types, c.addType}, {s.Tables, c.addTable}, {s.Views, c.addView}, {s.Columns, c.addColumn},
		{s.DroppedColumns, c.addDropped}, {s.Indexes, c.addIndex}, {s.Keyspaces, c.addReplicas},
	} {
		for _, row := range step.rows {
			f := &fields{row: row}
			if f.text("keyspace_name"); f.err == nil && wanted(f.text("keyspace_name")) {
				step.read(f)
			}
			if f.err != nil {
				return nil, fmt.Errorf("read the schema: %w", f.err)
			}
		}
	}
	return c.sorted(), nil
}

// catalog gathers tables.
type catalog struct {
	tables map[[2]string]*Table
	types  map[[2]string]schema.Row
}

// sorted puts the columns of keys in their places.
func (c *catalog) sorted() []Table {
	var all []Table
	for _, t := range c.tables {
		for _, list := range [][]Column{t.Static, t.Regular} {
			slices.SortFunc(list, func(a, b Column) int { return cmp.Compare(a.Name, b.Name) })
		}
		slices.SortFunc(t.Indexes, func(a, b Index) int { return cmp.Compare(a.Name, b.Name) })
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Table) int { return cmp.Or(cmp.Compare(a.Keyspace, b.Keyspace), cmp.Compare(a.Name, b.Name)) })
	return all
}

func (c *catalog) addType(f *fields) {
	c.types[[2]string{f.text("keyspace_name"), f.text("type_name")}] = f.row
}

func (c *catalog) addTable(f *fields) {
	t := c.newTable(f, "table_name")
	flags, _ := f.row["flags"].([]string)
	has := func(flag string) bool { return slices.Contains(flags, flag) }
	t.Compact = !has("compound") || has("dense") || has("super")
	t.Counter = has("counter")
}

func (c *catalog) addView(f *fields) {
	t := c.newTable(f, "view_name")
	t.View, t.Base = true, f.text("base_table_name")
}

func (c *catalog) newTable(f *fields, name string) *Table {
	t := &Table{Keyspace: f.text("keyspace_name"), Name: f.text(name)}
	if id, ok := f.row["id"].([16]byte); ok {
		t.ID = hex.EncodeToString(id[:])
	}
	if seconds, ok := f.row["gc_grace_seconds"].(int); ok {
		t.GCGrace = time.Duration(seconds) * time.Second
	} else {
		t.GCGrace = 10 * 24 * time.Hour // the default, which a row need not have
	}
	c.tables[[2]string{t.Keyspace, t.Name}] = t
	return t
}

// table is that of a row; rows of tables that are not there belong to nothing.
func (c *catalog) table(f *fields) *Table {
	return c.tables[[2]string{f.text("keyspace_name"), f.text("table_name")}]
}

func (c *catalog) addColumn(f *fields) {
	t := c.table(f)
	if t == nil {
		return
	}
	col := Column{Name: columnName(f), Type: c.typeOf(f)}
	place, _ := f.row["position"].(int)
	switch kind := f.text("kind"); kind {
	case "partition_key":
		t.Partition = put(t.Partition, place, col)
	case "clustering":
		order, _ := f.row["clustering_order"].(string)
		col.Type.Reversed = strings.EqualFold(order, "desc")
		t.Clustering = put(t.Clustering, place, col)
	case "static":
		t.Static = append(t.Static, col)
	case "regular", "compact_value":
		t.Regular = append(t.Regular, col)
	default:
		f.fail("column of kind %q", kind)
	}
	t.Counter = t.Counter || col.Type.Name == "counter"
}

// maxKeyColumns is more columns than a key has: a clustering has 16 bits for their number.
const maxKeyColumns = 1 << 16

// put places a column of a key.
func put(list []Column, place int, c Column) []Column {
	for len(list) <= place && place < maxKeyColumns {
		list = append(list, Column{})
	}
	if place >= 0 && place < len(list) {
		list[place] = c
	}
	return list
}

func (c *catalog) addDropped(f *fields) {
	t := c.table(f)
	if t == nil {
		return
	}
	at, ok := f.row["dropped_time"].(time.Time)
	if !ok {
		f.fail("dropped_time is %T", f.row["dropped_time"])
	}
	t.Dropped = append(t.Dropped, Dropped{Column{Name: f.text("column_name"), Type: c.typeOf(f)}, at.UnixMicro()})
}

func (c *catalog) addIndex(f *fields) {
	t := c.table(f)
	if t == nil {
		return
	}
	options, _ := f.row["options"].(map[string]string)
	class := options["class_name"]
	t.Indexes = append(t.Indexes, Index{Name: f.text("index_name"), Class: class[strings.LastIndexByte(class, '.')+1:]})
}

// addReplicas counts the replicas of a keyspace's tables, as {'dc1': '3', 'dc2': '3/1'} has six, one of them transient.
func (c *catalog) addReplicas(f *fields) {
	replication, _ := f.row["replication"].(map[string]string)
	total, transient := 0, false
	for key, v := range replication {
		full, part, slash := strings.Cut(v, "/")
		n, err := strconv.Atoi(full)
		if key == "class" || err != nil || n < 0 {
			continue
		}
		total, transient = total+n, transient || slash && part != "0"
	}
	for k, t := range c.tables {
		if k[0] == f.row["keyspace_name"] {
			t.Replicas, t.Transient = total, transient
		}
	}
}

// columnName is the name as bytes where the row has it, which need not be text.
func columnName(f *fields) string {
	if b, ok := f.row["column_name_bytes"].([]byte); ok {
		return string(b)
	}
	name, _ := f.row["column_name"].(string)
	return name
}

func (c *catalog) typeOf(f *fields) Type {
	keyspace := f.text("keyspace_name")
	t, err := ParseCQL(f.text("type"), func(name string) (fields, types []string, ok bool) {
		row, ok := c.types[[2]string{keyspace, name}]
		fields, _ = row["field_names"].([]string)
		types, _ = row["field_types"].([]string)
		return fields, types, ok
	})
	if err != nil {
		f.fail("%v", err)
	}
	return t
}

// fields reads one row; the first thing that is wrong is err.
type fields struct {
	row schema.Row
	err error
}

// text is a column that must have a value.
func (f *fields) text(column string) string {
	s, ok := f.row[column].(string)
	if !ok {
		f.fail("column %s is %T, not text", column, f.row[column])
	}
	return s
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%v.%v: %s", f.row["keyspace_name"], f.row["table_name"], fmt.Sprintf(format, args...))
	}
}
