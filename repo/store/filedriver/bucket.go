package filedriver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// Options says how a directory is opened.
type Options struct {
	// ReadOnly refuses every write and makes opening free of side effects.
	ReadOnly bool
	// Make creates the directory and its parents if they are missing.
	Make bool
}

var (
	errReadOnly      = errors.New("bucket is read-only")
	errUnimplemented = errors.New("not offered by a local directory")
)

// bucket is a directory of objects. root confines every path, symbolic links
// included, to that directory.
type bucket struct {
	dir      string
	root     *os.Root
	readOnly bool
	publish  []publisher

	mu      sync.Mutex
	durable map[string]bool // directories whose own entry is known to be synced
}

var _ driver.Bucket = (*bucket)(nil)

// Open opens the directory dir. Without Make a missing directory is an error
// matching fs.ErrNotExist. Opening for writing removes temporary files that no
// live writer can own (see sweep).
func Open(dir string, o Options) (driver.Bucket, error) {
	if o.Make && !o.ReadOnly {
		if err := makeDurable(dir); err != nil {
			return nil, err
		}
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	b := &bucket{
		dir: dir, root: root, readOnly: o.ReadOnly,
		publish: []publisher{linkFile, renameNoReplace},
		durable: map[string]bool{".": true},
	}
	if !o.ReadOnly {
		b.sweep(time.Now())
	}
	return b, nil
}

// makeDurable creates dir with its parents and syncs each directory that got a
// new entry, so that the repository's own folder survives a power cut.
func makeDurable(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	switch _, err := os.Stat(abs); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := makeDurable(filepath.Dir(abs)); err != nil {
		return err
	}
	if err := os.Mkdir(abs, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	parent, err := os.Open(filepath.Dir(abs))
	return syncClose(parent, err)
}

// Close releases the directory handle.
func (b *bucket) Close() error { return b.root.Close() }

// ErrorCode maps errors of the operating system to gocloud's codes.
func (b *bucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gcerrors.NotFound
	case errors.Is(err, fs.ErrExist):
		return gcerrors.FailedPrecondition
	case errors.Is(err, fs.ErrPermission), errors.Is(err, errReadOnly):
		return gcerrors.PermissionDenied
	case errors.Is(err, ErrInvalidKey):
		return gcerrors.InvalidArgument
	case errors.Is(err, errUnimplemented), errors.Is(err, errNoPublish):
		return gcerrors.Unimplemented
	default:
		return gcerrors.Unknown
	}
}

// As gives no access to anything below the driver.
func (b *bucket) As(any) bool { return false }

// ErrorAs finds *fs.PathError and *os.LinkError in an error.
func (b *bucket) ErrorAs(err error, target any) bool {
	switch target.(type) {
	case **fs.PathError, **os.LinkError:
		return errors.As(err, target)
	}
	return false
}

// open opens the object of a key; directories and other things that are no
// regular file are not there.
func (b *bucket) open(key string) (*os.File, fs.FileInfo, error) {
	path, err := keyPath(key)
	if err != nil {
		return nil, nil, err
	}
	f, err := b.root.Open(path)
	if err != nil {
		return nil, nil, notDirIsNotExist(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// Attributes returns size and times; the ETag changes whenever they do.
func (b *bucket) Attributes(_ context.Context, key string) (*driver.Attributes, error) {
	f, info, err := b.open(key)
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{
		ModTime: info.ModTime(),
		Size:    info.Size(),
		ETag:    fmt.Sprintf("\"%x-%x\"", info.ModTime().UnixNano(), info.Size()),
		AsFunc:  b.As,
	}, f.Close()
}

// Delete removes an object and syncs its directory: protocols that delete in
// an order need that order to survive a power cut.
func (b *bucket) Delete(_ context.Context, key string, opts *driver.DeleteOptions) error {
	if b.readOnly {
		return errReadOnly
	}
	f, _, err := b.open(key)
	if err != nil {
		return err
	}
	f.Close()
	if opts != nil && opts.BeforeDelete != nil {
		if err := opts.BeforeDelete(b.As); err != nil {
			return err
		}
	}
	path, err := keyPath(key)
	if err != nil {
		return err
	}
	if err := b.root.Remove(path); err != nil {
		return err
	}
	return b.syncDir(filepath.Dir(path))
}

// SignedURL is not offered.
func (b *bucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errUnimplemented
}
