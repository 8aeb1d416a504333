package rows

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
)

// real is the plain stream of a fixture and what is needed to read it.
type real struct {
	cassandratest.Fixture
	header sstable.Header
	plain  []byte
}

func load(t testing.TB, f cassandratest.Fixture) real {
	t.Helper()
	statistics, err := os.ReadFile(f.Component("Statistics.db"))
	if err != nil {
		t.Fatal(err)
	}
	meta, err := sstable.ParseStatistics(statistics, f.Format)
	if err != nil {
		t.Fatalf("%v: %v", f, err)
	}
	r := real{Fixture: f, header: meta.Header}
	if r.plain, err = os.ReadFile(f.Component("Data.db")); err != nil {
		t.Fatal(err)
	}
	if f.Compressor != "none" {
		if r.plain, err = decompress(r.plain, f); err != nil {
			t.Fatalf("%v: %v", f, err)
		}
	}
	return r
}

// decompress undoes the compression of a whole Data.db.
func decompress(data []byte, f cassandratest.Fixture) ([]byte, error) {
	file, err := os.Open(f.Component("CompressionInfo.db"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	h, _, err := sstable.ParseCompressionHeader(in, f.Format)
	if err != nil {
		return nil, err
	}
	format, err := chunk.NewFormat(h)
	if err != nil {
		return nil, err
	}
	offsets, err := sstable.NewOffsets(in, h, f.Format)
	if err != nil {
		return nil, err
	}
	return decodeChunks(data, h, format, offsets)
}

func decodeChunks(data []byte, h sstable.CompressionHeader, format chunk.Format, offsets *sstable.Offsets) (plain []byte, err error) {
	at, err := offsets.Next()
	for err == nil {
		var next int64
		if next, err = offsets.Next(); err == io.EOF {
			next = int64(len(data))
		} else if err != nil {
			return nil, err
		}
		b, decodeErr := format.Decode(nil, data[at:next-4])
		if decodeErr != nil {
			return nil, decodeErr
		}
		// The zeros behind a last chunk that is raw are no rows.
		plain = append(plain, b[:min(int64(len(b)), h.DataLength-int64(len(plain)))]...)
		at = next
	}
	if int64(len(plain)) != h.DataLength {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return plain, nil
}

func TestRealRowsOfEveryRelease(t *testing.T) {
	for _, r := range cassandratest.Releases() {
		t.Run(r.Release+" "+r.Format, func(t *testing.T) {
			var all []real
			for _, f := range cassandratest.Fixtures(t, r.Release, r.Format) {
				all = append(all, load(t, f))
			}
			t.Run("are written again bit for bit", func(t *testing.T) { writtenAgain(t, all) })
			t.Run("are what sstabledump prints", func(t *testing.T) { likeDump(t, all) })
			t.Run("hold a thing of every sort", func(t *testing.T) { everySort(t, all) })
		})
	}
}

func writtenAgain(t *testing.T, all []real) {
	var size int
	for _, f := range all {
		r := newReader(t, f.plain, f.Format, f.header)
		var out bytes.Buffer
		w, err := NewWriter(&out, f.Format, f.header)
		if err != nil {
			t.Fatal(err)
		}
		if err := Copy(w, r); err != nil || !r.Canonical() || !bytes.Equal(out.Bytes(), f.plain) {
			t.Errorf("%v: canonical %v, error %v, first other byte %d of %d", f, r.Canonical(), err, differs(out.Bytes(), f.plain), len(f.plain))
		}
		size += len(f.plain)
	}
	t.Logf("%d SSTables, %d bytes", len(all), size)
}

func differs(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// undumped tells the tables that sstabledump fails on: those with null clustering values
// and those of classes that it has no text for.
func undumped(f real) bool {
	classes := strings.Join(f.header.ClusteringTypes, " ")
	return f.Table == "dense_short" || strings.Contains(classes, "CompositeType") || strings.Contains(classes, "PartitionerDefinedOrder")
}

func likeDump(t *testing.T, all []real) {
	var sum dumpCounts
	for _, f := range all {
		if f.Dump == "" {
			if !undumped(f) {
				t.Errorf("%v has no dump", f)
			}
			continue
		}
		t.Run(f.String(), func(t *testing.T) {
			n := compareWithDump(t, newReader(t, f.plain, f.Format, f.header), f.header, f.Fixture)
			sum.partitions += n.partitions
			sum.rows += n.rows
			sum.markers += n.markers
			sum.cells += n.cells
		})
	}
	t.Logf("compared %d partitions, %d rows, %d markers, %d cells", sum.partitions, sum.rows, sum.markers, sum.cells)
}

// sorts are the things that rows can hold and the fixtures of each release do.
func sorts(r *Reader, seen map[string]bool) error {
	for r.Next() {
		seen["partition deletion"] = seen["partition deletion"] || !r.Partition().Deletion.Live()
		for r.NextUnfiltered() {
			u := r.Unfiltered()
			note(u, r, seen)
			for r.NextColumn() {
				c := r.Column()
				seen["complex column"] = seen["complex column"] || c.Complex
				seen["complex deletion"] = seen["complex deletion"] || !c.Deletion.Live()
				for r.NextCell() {
					noteCell(r.Cell(), seen)
				}
			}
		}
	}
	return r.Err()
}

func note(u *Unfiltered, r *Reader, seen map[string]bool) {
	for name, on := range map[string]bool{
		"static row":           u.Kind == StaticRow && len(u.Columns) > 0,
		"empty static row":     u.Kind == StaticRow && len(u.Columns) == 0,
		"range bound":          u.Kind == Marker && !u.Bound.Boundary(),
		"range boundary":       u.Kind == Marker && u.Bound.Boundary(),
		"shorter bound":        u.Kind == Marker && len(u.Clustering) < len(r.clustering),
		"row deletion":         u.Kind == Row && !u.Deletion.Live(),
		"row without liveness": u.Kind == Row && u.Liveness.Timestamp == NoTimestamp,
		"row that expires":     u.Liveness.Expiring,
		"some of 64 columns":   u.Kind == Row && len(r.columns) >= smallSet && len(u.Columns) < len(r.columns),
		"few of 64 columns":    u.Kind == Row && len(r.columns) >= smallSet && len(u.Columns) < len(r.columns)/2,
		"some of few columns":  u.Kind == Row && len(r.columns) < smallSet && len(u.Columns) < len(r.columns),
		"empty clustering":     len(u.Clustering) > 0 && u.Clustering[0] != nil && len(u.Clustering[0]) == 0,
	} {
		seen[name] = seen[name] || on
	}
}

func noteCell(c *Cell, seen map[string]bool) {
	for name, on := range map[string]bool{
		"cell deleted":          c.Flags&CellDeleted != 0,
		"cell expiring":         c.Flags&CellExpiring != 0,
		"cell at its row's TTL": c.Flags&UseRowTTL != 0,
		"cell at its own time":  c.Flags&UseRowTimestamp == 0,
		"cell without a value":  c.Flags&(CellEmptyValue|CellDeleted) == CellEmptyValue,
		"counter context":       len(c.Value) >= 34 && binary.BigEndian.Uint16(c.Value) == 1 && c.Flags == 0,
	} {
		seen[name] = seen[name] || on
	}
}

func everySort(t *testing.T, all []real) {
	seen := map[string]bool{}
	for _, f := range all {
		if err := sorts(newReader(t, f.plain, f.Format, f.header), seen); err != nil {
			t.Fatalf("%v: %v", f, err)
		}
	}
	for name, on := range seen {
		if !on {
			t.Errorf("no fixture has a %s", name)
		}
	}
}

// BenchmarkReader visits every cell of real tables, repeated to 8 MiB.
func BenchmarkReader(b *testing.B) {
	for _, f := range cassandratest.Fixtures(b, "5.0.6", "nb") {
		if f.How != "compaction" || !slices.Contains([]string{"everything", "wide", "columns_100", "lz4_16"}, f.Table) {
			continue
		}
		r := load(b, f)
		plain := bytes.Repeat(r.plain, 1+8<<20/len(r.plain))
		b.Run(f.Table, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				if err := visit(newReader(b, plain, f.Format, r.header)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
