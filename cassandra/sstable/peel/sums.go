package peel

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// MaxSums is the most bytes of a Data.db that one checksum of a CRC.db may cover; Cassandra's buffer has 64 KiB.
const MaxSums = 1 << 30

// Sums makes the CRC.db of an uncompressed Data.db: the length that a checksum covers, then the CRC32 of each stretch of
// that length, all in four bytes, big-endian. The last stretch may be shorter.
type Sums struct {
	out    io.Writer
	length int
	have   int // bytes of the stretch so far
	sum    uint32
	buf    []byte
}

// NewSums begins a CRC.db, of which length bytes of Data.db make a checksum.
func NewSums(out io.Writer, length int) *Sums {
	return &Sums{out: out, length: length, buf: binary.BigEndian.AppendUint32(nil, uint32(length))}
}

// Write takes bytes of Data.db.
func (s *Sums) Write(p []byte) (int, error) {
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

func (s *Sums) next() {
	s.buf = binary.BigEndian.AppendUint32(s.buf, s.sum)
	s.have, s.sum = 0, 0
}

// Close writes what is left. It does not close the writer.
func (s *Sums) Close() error {
	if s.have > 0 {
		s.next()
	}
	return s.flush()
}

func (s *Sums) flush() error {
	_, err := s.out.Write(s.buf)
	s.buf = s.buf[:0]
	return err
}
