package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"cbk/cassandra/sstable"
)

// Reader reads the plain stream of a Data.db. Its methods follow one another as
// nested loops; what they return is valid until the next call of the same method or
// of one further out. It is not for concurrent use.
type Reader struct {
	layout *layout
	window window
	limit  int // MaxUnfiltered, but for tests
	err    error
	loose  bool // whether something before body was not canonical

	partition Partition
	header    []byte // bytes behind partition
	inside    bool   // rows of partition may follow
	atStatic  bool   // its static row follows

	unfiltered Unfiltered
	size       int   // bytes of the unfiltered the window stands at
	previous   int64 // where the unfiltered before began, relative to the partition
	clustering [][]byte
	present    []int

	body      cursor   // columns of the row
	columns   []column // of the header, for the row
	next      int      // position in unfiltered.Columns of the column to come
	column    Column
	length    int // of the column's values
	cellsLeft int
	cell      Cell
}

// NewReader returns a reader of src for a version such as "nb". Columns of types that
// are not known are an error that wraps [ErrType], versions one that wraps
// [sstable.ErrUnsupportedVersion].
func NewReader(src io.Reader, version string, header sstable.Header) (*Reader, error) {
	l, err := newLayout(version, header)
	if err != nil {
		return nil, err
	}
	return &Reader{
		layout:     l,
		window:     window{src: src},
		limit:      MaxUnfiltered,
		clustering: make([][]byte, len(l.clustering)),
		present:    make([]int, max(len(l.static.columns), len(l.regular.columns))),
	}, nil
}

// Err returns the error that ended a loop: nil at the end of the stream, one that
// wraps [ErrFormat] or [ErrTooLarge], or the source's own.
func (r *Reader) Err() error { return r.err }

// Canonical tells whether all that was visited is written the way Cassandra writes
// it, so that a [Writer] comes to the same bytes. A caller that relies on it visits
// every cell.
func (r *Reader) Canonical() bool { return !r.loose && !r.body.loose }

// Partition returns the partition Next came to.
func (r *Reader) Partition() *Partition { return &r.partition }

// Unfiltered returns the row or marker NextUnfiltered came to.
func (r *Reader) Unfiltered() *Unfiltered { return &r.unfiltered }

// Next goes to the next partition, over what is left of the present one.
func (r *Reader) Next() bool {
	for r.NextUnfiltered() {
	}
	if r.err != nil {
		return false
	}
	if err := r.window.fill(1); err != nil {
		if !errors.Is(err, io.EOF) {
			r.fail("partition", err)
		}
		return false
	}
	return r.readPartition()
}

func (r *Reader) readPartition() bool {
	var c cursor
	for {
		c = cursor{b: r.window.unread()}
		r.partition.Key = c.bytes(c.uint16())
		r.partition.Deletion = r.partitionDeletion(&c)
		if !c.short {
			break
		}
		if err := r.more(len(r.window.unread()) + 1); err != nil {
			return r.fail("partition", err)
		}
	}
	if c.bad != "" {
		return r.fail("partition", fmt.Errorf("%w: %s", ErrFormat, c.bad))
	}
	r.loose = r.loose || c.loose
	// A copy, for the rows push the window on.
	r.header = append(r.header[:0], c.b[:c.i]...)
	r.partition.Raw = r.header
	r.partition.Key = r.header[2 : 2+len(r.partition.Key)]
	r.partition.Position = r.window.position
	r.window.pass(c.i)
	r.inside, r.atStatic = true, len(r.layout.static.columns) > 0
	r.previous, r.size = 0, 0
	return true
}

// partitionDeletion reads the deletion time of a partition:
//
//	until nb   seconds 4, timestamp 8; 0x7fffffff and -2^63 if live
//	since oa   0x80 if live, otherwise timestamp 8, which is positive, seconds 4
func (r *Reader) partitionDeletion(c *cursor) DeletionTime {
	if r.layout.markedFirst {
		return readMarkedFirst(c)
	}
	b := c.bytes(12)
	if b == nil {
		return Live
	}
	d := DeletionTime{
		MarkedAt: int64(binary.BigEndian.Uint64(b[4:])),
		Local:    binary.BigEndian.Uint32(b),
	}
	if d.Live() {
		c.loose = c.loose || d.Local != LegacyNoDeletion
		return Live
	}
	return d
}

const liveMark = 0x80

func readMarkedFirst(c *cursor) DeletionTime {
	first := c.uint8()
	switch {
	case first == liveMark || c.failed():
		return Live
	case first > liveMark:
		c.fail("unknown flags before a partition's deletion time")
		return Live
	}
	c.i--
	b := c.bytes(12)
	if b == nil {
		return Live
	}
	return DeletionTime{
		MarkedAt: int64(binary.BigEndian.Uint64(b)),
		Local:    binary.BigEndian.Uint32(b[8:]),
	}
}

// more makes n bytes unread or says why not.
func (r *Reader) more(n int) error {
	if n > r.limit {
		return ErrTooLarge
	}
	err := r.window.fill(n)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrFormat, io.ErrUnexpectedEOF)
	}
	return err
}

// fail ends all loops, and is false to end one.
func (r *Reader) fail(what string, err error) bool {
	if r.err == nil {
		r.err = fmt.Errorf("%s at %d: %w", what, r.window.position, err)
	}
	r.inside, r.cellsLeft, r.next = false, 0, 0
	r.unfiltered.Columns = nil
	return false
}
