package sstable

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// maxSumChunk is far above what Cassandra sums at a time, which is its write
// buffer of 64 KiB: what is larger is no chunk size.
const maxSumChunk = 1 << 30

// Sums reads CRC.db, which an uncompressed SSTable has: int32 chunk size, then a
// CRC32 for every chunk of Data.db. It holds none of them.
type Sums struct {
	ChunkSize int // bytes of Data.db under one sum; the last chunk may be shorter

	r *bufio.Reader
}

// NewSums reads the start of CRC.db.
func NewSums(r *bufio.Reader) (*Sums, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return nil, fmt.Errorf("chunk size in CRC.db: %w", unexpected(err))
	}
	n := binary.BigEndian.Uint32(b[:])
	if n < 1 || n > maxSumChunk {
		return nil, fmt.Errorf("CRC.db: chunks of %d bytes", n)
	}
	return &Sums{ChunkSize: int(n), r: r}, nil
}

// Next returns the CRC32 of the next chunk, and io.EOF after the last.
func (s *Sums) Next() (uint32, error) {
	var b [4]byte
	switch _, err := io.ReadFull(s.r, b[:]); err {
	case nil:
		return binary.BigEndian.Uint32(b[:]), nil
	case io.EOF:
		return 0, io.EOF
	default:
		return 0, fmt.Errorf("sum in CRC.db: %w", err)
	}
}
