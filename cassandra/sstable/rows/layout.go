package rows

import (
	"fmt"

	"cbk/cassandra/sstable"
)

// layout is what of a version and a HEADER decides how bytes are read.
type layout struct {
	// markedFirst: the deletion of a partition is one byte if there is none, and
	// the timestamp stands before the seconds. Since oa and da.
	markedFirst bool

	minTimestamp int64
	minLocal     uint32
	minTTL       int32

	clustering      []int // length of each value, or Variable
	static, regular columnSet
}

// columnSet are the columns of static or of other rows.
type columnSet struct {
	columns []column
	all     []int // 0, 1, … of columns
}

type column struct {
	length  int // of a value, or Variable
	complex bool
}

func newLayout(version string, h sstable.Header) (*layout, error) {
	l := &layout{
		minTimestamp: h.MinTimestamp,
		minLocal:     uint32(h.MinLocalDeletionTime),
		minTTL:       int32(h.MinTTL),
	}
	switch version {
	case "ma", "mb", "mc", "md", "me", "na", "nb":
	case "oa", "da":
		l.markedFirst = true
	default:
		return nil, fmt.Errorf("rows: %w %q", sstable.ErrUnsupportedVersion, version)
	}
	for _, name := range h.ClusteringTypes {
		c, err := newColumn(name)
		if err != nil {
			return nil, fmt.Errorf("clustering column: %w", err)
		}
		l.clustering = append(l.clustering, c.length)
	}
	var err error
	if l.static, err = newColumnSet(h.Static); err != nil {
		return nil, err
	}
	l.regular, err = newColumnSet(h.Regular)
	return l, err
}

func newColumnSet(columns []sstable.Column) (s columnSet, err error) {
	for i, c := range columns {
		col, err := newColumn(c.Type)
		if err != nil {
			return s, fmt.Errorf("column %q: %w", clip(string(c.Name)), err)
		}
		s.columns = append(s.columns, col)
		s.all = append(s.all, i)
	}
	return s, nil
}

func newColumn(class string) (column, error) {
	t, err := ParseType(class)
	if err != nil {
		return column{}, err
	}
	n, err := t.FixedLength()
	return column{length: n, complex: t.MultiCell()}, err
}

// columnsOf returns the columns that rows of a kind may have.
func (l *layout) columnsOf(k Kind) *columnSet {
	if k == StaticRow {
		return &l.static
	}
	return &l.regular
}

// The differences below wrap around as Cassandra's do: a value under the minimum
// takes nine bytes and comes back.

func (l *layout) readTimestamp(c *cursor) int64 { return l.minTimestamp + int64(c.vint()) }
func (l *layout) readLocal(c *cursor) uint32    { return l.minLocal + c.vint32() }
func (l *layout) readTTL(c *cursor) int32       { return l.minTTL + int32(c.vint32()) }

func (l *layout) readDeletion(c *cursor) DeletionTime {
	marked := l.readTimestamp(c)
	return DeletionTime{MarkedAt: marked, Local: l.readLocal(c)}
}

func (l *layout) appendTimestamp(b []byte, v int64) []byte {
	return appendVint(b, uint64(v-l.minTimestamp))
}

func (l *layout) appendLocal(b []byte, v uint32) []byte {
	return appendVint(b, uint64(int64(int32(v-l.minLocal))))
}

func (l *layout) appendTTL(b []byte, v int32) []byte {
	return appendVint(b, uint64(int64(v-l.minTTL)))
}

func (l *layout) appendDeletion(b []byte, d DeletionTime) []byte {
	return l.appendLocal(l.appendTimestamp(b, d.MarkedAt), d.Local)
}
