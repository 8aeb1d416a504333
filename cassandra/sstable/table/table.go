package table

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/rows"
)

// Bounds of one table. The largest of a node's own is system_schema.columns: 10,000 tables of 50 columns are 500,000 rows
// of some hundred bytes and five cells.
const (
	// MaxBytes is the most plain bytes that the SSTables of a table may have together.
	MaxBytes = 64 << 20
	// MaxItems is the most partitions, rows, ranges and cells that are held.
	MaxItems = 4 << 20
	// maxComparisons bounds the rows of a partition times its range deletions, each pair of which is compared: some
	// seconds of work.
	maxComparisons = 1 << 28
)

// ErrTooLarge is wrapped by errors about tables beyond the bounds.
var ErrTooLarge = errors.New("table larger than is read into memory")

// ErrUnsupported is wrapped by errors about what this package does not merge.
var ErrUnsupported = errors.New("not supported in a table that is read from its files")

// Keys are the names of a table's key columns, in their order.
type Keys struct{ Partition, Clustering []string }

// SSTable is one SSTable of the table, of a version that [cbk/cassandra/sstable/rows] reads.
type SSTable struct {
	Version         string
	Statistics      []byte    // the whole component
	CompressionInfo io.Reader // the component, nil where the SSTable has none
	Data            io.Reader // the component
}

// Table is a table while it is read. It is not for concurrent use.
type Table struct {
	keys       Keys
	partitions map[string]*partition
	key        []rows.Type // of the partition key
	clustering []rows.Type
	now        int64 // seconds since 1970
	wins       func(a, b cell, now int64) bool

	bytes, maxBytes int64
	items, maxItems int

	bare    bool             // whether cells are held without their values
	dropped map[string]int64 // microseconds by column: cells up to then are passed over
}

// New returns an empty table as it is read at a time, which decides what has expired, by a node of 4.0 or later, or of one
// before. They differ in which of two cells wins that have the same timestamp.
func New(keys Keys, now time.Time, before4 bool) *Table {
	t := &Table{keys: keys, partitions: make(map[string]*partition), now: now.Unix(), wins: wins, maxBytes: MaxBytes, maxItems: MaxItems}
	if before4 {
		t.wins = winsBefore4
	}
	return t
}

// Add reads an SSTable and merges its rows with those that are there. After an error the table is of no use. Versions that
// are not known give an error that wraps [sstable.ErrUnsupportedVersion].
func (t *Table) Add(s SSTable) error {
	meta, err := sstable.ParseStatistics(s.Statistics, s.Version)
	if err != nil {
		return err
	}
	if err := t.setTypes(meta.Header); err != nil {
		return err
	}
	static, err := newHeads(meta.Header.Static)
	if err != nil {
		return err
	}
	regular, err := newHeads(meta.Header.Regular)
	if err != nil {
		return err
	}
	plain, err := newPlain(s)
	if err != nil {
		return err
	}
	r, err := rows.NewReader(&counted{t: t, r: plain}, s.Version, meta.Header)
	if err != nil {
		return err
	}
	return t.merge(r, static, regular)
}

// setTypes takes the types of the keys from the first SSTable and holds the others against it.
func (t *Table) setTypes(h sstable.Header) error {
	key, err := rows.ParseType(h.KeyType)
	if err != nil {
		return fmt.Errorf("partition key: %w", err)
	}
	parts := []rows.Type{key}
	if key.Class == "CompositeType" {
		parts = key.Params
	}
	var clustering []rows.Type
	for _, name := range h.ClusteringTypes {
		c, err := rows.ParseType(name)
		if err != nil {
			return fmt.Errorf("clustering column: %w", err)
		}
		clustering = append(clustering, c)
	}
	if len(parts) != len(t.keys.Partition) || len(clustering) != len(t.keys.Clustering) {
		return fmt.Errorf("%d columns of the partition key and %d clustering columns, not %d and %d: %w",
			len(parts), len(clustering), len(t.keys.Partition), len(t.keys.Clustering), rows.ErrFormat)
	}
	if t.key == nil {
		t.key, t.clustering = parts, clustering
	}
	if !sameTypes(t.key, parts) || !sameTypes(t.clustering, clustering) {
		return fmt.Errorf("SSTables with keys of different types: %w", rows.ErrFormat)
	}
	return nil
}

func sameTypes(a, b []rows.Type) bool {
	return slices.EqualFunc(a, b, func(a, b rows.Type) bool { return a.Class == b.Class && sameTypes(a.Params, b.Params) })
}

// counterClass is the type of counters.
const counterClass = "CounterColumnType"

// head is a column as a HEADER has it.
type head struct {
	name string
	kind rows.Type
}

func newHeads(columns []sstable.Column) ([]head, error) {
	var heads []head
	for _, c := range columns {
		kind, err := rows.ParseType(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		}
		if kind.Class == counterClass || kind.Class == "UserType" {
			return nil, fmt.Errorf("column %q of class %s: %w", c.Name, kind.Class, ErrUnsupported)
		}
		heads = append(heads, head{string(c.Name), kind})
	}
	return heads, nil
}

// merge reads all partitions.
func (t *Table) merge(r *rows.Reader, static, regular []head) error {
	for r.Next() {
		p, err := t.partition(r.Partition().Key)
		if err != nil {
			return err
		}
		if err := t.mergePartition(r, p, static, regular); err != nil {
			return err
		}
	}
	return r.Err()
}

// mergePartition reads the partition that r stands at.
func (t *Table) mergePartition(r *rows.Reader, p *partition, static, regular []head) (err error) {
	p.deletion = later(p.deletion, r.Partition().Deletion)
	var open *span
	for r.NextUnfiltered() {
		u := r.Unfiltered()
		heads := regular
		switch u.Kind {
		case rows.Marker:
			if open, err = t.mark(p, open, u); err != nil {
				return err
			}
			continue
		case rows.StaticRow:
			heads = static
		}
		if err := t.mergeRow(r, t.row(p, u), heads); err != nil {
			return err
		}
	}
	if r.Err() == nil && open != nil {
		return fmt.Errorf("a range deletion without its end: %w", rows.ErrFormat)
	}
	return r.Err()
}

// hold counts what is held.
func (t *Table) hold() error {
	if t.items++; t.items > t.maxItems {
		return fmt.Errorf("%w: more than %d rows and cells", ErrTooLarge, t.maxItems)
	}
	return nil
}

func (t *Table) partition(key []byte) (*partition, error) {
	p := t.partitions[string(key)]
	if p != nil {
		return p, nil
	}
	p = newPartition()
	t.partitions[string(key)] = p
	return p, t.hold()
}

// row returns the row of a partition that u is of.
func (t *Table) row(p *partition, u *rows.Unfiltered) *row {
	if u.Kind == rows.StaticRow {
		return p.static
	}
	id := identity(u.Clustering)
	have := p.rows[id]
	if have == nil {
		have = newRow(clone(u.Clustering))
		p.rows[id] = have
	}
	return have
}

// mark takes a range tombstone marker: it ends the range that is open, or opens one, or both.
func (t *Table) mark(p *partition, open *span, u *rows.Unfiltered) (*span, error) {
	at := bound{values: clone(u.Clustering), after: u.Bound == rows.InclEnd || u.Bound == rows.ExclStart || u.Bound == rows.InclEndExclStart}
	starts := u.Bound == rows.InclStart || u.Bound == rows.ExclStart
	if starts == (open != nil) {
		return nil, fmt.Errorf("bounds of range deletions out of order: %w", rows.ErrFormat)
	}
	if starts {
		return &span{from: at, deletion: u.Deletion}, nil
	}
	open.to = at
	p.spans = append(p.spans, *open)
	if u.Bound.Boundary() {
		return &span{from: at, deletion: u.Opens}, t.hold()
	}
	return nil, t.hold()
}

func (t *Table) mergeRow(r *rows.Reader, into *row, heads []head) error {
	if err := t.hold(); err != nil {
		return err
	}
	into.merge(r.Unfiltered())
	for r.NextColumn() {
		c := r.Column()
		h := heads[c.Index]
		column, err := into.column(h, c.Complex)
		if err != nil {
			return err
		}
		column.deletion = later(column.deletion, c.Deletion)
		dropped, gone := t.dropped[h.name]
		for r.NextCell() {
			if err := t.hold(); err != nil {
				return err
			}
			if in := r.Cell(); !gone || in.Timestamp > dropped {
				t.mergeCell(column, in)
			}
		}
	}
	return r.Err()
}

// identity is a text that tells clusterings apart.
func identity(values [][]byte) string {
	var b []byte
	for _, v := range values {
		if v == nil {
			b = append(b, 0xff)
			continue
		}
		n := len(v)
		b = append(b, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		b = append(b, v...)
	}
	return string(b)
}

func clone(values [][]byte) [][]byte {
	all := make([][]byte, len(values))
	for i, v := range values {
		all[i] = bytes.Clone(v)
	}
	return all
}
