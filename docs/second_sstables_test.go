package docs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"testing"

	"cbk/cassandra/sstable/chunk"
	"cbk/cassandra/sstable/peel/peeltest"
)

// chunkLengths are Cassandra's default, a short one, and one whose chunks are hashed in the encoders' other way.
var chunkLengths = []int{4 << 10, 16 << 10, 128 << 10}

// putCompressed writes an SSTable for each kind of recipe, and for each kind of chunk in one.
func (n *standIn) putCompressed() {
	id := 100
	put := func(f peeltest.File) {
		id++
		prefix := fmt.Sprintf("%s-%d-big-", f.Version, id)
		n.put(prefix+"Data.db", string(f.Data))
		n.put(prefix+"CompressionInfo.db", string(f.Info))
	}
	for _, length := range chunkLengths {
		put(compressed(n.t, "nb", 300_000, length, chunk.Early))
		put(compressed(n.t, "nb", 300_000, length, chunk.Late))
	}
	put(compressed(n.t, "me", 200_000, 16<<10, chunk.Early)) // its header has no limit for a stored chunk
	put(compressed(n.t, "lb", 200_000, 16<<10, chunk.Early)) // its checksums are Adler-32
	put(mixed(n.t))
	put(damaged(n.t))
	put(stubborn(n.t))
	put(withEmptyChunk(n.t))
	put(uncompressing(n.t))
	n.put("nb-99-big-Data.db", noise(9, 100_000))
	n.put("nb-99-big-CRC.db", checkedBy(noise(9, 100_000), 1000))
}

func compressed(t *testing.T, version string, size, length int, d chunk.Dialect) peeltest.File {
	h := peeltest.LZ4(size, length)
	return peeltest.Compress(t, version, peeltest.Words(size, uint64(length)), h, peeltest.By(t, d, h))
}

// mixed is a file of both encoders by turns, long enough for segments.
func mixed(t *testing.T) peeltest.File {
	const size, length = 1 << 20, 128 << 10
	h := peeltest.LZ4(size, length)
	early, late := peeltest.By(t, chunk.Early, h), peeltest.By(t, chunk.Late, h)
	return peeltest.Compress(t, "nb", peeltest.Words(size, 7), h, func(i int, plain []byte) []byte {
		if i%4 < 2 {
			return early(i, plain)
		}
		return late(i, plain)
	})
}

// damaged is a file with a chunk whose checksum is wrong, in its middle.
func damaged(t *testing.T) peeltest.File {
	f := compressed(t, "nb", 400_000, 4<<10, chunk.Late)
	offsets := f.Info[len(f.Info)-98*8:]
	end := binary.BigEndian.Uint64(offsets[50*8:])
	f.Data[end-1] ^= 1
	return f
}

// stubborn is a file of which every other chunk does not compress below the limit. The last is below it as it is, and
// above once encoded.
func stubborn(t *testing.T) peeltest.File {
	const length, limit = 4096, 3700
	const size = 20*length + limit - 5
	h := peeltest.LZ4(size, length)
	h.MaxCompressedLength = limit
	plain := peeltest.Words(size, 8)
	for at := 0; at < size; at += 2 * length {
		copy(plain[at:], noise(byte(at/length), length))
	}
	return peeltest.Compress(t, "nb", plain, h, peeltest.By(t, chunk.Early, h))
}

// withEmptyChunk is a file that ends with a chunk of nothing.
func withEmptyChunk(t *testing.T) peeltest.File {
	const size, length = 4 * 16384, 16384
	h := peeltest.LZ4(size, length)
	h.ChunkCount++
	return peeltest.Compress(t, "nb", peeltest.Words(size, 9), h, peeltest.By(t, chunk.Late, h))
}

// uncompressing is a file in chunks that are not compressed.
func uncompressing(t *testing.T) peeltest.File {
	const size, length = 300_000, 16384
	h := peeltest.LZ4(size, length)
	h.Class = "NoopCompressor"
	return peeltest.Compress(t, "nb", peeltest.Words(size, 10), h, func(_ int, plain []byte) []byte { return plain })
}

// checkedBy is a CRC.db, as Cassandra writes it.
func checkedBy(data string, length int) string {
	out := binary.BigEndian.AppendUint32(nil, uint32(length))
	for len(data) > 0 {
		n := min(length, len(data))
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE([]byte(data[:n])))
		data = data[n:]
	}
	return string(out)
}

// compareRecipes fails where a kind of recipe, or of chunk, was not met: then nothing was shown of it.
func compareRecipes(t *testing.T, s *seen) {
	want := []string{"blobs", "lz4", "lz4 with segments", "class LZ4Compressor", "class NoopCompressor",
		"version nb", "version me", "version lb", "run of kind 1 before 2", "run of kind 2 before 1",
		"run of kind 2 before 0", "run of kind 0 before 2", "chunk of kind 0", "wrong checksum", "chunk stored plain",
		"chunk stored plain with zeros", "empty chunk", "CompressionInfo.db derived", "CRC.db derived"}
	for _, length := range chunkLengths {
		for kind := 1; kind <= 2; kind++ {
			want = append(want, fmt.Sprintf("chunk of kind %d, %d bytes", kind, length))
		}
	}
	for _, what := range want {
		if s.met[what] == 0 {
			t.Errorf("%s: met in no recipe, but %v", what, slices.Sorted(maps.Keys(s.met)))
		}
	}
}

// TestTheEncoderOfThePage encodes what files of tables seldom hold: every short length, both sides of where the encoders
// hash in another way, matches at the farthest distance, and longer than a byte can say.
func TestTheEncoderOfThePage(t *testing.T) {
	sizes := []int{4095, 65545, 65546, 65547, 65548, 131072}
	for n := range 300 {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		for of, plain := range map[string][]byte{
			"words":               peeltest.Words(n, uint64(n)),
			"noise":               []byte(noise(byte(n), n)),
			"zeros":               make([]byte, n),
			"noise, then zeros":   slices.Concat([]byte(noise(1, n/3)), make([]byte, n-n/3)),
			"again after 13":      again(n, 13),
			"again after 65,535":  again(n, 65535),
			"again after 65,536":  again(n, 65536),
			"words, halfway anew": slices.Concat(peeltest.Words(n/2, 3), peeltest.Words(n-n/2, 3)),
		} {
			for kind, dialect := range map[byte]chunk.Dialect{1: chunk.Early, 2: chunk.Late} {
				want := peeltest.By(t, dialect, peeltest.LZ4(1<<17, 1<<17))(0, plain)
				if got := appendLZ4(want[:4:4], plain, kind); !bytes.Equal(got, want) {
					t.Errorf("%s of %d bytes, kind %d: %d bytes that are not the %d of cbk", of, n, kind, len(got), len(want))
				}
			}
		}
	}
}

// again is n bytes of noise that come again after so many.
func again(n, after int) []byte {
	return bytes.Repeat([]byte(noise(6, after)), n/after+1)[:n]
}
