package sstable_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// The components of real SSTables hold against each other: sums and offsets against
// Data.db, the index against the dump and the order of tokens.
func TestComponentsHoldTogether(t *testing.T) {
	for _, r := range cassandratest.Releases() {
		t.Run(r.Release+" "+r.Format, func(t *testing.T) {
			for _, f := range cassandratest.Fixtures(t, r.Release, r.Format) {
				data, err := os.ReadFile(f.Component(sstable.Data))
				if err != nil {
					t.Fatal(err)
				}
				checkDigest(t, f, data)
				if f.Compressor == "none" {
					checkSums(t, f, data)
				} else {
					checkOffsets(t, f, data)
				}
				if f.Format != "da" {
					checkIndex(t, f)
				}
			}
		})
	}
}

func checkDigest(t *testing.T, f cassandratest.Fixture, data []byte) {
	t.Helper()
	text, err := os.ReadFile(f.Component(sstable.Digest))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := sstable.ParseDigest(text); err != nil || sum != crc32.ChecksumIEEE(data) {
		t.Errorf("%s: digest %d, %v", f, sum, err)
	}
}

func checkSums(t *testing.T, f cassandratest.Fixture, data []byte) {
	t.Helper()
	file, err := os.Open(f.Component(sstable.CRC))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sums, err := sstable.NewSums(bufio.NewReader(file))
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	for ; ; data = data[min(sums.ChunkSize, len(data)):] {
		sum, err := sums.Next()
		if err == io.EOF {
			break
		}
		if chunk := data[:min(sums.ChunkSize, len(data))]; err != nil || sum != crc32.ChecksumIEEE(chunk) {
			t.Errorf("%s: sum %08x of %d bytes, %v", f, sum, len(chunk), err)
		}
	}
	if len(data) > 0 {
		t.Errorf("%s: %d bytes without a sum", f, len(data))
	}
}

func checkOffsets(t *testing.T, f cassandratest.Fixture, data []byte) {
	t.Helper()
	file, err := os.ReadFile(f.Component(sstable.CompressionInfo))
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(bytes.NewReader(file))
	h, raw, err := sstable.ParseCompressionHeader(r, f.Format)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	if back, err := sstable.AppendCompressionHeader(nil, h, f.Format); err != nil || !bytes.Equal(back, raw) || h.Class != f.Compressor {
		t.Errorf("%s: %+v, %v", f, h, err)
	}
	offsets, err := sstable.NewOffsets(r, h, f.Format)
	if err != nil {
		t.Fatal(err)
	}
	begin := int64(0)
	for n := 0; ; n++ {
		end, err := offsets.Next()
		if err == io.EOF {
			end = int64(len(data))
		} else if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if n > 0 && end >= begin+4 && end <= int64(len(data)) {
			chunk, sum := data[begin:end-4], binary.BigEndian.Uint32(data[end-4:end])
			if sum != crc32.ChecksumIEEE(chunk) {
				t.Errorf("%s: chunk %d from %d to %d has another sum", f, n, begin, end)
			}
		} else if n > 0 {
			t.Errorf("%s: chunk from %d to %d of %d", f, begin, end, len(data))
		}
		if begin = end; err == io.EOF {
			break
		}
	}
	if tail, err := offsets.Tail(); err != nil || tail != nil {
		t.Errorf("%s: tail %x, %v", f, tail, err)
	}
}

// checkIndex reads the index to its end and holds it against sstabledump. Of each
// partition that tells the start up to 4.1, and later a position behind its key.
func checkIndex(t *testing.T, f cassandratest.Fixture) {
	t.Helper()
	file, err := os.Open(f.Component(sstable.Index))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	index, err := sstable.NewIndexReader(file, f.Format)
	if err != nil {
		t.Fatal(err)
	}
	var starts, behindKey []int64
	for last := int64(-1 << 63); ; {
		e, err := index.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		// An index of a table is in the order of its values.
		if token := sstable.Token(e.Key); token < last && !strings.Contains(f.Table, ".") {
			t.Errorf("%s: token %d of key %x after %d", f, token, e.Key, last)
		} else {
			last = token
		}
		starts, behindKey = append(starts, e.Position), append(behindKey, e.Position+2+int64(len(e.Key)))
		checkPromoted(t, f, index, e)
	}
	// The dumps are most of the work, and those of flushes tell nothing else.
	if f.Dump == "" || f.How == "flush" {
		return
	}
	dumped := positions(t, f)
	if len(dumped) != len(starts) {
		t.Fatalf("%s: %d partitions, sstabledump says %d", f, len(starts), len(dumped))
	}
	for i, at := range dumped {
		before, behind := at <= behindKey[i], i+1 < len(starts) && at > starts[i+1]
		if f.Release < "5" {
			before, behind = at < starts[i], at > starts[i]
		}
		if before || behind {
			t.Errorf("%s: partition %d at %d, sstabledump is at %d", f, i, starts[i], at)
		}
	}
}

// positions are those of the partitions in a dump.
func positions(t *testing.T, f cassandratest.Fixture) (all []int64) {
	t.Helper()
	text, err := os.ReadFile(f.Dump)
	if err != nil {
		t.Fatal(err)
	}
	var dump []struct{ Partition struct{ Position int64 } }
	if err := json.Unmarshal(text, &dump); err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	for _, p := range dump {
		all = append(all, p.Partition.Position)
	}
	return all
}

func checkPromoted(t *testing.T, f cassandratest.Fixture, index *sstable.IndexReader, e sstable.IndexEntry) {
	t.Helper()
	if e.PromotedSize == 0 {
		return
	}
	b, err := io.ReadAll(index.Promoted())
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := sstable.SplitPromoted(b, f.Format)
	if err != nil || len(blocks) != e.Blocks || len(blocks) < 2 || e.HeaderLength < 3 {
		t.Errorf("%s: %+v has %d blocks, %v", f, e, len(blocks), err)
	}
}

// keyRange takes the first and last key from where the format has them, and holds
// the sources against each other.
func keyRange(t *testing.T, f cassandratest.Fixture, m *sstable.Metadata) (first, last []byte) {
	t.Helper()
	name := sstable.Index
	if f.Format == "da" {
		name = sstable.Partitions
	}
	file, err := os.Open(f.Component(name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	var count int64
	if f.Format == "da" {
		footer, err := sstable.ReadPartitionsFooter(file, info.Size())
		if err != nil {
			t.Errorf("%s: %v", f, err)
		}
		first, last, count = footer.FirstKey, footer.LastKey, footer.KeyCount
	} else if first, last, count, err = sstable.KeyRange(bufio.NewReader(file), f.Format); err != nil {
		t.Errorf("%s: %v", f, err)
	} else {
		summary, err := os.ReadFile(f.Component(sstable.Summary))
		if err != nil {
			t.Fatal(err)
		}
		lower, upper, err := sstable.ReadSummaryKeys(bytes.NewReader(summary), int64(len(summary)))
		if err != nil || !bytes.Equal(lower, first) || !bytes.Equal(upper, last) {
			t.Errorf("%s: keys %x to %x in the summary, %x to %x in the index, %v", f, lower, upper, first, last, err)
		}
	}
	partitions := int64(0)
	for _, b := range m.Stats.PartitionSizes {
		partitions += b.Count
	}
	if count != partitions {
		t.Errorf("%s: %d keys and %d partitions", f, count, partitions)
	}
	if s := m.Stats; s.FirstKey != nil && (!bytes.Equal(s.FirstKey, first) || !bytes.Equal(s.LastKey, last)) {
		t.Errorf("%s: keys %x to %x in the statistics, %x to %x in the index", f, s.FirstKey, s.LastKey, first, last)
	}
	return first, last
}
