package guest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/dustin/go-humanize"
)

// Least is the free space that must be left on a file system: the larger of both.
type Least struct {
	Bytes   int64
	Percent float64 // of the file system
}

func (l Least) of(total int64) int64 { return max(l.Bytes, int64(l.Percent/100*float64(total))) }

// SpaceError says that a file system of the node has too little space left for a snapshot to stand.
type SpaceError struct {
	Dir         string
	Free, Least int64
}

// Error implements error.
func (e *SpaceError) Error() string {
	return fmt.Sprintf("%s left at %s, at least %s are to stay free", humanize.IBytes(uint64(max(e.Free, 0))), e.Dir, humanize.IBytes(uint64(e.Least)))
}

// Space watches over the free space of the file systems that a snapshot lies on.
type Space struct {
	Dirs   []string
	Least  Least         // nothing is watched if it is zero
	Every  time.Duration // how often is looked
	Statfs func(dir string) (free, total int64, err error)
	Log    *slog.Logger
}

// Watch looks at the space at once: too little, or a directory that cannot be looked at, is its error. After that the
// returned context ends when space runs short, its cause a *SpaceError. A look that fails on the way is logged, and
// another taken: the disk may be well. stop ends the watch and waits for it.
func (s Space) Watch(ctx context.Context) (watched context.Context, stop func(), err error) {
	if s.Least == (Least{}) {
		return ctx, func() {}, nil
	}
	for _, dir := range s.Dirs {
		if err := s.look(dir); err != nil {
			return nil, nil, err
		}
	}
	watched, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.watch(watched, cancel)
	}()
	return watched, func() { cancel(nil); <-done }, nil
}

func (s Space) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, dir := range s.Dirs {
			switch err := s.look(dir).(type) {
			case nil:
			case *SpaceError:
				cancel(err)
				return
			default:
				s.Log.Warn("free space not known", "dir", dir, "error", err)
			}
		}
	}
}

// look returns a *SpaceError where too little is left.
func (s Space) look(dir string) error {
	free, total, err := s.Statfs(dir)
	if err != nil {
		return fmt.Errorf("free space of %s: %w", dir, err)
	}
	if least := s.Least.of(total); free < least {
		return &SpaceError{Dir: dir, Free: free, Least: least}
	}
	return nil
}
