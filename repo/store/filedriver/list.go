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
	w := walker{ctx: ctx, prefix: opts.Prefix, after: string(opts.PageToken), visit: p.add}
	if err := w.walk(b.root, ""); err != nil && !errors.Is(err, errPageFull) {
		return nil, err
	}
	return &p.page, nil
}

// pager collects one page, folding keys at the delimiter.
type pager struct {
	opts *driver.ListOptions
	size int
	page driver.ListPage
}

// add takes the object key stored as a file of a folder. Sizes come from Lstat
// below the folder's handle: those of a directory entry would be looked up by
// its outer path, which may have moved.
func (p *pager) add(key string, folder *os.Root, file string) error {
	obj := &driver.ListObject{Key: key, AsFunc: func(any) bool { return false }}
	if rest := key[len(p.opts.Prefix):]; p.opts.Delimiter != "" {
		if head, _, ok := strings.Cut(rest, p.opts.Delimiter); ok {
			obj.Key, obj.IsDir = p.opts.Prefix+head+p.opts.Delimiter, true
		}
	}
	n := len(p.page.Objects)
	if obj.Key <= string(p.opts.PageToken) || n > 0 && p.page.Objects[n-1].Key == obj.Key {
		return nil
	}
	if n == p.size {
		p.page.NextPageToken = []byte(p.page.Objects[n-1].Key)
		return errPageFull
	}
	if !obj.IsDir {
		info, err := folder.Lstat(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted since its directory was read
		}
		if err != nil {
			return err
		}
		obj.ModTime, obj.Size = info.ModTime(), info.Size()
	}
	p.page.Objects = append(p.page.Objects, obj)
	return nil
}

// walker visits objects in lexical order of their keys.
type walker struct {
	ctx           context.Context
	prefix, after string
	visit         func(key string, folder *os.Root, file string) error
}

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
	children, err := readDir(folder)
	if err != nil {
		return err
	}
	for _, c := range children {
		key := base + c.name
		switch {
		case c.dir && w.mayHold(key):
			err = w.descend(folder, c.file, key)
		case !c.dir && key > w.after && strings.HasPrefix(key, w.prefix):
			err = w.visit(key, folder, c.file)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
func readDir(folder *os.Root) ([]child, error) {
	f, err := folder.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
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
