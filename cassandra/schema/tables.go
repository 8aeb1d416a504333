package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// column is one column of a table or view, or one that was dropped.
type column struct {
	name, cqlType string
	kind          string // partition_key, clustering, static, regular
	order         string // of a clustering column: asc or desc
	position      int
	mask          string // how it is masked; empty where it is not
	complex       bool
	droppedMicros int64
}

// table is what a table or a view is written from.
type table struct {
	element
	qualified string
	flags     map[string]bool
	keys      []column // of the partition
	clusters  []column
	others    []column // static ones first, then regular ones
	dropped   []column
}

// belonging parts rows by the table that they name.
func belonging(name string, rows []Row) (map[string][]Row, error) {
	parts := make(map[string][]Row)
	for _, row := range rows {
		f := &fields{table: name, row: row}
		table := f.name("table_name")
		if f.err != nil {
			return nil, f.err
		}
		parts[table] = append(parts[table], row)
	}
	return parts, nil
}

// writeTables writes each table, then its indexes, its triggers and its views.
func (k *keyspace) writeTables() error {
	for _, index := range []struct {
		name string
		rows []Row
		to   *map[string][]Row
	}{
		{"columns", k.rows.Columns, &k.columns}, {"dropped_columns", k.rows.DroppedColumns, &k.dropped},
		{"column_masks", k.rows.ColumnMasks, &k.masks}, {"indexes", k.rows.Indexes, &k.indexes}, {"triggers", k.rows.Triggers, &k.triggers},
	} {
		parts, err := belonging(index.name, index.rows)
		if err != nil {
			return err
		}
		*index.to = parts
	}
	tables, err := elements("tables", k.rows.Tables, "table_name", "")
	if err != nil {
		return err
	}
	views, err := k.viewsByBase()
	if err != nil {
		return err
	}
	for _, e := range tables {
		for _, write := range []func(element) error{k.writeTable, k.writeIndexes, k.writeTriggers} {
			if err := write(e); err != nil {
				return fmt.Errorf("table %s: %w", e.name, err)
			}
		}
		for _, v := range views[e.name] {
			if err := k.writeView(v, e.name); err != nil {
				return fmt.Errorf("view %s: %w", v.name, err)
			}
		}
	}
	return nil
}

// newTable reads the columns of a table or view.
func (k *keyspace) newTable(e element) (*table, error) {
	t := &table{element: e, qualified: k.qualified(e.name), flags: make(map[string]bool)}
	for _, flag := range value[[]string](e.fields, "flags") {
		t.flags[flag] = true
	}
	if e.err != nil {
		return nil, e.err
	}
	masks, err := k.columnMasks(e.name)
	if err != nil {
		return nil, err
	}
	for _, row := range k.columns[e.name] {
		f := &fields{table: "columns", row: row}
		c := column{name: need[string](f, "column_name"), cqlType: f.name("type"), kind: f.name("kind"),
			order: value[string](f, "clustering_order"), position: value[int](f, "position")}
		if f.err != nil {
			return nil, f.err
		}
		c.mask, c.complex = masks[c.name], k.isComplex(c.cqlType)
		t.place(c)
	}
	for _, list := range [][]column{t.keys, t.clusters, t.others} {
		slices.SortFunc(list, compareColumns)
	}
	if len(t.keys) == 0 {
		return nil, fmt.Errorf("it has no partition key among its %d columns", len(k.columns[e.name]))
	}
	t.dropped, err = k.droppedColumns(t)
	return t, err
}

func (t *table) place(c column) {
	switch c.kind {
	case "partition_key":
		t.keys = append(t.keys, c)
	case "clustering":
		t.clusters = append(t.clusters, c)
	default:
		t.others = append(t.others, c)
	}
}

// compareColumns is the order in which Cassandra keeps columns of one kind; of static and regular ones, the static first.
func compareColumns(a, b column) int {
	return cmp.Or(
		cmp.Compare(b.kind, a.kind), // static before regular
		compareBools(a.complex, b.complex),
		cmp.Compare(a.position, b.position),
		cmp.Compare(a.name, b.name),
	)
}

func compareBools(a, b bool) int {
	if a == b {
		return 0
	}
	if b {
		return -1
	}
	return 1
}

// droppedColumns reads the columns that a table had, in the order of their names. A name that a column of the primary key
// was given later is left out: no statement leads there, and reading the key needs no record.
func (k *keyspace) droppedColumns(t *table) ([]column, error) {
	keys := make(map[string]bool)
	for _, c := range append(slices.Clone(t.keys), t.clusters...) {
		keys[c.name] = true
	}
	var dropped []column
	for _, row := range k.dropped[t.name] {
		f := &fields{table: "dropped_columns", row: row}
		c := column{name: need[string](f, "column_name"), cqlType: f.name("type"), kind: value[string](f, "kind"),
			droppedMicros: need[time.Time](f, "dropped_time").UnixMicro()}
		if f.err != nil {
			return nil, f.err
		}
		if !keys[c.name] {
			dropped = append(dropped, c)
		}
	}
	slices.SortFunc(dropped, func(a, b column) int { return cmp.Compare(a.name, b.name) })
	return dropped, nil
}

// writeTable writes the table as it was before any column was dropped, then the drops, with the times that decide which
// cells are gone, each followed by the column of the same name that came later.
func (k *keyspace) writeTable(e element) error {
	t, err := k.newTable(e)
	if err != nil {
		return err
	}
	compact, err := t.hide()
	if err != nil {
		return err
	}
	readded := make(map[string]column)
	for _, d := range t.dropped {
		readded[d.name] = column{}
	}
	columns := append(slices.Clone(t.keys), t.clusters...)
	for _, c := range t.others {
		if _, ok := readded[c.name]; ok {
			readded[c.name] = c
			continue
		}
		columns = append(columns, c)
	}
	options, err := t.options(compact)
	if err != nil {
		return err
	}
	k.add("CREATE TABLE ", t.qualified, " (\n", t.definitions(append(columns, t.dropped...)), "\n) WITH ", options, ";")
	for _, d := range t.dropped {
		k.add(fmt.Sprintf("ALTER TABLE %s DROP %s USING TIMESTAMP %d;", t.qualified, quoteName(d.name), d.droppedMicros))
		if c := readded[d.name]; c.name != "" {
			k.add("ALTER TABLE ", t.qualified, " ADD ", c.definition(), ";")
		}
	}
	return nil
}

// hide takes out what CQL does not show of a table of the time before it, and tells whether the table is one: its rows
// are not compound, or are dense as well.
//
//	flags {}                  one row a partition; its columns are kept as static ones, beside a clustering column
//	                          and a value that nobody sees
//	flags {dense}             one clustering column and one value
//	flags {compound, dense}   several clustering columns and one value
//	flags {super}             a map in disguise, which only Thrift could make
//
// A value that was never named is of the type empty.
func (t *table) hide() (compact bool, err error) {
	if t.flags["super"] {
		return false, fmt.Errorf("it is a super column family, which no CQL makes")
	}
	if t.flags["compound"] && !t.flags["dense"] {
		return false, nil
	}
	if t.flags["dense"] {
		t.others = slices.DeleteFunc(t.others, func(c column) bool {
			return c.cqlType == "empty" || c.cqlType == "'org.apache.cassandra.db.marshal.EmptyType'"
		})
		return true, nil
	}
	t.clusters = nil
	t.others = slices.DeleteFunc(t.others, func(c column) bool { return c.kind != "static" })
	for i := range t.others {
		t.others[i].kind = "regular"
	}
	for i := range t.dropped {
		t.dropped[i].kind = "regular"
	}
	return true, nil
}

// definitions writes columns and the primary key between the brackets.
func (t *table) definitions(columns []column) string {
	alone := len(t.keys) == 1 && len(t.clusters) == 0
	var lines []string
	for i, c := range columns {
		line := "    " + c.definition()
		if alone && i == 0 {
			line += " PRIMARY KEY"
		}
		lines = append(lines, line)
	}
	if !alone {
		lines = append(lines, "    "+t.primaryKey())
	}
	return strings.Join(lines, ",\n")
}

func (t *table) primaryKey() string {
	key := quoteNames(columnNames(t.keys))
	if len(t.keys) > 1 {
		key = "(" + key + ")"
	}
	return "PRIMARY KEY (" + strings.Join(append([]string{key}, quoteEach(columnNames(t.clusters))...), ", ") + ")"
}

func columnNames(columns []column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

func (c column) definition() string {
	text := quoteName(c.name) + " " + c.cqlType
	if c.kind == "static" {
		text += " static"
	}
	return text + c.mask
}
