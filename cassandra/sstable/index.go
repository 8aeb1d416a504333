package sstable

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// Deletion is what removes all that is older than it.
type Deletion struct {
	MarkedAt          int64 // microseconds since 1970
	LocalDeletionTime int64 // seconds since 1970
}

// NoDeletion is the deletion that removes nothing.
var NoDeletion = Deletion{MarkedAt: math.MinInt64, LocalDeletionTime: NoDeletionTime}

// IndexEntry says where a partition starts.
type IndexEntry struct {
	Key      []byte // the reader's until its next call
	Position int64  // in the plain bytes of Data.db

	// A partition of more than 64 KiB or what the node's column_index_size says is
	// indexed within: it has a promoted index, else all of these are zero. Before
	// ma only its size is told.
	PromotedSize int64 // bytes of it, for [IndexReader.Promoted]
	HeaderLength int64 // bytes of the partition before its first row
	Deletion     Deletion
	Blocks       int // blocks of rows it describes
}

// IndexReader reads Index.db of the big format, in its order, which is that of the
// partitions in Data.db. It holds one key at a time, and none of the promoted
// indexes, which grow with their partitions.
//
//	uint16 length · key · vint position · vint size · size bytes promoted index
//
// and, up to 2.2, an int64 position and an int32 size. A promoted index is
//
//	vint header length · deletion · vint n · n × block · n × int32 start of a block
//
// with a deletion of an int32 (seconds) and an int64 (microseconds), or since oa of
// the byte 0x80 for none, else of the int64 and a uint32.
type IndexReader struct {
	r        *bufio.Reader
	layout   string
	key      [math.MaxUint16]byte
	promoted io.LimitedReader // what is left of the entry's
	last     int64
	begun    bool
}

// NewIndexReader starts at the first entry of an Index.db. The version is one of a
// big format; bti has no such file.
func NewIndexReader(r io.Reader, version string) (*IndexReader, error) {
	layout, err := layoutOf(version)
	if err == nil && layout != version {
		err = fmt.Errorf("%w %q of the bti format", ErrUnsupportedVersion, version)
	}
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	in := bufio.NewReaderSize(r, 64<<10)
	return &IndexReader{r: in, layout: layout, promoted: io.LimitedReader{R: in}}, nil
}

// Next returns the next entry, and io.EOF after the last. What was not read of the
// promoted index of the one before is passed over.
func (x *IndexReader) Next() (IndexEntry, error) {
	if _, err := io.Copy(io.Discard, &x.promoted); err != nil {
		return IndexEntry{}, fmt.Errorf("index: %w", err)
	}
	if x.promoted.N > 0 {
		return IndexEntry{}, fmt.Errorf("index: promoted index: %w", io.ErrUnexpectedEOF)
	}
	e, err := x.readEntry()
	if err == io.EOF {
		return IndexEntry{}, io.EOF
	}
	if err == nil && (e.Position < 0 || e.Position < x.last || x.begun && e.Position == x.last) {
		err = fmt.Errorf("a partition at %d follows one at %d", e.Position, x.last)
	}
	if err != nil {
		return IndexEntry{}, fmt.Errorf("index: %w", err)
	}
	x.last, x.begun = e.Position, true
	return e, nil
}

// KeyRange reads an Index.db to its end, for the first and the last key and how
// many there are; [ReadSummaryKeys] is the short way to the keys. Without a
// partition they are nil.
func KeyRange(r io.Reader, version string) (first, last []byte, count int64, err error) {
	x, err := NewIndexReader(r, version)
	if err != nil {
		return nil, nil, 0, err
	}
	for {
		e, err := x.Next()
		if err == io.EOF {
			return first, last, count, nil
		}
		if err != nil {
			return nil, nil, 0, err
		}
		if count == 0 {
			first = bytes.Clone(e.Key)
		}
		last = append(last[:0], e.Key...)
		count++
	}
}

// Promoted reads the promoted index of the entry that Next returned last, from its
// first byte.
func (x *IndexReader) Promoted() io.Reader { return &x.promoted }

func (x *IndexReader) readEntry() (e IndexEntry, err error) {
	if _, err := x.r.Peek(1); err != nil {
		return e, err
	}
	if e.Key, err = x.readKey(); err != nil {
		return e, err
	}
	size := uint64(0)
	if x.layout < "ma" {
		var b [12]byte
		if _, err := io.ReadFull(x.r, b[:]); err != nil {
			return e, unexpected(err)
		}
		e.Position, size = int64(binary.BigEndian.Uint64(b[:])), uint64(binary.BigEndian.Uint32(b[8:]))
	} else {
		var position uint64
		if position, err = readVint(x.r); err == nil {
			size, err = readVint(x.r)
		}
		if err != nil {
			return e, err
		}
		e.Position = int64(position)
	}
	if size > math.MaxInt32 {
		return e, fmt.Errorf("promoted index of %d bytes", size)
	}
	e.PromotedSize, x.promoted.N = int64(size), int64(size)
	if size > 0 && x.layout >= "ma" {
		err = x.peekPromoted(&e)
	}
	return e, err
}

func (x *IndexReader) readKey() ([]byte, error) {
	var b [2]byte
	if _, err := io.ReadFull(x.r, b[:]); err != nil {
		return nil, unexpected(err)
	}
	key := x.key[:binary.BigEndian.Uint16(b[:])]
	_, err := io.ReadFull(x.r, key)
	return key, unexpected(err)
}

// maxPromotedHead is two vints and a deletion.
const maxPromotedHead = 9 + 12 + 9

// peekPromoted reads the start of the promoted index and leaves it unread.
func (x *IndexReader) peekPromoted(e *IndexEntry) error {
	b, err := x.r.Peek(int(min(e.PromotedSize, maxPromotedHead)))
	if err != nil {
		return unexpected(err)
	}
	p, err := parsePromotedHead(&cursor{b: b}, e.PromotedSize, x.layout)
	e.HeaderLength, e.Deletion, e.Blocks = p.HeaderLength, p.Deletion, p.Blocks
	return err
}

// parsePromotedHead checks the count of blocks against the bytes there are: a block
// takes five at the least, of which four tell its start.
func parsePromotedHead(c *cursor, size int64, layout string) (e IndexEntry, err error) {
	e.HeaderLength = int64(c.vint())
	e.Deletion = parseDeletion(c, layout)
	blocks := c.vint()
	if c.err == nil && (blocks > uint64(size)/5 || e.HeaderLength < 0) {
		c.fail("%d blocks behind %d bytes", blocks, e.HeaderLength)
	}
	if c.err != nil {
		return IndexEntry{}, fmt.Errorf("promoted index of %d bytes: %w", size, c.err)
	}
	e.Blocks = int(blocks)
	return e, nil
}

// parseDeletion reads the deletion of a partition.
func parseDeletion(c *cursor, layout string) Deletion {
	if layout < "oa" {
		seconds := c.uint32()
		return Deletion{MarkedAt: c.int64(), LocalDeletionTime: deletionTime(seconds, layout)}
	}
	if len(c.b) > 0 && c.b[0] >= 0x80 {
		if flags := c.byte(); flags != 0x80 {
			c.fail("deletion with flags %02x", flags)
		}
		return NoDeletion
	}
	return Deletion{MarkedAt: c.int64(), LocalDeletionTime: deletionTime(c.uint32(), layout)}
}

// SplitPromoted returns the bytes of every block of a promoted index that was read
// whole: bound, bound, vint offset, signed vint width, open marker. The bounds take
// the table's clustering types to be read.
func SplitPromoted(b []byte, version string) ([][]byte, error) {
	layout, err := layoutOf(version)
	if err != nil {
		return nil, err
	}
	if layout < "ma" {
		return nil, fmt.Errorf("promoted index: %w %q", ErrUnsupportedVersion, version)
	}
	c := cursor{b: b}
	head, err := parsePromotedHead(&c, int64(len(b)), layout)
	if err != nil {
		return nil, err
	}
	n := 4 * head.Blocks
	if n > len(c.b) {
		return nil, fmt.Errorf("promoted index: %w", io.ErrUnexpectedEOF)
	}
	body, ends := c.b[:len(c.b)-n], cursor{b: c.b[len(c.b)-n:]}
	if head.Blocks == 0 || ends.uint32() != 0 {
		return nil, fmt.Errorf("promoted index of %d blocks does not begin with one", head.Blocks)
	}
	blocks := make([][]byte, head.Blocks)
	for i, from := 0, 0; i < head.Blocks; i++ {
		to := len(body)
		if i+1 < head.Blocks {
			to = int(ends.uint32())
		}
		if to <= from || to > len(body) {
			return nil, fmt.Errorf("promoted index: block %d from %d to %d of %d bytes", i, from, to, len(body))
		}
		blocks[i], from = body[from:to], to
	}
	return blocks, nil
}

// readVint is cursor.vint for a stream.
func readVint(r *bufio.Reader) (uint64, error) {
	first, err := r.Peek(1)
	if err != nil {
		return 0, unexpected(err)
	}
	b, err := r.Peek(vintSize(first[0]))
	if err != nil {
		return 0, unexpected(err)
	}
	c := cursor{b: b}
	v := c.vint()
	_, err = r.Discard(len(b))
	return v, err
}
