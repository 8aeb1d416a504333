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
	d, s := 0, 0
	for s < len(block) {
		token := block[s]
		run, s2 := int(token>>4), s+1
		if run == 15 {
			run, s2 = longer(block, s2)
		}
		if run > len(block)-s2 || run > len(dst)-d {
			return 0, ErrCorrupt
		}
		literals(dst, d, block, s2, run)
		d, s = d+run, s2+run
		if s == len(block) && token&15 == 0 {
			return d, nil
		}
		if len(block)-s < 2 {
			return 0, ErrCorrupt
		}
		offset := int(binary.LittleEndian.Uint16(block[s:]))
		n := int(token & 15)
		s += 2
		if n == 15 {
			n, s = longer(block, s)
		}
		n += minMatch
		if offset == 0 || offset > d || n > len(dst)-d {
			return 0, ErrCorrupt
		}
		repeat(dst, d, offset, n)
		d += n
	}
	return 0, ErrCorrupt // a block ends with literals, if only with none
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

// literals copies n bytes. Short ones are copied by a fixed size where there is room
// for it, since what lies behind them is yet to be written.
func literals(dst []byte, d int, block []byte, s, n int) {
	if n <= 16 && len(dst)-d >= 16 && len(block)-s >= 16 {
		move16(dst[d:], block[s:])
		return
	}
	copy(dst[d:], block[s:s+n])
}

// repeat copies n bytes from offset bytes before d, where they may overlap: the
// bytes between are then repeated.
func repeat(dst []byte, d, offset, n int) {
	from, end := d-offset, d+n
	if n <= 32 && offset >= 16 && len(dst)-d >= 32 {
		move16(dst[d:], dst[from:])
		if n > 16 {
			move16(dst[d+16:], dst[from+16:])
		}
		return
	}
	for d < end {
		d += copy(dst[d:end], dst[from:d])
	}
}

// move16 copies 16 bytes. It reads all before it writes.
func move16(dst, src []byte) {
	a, b := load64(src, 0), load64(src, 8)
	binary.LittleEndian.PutUint64(dst, a)
	binary.LittleEndian.PutUint64(dst[8:], b)
}
