package rows

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/cassandra/sstable"
)

var versions = []string{"ma", "me", "nb", "oa", "da"}

// valueClasses are classes with values of each length.
var valueClasses = []string{
	"UTF8Type", "Int32Type", "LongType", "UUIDType", "BooleanType", "CounterColumnType", "ReversedType(Int32Type)",
	"FrozenType(ListType(Int32Type))", "VectorType(FloatType , 2)", "TupleType(Int32Type,UTF8Type)",
}

var complexClasses = []string{"ListType(Int32Type)", "SetType(LongType)", "MapType(UTF8Type,Int32Type)", "UserType(k,61,62:UTF8Type)"}

// moments are times around the minima, where differences wrap or change their width.
func moments(min int64) *rapid.Generator[int64] {
	return rapid.OneOf(
		rapid.Int64Range(0, 1<<20),
		rapid.Custom(func(t *rapid.T) int64 { return min + rapid.Int64Range(-3, 1<<40).Draw(t, "after") }),
		rapid.SampledFrom([]int64{math.MinInt64 + 1, math.MaxInt64, -1, 0, min}),
	)
}

var seconds = rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(1442880000, 1800000000),
	rapid.SampledFrom([]uint32{0, LegacyNoDeletion, NoDeletion - 1}))

func randomHeader(t *rapid.T) sstable.Header {
	h := sstable.Header{
		MinTimestamp:         rapid.OneOf(rapid.Int64(), rapid.Int64Range(1442880000000000, 1800000000000000)).Draw(t, "min timestamp"),
		MinLocalDeletionTime: rapid.Int64Range(0, math.MaxUint32).Draw(t, "min local"),
		MinTTL:               rapid.Int64Range(0, math.MaxInt32).Draw(t, "min ttl"),
		KeyType:              "BytesType",
	}
	class := rapid.SampledFrom(valueClasses)
	h.ClusteringTypes = rapid.SliceOfN(class, 0, rapid.SampledFrom([]int{0, 1, 3, 40}).Draw(t, "clusterings")).Draw(t, "clustering")
	set := func(name string, sizes ...int) []sstable.Column {
		n := rapid.SampledFrom(sizes).Draw(t, name)
		cs := rapid.SliceOfN(class, n, n).Draw(t, name)
		return columns(append(cs, rapid.SliceOfN(rapid.SampledFrom(complexClasses), 0, 2).Draw(t, name)...)...)
	}
	h.Static = set("static", 0, 0, 1, 62, 64)
	h.Regular = set("regular", 0, 1, 2, 61, 63, 64, 90)
	return h
}

// randomRows draws what fits a header.
type randomRows struct {
	*rapid.T
	h sstable.Header
	l *layout
}

func (t randomRows) value(length int) []byte {
	if length == Variable {
		return rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t.T, "value")
	}
	return rapid.SliceOfN(rapid.Byte(), length, length).Draw(t.T, "value")
}

func (t randomRows) clustering(n int) (values [][]byte) {
	for _, length := range t.l.clustering[:n] {
		switch rapid.IntRange(0, 5).Draw(t.T, "state") {
		case 0:
			values = append(values, nil)
		case 1:
			values = append(values, []byte{})
		default:
			values = append(values, t.value(length))
		}
	}
	if n == 0 {
		return [][]byte{}
	}
	return values
}

func (t randomRows) moment() int64 { return moments(t.h.MinTimestamp).Draw(t.T, "timestamp") }

func (t randomRows) flip(name string) bool { return rapid.Bool().Draw(t.T, name) }

func (t randomRows) deletion() DeletionTime {
	return DeletionTime{MarkedAt: t.moment(), Local: seconds.Draw(t.T, "local")}
}

func (t randomRows) partition() modelPartition {
	p := modelPartition{Partition: Partition{Key: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t.T, "key"), Deletion: Live}}
	if t.flip("deleted") {
		p.Deletion = t.deletion()
		if t.l.markedFirst {
			p.Deletion.MarkedAt &= math.MaxInt64
		}
	}
	if len(t.h.Static) > 0 {
		p.Unfiltereds = append(p.Unfiltereds, t.row(StaticRow))
	}
	for range rapid.IntRange(0, 5).Draw(t.T, "rows") {
		if t.flip("marker") {
			p.Unfiltereds = append(p.Unfiltereds, t.marker())
		} else {
			p.Unfiltereds = append(p.Unfiltereds, t.row(Row))
		}
	}
	return p
}

func (t randomRows) marker() modelUnfiltered {
	bounds := []BoundKind{ExclEnd, InclStart, ExclEndInclStart, InclEndExclStart, InclEnd, ExclStart}
	u := Unfiltered{Kind: Marker, Bound: rapid.SampledFrom(bounds).Draw(t.T, "bound"), Deletion: t.deletion(), Opens: Live}
	u.Clustering = t.clustering(rapid.IntRange(0, len(t.l.clustering)).Draw(t.T, "values"))
	if u.Bound.Boundary() {
		u.Opens = t.deletion()
	}
	return modelUnfiltered{Unfiltered: u}
}

func (t randomRows) row(k Kind) modelUnfiltered {
	u := modelUnfiltered{Unfiltered: Unfiltered{Kind: k, Deletion: Live, Opens: Live}}
	u.Liveness = Liveness{Timestamp: NoTimestamp, Expiration: NoDeletion}
	if k == Row {
		u.Clustering = t.clustering(len(t.l.clustering))
	}
	if t.flip("alive") {
		u.Liveness.Timestamp = t.moment()
		// The moment drawn may be the one that stands for none.
		if u.Liveness.Expiring = u.Liveness.Timestamp != NoTimestamp && t.flip("expiring"); u.Liveness.Expiring {
			u.Liveness.TTL, u.Liveness.Expiration = rapid.Int32().Draw(t.T, "ttl"), seconds.Draw(t.T, "expiration")
		}
	}
	if t.flip("deleted") {
		u.Deletion = t.deletion()
		u.Shadowable = !u.Deletion.Live() && t.flip("shadowable")
	}
	u.ComplexDeletion = t.flip("complex deletion")
	set := t.l.columnsOf(k)
	some := rapid.IntRange(0, 4).Draw(t.T, "missing")
	u.Unfiltered.Columns = []int{}
	for i, c := range set.columns {
		if some > 0 && rapid.IntRange(0, 4).Draw(t.T, "present") < some {
			continue
		}
		u.Unfiltered.Columns = append(u.Unfiltered.Columns, i)
		u.Columns = append(u.Columns, t.column(i, c, &u.Unfiltered))
	}
	return u
}

func (t randomRows) column(i int, c column, u *Unfiltered) modelColumn {
	m := modelColumn{Column: Column{Index: i, Complex: c.complex, Deletion: Live, Cells: 1}}
	if c.complex {
		m.Column.Cells = rapid.IntRange(0, 3).Draw(t.T, "cells")
		if u.ComplexDeletion && t.flip("deleted") {
			m.Deletion = t.deletion()
		}
	}
	for range m.Column.Cells {
		m.Cells = append(m.Cells, t.cell(c, u.Liveness))
	}
	return m
}

func (t randomRows) cell(c column, live Liveness) Cell {
	f := CellFlags(rapid.ByteRange(0, byte(knownCellFlags)).Draw(t.T, "flags"))
	cell := Cell{Flags: f, Timestamp: live.Timestamp, Local: NoDeletion}
	if f&UseRowTimestamp == 0 {
		cell.Timestamp = t.moment()
	}
	switch {
	case f&UseRowTTL != 0:
		cell.Local, cell.TTL = live.Expiration, live.TTL
	case f&CellExpiring != 0:
		cell.TTL = rapid.Int32().Draw(t.T, "ttl")
		fallthrough
	case f&CellDeleted != 0:
		cell.Local = seconds.Draw(t.T, "local")
	}
	if c.complex {
		cell.Path = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t.T, "path")
	}
	if f&CellEmptyValue == 0 {
		cell.Value = t.value(c.length)
	}
	return cell
}

func TestWhatIsWrittenIsReadAndWrittenAgainToTheSameBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		version := rapid.SampledFrom(versions).Draw(rt, "version")
		h := randomHeader(rt)
		l, err := newLayout(version, h)
		if err != nil {
			rt.Fatal(err)
		}
		draw := randomRows{rt, h, l}
		var want []modelPartition
		for range rapid.IntRange(0, 3).Draw(rt, "partitions") {
			want = append(want, draw.partition())
		}
		b := written(t, version, h, want...)
		r, err := NewReader(iotest.HalfReader(bytes.NewReader(b)), version, h)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := readModel(r)
		if d := cmp.Diff(normal(want), normal(got)); err != nil || d != "" {
			rt.Fatalf("%v\n%s", err, d)
		}
		if !r.Canonical() {
			rt.Fatal("what a writer wrote is not canonical")
		}
		if again := written(t, version, h, got...); !bytes.Equal(b, again) {
			rt.Fatalf("%x\nwritten again\n%x", b, again)
		}
		checkRaw(rt, b, version, h)
	})
}

// normal drops the difference between no values and none.
func normal(ps []modelPartition) []modelPartition {
	ps = slices.Clone(ps)
	for i := range ps {
		for j := range ps[i].Unfiltereds {
			u := &ps[i].Unfiltereds[j]
			if len(u.Clustering) == 0 {
				u.Clustering = nil
			}
			if len(u.Unfiltered.Columns) == 0 {
				u.Unfiltered.Columns = nil
			}
		}
	}
	return ps
}

// checkRaw puts the stream together from the raw bytes, passing over the cells.
func checkRaw(t rapid.TB, b []byte, version string, h sstable.Header) {
	r, err := NewReader(bytes.NewReader(b), version, h)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for r.Next() {
		if p := r.Partition().Position; p != int64(len(out)) {
			t.Fatalf("partition at %d says %d", len(out), p)
		}
		out = append(out, r.Partition().Raw...)
		for r.NextUnfiltered() {
			if p := r.Unfiltered().Position; p != int64(len(out)) {
				t.Fatalf("row at %d says %d", len(out), p)
			}
			out = append(out, r.Unfiltered().Raw...)
		}
		out = append(out, EndOfPartition)
	}
	if r.Err() != nil || !bytes.Equal(out, b) {
		t.Fatalf("raw bytes of %x are %x, error %v", b, out, r.Err())
	}
}
