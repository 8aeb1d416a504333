package table

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/rows"
)

const noon = 1_700_000_000

// one is a table with a simple column, a set and a static column.
var one = sstable.Header{
	KeyType: "UTF8Type", ClusteringTypes: []string{"UTF8Type"},
	Static:  []sstable.Column{{Name: []byte("st"), Type: "UTF8Type"}},
	Regular: []sstable.Column{{Name: []byte("s"), Type: "SetType(UTF8Type)"}, {Name: []byte("v"), Type: "UTF8Type"}},
}

// write is one row or marker; an SSTable has those of one partition.
type write struct {
	static     bool
	bound      *rows.BoundKind
	at         string // clustering
	insert     int64  // timestamp of the liveness, none if 0
	ttl        int32  // of the liveness, and it expires at expires
	expires    uint32
	deletion   int64 // of the row, or of the range
	shadowable bool
	cell       *rows.Cell // of v, or of st in a static row
	emptied    int64      // deletion of the set
	entries    []rows.Cell
}

// sst is an SSTable with one partition.
type sst struct {
	deletion int64 // of the partition
	writes   []write
}

func deletion(at int64) rows.DeletionTime {
	if at == 0 {
		return rows.Live
	}
	return rows.DeletionTime{MarkedAt: at, Local: 5}
}

func (w write) unfiltered() *rows.Unfiltered {
	u := &rows.Unfiltered{Kind: rows.Row, Clustering: [][]byte{[]byte(w.at)}, Deletion: deletion(w.deletion), Opens: rows.Live, Shadowable: w.shadowable,
		Liveness: rows.Liveness{Timestamp: rows.NoTimestamp, Expiration: rows.NoDeletion}}
	switch {
	case w.bound != nil:
		u.Kind, u.Bound = rows.Marker, *w.bound
		return u
	case w.static:
		u.Kind, u.Clustering = rows.StaticRow, nil
	}
	if w.insert != 0 {
		u.Liveness.Timestamp = w.insert
	}
	if w.ttl != 0 {
		u.Liveness = rows.Liveness{Timestamp: w.insert, Expiring: true, TTL: w.ttl, Expiration: w.expires}
	}
	if w.emptied != 0 || w.entries != nil {
		u.ComplexDeletion = true
		u.Columns = append(u.Columns, 0)
	}
	switch {
	case w.cell != nil && w.static:
		u.Columns = []int{0}
	case w.cell != nil:
		u.Columns = append(u.Columns, 1)
	}
	return u
}

// stream writes an SSTable's plain stream.
func (s sst) stream(t *testing.T) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	w, err := rows.NewWriter(&out, "nb", one)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.Partition(&rows.Partition{Key: []byte("k"), Deletion: deletion(s.deletion)}))
	if len(s.writes) == 0 || !s.writes[0].static {
		must(w.Unfiltered(write{static: true}.unfiltered()))
	}
	for _, row := range s.writes {
		u := row.unfiltered()
		must(w.Unfiltered(u))
		if row.emptied != 0 || row.entries != nil {
			must(w.Column(&rows.Column{Index: 0, Complex: true, Deletion: deletion(row.emptied), Cells: len(row.entries)}))
			for _, c := range row.entries {
				must(w.Cell(&c))
			}
		}
		if row.cell != nil {
			must(w.Column(&rows.Column{Index: u.Columns[len(u.Columns)-1], Deletion: rows.Live, Cells: 1}))
			must(w.Cell(row.cell))
		}
	}
	must(w.EndPartition())
	must(w.Flush())
	return &out
}

// mergeAll reads SSTables in their order.
func mergeAll(t *testing.T, tab *Table, all []sst) ([]Row, error) {
	t.Helper()
	static, err1 := newHeads(one.Static)
	regular, err2 := newHeads(one.Regular)
	if err := errors.Join(err1, err2, tab.setTypes(one)); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		r, err := rows.NewReader(&counted{tab, s.stream(t)}, "nb", one)
		if err != nil {
			t.Fatal(err)
		}
		if err := tab.merge(r, static, regular); err != nil {
			return nil, err
		}
	}
	return tab.Rows()
}

func value(at int64, v string) *rows.Cell {
	return &rows.Cell{Timestamp: at, Local: rows.NoDeletion, Value: []byte(v)}
}

func deleted(at int64) *rows.Cell {
	return &rows.Cell{Flags: rows.CellDeleted | rows.CellEmptyValue, Timestamp: at, Local: 7}
}

func expiring(at int64, v string, when uint32) *rows.Cell {
	return &rows.Cell{Flags: rows.CellExpiring, Timestamp: at, Local: when, TTL: 60, Value: []byte(v)}
}

// entry is an entry of the set.
func entry(at int64, element string) rows.Cell {
	return rows.Cell{Flags: rows.CellEmptyValue, Timestamp: at, Local: rows.NoDeletion, Path: []byte(element)}
}

func mark(kind rows.BoundKind, at string, when int64) write {
	return write{bound: &kind, at: at, deletion: when}
}

func rowAt(at string, rest Row) Row {
	r := Row{"k": "k", "c": at}
	for name, v := range rest {
		r[name] = v
	}
	return r
}

var mergeTests = []struct {
	what string
	all  []sst
	want []Row
}{
	{"the newer of two values", []sst{{0, []write{{at: "a", cell: value(10, "old")}}}, {0, []write{{at: "a", cell: value(11, "new")}}}},
		[]Row{rowAt("a", Row{"v": "new"})}},
	{"of values at the same time the greater", []sst{{0, []write{{at: "a", cell: value(10, "x")}}}, {0, []write{{at: "a", cell: value(10, "y")}}}},
		[]Row{rowAt("a", Row{"v": "y"})}},
	{"a deletion before a value at the same time, and a row that was inserted stays", []sst{{0, []write{{at: "a", insert: 10, cell: value(10, "x")}}}, {0, []write{{at: "a", cell: deleted(10)}}}},
		[]Row{rowAt("a", nil)}},
	{"a row that was only updated goes with its last value", []sst{{0, []write{{at: "a", cell: value(10, "x")}}}, {0, []write{{at: "a", cell: deleted(11)}}}}, nil},
	{"an empty value is a value", []sst{{0, []write{{at: "a", cell: &rows.Cell{Flags: rows.CellEmptyValue, Timestamp: 3, Local: rows.NoDeletion}}}}},
		[]Row{rowAt("a", Row{"v": ""})}},
	{"what expires at this second has expired", []sst{{0, []write{{at: "a", cell: expiring(10, "x", noon)}, {at: "b", cell: expiring(10, "y", noon+1)}}}},
		[]Row{rowAt("b", Row{"v": "y"})}},
	{"what has expired hides what is older", []sst{{0, []write{{at: "a", cell: value(9, "old")}}}, {0, []write{{at: "a", cell: expiring(10, "x", noon-1)}}}}, nil},
	{"a row whose liveness has expired is none", []sst{{0, []write{{at: "a", insert: 10, ttl: 60, expires: noon}, {at: "b", insert: 10, ttl: 60, expires: noon + 1}}}},
		[]Row{rowAt("b", nil)}},
	{"a partition's deletion covers up to its time", []sst{{0, []write{{at: "a", insert: 10}, {at: "b", insert: 11}}}, {10, nil}},
		[]Row{rowAt("b", nil)}},
	{"a row's deletion covers up to its time", []sst{{0, []write{{at: "a", insert: 10, cell: value(11, "later")}}}, {0, []write{{at: "a", deletion: 10}}}},
		[]Row{rowAt("a", Row{"v": "later"})}},
	{"a range takes rows of other SSTables", []sst{{0, []write{{at: "a", insert: 10}, {at: "b", insert: 10}, {at: "c", insert: 12}, {at: "d", insert: 10}, {at: "e", insert: 10}}},
		{0, []write{mark(rows.InclStart, "b", 11), mark(rows.InclEnd, "d", 11)}}}, []Row{rowAt("a", nil), rowAt("c", nil), rowAt("e", nil)}},
	{"the ends of a range may be out of it", []sst{{0, []write{{at: "a", insert: 10}, {at: "b", insert: 10}, {at: "c", insert: 10}}},
		{0, []write{mark(rows.ExclStart, "a", 11), mark(rows.ExclEnd, "c", 11)}}}, []Row{rowAt("a", nil), rowAt("c", nil)}},
	{"a set is joined, and in order", []sst{{0, []write{{at: "a", entries: []rows.Cell{entry(10, "m"), entry(10, "z")}}}}, {0, []write{{at: "a", entries: []rows.Cell{entry(11, "b")}}}}},
		[]Row{rowAt("a", Row{"s": []string{"b", "m", "z"}})}},
	{"a set that was replaced has only what came then", []sst{{0, []write{{at: "a", entries: []rows.Cell{entry(10, "m")}}}}, {0, []write{{at: "a", emptied: 10, entries: []rows.Cell{entry(11, "b")}}}}},
		[]Row{rowAt("a", Row{"s": []string{"b"}})}},
	{"a set whose entries are gone is none", []sst{{0, []write{{at: "a", insert: 10, entries: []rows.Cell{entry(10, "m")}}}}, {0, []write{{at: "a", emptied: 12}}}},
		[]Row{rowAt("a", nil)}},
	{"static columns are in every row", []sst{{0, []write{{static: true, cell: value(10, "all")}, {at: "a", insert: 10}}}, {0, []write{{at: "b", insert: 10}}}},
		[]Row{rowAt("a", Row{"st": "all"}), rowAt("b", Row{"st": "all"})}},
	{"static columns alone are a row without clustering", []sst{{0, []write{{static: true, cell: value(10, "all")}}}},
		[]Row{{"k": "k", "st": "all"}}},
	{"a shadowable deletion is undone by a newer liveness", []sst{{0, []write{{at: "a", insert: 8, cell: value(8, "x")}}}, {0, []write{{at: "a", deletion: 9, shadowable: true}}}, {0, []write{{at: "a", insert: 10}}}},
		[]Row{rowAt("a", Row{"v": "x"})}},
	{"another one is not", []sst{{0, []write{{at: "a", insert: 8, cell: value(8, "x")}}}, {0, []write{{at: "a", deletion: 9}}}, {0, []write{{at: "a", insert: 10}}}},
		[]Row{rowAt("a", nil)}},
}

func TestMergingFollowsCassandrasRules(t *testing.T) {
	for _, tt := range mergeTests {
		t.Run(tt.what, func(t *testing.T) {
			for _, turned := range []bool{false, true} {
				all := slices.Clone(tt.all)
				if turned {
					slices.Reverse(all)
				}
				got, err := mergeAll(t, New(Keys{[]string{"k"}, []string{"c"}}, time.Unix(noon, 0), false), all)
				if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
					t.Errorf("turned %v: %v (-want +got):\n%s", turned, err, diff)
				}
			}
		})
	}
}

func TestATableBeyondItsBoundsIsRefused(t *testing.T) {
	many := sst{}
	for i := range 100 {
		many.writes = append(many.writes, write{at: fmt.Sprintf("%03d", i), insert: 10})
	}
	for what, shrink := range map[string]func(*Table){
		"items": func(tab *Table) { tab.maxItems = 150 },
		"bytes": func(tab *Table) { tab.maxBytes = int64(many.stream(t).Len()) + 10 },
	} {
		tab := New(Keys{[]string{"k"}, []string{"c"}}, time.Unix(noon, 0), false)
		shrink(tab)
		if got, err := mergeAll(t, tab, []sst{many}); err != nil || len(got) != 100 {
			t.Fatalf("%s: one SSTable: %d rows, %v", what, len(got), err)
		}
		if _, err := mergeAll(t, tab, []sst{many}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: two SSTables: %v", what, err)
		}
	}
}

func TestRangesOutOfOrderAreRefused(t *testing.T) {
	for what, writes := range map[string][]write{
		"an end without a start": {mark(rows.InclEnd, "b", 1)},
		"a start without an end": {mark(rows.InclStart, "b", 1)},
		"two starts":             {mark(rows.InclStart, "b", 1), mark(rows.InclStart, "c", 1)},
	} {
		_, err := mergeAll(t, New(Keys{[]string{"k"}, []string{"c"}}, time.Unix(noon, 0), false), []sst{{0, writes}})
		if !errors.Is(err, rows.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhichCellWinsHangsOnTheRelease(t *testing.T) {
	plain := func(at int64, v string) cell { return cell{timestamp: at, local: rows.NoDeletion, value: []byte(v)} }
	expires := func(at int64, v string, local uint32, ttl int32) cell {
		return cell{timestamp: at, local: local, ttl: ttl, value: []byte(v)}
	}
	gone := func(local uint32) cell { return cell{timestamp: 1, local: local, deleted: true, value: []byte{}} }
	tests := []struct {
		what          string
		a, b          cell
		since4, until bool // whether a wins
	}{
		{"later", plain(2, "a"), plain(1, "b"), true, true},
		{"greater", plain(1, "b"), plain(1, "a"), true, true},
		{"bytes above 127", plain(1, "\xff"), plain(1, "a"), true, false},
		{"deleted", gone(5), plain(1, "z"), true, true},
		{"to expire", expires(1, "a", noon+9, 60), plain(1, "b"), true, false},
		{"expired", expires(1, "a", noon, 60), plain(1, "b"), true, true},
		{"deleted or to expire", gone(5), expires(1, "z", noon+9, 60), true, true},
		{"to expire later", expires(1, "a", noon+9, 60), expires(1, "b", noon+8, 60), true, false},
		{"with the shorter TTL", expires(1, "a", noon+9, 50), expires(1, "b", noon+9, 60), true, false},
		{"deleted later", gone(6), gone(5), true, true},
	}
	for _, tt := range tests {
		if wins(tt.a, tt.b, noon) != tt.since4 || wins(tt.b, tt.a, noon) == tt.since4 {
			t.Errorf("%s: since 4.0", tt.what)
		}
		if winsBefore4(tt.a, tt.b, noon) != tt.until || winsBefore4(tt.b, tt.a, noon) == tt.until {
			t.Errorf("%s: before 4.0", tt.what)
		}
	}
}
