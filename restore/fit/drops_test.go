package fit

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDroppedColumnsAreFoundInTheTextOfASchema(t *testing.T) {
	for _, c := range []struct {
		name, cql string
		want      []Drop
	}{
		{"none", "CREATE TABLE ks.t (k int PRIMARY KEY, v text) WITH comment = 'x';", nil},
		{"one", "CREATE TABLE ks.t (k int PRIMARY KEY);\nALTER TABLE ks.t DROP gone USING TIMESTAMP 12;", []Drop{{"ks", "t", "gone", 12, false}}},
		{"quoted names", `ALTER TABLE "Rich"."a""b"  DROP "Gone;x" USING TIMESTAMP -5;`, []Drop{{"Rich", `a"b`, "Gone;x", -5, false}}},
		{"names without quotes have no case", `alter table KS.T drop Gone using timestamp 7;`, []Drop{{"ks", "t", "gone", 7, false}}},
		{"added again", "ALTER TABLE ks.t DROP a USING TIMESTAMP 1;ALTER TABLE ks.t ADD a map<int, text> static;ALTER TABLE ks.t ADD b int;", []Drop{{"ks", "t", "a", 1, true}}},
		{"dropped again", "ALTER TABLE ks.t DROP a USING TIMESTAMP 1;ALTER TABLE ks.t ADD a int;ALTER TABLE ks.t DROP a USING TIMESTAMP 2;",
			[]Drop{{"ks", "t", "a", 1, true}, {"ks", "t", "a", 2, false}}},
		{"not in strings, bodies and comments", "CREATE TABLE ks.t (k int PRIMARY KEY) WITH comment = 'it''s; ALTER TABLE ks.t DROP a USING TIMESTAMP 1;';" +
			"CREATE FUNCTION ks.f() AS $$ ; ALTER TABLE ks.t DROP b USING TIMESTAMP 1; $$;\n-- ALTER TABLE ks.t DROP c USING TIMESTAMP 1;\n" +
			"/* ALTER TABLE ks.t DROP d USING TIMESTAMP 1; */ // x ALTER TABLE ks.t DROP e USING TIMESTAMP 1;\nALTER TABLE ks.t DROP f USING TIMESTAMP 3;", []Drop{{"ks", "t", "f", 3, false}}},
		{"what is cut off", `ALTER TABLE ks.t DROP "a`, nil},
		{"a time that is none", "ALTER TABLE ks.t DROP a USING TIMESTAMP soon;", nil},
		{"other statements", "ALTER TABLE ks.t WITH gc_grace_seconds = 0; ALTER TABLE ks.t RENAME a TO b; ALTER KEYSPACE ks WITH durable_writes = true;", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Drops(c.cql)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDroppedColumnsOfRealSchemas(t *testing.T) {
	for _, release := range []string{"3.11.19", "5.0.6"} {
		text, err := os.ReadFile("../../cassandra/schema/testdata/" + release + ".cql")
		if err != nil {
			t.Fatal(err)
		}
		got := Drops(string(text))
		if want := strings.Count(string(text), " USING TIMESTAMP "); len(got) != want || want == 0 {
			t.Errorf("%s: %d of %d drops: %+v", release, len(got), want, got)
		}
	}
}

// FuzzDrops: any text is read to its end, and no drop comes from nowhere.
func FuzzDrops(f *testing.F) {
	f.Add(`ALTER TABLE "Rich"."a""b"  DROP "Gone;x" USING TIMESTAMP -5;`)
	f.Add("-- x\n/* y */ $$ z $$ 'it''s' ALTER TABLE ks.t DROP a USING TIMESTAMP 1;")
	f.Fuzz(func(t *testing.T, cql string) {
		if got, most := len(Drops(cql)), strings.Count(strings.ToLower(cql), "drop"); got > most {
			t.Errorf("%d drops of %d words", got, most)
		}
	})
}
