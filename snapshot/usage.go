package snapshot

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"cbk/pack"
	"cbk/repo"
)

// Day is what the node snapshots that started on a day, in UTC by their nodes' clocks, brought. Those that were deleted
// since are not in it.
type Day struct {
	Day         string `json:"day"` // 2006-01-02
	Nodes       int    `json:"node_snapshots"`
	BytesSource int64  `json:"bytes_source"`
	BytesNew    int64  `json:"bytes_new"`
	BytesStored int64  `json:"bytes_stored"`
}

// Growth tells what each of the last days brought, that of now included, oldest first; days without a backup are left out.
func Growth(all []Backup, days int, now time.Time) []Day {
	by := make(map[string]*Day)
	first := now.UTC().AddDate(0, 0, 1-days).Format(time.DateOnly)
	for _, b := range all {
		for _, e := range b.Nodes {
			day := e.Started.UTC().Format(time.DateOnly)
			if day < first {
				continue
			}
			if by[day] == nil {
				by[day] = &Day{Day: day}
			}
			d := by[day]
			d.Nodes++
			d.BytesSource += e.BytesSource
			d.BytesNew += e.BytesNew
			d.BytesStored += e.BytesStored
		}
	}
	out := make([]Day, 0, len(by))
	for _, day := range slices.Sorted(maps.Keys(by)) {
		out = append(out, *by[day])
	}
	return out
}

// PerDay is the mean growth from the first of the days to now, in plain and in stored bytes.
func PerDay(days []Day, now time.Time) (plain, stored int64) {
	if len(days) == 0 {
		return 0, 0
	}
	for _, d := range days {
		plain, stored = plain+d.BytesNew, stored+d.BytesStored
	}
	first, err := time.Parse(time.DateOnly, days[0].Day)
	if err != nil {
		return 0, 0
	}
	n := max(1, int64(now.Sub(first)/(24*time.Hour))+1)
	return plain / n, stored / n
}

// TableUse is what a table means in node snapshots. BytesSource is the logical size, counted in each of them; BytesNew and
// BytesStored are plain and sealed bytes of the blobs that they were the first to store.
type TableUse struct {
	Keyspace string `json:"keyspace"`
	Table    string `json:"table"`
	Cost
}

// RecipeSum counts the files that are stored by one recipe, in each of the node snapshots.
type RecipeSum struct {
	Recipe string `json:"recipe"`
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes_source"`
}

// KeyspaceUse adds up the tables of a keyspace.
type KeyspaceUse struct {
	Keyspace string `json:"keyspace"`
	Cost
}

// Breakdown is what node snapshots hold by keyspace, table and recipe. Tables dropped and created again under their name are one.
type Breakdown struct {
	Keyspaces []KeyspaceUse `json:"keyspaces"`
	Tables    []TableUse    `json:"tables"`
	Recipes   []RecipeSum   `json:"recipes"`
}

// Break reads the descriptions of node snapshots. A page of descriptions that several of a node have is read once; what is
// kept of it are a few numbers.
func Break(ctx context.Context, r *repo.Repo, nodes []Entry) (*Breakdown, error) {
	b := &breaking{tables: make(map[[2]string]*TableUse), recipes: make(map[string]*RecipeSum)}
	domain := ""
	for _, e := range slices.SortedStableFunc(slices.Values(nodes), byDomain) {
		if e.Domain != domain {
			domain, b.pages = e.Domain, make(map[pack.ID][]RecipeSum)
		}
		if err := b.node(ctx, r, &e); err != nil {
			return nil, err
		}
	}
	return b.sums(), nil
}

// breaking is a breakdown under way.
type breaking struct {
	tables  map[[2]string]*TableUse
	recipes map[string]*RecipeSum
	pages   map[pack.ID][]RecipeSum // of the node at hand
}

func (b *breaking) node(ctx context.Context, r *repo.Repo, e *Entry) (err error) {
	s, err := Open(ctx, r, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var unread []*Table
	for i := range s.Node.Tables {
		t := &s.Node.Tables[i]
		k := [2]string{t.Keyspace, t.Name}
		if b.tables[k] == nil {
			b.tables[k] = &TableUse{Keyspace: t.Keyspace, Table: t.Name}
		}
		b.tables[k].add(t.Cost)
		own := *t
		own.Pages = slices.DeleteFunc(slices.Clone(t.Pages), func(id ID) bool { return b.known(pack.ID(id)) })
		unread = append(unread, &own)
	}
	return s.Pages(ctx, unread, func(pages []Page) error { return b.read(ctx, s, pages) })
}

// known counts a page that was read before.
func (b *breaking) known(id pack.ID) bool {
	sums, ok := b.pages[id]
	for _, sum := range sums {
		b.count(sum)
	}
	return ok
}

func (b *breaking) count(sum RecipeSum) {
	if b.recipes[sum.Recipe] == nil {
		b.recipes[sum.Recipe] = &RecipeSum{Recipe: sum.Recipe}
	}
	b.recipes[sum.Recipe].Files += sum.Files
	b.recipes[sum.Recipe].Bytes += sum.Bytes
}

// read counts pages, some of their recipes at a time.
func (b *breaking) read(ctx context.Context, s *Snapshot, pages []Page) error {
	for _, p := range pages {
		if p.Err != nil {
			return p.Err
		}
		list := make([]*SSTable, len(p.SSTables))
		for i := range p.SSTables {
			list[i] = &p.SSTables[i]
		}
		hows, err := s.recipes(ctx, list)
		if err != nil {
			return err
		}
		page := &breaking{recipes: make(map[string]*RecipeSum)}
		for i, t := range list {
			if hows[i].err != nil {
				return hows[i].err
			}
			for j := range t.Components {
				how := hows[i].of(j)
				page.count(RecipeSum{how.name(), 1, t.Components[j].Size})
			}
		}
		b.pages[p.id] = page.sums().Recipes
		b.known(p.id)
	}
	return nil
}

// sums returns what was counted, tables by name and recipes by name.
func (b *breaking) sums() *Breakdown {
	out := &Breakdown{Keyspaces: []KeyspaceUse{}, Tables: []TableUse{}, Recipes: []RecipeSum{}}
	for _, t := range b.tables {
		out.Tables = append(out.Tables, *t)
	}
	for _, r := range b.recipes {
		out.Recipes = append(out.Recipes, *r)
	}
	slices.SortFunc(out.Tables, func(x, y TableUse) int {
		return cmp.Or(cmp.Compare(x.Keyspace, y.Keyspace), cmp.Compare(x.Table, y.Table))
	})
	for _, t := range out.Tables {
		if n := len(out.Keyspaces); n == 0 || out.Keyspaces[n-1].Keyspace != t.Keyspace {
			out.Keyspaces = append(out.Keyspaces, KeyspaceUse{Keyspace: t.Keyspace})
		}
		out.Keyspaces[len(out.Keyspaces)-1].add(t.Cost)
	}
	slices.SortFunc(out.Recipes, func(x, y RecipeSum) int { return cmp.Compare(x.Recipe, y.Recipe) })
	return out
}

// Freed tells what the deletion of backups, together, would bring back, see repo.Freed.
func Freed(ctx context.Context, r *repo.Repo, backups []Backup, o repo.GCOptions) (*repo.Freed, error) {
	var roots []string
	for _, b := range backups {
		for _, e := range b.Nodes {
			roots = append(roots, e.Root)
		}
	}
	return r.Freed(ctx, roots, o)
}

func byDomain(x, y Entry) int { return cmp.Compare(x.Domain, y.Domain) }
