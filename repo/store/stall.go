package store

import (
	"context"
	"fmt"
	"io"
	"time"
)

// defaultStall ends a transfer on which no byte moved for so long. Cloud
// stores answer within seconds; a minute outlasts a failover of theirs, and
// still frees the connection long before TCP would.
const defaultStall = 60 * time.Second

// watchdog cancels an operation when nothing moves.
type watchdog struct {
	limit  time.Duration
	timer  *time.Timer
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// watch starts a watchdog over an operation that uses the returned context.
func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{limit: limit, ctx: ctx, cancel: cancel}
	w.timer = time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("%w for %s", ErrStalled, limit))
	})
	return ctx, w
}

// moved tells the watchdog that bytes moved.
func (w *watchdog) moved() { w.timer.Reset(w.limit) }

// reader passes r on and tells the watchdog of every byte.
func (w *watchdog) reader(r io.Reader) io.Reader { return watchedReader{r, w} }

// end stops the watchdog and gives an operation that it ended its true reason.
func (w *watchdog) end(err error) error {
	w.timer.Stop()
	if cause := ended(w.ctx); err != nil && cause != nil {
		err = cause
	}
	w.cancel(nil)
	return err
}

type watchedReader struct {
	io.Reader
	dog *watchdog
}

// Read implements io.Reader.
func (r watchedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p[:min(len(p), pieceSize)])
	if n > 0 {
		r.dog.moved()
	}
	return n, err
}
