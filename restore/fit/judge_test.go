package fit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/sstable"
	"cbk/snapshot"
)

const day = 24 * time.Hour

var now = time.Date(2026, 5, 20, 12, 0, 0, 0, time.UTC)

// input is a restore of a backup that is some days old.
func input(days int, schema ...*Table) Input {
	in := Input{Now: now, Backup: now.Add(-time.Duration(days) * day), Way: InPlace, Release: "4.1.10", Drops: []Drop{}}
	for _, t := range schema {
		in.Schema = append(in.Schema, *t)
	}
	return in
}

// one is an SSTable of plain rows; its Statistics.db beside it.
func one(edit func(*snapshot.SSTable, *sstable.Metadata)) (*snapshot.SSTable, *sstable.Metadata) {
	s := &snapshot.SSTable{Prefix: "nb-1-big-", Stats: &snapshot.Stats{MaxTimestamp: now.Add(-3 * day).UnixMicro(),
		MinDeletion: sstable.NoDeletionTime, MaxDeletion: sstable.NoDeletionTime}}
	m := &sstable.Metadata{Header: *header()}
	if edit != nil {
		edit(s, m)
	}
	return s, m
}

// says are the risks as text, final ones with x, refusing ones with !.
func says(r *Result) (all []string) {
	for _, k := range r.Risks {
		mark := "- "
		switch {
		case k.Final:
			mark = "x "
		case k.Refuses:
			mark = "! "
		}
		all = append(all, mark+k.String())
	}
	return all
}

// riskCase is a restore of shop.orders with one SSTable, and what is told of it.
type riskCase struct {
	name    string
	days    int // since the backup
	in      func(*Input)
	target  func(*Table)
	sstable func(*snapshot.SSTable, *sstable.Metadata)
	want    []string
}

func (c *riskCase) run(t *testing.T) {
	in := input(c.days, orders(t, c.target))
	if c.in != nil {
		c.in(&in)
	}
	f := New(in)
	s, m := one(c.sstable)
	f.SSTable("shop", "orders", s, m)
	if diff := cmp.Diff(c.want, says(f.Result())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRisksOfTime(t *testing.T) {
	unix := func(days int) int64 { return now.Add(time.Duration(days) * day).Unix() }
	ttl := func(ends int64, cells ...sstable.DropTime) func(*snapshot.SSTable, *sstable.Metadata) {
		return func(s *snapshot.SSTable, m *sstable.Metadata) {
			s.Stats.MaxDeletion, m.Stats.MaxTTL, m.Stats.TombstoneDropTimes = ends, 86400, cells
		}
	}
	for _, c := range []riskCase{
		{name: "none", days: 5},
		{name: "an old backup of all replicas", days: 50},
		{name: "an old one beside live replicas", days: 50, in: func(in *Input) { in.Partial = true },
			want: []string{"! tombstones: shop.orders: the backup is 50 days old and gc_grace_seconds are 10 days: rows deleted since may come back"}},
		{name: "within gc_grace", days: 10, in: func(in *Input) { in.Partial = true }},
		{name: "no gc_grace", days: 0, in: func(in *Input) { in.Partial, in.Backup = true, in.Now.Add(-time.Hour) }, target: func(t *Table) { t.GCGrace = 0 },
			want: []string{"! tombstones: shop.orders: the backup is 1 hour old and gc_grace_seconds are 0 seconds: rows deleted since may come back"}},
		{name: "all has expired", days: 5, sstable: ttl(unix(-1)), want: []string{"- expired: shop.orders: all data has expired since the backup"}},
		{name: "it had before the backup", days: 5, sstable: ttl(unix(-6))},
		{name: "it has not yet", days: 5, sstable: ttl(unix(1), sstable.DropTime{Time: unix(1), Count: 7})},
		{name: "some has", days: 5, sstable: ttl(sstable.NoDeletionTime, sstable.DropTime{Time: unix(-7), Count: 1}, sstable.DropTime{Time: unix(-2), Count: 7}, sstable.DropTime{Time: unix(2), Count: 100}),
			want: []string{"- expired: shop.orders: about 7 cells have expired since the backup"}},
		{name: "tombstones do not expire", days: 5, sstable: func(s *snapshot.SSTable, m *sstable.Metadata) {
			s.Stats.MaxDeletion, m.Stats.TombstoneDropTimes = unix(-1), []sstable.DropTime{{Time: unix(-1), Count: 3}}
		}},
		{name: "a write of the future", days: 5, sstable: func(s *snapshot.SSTable, _ *sstable.Metadata) { s.Stats.MaxTimestamp = now.Add(day).UnixMicro() },
			want: []string{"- clock: shop.orders: writes carry timestamps up to 2026-05-21T12:00:00Z: what is written before that will not be seen over them"}},
		{name: "a clock a little off", days: 5, sstable: func(s *snapshot.SSTable, _ *sstable.Metadata) {
			s.Stats.MaxTimestamp = now.Add(time.Minute).UnixMicro()
		}},
		{name: "timestamps of another unit", days: 5, sstable: func(s *snapshot.SSTable, _ *sstable.Metadata) { s.Stats.MaxTimestamp = now.UnixNano() },
			want: []string{"- clock: shop.orders: writes carry timestamps up to 1779278400000000000, which are no microseconds since 1970: no write with a right one will be seen over them"}},
		{name: "a backup of the future", days: -2, want: []string{"! clock: the backup was taken 2 days from now by its node's clock: expiry and deletions cannot be judged"}},
	} {
		t.Run(c.name, c.run)
	}
}

func TestRisksOfCounters(t *testing.T) {
	counter := func(t *Table) { t.Counter = true }
	for _, c := range []riskCase{
		{name: "counters of one node of several", days: 1, in: func(in *Input) { in.Partial = true }, target: counter,
			want: []string{"! counters: shop.orders: the node goes back alone and issues clocks again that its replicas have seen: counts are lost unless it is repaired before any write; restore all replicas together"}},
		{name: "counters without a replica", days: 1, in: func(in *Input) { in.Partial = true }, target: func(t *Table) { t.Counter, t.Replicas = true, 1 },
			want: []string{"- counters: shop.orders: counts do not go back where the target has newer ones: truncate the table first"}},
		{name: "counters of all replicas", days: 1, target: counter},
		{name: "counters that only the header shows", days: 1, in: func(in *Input) { in.Partial, in.Way = true, Import },
			target: func(table *Table) { table.Regular[0].Type = typed(t, "counter") },
			sstable: func(_ *snapshot.SSTable, m *sstable.Metadata) {
				m.Header.Regular[0].Type = marshal + "CounterColumnType"
			},
			want: []string{"- counters: shop.orders: counts do not go back where the target has newer ones: truncate the table first"}},
		{name: "counters of long ago on other nodes", days: 1, in: func(in *Input) { in.Way = Clone }, target: counter,
			sstable: func(_ *snapshot.SSTable, m *sstable.Metadata) { m.Stats.HasLegacyCounterShards = true },
			want:    []string{"! counters: shop.orders: counters have local shards of before 2.1, which are right on their own node only: run upgradesstables on the source first"}},
	} {
		t.Run(c.name, c.run)
	}
}

func TestRisksOfWhatATableIs(t *testing.T) {
	for _, c := range []riskCase{
		{name: "transient replicas", days: 1, target: func(t *Table) { t.Transient = true },
			want: []string{"x transient: shop.orders: the keyspace has transient replicas, which cannot be restored"}},
		{name: "an SSTable of a transient replica", days: 1, sstable: func(_ *snapshot.SSTable, m *sstable.Metadata) { m.Stats.IsTransient = true },
			want: []string{"x transient: shop.orders: the keyspace has transient replicas, which cannot be restored"}},
		{name: "Accord", days: 1, target: func(t *Table) { t.Accord = true },
			want: []string{"x accord: shop.orders: the table takes part in Accord transactions, which cannot be restored"}},
		{name: "damage at the source", days: 1, sstable: func(s *snapshot.SSTable, _ *sstable.Metadata) { s.Damage = []string{"chunk 4"} },
			want: []string{"! damaged: shop.orders: 1 SSTable damaged on the node when backed up: rows may be missing or reads may fail"}},
		{name: "a version that is not read", days: 1, sstable: func(s *snapshot.SSTable, _ *sstable.Metadata) { s.Prefix = "da-1-bti-" },
			want: []string{"x version: shop.orders: 1 SSTable of version da: Cassandra 4.1.10 does not read them"}},
		{name: "no such table", days: 1, target: func(t *Table) { t.Name = "customers" }, want: []string{"x columns: shop.orders: the target has no such table"}},
		{name: "a table that comes with the restore", days: 1, in: func(in *Input) { in.Creates = true }, target: func(t *Table) { t.Name = "customers" }},
		{name: "a column dropped since", days: 1, target: func(t *Table) { t.Regular, t.Dropped = nil, []Dropped{{t.Regular[0], 9999}} },
			want: []string{`! columns: shop.orders: regular column "v" was dropped after the backup: its values in 1 SSTable stay hidden`}},
		{name: "or perhaps before", days: 1, in: func(in *Input) { in.Drops = nil }, target: func(t *Table) { t.Regular, t.Dropped = nil, []Dropped{{t.Regular[0], 9999}} },
			want: []string{`- columns: shop.orders: regular column "v" was dropped after the backup: its values in 1 SSTable stay hidden`}},
	} {
		t.Run(c.name, c.run)
	}
}

func TestViewsGoWithTheirBase(t *testing.T) {
	base := orders(t, nil)
	view := orders(t, func(t *Table) { t.Name, t.View, t.Base = "by_mail", true, "orders" })
	stranger := orders(t, func(t *Table) { t.Keyspace, t.Name, t.View, t.Base = "other", "by_mail", true, "orders" })
	for _, c := range []struct {
		name   string
		tables []string
		want   []string
	}{
		{"both", []string{"orders", "by_mail"}, nil},
		{"the base alone", []string{"orders"}, []string{"! views: shop.orders: not restored with it and stale afterwards: view by_mail; restore them too, or drop them before and create them again"}},
		{"the view alone", []string{"by_mail"}, []string{"! views: shop.by_mail: the view would not be of the moment of its base orders, which is not restored: restore both, or the base, and create the view again"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := New(input(1, base, view, stranger))
			for _, name := range c.tables {
				f.Table("shop", name)
			}
			if diff := cmp.Diff(c.want, says(f.Result())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestIndexesThatLackFilesAreBuilt(t *testing.T) {
	indexes := func(t *Table) {
		t.Indexes = []Index{{"by_mail", ""}, {"by_name", "StorageAttachedIndex"}, {"by_text", "SASIIndex"}}
	}
	named := func(names ...string) func(*snapshot.SSTable, *sstable.Metadata) {
		return func(s *snapshot.SSTable, _ *sstable.Metadata) {
			for _, n := range names {
				s.Components = append(s.Components, snapshot.Component{Name: n})
			}
		}
	}
	for _, c := range []struct {
		name     string
		way      Way
		sstables [][]string // names of components of each
		table    bool       // the index table has files
		want     []string
	}{
		{"all have", InPlace, [][]string{{"SAI+aa+by_name+Meta.db", "SI_by_text.db"}, {"SAI+aa+by_name+Meta.db", "SAI+aa+by_name+TermsData.db", "SI_by_text.db"}}, true, nil},
		{"one SSTable has not", InPlace, [][]string{{"SAI+aa+by_name+Meta.db", "SI_by_text.db"}, {"SAI+aa+Meta.db", "SI_by_text.db"}}, true, []string{"by_name"}},
		{"none have", Clone, [][]string{{"Data.db"}}, false, []string{"by_mail", "by_name", "by_text"}},
		{"import builds them", Import, [][]string{{"Data.db"}}, false, nil},
		{"there is nothing to build", InPlace, nil, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := input(1, orders(t, indexes))
			in.Way = c.way
			f := New(in)
			f.Table("shop", "orders")
			for _, names := range c.sstables {
				s, m := one(named(names...))
				f.SSTable("shop", "orders", s, m)
			}
			if c.table {
				f.SSTable("shop", "orders", &snapshot.SSTable{Sub: ".by_mail", Prefix: "nb-1-big-"}, nil)
			}
			r := f.Result()
			if diff := cmp.Diff(c.want, r.Tables[0].Build); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := len(says(r)); (n > 0) != (len(c.want) > 0) {
				t.Errorf("%q", says(r))
			}
		})
	}
}

func TestLocalTablesAreNotHeldAgainstASchema(t *testing.T) {
	f := New(input(1))
	s, m := one(nil)
	f.SSTable("system", "paxos", s, m)
	got := says(f.Result())
	if len(got) != 1 || !strings.HasPrefix(got[0], "- paxos: system.paxos: promises of lightweight transactions") {
		t.Errorf("%q", got)
	}
}

func TestAResultIsInOrderAndAddsUp(t *testing.T) {
	f := New(input(5, orders(t, nil), orders(t, func(t *Table) { t.Name = "carts" })))
	for _, table := range []string{"orders", "carts", "orders"} {
		s, m := one(func(s *snapshot.SSTable, m *sstable.Metadata) {
			s.Stats.MaxDeletion, m.Stats.MaxTTL = now.Add(-day).Unix(), 60
			m.Header = *header("gone Int32Type")
		})
		f.SSTable("shop", table, s, m)
	}
	s, _ := one(func(s *snapshot.SSTable, _ *sstable.Metadata) { s.Prefix = "ma-7-big-" })
	f.SSTable("shop", "orders", s, nil)
	r := f.Result()
	want := []TableFit{
		{Keyspace: "shop", Table: "carts", SSTables: 1, Versions: []VersionFit{{"nb", "big", 1}}, Headers: 1, ExpiredSSTables: 1},
		{Keyspace: "shop", Table: "orders", SSTables: 3, Versions: []VersionFit{{"ma", "big", 1}, {"nb", "big", 2}}, Headers: 1, Unread: 1, ExpiredSSTables: 2},
	}
	for i := range r.Tables {
		if n := len(r.Tables[i].Columns); n != 1 {
			t.Errorf("%d columns", n)
		}
		r.Tables[i].Columns = nil
	}
	if diff := cmp.Diff(want, r.Tables); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var codes []string
	for _, k := range r.Risks {
		codes = append(codes, k.Code+" "+k.Table)
	}
	if diff := cmp.Diff([]string{"version orders", "columns carts", "columns orders", "columns orders", "expired carts", "expired orders"}, codes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAResultIsPrintedWithTheWorstFirst(t *testing.T) {
	r := &Result{Risks: []Risk{{Code: Expired, What: "gone"}, {Code: Views, Keyspace: "shop", What: "stale", Refuses: true}, {Code: Space, What: "full", Refuses: true, Final: true}},
		Tables: []TableFit{{Columns: []ColumnFit{{Mend: []string{"ALTER 1;", "ALTER 2;"}}, {}, {Mend: []string{"ALTER 3;"}}}}}}
	var b strings.Builder
	r.Print(&b)
	want := "  x  space: full\n  !  views: shop: stale\n  -  expired: gone\n  cql> ALTER 1;\n  cql> ALTER 2;\n  cql> ALTER 3;\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
