package snapshot

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
)

func TestGrowthIsToldByDayOfTheBackupsStart(t *testing.T) {
	at := func(text string, source, fresh, stored int64) Entry {
		when, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return Entry{Catalogue: Catalogue{Started: when, BytesSource: source, BytesNew: fresh, BytesStored: stored}}
	}
	all := []Backup{
		{Nodes: []Entry{at("2026-05-01T23:00:00Z", 100, 100, 60)}},
		{Nodes: []Entry{at("2026-05-10T01:00:00+02:00", 110, 20, 12), at("2026-05-10T03:00:00+02:00", 50, 40, 8)}},
		{Nodes: []Entry{at("2026-05-12T00:00:00Z", 7, 6, 5)}},
	}
	now := time.Date(2026, 5, 12, 12, 0, 0, 0, time.UTC)
	want := []Day{{"2026-05-09", 1, 110, 20, 12}, {"2026-05-10", 1, 50, 40, 8}, {"2026-05-12", 1, 7, 6, 5}}
	for _, k := range []struct {
		days          int
		want          []Day
		plain, stored int64 // a day
	}{
		{1, want[2:], 6, 5},
		{3, want[1:], 46 / 3, 13 / 3},
		{4, want, 66 / 4, 25 / 4},
		{12, append([]Day{{"2026-05-01", 1, 100, 100, 60}}, want...), 166 / 12, 85 / 12},
	} {
		got := Growth(all, k.days, now)
		if diff := cmp.Diff(k.want, got); diff != "" {
			t.Errorf("%d days (-want +got):\n%s", k.days, diff)
		}
		if plain, stored := PerDay(got, now); plain != k.plain || stored != k.stored {
			t.Errorf("%d days: %d and %d bytes a day", k.days, plain, stored)
		}
	}
	if plain, stored := PerDay(Growth(nil, 30, now), now); plain+stored != 0 {
		t.Error("growth of nothing")
	}
}

// nodesOf are the node snapshots of all backups.
func (r *rig) nodesOf() (nodes []Entry) {
	r.t.Helper()
	for _, b := range r.list() {
		nodes = append(nodes, b.Nodes...)
	}
	return nodes
}

func (r *rig) breakdown() *Breakdown {
	r.t.Helper()
	b, err := Break(r.t.Context(), r.seen, r.nodesOf())
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func TestABreakdownCountsEveryBackupByTableAndRecipe(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), newNode(t, hostA, 1), newNode(t, hostB, 1)
	x, y := a.table(0, "x", 1), a.table(0, "y", 2)
	a.sstable(x, "nb-1-big-", 1, 2000)
	a.sstable(y, "nb-1-big-", 2, 3000)
	b.sstable(b.table(0, "x", 1), "nb-1-big-", 3, 4000)
	r.take(a, "one")
	a.sstable(y, "nb-2-big-", 4, 5000)
	r.take(a, "two")
	r.take(b, "one")
	got := r.breakdown()
	logical := amount(2000, 3000, 2000, 3000, 5000, 4000).Bytes
	if len(got.Keyspaces) != 1 || got.Keyspaces[0].BytesSource != logical || got.Keyspaces[0].SSTables != 6 {
		t.Errorf("keyspaces %+v, want %d bytes", got.Keyspaces, logical)
	}
	if len(got.Tables) != 2 || got.Tables[0].BytesSource != amount(2000, 2000, 4000).Bytes || got.Tables[1].BytesSource != amount(3000, 3000, 5000).Bytes {
		t.Errorf("tables %+v", got.Tables)
	}
	fresh := int64(0)
	for _, e := range r.nodesOf() {
		fresh += e.BytesNew
	}
	if n := got.Tables[0].BytesNew + got.Tables[1].BytesNew; n > fresh || n < amount(2000, 3000, 5000, 4000).Bytes {
		t.Errorf("%d bytes new in tables, %d in all", n, fresh)
	}
	files, bytes := 0, int64(0)
	for _, how := range got.Recipes {
		files, bytes = files+how.Files, bytes+how.Bytes
	}
	inline := RecipeSum{RecipeInline, 6 * 3, 6 * (100 + 8 + 16)}
	if files != 6*7 || bytes != logical || !cmp.Equal(got.Recipes[len(got.Recipes)-1], inline) {
		t.Errorf("recipes %+v, want %d bytes", got.Recipes, logical)
	}
}

func TestAPageThatSeveralBackupsHaveIsReadOnce(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.sstable(dir, "nb-1-big-", 1, 2000)
	r.take(n, "one")
	r.take(n, "two")
	one, two := r.snapshot("one"), r.snapshot("two")
	if one.Node.Tables[0].Pages[0] != two.Node.Tables[0].Pages[0] {
		t.Fatal("the backups share no page")
	}
	b := &breaking{tables: make(map[[2]string]*TableUse), recipes: make(map[string]*RecipeSum), pages: make(map[pack.ID][]RecipeSum)}
	if err := b.node(t.Context(), r.seen, &one.Entry); err != nil {
		t.Fatal(err)
	}
	id := pack.ID(one.Node.Tables[0].Pages[0])
	b.pages[id] = []RecipeSum{{"remembered", 7, 70}}
	if err := b.node(t.Context(), r.seen, &two.Entry); err != nil {
		t.Fatal(err)
	}
	if b.recipes["remembered"] == nil || b.recipes["remembered"].Files != 7 || b.recipes[RecipeBlobs].Bytes != amount(2000).Bytes-100-8-16 {
		t.Errorf("%+v", b.recipes)
	}
}

func TestABreakdownOfDamagedPagesIsDamage(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 2000)
	r.take(n, "one")
	s := r.snapshot("one")
	object := r.spoil(s, pack.ID(s.Node.Tables[0].Pages[0]))
	if _, err := Break(t.Context(), r.seen, r.nodesOf()); !isDamage(err, object) {
		t.Errorf("%v", err)
	}
}

func TestWhatDeletingABackupOfSeveralNodesFreesIsOfAllOfThem(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	a.members.Members = append(a.members.Members, b.members.Members...)
	b.members = a.members
	r.take(a, "one")
	r.take(b, "one")
	all := r.list()
	if len(all) != 1 || len(all[0].Nodes) != 2 {
		t.Fatalf("%+v", tell(all))
	}
	f, err := Freed(t.Context(), r.seen, all, repo.GCOptions{Now: time.Now})
	if err != nil || f.Bytes < 2*300_000 || f.Later != 0 {
		t.Errorf("%+v, %v", f, err)
	}
	alone := all[0]
	alone.Nodes = alone.Nodes[:1]
	half, err := Freed(t.Context(), r.seen, []Backup{alone}, repo.GCOptions{Now: time.Now})
	if err != nil || half.Bytes >= f.Bytes || half.Bytes < 300_000 {
		t.Errorf("of one node: %+v, %v", half, err)
	}
}
