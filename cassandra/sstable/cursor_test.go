package sstable

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"
)

func TestVintsAreCassandras(t *testing.T) {
	// From VIntCoding: seven bits of value to a byte, leading ones for more bytes.
	for v, want := range map[uint64]string{
		0: "\x00", 1: "\x01", 127: "\x7f", 128: "\x80\x80", 16383: "\xbf\xff", 16384: "\xc0\x40\x00",
		1<<21 - 1: "\xdf\xff\xff", 1 << 21: "\xe0\x20\x00\x00", 1<<56 - 1: "\xfe\xff\xff\xff\xff\xff\xff\xff",
		1 << 56: "\xff\x01\x00\x00\x00\x00\x00\x00\x00", math.MaxUint64: "\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		if got := appendVint(nil, v); string(got) != want {
			t.Errorf("%d becomes %x", v, got)
		}
		c := cursor{b: []byte(want + "x")}
		if got := c.vint(); got != v || len(c.b) != 1 || c.err != nil {
			t.Errorf("%x gives %d, %v, with %d bytes left", want, got, c.err, len(c.b))
		}
		for n := range len(want) {
			c := cursor{b: []byte(want[:n])}
			if c.vint(); !errors.Is(c.err, io.ErrUnexpectedEOF) {
				t.Errorf("%d bytes of %x give no error", n, want)
			}
		}
	}
}

func TestACountIsHeldAgainstTheBytesLeft(t *testing.T) {
	c := cursor{b: make([]byte, 48)}
	if n := c.count(3, 16); n != 3 || c.err != nil {
		t.Errorf("three values of 16 bytes in 48 are %d, %v", n, c.err)
	}
	for _, n := range []uint64{4, 1 << 60, math.MaxUint32, math.MaxInt64, math.MaxUint64} {
		c := cursor{b: make([]byte, 48)}
		if got := c.count(n, 16); got != 0 || c.err == nil {
			t.Errorf("%d values of 16 bytes in 48 are %d, %v", n, got, c.err)
		}
	}
}

func TestTheFirstErrorOfACursorStays(t *testing.T) {
	c := cursor{b: []byte("abc")}
	if v := c.int64(); v != 0 || !errors.Is(c.err, io.ErrUnexpectedEOF) {
		t.Errorf("eight bytes of three: %d, %v", v, c.err)
	}
	if v := c.byte(); v != 0 || len(c.b) != 3 {
		t.Errorf("after the error: %d", v)
	}
	if c.fail("another"); !errors.Is(c.err, io.ErrUnexpectedEOF) {
		t.Errorf("the error became %v", c.err)
	}
}

func FuzzVint(f *testing.F) {
	f.Add(uint64(0))
	f.Add(uint64(1 << 49))
	f.Fuzz(func(t *testing.T, v uint64) {
		b := appendVint(nil, v)
		c := cursor{b: b}
		if got := c.vint(); got != v || c.err != nil || len(c.b) != 0 {
			t.Errorf("%d became %x became %d, %v", v, b, got, c.err)
		}
		if !bytes.Equal(appendVint([]byte("a"), v)[1:], b) {
			t.Errorf("%d depends on what stands before it", v)
		}
	})
}
