package rows

import "fmt"

// NextColumn goes to the next present column of the row, over the cells that are left
// of the one before. After the last one it checks that the row ends there.
//
// A simple column is a cell. A complex one is its deletion, if the row has the flag
// for it, the number of its cells and the cells.
func (r *Reader) NextColumn() bool {
	for r.NextCell() {
	}
	if r.err != nil || r.unfiltered.Kind == Marker || !r.inside {
		return false
	}
	if r.next >= len(r.unfiltered.Columns) {
		if r.body.i != len(r.body.b) {
			return r.fail("row", fmt.Errorf("%w: row shorter than its size", ErrFormat))
		}
		return false
	}
	i := r.unfiltered.Columns[r.next]
	r.next++
	r.column = Column{Index: i, Deletion: Live, Cells: 1}
	r.cellsLeft, r.length = 1, r.columns[i].length
	if !r.columns[i].complex {
		return true
	}
	r.readComplex()
	return !r.body.failed() || r.failBody()
}

// Column returns the column NextColumn came to.
func (r *Reader) Column() *Column { return &r.column }

// smallestCell is the least a cell of a complex column takes: flags and a path length.
const smallestCell = 2

func (r *Reader) readComplex() {
	r.column.Complex = true
	if r.unfiltered.ComplexDeletion {
		r.column.Deletion = r.layout.readDeletion(&r.body)
	}
	n := r.body.vint()
	if n > uint64(len(r.body.b)-r.body.i)/smallestCell {
		r.body.end()
		n = 0
	}
	r.column.Cells, r.cellsLeft = int(n), int(n)
}

// NextCell goes to the next cell of the column.
//
// A cell is its flags, then timestamp, local deletion time, TTL, path and value, each
// only if the flags and the column call for it.
func (r *Reader) NextCell() bool {
	if r.cellsLeft == 0 {
		return false
	}
	r.cellsLeft--
	c, cell, live := &r.body, &r.cell, &r.unfiltered.Liveness
	f := CellFlags(c.uint8())
	if f&^knownCellFlags != 0 {
		c.fail("unknown cell flags")
	}
	*cell = Cell{Flags: f, Timestamp: live.Timestamp, Local: NoDeletion}
	if f&UseRowTimestamp == 0 {
		cell.Timestamp = r.layout.readTimestamp(c)
	}
	if f&UseRowTTL != 0 {
		cell.Local, cell.TTL = live.Expiration, live.TTL
	} else {
		r.readCellTimes(f)
	}
	if r.column.Complex {
		cell.Path = c.sized()
	}
	if f&CellEmptyValue == 0 {
		// In a complex column a value bears its length whatever the elements are:
		// Cassandra asks the collection for it.
		cell.Value = c.value(r.length)
	}
	return !c.failed() || r.failBody()
}

// Cell returns the cell NextCell came to.
func (r *Reader) Cell() *Cell { return &r.cell }

func (r *Reader) readCellTimes(f CellFlags) {
	if f&(CellDeleted|CellExpiring) != 0 {
		r.cell.Local = r.layout.readLocal(&r.body)
	}
	if f&CellExpiring != 0 {
		r.cell.TTL = r.layout.readTTL(&r.body)
	}
}

// failBody ends all loops for what the body could not be read for.
func (r *Reader) failBody() bool {
	reason := r.body.bad
	if r.body.short {
		reason = "column longer than its row"
	}
	return r.fail("row", fmt.Errorf("%w: %s", ErrFormat, reason))
}
