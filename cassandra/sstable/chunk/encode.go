package chunk

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// Dialect is which of the LZ4 encoders that Cassandra has shipped wrote a chunk.
// All follow one algorithm and differ in two details, see [Early] and [Late].
type Dialect uint8

const (
	// Early is lz4-java's JNI library up to 1.4.1, with Cassandra 3.0 and 3.11,
	// and its pure Java forms in every version: what Cassandra falls back to
	// where the native library cannot be loaded, as on musl or with /tmp noexec.
	Early Dialect = 1 + iota
	// Late is lz4-java's JNI library since 1.5.1, with Cassandra 4.0 to 6.0, as it
	// is on 64-bit little-endian machines. Elsewhere it hashes blocks of more than
	// 64 KiB in another way, which is not modelled.
	Late
)

// String names the dialect for a report.
func (d Dialect) String() string {
	switch d {
	case Early:
		return "early"
	case Late:
		return "late"
	}
	return fmt.Sprintf("dialect %d", uint8(d))
}

// The constants of the LZ4 block format and of its reference encoder, under the
// names that liblz4 has for them.
const (
	minMatch     = 4  // a match is never shorter: its length is written less this
	lastLiterals = 5  // a block ends with this many literals at least
	mfLimit      = 12 // no match starts in the last mfLimit bytes
	minLength    = mfLimit + 1
	maxDistance  = 65535
	skipTrigger  = 6 // after 2^6 positions without a match the search steps by 2, and so on

	// Blocks below this length fit positions into 16 bits, for no match starts in
	// the last mfLimit bytes. liblz4 then has twice the entries in the same 16 KiB.
	smallLimit = 1<<16 + mfLimit - 1

	smallBits, largeBits = 13, 12 // of a hash; what liblz4's 16 KiB hold
)

// hashing maps the 4 or 5 bytes at a position to a slot of the table. Both hashes
// of liblz4 are one formula over the 8 bytes there, read as a little-endian number:
// shift out the bytes that do not count, multiply, keep the top bits.
type hashing struct {
	prime      uint64
	drop, keep uint8 // bits to shift by
}

const (
	prime4 = 2654435761   // near 2^32 divided by the golden ratio
	prime5 = 889523592379 // as liblz4 has it for 5 bytes
)

func (h hashing) slot(eight uint64) uint64 {
	return eight << (h.drop & 63) * h.prime >> (h.keep & 63) & (1<<largeBits - 1)
}

// A table holds, for each hash, the last position that had it, and 0 for none: the
// search compares bytes, so that an empty slot proposes the start of the block.
type (
	smallTable [1 << smallBits]uint16
	largeTable [1 << largeBits]uint32
)

// Encoder compresses blocks bit for bit as one dialect does. It holds only its
// tables, 32 KiB, and may not be used concurrently.
type Encoder struct {
	dialect Dialect
	small   smallTable
	large   largeTable
}

// NewEncoder returns an encoder of the dialect, which is Early or Late.
func NewEncoder(d Dialect) *Encoder {
	if d != Early && d != Late {
		panic("chunk: no such dialect: " + d.String())
	}
	return &Encoder{dialect: d}
}

// BlockBound is the greatest length of the block of n plain bytes: literals only,
// a token, and one length byte for each 255 of them.
func BlockBound(n int) int { return n + n/255 + 16 }

// AppendBlock appends the LZ4 block of plain, less than 2 GiB, to dst. It may write to
// all of the capacity of dst that is behind the block.
func (e *Encoder) AppendBlock(dst, plain []byte) []byte {
	dst = slices.Grow(dst, BlockBound(len(plain)))
	b := block{src: plain, dst: dst[len(dst):cap(dst)], limit: len(plain) - mfLimit}
	if e.dialect == Late {
		b.limit++
	}
	switch {
	case len(plain) < minLength:
	case len(plain) < smallLimit:
		clear(e.small[:])
		searchSmall(&b, &e.small)
	case e.dialect == Early:
		clear(e.large[:])
		search(&b, &e.large, hashing{prime4, 32, 64 - largeBits})
	default:
		clear(e.large[:])
		search(&b, &e.large, hashing{prime5, 24, 64 - largeBits})
	}
	b.literals(len(plain))
	return dst[:len(dst)+b.n]
}

// block is one block as it is written.
type block struct {
	src, dst []byte
	n        int // bytes of dst that are written
	anchor   int // bytes of src that are written
	limit    int // the last position a search may look ahead to
}

// search writes all sequences of the block. After a match, the position behind it
// is tried at once; only where that fails does the search proper go on.
func search(b *block, t *largeTable, h hashing) {
	src := b.src
	for at := 1; ; at++ {
		var ref int
		if at, ref = find(src, t, h, at, b.limit); at == 0 {
			return
		}
		for at > b.anchor && ref > 0 && src[at-1] == src[ref-1] {
			at, ref = at-1, ref-1
		}
		for {
			more := matching(src, at+minMatch, ref+minMatch)
			b.sequence(at, at-ref, more)
			at += minMatch + more
			b.anchor = at
			if at > len(src)-mfLimit {
				return
			}
			t[h.slot(load64(src, at-2))] = uint32(at - 2)
			eight := load64(src, at)
			slot := h.slot(eight)
			ref = int(t[slot])
			t[slot] = uint32(at)
			if at-ref > maxDistance || load32(src, ref) != uint32(eight) {
				break
			}
		}
	}
}

// find returns the next position from at on that has a match, and the match. There
// is none where the search gets past the limit; then both are 0.
func find(src []byte, t *largeTable, h hashing, at, limit int) (found, ref int) {
	eight := load64(src, at)
	step := 1
	for tries := 1 << skipTrigger; ; tries++ {
		next := at + step
		if next > limit {
			return 0, 0
		}
		slot := h.slot(eight)
		ref = int(t[slot])
		t[slot] = uint32(at)
		if load32(src, ref) == uint32(eight) && at-ref <= maxDistance {
			return at, ref
		}
		eight = load64(src, next)
		at = next
		step = tries >> skipTrigger
	}
}

// matching counts the bytes from at that equal those from ref, up to where the
// last literals begin.
func matching(src []byte, at, ref int) int {
	start, end := at, len(src)-lastLiterals
	for at <= end-8 {
		if diff := load64(src, at) ^ load64(src, ref); diff != 0 {
			return at - start + bits.TrailingZeros64(diff)>>3
		}
		at, ref = at+8, ref+8
	}
	for at < end && src[at] == src[ref] {
		at, ref = at+1, ref+1
	}
	return at - start
}

// sequence writes the literals before at and the match there, minMatch+more bytes
// long.
//
//	literal length(4 bits) match length(4 bits) [bytes of the literal length]
//	literals offset(2, little-endian) [bytes of the match length]
func (b *block) sequence(at, offset, more int) {
	run := at - b.anchor
	d, s := b.dst[b.n:], b.src[b.anchor:]
	if run < 15 && more < 15 && len(d) >= 32 && len(s) >= 16 {
		d[0] = byte(run<<4 | more)
		move16(d[1:], s)
		binary.LittleEndian.PutUint16(d[1+run:], uint16(offset))
		b.n += 3 + run
		return
	}
	token := b.n
	b.literals(at)
	binary.LittleEndian.PutUint16(b.dst[b.n:], uint16(offset))
	b.n += 2
	if more < 15 {
		b.dst[token] |= byte(more)
		return
	}
	b.dst[token] |= 15
	b.length(more - 15)
}

// literals writes a token with the literals before at. Few are copied as 16 bytes,
// where there are as many: what is too much gets written over.
func (b *block) literals(at int) {
	run := at - b.anchor
	if run < 15 {
		b.dst[b.n] = byte(run << 4)
		b.n++
		if d, s := b.dst[b.n:], b.src[b.anchor:]; len(d) >= 16 && len(s) >= 16 {
			move16(d, s)
			b.n += run
			return
		}
	} else {
		b.dst[b.n] = 15 << 4
		b.n++
		b.length(run - 15)
	}
	b.n += copy(b.dst[b.n:], b.src[b.anchor:at])
}

// length writes what a token has no room for, in bytes that are added up. The
// first below 255 is the last.
func (b *block) length(n int) {
	for ; n >= 255; n -= 255 {
		b.dst[b.n] = 255
		b.n++
	}
	b.dst[b.n] = byte(n)
	b.n++
}

func load32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
func load64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
