package schema

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestRowsOfRealNodesGiveTheTextThatTheNodesTook(t *testing.T) {
	for _, version := range []string{"3.11.19", "5.0.6"} {
		t.Run(version, func(t *testing.T) {
			got := text(t, realRows(t, version))
			golden := "testdata/" + version + ".cql"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if diff := cmp.Diff(string(want), got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestTheOrderOfTheRowsDoesNotShowInTheText(t *testing.T) {
	want := text(t, realRows(t, "5.0.6"))
	for seed := range uint64(20) {
		if diff := cmp.Diff(want, text(t, shuffled(realRows(t, "5.0.6"), seed))); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func TestOnlyTheKeyspacesOfUsersAreWritten(t *testing.T) {
	s := new(System)
	for _, name := range []string{"systematics", "system", "System", "system_schema", "system_auth", "system_distributed",
		"system_traces", "system_views", "system_virtual_schema", "dse_system", "a"} {
		s.Keyspaces = append(s.Keyspaces, Row{"keyspace_name": name, "replication": map[string]string{"class": "LocalStrategy"}, "durable_writes": true})
	}
	got, err := s.CQL()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range got {
		names = append(names, k.Name)
	}
	if diff := cmp.Diff([]string{"System", "a", "systematics"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := "CREATE KEYSPACE \"System\" WITH replication = {'class': 'LocalStrategy'}  AND durable_writes = true;"
	if diff := cmp.Diff([]string{want}, got[0].Statements); diff != "" || got[0].CQL != want+"\n" {
		t.Errorf("text %q, statements (-want +got):\n%s", got[0].CQL, diff)
	}
}

func TestTypesComeAfterThoseTheyAreMadeOf(t *testing.T) {
	s := oneTable()
	for name, of := range map[string]string{"a": `frozen<map<text, frozen<"M b">>>`, "M b": "frozen<tuple<int, frozen<z>>>", "z": "int", "self": "frozen<self>"} {
		s.Types = append(s.Types, Row{"keyspace_name": "k", "type_name": name, "field_names": []string{"f"}, "field_types": []string{of}})
	}
	got := text(t, s)
	var at []int
	for _, name := range []string{"k.z (", `k."M b" (`, "k.a ("} {
		at = append(at, strings.Index(got, "CREATE TYPE "+name))
	}
	if !slices.IsSorted(at) || at[0] < 0 || strings.Count(got, "CREATE TYPE") != 4 {
		t.Errorf("types at %v in\n%s", at, got)
	}
}

func TestNamesInTypesAreFound(t *testing.T) {
	for of, want := range map[string][]string{
		"int":                            {"int"},
		`frozen<map<text, "A ""b"" c">>`: {"frozen", "map", "text", `A "b" c`},
		`"open`:                          {"open"},
		"":                               nil,
		"<<>, ":                          nil,
	} {
		if diff := cmp.Diff(want, TypeNames(of)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", of, diff)
		}
	}
}

func TestFunctionsAreWrittenWhateverTheirBodies(t *testing.T) {
	for body, want := range map[string]string{
		"return 'x';":  "$$return 'x';$$",
		"a $$ 'b'; $$": "'a $$ ''b''; $$'",
		"ends in $":    "'ends in $'",
	} {
		s := oneTable()
		s.Functions = []Row{{"keyspace_name": "k", "function_name": "F", "argument_names": []string{"a", "B"}, "argument_types": []string{"int", "frozen<tuple<int>>"},
			"body": body, "language": "javascript", "return_type": "frozen<list<int>>", "called_on_null_input": true}}
		want = `CREATE FUNCTION k."F"(a int, "B" tuple<int>)
    CALLED ON NULL INPUT
    RETURNS list<int>
    LANGUAGE javascript
    AS ` + want + ";\n"
		if got := text(t, s); !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

func TestWhatHangsOnATableFollowsIt(t *testing.T) {
	s := oneTable()
	s.Triggers = []Row{{"keyspace_name": "k", "table_name": "t", "trigger_name": "T r", "options": map[string]string{"class": "org.example.Audit"}}}
	s.Indexes = []Row{{"keyspace_name": "k", "table_name": "t", "index_name": "i", "kind": "KEYS", "options": map[string]string{"target": "id"}},
		{"keyspace_name": "k", "table_name": "gone", "index_name": "j", "kind": "KEYS", "options": map[string]string{}}}
	s.DroppedColumns = []Row{
		{"keyspace_name": "k", "table_name": "t", "column_name": "old", "type": "int", "dropped_time": time.UnixMilli(1234)}, // a release without kinds
		{"keyspace_name": "k", "table_name": "t", "column_name": "id", "type": "int", "dropped_time": time.UnixMilli(1)},     // the key took its name later
	}
	keyspaces, err := s.CQL()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy'}  AND durable_writes = true;",
		"CREATE TABLE k.t (\n    id int PRIMARY KEY,\n    old int\n) WITH ID = 01000000-0000-0000-0000-000000000000;",
		"ALTER TABLE k.t DROP old USING TIMESTAMP 1234000;",
		"CREATE INDEX i ON k.t (id);",
		`CREATE TRIGGER "T r" ON k.t USING 'org.example.Audit';`,
	}
	if diff := cmp.Diff(want, keyspaces[0].Statements); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRowsThatLackSomethingAreErrorsThatNameIt(t *testing.T) {
	for want, spoil := range map[string]func(*System){
		"row of keyspaces: column keyspace_name has no value":                    func(s *System) { s.Keyspaces = append(s.Keyspaces, Row{}) },
		"column replication has no value":                                        func(s *System) { delete(s.Keyspaces[0], "replication") },
		"row of tables: column keyspace_name is int, not string":                 func(s *System) { s.Tables[0]["keyspace_name"] = 1 },
		"table t: row of tables: column id has no value":                         func(s *System) { delete(s.Tables[0], "id") },
		"table t: it has no partition key among its 0 columns":                   func(s *System) { s.Columns = nil },
		"table t: it is a super column family, which no CQL makes":               func(s *System) { s.Tables[0]["flags"] = []string{"super", "dense"} },
		"row of columns: column type is empty":                                   func(s *System) { s.Columns[0]["type"] = "" },
		"row of tables: column comment is bool, not string":                      func(s *System) { s.Tables[0]["comment"] = true },
		"row of indexes: index i has no target":                                  func(s *System) { s.Indexes[0]["options"] = map[string]string{} },
		"row of triggers: trigger r has no class":                                func(s *System) { s.Triggers[0]["options"] = map[string]string{} },
		"type u has 1 names of fields and 0 types":                               func(s *System) { s.Types[0]["field_types"] = []string{} },
		"row of functions: function f has 1 names of arguments and 0 types":      func(s *System) { delete(s.Functions[0], "argument_types") },
		"row of aggregates: column state_func has no value":                      func(s *System) { delete(s.Aggregates[0], "state_func") },
		"row of column_masks: 0 types, 1 values and 0 nulls of arguments":        func(s *System) { s.ColumnMasks[0]["function_argument_values"] = []string{"x"} },
		"view v: it has no partition key among its 0 columns":                    func(s *System) { s.Views[0]["view_name"] = "v" },
		"row of views: column base_table_name has no value":                      func(s *System) { delete(s.Views[0], "base_table_name") },
		"row of dropped_columns: column dropped_time is string, not time.Time":   func(s *System) { s.DroppedColumns[0]["dropped_time"] = "then" },
		"write the schema of keyspace k: row of types: column type_name has no ": func(s *System) { delete(s.Types[0], "type_name") },
	} {
		s := hungTable()
		if _, err := s.CQL(); err != nil {
			t.Fatal(err)
		}
		spoil(s)
		if _, err := s.CQL(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// hungTable has one row of each kind; the view reads the columns of its table.
func hungTable() *System {
	s := oneTable()
	of := func(column, name string, more Row) []Row {
		more["keyspace_name"], more["table_name"], more[column] = "k", "t", name
		return []Row{more}
	}
	s.Types = of("type_name", "u", Row{"field_names": []string{"f"}, "field_types": []string{"int"}})
	s.Functions = of("function_name", "f", Row{"argument_names": []string{"a"}, "argument_types": []string{"int"}, "body": "b", "language": "java", "return_type": "int"})
	s.Aggregates = of("aggregate_name", "a", Row{"state_func": "f", "state_type": "int"})
	s.Views = of("view_name", "t", Row{"base_table_name": "t", "where_clause": "id IS NOT NULL", "id": [16]byte{2}})
	s.Indexes = of("index_name", "i", Row{"options": map[string]string{"target": "id"}})
	s.Triggers = of("trigger_name", "r", Row{"options": map[string]string{"class": "c"}})
	s.ColumnMasks = of("column_name", "id", Row{"function_keyspace": "system", "function_name": "mask_default"})
	s.DroppedColumns = of("column_name", "x", Row{"type": "int", "dropped_time": time.UnixMilli(1)})
	return s
}

func TestTypesThatLieTooDeepAreAnError(t *testing.T) {
	s := oneTable()
	for i := range maxTypeDepth + 2 {
		s.Types = append(s.Types, Row{"keyspace_name": "k", "type_name": fmt.Sprintf("t%07d", i), "field_names": []string{"f"},
			"field_types": []string{fmt.Sprintf("frozen<t%07d>", i+1)}})
	}
	if _, err := s.CQL(); err == nil || !strings.Contains(err.Error(), "types deep") {
		t.Errorf("error %v", err)
	}
}

func TestNumbersAreThoseOfJava(t *testing.T) {
	for d, want := range map[float64]string{
		0: "0.0", 1: "1.0", 0.01: "0.01", 0.001: "0.001", 0.0002: "2.0E-4", 1.5e-10: "1.5E-10", 1e7: "1.0E7", 9999999: "9999999.0",
		-0.25: "-0.25", 12345678.9: "1.23456789E7", math.Inf(1): "+Inf",
	} {
		if got := quoteDouble(d); got != want {
			t.Errorf("%g gives %s, want %s", d, got, want)
		}
	}
}

func TestNamesAreQuotedWhereTheyMustBe(t *testing.T) {
	for name, want := range map[string]string{
		"plain_1": "plain_1", "Mixed": `"Mixed"`, "select": `"select"`, "default": `"default"`, "1st": `"1st"`, "": `""`,
		`a"b`: `"a""b"`, "a b": `"a b"`, "ä": `"ä"`, "_x": `"_x"`,
	} {
		if got := quoteName(name); got != want {
			t.Errorf("%s gives %s, want %s", name, got, want)
		}
	}
}

func TestAnyRowsGiveTextOrAnError(t *testing.T) {
	columns := columnNamesOf(realRows(t, "5.0.6"))
	values := rapid.OneOf(
		rapid.Just[any](nil), rapid.Custom(func(t *rapid.T) any {
			return rapid.SampledFrom([]string{"k", "t", "u", "int", "frozen<u>", `"`, ""}).Draw(t, "s")
		}),
		rapid.Custom(func(t *rapid.T) any { return rapid.Int().Draw(t, "i") }), rapid.Custom(func(t *rapid.T) any { return rapid.Float64().Draw(t, "f") }),
		rapid.Custom(func(t *rapid.T) any { return rapid.Bool().Draw(t, "b") }), rapid.Just[any]([16]byte{7}), rapid.Just[any](time.UnixMilli(5)),
		rapid.Custom(func(t *rapid.T) any { return rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "l") }),
		rapid.Custom(func(t *rapid.T) any { return rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "m") }),
	)
	rapid.Check(t, func(rt *rapid.T) {
		s := hungTable()
		for i, rows := range s.allTables() {
			for range rapid.IntRange(0, 3).Draw(rt, "rows") {
				row := Row{"keyspace_name": "k", "table_name": "t"}
				for _, c := range columns[i] {
					row[c] = values.Draw(rt, c)
				}
				*rows = append(*rows, row)
			}
			if len(*rows) > 0 && rapid.Bool().Draw(rt, "spoil") {
				(*rows)[0][rapid.SampledFrom(columns[i]).Draw(rt, "column")] = values.Draw(rt, "value")
			}
		}
		keyspaces, err := s.CQL()
		if (err == nil) == (keyspaces == nil) {
			rt.Errorf("keyspaces %v, error %v", keyspaces, err)
		}
	})
}

// columnNamesOf are the columns of each table, with keyspace and name first.
func columnNamesOf(s *System) [][]string {
	var all [][]string
	for _, rows := range s.allTables() {
		names := map[string]bool{"keyspace_name": true}
		for _, row := range *rows {
			for c := range row {
				names[c] = true
			}
		}
		var list []string
		for c := range names {
			list = append(list, c)
		}
		slices.Sort(list)
		all = append(all, list)
	}
	return all
}
