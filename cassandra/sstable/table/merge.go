package table

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"

	"cbk/cassandra/sstable/rows"
)

// partition is a partition merged over SSTables. Nothing is dropped before all are there, for a deletion may come with
// any of them.
type partition struct {
	deletion rows.DeletionTime
	static   *row
	rows     map[string]*row // by identity of the clustering
	spans    []span
}

// span is a range deletion.
type span struct {
	from, to bound
	deletion rows.DeletionTime
}

// bound is a place between clusterings: before all that begin with the values, or after all of them.
type bound struct {
	values [][]byte
	after  bool
}

type row struct {
	clustering [][]byte
	liveness   rows.Liveness
	deletion   rows.DeletionTime
	shadowable bool
	columns    map[string]*column
}

// column is one column of a row; a simple one has its cell at the empty path.
type column struct {
	kind     rows.Type
	complex  bool
	deletion rows.DeletionTime
	cells    map[string]cell
}

type cell struct {
	timestamp int64
	local     uint32
	ttl       int32
	deleted   bool
	value     []byte
}

func newPartition() *partition {
	return &partition{deletion: rows.Live, static: newRow(nil), rows: make(map[string]*row)}
}

func newRow(clustering [][]byte) *row {
	return &row{
		clustering: clustering,
		liveness:   rows.Liveness{Timestamp: rows.NoTimestamp, Expiration: rows.NoDeletion},
		deletion:   rows.Live,
		columns:    make(map[string]*column),
	}
}

// later returns the deletion that covers more (DeletionTime.supersedes).
func later(a, b rows.DeletionTime) rows.DeletionTime {
	if b.MarkedAt > a.MarkedAt || b.MarkedAt == a.MarkedAt && b.Local > a.Local && !b.Live() {
		return b
	}
	return a
}

// merge takes the liveness and the deletion of u where they win (Row.Merger).
func (r *row) merge(u *rows.Unfiltered) {
	if newer(u.Liveness, r.liveness) {
		r.liveness = u.Liveness
	}
	if d := later(r.deletion, u.Deletion); d != r.deletion {
		r.deletion, r.shadowable = d, u.Shadowable
	}
}

// expiredTTL marks a liveness that was written already expired, as views do.
const expiredTTL = math.MaxInt32

// newer is LivenessInfo.supersedes.
func newer(a, b rows.Liveness) bool {
	aExpired, bExpired := a.Expiring && a.TTL == expiredTTL, b.Expiring && b.TTL == expiredTTL
	switch {
	case a.Timestamp != b.Timestamp:
		return a.Timestamp > b.Timestamp
	case aExpired != bExpired:
		return aExpired
	case a.Expiring == b.Expiring:
		return a.Expiration > b.Expiration
	}
	return a.Expiring
}

// column returns the column of the row. A newer SSTable may know another type, but not another shape.
func (r *row) column(h head, complex bool) (*column, error) {
	c := r.columns[h.name]
	if c == nil {
		c = &column{kind: h.kind, complex: complex, deletion: rows.Live, cells: make(map[string]cell)}
		r.columns[h.name] = c
	}
	if c.complex != complex || !sameTypes([]rows.Type{c.kind}, []rows.Type{h.kind}) {
		return nil, fmt.Errorf("column %q has different types in two SSTables: %w", h.name, rows.ErrFormat)
	}
	return c, nil
}

func (t *Table) mergeCell(c *column, in *rows.Cell) {
	add, wins := newCell(in), t.wins
	if c.kind.Class == counterClass {
		wins = winsCounter
	}
	have, ok := c.cells[string(in.Path)]
	if ok && !wins(add, have, t.now) {
		return
	}
	// Of a value that is there and empty the reader says nil too.
	add.value = nil
	if !t.bare {
		add.value = append([]byte{}, in.Value...)
	}
	c.cells[string(in.Path)] = add
}

// newCell is a cell as the reader has it, with the reader's value.
func newCell(in *rows.Cell) cell {
	return cell{timestamp: in.Timestamp, local: in.Local, ttl: in.TTL, deleted: in.Flags&rows.CellDeleted != 0, value: in.Value}
}

// winsCounter tells which of two cells of a counter decides whether it is there: a deletion is for ever, whatever its time
// (Cells.resolveCounter). The shards of those that are there would be added up.
func winsCounter(a, b cell, _ int64) bool {
	if a.deleted != b.deleted {
		return a.deleted
	}
	return a.timestamp > b.timestamp
}

// wins tells whether a is kept of two cells (Cells.resolveRegular). At the same timestamp whatever will be a deletion some
// day goes before a plain value: the outcome must not hang on when it is asked for.
func wins(a, b cell, _ int64) bool {
	aGoes, bGoes := a.local != rows.NoDeletion, b.local != rows.NoDeletion
	switch {
	case a.timestamp != b.timestamp:
		return a.timestamp > b.timestamp
	case aGoes != bGoes:
		return aGoes
	case aGoes && a.deleted != b.deleted:
		return a.deleted
	case aGoes && a.local != b.local:
		return a.local > b.local
	case aGoes && !a.deleted && a.ttl != b.ttl:
		return a.ttl < b.ttl
	}
	return bytes.Compare(a.value, b.value) > 0
}

// winsBefore4 is what 3.x has for wins (Conflicts.resolveRegular). There the bytes of values count as signed.
func winsBefore4(a, b cell, now int64) bool {
	value := slices.CompareFunc(a.value, b.value, func(a, b byte) int { return cmp.Compare(int8(a), int8(b)) })
	switch aLive, bLive := a.live(rows.Live, now), b.live(rows.Live, now); {
	case a.timestamp != b.timestamp:
		return a.timestamp > b.timestamp
	case aLive != bLive:
		return bLive
	case value != 0:
		return value > 0
	}
	return a.local > b.local
}

// live tells whether the cell is there at a time.
func (c cell) live(active rows.DeletionTime, now int64) bool {
	return !c.deleted && !covers(active, c.timestamp) && (c.local == rows.NoDeletion || now < int64(c.local))
}

// covers tells whether a deletion is of what was written at a timestamp.
func covers(d rows.DeletionTime, timestamp int64) bool {
	return !d.Live() && timestamp <= d.MarkedAt
}

// alive returns whether the row is there for itself, and the deletion that its cells are under, which the partition and
// its ranges begin.
func (r *row) alive(active rows.DeletionTime, now int64) (bool, rows.DeletionTime) {
	own := r.deletion
	if r.shadowable && r.liveness.Timestamp > own.MarkedAt {
		own = rows.Live
	}
	active = later(active, own)
	l := r.liveness
	there := l.Timestamp != rows.NoTimestamp && !covers(active, l.Timestamp)
	if l.Expiring {
		there = there && l.TTL != expiredTTL && now < int64(l.Expiration)
	}
	return there, active
}
