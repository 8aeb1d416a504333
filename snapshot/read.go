package snapshot

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"

	"cbk/cassandra/ring"
	"cbk/pack"
	"cbk/repo"
)

// Snapshot is an open node snapshot. Safe for concurrent use.
type Snapshot struct {
	Entry
	Node Node

	rd    *repo.Reader
	loads chan *loader
}

// loader is the memory with which one blob is fetched; their number bounds what a restore holds.
type loader struct {
	scratch repo.Scratch
	plain   []byte
}

// Open reads the description of a node snapshot. Damage is a *repo.DamageError.
func Open(ctx context.Context, r *repo.Repo, e *Entry) (*Snapshot, error) {
	rd, err := r.NewReader(ctx, e.Domain)
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, rd, e)
	if err != nil {
		return nil, errors.Join(err, rd.Close())
	}
	return s, nil
}

func open(ctx context.Context, rd *repo.Reader, e *Entry) (*Snapshot, error) {
	s := &Snapshot{Entry: *e, rd: rd}
	n := runtime.GOMAXPROCS(0) + 2
	s.loads = make(chan *loader, n)
	for range n {
		s.loads <- &loader{}
	}
	doc, err := rd.Load(ctx, &repo.Scratch{}, nil, e.root.Descriptions[0], pack.Description)
	if err != nil {
		return nil, fmt.Errorf("description of %s in backup %q: %w", e.Catalogue.Node, e.Backup, err)
	}
	if err := json.Unmarshal(doc, &s.Node); err != nil {
		return nil, &repo.DamageError{Object: e.Root, What: fmt.Sprintf("description: %v", err)}
	}
	return s, s.Node.check(e.Root)
}

// check refuses descriptions that would lead a restore out of its directories.
func (n *Node) check(root string) error {
	for i := range n.Tables {
		t := &n.Tables[i]
		if !safeName(t.Keyspace) || !safeName(t.Name) || t.Dir != t.Keyspace+"/"+t.Name+"-"+t.ID || !safeName(t.ID) {
			return &repo.DamageError{Object: root, What: fmt.Sprintf("table %q.%q in directory %q", t.Keyspace, t.Name, t.Dir)}
		}
	}
	return nil
}

// Close releases the reader.
func (s *Snapshot) Close() error { return s.rd.Close() }

// Ring returns the ring as the node saw it.
func (s *Snapshot) Ring(ctx context.Context) (*ring.Ring, error) {
	return readRing(ctx, s.rd, &s.Entry)
}

// Schema writes the CQL text of the schema to w.
func (s *Snapshot) Schema(ctx context.Context, w io.Writer) error {
	var l loader
	for _, id := range s.Node.Schema {
		plain, err := s.rd.Load(ctx, &l.scratch, l.plain, pack.ID(id), pack.Data)
		if err != nil {
			return fmt.Errorf("schema: %w", err)
		}
		l.plain = plain
		if _, err := w.Write(plain); err != nil {
			return fmt.Errorf("write schema: %w", err)
		}
	}
	return nil
}

// SSTables calls fn for each SSTable of a table, page by page. Pages that are damaged are left out; the error, a
// *repo.DamageError, then names the first of them after all others were handled.
func (s *Snapshot) SSTables(ctx context.Context, t *Table, fn func(*SSTable) error) error {
	var damaged error
	bad := 0
	for i := range t.Pages {
		page, err := s.page(ctx, t, i)
		if errors.As(err, new(*repo.DamageError)) {
			bad++
			damaged = cmp.Or(damaged, err)
			continue
		}
		if err != nil {
			return err
		}
		for i := range page {
			if err := fn(&page[i]); err != nil {
				return err
			}
		}
	}
	if bad > 1 {
		return fmt.Errorf("%d of %d pages: %w", bad, len(t.Pages), damaged)
	}
	return damaged
}

func (s *Snapshot) page(ctx context.Context, t *Table, i int) ([]SSTable, error) {
	b, err := s.rd.Load(ctx, &repo.Scratch{}, nil, pack.ID(t.Pages[i]), pack.Description)
	if err != nil {
		return nil, fmt.Errorf("description of %s.%s: %w", t.Keyspace, t.Name, err)
	}
	page, err := decodePage(b)
	if err != nil {
		return nil, fmt.Errorf("description of %s.%s: %w", t.Keyspace, t.Name, &repo.DamageError{Object: "blob " + pack.ID(t.Pages[i]).String(), What: err.Error()})
	}
	return page, nil
}

// recipes returns the recipe of each component, empty for inline ones.
func (s *Snapshot) recipes(ctx context.Context, t *SSTable) ([]recipe, error) {
	b, err := s.rd.Load(ctx, &repo.Scratch{}, nil, t.Recipe, pack.Recipe)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	n := 0
	for i := range t.Components {
		if !t.Components[i].inlined() {
			n++
		}
	}
	list, err := decodeRecipes(b, n)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", &repo.DamageError{Object: "blob " + t.Recipe.String(), What: err.Error()})
	}
	out := make([]recipe, len(t.Components))
	for i := range t.Components {
		if !t.Components[i].inlined() {
			out[i], list = list[0], list[1:]
		}
	}
	return out, nil
}

// refs calls fn with the data refs of a recipe in order, a segment at a time.
func (s *Snapshot) refs(ctx context.Context, how recipe, fn func([]repo.Ref) error) error {
	if !how.segmented {
		return fn(how.refs)
	}
	for _, seg := range how.refs {
		b, err := s.rd.Load(ctx, &repo.Scratch{}, nil, seg.ID, pack.Recipe)
		if err != nil {
			return fmt.Errorf("recipe segment: %w", err)
		}
		refs, err := decodeSegment(b)
		if err != nil {
			return &repo.DamageError{Object: "blob " + seg.ID.String(), What: err.Error()}
		}
		if err := fn(refs); err != nil {
			return err
		}
	}
	return nil
}

// Content writes each component of an SSTable to the writer that create returns for it, and compares it with its hash
// before the writer is closed by done. Blobs are fetched ahead and in parallel. A component that cannot be rebuilt as it
// was is a *repo.DamageError in the error given to done; done decides whether to go on.
func (s *Snapshot) Content(ctx context.Context, t *SSTable, create func(*Component) (io.Writer, error), done func(*Component, error) error) error {
	recipes, err := s.recipes(ctx, t)
	for i := range t.Components {
		c := &t.Components[i]
		failed := err
		if failed == nil || c.inlined() {
			failed = s.component(ctx, c, at(recipes, i), create)
		}
		if err := done(c, failed); err != nil {
			return err
		}
	}
	return nil
}

func at(r []recipe, i int) recipe {
	if i < len(r) {
		return r[i]
	}
	return recipe{}
}

func (s *Snapshot) component(ctx context.Context, c *Component, how recipe, create func(*Component) (io.Writer, error)) error {
	w, err := create(c)
	if err != nil {
		return err
	}
	sum := sha256.New()
	out := &verified{w: bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10), sum: sum}
	if c.inlined() {
		_, err = out.w.Write(c.Inline)
		out.n = int64(len(c.Inline))
	} else {
		err = s.refs(ctx, how, func(refs []repo.Ref) error { return s.pour(ctx, refs, out) })
	}
	if err != nil {
		return err
	}
	return out.match(c)
}

// verified counts and hashes what is written.
type verified struct {
	w   *bufio.Writer
	sum hash.Hash
	n   int64
}

func (v *verified) match(c *Component) error {
	if err := v.w.Flush(); err != nil {
		return err
	}
	if v.n != c.Size || pack.ID(v.sum.Sum(nil)) != c.Hash {
		return &repo.DamageError{Object: "component", What: fmt.Sprintf("rebuilt %d bytes that do not match its %d bytes and hash", v.n, c.Size)}
	}
	return nil
}

// loaded is one blob on its way to the writer.
type loaded struct {
	l   *loader
	err error
}

// pour writes blobs in order while the next ones are fetched.
func (s *Snapshot) pour(ctx context.Context, refs []repo.Ref, out *verified) error {
	fetching, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan chan loaded, runtime.GOMAXPROCS(0))
	go s.fetch(fetching, refs, queue)
	var failed error
	for c := range queue {
		got := <-c
		if failed == nil {
			failed = got.err
		}
		if failed == nil {
			_, failed = out.w.Write(got.l.plain)
			out.n += int64(len(got.l.plain))
		}
		s.loads <- got.l
		if failed != nil {
			cancel()
		}
	}
	if failed == nil {
		failed = ctx.Err()
	}
	return failed
}

// fetch starts the loads in order and closes queue when all are started or ctx has ended.
func (s *Snapshot) fetch(ctx context.Context, refs []repo.Ref, queue chan<- chan loaded) {
	defer close(queue)
	for _, ref := range refs {
		c := make(chan loaded, 1)
		select {
		case queue <- c:
		case <-ctx.Done():
			return
		}
		l := <-s.loads
		go func() {
			plain, err := s.rd.Load(ctx, &l.scratch, l.plain, ref.ID, pack.Data)
			if err == nil {
				l.plain = plain
			}
			c <- loaded{l, err}
		}()
	}
}
