package snapshot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/ring"
	"cbk/pack"
	"cbk/repo"
)

// told is what a listing says of a backup.
type told struct {
	Cluster, Name, Nodes, Missing string
	Complete                      bool
}

func tell(all []Backup) (out []told) {
	for _, b := range all {
		var nodes, missing []string
		for _, n := range b.Nodes {
			nodes = append(nodes, n.Node)
		}
		for _, m := range b.Missing {
			missing = append(missing, m.Address)
		}
		out = append(out, told{b.Cluster, b.Name, strings.Join(nodes, " "), strings.Join(missing, " "), b.Complete()})
	}
	return out
}

func (r *rig) mustTell(want ...told) {
	r.t.Helper()
	if diff := cmp.Diff(want, tell(r.list())); diff != "" {
		r.t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestABackupIsCompleteWhenEveryNormalMemberIsIn(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	both := []ring.Member{member(hostA, ring.Normal), member(strings.ToUpper(hostB), ring.Normal), member(hostC, ring.Joining)}
	a.members.Members, b.members.Members = both, both
	r.take(b, "monday")
	r.mustTell(told{"shop", "monday", "node-b", "addr-a", false})
	r.take(a, "monday")
	r.mustTell(told{"shop", "monday", "node-a node-b", "", true})
	a.members.Members = append(both, member("dddddddd-0000-4000-8000-000000000004", ring.Normal))
	r.take(a, "tuesday")
	// What one of the nodes has seen counts: the union of the rings is expected.
	r.take(b, "tuesday")
	r.mustTell(told{"shop", "monday", "node-a node-b", "", true}, told{"shop", "tuesday", "node-a node-b", "addr-d", false})
}

func TestAMemberThatIsDownIsExpected(t *testing.T) {
	t.Parallel()
	r, a := newRig(t), oneTable(t, hostA)
	down := member(hostB, ring.Normal)
	down.Up = false
	a.members.Members = append(a.members.Members, down, member(hostC, ring.Leaving))
	r.take(a, "monday")
	r.mustTell(told{"shop", "monday", "node-a", "addr-b", false})
}

func TestNodesOfEveryDatacenterAreExpected(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	far := member(hostB, ring.Normal)
	far.DC, far.Rack = "dc2", "r7"
	a.members.Members = append(a.members.Members, far)
	b.members, b.id.DC = a.members, "dc2"
	r.take(a, "monday")
	r.mustTell(told{"shop", "monday", "node-a", "addr-b", false})
	if missing := r.list()[0].Missing; missing[0].DC != "dc2" || missing[0].Rack != "r7" {
		t.Errorf("missing: %+v", missing)
	}
	r.take(b, "monday")
	r.mustTell(told{"shop", "monday", "node-a node-b", "", true})
}

// Words that name objects, folders or states of cbk, or of other tools, mean nothing in the name of a backup.
func TestABackupMayBeNamedByAnyWord(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	names := []string{"restarted-node5", "finished", "tokenmap", "d", "data", "config", "snapshots", "None", "*"}
	want := n.live()
	for _, name := range names {
		r.take(n, name)
	}
	var got []string
	for _, b := range r.list() {
		got = append(got, b.Name)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Fatalf("listed (-want +got):\n%s", diff)
	}
	if rep, err := Check(t.Context(), r.seen, false); err != nil || !rep.OK() || rep.Backups != len(names) {
		t.Fatalf("check: %+v, %v", rep, err)
	}
	// One after the other goes, and takes nothing of those that are left.
	for i, name := range names {
		b, err := Find(t.Context(), r.seen, name, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.seen.Delete(t.Context(), b.Nodes[0].root.At.Name(), nil); err != nil {
			t.Fatalf("delete %q: %v", name, err)
		}
		if left := r.list(); len(left) != len(names)-i-1 {
			t.Fatalf("%d backups are left after %q", len(left), name)
		}
		if i == len(names)/2 {
			r.mustHold(names[len(names)-1], want)
		}
	}
}

func TestTwoClustersMayUseOneBackupName(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	b.id.Cluster = "bank"
	r.take(a, "monday")
	r.take(b, "monday")
	r.take(b, "tuesday")
	r.mustTell(told{"shop", "monday", "node-a", "", true}, told{"bank", "monday", "node-b", "", true}, told{"bank", "tuesday", "node-b", "", true})
	if _, err := Find(t.Context(), r.seen, "monday", ""); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "bank or shop") {
		t.Errorf("found one of two: %v", err)
	}
	if found, err := Find(t.Context(), r.seen, "tuesday", ""); err != nil || found.Cluster != "bank" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestNamesThatBeginAlikeAreDifferentNames(t *testing.T) {
	t.Parallel()
	r, a := newRig(t), oneTable(t, hostA)
	for _, name := range []string{"mon", "monday", "monday-2", "MONDAY"} {
		r.take(a, name)
	}
	for _, name := range []string{"mon", "monday", "monday-2", "MONDAY"} {
		if b, err := Find(t.Context(), r.seen, name, ""); err != nil || b.Name != name || len(b.Nodes) != 1 {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
	for _, name := range []string{"", "m", "mond", "monday-", "monday-22", "*"} {
		if b, err := Find(t.Context(), r.seen, name, ""); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %+v, %v", name, b, err)
		}
	}
}

func TestANodeIsPickedByNameOrHostID(t *testing.T) {
	b := &Backup{Name: "monday", Nodes: []Entry{
		{Catalogue: Catalogue{Node: "node-a", HostID: hostA}}, {Catalogue: Catalogue{Node: "node-b", HostID: hostB}}}}
	for _, c := range []struct {
		nodes      int
		pick, want string
		says       string
	}{
		{2, "node-b", hostB, ""},
		{2, strings.ToUpper(hostA), hostA, ""},
		{1, "", hostA, ""},
		{1, "node-a", hostA, ""},
		{2, "", "", "has 2 nodes"},
		{1, "node-b", "", "it has node-a"},
		{2, "node", "", "it has node-a, node-b"},
		{2, hostA[:8], "", "it has node-a, node-b"},
	} {
		some := *b
		some.Nodes = b.Nodes[:c.nodes]
		e, err := some.Pick(c.pick)
		if c.says == "" && (err != nil || e.HostID != c.want) || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q of %d nodes: %+v, %v", c.pick, c.nodes, e, err)
		}
	}
}

func TestABackupAddsUpItsNodes(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC) }
	b := Backup{Nodes: []Entry{
		{Catalogue: Catalogue{Started: at(3), Finished: at(4), SSTables: 1, Files: 2, Unchanged: 3, BytesSource: 4, BytesNew: 5, BytesStored: 6}},
		{Catalogue: Catalogue{Started: at(1), Finished: at(9), SSTables: 10, Files: 20, Unchanged: 30, BytesSource: 40, BytesNew: 50, BytesStored: 60}}}}
	if !b.Started().Equal(at(1)) || !b.Finished().Equal(at(9)) {
		t.Errorf("from %v to %v", b.Started(), b.Finished())
	}
	if diff := cmp.Diff(Cost{11, 22, 33, 44, 55, 66}, b.Total()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBackupsAreListedInTheOrderOfTheirStart(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	for _, name := range []string{"z", "m", "a"} {
		r.take(a, name)
	}
	r.take(b, "m") // later, and yet of the second backup
	var names []string
	for _, backup := range r.list() {
		names = append(names, fmt.Sprint(backup.Name, len(backup.Nodes)))
	}
	if diff := cmp.Diff([]string{"z1", "m2", "a1"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// damaged lists and returns what is told and the objects named as damaged.
func (r *rig) damaged() ([]told, []string) {
	r.t.Helper()
	var objects []string
	all, err := List(r.t.Context(), r.seen, func(d *repo.DamageError) { objects = append(objects, d.Object) })
	if err != nil {
		r.t.Fatal(err)
	}
	return tell(all), objects
}

func TestADamagedRootIsReportedAndItsBackupIsNotComplete(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
	}{{"flipped", flip}, {"cut short", func(b []byte) []byte { return b[:20] }}, {"empty", func([]byte) []byte { return []byte{} }}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
			a.members.Members = append(a.members.Members, member(hostB, ring.Normal))
			r.take(a, "monday")
			r.take(b, "monday")
			r.take(b, "tuesday")
			root, err := r.repo.RootName(hostB, "monday")
			if err != nil {
				t.Fatal(err)
			}
			r.damage(root, c.change)
			all, objects := r.damaged()
			want := []told{{"shop", "monday", "node-a", "addr-b", false}, {"shop", "tuesday", "node-b", "", true}}
			if diff := cmp.Diff(want, all); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{root}, objects); diff != "" {
				t.Errorf("damaged (-want +got):\n%s", diff)
			}
			if _, err := Find(t.Context(), r.seen, "wednesday", ""); !errors.Is(err, ErrNotFound) || !isDamage(err, root) {
				t.Errorf("a name that the damaged root may have: %v", err)
			}
			// The name stays taken: what is there may be repaired.
			if _, err := Take(t.Context(), r.repo, b, r.options("monday")); !errors.Is(err, repo.ErrSnapshotExists) {
				t.Errorf("another backup in its place: %v", err)
			}
		})
	}
}

func TestARootInAnotherPlaceIsNoBackup(t *testing.T) {
	t.Parallel()
	r, a := newRig(t), oneTable(t, hostA)
	r.take(a, "monday")
	from, err := r.repo.RootName(hostA, "monday")
	if err != nil {
		t.Fatal(err)
	}
	data, err := r.st.Get(t.Context(), from, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, domain := range []string{hostA, hostB} {
		to, err := r.repo.RootName(domain, "tuesday")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.st.Create(t.Context(), to, data); err != nil {
			t.Fatal(err)
		}
	}
	all, objects := r.damaged()
	if diff := cmp.Diff([]told{{"shop", "monday", "node-a", "", true}}, all); diff != "" || len(objects) != 2 {
		t.Errorf("damaged %v (-want +got):\n%s", objects, diff)
	}
}

// commit makes a backup of which a test decides every part.
func (r *rig) commit(cat Catalogue, make func(s *repo.Session) *repo.Root) {
	r.t.Helper()
	s, err := r.repo.NewSession(r.t.Context(), cat.HostID)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	root := make(s)
	if root.Catalogue == nil {
		if root.Catalogue, err = encodeJSON(cat); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := s.Commit(cat.Backup, root); err != nil {
		r.t.Fatal(err)
	}
}

// blob stores one blob.
func (r *rig) blob(s *repo.Session, typ pack.Type, b []byte) pack.ID {
	r.t.Helper()
	ref, _, err := s.Put(typ, b)
	if err != nil {
		r.t.Fatal(err)
	}
	return ref.ID
}

func TestARingThatCannotBeReadLeavesTheBackupIncomplete(t *testing.T) {
	cat := Catalogue{Kind: KindSSTables, Backup: "monday", Cluster: "shop", HostID: hostA, Node: "node-a"}
	for _, c := range []struct {
		name string
		ring func(r *rig, s *repo.Session) pack.ID
	}{
		{"no shard names it", func(*rig, *repo.Session) pack.ID { return filled(7) }},
		{"it is no JSON", func(r *rig, s *repo.Session) pack.ID { return r.blob(s, pack.Ring, []byte("{")) }},
		{"it is a blob of another type", func(r *rig, s *repo.Session) pack.ID { return r.blob(s, pack.Data, []byte("{}")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.commit(cat, func(s *repo.Session) *repo.Root {
				return &repo.Root{Ring: c.ring(r, s), Descriptions: []pack.ID{r.blob(s, pack.Description, []byte("{}"))}}
			})
			all, objects := r.damaged()
			if diff := cmp.Diff([]told{{"shop", "monday", "node-a", "", false}}, all); diff != "" || len(objects) != 1 {
				t.Errorf("damaged %v (-want +got):\n%s", objects, diff)
			}
			rep, err := Check(t.Context(), r.seen, false)
			if err != nil || rep.OK() || rep.Damage[0].Hits[0].Node != "node-a" {
				t.Errorf("check: %+v, %v", rep, err)
			}
		})
	}
}

func TestACatalogueOfNoSenseIsDamage(t *testing.T) {
	cat := Catalogue{Kind: KindSSTables, Backup: "monday", HostID: hostA}
	other := cat
	other.Kind = "commitlog"
	one := []pack.ID{filled(1)}
	for _, c := range []struct {
		name string
		cat  Catalogue
		root repo.Root
		says string
	}{
		{"no JSON", cat, repo.Root{Catalogue: []byte("{"), Descriptions: one}, "catalogue entry"},
		{"another kind", other, repo.Root{Descriptions: one}, `kind "commitlog"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.commit(c.cat, func(*repo.Session) *repo.Root { return &c.root })
			var what string
			all, err := List(t.Context(), r.seen, func(d *repo.DamageError) { what = d.What })
			if err != nil || len(all) != 0 || !strings.Contains(what, c.says) {
				t.Errorf("listed %+v, %v; damage %q, want %q", all, err, what, c.says)
			}
		})
	}
}

func TestARootNeedsOneDescription(t *testing.T) {
	cat := Catalogue{Kind: KindSSTables, Backup: "monday", HostID: hostA}
	for n, says := range map[int]string{0: "0 descriptions", 2: "2 descriptions"} {
		r := newRig(t)
		r.commit(cat, func(*repo.Session) *repo.Root {
			return &repo.Root{Descriptions: []pack.ID{filled(1), filled(2)}[:n]}
		})
		b, err := Find(t.Context(), r.seen, "monday", "")
		if err != nil {
			t.Fatal(err)
		}
		var damage *repo.DamageError
		if _, err := Open(t.Context(), r.seen, &b.Nodes[0]); !errors.As(err, &damage) || damage.What != "a snapshot with "+says {
			t.Errorf("%d: %v", n, err)
		}
		rep, err := Check(t.Context(), r.seen, false)
		if err != nil || !slices.ContainsFunc(rep.Damage, func(d Damage) bool { return strings.Contains(d.What, says) }) {
			t.Errorf("%d: check %+v, %v", n, rep, err)
		}
	}
}
