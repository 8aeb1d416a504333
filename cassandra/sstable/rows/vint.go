package rows

import (
	"encoding/binary"
	"math/bits"
)

// Cassandra's vint is big-endian with its length in front: the first byte starts
// with as many ones as bytes follow, then a zero, then the highest bits.
//
//	0vvvvvvv                      7 bits
//	10vvvvvv vvvvvvvv            14 bits
//	...
//	11111110 7 bytes             56 bits
//	11111111 8 bytes             64 bits

// vintMax is the length of the longest vint in bytes.
const vintMax = 9

// vintSize returns the length of the shortest vint of v, in bytes.
func vintSize(v uint64) int {
	return min(vintMax, (bits.Len64(v|1)+6)/7)
}

func appendVint(b []byte, v uint64) []byte {
	if v < 0x80 {
		return append(b, byte(v))
	}
	n := vintSize(v)
	if n == vintMax {
		return binary.BigEndian.AppendUint64(append(b, 0xff), v)
	}
	v |= uint64(^byte(0xff>>(n-1))) << (8 * (n - 1))
	for shift := 8 * (n - 1); shift >= 0; shift -= 8 {
		b = append(b, byte(v>>shift))
	}
	return b
}

// cursor walks over bytes. After the first failure it stands still and returns
// zeros, so that a caller checks once for many reads.
type cursor struct {
	b []byte
	i int
	// short: b ended too soon. In a window more may come, in a row it may not.
	short bool
	// bad is what no further byte can mend.
	bad string
	// loose: something was written in another way than Cassandra's.
	loose bool
}

func (c *cursor) failed() bool { return c.short || c.bad != "" }

// fail keeps the first reason and stops the cursor.
func (c *cursor) fail(reason string) {
	if !c.failed() {
		c.bad = reason
	}
	c.b = c.b[:c.i]
}

func (c *cursor) end() {
	if !c.failed() {
		c.short = true
	}
	c.b = c.b[:c.i]
}

func (c *cursor) uint8() byte {
	if c.i >= len(c.b) {
		c.end()
		return 0
	}
	c.i++
	return c.b[c.i-1]
}

// bytes returns the next n bytes without copying them.
func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.b)-c.i {
		c.end()
		return nil
	}
	c.i += n
	return c.b[c.i-n : c.i : c.i]
}

func (c *cursor) uint16() int {
	if b := c.bytes(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (c *cursor) vint() uint64 {
	if c.i < len(c.b) && c.b[c.i] < 0x80 {
		c.i++
		return uint64(c.b[c.i-1])
	}
	return c.longVint()
}

func (c *cursor) longVint() uint64 {
	first := c.uint8()
	n := bits.LeadingZeros8(^first)
	rest := c.bytes(n)
	if c.failed() {
		return 0
	}
	v := uint64(first & (0xff >> n))
	for _, b := range rest {
		v = v<<8 | uint64(b)
	}
	if vintSize(v) != n+1 {
		c.loose = true
	}
	return v
}

// vint32 reads a 32-bit number that was widened with its sign, as Cassandra
// writes differences of ints.
func (c *cursor) vint32() uint32 {
	v := int64(c.vint())
	if v != int64(int32(v)) {
		c.fail("number out of the range of 32 bits")
		return 0
	}
	return uint32(v)
}

// sized reads bytes behind their length. The length is compared before it is
// narrowed, so that 2^63 and above do not turn into a small number.
func (c *cursor) sized() []byte {
	n := c.vint()
	if n > uint64(len(c.b)-c.i) {
		c.end()
		return nil
	}
	return c.bytes(int(n))
}
