package restore

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"cbk/pack"
	"cbk/snapshot"
)

// verifyFiles reads every component back from disk and compares it with its hash in the snapshot. The pages of a file
// are dropped from the cache first, as far as the kernel agrees, so that the disk and not the memory is read.
func verifyFiles(ctx context.Context, snap *snapshot.Snapshot, dirs []string) (files int, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	err = snap.Pages(ctx, allTables(snap), func(pages []snapshot.Page) error {
		for _, p := range pages {
			if p.Err != nil {
				return p.Err
			}
			for i := range p.SSTables {
				t := &p.SSTables[i]
				dir := filepath.Join(dirs[t.DataDir%len(dirs)], filepath.FromSlash(p.Table.Dir))
				files += len(t.Components)
				g.Go(func() error { return verifySSTable(ctx, dir, t) })
			}
		}
		return ctx.Err()
	})
	return files, cause(g, err)
}

func verifySSTable(ctx context.Context, dir string, s *snapshot.SSTable) error {
	for i := range s.Components {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c := &s.Components[i]
		name := filepath.Join(dir, filepath.FromSlash(s.File(c)))
		got, err := hashFile(name)
		if err != nil {
			return fmt.Errorf("verify restored file: %w", err)
		}
		if got != c.Hash {
			return fmt.Errorf("verify restored file: %s does not match its hash when read back from disk", name)
		}
	}
	return nil
}

func hashFile(name string) (sum pack.ID, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	// Only a hint: a kernel that ignores it makes the proof weaker, not wrong.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return pack.ID(h.Sum(nil)), nil
}
