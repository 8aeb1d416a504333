package chunk

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"cbk/cassandra/sstable"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// MaxLength is the greatest chunk length that a [Format] takes. It bounds what one
// chunk costs in memory; Cassandra reads a whole chunk for each row it is asked, and
// its default is 16 KiB, 64 KiB in 3.x.
const MaxLength = 16 << 20

// ErrUnknownCompressor says that no Format is known for a compressor class.
var ErrUnknownCompressor = errors.New("unknown compressor")

type codec uint8

const (
	noop codec = 1 + iota
	lz4
	deflate
	snap
	zst
)

// Format is how the chunks of one file are stored. It may be used concurrently.
type Format struct {
	codec     codec
	exact     bool
	length    int
	rawFrom   int // a chunk stored in this many bytes or more is raw
	zstandard *zstd.Decoder
}

// NewFormat takes the class, the options and the two lengths of the header. It gives
// [ErrUnknownCompressor] for a class that it has no decompressor of.
func NewFormat(h sstable.CompressionHeader) (Format, error) {
	if h.ChunkLength < 1 || h.ChunkLength > MaxLength {
		return Format{}, fmt.Errorf("chunk length of %d bytes, not 1 to %d", h.ChunkLength, MaxLength)
	}
	if m := h.MaxCompressedLength; m < 0 || m > h.ChunkLength && m != math.MaxInt32 {
		return Format{}, fmt.Errorf("max compressed length of %d bytes", h.MaxCompressedLength)
	}
	f := Format{length: h.ChunkLength, rawFrom: h.MaxCompressedLength}
	var err error
	switch h.Class {
	case "NoopCompressor":
		f.codec, f.exact = noop, true
	case "LZ4Compressor":
		f.codec, f.exact = lz4, fast(h.Options)
	case "DeflateCompressor":
		f.codec = deflate
	case "SnappyCompressor":
		f.codec = snap
	case "ZstdCompressor":
		f.codec = zst
		f.zstandard, err = newZstd(h.ChunkLength)
	default:
		err = fmt.Errorf("%w %q", ErrUnknownCompressor, h.Class)
	}
	return f, err
}

// newZstd returns a decoder whose output is limited by the room it is given. A frame may
// ask for a window that is larger than its content, at the most for zstd's largest block.
func newZstd(length int) (*zstd.Decoder, error) {
	most := uint64(max(length, 128<<10))
	return zstd.NewReader(nil, zstd.WithDecoderMaxMemory(most), zstd.WithDecodeAllCapLimit(true))
}

// fast tells whether the options of LZ4Compressor leave it at its default type. The
// level there may be set regardless, and counts only for the other.
func fast(options [][2]string) bool {
	for _, o := range options {
		if o[0] == "lz4_compressor_type" && o[1] != "fast" {
			return false
		}
	}
	return true
}

// Reproducible tells whether AppendChunk can give back the chunks of this format.
func (f Format) Reproducible() bool { return f.exact }

// ChunkLength is how many plain bytes a chunk has, but for the last.
func (f Format) ChunkLength() int { return f.length }

// Decode returns the plain bytes of a stored chunk, which comes without its checksum.
// They are at most a chunk length, and are put in the room of dst where it suffices.
// The last chunk of a file, when raw, may be longer than its plain bytes: zeros follow.
func (f Format) Decode(dst, stored []byte) ([]byte, error) {
	plain, err := f.decode(dst[:0], stored)
	if err != nil {
		return nil, err
	}
	if len(plain) > f.length {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrCorrupt, len(plain), f.length)
	}
	return plain, nil
}

func (f Format) decode(dst, stored []byte) ([]byte, error) {
	if f.codec == noop || f.codec != 0 && len(stored) >= f.rawFrom {
		if len(stored) > f.length {
			return nil, fmt.Errorf("%w: %d raw bytes, more than %d", ErrCorrupt, len(stored), f.length)
		}
		return append(dst, stored...), nil
	}
	switch f.codec {
	case lz4:
		return f.decodeLZ4(dst, stored)
	case deflate:
		return f.inflate(dst, stored)
	case snap:
		return f.decodeSnappy(dst, stored)
	case zst:
		return f.decodeZstd(dst, stored)
	}
	return nil, ErrUnknownCompressor // the zero Format
}

// room returns n bytes, at most a chunk length, in dst where they fit.
func (f Format) room(dst []byte, n uint64) ([]byte, error) {
	if n > uint64(f.length) {
		return nil, fmt.Errorf("%w: %d plain bytes, more than %d", ErrCorrupt, n, f.length)
	}
	if n <= uint64(cap(dst)) {
		return dst[:n], nil
	}
	return make([]byte, n, f.length), nil
}

// decodeLZ4 reads
//
//	plain length(4, little-endian) LZ4 block
func (f Format) decodeLZ4(dst, stored []byte) ([]byte, error) {
	if len(stored) < 4 {
		return nil, fmt.Errorf("%w: no length", ErrCorrupt)
	}
	dst, err := f.room(dst, uint64(binary.LittleEndian.Uint32(stored)))
	if err != nil {
		return nil, err
	}
	n, err := DecodeBlock(dst, stored[4:])
	if err == nil && n != len(dst) {
		err = fmt.Errorf("%w: %d bytes instead of %d", ErrCorrupt, n, len(dst))
	}
	return dst, err
}

func (f Format) decodeSnappy(dst, stored []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(stored)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if dst, err = f.room(dst, uint64(n)); err != nil {
		return nil, err
	}
	if dst, err = snappy.DecodeStrict(dst, stored); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return dst, nil
}

// decodeZstd gives the decoder the capacity of dst as its limit: frames need not say
// how long they are.
func (f Format) decodeZstd(dst, stored []byte) ([]byte, error) {
	if len(stored) == 0 {
		return nil, fmt.Errorf("%w: no frame", ErrCorrupt)
	}
	dst, err := f.room(dst, uint64(f.length))
	if err != nil {
		return nil, err
	}
	plain, err := f.zstandard.DecodeAll(stored, dst[:0:f.length])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return plain, nil
}

// inflate reads one zlib stream that ends with the chunk. DeflateCompressor writes no
// stream at all for no bytes: the empty chunk behind the last one is stored so.
func (f Format) inflate(dst, stored []byte) ([]byte, error) {
	if len(stored) == 0 {
		return dst, nil
	}
	dst, err := f.room(dst, uint64(f.length))
	if err != nil {
		return nil, err
	}
	in := bytes.NewReader(stored)
	z, err := zlib.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	n, err := io.ReadFull(z, dst)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	var one [1]byte
	if err == nil {
		_, err = io.ReadFull(z, one[:])
	}
	if err != io.EOF || in.Len() != 0 {
		return nil, fmt.Errorf("%w: no stream of %d bytes at most", ErrCorrupt, f.length)
	}
	return dst[:n], nil
}
