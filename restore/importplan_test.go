package restore

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/snapshot"
)

// The statements of the shop whose tables are imported.
const (
	makeShop      = "CREATE KEYSPACE shop WITH replication = {'class': 'SimpleStrategy'};\n"
	makeZip       = "CREATE TYPE shop.zip (code int);\n"
	makeAddress   = "CREATE TYPE shop.address (street text, \"Zip\" frozen<zip>);\n"
	makeUnused    = "CREATE TYPE shop.unused (a int);\n"
	makeFunction  = "CREATE FUNCTION shop.f(a int) CALLED ON NULL INPUT RETURNS int LANGUAGE java AS $$ return 1; $$;\n"
	makeCustomers = "CREATE TABLE shop.customers (id int PRIMARY KEY, home frozen<address>, gone text) WITH ID = 57e0e1a0-e733-11f1-bb6c-09d0d49b7258 AND comment = '';\n"
	dropGone      = "ALTER TABLE shop.customers DROP gone USING TIMESTAMP 5;\n"
	makeIndex     = "CREATE INDEX by_mail ON shop.customers (home);\n"
	makeTrigger   = "CREATE TRIGGER audit ON shop.customers USING 'a.B';\n"
	makeOrders    = "CREATE TABLE shop.orders (id int, at int, v text, PRIMARY KEY (id, at)) WITH CLUSTERING ORDER BY (at DESC);\n"
	makeView      = "CREATE MATERIALIZED VIEW shop.by_v AS SELECT id, at FROM shop.orders WHERE v IS NOT NULL PRIMARY KEY (v, id, at);\n"
	makeAll       = makeShop + makeZip + makeAddress + makeUnused + makeFunction + makeCustomers + dropGone + makeIndex + makeTrigger + makeOrders + makeView
)

// statements are those of texts, as a plan has them.
func statements(texts ...string) []string {
	all := []string{}
	for _, t := range texts {
		all = append(all, strings.TrimSuffix(t, ";\n"))
	}
	return all
}

// shopFiles are those of the shop's tables, an index and a view.
func shopFiles() files {
	return merged(backedUp(), files{tableDir("shop", "by_v") + "/oa-3-big-Data.db": noise(9, 400)})
}

// shopBackup backs the shop up.
func shopBackup(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	r := newRig(t)
	r.cql = map[string]string{"shop": makeAll}
	return r.backup("monday", shopFiles())
}

func importOrder(s *snapshot.Snapshot, tables ...string) Order {
	return orderAt(Import, s, started, tables...)
}

// renamed is an order for tables under another name.
func renamed(o Order) Order {
	o.AsKeyspace = "copy"
	return o
}

// mustPlan plans an import.
func mustPlan(t *testing.T, s *snapshot.Snapshot, h *fakeHost, o Order) *Plan {
	t.Helper()
	p, err := NewPlan(t.Context(), s, h, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Plan) names() (names []string) {
	for _, t := range p.Tables {
		names = append(names, t.To)
	}
	return names
}

func TestAnImportMakesWhatTheNodeLacks(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	moved := func(text string) string { return strings.ReplaceAll(text, "shop", "copy") }
	for _, c := range []struct {
		name   string
		live   string
		order  Order
		want   []string
		views  []string
		tables []string
	}{
		{"all on an empty node", "", importOrder(snap), statements(makeShop, makeZip, makeAddress, makeFunction, makeCustomers, dropGone, makeIndex, makeOrders), statements(makeView),
			[]string{"shop/customers", "shop/orders"}},
		{"a table with its types", makeShop, importOrder(snap, "shop.customers"), statements(makeZip, makeAddress, makeCustomers, dropGone, makeIndex), []string{}, []string{"shop/customers"}},
		{"a table without types", makeShop + makeZip, importOrder(snap, "shop.orders"), statements(makeOrders), []string{}, []string{"shop/orders"}},
		{"a table that is there", makeAll, importOrder(snap, "shop.customers"), []string{}, []string{}, []string{"shop/customers"}},
		{"a type that is there", makeShop + makeZip, importOrder(snap, "shop.customers"), statements(makeAddress, makeCustomers, dropGone, makeIndex), []string{}, []string{"shop/customers"}},
		{"a view alone, of a table that is there", makeShop + makeOrders, importOrder(snap, "shop.by_v", "shop.customers"),
			statements(makeZip, makeAddress, makeCustomers, dropGone, makeIndex), statements(makeView), []string{"shop/customers"}},
		{"a view that is there", makeShop + makeOrders + makeView, importOrder(snap, "shop.orders", "shop.by_v"), []string{}, []string{}, []string{"shop/by_v", "shop/orders"}},
		{"under another name", makeAll, renamed(importOrder(snap, "shop.orders", "shop.by_v")),
			statements(moved(makeShop), moved(makeOrders)), statements(moved(makeView)), []string{"copy/orders"}},
		{"under another name without its id", makeAll, renamed(importOrder(snap, "shop.customers")),
			statements(moved(makeShop), moved(makeZip), moved(makeAddress), "CREATE TABLE copy.customers (id int PRIMARY KEY, home frozen<address>, gone text) WITH comment = ''",
				moved(dropGone), moved(makeIndex)), []string{}, []string{"copy/customers"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			h.cql = map[string]string{"shop": c.live}
			p := mustPlan(t, snap, h, c.order)
			if diff := cmp.Diff(c.want, p.Online.Schema); diff != "" {
				t.Errorf("schema (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.views, p.Online.Views); diff != "" {
				t.Errorf("views (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.tables, p.names()); diff != "" {
				t.Errorf("tables (-want +got):\n%s", diff)
			}
			if slices.Contains(p.names(), "shop/customers") && (p.Tables[0].Files != 3 || p.Tables[0].Bytes != 203_008) {
				t.Errorf("files of an index are fetched: %+v", p.Tables[0])
			}
			h.mustBeUntouched(t)
		})
	}
}

func TestAnImportIsRefusedWhereItWouldDoHarm(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	base := makeShop + makeZip + makeAddress
	for _, c := range []struct {
		name   string
		live   string
		change func(*fakeHost, *Order)
		says   string
	}{
		{"Cassandra is down", "", func(h *fakeHost, _ *Order) { h.up = false }, "does not answer"},
		{"it is too old", "", func(h *fakeHost, _ *Order) { h.version = "2.2.19" }, "3.0 and later; restore with --to"},
		{"3.11 would hide rows of others", "", func(h *fakeHost, _ *Order) { h.version, h.tokens = "3.11.19", []string{"1"} }, "other tokens"},
		{"3.11 and SSTables of later", makeAll, func(h *fakeHost, _ *Order) { h.version = "3.11.19" }, "of a later release than 3.11.19: import it into such a node"},
		{"a column is missing", base + "CREATE TABLE shop.customers (id int PRIMARY KEY, gone text);" + dropGone, nil, `there is no column "home" frozen<address>`},
		{"a column has another type", base + "CREATE TABLE shop.customers (id text PRIMARY KEY, home frozen<address>, gone text);" + dropGone, nil, `"id" is text partition 0 there and int partition 0`},
		{"the key is longer", base + "CREATE TABLE shop.customers (id int, x int, home frozen<address>, gone text, PRIMARY KEY (id, x));" + dropGone, nil, `key column "x"`},
		{"a type lacks a field", makeShop + makeZip + "CREATE TYPE shop.address (street text);", nil, `field "Zip" frozen<zip> is not at its place`},
		{"a type has another", makeShop + "CREATE TYPE shop.zip (code text);", nil, `field "code" int`},
		{"the base of a view is nowhere", makeShop, func(_ *fakeHost, o *Order) { o.Selection.Tables = []string{"shop.by_v"} }, "neither chosen nor on this node: choose it too"},
		{"another view", makeShop + makeOrders + strings.Replace(makeView, "(v, id, at)", "(v, at, id)", 1), func(_ *fakeHost, o *Order) { o.Selection.Tables = []string{"shop.[ob]*"} }, "another view than in the backup"},
		{"a view is a table", makeShop + makeOrders + "CREATE TABLE shop.by_v (a int PRIMARY KEY)", func(_ *fakeHost, o *Order) { o.Selection.Tables = []string{"shop.[ob]*"} }, "a view in one of backup and node, and a table in the other: drop it"},
		{"TRUNCATE reaches other nodes", makeAll, func(h *fakeHost, o *Order) { h.members, o.TruncateFirst = 3, true }, "all 3 nodes"},
		{"a keyspace of Cassandra", "", func(_ *fakeHost, o *Order) { o.Selection.Tables = []string{"system.local"} }, "Cassandra's own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, o := newHost(t), importOrder(snap, "shop.customers")
			h.cql = map[string]string{"shop": c.live}
			if c.change != nil {
				c.change(h, &o)
			}
			_, err := NewPlan(t.Context(), snap, h, o)
			if !errors.As(err, new(*RefusedError)) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			h.mustBeUntouched(t)
		})
	}
}

func TestATableThatHasMoreThanTheBackupTakesIt(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	h := newHost(t)
	h.cql = map[string]string{"shop": makeShop + makeZip + "CREATE TYPE shop.address (street text, \"Zip\" frozen<zip>, more int);" +
		"CREATE TABLE shop.customers (id int PRIMARY KEY, home frozen<address>, gone int, later set<text>) WITH comment = 'x';"}
	if p := mustPlan(t, snap, h, importOrder(snap, "shop.customers")); len(p.Online.Schema) > 0 {
		t.Errorf("made: %q", p.Online.Schema)
	}
}

func TestOnlyTablesThatAreThereAreEmptied(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	h := newHost(t)
	h.cql = map[string]string{"shop": makeShop + makeOrders + makeView}
	o := importOrder(snap)
	o.TruncateFirst = true
	p := mustPlan(t, snap, h, o)
	if diff := cmp.Diff([]string{"shop.orders"}, p.Online.Truncate); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.members, h.cql = 3, nil // where all tables are made, none is emptied
	mustPlan(t, snap, h, o)
}

// A backup of a release that tells no schema is imported into tables that are there.
func TestABackupWithoutASchemaNeedsTheTables(t *testing.T) {
	t.Parallel()
	snap := newRig(t).backup("monday", shopFiles())
	h := newHost(t)
	_, err := NewPlan(t.Context(), snap, h, importOrder(snap, "shop.orders"))
	if !errors.As(err, new(*RefusedError)) || !strings.Contains(err.Error(), "neither of the backup nor of this node") {
		t.Errorf("got %v", err)
	}
	h.cql = map[string]string{"shop": makeShop + makeOrders}
	if p := mustPlan(t, snap, h, importOrder(snap, "shop.orders")); len(p.Online.Schema) > 0 || len(p.Tables) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestOrdersOfAnImportAreChecked(t *testing.T) {
	some := snapshot.Selection{Tables: []string{"a.b"}}
	for _, c := range []struct {
		order Order
		says  string
	}{
		{Order{Way: Import}, ""},
		{Order{Way: Import, Selection: some, AsKeyspace: "Other_1", TruncateFirst: true}, ""},
		{Order{Way: InPlace, TruncateFirst: true}, "only an import"},
		{Order{Way: InPlace, Selection: some, AsKeyspace: "x"}, "only an import"},
		{Order{Way: Import, AsKeyspace: "x"}, "choose it"},
		{Order{Way: Import, Selection: some, AsKeyspace: "a b"}, "cannot be the name"},
		{Order{Way: Import, Selection: some, AsKeyspace: strings.Repeat("x", 49)}, "cannot be the name"},
		{Order{Way: Import, Selection: some, AsKeyspace: "system_auth"}, "Cassandra's own"},
		{Order{Way: "by air"}, "in-place, clone or import"},
	} {
		if err := c.order.check(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.order, err)
		}
	}
}

func TestTwoKeyspacesDoNotBecomeOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	snap := r.backup("monday", merged(shopFiles(), files{tableDir("systematics", "peers_x") + "/nb-1-big-Data.db": "x"}))
	o := importOrder(snap, "s*.*")
	o.AsKeyspace = "copy"
	if _, err := NewPlan(t.Context(), snap, newHost(t), o); !errors.As(err, new(*RefusedError)) || !strings.Contains(err.Error(), "shop and systematics are chosen: choose one") {
		t.Errorf("got %v", err)
	}
}

func TestWhatWouldStopAnOldReleaseIsRefused(t *testing.T) {
	table := &snapshot.Table{Keyspace: "shop", Name: "orders"}
	for _, c := range []struct {
		release string
		sstable snapshot.SSTable
		says    string
	}{
		{"3.11.19", snapshot.SSTable{Prefix: "me-1-big-"}, ""},
		{"3.11.19", snapshot.SSTable{Prefix: "me-1-big-", Damage: []string{"Data.db is short"}}, "damaged on the node already"},
		{"3.11.19", snapshot.SSTable{Prefix: "nb-1-big-"}, "later release"},
		{"3.11.19", snapshot.SSTable{Prefix: "la-1-big-"}, ""},
		{"5.0.6", snapshot.SSTable{Prefix: "nb-1-big-", Damage: []string{"Data.db is short"}}, ""},
		{"4.0.19", snapshot.SSTable{Prefix: "shop-orders-ka-1-"}, "before 2.2"},
		{"4.0.19", snapshot.SSTable{Prefix: "strange"}, "cannot be imported"},
	} {
		im := &importing{Plan: &Plan{Online: &Taking{Release: c.release, Refresh: c.release[0] == '3'}}}
		err := im.checkSSTable(table, &c.sstable)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %+v: %v", c.release, c.sstable, err)
		}
	}
}

func TestThePlanOfAnImportReadsLikeThis(t *testing.T) {
	p := &Plan{Order: Order{Way: Import, Backup: "monday", Node: "node-a", HostID: hostID, AsKeyspace: "copy", TruncateFirst: true}, Running: true, Files: 6, Bytes: 2048,
		Tables: []Task{{Keyspace: "shop", Table: "orders", SSTables: 2, Bytes: 2048}},
		Places: Places{UserDirs: 1, Dirs: []Place{{Live: "/c/data", Staging: "/c/cbk-restore-1/data", Free: 1 << 30, Need: 2048}, {Live: "/c/local"}}},
		Online: &Taking{Foreign: true, Schema: []string{"CREATE TABLE copy.orders (\n    id int PRIMARY KEY)"}, Truncate: []string{"copy.orders"}, Views: []string{"CREATE MATERIALIZED VIEW copy.v"},
			Built: []string{"copy.v"}, Triggers: []string{"copy.orders: audit"}, NotRun: []string{"GRANT x"}}}
	const want = `Import monday of node node-a (aaaaaaaa-0000-4000-8000-000000000001) into this running node: 1 tables, 6 files, 2.0 KiB
  !  this node has other tokens than the one of the backup: Cassandra refuses SSTables with rows that are not its own
  -  not made: trigger of copy.orders: audit
  -  built by Cassandra from its base table: view copy.v
  -  not understood and not run: GRANT x
  room in /c/data: about 2.0 KiB needed, 1.0 GiB free
  1. fetch, and compare every file with its hash, read back from disk:
     into /c/cbk-restore-1/data
  2. run CREATE TABLE copy.orders (
         id int PRIMARY KEY)
  3. empty copy.orders: TRUNCATE, with its views; Cassandra keeps a snapshot truncated-… where auto_snapshot is on
  4. nodetool import copy.orders: 2 SSTables, 2.0 KiB
  5. run CREATE MATERIALIZED VIEW copy.v
  6. query every imported table
`
	var b bytes.Buffer
	p.Print(&b)
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.Online.Refresh, p.Online.Beside = true, true
	b.Reset()
	p.Print(&b)
	for _, says := range []string{"nodetool refresh copy.orders", "rows come beside those that are there"} {
		if !strings.Contains(b.String(), says) {
			t.Errorf("no %q in\n%s", says, b.String())
		}
	}
}
