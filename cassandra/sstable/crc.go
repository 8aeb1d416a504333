package sstable

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxSumChunk is the most bytes of Data.db that one sum of a CRC.db may cover. It
// is far above what Cassandra sums at a time, which is its write buffer of 64 KiB:
// what is larger is no chunk size.
const MaxSumChunk = 1 << 30

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
	if n < 1 || n > MaxSumChunk {
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

// SumsWriter makes the CRC.db of an uncompressed Data.db: the length that a checksum covers, then the CRC32 of each stretch of
// that length, all in four bytes, big-endian. The last stretch may be shorter.
type SumsWriter struct {
	out    io.Writer
	length int
	have   int // bytes of the stretch so far
	sum    uint32
	buf    []byte
}

// NewSumsWriter begins a CRC.db, of which length bytes of Data.db make a checksum.
func NewSumsWriter(out io.Writer, length int) *SumsWriter {
	return &SumsWriter{out: out, length: length, buf: binary.BigEndian.AppendUint32(nil, uint32(length))}
}

// Write takes bytes of Data.db.
func (s *SumsWriter) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := min(s.length-s.have, len(p))
		s.sum = crc32.Update(s.sum, crc32.IEEETable, p[:n])
		s.have += n
		p = p[n:]
		if s.have == s.length {
			s.next()
		}
	}
	if len(s.buf) < 4<<10 {
		return total, nil
	}
	return total, s.flush()
}

func (s *SumsWriter) next() {
	s.buf = binary.BigEndian.AppendUint32(s.buf, s.sum)
	s.have, s.sum = 0, 0
}

// Close writes what is left. It does not close the writer.
func (s *SumsWriter) Close() error {
	if s.have > 0 {
		s.next()
	}
	return s.flush()
}

func (s *SumsWriter) flush() error {
	_, err := s.out.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}
