package lookup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"cbk/cassandra/sstable"
)

// maxScan is the most that is read of Index.db for one key: half a million common entries, where a section of the summary has
// 128, or 16,384 where the node had no memory for more.
const maxScan = 64 << 20

// big is the index of the big format.
type big struct {
	file    io.ReaderAt
	size    int64
	version string
	summary *summary // nil where there is none
}

// section returns the entries from a sample of the summary to the next one. Without a summary there is one section.
func (x *big) section(sample int64) (*sstable.IndexReader, error) {
	from, to := int64(0), x.size
	if x.summary != nil {
		var err error
		if from, err = x.summary.position(sample); err == nil && sample+1 < x.summary.count {
			to, err = x.summary.position(sample + 1)
		}
		if err != nil {
			return nil, err
		}
	}
	if from < 0 || to < from || to > x.size {
		return nil, fmt.Errorf("summary: entries from %d to %d of %d bytes", from, to, x.size)
	}
	in := &limited{r: io.NewSectionReader(x.file, from, to-from), left: maxScan, err: ErrUnindexed}
	return sstable.NewIndexReader(in, x.version)
}

func (x *big) find(key []byte) (int64, bool, error) {
	sample := int64(0)
	if x.summary != nil {
		var err error
		if sample, err = x.summary.floor(key); err != nil || sample < 0 {
			return 0, false, err
		}
	}
	r, err := x.section(sample)
	if err != nil {
		return 0, false, err
	}
	for {
		e, err := r.Next()
		if err == io.EOF {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, err
		}
		if c := Compare(e.Key, key); c >= 0 {
			return e.Position, c == 0, nil
		}
	}
}

// random takes any sample of the summary, and any entry of its section. Of an index without a summary only what may be read
// counts.
func (x *big) random(rnd *rand.Rand) ([]byte, error) {
	sample := int64(0)
	if x.summary != nil {
		if x.summary.count == 0 {
			return nil, nil
		}
		sample = rnd.Int64N(x.summary.count)
	}
	r, err := x.section(sample)
	if err != nil {
		return nil, err
	}
	var chosen []byte
	for n := 1; ; n++ {
		e, err := r.Next()
		if err == io.EOF || errors.Is(err, ErrUnindexed) && chosen != nil {
			return chosen, nil
		}
		if err != nil {
			return nil, err
		}
		if rnd.IntN(n) == 0 {
			chosen = append(chosen[:0], e.Key...)
		}
	}
}

func (x *big) ends() (first, last []byte, err error) {
	if x.summary == nil {
		return nil, nil, nil
	}
	return sstable.ReadSummaryKeys(x.summary.file, x.summary.size)
}

// summary is a Summary.db, of which single samples are read:
//
//	int32 min interval · int32 count · int64 n · int32 level · int32 full size · n bytes of samples · ...
//
// where the samples are, with the numbers as the processor of the node has them, little-endian on all that Cassandra runs on:
//
//	count × int32 offset from the first of the n bytes · count × (key · int64 position in Index.db)
type summary struct {
	file  io.ReaderAt
	size  int64
	count int64
	bytes int64
}

const summaryHead = 4 + 4 + 8 + 4 + 4

func newSummary(f io.ReaderAt, size int64) (*summary, error) {
	var head [summaryHead]byte
	if n, err := f.ReadAt(head[:], 0); n < len(head) {
		return nil, fmt.Errorf("head of the summary: %w", errors.Join(io.ErrUnexpectedEOF, err))
	}
	s := &summary{file: f, size: size, count: int64(binary.BigEndian.Uint32(head[4:])), bytes: int64(binary.BigEndian.Uint64(head[8:]))}
	if s.bytes < 0 || s.bytes > size-summaryHead || s.count > s.bytes/4 || s.count > math.MaxInt32 {
		return nil, fmt.Errorf("summary of %d bytes with %d samples in %d", size, s.count, s.bytes)
	}
	return s, nil
}

// sample reads the key and the position of one sample.
func (s *summary) sample(i int64) ([]byte, int64, error) {
	var b [8]byte
	width := int64(8)
	if i+1 == s.count {
		width = 4
	}
	if n, err := s.file.ReadAt(b[:width], summaryHead+4*i); n < int(width) {
		return nil, 0, fmt.Errorf("summary: %w", errors.Join(io.ErrUnexpectedEOF, err))
	}
	from, to := int64(binary.LittleEndian.Uint32(b[:])), s.bytes
	if width == 8 {
		to = int64(binary.LittleEndian.Uint32(b[4:]))
	}
	if from < 4*s.count || to > s.bytes || to-from < 8 || to-from > 8+math.MaxUint16 {
		return nil, 0, fmt.Errorf("summary: sample %d from %d to %d of %d bytes", i, from, to, s.bytes)
	}
	entry := make([]byte, to-from)
	if n, err := s.file.ReadAt(entry, summaryHead+from); n < len(entry) {
		return nil, 0, fmt.Errorf("summary: %w", errors.Join(io.ErrUnexpectedEOF, err))
	}
	key := entry[:len(entry)-8]
	return key, int64(binary.LittleEndian.Uint64(entry[len(key):])), nil
}

func (s *summary) position(i int64) (int64, error) {
	_, position, err := s.sample(i)
	return position, err
}

// floor returns the last sample that is not behind a key, -1 where all are.
func (s *summary) floor(key []byte) (int64, error) {
	low, high := int64(-1), s.count
	for low+1 < high {
		middle := (low + high) / 2
		at, _, err := s.sample(middle)
		if err != nil {
			return 0, err
		}
		if bytes.Equal(at, key) {
			return middle, nil
		}
		if Compare(at, key) < 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}
