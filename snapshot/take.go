package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"cbk/cassandra/node"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/peel"
	"cbk/pack"
)

// isDigest tells the component that names the content of Data.db.
func isDigest(name string) bool {
	return name == sstable.Digest || name == sstable.DigestAdler || name == sstable.DigestSHA1
}

// alwaysRead are the components that are never taken as unchanged: TOC.txt is rewritten in place on the same inode,
// Statistics.db changes with levels and repairs, and the digest tells a reused name from a kept file.
func alwaysRead(name string) bool {
	return name == sstable.TOC || name == sstable.Statistics || isDigest(name)
}

// writing is an SSTable on its way into the repository.
type writing struct {
	b      *backup
	table  *node.TableDir
	in     *node.SSTable
	prefix string
	known  map[string]fileFact // what is remembered of its files, by name; nil once its name turns out to be reused
	old    *sstableFact        // where known comes from
	files  []fileFact          // of in.Files, once they are stored
	inline [][]byte
	stored []bool
	cost   *Cost

	// What the small components say. Nothing is set of those that are not there.
	digest      *uint32 // of Data.db
	digestName  string
	listed      []string // by TOC.txt
	stats       *Stats
	partitioner string
	first, last []byte // keys
}

// storeSSTable stores one SSTable, reading only what may have changed.
func (b *backup) storeSSTable(ctx context.Context, d *node.TableDir, in *node.SSTable, out *stored) error {
	n := len(in.Files)
	w := &writing{b: b, table: d, in: in, prefix: in.Desc.Prefix(), old: b.facts.lookup(d, in), cost: &out.cost,
		files: make([]fileFact, n), inline: make([][]byte, n), stored: make([]bool, n)}
	w.known = w.old.trusted()
	if err := w.components(ctx); err != nil {
		return fmt.Errorf("%s.%s: %w", d.Keyspace, d.Table, err)
	}
	w.tokens()
	out.SSTable = SSTable{DataDir: d.DataDir, Sub: in.Sub, Prefix: w.prefix, Damage: w.damage(), Stats: w.stats}
	b.damaged.add(b.opt.Log, d, &out.SSTable)
	for i, f := range w.files {
		c := Component{Name: w.component(i), Size: f.size, Hash: f.hash, MD5: f.md5, Inline: w.inline[i]}
		if !b.opt.MD5 {
			c.MD5 = nil
		}
		if !c.inlined() {
			out.recipes = append(out.recipes, f.how)
		}
		out.Components = append(out.Components, c)
	}
	ref, added, err := b.s.Put(pack.Recipe, encodeRecipes(out.recipes))
	if err != nil {
		return err
	}
	out.cost.SSTables++
	out.cost.stored(added)
	out.Recipe = ref.ID
	return b.facts.store(d, in, w.fact())
}

// fact is what will be remembered of the SSTable.
func (w *writing) fact() *sstableFact {
	f := &sstableFact{files: w.files}
	if w.stats != nil {
		f.first, f.last = w.stats.FirstToken, w.stats.LastToken
	}
	return f
}

// component is the name of a file without the SSTable's prefix.
func (w *writing) component(i int) string { return strings.TrimPrefix(w.in.Files[i].Name, w.prefix) }

// components stores the files. The digest goes first: if it is another, the name was reused and nothing remembered under
// it counts; nor does it if no digest can tell. Then Data.db with what may follow from it.
func (w *writing) components(ctx context.Context) error {
	told := false
	for i := range w.in.Files {
		if !isDigest(w.component(i)) {
			continue
		}
		old := w.known[w.in.Files[i].Name]
		if err := w.content(ctx, i, ""); err != nil {
			return err
		}
		if old.hash != w.files[i].hash {
			w.known = nil
		}
		told = told || w.files[i].size > 0 && w.files[i].damage == ""
	}
	if !told {
		w.known = nil
	}
	if err := w.data(ctx); err != nil {
		return err
	}
	for i := range w.in.Files {
		if w.stored[i] {
			continue
		}
		if err := w.file(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// file stores one component on its own, or finds that it is the file remembered. What was derived is kept with its Data.db
// or made again.
func (w *writing) file(ctx context.Context, i int) error {
	if old := w.known[w.in.Files[i].Name]; w.unchanged(i) && old.how.typ != recipeDerived {
		w.done(i, old, nil, 0, "")
		return nil
	}
	return w.content(ctx, i, "")
}

// maxReads bounds how often a component is read that changes meanwhile.
const maxReads = 3

// content stores a component by its bytes. why says what kept a Data.db from a better recipe. TOC.txt, when an index is
// built, and Filter.db, when Cassandra starts, are written anew through the inode that the snapshot shares: what changed
// while it was read is read again.
func (w *writing) content(ctx context.Context, i int, why string) error {
	for range maxReads {
		fact, small, err := w.read(ctx, i)
		if w.changed(i) && ctx.Err() == nil {
			continue
		}
		if err == nil {
			w.done(i, fact, small, fact.size, why)
		}
		return err
	}
	return fmt.Errorf("read component %s: it changed each of the %d times it was read", w.in.Files[i].Path, maxReads)
}

// changed looks at a file again and reports whether it is no longer as it was listed; from then on it is listed as it is.
func (w *writing) changed(i int) bool {
	old := &w.in.Files[i]
	f, err := node.StatFile(old.Path)
	if err != nil || f.Inode == old.Inode && f.Size == old.Size && f.ModTime.Equal(old.ModTime) {
		return false
	}
	*old = f
	return true
}

// read reads a component once and stores its bytes; small content goes into the page.
func (w *writing) read(ctx context.Context, i int) (fact fileFact, small []byte, err error) {
	in, err := w.open(ctx, i)
	if err != nil {
		return fact, nil, err
	}
	defer in.Close()
	taken := w.fingerprint(i)
	body := io.TeeReader(in, taken)
	if in.fact.size <= inlineLimit {
		small, err = io.ReadAll(body)
	} else {
		err = w.blobs(in, body)
	}
	if err == nil {
		err = in.whole()
	}
	if err != nil {
		return fact, nil, in.fail(err)
	}
	taken.end(w, i, &in.fact)
	return in.fact, small, nil
}

// unchanged reports whether a file need not be read.
func (w *writing) unchanged(i int) bool {
	f := &w.in.Files[i]
	old, ok := w.known[f.Name]
	if !ok || f.Size <= inlineLimit || alwaysRead(w.component(i)) || w.b.opt.MD5 && old.md5 == nil {
		return false
	}
	return w.b.facts.unchanged(&old, f)
}

// blobs stores the bytes of a file.
func (w *writing) blobs(in *reading, body io.Reader) error {
	sizes := w.b.s.OtherSizes()
	if strings.HasSuffix(in.fact.name, sstable.Data) {
		sizes = w.b.s.DataSizes()
	}
	in.fact.how = recipe{typ: recipeBlobs}
	refs := refList{b: w.b, cost: w.cost, how: &in.fact.how}
	if err := refs.stream(body, sizes, peel.Stored); err != nil {
		return err
	}
	return refs.end()
}

// done notes that a component is stored; plain is how many bytes were cut into blobs for it.
func (w *writing) done(i int, fact fileFact, small []byte, plain int64, why string) {
	w.files[i], w.inline[i], w.stored[i] = fact, small, true
	w.cost.Files++
	w.cost.BytesSource += fact.size
	if w.known[fact.name].hash == fact.hash {
		w.cost.Unchanged++
	}
	w.b.opt.Progress.Done(1, fact.size)
	w.b.uses.add(RecipeUse{Recipe: fact.how.name(), Reason: why, Files: 1, BytesSource: fact.size, BytesPlain: plain})
}

// reading is a file that is read, and what will be remembered of it.
type reading struct {
	countingReader
	io.Closer
	fact fileFact
	path string
}

func (w *writing) open(ctx context.Context, i int) (*reading, error) {
	f := &w.in.Files[i]
	in, err := w.b.opt.Open(f.Path)
	if err != nil {
		return nil, fmt.Errorf("read component: %w", err)
	}
	return &reading{countingReader{ctx: ctx, r: in, left: f.Size}, in,
		fileFact{name: f.Name, inode: f.Inode, size: f.Size, mtime: f.ModTime.UnixNano(), read: w.b.facts.now.UnixNano()}, f.Path}, nil
}

func (r *reading) fail(err error) error { return fmt.Errorf("read component %s: %w", r.path, err) }

// countingReader reads exactly the bytes a file had when it was listed and stops when the backup is interrupted.
type countingReader struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

var errGrew = errors.New("it grew while it was read")

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	if c.left < 0 {
		return n, errGrew
	}
	return n, err
}

// whole reports whether all of the file was read: components never change, so another length means that this was no
// component, or no longer the one that was listed.
func (c *countingReader) whole() error {
	if c.left != 0 {
		return fmt.Errorf("it ended %d bytes early", c.left)
	}
	return nil
}

// OpenFile opens a component on disk. It does not follow a symbolic link in the last part of the path: a snapshot holds
// hard links only.
func OpenFile(path string) (io.ReadCloser, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
}
