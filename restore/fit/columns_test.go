package fit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/sstable"
)

// typed reads a type as system_schema writes it.
func typed(t testing.TB, text string) Type {
	t.Helper()
	typ, err := ParseCQL(text, func(name string) (fields, types []string, ok bool) {
		return []string{"a"}, []string{"int"}, name == "place"
	})
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

// orders is a table of the target: shop.orders (k int, c text, s int static, v text, PRIMARY KEY (k, c)).
func orders(t testing.TB, edit func(*Table)) *Table {
	t.Helper()
	table := &Table{Keyspace: "shop", Name: "orders", Replicas: 3, GCGrace: 10 * day,
		Partition: []Column{{"k", typed(t, "int")}}, Clustering: []Column{{"c", typed(t, "text")}},
		Static: []Column{{"s", typed(t, "int")}}, Regular: []Column{{"v", typed(t, "text")}}}
	if edit != nil {
		edit(table)
	}
	return table
}

// header of SSTables of that table; more are regular columns "name class".
func header(more ...string) *sstable.Header {
	h := &sstable.Header{MinTimestamp: 500, KeyType: marshal + "Int32Type", ClusteringTypes: []string{marshal + "UTF8Type"},
		Static:  []sstable.Column{{Name: []byte("s"), Type: marshal + "Int32Type"}},
		Regular: []sstable.Column{{Name: []byte("v"), Type: marshal + "UTF8Type"}}}
	for _, m := range more {
		name, class, _ := strings.Cut(m, " ")
		h.Regular = append(h.Regular, sstable.Column{Name: []byte(name), Type: marshal + class})
	}
	return h
}

// columnCase is a header under shop.orders, and the columns that do not fit.
type columnCase struct {
	name    string
	target  func(*Table)
	header  *sstable.Header
	version string // nb where empty
	drops   []Drop
	want    []string // kind column problem, and what mends it
}

func (c *columnCase) run(t *testing.T) {
	if c.version == "" {
		c.version = "nb"
	}
	var got []string
	for _, p := range against(orders(t, c.target), c.header, c.version, c.drops...) {
		got = append(got, fmt.Sprintf("%s %s %s: %s%s", p.Kind, p.Column, p.Problem, strings.Join(p.Mend, " "), p.Why))
		if r := p.risk(); !r.Refuses || r.Final != (p.Problem != Hidden && p.Problem != Thawed) || r.Code != Columns {
			t.Errorf("%+v", r)
		}
	}
	if diff := cmp.Diff(c.want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestColumnsThatTheSchemaLacks(t *testing.T) {
	for _, c := range []columnCase{

		{name: "they fit", header: header()},
		{name: "the schema has more", target: func(t *Table) { t.Regular = append(t.Regular, Column{Name: "w"}) }, header: header()},
		{name: "one is missing", header: header("Gone Int32Type"),
			want: []string{`regular Gone missing: ALTER TABLE "shop"."orders" ADD "Gone" int;`}},
		{name: "it was dropped before the backup", header: header("gone MapType(" + marshal + "UTF8Type," + marshal + "Int32Type)"),
			drops: []Drop{{"shop", "orders", "gone", 1234, false}, {"shop", "others", "v", 5, false}},
			want:  []string{`regular gone missing: ALTER TABLE "shop"."orders" ADD "gone" map<text, int>; ALTER TABLE "shop"."orders" DROP "gone" USING TIMESTAMP 1234;`}},
		{name: "it was dropped and added again before the backup", header: header("gone Int32Type"), drops: []Drop{{"shop", "orders", "gone", 1234, true}},
			want: []string{`regular gone missing: ALTER TABLE "shop"."orders" ADD "gone" int;`}},
		{name: "a type of the user that is not frozen cannot be dropped again", header: header("gone UserType(shop,706c616365,61:" + marshal + "Int32Type)"),
			drops: []Drop{{"shop", "orders", "gone", 1234, false}}, want: []string{`regular gone missing: ALTER TABLE "shop"."orders" ADD "gone" "place";`}},
		{name: "a view cannot be mended", target: func(t *Table) { t.View = true }, header: header("gone Int32Type"),
			want: []string{"regular gone missing: no column can be added to a view: drop it and create it again"}},
		{name: "nor compact storage", target: func(t *Table) { t.Compact = true }, header: header("gone Int32Type"),
			want: []string{"regular gone missing: no column can be added to a table with COMPACT STORAGE"}},
		{name: "nor what became static", header: header("s Int32Type"),
			want: []string{"regular s missing: another column has its name: restore into a table of its own"}},
	} {
		t.Run(c.name, c.run)
	}
}

func TestColumnsThatTheTargetDropped(t *testing.T) {
	drop := func(typ string, micros int64) func(*Table) {
		return func(table *Table) { table.Dropped = []Dropped{{Column{"gone", typed(t, typ)}, micros}} }
	}
	for _, c := range []columnCase{
		{name: "dropped as in the backup", target: drop("int", 1000), header: header("gone Int32Type"), drops: []Drop{{"shop", "orders", "gone", 1000, false}}},
		{name: "dropped after the backup", target: drop("int", 1000), header: header("gone Int32Type"), want: []string{"regular gone hidden: "}},
		{name: "dropped before these cells were written", target: drop("int", 499), header: header("gone Int32Type")},
		{name: "dropped again after the backup", target: drop("int", 1000), header: header("gone Int32Type"),
			drops: []Drop{{"shop", "orders", "gone", 10, true}}, want: []string{"regular gone hidden: "}},
		{name: "dropped with another layout of cells", target: drop("list<int>", 1), header: header("gone Int32Type"), want: []string{"regular gone differs: "}},
	} {
		t.Run(c.name, c.run)
	}
}

func TestTypesAreHeldAgainstTheSchema(t *testing.T) {
	for _, c := range []columnCase{
		{name: "text is no int", header: header("w Int32Type"), target: func(table *Table) { table.Regular = append(table.Regular, Column{"w", typed(t, "text")}) },
			want: []string{"regular w differs: "}},
		{name: "blob reads all", header: header("w Int32Type"), target: func(table *Table) { table.Regular = append(table.Regular, Column{"w", typed(t, "blob")}) }},
		{name: "a class that is not known is itself", header: header("w OwnType(" + marshal + "Int32Type)"),
			target: func(table *Table) {
				table.Regular = append(table.Regular, Column{"w", typed(t, "'"+marshal+"OwnType("+marshal+"Int32Type)'")})
			}},
		{name: "and no other", header: header("w OwnType(" + marshal + "Int32Type)"),
			target: func(table *Table) {
				table.Regular = append(table.Regular, Column{"w", typed(t, "'"+marshal+"OwnType("+marshal+"UTF8Type)'")})
			}, want: []string{"regular w differs: "}},
		{name: "a type that is no type", header: header("w ListType((("), want: []string{"regular w unclear: "}},
		{name: "another key", target: func(table *Table) { table.Partition[0].Type = typed(t, "text") }, header: header(), want: []string{"partition_key k differs: "}},
		{name: "more key columns", target: func(table *Table) { table.Partition = append(table.Partition, Column{"l", typed(t, "int")}) },
			header: header(), want: []string{"partition_key  differs: "}},
		{name: "clustering in the other order", target: func(table *Table) { table.Clustering[0].Type.Reversed = true }, header: header(), want: []string{"clustering c differs: "}},
		{name: "frozen as 3.0 wrote it", version: "md", header: header("u UserType(shop,706c616365,61:" + marshal + "Int32Type)"),
			target: func(table *Table) { table.Regular = append(table.Regular, Column{"u", typed(t, "frozen<place>")}) }, want: []string{"regular u thawed: "}},
		{name: "not frozen, in a later version", header: header("u UserType(shop,706c616365,61:" + marshal + "Int32Type)"),
			target: func(table *Table) { table.Regular = append(table.Regular, Column{"u", typed(t, "frozen<place>")}) }, want: []string{"regular u differs: "}},
		{name: "not frozen, in BTI", version: "da", header: header("u UserType(shop,706c616365,61:" + marshal + "Int32Type)"),
			target: func(table *Table) { table.Regular = append(table.Regular, Column{"u", typed(t, "frozen<place>")}) }, want: []string{"regular u differs: "}},
	} {
		t.Run(c.name, c.run)
	}
}

func TestAMissingColumnOfSeveralTypesIsMendedByTheWidest(t *testing.T) {
	for _, c := range []struct {
		classes []string
		want    []string
	}{
		{[]string{"AsciiType", "UTF8Type"}, []string{`ALTER TABLE "shop"."orders" ADD "gone" text;`}},
		{[]string{"Int32Type", "BytesType", "UTF8Type"}, []string{`ALTER TABLE "shop"."orders" ADD "gone" blob;`}},
		{[]string{"LongType", "TimestampType"}, []string{`ALTER TABLE "shop"."orders" ADD "gone" bigint;`}},
		{[]string{"Int32Type", "UTF8Type"}, nil},
	} {
		f := New(Input{Schema: []Table{*orders(t, nil)}})
		one := f.table("shop", "orders")
		for _, class := range c.classes {
			one.header(header("gone "+class), "nb")
		}
		one.TableFit.Columns = one.columns()
		r := Result{Tables: []TableFit{one.TableFit}}
		if diff := cmp.Diff(c.want, r.Mend()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.classes, diff)
		}
		for _, p := range one.Columns {
			if len(p.Mend) == 0 && p.Why == "" {
				t.Errorf("%+v has no reason", p)
			}
		}
	}
}

func TestEqualHeadersAreJudgedOnce(t *testing.T) {
	f := New(Input{Schema: []Table{*orders(t, nil)}})
	one := f.table("shop", "orders")
	for i := range 10_000 {
		h := header("gone Int32Type")
		h.MinTimestamp, h.MinTTL = int64(i), int64(i)
		one.header(h, "nb")
	}
	got := one.columns()
	if len(one.headers) != 1 || len(got) != 1 || got[0].SSTables != 10_000 {
		t.Errorf("%d headers, %+v", len(one.headers), got)
	}
}

func TestWhatIsToldOfOneTableIsBounded(t *testing.T) {
	f := New(Input{Schema: []Table{*orders(t, nil)}})
	one := f.table("shop", "orders")
	for i := range 30 {
		var more []string
		for j := range 100 {
			more = append(more, fmt.Sprintf("c%d_%d Int32Type", i, j))
		}
		one.header(header(more...), "nb")
	}
	if n := len(one.columns()); n != maxProblems {
		t.Errorf("%d columns", n)
	}
	if r := f.unread(one); r == nil || !r.Final {
		t.Errorf("%+v", r)
	}
}
