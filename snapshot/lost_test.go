package snapshot

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/repo"
	"cbk/repo/roles"
)

// mark does what repair drop-damaged does with all that a check has found.
func (r *rig) mark(rp *repo.Repo, rep *Report) []string {
	r.t.Helper()
	names, err := Mark(r.t.Context(), rp, rep.Drop(), "ann@desk", r.clock)
	if err != nil {
		r.t.Fatal(err)
	}
	return names
}

var byReading = CheckOptions{ReadData: true}

// lossy is a node with a backup that has lost part of a Data.db, and a second one that has nothing of it.
func lossy(t *testing.T) (*rig, *fakeNode, map[string]string) {
	t.Helper()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.sstable(dir, "nb-1-big-", 1, 900<<10)
	n.sstable(n.table(0, "u", 2), "nb-1-big-", 9, 100<<10)
	r.take(n, "one")
	whole := n.live()
	r.dataBlob("one")
	return r, n, whole
}

func TestWhatIsMarkedIsToldApartAndNoLongerNews(t *testing.T) {
	r, _, _ := lossy(t)
	rep := r.verify(r.seen, byReading)
	plan := rep.Drop()
	if len(plan.Lost) != 1 || len(plan.Left) > 0 || plan.Lost[0].Backup != "one" || plan.Lost[0].Node != "node-a" || plan.Lost[0].Whole || len(plan.Lost[0].Tables) != 1 {
		t.Fatalf("plan %+v", plan)
	}
	lost := plan.Lost[0].Tables[0]
	if lost.Keyspace != "ks" || lost.Whole || !slices.Equal(lost.Components, []string{"nb-1-big-Data.db"}) {
		t.Errorf("table %+v", lost)
	}
	if names := r.mark(r.seen, rep); len(names) != 1 || !strings.HasPrefix(names[0], "lost/") {
		t.Fatalf("records %v", names)
	}
	for _, role := range []roles.Role{roles.RoleReader, roles.RoleKeeper} {
		again := r.verify(r.keyed(role), byReading)
		// A keeper fears for every blob of a pack that is not as written, and knows only the object.
		if !again.OK() || len(again.Known) != 1 || again.Known[0].HitsTotal == 0 || len(again.Hurt) != 1 || !again.Hurt[0].Nodes[0].Known {
			t.Errorf("%s: damage %+v, known %+v", role, again.Damage, again.Known)
		}
		if len(again.Drop().Lost) > 0 {
			t.Errorf("%s: marked a second time: %+v", role, again.Drop())
		}
	}
}

// CompressionInfo.db has no blobs of its own: it comes out with Data.db, and is lost with it.
func TestWhatIsDerivedIsLostWithWhatItComesFrom(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	n.compressed(n.table(0, "t", 1), "nb-1-big-", 1, 1<<20)
	r.take(n, "one")
	s := r.snapshot("one")
	r.spoil(s, r.recipe(s, "Data.db").refs[0].ID)
	lost := r.verify(r.seen, byReading).Drop().Lost
	want := []LostTable{{Keyspace: "ks", Table: "t", Components: []string{"nb-1-big-Data.db", "nb-1-big-CompressionInfo.db"}}}
	if len(lost) != 1 || cmp.Diff(want, lost[0].Tables) != "" {
		t.Errorf("lost %+v, want %+v", lost, want)
	}
}

func TestNewDamageBesideKnownIsNews(t *testing.T) {
	r, _, _ := lossy(t)
	r.mark(r.seen, r.verify(r.seen, byReading))
	for _, name := range r.objects("packs/") {
		r.damage(name, remove)
	}
	rep := r.asked(r.seen, CheckOptions{})
	if rep.OK() || len(rep.Drop().Lost) != 1 || !rep.Drop().Lost[0].Whole {
		t.Fatalf("damage %+v", rep.Damage)
	}
	r.mark(r.seen, rep)
	if again := r.verify(r.seen, CheckOptions{}); !again.OK() || len(again.Found) > 0 {
		t.Errorf("after marking that too: %+v", again.Damage)
	}
	all, err := Losses(t.Context(), r.seen)
	if err != nil || len(all) != 2 || len(standing(all)[all[0].Root]) != 1 {
		t.Errorf("the first mark stands beside the second: %+v, %v", all, err)
	}
}

func TestAMarkEndsWhenTheNodePutsBackWhatWasLost(t *testing.T) {
	r, n, whole := lossy(t)
	rep := r.asked(r.seen, byReading)
	r.mark(r.seen, rep)
	if l := r.list(); len(l[0].Nodes[0].Losses) != 1 || l[0].Whole() {
		t.Errorf("listed as %+v", l[0].Nodes[0].Losses)
	}
	r.take(n, "two")
	if found := r.verify(r.seen, CheckOptions{}).Found; len(found) > 0 {
		t.Errorf("names and sizes do not show what reading has shown: %+v", found)
	}
	rep = r.verify(r.seen, byReading)
	if !rep.OK() || len(rep.Found) != 1 || len(rep.Hurt) > 0 {
		t.Fatalf("damage %+v, found %+v", rep.Damage, rep.Found)
	}
	if err := EndLosses(t.Context(), r.seen, rep, "ann@desk"); err != nil {
		t.Fatal(err)
	}
	for _, b := range r.list() {
		if _, tables, _ := b.Lost(); tables > 0 || !b.Whole() {
			t.Errorf("%s is still marked", b.Name)
		}
	}
	if again := r.verify(r.seen, byReading); len(again.Found) > 0 {
		t.Errorf("found twice: %+v", again.Found)
	}
	r.shots = make(map[string]*Snapshot)
	r.mustHold("one", whole)
}

func TestAMarkCountsByWhoMadeIt(t *testing.T) {
	r, _, _ := lossy(t)
	rep := r.verify(r.seen, byReading)
	if _, err := Mark(t.Context(), r.keyed(roles.RoleWriter, hostA), rep.Drop(), "node", r.clock); !errors.Is(err, roles.ErrRole) {
		t.Errorf("a writer marks: %v", err)
	}
	thief := r.keyed(roles.RoleReader)
	r.mark(thief, rep)
	if len(r.list()[0].Nodes[0].Losses) != 1 {
		t.Fatal("a reader's mark does not count")
	}
	if err := r.repo.Revoke(t.Context(), thief.Key().KeyID(), nil); err != nil {
		t.Fatal(err)
	}
	r.seen = r.reopen(r.st, "")
	if got := r.list()[0].Nodes[0].Losses; len(got) > 0 {
		t.Errorf("a revoked key's mark counts: %+v", got)
	}
	if writer, err := Losses(t.Context(), r.keyed(roles.RoleWriter, hostA)); err != nil || writer != nil {
		t.Errorf("a writer sees %v, %v", writer, err)
	}
}

func TestAMarkThatCannotBeReadIsDamage(t *testing.T) {
	for what, body := range map[string]string{
		"no document": "x", "of a newer cbk": `{"version":2}`, "of no level": `{"version":1,"level":"hearsay"}`,
		"by somebody with an impossible name": `{"version":1,"level":"structure","by":"a\nb"}`,
	} {
		r, n := newRig(t), newNode(t, hostA, 1)
		r.take(n, "one")
		rec, err := r.seen.AddRecord(t.Context(), repo.LostRecord, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Losses(t.Context(), r.seen); !isDamage(err, rec.Name) {
			t.Errorf("%s: %v", what, err)
		}
		var told []string
		if _, err := List(t.Context(), r.seen, func(d *repo.DamageError) { told = append(told, d.Object) }); err != nil || !slices.Equal(told, []string{rec.Name}) {
			t.Errorf("%s: a list tells %v, %v", what, told, err)
		}
		if rep := r.verify(r.seen, CheckOptions{}); rep.OK() || rep.Damage[0].Object != rec.Name {
			t.Errorf("%s: a check tells %+v", what, rep.Damage)
		}
	}
}

func TestLongMarksAreCutIntoRecords(t *testing.T) {
	r, n := newRig(t), newNode(t, hostA, 1)
	r.take(n, "one")
	plan := &Drop{level: LevelData}
	for i := range 5 {
		node := LostNode{Root: strings.Repeat("r", i+1), Tables: []LostTable{{Keyspace: "ks", Table: "t"}}}
		for range 50_000 {
			node.Tables[0].Components = append(node.Tables[0].Components, "nb-12345-big-Data.db-and-so-on")
		}
		plan.Lost = append(plan.Lost, node)
	}
	names, err := Mark(t.Context(), r.seen, plan, "ann@desk", r.clock)
	if err != nil || len(names) < 2 {
		t.Fatalf("%d records, %v", len(names), err)
	}
	if all, err := Losses(t.Context(), r.seen); err != nil || len(all) != 5 {
		t.Errorf("%d losses, %v", len(all), err)
	}
}

func TestALossCoversWhatItNames(t *testing.T) {
	l := Loss{LostNode: LostNode{Texts: []string{"schema"}, Objects: []string{"packs/aa"},
		Tables: []LostTable{{"ks", "t", false, []string{"Data.db"}}, {"ks", "u", true, nil}}}}
	for _, c := range []struct {
		object string
		at     Hit
		reads  bool
		want   bool
	}{
		{"packs/bb", Hit{Keyspace: "ks", Table: "t", Component: "Data.db"}, true, true},
		{"packs/aa", Hit{Keyspace: "ks", Table: "t", Component: "Index.db"}, true, false},
		{"packs/aa", Hit{Keyspace: "ks", Table: "t"}, true, false},
		{"packs/aa", Hit{Keyspace: "ks", Table: "u"}, true, true},
		{"packs/aa", Hit{Keyspace: "ks", Table: "u", Component: "Index.db"}, true, true},
		{"packs/aa", Hit{Keyspace: "other", Table: "u", Component: "Index.db"}, true, false},
		{"packs/aa", Hit{Component: "schema"}, true, true},
		{"packs/aa", Hit{Component: "roles"}, true, false},
		{"packs/aa", Hit{}, true, false},
		{"packs/aa", Hit{}, false, true},
		{"packs/bb", Hit{}, false, false},
	} {
		if got := l.covers(c.object, c.at, c.reads); got != c.want {
			t.Errorf("%s %+v, reads %v: %v", c.object, c.at, c.reads, got)
		}
	}
	l.Whole = true
	if !l.covers("packs/cc", Hit{}, true) || !l.Lacks("any", "table", "") {
		t.Error("a whole node snapshot is lost, and something of it is not")
	}
}

// The damaged one is newer and complete: it takes no place of a good one, and goes only for a good one.
func TestPurgeDoesNotCountABackupWithLosses(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	backup := func(name string, at time.Time, lost ...Loss) Backup {
		e := Entry{Root: name, Stored: at, Losses: lost}
		e.Catalogue = Catalogue{Backup: name, Cluster: "shop", HostID: hostA, Node: "a", Started: at, Finished: at}
		return Backup{Name: name, Cluster: "shop", Nodes: []Entry{e}}
	}
	lost := Loss{LostNode: LostNode{Tables: []LostTable{{"ks", "t", false, []string{"Data.db"}}}}}
	kept := func(all ...Backup) (names []string) {
		r := Retention{Policy: Policy{KeepLast: 1}, Backups: all, Now: day(30)}
		plan, err := r.Plan()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range plan.Series[0].Verdicts {
			if v.Keep {
				names = append(names, v.Name)
			}
		}
		return names
	}
	good, bad := backup("good", day(2)), backup("bad", day(9), lost)
	if diff := cmp.Diff([]string{"good", "bad"}, kept(good, bad)); diff != "" {
		t.Errorf("the newest is damaged (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"newest"}, kept(good, bad, backup("newest", day(25)))); diff != "" {
		t.Errorf("a good one came after it (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"bad"}, kept(bad)); diff != "" {
		t.Errorf("there is no other (-want +got):\n%s", diff)
	}
}
