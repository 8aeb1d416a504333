package docs

import (
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"math"
	"strings"
)

// The section on LZ4: a Data.db put together again from its plain bytes.

// lz4Header is what a recipe's header says of the chunks.
type lz4Header struct {
	class              string
	length, compressed int // of a chunk: plain; stored, at most, unless it is stored plain
	plain              int64
	count              int
}

func readLZ4Header(b []byte, version string) (h lz4Header) {
	c := cursor{b}
	text := func() string { return string(c.take(int(binary.BigEndian.Uint16(c.take(2))))) }
	integer := func() int { return int(int32(binary.BigEndian.Uint32(c.take(4)))) }
	h.class = text()
	for range integer() {
		text()
		text()
	}
	h.length, h.compressed = integer(), math.MaxInt32
	if !strings.ContainsAny(version[:1], "klm") {
		h.compressed = integer()
	}
	h.plain, h.count = int64(binary.BigEndian.Uint64(c.take(8))), integer()
	c.end()
	demand(h.class == "LZ4Compressor" || h.class == "NoopCompressor", "compressor %s", h.class)
	demand(h.length >= 1 && h.length <= 1<<20 && h.plain >= 0 && h.compressed >= 0, "chunks of %d bytes", h.length)
	enough := (h.plain + int64(h.length) - 1) / int64(h.length)
	demand(int64(h.count) == enough || int64(h.count) == enough+1, "%d chunks", h.count)
	return h
}

// size is how many plain bytes chunk i has.
func (h *lz4Header) size(i int) int {
	return int(max(0, min(int64(h.length), h.plain-int64(i)*int64(h.length))))
}

// lz4File is a Data.db on the way.
type lz4File struct {
	*recipe
	lz4Header
	met     map[string]int
	content []byte
}

func (l *library) rebuildLZ4(r *recipe) []byte {
	f := lz4File{recipe: r, lz4Header: readLZ4Header(r.header, r.version), met: l.met}
	runs := l.runs(r)
	for _, one := range runs {
		for c := (cursor{one.content}); len(c.left) > 0; {
			demand(len(f.starts) < f.count, "more than %d chunks", f.count)
			if one.kind == 0 {
				f.appendKept(&c)
			} else {
				f.appendEncoded(one.kind, c.take(f.size(len(f.starts))))
			}
		}
	}
	for len(f.starts) < f.count {
		demand(f.size(len(f.starts)) == 0, "chunks are missing behind %d", len(f.starts))
		f.met["empty chunk"]++
		f.appendEncoded(1, nil)
	}
	f.note(runs)
	return f.content
}

// note says which kinds of file were met.
func (f *lz4File) note(runs []run) {
	f.met["lz4"]++
	f.met["class "+f.class]++
	f.met["version "+f.version]++
	if f.segments == 1 {
		f.met["lz4 with segments"]++
	}
	for i := range len(runs) - 1 {
		f.met[fmt.Sprintf("run of kind %d before %d", runs[i].kind, runs[i+1].kind)]++
	}
}

// appendKept takes a chunk as it stood in the file.
func (f *lz4File) appendKept(c *cursor) {
	stored := c.take(int(binary.BigEndian.Uint32(c.take(4))))
	sum := c.take(4)
	f.starts = append(f.starts, len(f.content))
	f.content = append(append(f.content, stored...), sum...)
	f.met["chunk of kind 0"]++
	if binary.BigEndian.Uint32(sum) != f.checksum(stored) {
		f.met["wrong checksum"]++
	}
}

func (f *lz4File) checksum(stored []byte) uint32 {
	if strings.ContainsAny(f.version[:1], "kl") {
		return adler32.Checksum(stored)
	}
	return crc32.ChecksumIEEE(stored)
}

func (f *lz4File) appendEncoded(kind byte, plain []byte) {
	stored := plain
	if f.class == "LZ4Compressor" {
		stored = appendLZ4(binary.LittleEndian.AppendUint32(nil, uint32(len(plain))), plain, kind)
		f.met[fmt.Sprintf("chunk of kind %d, %d bytes", kind, f.length)]++
	}
	if len(stored) >= f.compressed {
		stored = make([]byte, max(len(plain), f.compressed))
		copy(stored, plain)
		f.met["chunk stored plain"]++
		if len(plain) < f.compressed {
			f.met["chunk stored plain with zeros"]++
		}
	}
	f.starts = append(f.starts, len(f.content))
	f.content = binary.BigEndian.AppendUint32(append(f.content, stored...), f.checksum(stored))
}

// lz4Block is the encoder of one block.
type lz4Block struct {
	src    []byte
	kind   byte
	table  [1 << 13]int
	anchor int
	out    []byte
}

func appendLZ4(out, src []byte, kind byte) []byte {
	b := &lz4Block{src: src, kind: kind, out: out}
	if len(src) >= 13 {
		for p, m, ok := b.find(1); ok; p, m, ok = b.find(p) {
			if p, ok = b.writeMatches(p, m); !ok {
				break
			}
		}
	}
	b.literals(len(src), 0)
	return b.out
}

func (b *lz4Block) u32(p int) uint32 { return binary.LittleEndian.Uint32(b.src[p:]) }
func (b *lz4Block) u64(p int) uint64 { return binary.LittleEndian.Uint64(b.src[p:]) }

func (b *lz4Block) slot(p int) int {
	product := b.u32(p) * 2654435761
	switch {
	case len(b.src) < 65547:
		return int(product >> 19)
	case b.kind == 1:
		return int(product >> 20)
	}
	return int(((b.u64(p) << 24) * 889523592379) >> 52)
}

// swap puts p into its slot and says whether what was there is a match for it.
func (b *lz4Block) swap(p int) (m int, ok bool) {
	s := b.slot(p)
	m, b.table[s] = b.table[s], p
	return m, p-m <= 65535 && b.u32(m) == b.u32(p)
}

// find looks for a match from p on.
func (b *lz4Block) find(p int) (at, m int, ok bool) {
	limit := len(b.src) - 12
	if b.kind == 2 {
		limit++
	}
	tries, step, q := 64, 1, p
	for {
		p, q = q, q+step
		step = tries >> 6
		tries++
		if q > limit {
			return 0, 0, false
		}
		if m, ok = b.swap(p); ok {
			break
		}
	}
	for p > b.anchor && m > 0 && b.src[p-1] == b.src[m-1] {
		p, m = p-1, m-1
	}
	return p, m, true
}

// writeMatches writes a match and those right behind it. It returns where to look for the next, false at the end.
func (b *lz4Block) writeMatches(p, m int) (next int, ok bool) {
	n := len(b.src)
	for {
		length := 4
		for p+length < n-5 && b.src[p+length] == b.src[m+length] {
			length++
		}
		b.sequence(p, m, length)
		p += length
		b.anchor = p
		if p > n-12 {
			return 0, false
		}
		b.table[b.slot(p-2)] = p - 2
		if m, ok = b.swap(p); !ok {
			return p + 1, true
		}
	}
}

func (b *lz4Block) sequence(p, m, length int) {
	b.literals(p, byte(min(length-4, 15)))
	b.out = binary.LittleEndian.AppendUint16(b.out, uint16(p-m))
	b.more(length - 4)
}

// literals writes a token with this lower half, and what stands before end.
func (b *lz4Block) literals(end int, lower byte) {
	n := end - b.anchor
	b.out = append(b.out, byte(min(n, 15)<<4)|lower)
	b.more(n)
	b.out = append(b.out, b.src[b.anchor:end]...)
}

// more writes what a half of a token has no room for.
func (b *lz4Block) more(n int) {
	if n < 15 {
		return
	}
	for n -= 15; n >= 255; n -= 255 {
		b.out = append(b.out, 255)
	}
	b.out = append(b.out, byte(n))
}
