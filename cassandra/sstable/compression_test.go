package sstable

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The CompressionInfo.db of a table of 40000 bytes in three chunks, by hand.
const (
	headerNB = "\x00\x0dLZ4Compressor" + "\x00\x00\x00\x01" + "\x00\x13lz4_compressor_type" + "\x00\x04fast" +
		"\x00\x00\x40\x00" + "\x7f\xff\xff\xff" + "\x00\x00\x00\x00\x00\x00\x9c\x40" + "\x00\x00\x00\x03"
	headerME = "\x00\x0dLZ4Compressor" + "\x00\x00\x00\x01" + "\x00\x13lz4_compressor_type" + "\x00\x04fast" +
		"\x00\x00\x40\x00" + "\x00\x00\x00\x00\x00\x00\x9c\x40" + "\x00\x00\x00\x03"
	offsets3 = "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x10\x00" + "\x00\x00\x00\x00\x00\x00\x20\x01"
)

var header3 = CompressionHeader{
	Class: "LZ4Compressor", Options: [][2]string{{"lz4_compressor_type", "fast"}},
	ChunkLength: 16384, MaxCompressedLength: math.MaxInt32, DataLength: 40000, ChunkCount: 3,
}

func TestParseCompressionHeader(t *testing.T) {
	for version, raw := range map[string]string{
		"ka": headerME, "la": headerME, "ma": headerME, "me": headerME,
		"na": headerNB, "nb": headerNB, "oa": headerNB, "da": headerNB, "pa": headerNB, "ea": headerNB,
	} {
		t.Run(version, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(raw + offsets3))
			got, read, err := ParseCompressionHeader(r, version)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(header3, got); diff != "" || string(read) != raw {
				t.Errorf("raw %q, header (-want +got):\n%s", read, diff)
			}
			if back, err := AppendCompressionHeader(nil, got, version); err != nil || string(back) != raw {
				t.Errorf("put together again it is %q, %v", back, err)
			}
			at, tail, err := readOffsets(t, r, got, version)
			if diff := cmp.Diff([]int64{0, 4096, 8193}, at); diff != "" || len(tail) != 0 || err != nil {
				t.Errorf("tail %q, %v, offsets (-want +got):\n%s", tail, err, diff)
			}
		})
	}
}

// readOffsets reads to the end of the file.
func readOffsets(t *testing.T, r *bufio.Reader, h CompressionHeader, version string) (at []int64, tail []byte, err error) {
	t.Helper()
	o, err := NewOffsets(r, h, version)
	if err != nil {
		t.Fatal(err)
	}
	for {
		n, err := o.Next()
		if err == io.EOF {
			tail, err = o.Tail()
			return at, tail, err
		}
		if err != nil {
			return at, nil, err
		}
		at = append(at, n)
	}
}

func TestCompressionHeaderCountsChunks(t *testing.T) {
	tests := []struct {
		what   string
		data   int64
		chunk  int
		chunks int
		ok     bool
	}{
		{"full chunks", 32768, 16384, 2, true},
		{"full chunks and an empty one", 32768, 16384, 3, true},
		{"a last chunk in part", 32769, 16384, 3, true},
		{"a last chunk in part and an empty one", 32769, 16384, 4, true},
		{"no data", 0, 16384, 0, true},
		{"no data and an empty chunk", 0, 16384, 1, true},
		{"a chunk missing", 32769, 16384, 2, false},
		{"two chunks too many", 32769, 16384, 5, false},
		{"the largest chunk", MaxChunkLength, MaxChunkLength, 1, true},
		{"a larger chunk", MaxChunkLength, MaxChunkLength + 1, 1, false},
		{"chunks of nothing", 0, 0, 0, false},
		{"the largest data", math.MaxInt64, MaxChunkLength, 1 << 30, false},
		{"less than no data", -1, 16384, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			h := CompressionHeader{Class: "X", ChunkLength: tt.chunk, DataLength: tt.data, ChunkCount: tt.chunks}
			if err := h.check(); (err == nil) != tt.ok {
				t.Errorf("%v", err)
			}
			if _, err := AppendCompressionHeader(nil, h, "nb"); (err == nil) != tt.ok {
				t.Errorf("append: %v", err)
			}
		})
	}
}

func TestParseCompressionHeaderRefusesDamage(t *testing.T) {
	for n := range len(headerNB) {
		if h, _, err := ParseCompressionHeader(bufio.NewReader(strings.NewReader(headerNB[:n])), "nb"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %+v, %v", n, h, err)
		}
	}
	many := "\x00\x01X\x00\x00\xff\xff" + strings.Repeat("\x00\x01k\x00\x01v", math.MaxUint16)
	long := "\x00\x01X\x00\x00\x00\xff" + strings.Repeat("\xff\xff"+strings.Repeat("x", math.MaxUint16), 20)
	for what, text := range map[string]string{"too many options": many, "options too long": long, "options below zero": "\x00\x01X\xff\xff\xff\xff"} {
		if _, _, err := ParseCompressionHeader(bufio.NewReader(strings.NewReader(text)), "nb"); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, version := range []string{"", "zz", "jb", "nc", "nb2"} {
		if _, _, err := ParseCompressionHeader(bufio.NewReader(strings.NewReader(headerNB)), version); !errors.Is(err, ErrUnsupportedVersion) {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestOffsetsRefuseWhatNoWriterMakes(t *testing.T) {
	for what, at := range map[string][]int64{
		"a start behind zero":       {1, 20, 40},
		"an order turned round":     {0, 40, 20},
		"a chunk twice":             {0, 20, 20},
		"a chunk with no checksum":  {0, 20, 23},
		"a chunk above an int":      {0, 20, 21 + math.MaxInt32},
		"a leap over the whole int": {0, math.MaxInt32, math.MinInt64},
		"an end too early":          {0, 20},
	} {
		var b []byte
		for _, n := range at {
			b = binary.BigEndian.AppendUint64(b, uint64(n))
		}
		if got, _, err := readOffsets(t, bufio.NewReader(bytes.NewReader(b)), header3, "nb"); err == nil {
			t.Errorf("%s gives %v", what, got)
		}
	}
}

func TestTailOfCompressionInfo(t *testing.T) {
	const dictionary = "\x01\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x03abc"
	tests := []struct {
		what, version, file, want string
		err                       error
	}{
		{"none", "nb", "", "", nil},
		{"none in 6.0", "pa", "", "", nil},
		{"a dictionary in 6.0", "pa", dictionary, dictionary, nil},
		{"a dictionary in bti of 6.0", "ea", dictionary, dictionary, nil},
		{"what looks like a dictionary in 5.0", "oa", dictionary, "", ErrTrailing},
		{"bytes behind a dictionary", "pa", dictionary + "x", dictionary, ErrTrailing},
		{"a dictionary cut short", "pa", dictionary[:len(dictionary)-1], "", io.ErrUnexpectedEOF},
		{"half a head", "pa", dictionary[:5], "", io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			_, tail, err := readOffsets(t, bufio.NewReader(strings.NewReader(offsets3+tt.file)), header3, tt.version)
			if !errors.Is(err, tt.err) || string(tail) != tt.want {
				t.Errorf("%q, %v", tail, err)
			}
		})
	}
	huge := offsets3 + "\x01\x00\x00\x00\x00\x00\x00\x00\x07\x7f\xff\xff\xffabc"
	if _, _, err := readOffsets(t, bufio.NewReader(strings.NewReader(huge)), header3, "pa"); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a dictionary of 2 GiB: %v", err)
	}
	o, err := NewOffsets(bufio.NewReader(strings.NewReader(offsets3)), header3, "nb")
	if err != nil {
		t.Fatal(err)
	}
	if tail, err := o.Tail(); err == nil {
		t.Errorf("before the offsets: %q", tail)
	}
}

func FuzzCompressionInfo(f *testing.F) {
	f.Add("nb", []byte(headerNB+offsets3))
	f.Add("me", []byte(headerME+offsets3))
	f.Add("pa", []byte(headerNB+offsets3+"\x01\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x03abc"))
	f.Fuzz(func(t *testing.T, version string, file []byte) {
		r := bufio.NewReader(bytes.NewReader(file))
		h, raw, err := ParseCompressionHeader(r, version)
		if err != nil {
			return
		}
		if !bytes.HasPrefix(file, raw) {
			t.Fatalf("raw %q", raw)
		}
		if back, err := AppendCompressionHeader(nil, h, version); err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%q became %q, %v", raw, back, err)
		}
		at, tail, err := readOffsets(t, r, h, version)
		if err == nil && len(raw)+8*len(at)+len(tail) != len(file) {
			t.Errorf("%d offsets and %d bytes of tail of %d bytes", len(at), len(tail), len(file))
		}
	})
}
