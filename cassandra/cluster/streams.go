package cluster

import (
	"io"
	"sync"
)

// input is a command's standard input, which the library does not let two close or
// write at a time.
type input struct {
	mu     sync.Mutex
	w      io.WriteCloser
	closed bool
}

// Write implements io.Writer.
func (i *input) Write(p []byte) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return 0, io.ErrClosedPipe
	}
	return i.w.Write(p)
}

// Close ends the input, once.
func (i *input) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.closed = true
	return i.w.Close()
}

// reader keeps the error of reading apart from that of writing.
type reader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// tail keeps the end of what is written and copies all of it.
type tail struct {
	mu   sync.Mutex
	kept []byte
	also io.Writer
}

// Write implements io.Writer; it never fails, since that would hold up the command.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - keptStderr; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	if t.also != nil {
		t.also.Write(p)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
