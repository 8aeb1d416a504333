package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"cbk/cassandra/sstable"
)

// ErrOrder is wrapped by errors about values a Writer was given that do not fit one
// another or the header: a cell without its column, a key of 64 KiB, a value of another
// length than its type's.
var ErrOrder = errors.New("not a row that can be written")

// Writer writes the plain stream of a Data.db from what a [Reader] yields. Calls come in
// the order of the stream: Partition, then for each row Unfiltered, Column and Cell, and
// EndPartition. After an error a Writer is of no use. It is not for concurrent use.
type Writer struct {
	dst    io.Writer
	layout *layout
	out    []byte // not yet handed to dst
	// written counts the bytes handed to dst.
	written int64

	start    int64 // of the partition
	previous int64 // where the unfiltered before began, relative to the partition
	inside   bool
	// needStatic: the static row has to follow.
	needStatic bool

	row       Unfiltered // its flags, times and columns, without spans
	head      []byte     // the row up to its clustering
	body      []byte     // the row behind its previous size
	present   []int
	open      bool // a row whose columns may follow
	next      int  // position in present of the column to come
	column    Column
	cellsLeft int
}

// NewWriter returns a writer to dst for a version such as "nb". The minima of header are
// what times are written against; the best ones are the least of all times written, but
// any will do.
func NewWriter(dst io.Writer, version string, header sstable.Header) (*Writer, error) {
	l, err := newLayout(version, header)
	if err != nil {
		return nil, err
	}
	return &Writer{dst: dst, layout: l}, nil
}

// Position returns how many bytes were written: the offset of what comes next.
func (w *Writer) Position() int64 { return w.written + int64(len(w.out)) }

// Partition starts a partition. It looks at p's Key and Deletion only.
func (w *Writer) Partition(p *Partition) error {
	switch {
	case w.inside:
		return fmt.Errorf("partition inside a partition: %w", ErrOrder)
	case len(p.Key) > math.MaxUint16:
		return fmt.Errorf("key of %d bytes: %w", len(p.Key), ErrOrder)
	case w.layout.markedFirst && !p.Deletion.Live() && p.Deletion.MarkedAt < 0:
		return fmt.Errorf("partition deleted at negative %d: %w", p.Deletion.MarkedAt, ErrOrder)
	}
	w.start, w.previous, w.inside = w.Position(), 0, true
	w.needStatic = len(w.layout.static.columns) > 0
	w.out = binary.BigEndian.AppendUint16(w.out, uint16(len(p.Key)))
	w.out = append(w.out, p.Key...)
	w.out = w.layout.appendPartitionDeletion(w.out, p.Deletion)
	return nil
}

// appendPartitionDeletion is the inverse of Reader.partitionDeletion.
func (l *layout) appendPartitionDeletion(b []byte, d DeletionTime) []byte {
	switch {
	case l.markedFirst && d.Live():
		return append(b, liveMark)
	case l.markedFirst:
		b = binary.BigEndian.AppendUint64(b, uint64(d.MarkedAt))
		return binary.BigEndian.AppendUint32(b, d.Local)
	case d.Live():
		d.Local = LegacyNoDeletion
	}
	b = binary.BigEndian.AppendUint32(b, d.Local)
	return binary.BigEndian.AppendUint64(b, uint64(d.MarkedAt))
}

// EndPartition ends the partition and its last row.
func (w *Writer) EndPartition() error {
	if !w.inside || w.needStatic {
		return fmt.Errorf("end of no partition or before its static row: %w", ErrOrder)
	}
	if err := w.endRow(); err != nil {
		return err
	}
	w.inside = false
	w.out = append(w.out, EndOfPartition)
	return w.spill()
}

// Flush hands all that is written to dst.
func (w *Writer) Flush() error {
	n, err := w.dst.Write(w.out)
	w.written += int64(n)
	w.out = w.out[:copy(w.out, w.out[n:])]
	if err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	return nil
}

// outSize is how much a Writer gathers before it hands it on.
const outSize = 64 << 10

func (w *Writer) spill() error {
	if len(w.out) < outSize {
		return nil
	}
	return w.Flush()
}

// Unfiltered writes a marker or starts a row, whose Columns then follow one by one. It
// looks neither at Raw nor at Position. A static row has to come first if the header has
// static columns.
func (w *Writer) Unfiltered(u *Unfiltered) error {
	if !w.inside || w.needStatic != (u.Kind == StaticRow) {
		return fmt.Errorf("row outside of a partition or static row out of turn: %w", ErrOrder)
	}
	if err := w.endRow(); err != nil {
		return err
	}
	w.needStatic = false
	w.head, w.body = w.head[:0], w.body[:0]
	if u.Kind == Marker {
		return w.marker(u)
	}
	return w.startRow(u)
}

func (w *Writer) marker(u *Unfiltered) error {
	if !u.Bound.valid() || len(u.Clustering) > len(w.layout.clustering) {
		return fmt.Errorf("bound %d of %d values: %w", u.Bound, len(u.Clustering), ErrOrder)
	}
	w.head = append(w.head, flagMarker, byte(u.Bound))
	w.head = binary.BigEndian.AppendUint16(w.head, uint16(len(u.Clustering)))
	if err := w.clustering(u.Clustering); err != nil {
		return err
	}
	w.body = w.layout.appendDeletion(w.body, u.Deletion)
	if u.Bound.Boundary() {
		w.body = w.layout.appendDeletion(w.body, u.Opens)
	}
	return w.emit(Marker)
}

func (w *Writer) startRow(u *Unfiltered) error {
	set := w.layout.columnsOf(u.Kind)
	w.present = append(w.present[:0], u.Columns...)
	last := -1
	for _, i := range w.present {
		if i <= last || i >= len(set.columns) {
			return fmt.Errorf("column %d after %d of %d: %w", i, last, len(set.columns), ErrOrder)
		}
		last = i
	}
	if u.Liveness.Expiring && u.Liveness.Timestamp == NoTimestamp || u.Shadowable && u.Deletion.Live() {
		return fmt.Errorf("expiry without liveness or shadowable without deletion: %w", ErrOrder)
	}
	w.row = *u
	w.row.Raw, w.row.Clustering, w.row.Columns = nil, nil, w.present
	w.open, w.next, w.cellsLeft = true, 0, 0
	flags, ext := rowFlags(u, len(set.columns))
	if w.head = append(w.head, flags); ext != 0 {
		w.head = append(w.head, ext)
	}
	w.rowTimes(u, flags)
	if flags&flagAllColumns == 0 {
		w.body = appendColumns(w.body, w.present, len(set.columns))
	}
	if u.Kind == StaticRow {
		return nil
	}
	if len(u.Clustering) != len(w.layout.clustering) {
		return fmt.Errorf("%d of %d clustering values: %w", len(u.Clustering), len(w.layout.clustering), ErrOrder)
	}
	return w.clustering(u.Clustering)
}

// rowFlags finds the flags from the contents, as Cassandra does.
func rowFlags(u *Unfiltered, columns int) (flags, ext byte) {
	set := func(f byte, on bool) {
		if on {
			flags |= f
		}
	}
	if u.Kind == StaticRow {
		ext = extStatic
	}
	if u.Shadowable {
		ext |= extShadowable
	}
	set(flagTimestamp, u.Liveness.Timestamp != NoTimestamp)
	set(flagTTL, u.Liveness.Expiring)
	set(flagDeletion, !u.Deletion.Live())
	set(flagAllColumns, len(u.Columns) == columns)
	set(flagComplexDeletion, u.ComplexDeletion)
	set(flagExtension, ext != 0)
	return flags, ext
}

func (w *Writer) rowTimes(u *Unfiltered, flags byte) {
	if flags&flagTimestamp != 0 {
		w.body = w.layout.appendTimestamp(w.body, u.Liveness.Timestamp)
	}
	if flags&flagTTL != 0 {
		w.body = w.layout.appendTTL(w.body, u.Liveness.TTL)
		w.body = w.layout.appendLocal(w.body, u.Liveness.Expiration)
	}
	if flags&flagDeletion != 0 {
		w.body = w.layout.appendDeletion(w.body, u.Deletion)
	}
}

func (w *Writer) clustering(values [][]byte) error {
	for i, v := range values {
		if i%headerValues == 0 {
			w.head = appendVint(w.head, clusteringHeader(values[i:min(len(values), i+headerValues)]))
		}
		if len(v) == 0 {
			continue
		}
		var err error
		if w.head, err = appendValue(w.head, v, w.layout.clustering[i]); err != nil {
			return fmt.Errorf("clustering value %d: %w", i, err)
		}
	}
	return nil
}

func clusteringHeader(values [][]byte) (header uint64) {
	for i, v := range values {
		switch {
		case v == nil:
			header |= 2 << (2 * i)
		case len(v) == 0:
			header |= 1 << (2 * i)
		}
	}
	return header
}

func appendValue(b, v []byte, length int) ([]byte, error) {
	if length == Variable {
		b = appendVint(b, uint64(len(v)))
	} else if len(v) != length {
		return b, fmt.Errorf("value of %d bytes in place of %d: %w", len(v), length, ErrOrder)
	}
	return append(b, v...), nil
}
