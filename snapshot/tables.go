package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"cbk/cassandra/node"
	"cbk/pack"
)

// storeTables stores the snapshot page by page: pages are what is described at a time, and all that is held in memory.
func (b *backup) storeTables(ctx context.Context, dirs []node.TableDir) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cap(b.streams))
	for i := range dirs {
		t := b.table(&dirs[i])
		list, err := dirs[i].SSTables()
		if err != nil {
			return errors.Join(fmt.Errorf("list %s.%s: %w", dirs[i].Keyspace, dirs[i].Table, err), g.Wait())
		}
		for _, s := range list {
			for _, f := range s.Files {
				b.opt.Progress.Expect(1, f.Size)
			}
		}
		for page := range slices.Chunk(list, pageSSTables) {
			slot := len(t.Pages)
			b.reserve(t)
			g.Go(func() error { return b.storePage(ctx, &dirs[i], t, slot, page) })
		}
	}
	return g.Wait()
}

// table returns the entry of a table; the directories of one table in several data directories share it.
func (b *backup) table(d *node.TableDir) *Table {
	if n := len(b.tables); n > 0 {
		if t := b.tables[n-1]; t.Keyspace == d.Keyspace && t.Name == d.Table && t.ID == d.ID {
			return t
		}
	}
	t := &Table{Keyspace: d.Keyspace, Name: d.Table, ID: d.ID, Dir: d.Live}
	b.tables = append(b.tables, t)
	return t
}

func (b *backup) reserve(t *Table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Pages, t.refs = append(t.Pages, ID{}), append(t.refs, nil)
}

// stored is an SSTable in the repository.
type stored struct {
	SSTable
	recipes []recipe
	cost    Cost
}

// storePage stores the SSTables of a page, some of them side by side, and describes them in their order.
func (b *backup) storePage(ctx context.Context, d *node.TableDir, t *Table, slot int, list []node.SSTable) error {
	done := make([]stored, len(list))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cap(b.streams))
	for i := range list {
		g.Go(func() error {
			b.streams <- struct{}{}
			defer func() { <-b.streams }()
			return b.storeSSTable(ctx, d, &list[i], &done[i])
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var cost Cost
	out := make([]SSTable, len(list))
	refs := refWriter{b: b, cost: &cost}
	for i := range done {
		out[i] = done[i].SSTable
		cost.add(done[i].cost)
		if err := refs.sstable(&done[i]); err != nil {
			return err
		}
	}
	ref, added, err := b.s.Put(pack.Description, encodePage(out))
	if err != nil {
		return err
	}
	cost.stored(added)
	if err := refs.end(ref.ID); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Pages[slot] = ID(ref.ID)
	t.refs[slot] = refs.segments
	t.Cost.add(cost)
	return nil
}
