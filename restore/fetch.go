package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"cbk/repo"
	"cbk/snapshot"
)

// partSuffix ends the name of a component that is still being written.
const partSuffix = ".cbk-part"

// Refused is a component that could not be rebuilt as it was, and why.
type Refused struct {
	Keyspace, Table, Component string
	Err                        error
}

// Fetched says what was written.
type Fetched struct {
	Files   int
	Bytes   int64
	Refused []Refused
}

// DamagedError reports components that were refused because the repository does not hold them as they were.
type DamagedError struct{ Refused []Refused }

// Error names the first component.
func (e *DamagedError) Error() string {
	r := e.Refused[0]
	return fmt.Sprintf("damaged in the repository and not restored: %d of the components, first %s.%s %s: %v",
		len(e.Refused), r.Keyspace, r.Table, r.Component, r.Err)
}

// owner is who the restored files shall belong to.
type owner struct {
	uid, gid int
	dirMode  fs.FileMode
}

// fetch writes the files of a snapshot below dirs, one for each data directory; a snapshot of more data directories
// wraps around. SSTable ids are unique over a table's directories, so nothing can collide.
type fetch struct {
	snap     *snapshot.Snapshot
	dirs     []string
	owner    *owner
	progress snapshot.Progress

	mu     sync.Mutex
	result Fetched
	made   map[string]bool // directories that were not there before
}

// settling bounds the files that are made durable while the next are written: each waits for its disk.
const settling = 8

func (f *fetch) run(ctx context.Context) (*Fetched, error) {
	tables := allTables(f.snap)
	for _, t := range tables {
		f.progress.Expect(t.Files, t.BytesSource)
		if err := f.mkdir(filepath.Join(f.dirs[0], filepath.FromSlash(t.Dir))); err != nil {
			return nil, err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(settling)
	err := f.snap.Pages(ctx, tables, func(pages []snapshot.Page) error {
		for _, p := range pages {
			if p.Err != nil {
				f.refuse(Refused{p.Table.Keyspace, p.Table.Name, "SSTables of a damaged description", p.Err})
			}
		}
		return f.content(ctx, g, pages)
	})
	if err := cause(g, err); err != nil {
		return nil, err
	}
	return &f.result, f.syncDirs()
}

func allTables(s *snapshot.Snapshot) []*snapshot.Table {
	out := make([]*snapshot.Table, len(s.Node.Tables))
	for i := range out {
		out[i] = &s.Node.Tables[i]
	}
	return out
}

// cause waits for a group and returns what failed in it, err if nothing did: the first failure ends the group's context,
// and what then ends by it would look like an interruption.
func cause(g *errgroup.Group, err error) error {
	if failed := g.Wait(); failed != nil {
		return failed
	}
	return err
}

func (f *fetch) refuse(r Refused) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Refused = append(f.result.Refused, r)
}

// content writes the components of pages. Those that are whole get their names in g.
func (f *fetch) content(ctx context.Context, g *errgroup.Group, pages []snapshot.Page) error {
	out := make(map[*snapshot.Component]*os.File)
	create := func(file snapshot.File) (io.Writer, error) {
		dir := filepath.Join(f.dirs[file.SSTable.DataDir%len(f.dirs)], filepath.FromSlash(file.Table.Dir), file.SSTable.Sub)
		if err := f.mkdir(dir); err != nil {
			return nil, err
		}
		name := filepath.Join(dir, file.SSTable.Prefix+file.Component.Name+partSuffix)
		w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o644)
		if err == nil {
			out[file.Component] = w
		}
		return w, err
	}
	return f.snap.Content(ctx, pages, create, func(file snapshot.File, err error) error {
		written := out[file.Component]
		delete(out, file.Component)
		if err != nil {
			return f.fail(file, f.settle(written, err))
		}
		g.Go(func() error {
			if err := f.settle(written, nil); err != nil {
				return f.fail(file, err)
			}
			f.count(file.Component)
			return nil
		})
		return ctx.Err()
	})
}

// fail refuses a component that is damaged in the repository; any other error ends the restore.
func (f *fetch) fail(file snapshot.File, err error) error {
	var damage *repo.DamageError
	if errors.As(err, &damage) {
		f.refuse(Refused{file.Table.Keyspace, file.Table.Name, file.SSTable.File(file.Component), err})
		return nil
	}
	return fmt.Errorf("restore %s.%s %s: %w", file.Table.Keyspace, file.Table.Name, file.SSTable.File(file.Component), err)
}

func (f *fetch) count(c *snapshot.Component) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.result.Files++
	f.result.Bytes += c.Size
	f.progress.Done(1, c.Size)
}

// settle gives a written component its name, or removes it if err says that it is not right. file is nil if it could
// not be created.
func (f *fetch) settle(file *os.File, err error) error {
	if file == nil {
		return err
	}
	part := file.Name()
	if err == nil && f.owner != nil {
		err = file.Chown(f.owner.uid, f.owner.gid)
	}
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		return os.Rename(part, part[:len(part)-len(partSuffix)])
	}
	return errors.Join(err, os.Remove(part))
}

// mkdir makes a directory and those above it with the data directory's owner and mode.
func (f *fetch) mkdir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mkdirLocked(dir)
}

func (f *fetch) mkdirLocked(dir string) error {
	if f.made[dir] {
		return nil
	}
	mode := fs.FileMode(0o755)
	if f.owner != nil {
		mode = f.owner.dirMode
	}
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.mkdirLocked(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, mode)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("restore: %w", err)
	}
	f.made[dir] = true
	if f.owner == nil {
		return nil
	}
	return errors.Join(os.Chown(dir, f.owner.uid, f.owner.gid), os.Chmod(dir, mode))
}

// syncDirs makes the new names durable, those of the directories above them too.
func (f *fetch) syncDirs() error {
	done := make(map[string]bool)
	for dir := range f.made {
		for _, d := range []string{dir, filepath.Dir(dir)} {
			if done[d] {
				continue
			}
			done[d] = true
			if err := syncDir(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// ToDir writes the files of a node snapshot into dir, laid out as a data directory. dir must be empty or absent. With
// damage in the repository everything else is written, and the error is a *DamagedError.
func ToDir(ctx context.Context, snap *snapshot.Snapshot, dir string, p snapshot.Progress) (*Fetched, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: give --to a directory that is, or that does not exist", dir)
	}
	f := &fetch{snap: snap, dirs: []string{dir}, progress: p, made: make(map[string]bool)}
	if err := f.mkdir(filepath.Clean(dir)); err != nil {
		return nil, err
	}
	got, err := f.run(ctx)
	if err != nil {
		return nil, err
	}
	if len(got.Refused) > 0 {
		return got, &DamagedError{got.Refused}
	}
	return got, nil
}
