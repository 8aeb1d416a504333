package prove_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/restore/prove"
)

func count(n int) *int { return &n }

func TestQueriesAreReadAsTheyAreWritten(t *testing.T) {
	got, err := prove.ReadQueries(strings.NewReader(`
- query: SELECT name, code FROM shop.customers WHERE id = 7
  result: [[amber, 012], [it's, ~], ["[1, 2]", 0x00ff], [2024-01-01T00:00:00.000Z, true]]
- query: SELECT * FROM shop.files
  rows: 0
- query: SELECT now() FROM system.local
`))
	want := []prove.Query{
		{Query: "SELECT name, code FROM shop.customers WHERE id = 7", Result: []prove.Row{
			{"amber", "012"}, {"it's", "null"}, {"[1, 2]", "0x00ff"}, {"2024-01-01T00:00:00.000Z", "true"},
		}},
		{Query: "SELECT * FROM shop.files", Rows: count(0)},
		{Query: "SELECT now() FROM system.local"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
}

func TestFilesThatAreNoQueriesAreRefused(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":                     "",
		"no list":                     "query: SELECT 1",
		"a word that is not known":    "- query: SELECT 1\n  row: 3",
		"no query":                    "- rows: 3",
		"fewer than no rows":          "- query: SELECT 1\n  rows: -1",
		"more rows than are held":     "- query: SELECT 1\n  rows: 1000000",
		"rows and another result":     "- query: SELECT 1\n  rows: 2\n  result: [[1]]",
		"a value that is a list":      "- query: SELECT 1\n  result: [[[1]]]",
		"a row that is a value":       "- query: SELECT 1\n  result: [1]",
		"a second document":           "- query: SELECT 1\n---\n- query: SELECT 2",
		"more bytes than people type": "- query: SELECT 1 # " + strings.Repeat("x", 1<<20),
		"more queries than are asked": strings.Repeat("- query: SELECT 1\n", 1001),
	} {
		if got, err := prove.ReadQueries(strings.NewReader(text)); err == nil || got != nil {
			t.Errorf("%s: %v, error %v", what, got, err)
		}
	}
}

func TestAnswersAreComparedAsText(t *testing.T) {
	c := newCluster()
	c.answers["SELECT two"] = [][]string{{"1", "a"}, {"2", "b"}}
	c.answers["SELECT none"] = nil
	c.answers["SELECT long"] = [][]string{{strings.Repeat("x", 1000)}}
	two := []prove.Row{{"1", "a"}, {"2", "b"}}
	tests := []struct {
		query prove.Query
		want  string
	}{
		{prove.Query{Query: "SELECT two", Result: two}, ""},
		{prove.Query{Query: "SELECT two", Rows: count(2)}, ""},
		{prove.Query{Query: "SELECT two"}, ""},
		{prove.Query{Query: "SELECT none", Rows: count(0)}, ""},
		{prove.Query{Query: "SELECT none", Result: []prove.Row{}}, ""},
		{prove.Query{Query: "SELECT none", Result: two}, "0 rows, not 2"},
		{prove.Query{Query: "SELECT two", Rows: count(1)}, "more than 1 rows"},
		{prove.Query{Query: "SELECT two", Rows: count(0)}, "more than 0 rows"},
		{prove.Query{Query: "SELECT two", Rows: count(3)}, "2 rows, not 3"},
		{prove.Query{Query: "SELECT two", Result: []prove.Row{{"1", "a"}, {"2", "c"}}}, "row 2 is [2, b], not [2, c]"},
		{prove.Query{Query: "SELECT two", Result: []prove.Row{{"1"}, {"2"}}}, "row 1 is [1, a], not [1]"},
		{prove.Query{Query: "SELECT long", Result: []prove.Row{{"y"}}}, "row 1 is [" + strings.Repeat("x", 199) + "..., not [y]"},
		{prove.Query{Query: "SELECT unknown"}, "unexpected EOF"},
	}
	for _, tt := range tests {
		r := check(t, c, &prove.Plan{Options: options(prove.Samples)}, tt.query)
		if got := r.Queries[0].Failure; got != tt.want || (r.Err() == nil) != (tt.want == "") {
			t.Errorf("%+v: %q, want %q, error %v", tt.query, got, tt.want, r.Err())
		}
	}
}
