package table

import (
	"errors"
	"fmt"
	"time"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/rows"
)

// Presence tells how many rows of one partition there are, without their values: so it knows counters, user types that are
// not frozen, and any type of which it need not know the order. Only where deletions of ranges meet rows of another SSTable
// does the order of the clustering columns count.
type Presence struct {
	t     *Table
	p     *partition
	opt   PresenceOptions
	typed bool
}

// PresenceOptions say what counts as a row that is there.
type PresenceOptions struct {
	// Now is when rows are looked for. Until is a later time: rows that are there at both do not expire between.
	Now, Until time.Time
	// Before4 tells that the node is older than 4.0, as for [New].
	Before4 bool
	// View tells that the table is a materialized view. In some of them cells alone make no row, which only the schema tells:
	// such rows count as there, and not as lasting.
	View bool
	// Dropped has the columns that the table has lost, and when, in microseconds since 1970: what they held before is passed over.
	Dropped map[string]int64
	// Items is the most rows, ranges and cells that are held: some 500 bytes each. Zero is [MaxItems].
	Items int
}

// Count is how many rows of a partition there are. A partition with values in static columns only has one.
type Count struct {
	Now     int // at the time asked for, at the most
	Lasting int // until the later time too, at the least
	// Cut tells that the partition was too large to be read to its end: there are these rows, and maybe more.
	Cut bool
}

// NewPresence returns the presence of a partition of which no part is known yet.
func NewPresence(o PresenceOptions) *Presence {
	t := New(Keys{}, o.Now, o.Before4)
	// Of two cells of the same time 3.x keeps one by its value, even where only the other expires.
	t.bare, t.dropped = !o.Before4, o.Dropped
	if o.Items > 0 {
		t.maxItems = o.Items
	}
	return &Presence{t: t, p: newPartition(), opt: o}
}

// Add merges the partition that r stands at. Rows of a header's types that no [rows.Reader] reads never come here; of
// those that it does read [ErrUnsupported] is possible in Count only.
func (c *Presence) Add(r *rows.Reader, h sstable.Header) error {
	if err := c.setClustering(h); err != nil {
		return err
	}
	return c.t.mergePartition(r, c.p, bareHeads(h.Static), bareHeads(h.Regular))
}

// Count counts the rows of all parts together.
func (c *Presence) Count() (Count, error) {
	if len(c.p.rows)*len(c.p.spans) > maxComparisons {
		return Count{}, fmt.Errorf("%w: %d rows and %d range deletions in a partition", ErrTooLarge, len(c.p.rows), len(c.p.spans))
	}
	n := tally{opt: &c.opt}
	n.static = n.lives(c.p.static, c.p.deletion)
	for _, r := range c.p.rows {
		active, err := c.t.activeFor(c.p, r)
		if err != nil {
			return Count{}, err
		}
		n.add(n.lives(r, active))
	}
	return n.count(), nil
}

// setClustering takes the types of the clustering columns, without those of the key.
func (c *Presence) setClustering(h sstable.Header) error {
	var clustering []rows.Type
	for _, name := range h.ClusteringTypes {
		kind, err := rows.ParseType(name)
		if err != nil {
			return fmt.Errorf("clustering column: %w", err)
		}
		clustering = append(clustering, kind)
	}
	if !c.typed {
		c.typed, c.t.clustering = true, clustering
	}
	if !sameTypes(c.t.clustering, clustering) {
		return fmt.Errorf("SSTables with keys of different types: %w", rows.ErrFormat)
	}
	return nil
}

// bareHeads are the columns of a header without their types, but for counters, which merge in a way of their own.
func bareHeads(columns []sstable.Column) []head {
	heads := make([]head, len(columns))
	for i, c := range columns {
		heads[i].name = string(c.Name)
		if kind, err := rows.ParseType(c.Type); err == nil && kind.Class == counterClass {
			heads[i].kind.Class = counterClass
		}
	}
	return heads
}

// life is whether something is there at the two times.
type life struct{ now, lasting bool }

func (l life) or(m life) life { return life{l.now || m.now, l.lasting || m.lasting} }

// tally counts rows.
type tally struct {
	opt    *PresenceOptions
	static life
	n      Count
}

func (n *tally) add(l life) {
	if l.now {
		n.n.Now++
	}
	if l.now && l.lasting {
		n.n.Lasting++
	}
}

// count is the sum. A partition of static columns alone is one row in the answer to a query.
func (n *tally) count() Count {
	if n.n.Now == 0 && n.static.now {
		n.n.Now = 1
	}
	if n.n.Lasting == 0 && n.static.lasting {
		n.n.Lasting = 1
	}
	return n.n
}

// self is the life that a row has by its liveness, and what deletion its cells are under.
func (n *tally) self(r *row, active rows.DeletionTime) (life, rows.DeletionTime) {
	now, under := r.alive(active, n.opt.Now.Unix())
	lasting, _ := r.alive(active, n.opt.Until.Unix())
	return life{now, lasting}, under
}

// cell is the life that a cell gives its row.
func (n *tally) cell(c cell, under rows.DeletionTime) life {
	return life{c.live(under, n.opt.Now.Unix()), !n.opt.View && c.live(under, n.opt.Until.Unix())}
}

func (n *tally) lives(r *row, active rows.DeletionTime) life {
	l, under := n.self(r, active)
	for _, column := range r.columns {
		own := under
		if column.complex {
			own = later(under, column.deletion)
		}
		for _, c := range column.cells {
			l = l.or(n.cell(c, own))
		}
	}
	return l
}

// CountPartition counts the rows of the partition that r stands at and that no other SSTable has a part of. It holds one row
// at a time, so that a partition may have any size; where r ends with [ErrTooLarge] the count is cut there.
func CountPartition(r *rows.Reader, h sstable.Header, o PresenceOptions) (Count, error) {
	n := tally{opt: &o}
	open := rows.Live
	for r.NextUnfiltered() {
		u := r.Unfiltered()
		if u.Kind == rows.Marker {
			open = opened(u)
			continue
		}
		columns := h.Regular
		if u.Kind == rows.StaticRow {
			columns = h.Static
		}
		l := n.stream(r, columns, later(r.Partition().Deletion, open))
		if u.Kind == rows.StaticRow {
			n.static = l
			continue
		}
		n.add(l)
	}
	if cut := errors.Is(r.Err(), ErrTooLarge) || errors.Is(r.Err(), rows.ErrTooLarge); cut || r.Err() == nil {
		n.n.Cut = cut
		return n.count(), nil
	}
	return Count{}, r.Err()
}

// opened is the deletion that holds behind a marker.
func opened(u *rows.Unfiltered) rows.DeletionTime {
	switch {
	case u.Bound.Boundary():
		return u.Opens
	case u.Bound == rows.InclStart || u.Bound == rows.ExclStart:
		return u.Deletion
	}
	return rows.Live
}

// stream is lives of the row that r stands at. It reads no further than it must.
func (n *tally) stream(r *rows.Reader, columns []sstable.Column, active rows.DeletionTime) life {
	u := r.Unfiltered()
	one := row{liveness: u.Liveness, deletion: u.Deletion, shadowable: u.Shadowable}
	l, under := n.self(&one, active)
	for !(l.now && l.lasting) && r.NextColumn() {
		c := r.Column()
		own, dropped, gone := under, int64(0), false
		if c.Complex {
			own = later(under, c.Deletion)
		}
		if len(n.opt.Dropped) > 0 {
			dropped, gone = n.opt.Dropped[string(columns[c.Index].Name)]
		}
		for r.NextCell() {
			if in := r.Cell(); !gone || in.Timestamp > dropped {
				l = l.or(n.cell(newCell(in), own))
			}
		}
	}
	return l
}
