package peel

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"io"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
)

// Kind says what the bytes of a run are.
type Kind byte

// The kinds. Their numbers stand in repositories.
const (
	// Stored bytes are of chunks that no encoder gives again, each as
	//
	//	length   4 bytes, big-endian: of what is stored, without the checksum
	//	stored   length bytes, as in the file
	//	checksum 4 bytes, as in the file, right or not
	Stored Kind = 0
	// Early bytes are plain; chunk.Early gives their chunks again.
	Early = Kind(chunk.Early)
	// Late bytes are plain; chunk.Late gives their chunks again, or no encoder is needed.
	Late = Kind(chunk.Late)
)

const (
	// MaxChunk is the longest chunk that is peeled, in bytes. Cassandra's default is 16 KiB, 64 KiB before 4.0; a batch is at
	// least one chunk, and some ten are held.
	MaxChunk = 1 << 20
	// MaxHeader bounds what a layout holds: a class name and a handful of options.
	MaxHeader = 64 << 10
	// lz4Class is the compressor that can be done again, unless it is of its high type.
	lz4Class = "LZ4Compressor"
	// sumSize is the size of a checksum in the file.
	sumSize = 4
)

// UnfitError says why a Data.db cannot be peeled, in a word or two for a report. It is no damage of what was read: the
// file can be kept as it is.
type UnfitError struct {
	Reason string
	Err    error // more about it, or nil
}

// Error gives the reason.
func (e *UnfitError) Error() string {
	if e.Err != nil {
		return "not peeled: " + e.Reason + ": " + e.Err.Error()
	}
	return "not peeled: " + e.Reason
}

// Unwrap returns the cause.
func (e *UnfitError) Unwrap() error { return e.Err }

// Layout is what a Writer must know of a file beside its runs.
type Layout struct {
	Version string // of the SSTable, "nb"
	Header  []byte // CompressionInfo.db up to its offsets
}

// geometry is a layout understood.
type geometry struct {
	Layout
	format chunk.Format
	sum    func([]byte) uint32
	length int   // plain bytes of a chunk
	chunks int   // in the file
	plain  int64 // bytes in all
}

func (l Layout) geometry() (*geometry, error) {
	h, raw, err := sstable.ParseCompressionHeader(bufio.NewReader(bytes.NewReader(l.Header)), l.Version)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(raw) != len(l.Header) {
		return nil, fmt.Errorf("%w: %d bytes after the header", ErrMalformed, len(l.Header)-len(raw))
	}
	return newGeometry(h, l)
}

func newGeometry(h sstable.CompressionHeader, l Layout) (*geometry, error) {
	f, err := chunk.NewFormat(h)
	switch {
	case err == nil && !f.Reproducible() && h.Class == lz4Class:
		return nil, &UnfitError{Reason: "LZ4 high compression"}
	case errors.Is(err, chunk.ErrUnknownCompressor) || err == nil && !f.Reproducible():
		return nil, &UnfitError{Reason: "compressor " + h.Class}
	case err != nil:
		return nil, &UnfitError{Reason: "compression options", Err: err}
	case h.ChunkLength > MaxChunk:
		return nil, &UnfitError{Reason: "long chunks"}
	case len(l.Header) > MaxHeader:
		return nil, &UnfitError{Reason: "long options"}
	}
	g := &geometry{Layout: l, format: f, sum: crc32.ChecksumIEEE, length: h.ChunkLength, chunks: h.ChunkCount, plain: h.DataLength}
	if v := l.Version[0]; v == 'k' || v == 'l' {
		g.sum = adler32.Checksum // 2.1 and 2.2; before and after it is CRC32
	}
	return g, nil
}

// plainLen is how many plain bytes chunk i has: all but the last are full, and after the last there may be an empty one.
func (g *geometry) plainLen(i int) int {
	return int(min(max(g.plain-int64(i)*int64(g.length), 0), int64(g.length)))
}

// maxStored is the most bytes a chunk may take in the file without its checksum.
func (g *geometry) maxStored() int { return chunk.BlockBound(g.length) + 4 }

// first is the kind to try first: what the releases that write a version use where nothing is in their way.
func (g *geometry) first() Kind {
	if v := g.Version[0]; v == 'k' || v == 'l' || v == 'm' {
		return Early
	}
	return Late
}

// appendSum appends what follows stored bytes in the file.
func (g *geometry) appendSum(dst, stored []byte) []byte {
	return binary.BigEndian.AppendUint32(dst, g.sum(stored))
}

// assembly puts a Data.db and its CompressionInfo.db together again.
type assembly struct {
	data, info io.Writer // info may be nil
	at         int64     // bytes of data so far
	offset     [8]byte
}

func (a *assembly) begin(l Layout) error {
	if a.info == nil {
		return nil
	}
	_, err := a.info.Write(l.Header)
	return err
}

// put adds a chunk with its checksum.
func (a *assembly) put(b []byte) error {
	if a.info != nil {
		binary.BigEndian.PutUint64(a.offset[:], uint64(a.at))
		if _, err := a.info.Write(a.offset[:]); err != nil {
			return err
		}
	}
	a.at += int64(len(b))
	_, err := a.data.Write(b)
	return err
}
