package chunk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// TestChunksOfCassandra decodes every chunk of the files that each release of Cassandra
// wrote, and makes those of reproducible formats again: one dialect must do for a file.
func TestChunksOfCassandra(t *testing.T) {
	for _, release := range cassandratest.Releases() {
		t.Run(release.Release+" "+release.Format, func(t *testing.T) {
			counts := tally{}
			for _, f := range cassandratest.Fixtures(t, release.Release, release.Format) {
				if f.Compressor == "none" {
					continue
				}
				if err := counts.file(f); err != nil {
					t.Errorf("%s: %v", f, err)
				}
			}
			for _, class := range classes {
				if counts[class.name] == nil && release.Release >= class.since {
					t.Errorf("no chunk of %s", class.name)
				}
			}
			t.Logf("chunks of Cassandra %s in format %s:\n%s", release.Release, release.Format, counts)
		})
	}
}

// count is about the chunks that one compressor wrote.
type count struct {
	files, chunks, raw int
	early, late        int  // that come out the same
	exact              bool // whether they should
}

// tally counts by class, and the high type of LZ4 apart.
type tally map[string]*count

func (c tally) String() string {
	var lines []string
	for name, n := range c {
		line := fmt.Sprintf("%-18s %3d files %6d chunks %5d raw", name, n.files, n.chunks, n.raw)
		if n.exact {
			line += fmt.Sprintf(" %6d exact as early %6d as late", n.early, n.late)
		}
		lines = append(lines, line)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// file counts the chunks of one file.
func (c tally) file(fixture cassandratest.Fixture) error {
	h, chunks, err := storedChunks(fixture)
	if err != nil {
		return err
	}
	f, err := NewFormat(h)
	if err != nil {
		return err
	}
	var one count
	var total int64
	for i, stored := range chunks {
		plain, err := f.Decode(nil, stored)
		if err != nil {
			return fmt.Errorf("chunk %d: %w", i, err)
		}
		plain = plain[:min(int64(len(plain)), h.DataLength-total)]
		total += int64(len(plain))
		one.chunk(f, plain, stored)
	}
	if total != h.DataLength {
		return fmt.Errorf("%d plain bytes, not %d", total, h.DataLength)
	}
	same := one.late
	if fixture.Release < "4.0" {
		same = one.early
	}
	if f.Reproducible() && same != one.chunks {
		return fmt.Errorf("of %d chunks %d are the same as early, %d as late", one.chunks, one.early, one.late)
	}
	c.add(h, f, one)
	return nil
}

func (n *count) chunk(f Format, plain, stored []byte) {
	n.chunks++
	if len(stored) >= f.rawFrom {
		n.raw++
	}
	if !f.Reproducible() {
		return
	}
	if bytes.Equal(NewEncoder(Early).AppendChunk(nil, plain, f), stored) {
		n.early++
	}
	if bytes.Equal(NewEncoder(Late).AppendChunk(nil, plain, f), stored) {
		n.late++
	}
}

func (c tally) add(h sstable.CompressionHeader, f Format, one count) {
	name := h.Class
	if slices.Contains(h.Options, [2]string{"lz4_compressor_type", "high"}) {
		name += " high"
	}
	if c[name] == nil {
		c[name] = &count{exact: f.Reproducible()}
	}
	n := c[name]
	n.files++
	n.chunks, n.raw = n.chunks+one.chunks, n.raw+one.raw
	n.early, n.late = n.early+one.early, n.late+one.late
}

// storedChunks cuts Data.db at its offsets and checks the checksum behind each chunk.
func storedChunks(f cassandratest.Fixture) (h sstable.CompressionHeader, chunks [][]byte, err error) {
	info, err := os.ReadFile(f.Component("CompressionInfo.db"))
	if err != nil {
		return h, nil, err
	}
	data, err := os.ReadFile(f.Component("Data.db"))
	if err != nil {
		return h, nil, err
	}
	r := bufio.NewReader(bytes.NewReader(info))
	if h, _, err = sstable.ParseCompressionHeader(r, f.Format); err != nil {
		return h, nil, err
	}
	offsets, err := chunkOffsets(r, h, f.Format)
	if err != nil {
		return h, nil, err
	}
	for i, at := range offsets {
		end := len(data)
		if i+1 < len(offsets) {
			end = int(offsets[i+1])
		}
		stored, sum := data[at:end-4], binary.BigEndian.Uint32(data[end-4:])
		if crc32.ChecksumIEEE(stored) != sum {
			return h, nil, fmt.Errorf("checksum of chunk %d", i)
		}
		chunks = append(chunks, stored)
	}
	return h, chunks, nil
}

func chunkOffsets(r *bufio.Reader, h sstable.CompressionHeader, version string) (all []int64, err error) {
	offsets, err := sstable.NewOffsets(r, h, version)
	if err != nil {
		return nil, err
	}
	for {
		at, err := offsets.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, at)
	}
}
