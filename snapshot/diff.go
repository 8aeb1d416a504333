package snapshot

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"cbk/pack"
	"cbk/pack/wire"
)

// Amount counts SSTables and the bytes of their components.
type Amount struct {
	SSTables int   `json:"sstables"`
	Bytes    int64 `json:"bytes"`
}

// Add adds another amount.
func (a *Amount) Add(o Amount) {
	a.SSTables += o.SSTables
	a.Bytes += o.Bytes
}

func (a *Amount) count(t *SSTable) { a.Add(Amount{1, t.bytes()}) }

// Fates of a table between two backups.
const (
	TableCreated = "created"
	TableDropped = "dropped"
	TableChanged = "changed"
	TableSame    = "same"
)

// TableDiff is what became of a table's SSTables from one backup to another. An SSTable is its name and content: one that
// was moved to another data directory, or is stored by another recipe, is the same. A table that was dropped and created
// again under its name has another id: it is two.
type TableDiff struct {
	Keyspace string `json:"keyspace"`
	Table    string `json:"table"`
	ID       string `json:"id"`
	Fate     string `json:"state"`
	Added    Amount `json:"added"`
	Gone     Amount `json:"gone"`
	Same     Amount `json:"same"`
}

// Diff calls fn for each table of two snapshots of a node, in the order of names. Of tables that differ it reads the pages
// that only one of the two has, and holds 32 bytes for each SSTable on those of the first. Damage is a *repo.DamageError.
func Diff(ctx context.Context, before, after *Snapshot, fn func(*TableDiff) error) error {
	for _, p := range pairs(before.Node.Tables, after.Node.Tables) {
		d, err := p.diff(ctx, before, after)
		if err == nil {
			err = fn(d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pair is a table as two backups have it; one of them may not.
type pair struct{ before, after *Table }

func (p *pair) some() *Table {
	if p.after != nil {
		return p.after
	}
	return p.before
}

// pairs matches tables by keyspace, name and id.
func pairs(before, after []Table) []*pair {
	type key struct{ keyspace, name, id string }
	met := make(map[key]*pair)
	var all []*pair
	at := func(t *Table) *pair {
		k := key{t.Keyspace, t.Name, t.ID}
		if met[k] == nil {
			met[k] = &pair{}
			all = append(all, met[k])
		}
		return met[k]
	}
	for i := range before {
		at(&before[i]).before = &before[i]
	}
	for i := range after {
		at(&after[i]).after = &after[i]
	}
	slices.SortStableFunc(all, func(x, y *pair) int { return strings.Compare(x.some().dir(), y.some().dir()) })
	return all
}

func (p *pair) diff(ctx context.Context, before, after *Snapshot) (*TableDiff, error) {
	t := p.some()
	d := &TableDiff{Keyspace: t.Keyspace, Table: t.Name, ID: t.ID, Fate: TableSame}
	switch {
	case p.before == nil:
		d.Fate, d.Added = TableCreated, t.amount()
		return d, nil
	case p.after == nil:
		d.Fate, d.Gone = TableDropped, t.amount()
		return d, nil
	}
	old := &changed{left: make(map[[16]byte]int)}
	read, unread := p.before.without(p.after), p.after.without(p.before)
	if err := before.SSTables(ctx, read, old.take); err != nil {
		return nil, err
	}
	if err := after.SSTables(ctx, unread, old.match); err != nil {
		return nil, err
	}
	d.Added, d.Gone, d.Same = old.added, old.gone, p.before.amount()
	d.Same.Add(Amount{-d.Gone.SSTables, -d.Gone.Bytes})
	if d.Added.SSTables > 0 || d.Gone.SSTables > 0 {
		d.Fate = TableChanged
	}
	return d, nil
}

func (t *Table) amount() Amount { return Amount{t.SSTables, t.BytesSource} }

// without is the table with those of its pages that another has not.
func (t *Table) without(other *Table) *Table {
	held := make(map[ID]int)
	for _, id := range other.Pages {
		held[id]++
	}
	own := *t
	own.Pages = nil
	for _, id := range t.Pages {
		if held[id]--; held[id] < 0 {
			own.Pages = append(own.Pages, id)
		}
	}
	return &own
}

// changed compares the SSTables of one table.
type changed struct {
	left        map[[16]byte]int // of the first backup, that the other was not seen to have
	added, gone Amount
}

func (c *changed) take(t *SSTable) error {
	c.left[t.identity()]++
	c.gone.count(t)
	return nil
}

func (c *changed) match(t *SSTable) error {
	id := t.identity()
	if c.left[id] == 0 {
		c.added.count(t)
		return nil
	}
	c.left[id]--
	c.gone.Add(Amount{-1, -t.bytes()})
	return nil
}

// identity is half a hash of the names and hashes of an SSTable's components: whoever could make two of them meet would
// change what a comparison says, and nothing that is restored.
func (t *SSTable) identity() [16]byte {
	var e wire.Encoder
	e.String(t.Sub)
	e.String(t.Prefix)
	for i := range t.Components {
		e.String(t.Components[i].Name)
		e.Fixed(t.Components[i].Hash[:])
	}
	return half(pack.ID(sha256.Sum256(e.Out())))
}

// bytes are those of all components.
func (t *SSTable) bytes() (n int64) {
	for i := range t.Components {
		n += t.Components[i].Size
	}
	return n
}
