package guest

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/time/rate"
)

// Options say how a Guest reads.
type Options struct {
	ReadRate int64 // bytes a second of all files together; 0 is no limit
}

// Guest opens files for reading. Safe for concurrent use.
type Guest struct {
	limiter *rate.Limiter // nil: no limit
}

// New returns a Guest.
func New(o Options) *Guest {
	if o.ReadRate <= 0 {
		return &Guest{}
	}
	return &Guest{limiter: rate.NewLimiter(rate.Limit(o.ReadRate), burst(o.ReadRate))}
}

// burst is the most that is read at once: a quarter of a second's bytes, so that the disk sees a flow; at least what
// readahead fetches anyway, at most what no single read is faster for exceeding.
func burst(perSecond int64) int { return int(min(max(perSecond/4, 64<<10), 1<<20)) }

// Opener returns the function that opens files for reading from beginning to end. It does not follow a symbolic link in
// the last part of the path: a snapshot holds hard links only. The end of ctx ends a read that waits for its turn, with
// the cause of ctx.
func (g *Guest) Opener(ctx context.Context) func(path string) (io.ReadCloser, error) {
	return func(path string) (io.ReadCloser, error) { return g.open(ctx, path) }
}

func (g *Guest) open(ctx context.Context, path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w (closed: %v)", err, f.Close())
	}
	return &file{ctx: ctx, f: f, limiter: g.limiter, wake: newWake(f, info.Size())}, nil
}

// file is a file that is read once. It has no WriteTo: what is read must pass by Read.
type file struct {
	ctx     context.Context
	f       *os.File
	limiter *rate.Limiter
	wake    *wake // nil: nothing is given back
	pos     int64
}

// Read implements io.Reader. The bytes go from the page cache straight into p.
func (f *file) Read(p []byte) (int, error) {
	if f.limiter != nil {
		p = p[:min(len(p), f.limiter.Burst())]
	}
	p = p[:f.wake.atMost(f.pos, len(p))]
	n, err := f.f.Read(p)
	if n <= 0 {
		return n, err
	}
	f.pos += int64(n)
	f.wake.passed(f.pos)
	if f.limiter == nil {
		return n, err
	}
	if waitErr := f.limiter.WaitN(f.ctx, n); waitErr != nil {
		if f.ctx.Err() != nil {
			waitErr = context.Cause(f.ctx)
		}
		return 0, waitErr
	}
	return n, err
}

// Close gives back what is left of the pages and closes the file.
func (f *file) Close() error {
	f.wake.end()
	return f.f.Close()
}
