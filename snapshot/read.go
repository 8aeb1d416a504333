package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"cbk/cassandra/ring"
	"cbk/pack"
	"cbk/repo"
)

// Snapshot is an open node snapshot. Safe for concurrent use.
type Snapshot struct {
	Entry
	Node Node

	rd *repo.Reader
}

// Open reads the description of a node snapshot. Damage is a *repo.DamageError.
func Open(ctx context.Context, r *repo.Repo, e *Entry) (*Snapshot, error) {
	e, err := e.whole(ctx, r)
	if err != nil {
		return nil, err
	}
	rd, err := r.NewReaderFor(ctx, e.root)
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
		if !safeName(t.Keyspace) || !safeName(t.Name) || t.Dir != t.dir() || t.ID != "" && !safeName(t.ID) {
			return &repo.DamageError{Object: root, What: fmt.Sprintf("table %q.%q in directory %q", t.Keyspace, t.Name, t.Dir)}
		}
	}
	for _, text := range n.texts() {
		if !safeName(text.Name) {
			return &repo.DamageError{Object: root, What: fmt.Sprintf("text %q", text.Name)}
		}
	}
	return nil
}

// dir is where a table lies below a data directory.
func (t *Table) dir() string {
	if t.ID == "" {
		return t.Keyspace + "/" + t.Name
	}
	return t.Keyspace + "/" + t.Name + "-" + t.ID
}

// Close releases the reader.
func (s *Snapshot) Close() error { return s.rd.Close() }

// Ring returns the ring as the node saw it.
func (s *Snapshot) Ring(ctx context.Context) (*ring.Ring, error) {
	return readRing(ctx, s.rd, &s.Entry)
}

// Text writes a text of the node to w.
func (s *Snapshot) Text(ctx context.Context, t *Text, w io.Writer) error {
	wants := make([]repo.Want, len(t.Blobs))
	for i, id := range t.Blobs {
		wants[i] = repo.Want{ID: pack.ID(id), Type: pack.Data}
	}
	return s.rd.Fetch(ctx, slices.Values(wants), func(_ repo.Want, plain []byte, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		if _, err := w.Write(plain); err != nil {
			return fmt.Errorf("write %s: %w", t.Name, err)
		}
		return nil
	})
}

// Schema writes the CQL text of the whole schema to w.
func (s *Snapshot) Schema(ctx context.Context, w io.Writer) error {
	for i := range s.Node.Schema {
		if err := s.Text(ctx, &s.Node.Schema[i], w); err != nil {
			return err
		}
	}
	return nil
}

// Page is one page of a table's SSTables, or why it cannot be read.
type Page struct {
	Table    *Table
	SSTables []SSTable
	Err      error // a *repo.DamageError

	id pack.ID
}

const (
	// Pages are handed over when they hold 4096 SSTables, some 4 MiB, or there are 512 of them: so that what a thousand
	// small tables need shares requests.
	sstablesAtOnce = 4096
	pagesAtOnce    = 512
	// pageBytes bounds them in any case: a table's count of SSTables is only what its writer said.
	pageBytes = 16 << 20
)

// weight is how many SSTables one page of a table should hold.
func (t *Table) weight() int {
	if len(t.Pages) > 1 {
		return pageSSTables
	}
	return min(max(t.SSTables, 1), pageSSTables)
}

// Pages calls fn for the pages of tables in order, as many at a time as may be held.
func (s *Snapshot) Pages(ctx context.Context, tables []*Table, fn func([]Page) error) error {
	var pages []Page
	weight := 0
	flush := func() error {
		for len(pages) > 0 {
			n, err := s.readPages(ctx, pages)
			if err == nil {
				err = fn(pages[:n])
			}
			if err != nil {
				return err
			}
			pages = pages[n:]
		}
		pages, weight = nil, 0
		return nil
	}
	for _, t := range tables {
		for i := range t.Pages {
			pages = append(pages, Page{Table: t, id: pack.ID(t.Pages[i])})
			weight += t.weight()
			if weight < sstablesAtOnce && len(pages) < pagesAtOnce {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// errEnough ends a fetch of pages.
var errEnough = errors.New("enough pages")

// readPages reads the first n pages, as many as pageBytes allow.
func (s *Snapshot) readPages(ctx context.Context, pages []Page) (n int, err error) {
	wants := make([]repo.Want, len(pages))
	for i := range pages {
		wants[i] = repo.Want{ID: pages[i].id, Type: pack.Description}
	}
	size := 0
	err = s.rd.Fetch(ctx, slices.Values(wants), func(_ repo.Want, plain []byte, err error) error {
		pages[n].decode(plain, err)
		n++
		if size += len(plain); size > pageBytes {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return n, err
}

func (p *Page) decode(plain []byte, err error) {
	if err == nil {
		// Inline content stays where it was read from.
		if p.SSTables, err = decodePage(bytes.Clone(plain)); err != nil {
			p.SSTables, err = nil, &repo.DamageError{Object: "blob " + p.id.String(), What: err.Error()}
		}
	}
	if err != nil {
		p.Err = fmt.Errorf("description of %s.%s: %w", p.Table.Keyspace, p.Table.Name, err)
	}
}

// SSTables calls fn for each SSTable of a table. Pages that are damaged are left out; the error, a *repo.DamageError,
// then names the first of them after all others were handled.
func (s *Snapshot) SSTables(ctx context.Context, t *Table, fn func(*SSTable) error) error {
	var damaged error
	bad := 0
	err := s.Pages(ctx, []*Table{t}, func(pages []Page) error {
		for _, p := range pages {
			if p.Err != nil {
				bad++
				damaged = cmp.Or(damaged, p.Err)
			}
			for i := range p.SSTables {
				if err := fn(&p.SSTables[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil && bad > 1 {
		return fmt.Errorf("%d of %d pages: %w", bad, len(t.Pages), damaged)
	}
	return cmp.Or(err, damaged)
}
