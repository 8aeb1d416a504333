package rows

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/sstable"
)

// golden is a header with one column of each sort.
var golden = sstable.Header{
	MinTimestamp:         1000,
	MinLocalDeletionTime: 100,
	MinTTL:               10,
	KeyType:              "BytesType",
	ClusteringTypes:      []string{"Int32Type", "UTF8Type"},
	Static:               columns("Int32Type"),
	Regular:              columns("Int32Type", "UTF8Type", "SetType(UTF8Type)"),
}

// goldenRows is one partition with one unfiltered of each sort.
var goldenRows = modelPartition{
	Partition: Partition{Key: []byte("k"), Deletion: DeletionTime{MarkedAt: 0x0102, Local: 0x0304}},
	Unfiltereds: []modelUnfiltered{
		{
			Unfiltered: Unfiltered{Kind: StaticRow, Liveness: Liveness{Timestamp: NoTimestamp, Expiration: NoDeletion}, Deletion: Live, Opens: Live, Columns: []int{0}},
			Columns:    []modelColumn{{Column{Index: 0, Deletion: Live, Cells: 1}, []Cell{{Timestamp: 1001, Local: NoDeletion, Value: []byte{0, 0, 0, 9}}}}},
		},
		{
			Unfiltered: Unfiltered{
				Clustering: [][]byte{{0, 0, 0, 7}, {}},
				Liveness:   Liveness{Timestamp: 1002, Expiring: true, TTL: 13, Expiration: 104},
				Deletion:   DeletionTime{MarkedAt: 1005, Local: 106}, Shadowable: true, Opens: Live,
				ComplexDeletion: true, Columns: []int{1, 2},
			},
			Columns: []modelColumn{
				{Column{Index: 1, Deletion: Live, Cells: 1}, []Cell{{Flags: UseRowTimestamp | UseRowTTL | CellExpiring, Timestamp: 1002, Local: 104, TTL: 13, Value: []byte("v")}}},
				{Column{Index: 2, Complex: true, Deletion: DeletionTime{MarkedAt: 1003, Local: 105}, Cells: 1}, []Cell{{Flags: CellDeleted | CellEmptyValue, Timestamp: 1004, Local: 107, Path: []byte("p")}}},
			},
		},
		{
			Unfiltered: Unfiltered{
				Kind: Marker, Bound: InclEndExclStart, Clustering: [][]byte{nil},
				Deletion: DeletionTime{MarkedAt: 1008, Local: 108}, Opens: DeletionTime{MarkedAt: 1009, Local: 109},
			},
		},
	},
}

// goldenBody is what follows the partition's deletion time.
var goldenBody = []string{
	"a0 01", "07 00", "00 01 00000009", // static row: all columns, extension; size; cell of 4 bytes at +1
	"dc 02", "04 00000007", "12 19", "02", "03 04", "05 06", "01", // row: header of an empty value, sizes, liveness, deletion, one column missing
	"1a 01 76",                                 // cell: expiring like its row, "v"
	"03 05",                                    // deletion of the set
	"01 05 04 07 01 70",                        // one cell: deleted, empty, its path "p"
	"02 05 0001 02", "05 1a", "08 08", "09 09", // boundary: one value, which is null; sizes; both deletions
	"01",
}

func goldenBytes(version string) []byte {
	head := "0001 6b 00000304 0000000000000102"
	if version >= "oa" || version == "da" {
		head = "0001 6b 0000000000000102 00000304"
	}
	text := head + strings.Join(goldenBody, "")
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestRowsHaveTheBytesCassandraWrites(t *testing.T) {
	for _, version := range []string{"ma", "me", "nb", "oa", "da"} {
		want := goldenBytes(version)
		if got := written(t, version, golden, goldenRows); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s want\n%s", version, hex.Dump(got), hex.Dump(want))
		}
		r := newReader(t, want, version, golden)
		got, err := readModel(r)
		if d := cmp.Diff([]modelPartition{goldenRows}, got); err != nil || d != "" || !r.Canonical() {
			t.Errorf("%s: error %v, canonical %v\n%s", version, err, r.Canonical(), d)
		}
	}
}

func TestClusteringValuesShareAHeaderBy32(t *testing.T) {
	var h sstable.Header
	for range 33 {
		h.ClusteringTypes = append(h.ClusteringTypes, "Int32Type")
	}
	row := Unfiltered{Clustering: make([][]byte, 33), Liveness: Liveness{Timestamp: NoTimestamp}, Deletion: Live}
	b := written(t, "da", h, modelPartition{Partition: Partition{Deletion: Live}, Unfiltereds: []modelUnfiltered{{Unfiltered: row}}})
	want := "000080" + "20" + "ffaaaaaaaaaaaaaaaa" + "02" + "0103" + "01"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAStreamCutAnywhereIsAnError(t *testing.T) {
	for _, version := range []string{"nb", "da"} {
		b := goldenBytes(version)
		for cut := 1; cut < len(b); cut++ {
			r := newReader(t, b[:cut], version, golden)
			if got, err := readModel(r); !errors.Is(err, ErrFormat) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut to %d of %d bytes: %d partitions, error %v", version, cut, len(b), len(got), err)
			}
		}
	}
}
