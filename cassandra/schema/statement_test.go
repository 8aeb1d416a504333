package schema

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func realText(t testing.TB, version string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + version + ".cql")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t testing.TB, cql string) *Statement {
	t.Helper()
	s, err := Parse(cql)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a schema is written of is what it is read as.
func TestTheStatementsOfRealSchemasAreUnderstood(t *testing.T) {
	for _, version := range []string{"3.11.19", "5.0.6"} {
		keyspaces, err := realRows(t, version).CQL()
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, k := range keyspaces {
			for _, s := range k.Statements {
				want = append(want, strings.TrimSuffix(s, ";"))
			}
		}
		all, err := ParseAll(realText(t, version))
		if err != nil {
			t.Fatal(err)
		}
		kinds := make(map[Kind]int)
		for _, s := range all {
			kinds[s.Kind]++
			got = append(got, strings.TrimSuffix(s.CQL, ";"))
			if s.Keyspace == "" || s.Name == "" || s.Kind == KindTable && !slices.ContainsFunc(s.Columns, func(c Column) bool { return c.Key == "partition 0" }) {
				t.Errorf("%+v", s)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: statements (-want +got):\n%s", version, diff)
		}
		for _, k := range []Kind{KindKeyspace, KindType, KindFunction, KindAggregate, KindTable, KindIndex, KindView, KindTrigger, KindDrop, KindAdd} {
			if kinds[k] == 0 && (version[0] != '3' || k != KindFunction && k != KindAggregate) {
				t.Errorf("%s: no statement of kind %s", version, k)
			}
		}
		if kinds[""] > 0 {
			t.Errorf("%s: %d statements are not understood", version, kinds[""])
		}
	}
}

func TestStatementsEndWhereCassandraEndsThem(t *testing.T) {
	for _, c := range []struct {
		name, cql string
		want      []string
	}{
		{"two", "A; B;", []string{"A;", " B;"}},
		{"a last one without its semicolon", "A;\nB", []string{"A;", "\nB"}},
		{"a string", "A ';'; B", []string{"A ';';", " B"}},
		{"a quote in a string", "A 'it''s;'; B", []string{"A 'it''s;';", " B"}},
		{"a quoted name", `A "x;""y;"; B`, []string{`A "x;""y;";`, " B"}},
		{"a body", "A $$ ; ' $$; B", []string{"A $$ ; ' $$;", " B"}},
		{"comments", "A -- ;\n; // ; '\n B /* ; */;C", []string{"A -- ;\n;", " // ; '\n B /* ; */;", "C"}},
		{"a string that does not end", "A; B ';", []string{"A;", " B ';"}},
		{"a body that does not end", "$$$; A", []string{"$$$; A"}},
		{"nothing", "", nil},
	} {
		if diff := cmp.Diff(c.want, Split(c.cql)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestWhatAStatementMakesIsRead(t *testing.T) {
	for _, c := range []struct {
		cql  string
		want Statement
	}{
		{`CREATE KEYSPACE IF NOT EXISTS "K" WITH x = {'a': 1};`, Statement{Kind: KindKeyspace, Keyspace: "K", Name: "K"}},
		{`create type Shop.Address (street text, "At" frozen<map<text, frozen<"Zip">>>)`, Statement{Kind: KindType, Keyspace: "shop", Name: "address",
			Columns: []Column{{"street", "text", ""}, {"At", `frozen<map<text, frozen<"Zip">>>`, ""}}}},
		{`CREATE TABLE t (id varchar PRIMARY KEY, v vector<float,3>)`, Statement{Kind: KindTable, Name: "t",
			Columns: []Column{{"id", "text", "partition 0"}, {"v", "vector<float, 3>", ""}}}},
		{`CREATE TABLE k.t (a int, b int, c int, d timeuuid, s 'some.Type' STATIC, m text MASKED WITH mask_inner(1, (2)), PRIMARY KEY ((b, a), c, d))
			WITH COMPACT STORAGE AND CLUSTERING ORDER BY (c ASC, d DESC) AND comment = 'CLUSTERING ORDER BY (a DESC)';`,
			Statement{Kind: KindTable, Keyspace: "k", Name: "t", Columns: []Column{{"a", "int", "partition 1"}, {"b", "int", "partition 0"}, {"c", "int", "clustering 0"},
				{"d", "timeuuid", "clustering 1 desc"}, {"s", "'some.Type'", "static"}, {"m", "text", ""}}}},
		{`CREATE MATERIALIZED VIEW k."V" AS SELECT "from", id FROM k."Base" WHERE id IS NOT NULL PRIMARY KEY (id)`, Statement{Kind: KindView, Keyspace: "k", Name: "V", On: "Base",
			Query: `as select from , id from "Base" where id is not null primary key ( id )`}},
		{`CREATE CUSTOM INDEX IF NOT EXISTS i ON k.t (values(c)) USING 'sai'`, Statement{Kind: KindIndex, Keyspace: "k", Name: "i", On: "t"}},
		{`CREATE INDEX "I" ON t ("c")`, Statement{Kind: KindIndex, Name: "I", On: "t"}},
		{`CREATE TRIGGER w ON k.t USING 'a.B'`, Statement{Kind: KindTrigger, Keyspace: "k", Name: "w", On: "t"}},
		{`CREATE OR REPLACE FUNCTION k.f(a int, "B" map<text,int>) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $$ ; $$`,
			Statement{Kind: KindFunction, Keyspace: "k", Name: "f", Arguments: []string{"int", "map<text, int>"}}},
		{`CREATE AGGREGATE k.g(tuple<int, text>) SFUNC f STYPE int`, Statement{Kind: KindAggregate, Keyspace: "k", Name: "g", Arguments: []string{"tuple<int, text>"}}},
		{`CREATE FUNCTION k.f() CALLED`, Statement{Kind: KindFunction, Keyspace: "k", Name: "f"}},
		{`ALTER TABLE k.t DROP "C" USING TIMESTAMP 5`, Statement{Kind: KindDrop, Keyspace: "k", On: "t", Name: "C"}},
		{`ALTER TABLE k.t ADD c set<int> static`, Statement{Kind: KindAdd, Keyspace: "k", On: "t", Name: "c", Columns: []Column{{"c", "set<int>", "static"}}}},
		{`ALTER TABLE k.t WITH comment = ''`, Statement{}},
		{`GRANT ALL TO nobody`, Statement{}},
	} {
		got := parse(t, " -- a comment\n /* another */ "+c.cql)
		if got.CQL != c.cql {
			t.Errorf("text %q, want %q", got.CQL, c.cql)
		}
		got.CQL, got.tokens = "", nil
		if diff := cmp.Diff(&c.want, got, cmp.AllowUnexported(Statement{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.cql, diff)
		}
	}
}

func TestAStatementThatIsBrokenIsAnError(t *testing.T) {
	for _, cql := range []string{"CREATE TABLE k.t", "CREATE TABLE k.t (", "CREATE TABLE k.t (a", "CREATE TABLE k.t (a int", "CREATE TABLE k.t (a list<int, PRIMARY KEY (a))",
		"CREATE TABLE k.t (a int, PRIMARY KEY (b))", "CREATE TABLE k.t (a int, PRIMARY KEY ((a, ", "CREATE TABLE k.t (a int PRIMARY KEY) WITH CLUSTERING ORDER BY (z DESC)",
		"CREATE TABLE k.t (a int MASKED WITH f(", "CREATE TABLE k.t (a int b)", "CREATE TYPE k.", "CREATE MATERIALIZED VIEW k.v AS SELECT x", "CREATE MATERIALIZED VIEW k.v AS SELECT x FROM k.t", "CREATE MATERIALIZED VIEW k.v AS SELECT x FROM t PRIMARY KEY (x", "CREATE INDEX i", "CREATE INDEX i OF t",
		"CREATE FUNCTION f(a int", "CREATE FUNCTION f(a int b int)", "ALTER TABLE k.t DROP", "CREATE KEYSPACE", `CREATE KEYSPACE "k`, "CREATE /* x", "CREATE $$", "CREATE TYPE 'k'.t (a int)"} {
		if s, err := Parse(cql); err == nil || !strings.Contains(err.Error(), "CQL \"") {
			t.Errorf("%s: %+v, %v", cql, s, err)
		}
		if _, err := ParseAll("CREATE KEYSPACE k WITH a = 1;" + cql); err == nil {
			t.Errorf("%s: no error among others", cql)
		}
	}
}

func TestAStatementMovesToAnotherKeyspace(t *testing.T) {
	for _, c := range []struct{ cql, want string }{
		{`CREATE KEYSPACE shop WITH x = {'shop': 'shop.'};`, `CREATE KEYSPACE "New" WITH x = {'shop': 'shop.'};`},
		{`CREATE KEYSPACE IF NOT EXISTS "shop" WITH x = 1`, `CREATE KEYSPACE IF NOT EXISTS "New" WITH x = 1`},
		{`CREATE TYPE"shop".t(shop shop)`, `CREATE TYPE "New".t(shop shop)`},
		{`CREATE TYPE shop.shop (shop shop)`, `CREATE TYPE "New".shop (shop shop)`},
		{`CREATE TABLE shop.t (id int PRIMARY KEY) WITH ID = 57e0e1a0-e733-11f1-bb6c-09d0d49b7258` + "\n    AND cdc = true;",
			`CREATE TABLE "New".t (id int PRIMARY KEY) WITH cdc = true;`},
		{`CREATE TABLE shop.t (id int PRIMARY KEY) WITH COMPACT STORAGE AND ID = 57e0e1a0-e733-11f1-bb6c-09d0d49b7258 AND comment = 'AND ID = 1'`,
			`CREATE TABLE "New".t (id int PRIMARY KEY) WITH COMPACT STORAGE AND comment = 'AND ID = 1'`},
		{`CREATE TABLE shop.t (id int PRIMARY KEY) WITH comment = '' AND ID = 57e0e1a0-e733-11f1-bb6c-09d0d49b7258;`,
			`CREATE TABLE "New".t (id int PRIMARY KEY) WITH comment = '';`},
		{`CREATE TABLE shop.t (id int PRIMARY KEY) WITH ID = 57e0e1a0-e733-11f1-bb6c-09d0d49b7258;`, `CREATE TABLE "New".t (id int PRIMARY KEY);`},
		{`CREATE MATERIALIZED VIEW shop.v AS SELECT a FROM "shop" . t WHERE a IS NOT NULL PRIMARY KEY (a) WITH ID = 57e0e1a0-e733-11f1-bb6c-09d0d49b7258 AND x = 0.1`,
			`CREATE MATERIALIZED VIEW "New".v AS SELECT a FROM "New" . t WHERE a IS NOT NULL PRIMARY KEY (a) WITH x = 0.1`},
		{`CREATE INDEX shop ON shop.shop (shop)`, `CREATE INDEX shop ON "New".shop (shop)`},
		{`CREATE FUNCTION shop.f(a shop) RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS $$ shop.x; $$`,
			`CREATE FUNCTION "New".f(a shop) RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS $$ shop.x; $$`},
		{`CREATE TABLE shop.t (id int PRIMARY KEY, v text MASKED WITH system.shop(), w text MASKED WITH shop.m())`,
			`CREATE TABLE "New".t (id int PRIMARY KEY, v text MASKED WITH system.shop(), w text MASKED WITH "New".m())`},
		{`ALTER TABLE SHOP.t DROP shop USING TIMESTAMP 1`, `ALTER TABLE "New".t DROP shop USING TIMESTAMP 1`},
	} {
		if got := parse(t, c.cql).In("New"); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// Of a real schema in another keyspace nothing names the old one, and it makes the same.
func TestARealSchemaMovesToAnotherKeyspaceAsAWhole(t *testing.T) {
	for _, version := range []string{"3.11.19", "5.0.6"} {
		all, err := ParseAll(realText(t, version))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			moved := parse(t, s.In("other"))
			if strings.Contains(moved.CQL, `"Rich".`) || strings.Contains(moved.CQL, "WITH ID") || moved.Keyspace != "other" {
				t.Errorf("moved: %s", moved.CQL)
			}
			want := *s
			want.Keyspace = "other"
			if s.Kind == KindKeyspace {
				want.Name = "other"
			}
			want.CQL, want.tokens, moved.CQL, moved.tokens = "", nil, "", nil
			if diff := cmp.Diff(&want, moved, cmp.AllowUnexported(Statement{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", s.CQL, diff)
			}
		}
	}
}

func TestTypesAreTheSameWhateverSaysThatTheyAreFrozen(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"int", "int", true}, {"int", "bigint", false},
		{"frozen<list<int>>", "list<int>", false},
		{"frozen<list<frozen<list<int>>>>", "frozen<list<list<int>>>", true},
		{"list<frozen<address>>", "list<address>", true},
		{"frozen<tuple<int, text>>", "tuple<int, text>", true},
		{"map<text, frozen<tuple<int, frozen<zip>>>>", "map<text, tuple<int, zip>>", true},
		{"frozen<map<text, int>>", "frozen<map<text, bigint>>", false},
		{`"frozen"`, "frozen", false}, {"a>", "a>", true},
	} {
		if got := SameType(c.a, c.b); got != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

// Whatever the pieces of a text are, splitting loses nothing, and what was split stays as it is.
func TestSplittingLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"CREATE ", ";", "'", "''", `"`, "$$", "$", "--", "/*", "*/", "\n", "a", ".", "é", "\x80", "//", "(", " "})).Draw(t, "pieces")
		mustSplit(t, strings.Join(pieces, ""))
	})
}

// failer is a test or one run of a property.
type failer interface {
	Fatalf(format string, args ...any)
}

func mustSplit(t failer, cql string) {
	all := Split(cql)
	if strings.Join(all, "") != cql {
		t.Fatalf("%q is split into %q", cql, all)
	}
	for _, one := range all {
		if again := Split(one); len(again) != 1 {
			t.Fatalf("%q is split again into %q", one, again)
		}
	}
}

func FuzzStatements(f *testing.F) {
	for _, version := range []string{"3.11.19", "5.0.6"} {
		for _, one := range Split(realText(f, version)) {
			f.Add(one)
		}
	}
	f.Fuzz(func(t *testing.T, cql string) {
		mustSplit(t, cql)
		s, err := Parse(cql)
		if err != nil || s.Kind == "" {
			return
		}
		moved, err := Parse(s.In("other"))
		if err != nil {
			t.Fatalf("%q moved is %q: %v", cql, s.In("other"), err)
		}
		if moved.Kind != s.Kind || len(moved.Columns) != len(s.Columns) || s.Keyspace != "" && s.Keyspace != "system" && moved.Keyspace != "other" {
			t.Fatalf("%q moved is %q: %+v", cql, s.In("other"), moved)
		}
	})
}
