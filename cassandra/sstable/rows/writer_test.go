package rows

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// change returns a copy of goldenRows changed by edit, deep enough for edits of rows.
func change(edit func(p *modelPartition)) modelPartition {
	r := newReaderOf(goldenBytes("nb"))
	ps, err := readModel(r)
	if err != nil {
		panic(err)
	}
	edit(&ps[0])
	return ps[0]
}

func newReaderOf(b []byte) *Reader {
	r, err := NewReader(bytes.NewReader(b), "nb", golden)
	if err != nil {
		panic(err)
	}
	return r
}

func TestRowsThatDoNotHoldTogetherAreNotWritten(t *testing.T) {
	row := func(edit func(u *modelUnfiltered)) func(*modelPartition) {
		return func(p *modelPartition) { edit(&p.Unfiltereds[1]) }
	}
	cell := func(edit func(c *Cell)) func(*modelPartition) {
		return func(p *modelPartition) { edit(&p.Unfiltereds[1].Columns[0].Cells[0]) }
	}
	for name, edit := range map[string]func(*modelPartition){
		"a key of 64 KiB":                     func(p *modelPartition) { p.Key = make([]byte, 1<<16) },
		"a static row that is missing":        func(p *modelPartition) { p.Unfiltereds = p.Unfiltereds[1:] },
		"no rows and no static row":           func(p *modelPartition) { p.Unfiltereds = nil },
		"a static row that is not the first":  func(p *modelPartition) { p.Unfiltereds[2] = p.Unfiltereds[0] },
		"an unknown bound":                    func(p *modelPartition) { p.Unfiltereds[2].Bound = 4 },
		"a bound of too many values":          func(p *modelPartition) { p.Unfiltereds[2].Clustering = make([][]byte, 3) },
		"a row of too few values":             row(func(u *modelUnfiltered) { u.Clustering = u.Clustering[:1] }),
		"a clustering value of 3 bytes":       row(func(u *modelUnfiltered) { u.Clustering[0] = []byte("abc") }),
		"columns out of order":                row(func(u *modelUnfiltered) { u.Unfiltered.Columns = []int{2, 1} }),
		"a column that is not there":          row(func(u *modelUnfiltered) { u.Unfiltered.Columns = []int{1, 3} }),
		"a column that was not announced":     row(func(u *modelUnfiltered) { u.Columns[0].Index = 0 }),
		"a column too few":                    row(func(u *modelUnfiltered) { u.Columns = u.Columns[:1] }),
		"a column too many":                   row(func(u *modelUnfiltered) { u.Columns = append(u.Columns, u.Columns[1]) }),
		"a cell too few":                      row(func(u *modelUnfiltered) { u.Columns[1].Cells = nil }),
		"a cell too many":                     row(func(u *modelUnfiltered) { u.Columns[0].Cells = append(u.Columns[0].Cells, Cell{}) }),
		"a simple column of no cells":         row(func(u *modelUnfiltered) { u.Columns[0].Column.Cells = 0 }),
		"an expiry without liveness":          row(func(u *modelUnfiltered) { u.Liveness.Timestamp = NoTimestamp }),
		"shadowable without a deletion":       row(func(u *modelUnfiltered) { u.Deletion = Live }),
		"a complex deletion in a row without": row(func(u *modelUnfiltered) { u.ComplexDeletion = false }),
		"a cell not at its row's time":        cell(func(c *Cell) { c.Timestamp++ }),
		"a cell not expiring with its row":    cell(func(c *Cell) { c.TTL++ }),
		"a value in an empty cell":            cell(func(c *Cell) { c.Flags |= CellEmptyValue }),
	} {
		w, err := NewWriter(io.Discard, "nb", golden)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeModel(w, []modelPartition{change(edit)}); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestAWriterWantsItsCallsInOrder(t *testing.T) {
	p := Partition{Key: []byte("k"), Deletion: Live}
	for name, calls := range map[string]func(w *Writer) error{
		"a row without a partition":    func(w *Writer) error { return w.Unfiltered(&Unfiltered{}) },
		"an end without a partition":   func(w *Writer) error { return w.EndPartition() },
		"a column without a row":       func(w *Writer) error { return errors.Join(w.Partition(&p), w.Column(&Column{Cells: 1})) },
		"a cell without a column":      func(w *Writer) error { return errors.Join(w.Partition(&p), w.Cell(&Cell{})) },
		"a partition in a partition":   func(w *Writer) error { return errors.Join(w.Partition(&p), w.Partition(&p)) },
		"a negative time since oa":     func(w *Writer) error { return w.Partition(&Partition{Deletion: DeletionTime{MarkedAt: -1}}) },
		"a column after the last cell": func(w *Writer) error { return errors.Join(w.Partition(&p), w.EndPartition(), w.Column(&Column{})) },
	} {
		w, err := NewWriter(io.Discard, "oa", one)
		if err != nil {
			t.Fatal(err)
		}
		if err := calls(w); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestRowsMayBeWrittenForAnotherHeader(t *testing.T) {
	other := golden
	other.MinTimestamp, other.MinLocalDeletionTime, other.MinTTL = 0, 1e9, 0
	for _, version := range []string{"nb", "da"} {
		var out bytes.Buffer
		w, err := NewWriter(&out, version, other)
		if err != nil {
			t.Fatal(err)
		}
		if err := Copy(w, newReader(t, goldenBytes("nb"), "nb", golden)); err != nil {
			t.Fatal(err)
		}
		got, err := readModel(newReader(t, out.Bytes(), version, other))
		if d := cmp.Diff([]modelPartition{goldenRows}, got); err != nil || d != "" {
			t.Errorf("error %v\n%s", err, d)
		}
		var back bytes.Buffer
		if w, err = NewWriter(&back, "nb", golden); err != nil {
			t.Fatal(err)
		}
		if err := Copy(w, newReader(t, out.Bytes(), version, other)); err != nil || !bytes.Equal(back.Bytes(), goldenBytes("nb")) {
			t.Errorf("there and back: error %v\n%x", err, back.Bytes())
		}
	}
}

func TestPartitionsMayBeTakenOutOfAStream(t *testing.T) {
	named := func(key string) modelPartition { return change(func(p *modelPartition) { p.Key = []byte(key) }) }
	all := written(t, "nb", golden, named("a"), named("b"), named("c"), named("d"))
	r := newReader(t, all, "nb", golden)
	var out bytes.Buffer
	w, err := NewWriter(&out, "nb", golden)
	if err != nil {
		t.Fatal(err)
	}
	for r.Next() {
		if k := string(r.Partition().Key); k != "b" && k != "d" {
			continue
		}
		if err := CopyPartition(w, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.Err(), w.Flush()); err != nil {
		t.Fatal(err)
	}
	if want := written(t, "nb", golden, named("b"), named("d")); !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got %x, want %x", out.Bytes(), want)
	}
}

// full takes some bytes and then no more.
type full struct{ room int }

var errFull = errors.New("no room")

func (f *full) Write(b []byte) (int, error) {
	n := min(len(b), f.room)
	f.room -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestADestinationThatIsFullEndsACopy(t *testing.T) {
	big := bytes.Repeat(goldenBytes("nb"), 3*outSize/len(goldenBytes("nb")))
	for _, room := range []int{0, 1, outSize, len(big) - 1} {
		w, err := NewWriter(&full{room}, "nb", golden)
		if err != nil {
			t.Fatal(err)
		}
		if err := Copy(w, newReaderOf(big)); !errors.Is(err, errFull) || w.written > int64(room) {
			t.Errorf("room for %d: error %v after %d bytes", room, err, w.written)
		}
	}
}

func TestAValueOfTheWrongLengthIsNotWritten(t *testing.T) {
	if _, err := appendValue(nil, []byte("abc"), 4); !errors.Is(err, ErrOrder) {
		t.Errorf("error %v", err)
	}
}
