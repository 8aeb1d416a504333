package table

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/rows"
)

var soon = PresenceOptions{Now: time.Unix(noon, 0), Until: time.Unix(noon+3600, 0)}

// standing is a reader before the partition of an SSTable.
func standing(t *testing.T, s sst) *rows.Reader {
	t.Helper()
	r, err := rows.NewReader(s.stream(t), "nb", one)
	if err != nil || !r.Next() {
		t.Fatal(err)
	}
	return r
}

func countMerged(t *testing.T, all []sst, o PresenceOptions) (Count, error) {
	t.Helper()
	p := NewPresence(o)
	for _, s := range all {
		if err := p.Add(standing(t, s), one); err != nil {
			return Count{}, err
		}
	}
	return p.Count()
}

func TestAsManyRowsAreCountedAsAreRead(t *testing.T) {
	for _, tt := range mergeTests {
		for _, before4 := range []bool{false, true} {
			o := soon
			o.Before4 = before4
			all := slices.Clone(tt.all)
			forth, err1 := countMerged(t, all, o)
			slices.Reverse(all)
			back, err2 := countMerged(t, all, o)
			if err1 != nil || err2 != nil || forth.Now != len(tt.want) || forth != back {
				t.Errorf("%s: %+v, turned %+v, want %d rows, errors %v, %v", tt.what, forth, back, len(tt.want), err1, err2)
			}
		}
	}
}

// A partition that stands in one SSTable comes with its own deletions, which cover rows there where a writer has not dropped them.
var aloneTests = []struct {
	what string
	sst  sst
	want Count
}{
	{"nothing", sst{}, Count{}},
	{"a row", sst{0, []write{{at: "a", insert: 10}}}, Count{Now: 1, Lasting: 1}},
	{"the partition is deleted", sst{10, []write{{at: "a", insert: 10}, {at: "b", cell: value(10, "x")}, {at: "c", insert: 11}}}, Count{Now: 1, Lasting: 1}},
	{"a range is deleted", sst{0, []write{{at: "a", insert: 10}, mark(rows.InclStart, "b", 11), {at: "b", insert: 10}, {at: "c", insert: 12}, mark(rows.InclEnd, "c", 11), {at: "d", insert: 10}}},
		Count{Now: 3, Lasting: 3}},
	{"a range that is deleted for less than its partition", sst{20, []write{mark(rows.InclStart, "b", 11), {at: "b", insert: 15}, mark(rows.InclEnd, "c", 11), {at: "d", insert: 21}}},
		Count{Now: 1, Lasting: 1}},
	{"a row is deleted", sst{0, []write{{at: "a", insert: 10, deletion: 10}, {at: "b", insert: 11, deletion: 10}}}, Count{Now: 1, Lasting: 1}},
	{"a set was emptied", sst{0, []write{{at: "a", emptied: 10, entries: []rows.Cell{entry(10, "m")}}, {at: "b", emptied: 10, entries: []rows.Cell{entry(11, "m")}}}}, Count{Now: 1, Lasting: 1}},
	{"some expire", sst{0, []write{{at: "a", cell: expiring(10, "x", noon)}, {at: "b", cell: expiring(10, "x", noon+60)}, {at: "c", insert: 1, ttl: 9, expires: noon + 7200}}}, Count{Now: 2, Lasting: 1}},
	{"static columns alone", sst{0, []write{{static: true, cell: value(10, "all")}}}, Count{Now: 1, Lasting: 1}},
	{"static columns when the rows have expired", sst{0, []write{{static: true, cell: value(10, "all")}, {at: "a", cell: expiring(10, "x", noon+60)}, {at: "b", cell: expiring(10, "x", noon+60)}}}, Count{Now: 2, Lasting: 1}},
	{"static columns that were deleted", sst{11, []write{{static: true, cell: value(10, "all")}}}, Count{}},
	{"a shadowable deletion", sst{0, []write{{at: "a", insert: 10, deletion: 9, shadowable: true}, {at: "b", deletion: 9, shadowable: true, cell: value(8, "x")}}}, Count{Now: 1, Lasting: 1}},
}

func TestAPartitionOfOneSSTableIsCountedAsItIsMerged(t *testing.T) {
	for _, tt := range aloneTests {
		got, err := CountPartition(standing(t, tt.sst), one, soon)
		merged, err2 := countMerged(t, []sst{tt.sst}, soon)
		if err != nil || err2 != nil || got != tt.want || merged != tt.want {
			t.Errorf("%s: %+v, merged %+v, want %+v, errors %v, %v", tt.what, got, merged, tt.want, err, err2)
		}
	}
}

func TestOneBoundaryEndsARangeAndStartsAnother(t *testing.T) {
	u := &rows.Unfiltered{Kind: rows.Marker, Bound: rows.InclEndExclStart, Deletion: deletion(5), Opens: deletion(9)}
	if got := opened(u); got != deletion(9) {
		t.Errorf("%+v", got)
	}
}

func TestRowsOfCellsAloneAreNotReliedOnInAView(t *testing.T) {
	o := soon
	o.View = true
	s := sst{0, []write{{at: "a", cell: value(10, "x")}, {at: "b", insert: 10}}}
	got, err := CountPartition(standing(t, s), one, o)
	merged, err2 := countMerged(t, []sst{s, s}, o)
	if want := (Count{Now: 2, Lasting: 1}); err != nil || err2 != nil || got != want || merged != want {
		t.Errorf("%+v, merged %+v, errors %v, %v", got, merged, err, err2)
	}
}

func TestWhatADroppedColumnHeldBeforeIsPassedOver(t *testing.T) {
	o := soon
	o.Dropped = map[string]int64{"v": 10}
	s := sst{0, []write{{at: "a", cell: value(10, "x")}, {at: "b", cell: value(11, "x")}, {at: "c", entries: []rows.Cell{entry(10, "m")}}}}
	got, err := CountPartition(standing(t, s), one, o)
	merged, err2 := countMerged(t, []sst{s, s}, o)
	if want := (Count{Now: 2, Lasting: 2}); err != nil || err2 != nil || got != want || merged != want {
		t.Errorf("%+v, merged %+v, errors %v, %v", got, merged, err, err2)
	}
}

func TestACounterThatWasDeletedStaysSo(t *testing.T) {
	c := &column{kind: rows.Type{Class: counterClass}, cells: make(map[string]cell)}
	tab := New(Keys{}, time.Unix(noon, 0), false)
	for _, in := range []*rows.Cell{value(5, "x"), deleted(3), value(9, "x")} {
		tab.mergeCell(c, in)
	}
	if !c.cells[""].deleted {
		t.Errorf("%+v", c.cells[""])
	}
}

func TestKeysOfOtherTypesAreNoPartOfAPartition(t *testing.T) {
	p := NewPresence(soon)
	if err := p.Add(standing(t, sst{0, []write{{at: "a", insert: 10}}}), one); err != nil {
		t.Fatal(err)
	}
	for _, types := range [][]string{nil, {"Int32Type"}, {"UTF8Type", "UTF8Type"}, {"("}} {
		h := sstable.Header{ClusteringTypes: types}
		if err := p.Add(standing(t, sst{0, []write{{at: "a", insert: 10}}}), h); err == nil || types != nil && types[0] != "(" && !errors.Is(err, rows.ErrFormat) {
			t.Errorf("%q: %v", types, err)
		}
	}
}
