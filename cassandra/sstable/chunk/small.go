package chunk

import "encoding/binary"

// smallSlot is where the hash of 4 bytes is found in the table of a small block.
func smallSlot(four uint32) uint32 { return four * prime4 >> (32 - smallBits) }

// searchSmall is search for blocks below smallLimit, as all chunks of Cassandra's
// defaults are. It stands here a second time for constants and 16 bit positions,
// which save a third of the time. No match is too far away in such a block.
func searchSmall(b *block, t *smallTable) {
	src := b.src
	for at := 1; ; at++ {
		var ref int
		if at, ref = findSmall(src, t, at, b.limit); at == 0 {
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
			// The two positions lie in one word.
			ten := binary.LittleEndian.Uint64(src[at-2:])
			t[smallSlot(uint32(ten))] = uint16(at - 2)
			four := uint32(ten >> 16)
			slot := smallSlot(four)
			ref = int(t[slot])
			t[slot] = uint16(at)
			if load32(src, ref) != four {
				break
			}
		}
	}
}

// findSmall is find for blocks below smallLimit.
func findSmall(src []byte, t *smallTable, at, limit int) (found, ref int) {
	four := load32(src, at)
	step := 1
	for tries := 1 << skipTrigger; ; tries++ {
		next := at + step
		if next > limit {
			return 0, 0
		}
		slot := smallSlot(four)
		ref = int(t[slot])
		t[slot] = uint16(at)
		if load32(src, ref) == four {
			return at, ref
		}
		four = load32(src, next)
		at = next
		step = tries >> skipTrigger
	}
}
