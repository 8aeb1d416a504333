package chunk

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"errors"
	"math"
	"runtime"
	"testing"

	"cbk/cassandra/sstable"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// classes are those that a Format knows, with the first Cassandra that has each and with
// an encoder.
var classes = []struct {
	name  string
	since string
	store func(plain []byte) []byte
}{
	{"NoopCompressor", "4.0", bytes.Clone},
	{"LZ4Compressor", "1.2", func(plain []byte) []byte {
		n := len(plain)
		return NewEncoder(Late).AppendBlock([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}, plain)
	}},
	{"SnappyCompressor", "1.0", func(plain []byte) []byte { return snappy.Encode(nil, plain) }},
	{"DeflateCompressor", "1.0", deflated},
	{"ZstdCompressor", "4.0", zstandard},
}

// deflated leaves an empty chunk empty, as DeflateCompressor does.
func deflated(plain []byte) []byte {
	if len(plain) == 0 {
		return nil
	}
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	if _, err := w.Write(plain); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// zstandard gives one frame, with a checksum, as ZstdCompressor asks for.
func zstandard(plain []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(plain, nil)
}

func format(t testing.TB, class string, length, most int, options ...[2]string) Format {
	t.Helper()
	f, err := NewFormat(sstable.CompressionHeader{Class: class, Options: options, ChunkLength: length, MaxCompressedLength: most})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestChunksOfEveryClassComeBack(t *testing.T) {
	const length = 16 << 10
	r := seeded(t)
	for _, class := range classes {
		f := format(t, class.name, length, math.MaxInt32)
		dst := make([]byte, length)
		for _, kind := range kinds {
			for _, n := range []int{0, 1, 100, length - 1, length} {
				plain := make([]byte, n)
				kind.fill(r, plain)
				got, err := f.Decode(dst, class.store(plain))
				if err != nil || !bytes.Equal(got, plain) {
					t.Fatalf("%s: %d bytes of %s come back as %d, %v", class.name, n, kind.name, len(got), err)
				}
				if n > 0 && &got[0] != &dst[0] {
					t.Errorf("%s: %d bytes of %s do not take the room that is there", class.name, n, kind.name)
				}
			}
		}
	}
}

// TestSmallestChunks has the smallest chunks that Cassandra lets a table have.
func TestSmallestChunks(t *testing.T) {
	plain := bytes.Repeat([]byte("row "), 256)
	for _, class := range classes {
		f := format(t, class.name, len(plain), math.MaxInt32)
		if got, err := f.Decode(nil, class.store(plain)); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes come back, %v", class.name, len(got), err)
		}
	}
}

func TestRawChunks(t *testing.T) {
	long, short := bytes.Repeat([]byte("abcdefghijklmnop"), 2), []byte("0123456789")
	tests := []struct {
		what   string
		class  string
		most   int
		plain  []byte
		stored string
	}{
		{"what compresses to less than the most", "LZ4Compressor", 32, long, "20000000" + "f701" + hex.EncodeToString(long[:16]) + "1000" + "50" + hex.EncodeToString(long[27:])},
		{"what compresses to the most", "LZ4Compressor", 15, short, hex.EncodeToString(short) + "0000000000"},
		{"what compresses to one less", "LZ4Compressor", 16, short, "0a000000" + "a0" + hex.EncodeToString(short)},
		{"what is longer than the most", "LZ4Compressor", 14, long[:20], hex.EncodeToString(long[:20])},
		{"nothing, with the least most", "LZ4Compressor", 1, nil, "00"},
		{"nothing, with no most", "LZ4Compressor", math.MaxInt32, nil, "0000000000"},
		{"what was never compressed", "NoopCompressor", math.MaxInt32, short, hex.EncodeToString(short)},
		{"what was never compressed and is as long as the most", "NoopCompressor", 10, short, hex.EncodeToString(short)},
	}
	for _, tt := range tests {
		f := format(t, tt.class, 32, tt.most)
		stored := NewEncoder(Late).AppendChunk([]byte("before"), tt.plain, f)[6:]
		if hex.EncodeToString(stored) != tt.stored {
			t.Errorf("%s is stored as %x, want %s", tt.what, stored, tt.stored)
		}
		got, err := f.Decode(nil, stored)
		if err != nil || !bytes.HasPrefix(got, tt.plain) || len(bytes.Trim(got[len(tt.plain):], "\x00")) > 0 {
			t.Errorf("%s comes back as %q, %v", tt.what, got, err)
		}
	}
}

func TestReproducible(t *testing.T) {
	tests := []struct {
		class   string
		options [][2]string
		want    bool
	}{
		{"LZ4Compressor", nil, true},
		{"LZ4Compressor", [][2]string{{"lz4_high_compressor_level", "9"}, {"lz4_compressor_type", "fast"}}, true},
		{"LZ4Compressor", [][2]string{{"lz4_compressor_type", "high"}}, false},
		{"NoopCompressor", nil, true},
		{"ZstdCompressor", nil, false},
		{"SnappyCompressor", nil, false},
		{"DeflateCompressor", nil, false},
	}
	for _, tt := range tests {
		f := format(t, tt.class, 4096, math.MaxInt32, tt.options...)
		if f.Reproducible() != tt.want {
			t.Errorf("%s %v: %v", tt.class, tt.options, f.Reproducible())
		}
		func() {
			defer func() {
				if stopped := recover() != nil; stopped == tt.want {
					t.Errorf("%s %v: AppendChunk panics: %v", tt.class, tt.options, stopped)
				}
			}()
			NewEncoder(Early).AppendChunk(nil, []byte("plain"), f)
		}()
	}
}

func TestFormatsThatAreRefused(t *testing.T) {
	tests := []struct {
		what    string
		h       sstable.CompressionHeader
		unknown bool
	}{
		{"a class of an operator", sstable.CompressionHeader{Class: "com.example.Squeeze", ChunkLength: 4096}, true},
		{"a class that is only like one", sstable.CompressionHeader{Class: "lz4compressor", ChunkLength: 4096}, true},
		{"no chunk length", sstable.CompressionHeader{Class: "LZ4Compressor"}, false},
		{"a negative chunk length", sstable.CompressionHeader{Class: "LZ4Compressor", ChunkLength: -1}, false},
		{"chunks beyond the bound", sstable.CompressionHeader{Class: "LZ4Compressor", ChunkLength: MaxLength + 1}, false},
		{"a negative most", sstable.CompressionHeader{Class: "LZ4Compressor", ChunkLength: 4096, MaxCompressedLength: -1}, false},
		{"a most beyond a chunk", sstable.CompressionHeader{Class: "LZ4Compressor", ChunkLength: 4096, MaxCompressedLength: 4097}, false},
	}
	for _, tt := range tests {
		if f, err := NewFormat(tt.h); err == nil || errors.Is(err, ErrUnknownCompressor) != tt.unknown {
			t.Errorf("%s: %+v, %v", tt.what, f, err)
		}
	}
	if got, err := (Format{}).Decode(nil, nil); err == nil {
		t.Errorf("no format at all: %q", got)
	}
}

// TestLengthBeforeAnLZ4Block has lengths that do not fit their block of 13 bytes.
func TestLengthBeforeAnLZ4Block(t *testing.T) {
	f := format(t, "LZ4Compressor", 4096, math.MaxInt32)
	block := NewEncoder(Early).AppendBlock(nil, []byte("thirteen here"))
	for _, length := range []string{"00000000", "0c000000", "0e000000", "00100000", "01100000", "ffffffff", "0d00000d"} {
		if got, err := f.Decode(nil, append(unhex(t, length), block...)); !errors.Is(err, ErrCorrupt) || got != nil {
			t.Errorf("length %s: %q, %v", length, got, err)
		}
	}
	if got, err := f.Decode(nil, append(unhex(t, "0d000000"), block...)); string(got) != "thirteen here" {
		t.Errorf("the right one: %q, %v", got, err)
	}
}

// TestChunksThatAreRefused has stored bytes that are damaged in length. Whatever they claim,
// what is allocated stays within a few chunk lengths and the state of one decompressor.
func TestChunksThatAreRefused(t *testing.T) {
	const length = 256 << 10
	bomb := make([]byte, 64<<20)
	for _, class := range classes {
		f := format(t, class.name, length, math.MaxInt32)
		whole := class.store(bytes.Repeat([]byte("row key value"), 1000))
		tests := map[string][]byte{
			"64 MiB of zeros":   class.store(bomb),
			"one byte too many": class.store(bomb[:length+1]),
			"a trailing byte":   append(bytes.Clone(whole), 0),
			"a byte short":      whole[:len(whole)-1],
			"half of it":        whole[:len(whole)/2],
			"its first byte":    whole[:1],
			"nothing":           nil,
		}
		if class.name == "DeflateCompressor" {
			delete(tests, "nothing")
		}
		for what, stored := range tests {
			if class.name == "NoopCompressor" && len(stored) <= length {
				continue // any bytes are a chunk there
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := f.Decode(nil, stored)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrCorrupt) || got != nil {
				t.Errorf("%s: %s: %d bytes, %v", class.name, what, len(got), err)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8*length {
				t.Errorf("%s: %s: %d bytes are allocated", class.name, what, used)
			}
		}
	}
}
