package filedriver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gocloud.dev/blob/driver"
)

// writer collects one object in a temporary file; Close publishes it.
type writer struct {
	ctx        context.Context
	b          *bucket
	file       *os.File
	temp, path string
	ifNotExist bool
	err        error // first failed write: such a file is never published
}

// NewTypedWriter starts an object; contentType and metadata are dropped.
func (b *bucket) NewTypedWriter(ctx context.Context, key, _ string, opts *driver.WriterOptions) (driver.Writer, error) {
	if b.readOnly {
		return nil, errReadOnly
	}
	path, err := keyPath(key)
	if err != nil {
		return nil, err
	}
	if opts.BeforeWrite != nil {
		if err := opts.BeforeWrite(b.As); err != nil {
			return nil, err
		}
	}
	f, temp, err := b.createTemp()
	if err != nil {
		return nil, hideNotExist(err)
	}
	return &writer{ctx: ctx, b: b, file: f, temp: temp, path: path, ifNotExist: opts.IfNotExist}, nil
}

// createTemp opens a fresh temporary file; its random name has 128 bits, so
// that writers on other machines cannot meet it.
func (b *bucket) createTemp() (*os.File, string, error) {
	temp := filepath.Join(tempDir, rand.Text())
	f, err := b.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, temp, err
	}
	if err := b.root.Mkdir(tempDir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, "", err
	}
	f, err = b.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	return f, temp, err
}

// Write appends to the temporary file.
func (w *writer) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// Close publishes the object unless a write failed or the context ended; the
// temporary file is gone afterwards in every case.
func (w *writer) Close() error {
	err := errors.Join(w.err, w.ctx.Err())
	if err == nil {
		err = w.file.Sync()
	}
	if e := w.file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = w.b.publishFile(w.temp, w.path, w.ifNotExist)
	}
	if e := w.b.root.Remove(w.temp); err == nil && e != nil && !errors.Is(e, fs.ErrNotExist) {
		err = e
	}
	return err
}

// Copy writes the bytes of srcKey to dstKey, overwriting it as gocloud asks of
// a driver. It is no hard link: a copy must not share the damage of a disk
// block with its source.
func (b *bucket) Copy(ctx context.Context, dstKey, srcKey string, opts *driver.CopyOptions) error {
	src, _, err := b.open(srcKey)
	if err != nil {
		return err
	}
	defer src.Close()
	wopts := &driver.WriterOptions{}
	if opts != nil {
		wopts.BeforeWrite = opts.BeforeCopy
	}
	w, err := b.NewTypedWriter(ctx, dstKey, "", wopts)
	if err != nil {
		return err
	}
	return copyClose(w.(*writer), src)
}

// copyClose fills w from src and publishes it. A failed read counts as a
// failed write, else half an object would be published.
func copyClose(w *writer, src io.Reader) error {
	if _, err := io.Copy(w.file, src); err != nil && w.err == nil {
		w.err = err
	}
	return w.Close()
}

// hideNotExist keeps a missing folder of our own from reading as "no such
// object": the caller may retry the one, never the other.
func hideNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("temporary file or folder vanished: %v", err)
	}
	return err
}
