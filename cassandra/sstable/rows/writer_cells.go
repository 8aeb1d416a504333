package rows

import "fmt"

// Column starts the next of the row's Columns. Its Cells follow one by one.
func (w *Writer) Column(c *Column) error {
	if !w.open || w.cellsLeft != 0 || w.next == len(w.present) || w.present[w.next] != c.Index {
		return fmt.Errorf("column %d out of turn: %w", c.Index, ErrOrder)
	}
	w.next++
	w.column, w.cellsLeft = *c, c.Cells
	if w.column.Complex = w.definition().complex; !w.column.Complex {
		if c.Cells != 1 {
			return fmt.Errorf("simple column of %d cells: %w", c.Cells, ErrOrder)
		}
		return nil
	}
	if w.row.ComplexDeletion {
		w.body = w.layout.appendDeletion(w.body, c.Deletion)
	} else if !c.Deletion.Live() {
		return fmt.Errorf("complex deletion in a row without: %w", ErrOrder)
	}
	w.body = appendVint(w.body, uint64(c.Cells))
	return nil
}

func (w *Writer) definition() *column {
	return &w.layout.columnsOf(w.row.Kind).columns[w.column.Index]
}

// Cell writes the next cell of the column.
func (w *Writer) Cell(c *Cell) error {
	if w.cellsLeft == 0 {
		return fmt.Errorf("cell without a column: %w", ErrOrder)
	}
	w.cellsLeft--
	if err := w.cellTimes(c); err != nil {
		return err
	}
	if w.column.Complex {
		w.body = append(appendVint(w.body, uint64(len(c.Path))), c.Path...)
	}
	if c.Flags&CellEmptyValue != 0 {
		if len(c.Value) != 0 {
			return fmt.Errorf("value in an empty cell: %w", ErrOrder)
		}
		return nil
	}
	var err error
	if w.body, err = appendValue(w.body, c.Value, w.definition().length); err != nil {
		return fmt.Errorf("column %d: %w", w.column.Index, err)
	}
	if len(w.body) > MaxUnfiltered {
		return ErrTooLarge
	}
	return nil
}

func (w *Writer) cellTimes(c *Cell) error {
	live := &w.row.Liveness
	w.body = append(w.body, byte(c.Flags))
	if c.Flags&UseRowTimestamp == 0 {
		w.body = w.layout.appendTimestamp(w.body, c.Timestamp)
	} else if c.Timestamp != live.Timestamp {
		return fmt.Errorf("cell at %d in a row at %d: %w", c.Timestamp, live.Timestamp, ErrOrder)
	}
	if c.Flags&UseRowTTL != 0 {
		if c.Local != live.Expiration || c.TTL != live.TTL {
			return fmt.Errorf("cell that expires apart from its row: %w", ErrOrder)
		}
		return nil
	}
	if c.Flags&(CellDeleted|CellExpiring) != 0 {
		w.body = w.layout.appendLocal(w.body, c.Local)
	}
	if c.Flags&CellExpiring != 0 {
		w.body = w.layout.appendTTL(w.body, c.TTL)
	}
	return nil
}

// endRow writes the row that is open, if one is.
func (w *Writer) endRow() error {
	if !w.open {
		return nil
	}
	if w.next != len(w.present) || w.cellsLeft != 0 {
		return fmt.Errorf("row ends before its columns: %w", ErrOrder)
	}
	w.open = false
	return w.emit(w.row.Kind)
}

// emit puts the size and previous size between head and body.
func (w *Writer) emit(k Kind) error {
	at := w.Position() - w.start
	var previous uint64
	if k != StaticRow {
		previous = uint64(at - w.previous)
		w.previous = at
	}
	w.out = append(w.out, w.head...)
	w.out = appendVint(w.out, uint64(vintSize(previous)+len(w.body)))
	w.out = appendVint(w.out, previous)
	w.out = append(w.out, w.body...)
	return w.spill()
}

// Copy writes all partitions r has left to w, value by value, and flushes it.
func Copy(w *Writer, r *Reader) error {
	for r.Next() {
		if err := CopyPartition(w, r); err != nil {
			return err
		}
	}
	if r.Err() != nil {
		return r.Err()
	}
	return w.Flush()
}

// CopyPartition writes the partition r stands at to w, value by value.
func CopyPartition(w *Writer, r *Reader) error {
	if err := w.Partition(r.Partition()); err != nil {
		return err
	}
	for r.NextUnfiltered() {
		if err := copyUnfiltered(w, r); err != nil {
			return fmt.Errorf("row at %d: %w", r.Unfiltered().Position, err)
		}
	}
	if r.Err() != nil {
		return r.Err()
	}
	return w.EndPartition()
}

func copyUnfiltered(w *Writer, r *Reader) error {
	if err := w.Unfiltered(r.Unfiltered()); err != nil {
		return err
	}
	for r.NextColumn() {
		if err := w.Column(r.Column()); err != nil {
			return err
		}
		for r.NextCell() {
			if err := w.Cell(r.Cell()); err != nil {
				return err
			}
		}
	}
	return nil
}
