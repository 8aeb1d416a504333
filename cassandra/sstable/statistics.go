package sstable

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// MaxStatistics is the most bytes a reader need take from Statistics.db. Common
// ones have 5 to 10 KiB. What grows is the header, by a name and a type for every
// column: this leaves room for 50,000 columns with type texts of a KiB.
const MaxStatistics = 64 << 20

// Metadata is the content of Statistics.db since 3.0.
type Metadata struct {
	Partitioner       string  // class name
	BloomFilterChance float64 // of a false positive, as the table asked for
	Cardinality       []byte  // of partition keys: a HyperLogLog++ in stream-lib's bytes
	Stats             Stats
	Header            Header
}

// Parts of Statistics.db, by their number in its table of contents.
const (
	partValidation = iota
	partCompaction
	partStats
	partHeader
	partCount
)

// ParseStatistics reads a whole Statistics.db of 3.0 or later; for older ones it
// gives [ErrUnsupportedVersion]. Since na every checksum in it is verified. The
// bytes in what it returns lie in b.
//
//	int32 n · [na: crc32 of n] · n × (int32 part · int32 offset) · [na: crc32 of all
//	so far but the first checksum] · n × (bytes of the part · [na: crc32 of them])
func ParseStatistics(b []byte, version string) (*Metadata, error) {
	layout, err := layoutOf(version)
	if err != nil {
		return nil, err
	}
	if layout < "ma" {
		return nil, fmt.Errorf("statistics of 2.x: %w %q", ErrUnsupportedVersion, version)
	}
	if len(b) > MaxStatistics {
		return nil, fmt.Errorf("statistics of %d bytes, more than %d", len(b), MaxStatistics)
	}
	parts, err := splitStatistics(b, layout >= "na")
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	s := &Metadata{}
	for i, parse := range [partCount]func(*cursor){
		partValidation: s.parseValidation,
		partCompaction: func(c *cursor) { s.Cardinality = c.take(uint64(c.uint32())) },
		partStats:      func(c *cursor) { s.Stats = parseStats(c, layout) },
		partHeader:     func(c *cursor) { s.Header = parseHeader(c, layout) },
	} {
		c := cursor{b: parts[i]}
		parse(&c)
		if err := c.end(); err != nil {
			return nil, fmt.Errorf("statistics, part %d: %w", i, err)
		}
	}
	return s, nil
}

func (s *Metadata) parseValidation(c *cursor) {
	s.Partitioner = string(c.shortBytes())
	s.BloomFilterChance = c.float64()
}

// end takes zeros for the end. Since 5.0 Cassandra reserves sixteen bytes for each
// tombstone drop time, writes twelve, and leaves the rest behind the part.
func (c *cursor) end() error {
	if c.err == nil && len(bytes.Trim(c.b, "\x00")) > 0 {
		c.fail("%d bytes: %w", len(c.b), ErrTrailing)
	}
	return c.err
}

// splitStatistics returns the bytes of each part. Cassandra writes all four, in
// the order of their numbers.
func splitStatistics(b []byte, sums bool) (parts [partCount][]byte, err error) {
	c := cursor{b: b}
	if n := c.uint32(); c.err == nil && n != partCount {
		return parts, fmt.Errorf("%d parts", n)
	}
	head := b[:min(4, len(b))]
	if sums {
		c.checksum(head)
	}
	contents := c.take(8 * partCount)
	if sums {
		c.checksum(head, contents)
	}
	if c.err != nil {
		return parts, fmt.Errorf("table of contents: %w", c.err)
	}
	for i := range parts {
		entry := contents[8*i:]
		start, end := int64(binary.BigEndian.Uint32(entry[4:])), int64(len(b))
		if i+1 < partCount {
			end = int64(binary.BigEndian.Uint32(entry[12:]))
		}
		if int(binary.BigEndian.Uint32(entry)) != i || start != int64(len(b)-len(c.b)) || end < start {
			return parts, fmt.Errorf("part %d from %d to %d", i, start, end)
		}
		if parts[i], err = c.part(end-start, sums); err != nil {
			return parts, fmt.Errorf("part %d: %w", i, err)
		}
	}
	return parts, nil
}

// part takes n bytes, of which the last four may be the checksum of the others.
func (c *cursor) part(n int64, sum bool) ([]byte, error) {
	if !sum {
		return c.take(uint64(n)), c.err
	}
	if n < 4 {
		return nil, fmt.Errorf("%d bytes", n)
	}
	b := c.take(uint64(n - 4))
	c.checksum(b)
	return b, c.err
}

// checksum reads the CRC32 of bytes and compares it.
func (c *cursor) checksum(of ...[]byte) {
	var sum uint32
	for _, b := range of {
		sum = crc32.Update(sum, crc32.IEEETable, b)
	}
	if want := c.uint32(); c.err == nil && sum != want {
		c.fail("checksum %08x, stored %08x", sum, want)
	}
}
