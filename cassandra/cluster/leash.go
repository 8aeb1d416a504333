package cluster

import (
	"context"
	"errors"
	"io"
)

// ErrUnleashed is why the context of [Leash] ends when nobody waits for the command
// any more.
var ErrUnleashed = errors.New("standard input ended: whoever ran this has gone")

// Leash is for a command that [Cluster.Run] runs on a node, whose standard input
// ends only when the connection has, or when it is to end. It returns a context that
// ends with the input, and the input, to be read instead. The end is seen once
// everything before it has been read.
//
// It reads until the input ends, so that only a process that ends should call it,
// once.
func Leash(ctx context.Context, stdin io.Reader) (context.Context, io.Reader) {
	ctx, cancel := context.WithCancelCause(ctx)
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, stdin)
		w.CloseWithError(err)
		cancel(ErrUnleashed)
	}()
	return ctx, r
}
