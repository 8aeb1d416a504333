package table

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
)

// counted counts the plain bytes of all SSTables of a table.
type counted struct {
	t *Table
	r io.Reader
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.t.bytes += int64(n); c.t.bytes > c.t.maxBytes {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, c.t.maxBytes)
	}
	return n, err
}

// newPlain returns the plain stream of a Data.db.
func newPlain(s SSTable) (io.Reader, error) {
	if s.CompressionInfo == nil {
		return s.Data, nil
	}
	info := bufio.NewReader(s.CompressionInfo)
	h, _, err := sstable.ParseCompressionHeader(info, s.Version)
	if err != nil {
		return nil, err
	}
	format, err := chunk.NewFormat(h)
	if err != nil {
		return nil, err
	}
	offsets, err := sstable.NewOffsets(info, h, s.Version)
	if err != nil {
		return nil, err
	}
	c := &chunks{format: format, offsets: offsets, data: s.Data, left: h.DataLength}
	_, err = c.begin()
	return c, err
}

// chunks reads the plain bytes of chunks, each of which is verified against the CRC32 behind it.
type chunks struct {
	format  chunk.Format
	offsets *sstable.Offsets
	data    io.Reader
	at      int64 // where the next chunk begins
	last    bool  // it was the last one
	left    int64 // plain bytes to come
	file    bytes.Buffer
	plain   []byte
	unread  []byte
}

const crcSize = 4

// begin reads where the next chunk begins.
func (c *chunks) begin() (int64, error) {
	at, err := c.offsets.Next()
	if errors.Is(err, io.EOF) {
		c.last, err = true, nil
	}
	return at, err
}

// Read implements io.Reader.
func (c *chunks) Read(p []byte) (int, error) {
	for len(c.unread) == 0 {
		if c.last && c.left > 0 {
			return 0, io.ErrUnexpectedEOF
		}
		if c.last {
			return 0, io.EOF
		}
		if err := c.load(); err != nil {
			return 0, fmt.Errorf("chunk at %d of Data.db: %w", c.at, err)
		}
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// load reads one chunk: up to where the next one begins, or to the end. No compressor doubles what it is given.
func (c *chunks) load() error {
	next, err := c.begin()
	if err != nil {
		return err
	}
	most := 2*int64(c.format.ChunkLength()) + 1024
	size := most
	if !c.last {
		size = next - c.at
	}
	c.file.Reset()
	n, err := io.Copy(&c.file, io.LimitReader(c.data, min(size, most)))
	if err != nil {
		return err
	}
	if n < crcSize || !c.last && n != size {
		return io.ErrUnexpectedEOF
	}
	stored, sum := c.file.Bytes()[:n-crcSize], c.file.Bytes()[n-crcSize:]
	if crc32.ChecksumIEEE(stored) != bigEndian.Uint32(sum) {
		return errors.New("wrong checksum")
	}
	if c.plain, err = c.format.Decode(c.plain, stored); err != nil {
		return err
	}
	// The last chunk may be followed by padding.
	c.unread = c.plain[:min(int64(len(c.plain)), c.left)]
	c.left -= int64(len(c.unread))
	c.at = next
	return nil
}
