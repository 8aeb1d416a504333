package peel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrMalformed is matched when runs are not those of a file with the layout given.
var ErrMalformed = errors.New("runs do not fit their layout")

// Writer puts the compression back. It is not safe for concurrent use.
type Writer struct {
	g    *geometry
	out  assembly
	data *bufio.Writer // chunks are small
	info *bufio.Writer // nil where it is not asked for
	line *line
	next int // number of the chunk that is collected

	batch *batch // that is collected
	start int    // where the chunk begins in its run
	kind  Kind   // of the chunk
}

// NewWriter writes a Data.db to data and its CompressionInfo.db to info, which may be nil.
func NewWriter(l Layout, data, info io.Writer) (*Writer, error) {
	g, err := l.geometry()
	if err != nil {
		return nil, err
	}
	w := &Writer{g: g, line: newLine(), data: bufio.NewWriterSize(data, 128<<10)}
	w.out.data = w.data
	if info != nil {
		w.info = bufio.NewWriter(info)
		w.out.info = w.info
	}
	w.batch = w.line.fresh()
	return w, w.out.begin(l)
}

// Write takes bytes of a run; those of one run may come in any portions. Errors of the writers are returned as they are.
func (w *Writer) Write(k Kind, b []byte) error {
	if k > Late {
		return fmt.Errorf("%w: a run of kind %d", ErrMalformed, k)
	}
	if have := len(w.batch.run) - w.start; have > 0 && k != w.kind {
		return fmt.Errorf("%w: a run ends within chunk %d", ErrMalformed, w.next)
	}
	w.kind = k
	for len(b) > 0 {
		need, err := w.need()
		if err != nil {
			return err
		}
		n := min(need, len(b))
		w.batch.run = append(w.batch.run, b[:n]...)
		b = b[n:]
		if n == need {
			if err := w.complete(); err != nil {
				return err
			}
		}
	}
	return nil
}

// need is how many bytes the chunk lacks, or, of a Stored one, first its length.
func (w *Writer) need() (int, error) {
	have := w.batch.run[w.start:]
	if w.next >= w.g.chunks {
		return 0, fmt.Errorf("%w: more than %d chunks", ErrMalformed, w.g.chunks)
	}
	if w.kind != Stored {
		n := w.g.plainLen(w.next)
		if n == 0 {
			return 0, fmt.Errorf("%w: more than %d plain bytes", ErrMalformed, w.g.plain)
		}
		return n - len(have), nil
	}
	if len(have) < 4 {
		return 4 - len(have), nil
	}
	n := int(binary.BigEndian.Uint32(have))
	if n > w.g.maxStored() {
		return 0, fmt.Errorf("%w: a chunk of %d stored bytes", ErrMalformed, n)
	}
	return 4 + n + sumSize - len(have), nil
}

// complete goes on to the next chunk, if this one is not a Stored one of which only the length is there.
func (w *Writer) complete() error {
	run := w.batch.run[w.start:]
	if w.kind == Stored && len(run) == 4 {
		return nil // its length is never 0 with the checksum
	}
	w.batch.pieces = append(w.batch.pieces, piece{number: w.next, kind: w.kind, run: run})
	w.next, w.start = w.next+1, len(w.batch.run)
	if len(w.batch.pieces) < w.g.perBatch() {
		return nil
	}
	return w.dispatch()
}

// dispatch has the batch encoded and begins another.
func (w *Writer) dispatch() error {
	if w.line.full() {
		if err := w.settle(); err != nil {
			return err
		}
	}
	w.line.start(w.batch, w.g.restore)
	w.batch, w.start = w.line.fresh(), 0
	return nil
}

// restore makes the chunks of a batch what they were in the file.
func (g *geometry) restore(b *batch) {
	for i := range b.pieces {
		p := &b.pieces[i]
		if p.kind == Stored {
			p.file = p.run[4:]
			continue
		}
		start := len(b.file)
		b.file = g.encode(b, b.file, p.run, p.kind)
		p.file = b.file[start:]
	}
}

// settle writes the oldest batch.
func (w *Writer) settle() error {
	b := w.line.oldest()
	for i := range b.pieces {
		if err := w.out.put(b.pieces[i].file); err != nil {
			return err
		}
	}
	w.line.free(b)
	return nil
}

// Close writes what is left. It closes neither writer.
func (w *Writer) Close() error {
	if len(w.batch.run) > w.start {
		return fmt.Errorf("%w: they end within chunk %d", ErrMalformed, w.next)
	}
	for ; w.next < w.g.chunks; w.next++ {
		if w.g.plainLen(w.next) > 0 {
			return fmt.Errorf("%w: they end before chunk %d of %d", ErrMalformed, w.next, w.g.chunks)
		}
		w.batch.pieces = append(w.batch.pieces, piece{number: w.next, kind: Late})
	}
	if err := w.dispatch(); err != nil {
		return err
	}
	for len(w.line.running) > 0 {
		if err := w.settle(); err != nil {
			return err
		}
	}
	if err := w.data.Flush(); err != nil || w.info == nil {
		return err
	}
	return w.info.Flush()
}
