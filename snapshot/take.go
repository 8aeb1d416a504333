package snapshot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"cbk/cassandra/node"
	"cbk/cassandra/sstable"
	"cbk/pack"
	"cbk/repo"
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

// storeSSTable stores one SSTable, reading only what may have changed.
func (b *backup) storeSSTable(ctx context.Context, d *node.TableDir, in *node.SSTable, cost *Cost) (*SSTable, []recipe, error) {
	prefix := in.Desc.Prefix()
	known := b.facts.lookup(d, in)
	files := make([]fileFact, len(in.Files))
	inline := make([][]byte, len(in.Files))
	// The digest goes first: if it is another, the name was reused and nothing remembered under it counts.
	for _, digests := range []bool{true, false} {
		for i := range in.Files {
			f := &in.Files[i]
			if isDigest(strings.TrimPrefix(f.Name, prefix)) != digests {
				continue
			}
			var err error
			old := known[f.Name]
			if files[i], inline[i], err = b.storeFile(ctx, f, alwaysRead(strings.TrimPrefix(f.Name, prefix)), &old, cost); err != nil {
				return nil, nil, fmt.Errorf("%s.%s: %w", d.Keyspace, d.Table, err)
			}
			if digests && old.hash != files[i].hash {
				known = nil
			}
		}
	}
	out := &SSTable{DataDir: d.DataDir, Sub: in.Sub, Prefix: prefix}
	var recipes []recipe
	for i, f := range files {
		c := Component{Name: strings.TrimPrefix(f.name, prefix), Size: f.size, Hash: f.hash, Inline: inline[i]}
		if !c.inlined() {
			recipes = append(recipes, f.how)
		}
		out.Components = append(out.Components, c)
	}
	ref, added, err := b.s.Put(pack.Recipe, encodeRecipes(recipes))
	if err != nil {
		return nil, nil, err
	}
	cost.SSTables++
	cost.stored(added)
	out.Recipe = ref.ID
	return out, recipes, b.facts.store(d, in, files)
}

// storeFile stores one component, or finds that it is the file remembered in old. Small content is returned instead of
// stored: it goes into the page.
func (b *backup) storeFile(ctx context.Context, f *node.File, always bool, old *fileFact, cost *Cost) (fileFact, []byte, error) {
	cost.Files++
	cost.BytesSource += f.Size
	defer b.opt.Progress.Done(f.Size)
	if !always && f.Size > inlineLimit && b.facts.unchanged(old, f) {
		cost.Unchanged++
		return *old, nil, nil
	}
	fact := fileFact{name: f.Name, inode: f.Inode, size: f.Size, mtime: f.ModTime.UnixNano(), read: b.facts.now.UnixNano()}
	in, err := b.opt.Open(f.Path)
	if err != nil {
		return fact, nil, fmt.Errorf("read component: %w", err)
	}
	defer in.Close()
	counted := &countingReader{ctx: ctx, r: in, left: f.Size}
	hash := sha256.New()
	body := io.TeeReader(counted, hash)
	var small []byte
	if f.Size <= inlineLimit {
		small, err = io.ReadAll(body)
	} else {
		fact.how, err = b.storeContent(body, f.Name, cost)
	}
	if err == nil {
		err = counted.whole()
	}
	if err != nil {
		return fact, nil, fmt.Errorf("read component %s: %w", f.Path, err)
	}
	if old.hash != (pack.ID{}) && old.hash == pack.ID(hash.Sum(nil)) {
		cost.Unchanged++
	}
	fact.hash = pack.ID(hash.Sum(nil))
	return fact, small, nil
}

// storeContent cuts and stores what body yields and returns its recipe.
func (b *backup) storeContent(body io.Reader, name string, cost *Cost) (recipe, error) {
	sizes := b.s.OtherSizes()
	if strings.HasSuffix(name, sstable.Data) {
		sizes = b.s.DataSizes()
	}
	var r recipe
	added, err := b.s.Stream(body, sizes, func(refs []repo.Ref) error {
		if !r.segmented && len(r.refs)+len(refs) <= directRefs {
			r.refs = append(r.refs, refs...)
			return nil
		}
		if !r.segmented {
			// Too many to name directly: what was collected so far becomes the first segment.
			first := r.refs
			r = recipe{segmented: true}
			if err := b.storeSegment(&r, first, cost); err != nil {
				return err
			}
		}
		return b.storeSegment(&r, refs, cost)
	})
	cost.stored(added)
	return r, err
}

func (b *backup) storeSegment(r *recipe, refs []repo.Ref, cost *Cost) error {
	if len(refs) == 0 {
		return nil
	}
	body := encodeSegment(refs)
	ref, added, err := b.s.Put(pack.Recipe, body)
	if err != nil {
		return err
	}
	cost.stored(added)
	r.refs = append(r.refs, ref)
	return b.facts.segment(ref.ID, body)
}

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
