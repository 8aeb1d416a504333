package rows

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"cbk/cassandra/sstable"
)

// The rows of a stream in memory.
type (
	modelPartition struct {
		Partition
		Unfiltereds []modelUnfiltered
	}
	modelUnfiltered struct {
		Unfiltered
		Columns []modelColumn
	}
	modelColumn struct {
		Column
		Cells []Cell
	}
)

// readModel reads all of r, without positions and raw bytes.
func readModel(r *Reader) (partitions []modelPartition, err error) {
	for r.Next() {
		p := modelPartition{Partition: *r.Partition()}
		p.Key, p.Raw, p.Position = bytes.Clone(p.Key), nil, 0
		for r.NextUnfiltered() {
			p.Unfiltereds = append(p.Unfiltereds, readModelUnfiltered(r))
		}
		partitions = append(partitions, p)
	}
	return partitions, r.Err()
}

func readModelUnfiltered(r *Reader) modelUnfiltered {
	u := modelUnfiltered{Unfiltered: *r.Unfiltered()}
	u.Raw, u.Position = nil, 0
	u.Unfiltered.Columns = slices.Clone(u.Unfiltered.Columns)
	u.Clustering = slices.Clone(u.Clustering)
	for i := range u.Clustering {
		u.Clustering[i] = bytes.Clone(u.Clustering[i])
	}
	for r.NextColumn() {
		c := modelColumn{Column: *r.Column()}
		for r.NextCell() {
			cell := *r.Cell()
			cell.Path, cell.Value = bytes.Clone(cell.Path), bytes.Clone(cell.Value)
			c.Cells = append(c.Cells, cell)
		}
		u.Columns = append(u.Columns, c)
	}
	return u
}

func writeModel(w *Writer, partitions []modelPartition) error {
	for i := range partitions {
		p := &partitions[i]
		if err := w.Partition(&p.Partition); err != nil {
			return err
		}
		for j := range p.Unfiltereds {
			if err := writeModelUnfiltered(w, &p.Unfiltereds[j]); err != nil {
				return fmt.Errorf("unfiltered %d of partition %d: %w", j, i, err)
			}
		}
		if err := w.EndPartition(); err != nil {
			return err
		}
	}
	return w.Flush()
}

func writeModelUnfiltered(w *Writer, u *modelUnfiltered) error {
	if err := w.Unfiltered(&u.Unfiltered); err != nil {
		return err
	}
	for i := range u.Columns {
		if err := w.Column(&u.Columns[i].Column); err != nil {
			return err
		}
		for j := range u.Columns[i].Cells {
			if err := w.Cell(&u.Columns[i].Cells[j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// written returns the bytes of partitions.
func written(t testing.TB, version string, h sstable.Header, partitions ...modelPartition) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, version, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeModel(w, partitions); err != nil {
		t.Fatal(err)
	}
	if w.Position() != int64(out.Len()) {
		t.Fatalf("writer counts %d of %d bytes", w.Position(), out.Len())
	}
	return out.Bytes()
}

func newReader(t testing.TB, b []byte, version string, h sstable.Header) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b), version, h)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// columns names columns of classes c0, c1, ….
func columns(classes ...string) (cols []sstable.Column) {
	for i, c := range classes {
		cols = append(cols, sstable.Column{Name: fmt.Appendf(nil, "c%d", i), Type: c})
	}
	return cols
}
