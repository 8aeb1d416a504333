package peel

import (
	"runtime"

	"cbk/cassandra/sstable/chunk"
)

// batchBytes is how many plain bytes are worked on at a time: enough to make handing over cheap, few enough that several
// files, each with a handful of batches, fit a small node's memory.
const batchBytes = 1 << 20

// maxDepth bounds the batches worked on side by side: more would only wait for the one writer behind them.
const maxDepth = 4

// piece is a chunk on its way.
type piece struct {
	number int     // of the chunk in its file
	kind   Kind    // what it is
	tried  [3]bool // the kinds that were tried
	file   []byte  // stored bytes and checksum
	run    []byte  // what a run holds of it: plain bytes or, Stored, what the kind says
	sound  bool    // the checksum is right and it decodes
}

// batch is some consecutive chunks, with the memory for them.
type batch struct {
	pieces   []piece
	file     []byte // behind the pieces' file
	run      []byte // behind the pieces' run
	scratch  []byte // one chunk, encoded
	encoders [3]*chunk.Encoder
	done     chan struct{}
}

// encoder returns the encoder of a kind; each batch has its own.
func (b *batch) encoder(k Kind) *chunk.Encoder {
	if b.encoders[k] == nil {
		b.encoders[k] = chunk.NewEncoder(chunk.Dialect(k))
	}
	return b.encoders[k]
}

func (b *batch) reset() { b.pieces, b.file, b.run = b.pieces[:0], b.file[:0], b.run[:0] }

// line runs batches side by side and gives them back in the order they were started.
type line struct {
	depth   int
	running []*batch
	spare   []*batch
}

func newLine() *line { return &line{depth: min(runtime.GOMAXPROCS(0), maxDepth)} }

// fresh returns an empty batch.
func (l *line) fresh() *batch {
	if n := len(l.spare); n > 0 {
		b := l.spare[n-1]
		l.spare = l.spare[:n-1]
		b.reset()
		return b
	}
	return &batch{done: make(chan struct{}, 1)}
}

// full reports whether the oldest batch must be taken before another is started.
func (l *line) full() bool { return len(l.running) >= l.depth }

func (l *line) start(b *batch, work func(*batch)) {
	l.running = append(l.running, b)
	go func() {
		work(b)
		b.done <- struct{}{}
	}()
}

// oldest waits for the batch that was started first; nil if none is running. It goes back by free.
func (l *line) oldest() *batch {
	if len(l.running) == 0 {
		return nil
	}
	b := l.running[0]
	l.running = append(l.running[:0], l.running[1:]...)
	<-b.done
	return b
}

func (l *line) free(b *batch) { l.spare = append(l.spare, b) }

// perBatch is how many chunks make a batch.
func (g *geometry) perBatch() int { return max(1, batchBytes/g.length) }
