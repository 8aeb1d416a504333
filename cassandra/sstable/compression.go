package sstable

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Bounds of CompressionInfo.db. Cassandra's largest chunk is what an int holds
// as a power of two. Its compressors know five options; the rest is room for
// those of others. A dictionary of 6.0 has 64 KiB unless an operator asks for more.
const (
	MaxChunkLength        = 1 << 30
	maxCompressionOptions = 256
	maxCompressionHeader  = 1 << 20
	maxDictionary         = 16 << 20
)

// crcSize is the checksum behind every chunk in Data.db.
const crcSize = 4

// ErrTrailing says that a component holds bytes behind its last known field.
// What was read before it is whole.
var ErrTrailing = errors.New("unknown trailing bytes")

// CompressionHeader is all of CompressionInfo.db before the offsets. Its texts are
// in Java's modified UTF-8, as in the file.
type CompressionHeader struct {
	Class               string      // simple name, or a full one where not of Cassandra
	Options             [][2]string // in the order of the file
	ChunkLength         int         // bytes
	MaxCompressedLength int         // bytes; math.MaxInt32 before na
	DataLength          int64       // plain bytes
	ChunkCount          int
}

// ParseCompressionHeader reads CompressionInfo.db up to its first offset and
// returns the header with the bytes it was read from. It reads at most 1 MiB.
//
// All numbers are big-endian; a text has a length of two bytes before it:
//
//	text class · int32 n · n × (text key · text value) · int32 chunk length
//	· [na: int32 max compressed length] · int64 data length · int32 chunk count
//	· chunk count × int64 offset · [pa: dictionary]
func ParseCompressionHeader(r *bufio.Reader, version string) (h CompressionHeader, raw []byte, err error) {
	layout, err := layoutOf(version)
	if err != nil {
		return h, nil, err
	}
	in := recorder{r: r}
	h.Class = in.text()
	n := in.int32()
	if n < 0 || n > maxCompressionOptions {
		in.fail(fmt.Errorf("%d options", n))
	}
	for i := 0; i < n && in.err == nil; i++ {
		h.Options = append(h.Options, [2]string{in.text(), in.text()})
	}
	h.ChunkLength, h.MaxCompressedLength = in.int32(), math.MaxInt32
	if layout >= "na" {
		h.MaxCompressedLength = in.int32()
	}
	h.DataLength = in.int64()
	h.ChunkCount = in.int32()
	if in.err == nil {
		in.err = h.check()
	}
	if in.err != nil {
		return CompressionHeader{}, nil, fmt.Errorf("header of CompressionInfo: %w", in.err)
	}
	return h, in.raw, nil
}

// check holds the numbers against each other. Files that a compaction wrote have
// an empty chunk behind the last.
func (h CompressionHeader) check() error {
	if h.ChunkLength < 1 || h.ChunkLength > MaxChunkLength {
		return fmt.Errorf("chunks of %d bytes", h.ChunkLength)
	}
	if h.MaxCompressedLength < 0 || h.DataLength < 0 || h.ChunkCount < 0 {
		return fmt.Errorf("max compressed length %d, data length %d, %d chunks", h.MaxCompressedLength, h.DataLength, h.ChunkCount)
	}
	full := h.DataLength / int64(h.ChunkLength)
	if h.DataLength%int64(h.ChunkLength) != 0 {
		full++
	}
	if n := int64(h.ChunkCount); n != full && n != full+1 {
		return fmt.Errorf("%d chunks of %d bytes for %d bytes", n, h.ChunkLength, h.DataLength)
	}
	return nil
}

// AppendCompressionHeader appends the bytes [ParseCompressionHeader] reads.
func AppendCompressionHeader(b []byte, h CompressionHeader, version string) ([]byte, error) {
	layout, err := layoutOf(version)
	if err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	texts := []string{h.Class}
	for _, o := range h.Options {
		texts = append(texts, o[0], o[1])
	}
	for i, s := range texts {
		if len(s) > math.MaxUint16 || len(h.Options) > maxCompressionOptions {
			return nil, fmt.Errorf("%d options, one text of %d bytes", len(h.Options), len(s))
		}
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
		if i == 0 {
			b = binary.BigEndian.AppendUint32(b, uint32(len(h.Options)))
		}
	}
	b = binary.BigEndian.AppendUint32(b, uint32(h.ChunkLength))
	if layout >= "na" {
		b = binary.BigEndian.AppendUint32(b, uint32(h.MaxCompressedLength))
	}
	b = binary.BigEndian.AppendUint64(b, uint64(h.DataLength))
	return binary.BigEndian.AppendUint32(b, uint32(h.ChunkCount)), nil
}

// Offsets reads what follows the header of CompressionInfo.db, and holds none of it.
type Offsets struct {
	r          *bufio.Reader
	left       int
	last       int64
	begun      bool
	dictionary bool
}

// NewOffsets continues at the first offset, where [ParseCompressionHeader] stopped.
func NewOffsets(r *bufio.Reader, h CompressionHeader, version string) (*Offsets, error) {
	layout, err := layoutOf(version)
	if err != nil {
		return nil, err
	}
	return &Offsets{r: r, left: h.ChunkCount, dictionary: layout >= "pa"}, nil
}

// Next returns where the next chunk starts in Data.db, and io.EOF after the last
// one. The first starts at zero, each is behind the one before it by a checksum at
// the least and by an int32 at the most, as Cassandra reads it.
func (o *Offsets) Next() (int64, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	var b [8]byte
	if _, err := io.ReadFull(o.r, b[:]); err != nil {
		return 0, fmt.Errorf("offset of a chunk, %d from the end: %w", o.left, unexpected(err))
	}
	at := int64(binary.BigEndian.Uint64(b[:]))
	switch {
	case !o.begun && at != 0:
		return 0, fmt.Errorf("the first chunk starts at %d", at)
	case o.begun && (at < o.last || at-o.last < crcSize || at-o.last > math.MaxInt32):
		return 0, fmt.Errorf("a chunk at %d follows one at %d", at, o.last)
	}
	o.begun, o.last = true, at
	o.left--
	return at, nil
}

// Tail returns what follows the last offset, as it is in the file: nothing, or
// the dictionary that 6.0 compressed the chunks with. It is called after Next gave
// io.EOF. [ErrTrailing] comes where the file goes on beyond that.
//
//	byte kind · int64 id · int32 length · length bytes
func (o *Offsets) Tail() ([]byte, error) {
	if o.left != 0 {
		return nil, fmt.Errorf("tail of CompressionInfo before %d offsets", o.left)
	}
	var tail []byte
	if o.dictionary {
		var err error
		if tail, err = o.readDictionary(); err != nil {
			return nil, fmt.Errorf("dictionary in CompressionInfo: %w", err)
		}
	}
	var b [1]byte
	switch _, err := io.ReadFull(o.r, b[:]); err {
	case io.EOF:
		return tail, nil
	case nil:
		return tail, fmt.Errorf("CompressionInfo: %w", ErrTrailing)
	default:
		return nil, fmt.Errorf("end of CompressionInfo: %w", err)
	}
}

// readDictionary returns nil where the file ends at once.
func (o *Offsets) readDictionary() ([]byte, error) {
	head := make([]byte, 1+8+4)
	switch _, err := io.ReadFull(o.r, head); {
	case err == io.EOF:
		return nil, nil
	case err != nil:
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[9:])
	if n > maxDictionary {
		return nil, fmt.Errorf("%d bytes, more than %d", n, maxDictionary)
	}
	body, err := io.ReadAll(io.LimitReader(o.r, int64(n)))
	if err == nil && len(body) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return append(head, body...), err
}

// recorder reads big-endian values and keeps the bytes. Its first error stays.
type recorder struct {
	r   *bufio.Reader
	raw []byte
	err error
}

func (in *recorder) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}

// take reads n bytes, and returns n zeros after an error.
func (in *recorder) take(n int) []byte {
	b := make([]byte, n)
	if in.err == nil && len(in.raw)+n > maxCompressionHeader {
		in.err = fmt.Errorf("more than %d bytes", maxCompressionHeader)
	}
	if in.err != nil {
		return b
	}
	if _, err := io.ReadFull(in.r, b); err != nil {
		in.err = unexpected(err)
		return b
	}
	in.raw = append(in.raw, b...)
	return b
}

func (in *recorder) int32() int   { return int(int32(binary.BigEndian.Uint32(in.take(4)))) }
func (in *recorder) int64() int64 { return int64(binary.BigEndian.Uint64(in.take(8))) }

// text reads a text behind its length of two bytes.
func (in *recorder) text() string {
	return string(in.take(int(binary.BigEndian.Uint16(in.take(2)))))
}

// unexpected turns the end of the input inside a value into an error.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
