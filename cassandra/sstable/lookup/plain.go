package lookup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
)

// plain is a Data.db by the positions of its plain bytes.
type plain struct {
	data   io.ReaderAt
	size   int64 // of the file
	length int64 // of the plain bytes

	// Where the file is compressed:
	format  chunk.Format
	offsets io.ReaderAt
	first   int64 // where the offsets begin
	chunks  int64
}

func newPlain(data io.ReaderAt, size int64, info io.ReaderAt, version string) (*plain, error) {
	in := bufio.NewReaderSize(io.NewSectionReader(info, 0, 1<<62), 4<<10)
	h, raw, err := sstable.ParseCompressionHeader(in, version)
	if err != nil {
		return nil, err
	}
	format, err := chunk.NewFormat(h)
	if err != nil {
		return nil, err
	}
	return &plain{
		data: data, size: size, length: h.DataLength,
		format: format, offsets: info, first: int64(len(raw)), chunks: int64(h.ChunkCount),
	}, nil
}

// from reads on from a position.
func (p *plain) from(position int64) io.Reader {
	switch {
	case position < 0 || position > p.length:
		return failing{fmt.Errorf("position %d in %d bytes", position, p.length)}
	case p.offsets == nil:
		return io.NewSectionReader(p.data, position, p.length-position)
	}
	each := int64(p.format.ChunkLength())
	return &chunks{p: p, next: position / each, skip: int(position % each), left: p.length - position}
}

type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// chunks reads the plain bytes of one chunk after the other.
type chunks struct {
	p             *plain
	next          int64 // number of the chunk to read
	skip          int   // plain bytes to leave out of it
	left          int64 // plain bytes to come
	stored, plain []byte
	unread        []byte
}

// Read implements io.Reader.
func (c *chunks) Read(b []byte) (int, error) {
	for len(c.unread) == 0 {
		if c.left == 0 {
			return 0, io.EOF
		}
		if err := c.load(); err != nil {
			return 0, fmt.Errorf("chunk %d of Data.db: %w", c.next, err)
		}
	}
	n := copy(b, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

const crcSize = 4

// load reads one chunk: stored bytes · CRC32 of them.
func (c *chunks) load() error {
	from, to, err := c.p.bounds(c.next)
	if err != nil {
		return err
	}
	if n := int(to - from); cap(c.stored) < n {
		c.stored = make([]byte, n)
	}
	c.stored = c.stored[:to-from]
	if n, err := c.p.data.ReadAt(c.stored, from); n < len(c.stored) {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	body := c.stored[:len(c.stored)-crcSize]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(c.stored[len(body):]) {
		return errors.New("wrong checksum")
	}
	if c.plain, err = c.p.format.Decode(c.plain, body); err != nil {
		return err
	}
	if len(c.plain) <= c.skip {
		return io.ErrUnexpectedEOF
	}
	c.unread = c.plain[c.skip:]
	// The last chunk may be followed by padding.
	c.unread = c.unread[:min(int64(len(c.unread)), c.left)]
	c.left -= int64(len(c.unread))
	c.skip = 0
	c.next++
	return nil
}

// bounds tells where a chunk begins and ends in the file. No compressor doubles what it is given.
func (p *plain) bounds(number int64) (from, to int64, err error) {
	if number >= p.chunks {
		return 0, 0, io.ErrUnexpectedEOF
	}
	b := make([]byte, 16)
	if number+1 == p.chunks {
		b = b[:8]
	}
	if n, err := p.offsets.ReadAt(b, p.first+8*number); n < len(b) {
		return 0, 0, errors.Join(io.ErrUnexpectedEOF, err)
	}
	from, to = int64(binary.BigEndian.Uint64(b)), p.size
	if len(b) == 16 {
		to = int64(binary.BigEndian.Uint64(b[8:]))
	}
	if most := 2*int64(p.format.ChunkLength()) + 1024; from < 0 || to > p.size || to-from < crcSize || to-from > most {
		return 0, 0, fmt.Errorf("from %d to %d of %d bytes", from, to, p.size)
	}
	return from, to, nil
}
