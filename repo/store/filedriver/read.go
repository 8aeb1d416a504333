package filedriver

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"

	"gocloud.dev/blob/driver"
)

// reader reads a range of one object.
type reader struct {
	io.Reader
	file  *os.File
	attrs driver.ReaderAttributes
}

// NewRangeReader reads length bytes from offset, to the end if length < 0.
func (b *bucket) NewRangeReader(_ context.Context, key string, offset, length int64, opts *driver.ReaderOptions) (driver.Reader, error) {
	f, info, err := b.open(key)
	if err != nil {
		return nil, err
	}
	if opts != nil && opts.BeforeRead != nil {
		if err := opts.BeforeRead(b.As); err != nil {
			f.Close()
			return nil, err
		}
	}
	if length < 0 {
		length = math.MaxInt64 - offset
	}
	return &reader{
		Reader: io.NewSectionReader(f, offset, length),
		file:   f,
		attrs:  driver.ReaderAttributes{ModTime: info.ModTime(), Size: info.Size()},
	}, nil
}

// Close releases the file.
func (r *reader) Close() error { return r.file.Close() }

// Attributes returns the size and time of the whole object.
func (r *reader) Attributes() *driver.ReaderAttributes { return &r.attrs }

// As gives no access to the file.
func (r *reader) As(any) bool { return false }

// notDirIsNotExist turns "not a directory" into "does not exist": key a/b
// cannot exist where a is an object.
func notDirIsNotExist(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return &fs.PathError{Op: "open", Path: pathOf(err), Err: fs.ErrNotExist}
	}
	return err
}

func pathOf(err error) string {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		return perr.Path
	}
	return ""
}
