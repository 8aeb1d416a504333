package rows

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"cbk/cassandra/sstable"
)

// one is a table of one clustering column and one regular one.
var one = sstable.Header{KeyType: "BytesType", ClusteringTypes: []string{"UTF8Type"}, Regular: columns("UTF8Type")}

// oneSet is a table of one column that is a set, without clustering.
var oneSet = sstable.Header{KeyType: "BytesType", Regular: columns("SetType(UTF8Type)")}

// stream puts rows in hexadecimal behind a partition of key "k" that lives; it is 4
// bytes long.
func stream(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll("0001 6b 80"+text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// visit reads all of r down to the cells.
func visit(r *Reader) error {
	for r.Next() {
		for r.NextUnfiltered() {
			for r.NextColumn() {
				for r.NextCell() {
				}
			}
		}
	}
	return r.Err()
}

func TestBytesThatAreNoRowsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		rows   string
		header sstable.Header
	}{
		"an end with another flag":            {"03", one},
		"a marker with another flag":          {"06 01 0000 03 04 00 00 01", one},
		"a marker of an unknown bound":        {"02 03 0000 03 04 00 00 01", one},
		"a marker of more values than types":  {"02 01 0002 00 03 04 00 00 01", one},
		"a marker shorter than its size":      {"02 01 0000 05 04 00 00 00 00 01", one},
		"a marker longer than its size":       {"02 01 0000 02 04 00 00 01", one},
		"a static row without static columns": {"a0 01 00 61 03 00 0c 01", one},
		"unknown extended flags":              {"a0 04 00 01 61 02 04 0c 01", one},
		"shadowable without a deletion":       {"a0 02 00 01 61 02 04 0c 01", one},
		"a TTL without a timestamp":           {"28 00 01 61 04 04 00 00 0c 01", one},
		"a value longer than its row":         {"20 00 01 61 04 04 00 00 05 01", one},
		"unknown cell flags":                  {"20 00 01 61 03 04 24 00 01", one},
		"a row longer than its columns":       {"20 00 01 61 04 04 04 00 00 01", one},
		"a row shorter than its liveness":     {"24 00 01 61 01 04 01", one},
		"a clustering longer than the stream": {"20 00 ff 7fffffffffffffff 61", one},
		"a size longer than the stream":       {"20 00 01 61 c4ffff 04 04 00 00 01", one},
		"more cells than bytes":               {"20 04 04 03 0c 00 01", oneSet},
		"nearly endless cells":                {"20 0b 04 ff ffffffffffffffff 0c 01", oneSet},
		"a local time of more than 32 bits":   {"20 0a 04 01 01 00 fc 0000000000 01", oneSet},
		"a missing column that is not there":  {"00 00 01 61 02 04 02 01", one},
	} {
		r := newReader(t, stream(t, c.rows), "oa", c.header)
		if err := visit(r); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v", name, err)
		}
		if r.Next() || r.NextUnfiltered() || r.NextColumn() || r.NextCell() {
			t.Errorf("%s: the reader goes on", name)
		}
	}
}

func TestMoreCellsThanTheRowHasRoomForAreNoColumn(t *testing.T) {
	for _, rows := range []string{"20 04 04 03 0c 00 01", "20 0b 04 ff ffffffffffffffff 0c 01"} {
		r := newReader(t, stream(t, rows), "oa", oneSet)
		if !r.Next() || !r.NextUnfiltered() || r.NextColumn() {
			t.Errorf("%s is taken for %d cells", rows, r.Column().Cells)
		}
	}
}

func TestAPartitionsUnknownFlagsAreRefused(t *testing.T) {
	b := append([]byte{0, 1, 'k', 0x81}, make([]byte, 20)...)
	r := newReader(t, b, "oa", one)
	if r.Next() || !errors.Is(r.Err(), ErrFormat) {
		t.Errorf("error %v", r.Err())
	}
}

func TestTheStaticRowMayNotBeMissing(t *testing.T) {
	h := one
	h.Static = columns("Int32Type")
	for _, rows := range []string{"01", "20 00 01 61 03 04 0c 01", "02 01 0000 03 04 00 00 01"} {
		if err := visit(newReader(t, stream(t, rows), "oa", h)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v", rows, err)
		}
	}
}

func TestWhatCassandraWouldWriteOtherwiseIsNotCanonical(t *testing.T) {
	for name, c := range map[string]struct {
		rows      string
		canonical bool
	}{
		"as Cassandra writes it":      {"20 00 01 61 02 04 0c 01", true},
		"another previous size":       {"20 00 01 61 02 05 0c 01", false},
		"a long vint for a size":      {"20 00 01 61 8002 04 0c 01", false},
		"a long vint in a cell":       {"20 00 01 61 04 04 04 8000 01", false},
		"empty extended flags":        {"a0 00 00 01 61 02 04 0c 01", false},
		"bits behind the clustering":  {"20 04 01 61 02 04 0c 01", false},
		"null and empty at once":      {"20 03 02 04 0c 01", false},
		"an empty clustering as such": {"20 01 02 04 0c 01", true},
		"all columns without a flag":  {"00 00 01 61 03 04 00 0c 01", false},
		"a deletion that is none":     {"30 00 01 61 14 04 ff8000000000000000 ffffffffffffffffff 0c 01", false},
		"a liveness that is none":     {"24 00 01 61 0b 04 ff8000000000000000 0c 01", false},
		"a marker as it is":           {"02 01 0000 03 04 00 00 01", true},
		"a long vint in a marker":     {"02 01 0000 8003 04 00 00 01", false},
	} {
		b := stream(t, c.rows)
		r := newReader(t, b, "oa", one)
		var out bytes.Buffer
		w, err := NewWriter(&out, "oa", one)
		if err != nil {
			t.Fatal(err)
		}
		if err := Copy(w, r); err != nil || r.Canonical() != c.canonical || bytes.Equal(out.Bytes(), b) != c.canonical {
			t.Errorf("%s: canonical %v, error %v, written as %x", name, r.Canonical(), err, out.Bytes())
		}
	}
}

func TestALegacyPartitionThatLivesOtherwiseIsNotCanonical(t *testing.T) {
	for text, canonical := range map[string]bool{
		"0001 6b 7fffffff 8000000000000000 01": true,
		"0001 6b ffffffff 8000000000000000 01": false,
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		r := newReader(t, b, "nb", one)
		if !r.Next() || r.Partition().Deletion != Live || r.Canonical() != canonical {
			t.Errorf("%s: deletion %v, canonical %v", text, r.Partition().Deletion, r.Canonical())
		}
	}
}

func TestPassedOverRowsAreNotChecked(t *testing.T) {
	broken := "20 00 01 61 02 04 ff"
	r := newReader(t, stream(t, broken+"01 0001 6c 80 01"), "oa", one)
	var keys string
	for r.Next() {
		keys += string(r.Partition().Key)
	}
	if r.Err() != nil || keys != "kl" {
		t.Errorf("keys %q, error %v", keys, r.Err())
	}
}

func TestARowLargerThanAReaderHoldsIsAnErrorOfItsOwn(t *testing.T) {
	size := appendVint(nil, MaxUnfiltered+1)
	b := append(stream(t, "20 00 01 61"), size...)
	if err := visit(newReader(t, b, "oa", one)); !errors.Is(err, ErrTooLarge) || errors.Is(err, ErrFormat) {
		t.Errorf("error %v", err)
	}
}

func TestTheLimitOfARowHoldsInAWindowThatHasMore(t *testing.T) {
	b := stream(t, "20 00 01 61 02 04 0c"+strings.Repeat("20 00 01 61 02 07 0c", 20)+"01")
	for limit, want := range map[int]error{6: ErrTooLarge, 7: nil} {
		r := newReader(t, b, "oa", one)
		r.limit = limit
		if err := visit(r); !errors.Is(err, want) {
			t.Errorf("rows of 7 bytes, limit %d: error %v", limit, err)
		}
	}
}

func TestRowsLargerThanAWindowAreReadWhole(t *testing.T) {
	value := bytes.Repeat([]byte("0123456789"), windowSize)
	live := Liveness{Timestamp: NoTimestamp, Expiration: NoDeletion}
	row := modelUnfiltered{
		Unfiltered: Unfiltered{Clustering: [][]byte{value[:70000]}, Liveness: live, Deletion: Live, Opens: Live, Columns: []int{0}},
		Columns:    []modelColumn{{Column{Deletion: Live, Cells: 1}, []Cell{{Local: NoDeletion, Value: value}}}},
	}
	want := modelPartition{Partition: Partition{Key: []byte("k"), Deletion: Live}, Unfiltereds: []modelUnfiltered{row, row, row}}
	b := written(t, "oa", one, want)
	r, err := NewReader(iotest.HalfReader(bytes.NewReader(b)), "oa", one)
	if err != nil {
		t.Fatal(err)
	}
	for r.Next() {
		for n := 0; r.NextUnfiltered(); n++ {
			if raw := r.Unfiltered().Raw; !bytes.HasSuffix(raw, value) || string(r.Partition().Key) != "k" {
				t.Errorf("row %d of partition %q has %d bytes", n, r.Partition().Key, len(raw))
			}
		}
	}
	if r.Err() != nil {
		t.Error(r.Err())
	}
}

func TestASourcesOwnErrorComesThrough(t *testing.T) {
	broken := errors.New("broken")
	for cut := range stream(t, "20 00 01 61 02 04 0c 01") {
		src := io.MultiReader(bytes.NewReader(stream(t, "20 00 01 61 02 04 0c 01")[:cut]), iotest.ErrReader(broken))
		r, err := NewReader(src, "oa", one)
		if err != nil {
			t.Fatal(err)
		}
		if err := visit(r); !errors.Is(err, broken) || errors.Is(err, ErrFormat) {
			t.Errorf("broken at %d: error %v", cut, err)
		}
	}
}

func TestVersionsAndTypesThatAreNotKnownAreTold(t *testing.T) {
	for _, v := range []string{"", "jb", "ka", "la", "lb", "mf", "pa", "ea", "nb "} {
		if _, err := NewReader(nil, v, one); !errors.Is(err, sstable.ErrUnsupportedVersion) {
			t.Errorf("version %q: %v", v, err)
		}
		if _, err := NewWriter(nil, v, one); !errors.Is(err, sstable.ErrUnsupportedVersion) {
			t.Errorf("version %q: %v", v, err)
		}
	}
	for name, h := range map[string]sstable.Header{
		"clustering": {ClusteringTypes: []string{"OwnType"}},
		"static":     {Static: columns("OwnType")},
		"regular":    {Regular: columns("Int32Type", "(")},
	} {
		if _, err := NewReader(nil, "oa", h); !errors.Is(err, ErrType) {
			t.Errorf("%s column: %v", name, err)
		}
	}
}

func TestReadingAllocatesNothingForARow(t *testing.T) {
	var rows []modelUnfiltered
	for range 1000 {
		rows = append(rows, goldenRows.Unfiltereds[1], goldenRows.Unfiltereds[2])
	}
	p := goldenRows
	p.Unfiltereds = append([]modelUnfiltered{goldenRows.Unfiltereds[0]}, rows...)
	b := written(t, "nb", golden, p, p, p)
	r := newReader(t, b, "nb", golden)
	r.Next()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := visit(r); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 100 {
		t.Errorf("%d allocations for 6000 rows", n)
	}
}
