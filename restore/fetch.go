package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// owner is who the restored files shall belong to. Files get the mode of directories, without the right to enter.
type owner struct {
	uid, gid int
	dirMode  fs.FileMode
}

// target says which tables are written and where. SSTable ids are unique over a table's directories, so nothing can
// collide.
type target struct {
	tables []*snapshot.Table
	// dir is the directory of the table that an SSTable goes to.
	dir func(t *snapshot.Table, s *snapshot.SSTable) string
	// skip tells SSTables that are not written; nil where all are.
	skip func(s *snapshot.SSTable) bool
	// sizes are the files and bytes of tables of which some are skipped, by their directories.
	sizes map[string]Task
}

// expected is what will be written of a table.
func (t *target) expected(table *snapshot.Table) (files int, bytes int64) {
	if t.skip == nil {
		return table.Files, table.BytesSource
	}
	return t.sizes[table.Dir].Files, t.sizes[table.Dir].Bytes
}

// pages reads what is written, page by page.
func (t *target) pages(ctx context.Context, snap *snapshot.Snapshot, fn func([]snapshot.Page) error) error {
	return snap.Pages(ctx, t.tables, func(pages []snapshot.Page) error {
		for i := range pages {
			if t.skip != nil {
				pages[i].SSTables = slices.DeleteFunc(pages[i].SSTables, func(s snapshot.SSTable) bool { return t.skip(&s) })
			}
		}
		return fn(pages)
	})
}

// fetch writes the files of a snapshot.
type fetch struct {
	snap     *snapshot.Snapshot
	target   target
	owner    *owner
	progress snapshot.Progress
	resumed  bool // some files may be there already

	mu     sync.Mutex
	result Fetched
	made   map[string]bool // directories that were not there before
}

// settling bounds the files that are made durable while the next are written: each waits for its disk.
const settling = 8

func (f *fetch) run(ctx context.Context) (*Fetched, error) {
	for _, t := range f.target.tables {
		f.progress.Expect(f.target.expected(t))
		if err := f.mkdir(f.target.dir(t, &snapshot.SSTable{})); err != nil {
			return nil, err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(settling)
	err := f.target.pages(ctx, f.snap, func(pages []snapshot.Page) error {
		for _, p := range pages {
			if p.Err != nil {
				f.refuse(Refused{p.Table.Keyspace, p.Table.Name, "SSTables of a damaged description", p.Err})
			}
		}
		if f.resumed {
			var err error
			if pages, err = f.missing(ctx, pages); err != nil {
				return err
			}
		}
		return f.content(ctx, g, pages)
	})
	if err := cause(g, err); err != nil {
		return nil, err
	}
	return &f.result, f.syncDirs()
}

// missing leaves out the SSTables that an interrupted fetch has written, which is proven by their hashes. Of the others
// nothing is kept.
func (f *fetch) missing(ctx context.Context, pages []snapshot.Page) ([]snapshot.Page, error) {
	for i, p := range pages {
		var left []snapshot.SSTable
		for j := range p.SSTables {
			t := &p.SSTables[j]
			dir := f.target.dir(p.Table, t)
			if _, err := verifySSTable(ctx, dir, t); err == nil {
				for k := range t.Components {
					f.count(&t.Components[k])
				}
				continue
			}
			if err := errors.Join(ctx.Err(), removeSSTable(dir, t)); err != nil {
				return nil, err
			}
			left = append(left, *t)
		}
		pages[i].SSTables = left
	}
	return pages, nil
}

// removeSSTable removes what there is of an SSTable, finished or not.
func removeSSTable(dir string, t *snapshot.SSTable) error {
	for i := range t.Components {
		name := filepath.Join(dir, filepath.FromSlash(t.File(&t.Components[i])))
		for _, one := range []string{name, name + partSuffix} {
			if err := os.Remove(one); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("fetch again: %w", err)
			}
		}
	}
	return nil
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
		dir := filepath.Join(f.target.dir(file.Table, file.SSTable), file.SSTable.Sub)
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
		err = errors.Join(file.Chown(f.owner.uid, f.owner.gid), file.Chmod(f.owner.dirMode&^0o111))
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
