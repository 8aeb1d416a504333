package store

import (
	"context"
	"fmt"
	"io"

	"gocloud.dev/blob"
)

// pieceSize is how much is handed to a writer at once: large enough to cost
// nothing, small enough to tell a slow link from a dead one.
const pieceSize = 256 << 10

// contentType is that of every object. Servers and proxies leave it alone.
const contentType = "application/octet-stream"

// writeObject is the one owner of gocloud object writers in the project.
//
// Closing a half-written gocloud writer returns nil and leaves a truncated
// object under the name. So any error here cancels the writer's context before
// Close, which makes every driver drop what it has, and the bytes taken are
// compared with the bytes given.
func writeObject(ctx context.Context, b *blob.Bucket, key string, r io.Reader, size int64, opts *blob.WriterOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts.IfNotExist = true
	opts.ContentType = contentType
	w, err := b.NewWriter(ctx, key, opts)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(onlyWriter{w}, onlyReader{r}, make([]byte, min(pieceSize, max(size, 1))))
	if err == nil && n != size {
		err = fmt.Errorf("%w: %d of %d bytes", io.ErrShortWrite, n, size)
	}
	if err != nil {
		cancel()
		w.Close()
		return err
	}
	return w.Close()
}

// onlyWriter and onlyReader hide shortcuts that would move bytes past the
// watchdog.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// copyInside lets the server of b copy an object; before must make the copy
// conditional on a free name.
func copyInside(ctx context.Context, b *blob.Bucket, dst, src string, before func(as func(any) bool) error) error {
	return b.Copy(ctx, dst, src, &blob.CopyOptions{BeforeCopy: before})
}
