// Package peeltest makes compressed Data.db files for tests, as Cassandra would
// write them for any plain bytes, and as it would not.
//
// Ways in: [Compress] with the header of [LZ4] and the encoder of [By].
package peeltest

import (
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
)

// File is a Data.db and its CompressionInfo.db.
type File struct {
	Version    string // of the SSTable
	Data, Info []byte
}

// LZ4 is the header of a file of n plain bytes in chunks.
func LZ4(n, length int) sstable.CompressionHeader {
	return sstable.CompressionHeader{Class: "LZ4Compressor", ChunkLength: length, MaxCompressedLength: math.MaxInt32,
		DataLength: int64(n), ChunkCount: (n + length - 1) / length}
}

// Compress writes plain bytes as Cassandra does. stored gives the bytes of chunk i, without the checksum.
func Compress(t testing.TB, version string, plain []byte, h sstable.CompressionHeader, stored func(i int, plain []byte) []byte) File {
	t.Helper()
	f := File{Version: version}
	info, err := sstable.AppendCompressionHeader(nil, h, version)
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.ChunkCount {
		part := plain[min(i*h.ChunkLength, len(plain)):min((i+1)*h.ChunkLength, len(plain))]
		info = binary.BigEndian.AppendUint64(info, uint64(len(f.Data)))
		b := stored(i, part)
		f.Data = append(f.Data, b...)
		sum := crc32.ChecksumIEEE(b)
		if version[0] == 'k' || version[0] == 'l' {
			sum = adler32.Checksum(b)
		}
		f.Data = binary.BigEndian.AppendUint32(f.Data, sum)
	}
	f.Info = info
	return f
}

// By encodes every chunk in one dialect.
func By(t testing.TB, d chunk.Dialect, h sstable.CompressionHeader) func(int, []byte) []byte {
	f, err := chunk.NewFormat(h)
	if err != nil {
		t.Fatal(err)
	}
	e := chunk.NewEncoder(d)
	return func(_ int, plain []byte) []byte { return e.AppendChunk(nil, plain, f) }
}

// Words is text of n bytes that compresses by half or so, and that the two dialects encode differently now and then.
func Words(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(b, fmt.Sprintf("%d,%x;", r.IntN(50), r.IntN(1<<12))...)
		if r.IntN(40) == 0 {
			b = append(b, b[max(0, len(b)-200-r.IntN(200)):]...)
		}
	}
	return b[:n]
}
