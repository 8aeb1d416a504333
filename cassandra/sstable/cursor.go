package sstable

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// cursor reads big-endian values from bytes in memory. Its first error stays, and
// every value after it is zero. What it returns as bytes lies in its input.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// take returns the next n bytes, or nil.
func (c *cursor) take(n uint64) []byte {
	if c.err == nil && n > uint64(len(c.b)) {
		c.err = io.ErrUnexpectedEOF
	}
	if c.err != nil {
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) byte() byte {
	if v := c.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if v := c.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if v := c.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (c *cursor) int32() int32 { return int32(c.uint32()) }

func (c *cursor) int64() int64 {
	if v := c.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

func (c *cursor) float64() float64 { return math.Float64frombits(uint64(c.int64())) }

func (c *cursor) bool() bool { return c.byte() != 0 }

// vint reads Cassandra's unsigned variable-length integer: as many leading ones in
// the first byte as bytes follow it, then the value.
func (c *cursor) vint() uint64 {
	first := c.byte()
	extra := vintSize(first) - 1
	v := uint64(first) & (0xff >> extra)
	for _, b := range c.take(uint64(extra)) {
		v = v<<8 | uint64(b)
	}
	return v
}

// vintSize tells from its first byte how many bytes a vint has.
func vintSize(first byte) int { return 1 + bits.LeadingZeros8(^first) }

// bytes reads bytes behind a vint with their count.
func (c *cursor) bytes() []byte { return c.take(c.vint()) }

// shortBytes reads bytes behind two bytes with their count.
func (c *cursor) shortBytes() []byte { return c.take(uint64(c.uint16())) }

// count checks a number of things of at least size bytes against what is left, so
// that memory for them may be asked for.
func (c *cursor) count(n, size uint64) int {
	if c.err == nil && n > uint64(len(c.b))/size {
		c.fail("%d values in %d bytes", n, len(c.b))
	}
	if c.err != nil {
		return 0
	}
	return int(n)
}

// length is count for a count of four bytes, which must not be negative.
func (c *cursor) length(size uint64) int {
	return c.count(uint64(c.uint32()), size)
}

// appendVint appends what cursor.vint reads, in the fewest bytes.
func appendVint(b []byte, v uint64) []byte {
	// Seven bits of value to a byte up to eight bytes, then a byte of ones.
	extra := min((bits.Len64(v|1)-1)/7, 8)
	if extra == 8 {
		return binary.BigEndian.AppendUint64(append(b, 0xff), v)
	}
	at := len(b)
	for i := extra; i >= 0; i-- {
		b = append(b, byte(v>>(8*i)))
	}
	b[at] |= ^byte(0xff >> extra)
	return b
}
