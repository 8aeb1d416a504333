package filedriver

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"gocloud.dev/blob/driver"
	"golang.org/x/sys/unix"
)

// defaultPage is the page size of the cloud stores.
const defaultPage = 1000

// errPageFull ends a walk whose page is complete.
var errPageFull = errors.New("page full")

// ListPaged lists keys in lexical order. Memory is one page and the names of
// the directories on one path from the root: the largest, a pack folder of a
// 1 PB repository, has some 60,000.
func (b *bucket) ListPaged(ctx context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	if opts.BeforeList != nil {
		if err := opts.BeforeList(b.As); err != nil {
			return nil, err
		}
	}
	p := &pager{opts: opts, size: cmp.Or(opts.PageSize, defaultPage)}
	return p.list(ctx, b.root, p.add)
}

// pager collects one page, folding keys at the delimiter.
type pager struct {
	opts *driver.ListOptions
	size int
	page driver.ListPage
}

// list makes the page of what visit takes.
func (p *pager) list(ctx context.Context, root *os.Root, visit visitor) (*driver.ListPage, error) {
	w := walker{ctx: ctx, prefix: p.opts.Prefix, after: string(p.opts.PageToken), visit: visit}
	if err := w.walk(root, ""); err != nil && !errors.Is(err, errPageFull) {
		return nil, err
	}
	p.page.Objects = slices.DeleteFunc(p.page.Objects, func(o *driver.ListObject) bool { return o.Size == vanished })
	return &p.page, nil
}

// add takes an object by its key. It returns what is to be measured, nil for
// what goes into no page of its own.
func (p *pager) add(key string) (*driver.ListObject, error) {
	obj := &driver.ListObject{Key: key, AsFunc: asNothing}
	if rest := key[len(p.opts.Prefix):]; p.opts.Delimiter != "" {
		if head, _, ok := strings.Cut(rest, p.opts.Delimiter); ok {
			obj.Key, obj.IsDir = p.opts.Prefix+head+p.opts.Delimiter, true
		}
	}
	n := len(p.page.Objects)
	if obj.Key <= string(p.opts.PageToken) || n > 0 && p.page.Objects[n-1].Key == obj.Key {
		return nil, nil
	}
	if n == p.size {
		p.page.NextPageToken = []byte(p.page.Objects[n-1].Key)
		return nil, errPageFull
	}
	p.page.Objects = append(p.page.Objects, obj)
	if obj.IsDir {
		return nil, nil
	}
	return obj, nil
}

func asNothing(any) bool { return false }

// walker visits objects in lexical order of their keys.
type walker struct {
	ctx           context.Context
	prefix, after string
	visit         visitor
}

// visitor takes an object by its key. It returns what is to be measured.
type visitor func(key string) (*driver.ListObject, error)

// child is an entry of a directory with its decoded name; that of a directory
// ends in a slash, which sorts a whole subtree where its keys belong.
type child struct {
	name, file string
	dir        bool
}

// walk visits the objects below a folder, whose keys begin with base. A
// directory that cannot be read is an error: leaving it out would make a
// listing lie; one removed meanwhile has nothing in it.
func (w *walker) walk(folder *os.Root, base string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	dir, err := folder.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	children, err := readDir(dir)
	if err != nil {
		return err
	}
	found, err := w.walkEach(folder, base, children)
	if failed := measure(dir, found); failed != nil {
		return failed
	}
	return err // errPageFull, too
}

// walkEach visits the children of a folder. It returns its own files that were
// taken, also with an error.
func (w *walker) walkEach(folder *os.Root, base string, children []child) (found []unmeasured, err error) {
	for _, c := range children {
		key := base + c.name
		switch {
		case c.dir && w.mayHold(key):
			err = w.descend(folder, c.file, key)
		case !c.dir && key > w.after && strings.HasPrefix(key, w.prefix):
			var obj *driver.ListObject
			if obj, err = w.visit(key); obj != nil {
				found = append(found, unmeasured{obj, c.file})
			}
		}
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

func (w *walker) descend(folder *os.Root, dir, key string) error {
	below, err := folder.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(w.walk(below, key), below.Close())
}

// mayHold reports whether keys beginning with dirKey can be wanted.
func (w *walker) mayHold(dirKey string) bool {
	inPrefix := strings.HasPrefix(dirKey, w.prefix) || strings.HasPrefix(w.prefix, dirKey)
	return inPrefix && (dirKey > w.after || strings.HasPrefix(w.after, dirKey))
}

// readDir returns the sorted children of a folder that belong to the name
// space.
func readDir(dir *os.File) ([]child, error) {
	entries, err := typedEntries(dir)
	if err != nil {
		return nil, err
	}
	children := make([]child, 0, len(entries))
	for _, e := range entries {
		name, ok := decodePart(e.Name())
		if !ok || !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		if e.IsDir() {
			name += "/"
		}
		children = append(children, child{name, e.Name(), e.IsDir()})
	}
	slices.SortFunc(children, func(a, b child) int { return cmp.Compare(a.name, b.name) })
	return children, nil
}

// typedEntries reads a directory by a handle that os.Root knows nothing of:
// with its own it would look up every entry, whose type the directory tells.
func typedEntries(dir *os.File) ([]fs.DirEntry, error) {
	fd, err := unix.FcntlInt(dir.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	own := os.NewFile(uintptr(fd), dir.Name())
	entries, err := own.ReadDir(-1)
	return entries, errors.Join(err, own.Close())
}
