package fit

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/schema"
)

// realRows are the rows of system_schema that a release held, as package schema keeps them for its tests.
func realRows(t *testing.T, release string) *schema.System {
	t.Helper()
	text, err := os.ReadFile("../../cassandra/schema/testdata/" + release + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var tables map[string][]map[string]any
	if err := json.Unmarshal(text, &tables); err != nil {
		t.Fatal(err)
	}
	s := new(schema.System)
	for name, rows := range tables {
		to := reflect.ValueOf(s).Elem().FieldByName(name).Addr().Interface().(*[]schema.Row)
		for _, written := range rows {
			row := make(schema.Row)
			for column, v := range written {
				row[column] = rowValue(t, v)
			}
			*to = append(*to, row)
		}
	}
	return s
}

// rowValue undoes the form that JSON has no types for.
func rowValue(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case []any:
		list := make([]string, len(v))
		for i := range v {
			list[i] = fmt.Sprint(v[i])
		}
		return list
	case map[string]any:
		for kind, of := range v {
			switch kind {
			case "int":
				return int(of.(float64))
			case "uuid":
				b, err := hex.DecodeString(of.(string))
				if err != nil {
					t.Fatal(err)
				}
				return [16]byte(b)
			case "blob":
				b, err := hex.DecodeString(of.(string))
				if err != nil {
					t.Fatal(err)
				}
				return b
			case "time":
				at, err := time.Parse(time.RFC3339Nano, of.(string))
				if err != nil {
					t.Fatal(err)
				}
				return at
			case "texts":
				texts := make(map[string]string)
				for k, s := range of.(map[string]any) {
					texts[k] = fmt.Sprint(s)
				}
				return texts
			}
		}
	}
	return v
}

// described is a table in a few words.
func described(t Table) string {
	var b strings.Builder
	list := func(name string, columns []Column) {
		for _, c := range columns {
			fmt.Fprintf(&b, " %s %s %s;", name, c.Name, keyText(c.Type))
		}
	}
	list("key", t.Partition)
	list("clustering", t.Clustering)
	list("static", t.Static)
	list("regular", t.Regular)
	for _, d := range t.Dropped {
		fmt.Fprintf(&b, " dropped %s %s;", d.Name, d.Type)
	}
	for _, i := range t.Indexes {
		fmt.Fprintf(&b, " index %s %s;", i.Name, i.Class)
	}
	if t.View {
		fmt.Fprintf(&b, " view of %s;", t.Base)
	}
	for word, is := range map[string]bool{" compact": t.Compact, " counter": t.Counter} {
		if is {
			b.WriteString(word)
		}
	}
	return strings.TrimSpace(b.String())
}

func TestTablesAreReadFromRealRows(t *testing.T) {
	tables, err := FromRows(realRows(t, "5.0.6"), func(keyspace string) bool { return keyspace == "Rich" })
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, table := range tables {
		got[table.Name] = described(table)
		grace := 10 * day
		if table.Name == "Everything" {
			grace = time.Hour
		}
		if len(table.Partition) == 0 || len(table.ID) != 32 || table.GCGrace != grace || table.Replicas != 1 {
			t.Errorf("%+v", table)
		}
	}
	want := map[string]string{
		"All":           "key n int; key id int; clustering c int; regular Mail text; regular l list<int>; view of Base;",
		"mails":         "key Mail text; clustering c int desc; clustering id int; view of Base;",
		"Base":          "key id int; clustering c int; regular Mail text; regular l list<int>; regular n int;",
		"counted":       "key id int; clustering c int; static s counter; regular n counter; counter",
		"compact_dense": "key k text; clustering c1 int desc; clustering c2 int; regular v text; compact",
		"compact_was":   "key k text; clustering column1 text; static a int; static b text; regular value blob;",
	}
	for name, text := range want {
		if diff := cmp.Diff(text, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if n := len(got); n < len(want)+3 {
		t.Errorf("%d tables", n)
	}
}

func TestTheDropsOfRowsAreThoseOfTheText(t *testing.T) {
	for _, release := range []string{"3.11.19", "5.0.6"} {
		text, err := os.ReadFile("../../cassandra/schema/testdata/" + release + ".cql")
		if err != nil {
			t.Fatal(err)
		}
		tables, err := FromRows(realRows(t, release), func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]int64)
		for _, table := range tables {
			for _, d := range table.Dropped {
				got[table.Keyspace+"."+table.Name+"."+d.Name] = d.Micros
			}
		}
		want := make(map[string]int64)
		for _, d := range Drops(string(text)) {
			want[d.Keyspace+"."+d.Table+"."+d.Column] = d.Micros
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
			t.Errorf("%s (-want +got):\n%s", release, diff)
		}
	}
}

func TestReplicasAreCounted(t *testing.T) {
	for _, c := range []struct {
		replication map[string]string
		replicas    int
		transient   bool
	}{
		{map[string]string{"class": "SimpleStrategy", "replication_factor": "3"}, 3, false},
		{map[string]string{"class": "NetworkTopologyStrategy", "dc1": "3", "dc2": "2"}, 5, false},
		{map[string]string{"class": "NetworkTopologyStrategy", "dc1": "3/1"}, 3, true},
		{map[string]string{"class": "NetworkTopologyStrategy", "dc1": "3/0"}, 3, false},
		{map[string]string{"class": "EverywhereStrategy"}, 0, false},
	} {
		s := &schema.System{Keyspaces: []schema.Row{{"keyspace_name": "k", "replication": c.replication}},
			Tables: []schema.Row{{"keyspace_name": "k", "table_name": "t"}}}
		tables, err := FromRows(s, func(string) bool { return true })
		if err != nil || len(tables) != 1 || tables[0].Replicas != c.replicas || tables[0].Transient != c.transient {
			t.Errorf("%v: %+v, %v", c.replication, tables, err)
		}
	}
}

func TestRowsThatAreNotAsTheyMustBeAreNamed(t *testing.T) {
	column := func(edit func(schema.Row)) schema.Row {
		row := schema.Row{"keyspace_name": "k", "table_name": "t", "column_name": "c", "kind": "regular", "type": "int"}
		edit(row)
		return row
	}
	table := []schema.Row{{"keyspace_name": "k", "table_name": "t"}}
	for _, c := range []struct {
		name string
		s    schema.System
		says string
	}{
		{"no name", schema.System{Tables: []schema.Row{{"keyspace_name": "k"}}}, "column table_name is <nil>, not text"},
		{"another type", schema.System{Tables: []schema.Row{{"keyspace_name": 7}}}, "column keyspace_name is int, not text"},
		{"a type that is none", schema.System{Tables: table, Columns: []schema.Row{column(func(r schema.Row) { r["type"] = "list<x" })}}, "k.t: type"},
		{"a kind that is none", schema.System{Tables: table, Columns: []schema.Row{column(func(r schema.Row) { r["kind"] = "odd" })}}, `column of kind "odd"`},
		{"a drop without time", schema.System{Tables: table, DroppedColumns: []schema.Row{column(func(schema.Row) {})}}, "dropped_time is <nil>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := FromRows(&c.s, func(string) bool { return true }); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
	for _, strays := range []schema.System{{Columns: []schema.Row{column(func(schema.Row) {})}}, {Indexes: []schema.Row{column(func(schema.Row) {})}},
		{Tables: table, Columns: []schema.Row{column(func(r schema.Row) { r["kind"], r["position"] = "clustering", 1<<40 })}}} {
		if _, err := FromRows(&strays, func(string) bool { return true }); err != nil {
			t.Error(err)
		}
	}
}
