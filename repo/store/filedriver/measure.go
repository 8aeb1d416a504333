package filedriver

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"gocloud.dev/blob/driver"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// measurers look up sizes side by side: a file server answers many as
	// soon as one, and 8 keep a local disk's queue filled.
	measurers = 8
	// measureShare is what each takes at least: fewer cost less than the
	// goroutine.
	measureShare = 64
	// vanished marks an object that was deleted since its directory was read.
	vanished = -1
)

// unmeasured is an object of which only the name is known.
type unmeasured struct {
	obj  *driver.ListObject
	file string
}

// measure fills in size and time of the objects in a folder. They come from
// its handle: those of a directory entry would be looked up by its outer path,
// which may have moved.
func measure(dir *os.File, found []unmeasured) error {
	share := max(measureShare, (len(found)+measurers-1)/measurers)
	var g errgroup.Group
	for len(found) > share {
		part := found[:share]
		g.Go(func() error { return measureEach(dir, part) })
		found = found[share:]
	}
	return errors.Join(measureEach(dir, found), g.Wait())
}

func measureEach(dir *os.File, found []unmeasured) error {
	fd := int(dir.Fd())
	for _, f := range found {
		var st unix.Stat_t
		err := statAt(fd, f.file, &st)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f.obj.Size = vanished
		case err != nil:
			return &fs.PathError{Op: "fstatat", Path: f.file, Err: err}
		default:
			f.obj.Size, f.obj.ModTime = st.Size, time.Unix(st.Mtim.Unix())
		}
	}
	return nil
}

// statAt looks up a file of a folder, as often as signals interrupt it.
func statAt(fd int, file string, st *unix.Stat_t) error {
	for {
		if err := unix.Fstatat(fd, file, st, unix.AT_SYMLINK_NOFOLLOW); err != unix.EINTR {
			return err
		}
	}
}
