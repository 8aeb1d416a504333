package sstable

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

const (
	summaryHead = 4 + 4 + 8 + 4 + 4
	summaryTail = 2 * (4 + math.MaxUint16)
)

// ReadSummaryKeys reads the first and the last key at the end of a Summary.db of
// size bytes, and little else of it: a cheap way to what [KeyRange] reads all of
// Index.db for. A node builds the file anew where it is missing, so it may be.
//
//	int32 min interval · int32 samples · int64 n · int32 level · int32 full size
//	· n bytes offsets and samples · int32 length · first key · int32 length · last key
func ReadSummaryKeys(r io.ReaderAt, size int64) (first, last []byte, err error) {
	var head [summaryHead]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return nil, nil, fmt.Errorf("head of the summary: %w", unexpected(err))
	}
	n := int64(binary.BigEndian.Uint64(head[8:]))
	left := size - summaryHead
	if n < 0 || n > left || left-n > summaryTail {
		return nil, nil, fmt.Errorf("summary of %d bytes with %d of samples", size, n)
	}
	tail := make([]byte, left-n)
	if k, err := r.ReadAt(tail, summaryHead+n); k < len(tail) {
		return nil, nil, fmt.Errorf("keys of the summary: %w", unexpected(err))
	}
	c := cursor{b: tail}
	first = c.take(uint64(c.uint32()))
	last = c.take(uint64(c.uint32()))
	if c.err == nil && len(c.b) > 0 {
		c.err = ErrTrailing
	}
	if c.err != nil {
		return nil, nil, fmt.Errorf("keys of the summary: %w", c.err)
	}
	return first, last, nil
}
