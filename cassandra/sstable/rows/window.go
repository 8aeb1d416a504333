package rows

import "io"

// window is the part of a stream that is in memory: all that was read and not yet
// passed over.
type window struct {
	src        io.Reader
	buf        []byte
	start, end int
	// position is the offset in the stream of buf[start].
	position int64
	err      error
}

// windowSize is what a window starts with. It holds hundreds of common rows, so that
// reading one anew because it ran over the edge is rare.
const windowSize = 128 << 10

// emptyReads is how often in a row a source may return nothing without an error.
const emptyReads = 100

func (w *window) unread() []byte { return w.buf[w.start:w.end] }

func (w *window) pass(n int) {
	w.start += n
	w.position += int64(n)
}

// fill reads until n bytes are unread. It returns the source's error where there are
// fewer: io.EOF too.
func (w *window) fill(n int) error {
	for empty := 0; w.end-w.start < n; {
		if w.err != nil {
			return w.err
		}
		w.room()
		var k int
		k, w.err = w.src.Read(w.buf[w.end:])
		w.end += k
		if empty++; k > 0 {
			empty = 0
		}
		if empty == emptyReads {
			w.err = io.ErrNoProgress
		}
	}
	return nil
}

// room makes room behind the unread bytes. It doubles the buffer only when it is full
// of them, so that memory follows what was read and not what a size field claims.
func (w *window) room() {
	if w.end < len(w.buf) {
		return
	}
	to := w.buf
	if w.end-w.start > len(w.buf)/2 || len(w.buf) == 0 {
		to = make([]byte, max(windowSize, 2*len(w.buf)))
	}
	w.end = copy(to, w.buf[w.start:w.end])
	w.buf, w.start = to, 0
}
