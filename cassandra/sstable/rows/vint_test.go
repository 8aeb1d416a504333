package rows

import (
	"encoding/hex"
	"math"
	"math/bits"
	"testing"
)

func TestVintsHaveTheBytesCassandraWrites(t *testing.T) {
	for _, c := range []struct {
		value uint64
		bytes string
	}{
		{0, "00"},
		{127, "7f"},
		{128, "8080"},
		{1<<14 - 1, "bfff"},
		{1 << 14, "c04000"},
		{1 << 21, "e0200000"},
		{1<<56 - 1, "feffffffffffffff"},
		{1 << 56, "ff0100000000000000"},
		{math.MaxUint64, "ffffffffffffffffff"},
	} {
		b := appendVint(nil, c.value)
		if got := hex.EncodeToString(b); got != c.bytes {
			t.Errorf("vint of %d is %s, want %s", c.value, got, c.bytes)
		}
		if n := vintSize(c.value); n != len(b) {
			t.Errorf("size of %d is %d, want %d", c.value, n, len(b))
		}
	}
}

func TestVintsOfEveryWidthComeBack(t *testing.T) {
	for width := range 65 {
		for _, v := range []uint64{1<<width - 1, 1 << (width % 64), 1<<width - 1 ^ 0x55} {
			b := appendVint(nil, v)
			c := cursor{b: append(b, 0xee)}
			if got := c.vint(); got != v || c.i != len(b) || c.loose || c.failed() {
				t.Errorf("%d of %d bits: got %d, %d bytes of %d, loose %v", v, bits.Len64(v), got, c.i, len(b), c.loose)
			}
			for cut := range b {
				short := cursor{b: b[:cut]}
				if short.vint(); !short.short {
					t.Errorf("%x cut to %d bytes is no failure", b, cut)
				}
			}
		}
	}
}

func TestALongerVintThanNeededIsNotCanonical(t *testing.T) {
	c := cursor{b: []byte{0xc0, 0x00, 0x05}}
	if v := c.vint(); v != 5 || !c.loose {
		t.Errorf("got %d, loose %v", v, c.loose)
	}
}

func TestNumbersOf32BitsAreWidenedWithTheirSign(t *testing.T) {
	l := &layout{minLocal: 1442880000, minTTL: 10}
	for _, local := range []uint32{0, 1442879999, 1442880000, LegacyNoDeletion, NoDeletion} {
		c := cursor{b: l.appendLocal(nil, local)}
		if got := l.readLocal(&c); got != local || c.failed() {
			t.Errorf("deletion time %d comes back as %d (%q)", local, got, c.bad)
		}
	}
	for _, ttl := range []int32{0, 9, 10, math.MaxInt32, math.MinInt32} {
		c := cursor{b: l.appendTTL(nil, ttl)}
		if got := l.readTTL(&c); got != ttl || c.failed() {
			t.Errorf("TTL %d comes back as %d (%q)", ttl, got, c.bad)
		}
	}
	c := cursor{b: appendVint(nil, 1<<31)}
	if c.vint32(); c.bad == "" {
		t.Error("2^31 passes for a number of 32 bits with sign")
	}
}

func TestACursorStandsStillAfterItsFirstFailure(t *testing.T) {
	c := cursor{b: []byte{1, 2, 3}}
	c.uint8()
	c.fail("first")
	c.fail("second")
	if c.uint8() != 0 || c.uint16() != 0 || c.vint() != 0 || c.bytes(1) != nil || len(c.sized()) != 0 || c.i != 1 {
		t.Error("the cursor went on")
	}
	if c.bad != "first" || c.short {
		t.Errorf("failure %q, short %v", c.bad, c.short)
	}
}

func TestALengthOfHalfTheNumbersIsNoLength(t *testing.T) {
	c := cursor{b: append(appendVint(nil, 1<<63), 1, 2, 3)}
	if c.sized() != nil || !c.short {
		t.Error("2^63 bytes were found in three")
	}
}
