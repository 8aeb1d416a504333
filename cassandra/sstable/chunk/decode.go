package chunk

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt says that stored bytes are not what a compressor writes.
var ErrCorrupt = errors.New("corrupt chunk")

// beyond is a length no block has, for one that is cut off.
const beyond = 1 << 30

// DecodeBlock decompresses an LZ4 block into dst, less than 1 GiB, and returns how
// many bytes it has. It writes only to dst, of which the rest may hold anything
// afterwards. A block of more than len(dst) bytes gives [ErrCorrupt], as every
// malformed one does.
func DecodeBlock(dst, block []byte) (int, error) {
	for d, s := quick(dst, block, 0, 0); s < len(block); d, s = quick(dst, block, d, s) {
		token := block[s]
		s++
		run := int(token >> 4)
		if run == 15 {
			run, s = longer(block, s)
		}
		if run > len(block)-s || run > len(dst)-d {
			return 0, ErrCorrupt
		}
		copy(dst[d:], block[s:s+run])
		d, s = d+run, s+run
		if s == len(block) && token&15 == 0 {
			return d, nil
		}
		if len(block)-s < 2 {
			return 0, ErrCorrupt
		}
		offset := int(binary.LittleEndian.Uint16(block[s:]))
		s += 2
		n := int(token & 15)
		if n == 15 {
			n, s = longer(block, s)
		}
		n += minMatch
		if offset == 0 || offset > d || n > len(dst)-d {
			return 0, ErrCorrupt
		}
		// Where the match overlaps what it makes, its bytes are repeated.
		for from, end := d-offset, d+n; d < end; {
			d += copy(dst[d:end], dst[from:d])
		}
	}
	return 0, ErrCorrupt // a block ends with literals, if only with none
}

// quick decodes the sequences from s that are short and far from the ends of dst and
// block, and stops before the first that is not. With at most 14 literals and a match
// of at most 18 bytes, all are copied by fixed sizes: what is too much gets written over.
func quick(dst, block []byte, d, s int) (int, int) {
	for len(dst)-d >= 14+18 && len(block)-s >= 1+16 {
		token := int(block[s])
		run, n := token>>4, token&15+minMatch
		if run == 15 || n == 15+minMatch {
			break
		}
		move16(dst[d:], block[s+1:])
		offset := int(binary.LittleEndian.Uint16(block[s+1+run:]))
		at := d + run
		if offset < 8 || offset > at {
			break
		}
		to, from := dst[at:at+18], dst[at-offset:at-offset+18]
		binary.LittleEndian.PutUint64(to, binary.LittleEndian.Uint64(from))
		binary.LittleEndian.PutUint64(to[8:], binary.LittleEndian.Uint64(from[8:]))
		binary.LittleEndian.PutUint16(to[16:], binary.LittleEndian.Uint16(from[16:]))
		d, s = at+n, s+1+run+2
	}
	return d, s
}

// longer reads the rest of a length whose four bits in the token are all set.
func longer(block []byte, s int) (n, next int) {
	for n = 15; s < len(block) && n < beyond; s++ {
		n += int(block[s])
		if block[s] != 255 {
			return n, s + 1
		}
	}
	return beyond, s
}

// move16 copies 16 bytes. It reads all before it writes.
func move16(dst, src []byte) {
	a, b := load64(src, 0), load64(src, 8)
	binary.LittleEndian.PutUint64(dst, a)
	binary.LittleEndian.PutUint64(dst[8:], b)
}
