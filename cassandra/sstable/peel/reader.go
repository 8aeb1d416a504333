package peel

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"cbk/cassandra/sstable"
)

const (
	// trial is how many chunks from the start decide whether a file is worth peeling.
	trial = 64
	// tolerated is the share of the trial, one in so many chunks, that may be sound and Stored: beyond it an encoder is at
	// work that this package does not know, and nothing would be gained.
	tolerated = 20
)

// Stats counts the chunks of a file.
type Stats struct {
	Chunks  int // all of them
	Stored  int // kept as they stand in the file
	Damaged int // of the Stored: with a wrong checksum, or that do not decode
}

// Reader takes the compression off a Data.db. It is not safe for concurrent use.
type Reader struct {
	g       *geometry
	data    io.Reader
	offsets *sstable.Offsets
	size    int64 // of data
	at      int64 // where the next chunk to be read begins
	next    int   // its number
	line    *line
	proof   assembly
	stats   Stats

	batch  *batch // that is handed out, nil between two
	index  int    // of the piece in it
	left   []byte // of the piece's run
	kind   Kind   // of the run that is handed out
	within bool   // a run is being handed out
	best   Kind   // encoder of the chunk before
}

// Proof takes what the runs that were handed out make, put together again. Each of the two must come out as the file of
// that name for a Writer to give it back.
type Proof struct{ Data, CompressionInfo io.Writer }

// NewReader reads a Data.db of size bytes beside its CompressionInfo.db. What cannot be peeled is an *UnfitError, here
// or
// later; the caller keeps the file as it is then. Errors of data are returned as they are.
func NewReader(data io.Reader, size int64, info *bufio.Reader, version string, proof Proof) (*Reader, error) {
	h, raw, err := sstable.ParseCompressionHeader(info, version)
	if err != nil {
		return nil, unfitInfo(err)
	}
	g, err := newGeometry(h, Layout{Version: version, Header: raw})
	if err != nil {
		return nil, err
	}
	if h.ChunkCount == 0 {
		return nil, &UnfitError{Reason: "no chunks"}
	}
	offsets, err := sstable.NewOffsets(info, h, version)
	if err == nil {
		_, err = offsets.Next() // always 0
	}
	if err != nil {
		return nil, unfitInfo(err)
	}
	r := &Reader{g: g, data: data, offsets: offsets, size: size, line: newLine(), best: g.first(),
		proof: assembly{data: proof.Data, info: proof.CompressionInfo}}
	return r, r.proof.begin(g.Layout)
}

// unfitInfo takes a CompressionInfo.db that cannot be read for one that says nothing: who keeps the file as it is meets the
// failure again.
func unfitInfo(err error) error {
	return &UnfitError{Reason: "compression info", Err: err}
}

// Layout is what NewWriter needs.
func (r *Reader) Layout() Layout { return r.g.Layout }

// Stats counts what was handed out so far.
func (r *Reader) Stats() Stats { return r.stats }

// Next begins the next run, after the rest of the last one; io.EOF after the last.
func (r *Reader) Next() (Kind, error) {
	for r.within {
		if _, err := r.Read(make([]byte, 32<<10)); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	if err := r.load(); err != nil {
		return 0, err
	}
	r.within, r.kind = true, r.batch.pieces[r.index].kind
	return r.kind, nil
}

// Read implements io.Reader for the run.
func (r *Reader) Read(p []byte) (int, error) {
	for r.within {
		if len(r.left) > 0 {
			n := copy(p, r.left)
			r.left = r.left[n:]
			return n, nil
		}
		err := r.advance()
		if errors.Is(err, io.EOF) || err == nil && r.batch.pieces[r.index].kind != r.kind {
			r.within = false
		} else if err != nil {
			return 0, err
		}
	}
	return 0, io.EOF
}

// advance goes to the next piece.
func (r *Reader) advance() error {
	r.index++
	if r.index == len(r.batch.pieces) {
		r.line.free(r.batch)
		r.batch = nil
		return r.load()
	}
	r.left = r.batch.pieces[r.index].run
	return nil
}

// load makes sure that there is a piece to hand out; io.EOF where there is none.
func (r *Reader) load() error {
	if r.batch != nil {
		return nil
	}
	if err := r.ahead(); err != nil {
		return err
	}
	if r.batch = r.line.oldest(); r.batch == nil {
		return io.EOF
	}
	for i := range r.batch.pieces {
		if err := r.settle(&r.batch.pieces[i]); err != nil {
			return err
		}
	}
	r.index, r.left = 0, r.batch.pieces[0].run
	return nil
}

// ahead has batches worked on until there are enough.
func (r *Reader) ahead() error {
	for r.next < r.g.chunks && !r.line.full() {
		b := r.line.fresh()
		for range min(r.g.perBatch(), r.g.chunks-r.next) {
			if err := r.read(b); err != nil {
				return err
			}
		}
		hint := r.best
		r.line.start(b, func(b *batch) { r.g.peel(b, hint) })
	}
	return nil
}

// read takes the next chunk from the file.
func (r *Reader) read(b *batch) error {
	end := r.size
	if r.next+1 < r.g.chunks {
		var err error
		if end, err = r.offsets.Next(); err != nil {
			return unfitInfo(err)
		}
	}
	n := end - r.at
	if end > r.size || n < sumSize || n > int64(r.g.maxStored()+sumSize) {
		return &UnfitError{Reason: "compression info", Err: fmt.Errorf("chunk %d ends at byte %d of %d, after %d", r.next, end, r.size, n)}
	}
	start := len(b.file)
	b.file = append(b.file, make([]byte, n)...)
	file := b.file[start:]
	if _, err := io.ReadFull(r.data, file); err != nil {
		return fmt.Errorf("read chunk %d: %w", r.next, noEOF(err))
	}
	b.pieces = append(b.pieces, piece{number: r.next, file: file})
	r.at, r.next = end, r.next+1
	return nil
}

// noEOF keeps an early end from being taken for the end of all.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// peel decodes the chunks of a batch and finds what gives them again.
func (g *geometry) peel(b *batch, hint Kind) {
	other := Early
	if hint == Early {
		other = Late
	}
	for i := range b.pieces {
		p := &b.pieces[i]
		stored := p.file[:len(p.file)-sumSize]
		start := len(b.run)
		run, err := g.decode(b, stored)
		p.sound = err == nil && g.sum(stored) == binary.BigEndian.Uint32(p.file[len(stored):])
		// The last chunk may end in padding, which its encoder adds again.
		if n := g.plainLen(p.number); p.sound && len(run) >= n {
			p.run, b.run = run[:n:n], b.run[:start+n]
			if g.fits(b, p, hint) || g.fits(b, p, other) {
				continue
			}
		}
		p.kind = Stored
		b.run = binary.BigEndian.AppendUint32(b.run[:start], uint32(len(stored)))
		b.run = append(b.run, p.file...)
		p.run = b.run[start:]
	}
}

// decode appends the plain bytes of a chunk to the batch's.
func (g *geometry) decode(b *batch, stored []byte) ([]byte, error) {
	start := len(b.run)
	b.run = slices.Grow(b.run, g.length)
	out, err := g.format.Decode(b.run[start:start:start+g.length], stored)
	if err != nil {
		return nil, err
	}
	b.run = b.run[:start+len(out)]
	return out, nil
}

// fits encodes a chunk and tells whether the bytes of the file came out; it notes the kind if they did.
func (g *geometry) fits(b *batch, p *piece, k Kind) bool {
	p.tried[k] = true
	b.scratch = g.encode(b, b.scratch[:0], p.run, k)
	if !bytes.Equal(b.scratch, p.file) {
		return false
	}
	p.kind = k
	return true
}

// encode appends a chunk as it stands in the file.
func (g *geometry) encode(b *batch, dst, plain []byte, k Kind) []byte {
	start := len(dst)
	dst = b.encoder(k).AppendChunk(dst, plain, g.format)
	return g.appendSum(dst, dst[start:])
}

// settle takes the pieces one after another. A chunk that both encoders give again goes with the one before it, which is
// what makes runs long, and the same each time.
func (r *Reader) settle(p *piece) error {
	r.stats.Chunks++
	if p.kind != Stored && p.kind != r.best && (p.tried[r.best] || !r.g.fits(r.batch, p, r.best)) {
		r.best = p.kind
	}
	if p.kind == Stored {
		r.stats.Stored++
		if !p.sound {
			r.stats.Damaged++
		}
	}
	if n := r.stats.Chunks; n == min(trial, r.g.chunks) && (r.stats.Stored-r.stats.Damaged)*tolerated > n {
		return &UnfitError{Reason: "chunks of another encoder"}
	}
	return r.proof.put(p.file)
}
