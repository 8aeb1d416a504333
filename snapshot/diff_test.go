package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
)

// sstableBytes is the size of what fakeNode.sstable writes beside Data.db.
const sstableBytes = 5000 + 500 + 200 + 100 + 8 + 16

func amount(dataBytes ...int64) (a Amount) {
	for _, n := range dataBytes {
		a.Add(Amount{1, n + sstableBytes})
	}
	return a
}

// diff compares two backups of one node each.
func (r *rig) diff(before, after string) (all []TableDiff) {
	r.t.Helper()
	err := Diff(r.t.Context(), r.snapshot(before), r.snapshot(after), func(d *TableDiff) error { all = append(all, *d); return nil })
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// drop removes an SSTable, or a table, from the node.
func (n *fakeNode) drop(pattern string) {
	n.t.Helper()
	found, err := filepath.Glob(filepath.Join(n.Layout().DataDirs[0], pattern))
	if err != nil || len(found) == 0 {
		n.t.Fatalf("%d files match %s, %v", len(found), pattern, err)
	}
	for _, f := range found {
		if err := os.RemoveAll(f); err != nil {
			n.t.Fatal(err)
		}
	}
}

func TestADiffTellsWhatCameAndWentByTable(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	compacted, same, dropped := n.table(0, "compacted", 1), n.table(0, "same", 2), n.table(0, "dropped", 3)
	n.sstable(compacted, "nb-1-big-", 1, 2000)
	n.sstable(compacted, "nb-2-big-", 2, 3000)
	n.sstable(compacted, "nb-3-big-", 3, 4000)
	n.sstable(same, "nb-1-big-", 4, 1000)
	n.sstable(dropped, "nb-1-big-", 5, 1500)
	r.take(n, "one")
	n.drop(compacted + "/nb-[12]-*")
	n.sstable(compacted, "nb-4-big-", 6, 5000)
	n.drop(dropped)
	n.sstable(n.table(0, "dropped", 4), "nb-1-big-", 5, 1500) // created anew under its name
	n.table(0, "fresh", 5)
	r.take(n, "two")
	want := []TableDiff{
		{"ks", "compacted", tableID(1), TableChanged, amount(5000), amount(2000, 3000), amount(4000)},
		{"ks", "dropped", tableID(3), TableDropped, Amount{}, amount(1500), Amount{}},
		{"ks", "dropped", tableID(4), TableCreated, amount(1500), Amount{}, Amount{}},
		{"ks", "fresh", tableID(5), TableCreated, Amount{}, Amount{}, Amount{}},
		{"ks", "same", tableID(2), TableSame, Amount{}, Amount{}, amount(1000)},
	}
	if diff := cmp.Diff(want, r.diff("one", "two")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	back := r.diff("two", "one")
	if got := back[0]; got.Added != amount(2000, 3000) || got.Gone != amount(5000) || got.Same != amount(4000) {
		t.Errorf("backwards: %+v", got)
	}
	for _, d := range r.diff("two", "two") {
		if d.Fate != TableSame {
			t.Errorf("a backup differs from itself: %+v", d)
		}
	}
}

func TestTheSameNameWithOtherContentIsAnotherSSTable(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 2)
	dir := n.table(0, "t", 1)
	n.sstable(dir, "nb-1-big-", 1, 2000)
	n.sstable(dir, "nb-2-big-", 2, 2000)
	r.take(n, "one")
	n.sstable(dir, "nb-1-big-", 3, 2000)
	// The other one moves to another data directory, which changes nothing of it.
	n.table(1, "t", 1)
	from, to := n.Layout().DataDirs[0], n.Layout().DataDirs[1]
	found, err := filepath.Glob(filepath.Join(from, dir, "nb-2-*"))
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	for _, f := range found {
		if err := os.Rename(f, filepath.Join(to, dir, filepath.Base(f))); err != nil {
			t.Fatal(err)
		}
	}
	r.take(n, "two")
	want := []TableDiff{{"ks", "t", tableID(1), TableChanged, amount(2000), amount(2000), amount(2000)}}
	if diff := cmp.Diff(want, r.diff("one", "two")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPagesThatBothHaveAreNotRead takes the page of an unchanged table away: only who reads it can know.
func TestPagesThatBothHaveAreNotRead(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	same, other := n.table(0, "same", 1), n.table(0, "other", 2)
	n.sstable(same, "nb-1-big-", 1, 1000)
	r.take(n, "zero")
	n.sstable(other, "nb-1-big-", 2, 1000)
	r.take(n, "one")
	n.sstable(other, "nb-2-big-", 3, 1000)
	r.take(n, "two")
	one, two := r.snapshot("one"), r.snapshot("two")
	page := pack.ID(one.Node.Tables[1].Pages[0])
	r.damage(repo.PackName(r.find(one, page).Pack), remove)
	if d := r.diff("one", "two"); d[1].Same != amount(1000) || d[0].Added != amount(1000) {
		t.Errorf("%+v", d)
	}
	page = pack.ID(two.Node.Tables[0].Pages[0])
	object := repo.PackName(r.find(two, page).Pack)
	r.damage(object, remove)
	err := Diff(t.Context(), one, two, func(*TableDiff) error { return nil })
	if !isDamage(err, object) {
		t.Errorf("a page that is needed and gone: %v", err)
	}
}

func TestATableOfSeveralPagesIsComparedByTheOnesThatDiffer(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	for i := range 300 { // two pages
		n.put(fmt.Sprintf("%s/nb-%d-big-Data.db", dir, 1000+i), noise(byte(i), 40))
	}
	r.take(n, "one")
	n.drop(dir + "/nb-1299-*") // of the second page
	r.take(n, "two")
	one, two := r.snapshot("one"), r.snapshot("two")
	if a, b := one.Node.Tables[0].Pages, two.Node.Tables[0].Pages; len(a) != 2 || len(b) != 2 || a[0] != b[0] {
		t.Fatalf("pages %v and %v", a, b)
	}
	want := []TableDiff{{"ks", "t", tableID(1), TableChanged, Amount{}, Amount{1, 40}, Amount{299, 299 * 40}}}
	if diff := cmp.Diff(want, r.diff("one", "two")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
