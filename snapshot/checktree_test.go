package snapshot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
)

func count(n int) *int { return &n }

// twoTables is a node with the tables t and u.
func twoTables(t *testing.T, host string) *fakeNode {
	n := oneTable(t, host)
	n.sstable(n.table(0, "u", 2), "nb-1-big-", 40, 3000)
	return n
}

func TestDamageIsToldByBackupNodeAndTableWithWhatIsLeft(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), twoTables(t, hostA), twoTables(t, hostB)
	r.take(a, "one")
	r.take(a, "two")
	r.take(b, "two")
	s := r.snapshot("one")
	r.spoil(s, r.recipe(s, "Index.db").refs[0].ID)
	rep := r.verify(r.seen, CheckOptions{ReadData: true})
	node := HurtNode{Node: "node-a", HostID: hostA, Untouched: count(1),
		Tables: []HurtTable{{Keyspace: "ks", Table: "t", Components: []string{"nb-1-big-Index.db"}, Total: 1}}}
	want := []HurtBackup{{Backup: "one", Cluster: "shop", Nodes: []HurtNode{node}}, {Backup: "two", Cluster: "shop", Nodes: []HurtNode{node}, Untouched: 1}}
	if diff := cmp.Diff(want, rep.Hurt, cmpopts.IgnoreUnexported(HurtNode{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if rep.Untouched != 1 || rep.Backups != 3 || rep.DamageTotal != 1 {
		t.Errorf("%+v", rep)
	}
}

func TestWhatBelongsToAllOfANodeIsToldAsSuch(t *testing.T) {
	for _, c := range []struct {
		name  string
		role  roles.Role
		blob  func(r *rig, s *Snapshot) pack.ID
		whole bool
		texts int
		table bool // as a whole
	}{
		{"the description", roles.RoleReader, func(_ *rig, s *Snapshot) pack.ID { return s.root.Descriptions[0] }, true, 0, false},
		{"the schema", roles.RoleReader, func(_ *rig, s *Snapshot) pack.ID { return pack.ID(s.Node.Schema[0].Blobs[0]) }, false, 1, false},
		{"a page", roles.RoleReader, func(_ *rig, s *Snapshot) pack.ID { return pack.ID(s.Node.Tables[0].Pages[0]) }, false, 0, true},
		{"a data blob, seen by a keeper", roles.RoleKeeper, func(r *rig, s *Snapshot) pack.ID { return r.recipe(s, "Data.db").refs[0].ID }, true, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.take(twoTables(t, hostA), "one")
			s := r.snapshot("one")
			r.spoil(s, c.blob(r, s))
			rep := r.verify(r.keyed(c.role), CheckOptions{ReadData: true})
			if len(rep.Hurt) != 1 || len(rep.Hurt[0].Nodes) != 1 {
				t.Fatalf("%+v", rep.Hurt)
			}
			n := rep.Hurt[0].Nodes[0]
			if n.Whole != c.whole || (n.Untouched == nil) != c.whole || len(n.Texts) != c.texts || (len(n.Tables) > 0 && n.Tables[0].Whole) != c.table {
				t.Errorf("%+v", n)
			}
		})
	}
}

func TestARootThatCannotBeReadIsDamageOfNoKnownBackup(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take(twoTables(t, hostA), "one")
	r.take(twoTables(t, hostB), "two")
	lost := r.snapshot("one").Root
	r.damage(lost, flip)
	rep := r.verify(r.seen, CheckOptions{})
	if len(rep.Damage) != 1 || rep.Damage[0].Object != lost || len(rep.Hurt) != 0 || rep.Untouched != 1 || rep.Roots.Total != 1 {
		t.Errorf("%+v", rep)
	}
	narrow := r.verify(r.seen, CheckOptions{Backup: "two"})
	if !narrow.OK() || !strings.Contains(fmt.Sprint(narrow.NotChecked()), "1 roots that cannot be read") {
		t.Errorf("%+v, %q", narrow.Damage, narrow.NotChecked())
	}
}

// However much is lost, what is held of it is bounded, and all of it is counted.
func TestTheListsOfDamageAreBounded(t *testing.T) {
	t.Parallel()
	c := &check{rep: &Report{}, by: make(map[string]*Damage)}
	e := &Entry{Catalogue: Catalogue{Backup: "one", Node: "node-a", Tables: 3}, root: &repo.Root{}}
	for object := range maxObjects + 50 {
		c.enter(e)
		for i := range 30 {
			err := &repo.DamageError{Object: fmt.Sprint("object ", object), What: "gone"}
			if err := c.hit(err, Hit{"one", "node-a", "ks", "t", fmt.Sprint("file ", i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	listed := 0
	for _, d := range c.by {
		listed += len(d.Hits)
	}
	for _, n := range c.hurts.nodes {
		for _, table := range n.Tables {
			listed += len(table.Components)
		}
	}
	if len(c.by) != maxObjects || listed > maxHitsHeld || c.rep.DamageTotal < maxObjects+50 {
		t.Errorf("%d objects, %d hits listed of %d", len(c.by), listed, c.rep.DamageTotal)
	}
}

// What a report says of roots can be compared with a listing: a line each, and one hash over all.
func TestAReportHasTheHashOfEveryRoot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take(twoTables(t, hostA), "one")
	r.take(twoTables(t, hostB), "two")
	first := r.verify(r.seen, CheckOptions{}).Roots
	var want []string
	for _, name := range r.objects("snapshots/") {
		b, err := r.st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%s  %s", pack.Name(b), name))
	}
	if diff := cmp.Diff(want, first.Roots); diff != "" || first.Total != 2 || len(first.SHA256) != 64 {
		t.Errorf("%+v\n%s", first, diff)
	}
	r.take(twoTables(t, hostB), "three")
	if second := r.verify(r.seen, CheckOptions{}).Roots; second.SHA256 == first.SHA256 {
		t.Error("another root, the same hash")
	}
}
