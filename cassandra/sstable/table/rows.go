package table

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"cbk/cassandra/sstable/rows"
)

// Row is one row of a table by column name. A column without a value is missing. Values have these types:
//
//	text, ascii, varchar   string        inet        net.IP
//	boolean                bool          timestamp   time.Time, UTC
//	tinyint .. int         int           blob        []byte
//	bigint                 int64         list, set   []T of the above, a set in Cassandra's order
//	float, double          float64       map         map[string]T of the above
//	uuid, timeuuid         [16]byte      any other   []byte, as stored
//
// A collection may hold collections. The keys of a map are strings of their bytes as stored: of text, the text.
type Row map[string]any

// Rows returns the rows there are. Their order is the same each time, and has no meaning. Where a partition has values in static columns and no row, there is a row without clustering columns.
func (t *Table) Rows() ([]Row, error) {
	var all []Row
	for _, key := range slices.Sorted(maps.Keys(t.partitions)) {
		list, err := t.rowsOf([]byte(key), t.partitions[key])
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

func (t *Table) rowsOf(key []byte, p *partition) ([]Row, error) {
	shared, err := t.keyValues(key)
	if err != nil {
		return nil, fmt.Errorf("partition key: %w", err)
	}
	before := len(shared)
	_, active := p.static.alive(p.deletion, t.now)
	if err := p.static.values(shared, active, t.now); err != nil {
		return nil, err
	}
	if len(p.rows)*len(p.spans) > maxComparisons {
		return nil, fmt.Errorf("%w: %d rows and %d range deletions in a partition", ErrTooLarge, len(p.rows), len(p.spans))
	}
	var all []Row
	for _, id := range slices.Sorted(maps.Keys(p.rows)) {
		r, err := t.rowOf(p, p.rows[id])
		if err != nil {
			return nil, err
		}
		if r != nil {
			maps.Copy(r, shared)
			all = append(all, r)
		}
	}
	if len(all) == 0 && len(shared) > before {
		all = []Row{shared}
	}
	return all, nil
}

// rowOf returns clustering and regular columns of a row, nil where there is no row.
func (t *Table) rowOf(p *partition, r *row) (Row, error) {
	active, err := t.activeFor(p, r)
	if err != nil {
		return nil, err
	}
	there, active := r.alive(active, t.now)
	out := make(Row)
	if err := r.values(out, active, t.now); err != nil {
		return nil, err
	}
	if !there && len(out) == 0 {
		return nil, nil
	}
	for i, v := range r.clustering {
		if err := out.set(t.keys.Clustering[i], t.clustering[i], v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// activeFor is the deletion that the partition and its ranges put a row under.
func (t *Table) activeFor(p *partition, r *row) (rows.DeletionTime, error) {
	active := p.deletion
	for _, s := range p.spans {
		in, err := t.within(s, r.clustering)
		if err != nil {
			return active, err
		}
		if in {
			active = later(active, s.deletion)
		}
	}
	return active, nil
}

// values adds the values of the columns to a row.
func (r *row) values(to Row, active rows.DeletionTime, now int64) error {
	for name, c := range r.columns {
		if c.complex {
			v, err := c.collection(later(active, c.deletion), now)
			if err != nil {
				return fmt.Errorf("column %q: %w", name, err)
			}
			if v != nil {
				to[name] = v
			}
			continue
		}
		if one := c.cells[""]; one.value != nil && one.live(active, now) {
			if err := to.set(name, c.kind, one.value); err != nil {
				return err
			}
		}
	}
	return nil
}

// set decodes a value into a column; what is null stays missing.
func (r Row) set(name string, kind rows.Type, stored []byte) error {
	v, err := decode(kind, stored)
	if err != nil {
		return fmt.Errorf("column %q: %w", name, err)
	}
	if v != nil {
		r[name] = v
	}
	return nil
}

// keyValues splits a partition key. One of several columns is, for each of them,
//
//	uint16 length · bytes · byte 0
func (t *Table) keyValues(key []byte) (Row, error) {
	r := make(Row)
	if len(t.key) == 1 {
		return r, r.set(t.keys.Partition[0], t.key[0], key)
	}
	for i, kind := range t.key {
		if len(key) < 3 || len(key) < 3+int(binary.BigEndian.Uint16(key)) {
			return nil, fmt.Errorf("cut short: %w", rows.ErrFormat)
		}
		end := 2 + int(binary.BigEndian.Uint16(key))
		if err := r.set(t.keys.Partition[i], kind, key[2:end]); err != nil {
			return nil, err
		}
		key = key[end+1:]
	}
	if len(key) > 0 {
		return nil, fmt.Errorf("%d bytes behind it: %w", len(key), rows.ErrFormat)
	}
	return r, nil
}
