package snapshot

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cbk/cassandra/sstable"
	"cbk/repo"
	"cbk/repo/roles"
)

// asked is a check that publishes what it could not read.
func (r *rig) asked(rp *repo.Repo, opt CheckOptions) *Report {
	r.t.Helper()
	rep := r.verify(rp, opt)
	if err := Want(r.t.Context(), rp, rep); err != nil {
		r.t.Fatal(err)
	}
	return rep
}

func (r *rig) gc() {
	r.t.Helper()
	opt := repo.GCOptions{MaxRepack: math.MaxInt64, Now: time.Now}
	if _, err := r.seen.GC(r.t.Context(), hostA, opt); err != nil {
		r.t.Fatal(err)
	}
}

// spoilt are ways to lose a pack, with the check that sees it.
var spoilt = map[string]struct {
	change func([]byte) []byte
	opt    CheckOptions
}{
	"missing, by structure":           {remove, CheckOptions{}},
	"flipped, by reading all":         {flip, CheckOptions{ReadData: true}},
	"flipped, by reading of a backup": {flip, CheckOptions{ReadData: true, Backup: "one"}},
	"missing, by looking at a backup": {remove, CheckOptions{Backup: "one"}},
	"cut, by structure":               {func(b []byte) []byte { return b[:len(b)/3] }, CheckOptions{}},
}

func TestANodeThatStillHasTheSSTablesPutsBackWhatWasLost(t *testing.T) {
	for what, c := range spoilt {
		for _, role := range []roles.Role{roles.RoleReader, roles.RoleKeeper} {
			t.Run(what+" by a "+string(role), func(t *testing.T) {
				r, n := newRig(t), newNode(t, hostA, 1)
				n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 900<<10)
				// What only the first backup has, its description, lies in the pack that is lost.
				first, packs := r.take(n, "zero"), r.objects("packs/")
				r.take(n, "one")
				if err := r.seen.Delete(t.Context(), first.Root, nil); err != nil {
					t.Fatal(err)
				}
				whole := n.live()
				for _, name := range packs {
					r.damage(name, c.change)
				}
				rep := r.asked(r.keyed(role), c.opt)
				if rep.OK() || len(rep.Wanted) != 1 || len(rep.Wanted[0].Records) == 0 || !slices.Equal(rep.Wanted[0].Nodes, []string{"node-a"}) {
					t.Fatalf("damage %d, wanted %+v", rep.DamageTotal, rep.Wanted)
				}
				if again := r.asked(r.keyed(role), c.opt); again.OK() || len(again.Wanted[0].Records) > 0 {
					t.Errorf("asked twice: %+v", again.Wanted)
				}
				two := r.take(n, "two")
				if two.PutBack == 0 {
					t.Error("nothing is put back")
				}
				r.mustHold("two", whole)
				r.mustHold("one", whole)
				if after := r.verify(r.keyed(role), c.opt); !after.OK() {
					t.Errorf("a check after it: %+v", after.Damage)
				}
				if three := r.take(n, "three"); three.PutBack > 0 {
					t.Errorf("%d blobs are put back a second time", three.PutBack)
				}
				for range 4 {
					r.gc()
				}
				if rep := r.verify(r.seen, CheckOptions{ReadData: true}); !rep.OK() || len(rep.Mended) > 0 || len(r.objects("wanted/")) > 0 {
					t.Errorf("after collection: damage %+v, mended %+v, records %v", rep.Damage, rep.Mended, r.objects("wanted/"))
				}
				r.shots = make(map[string]*Snapshot)
				r.mustHold("one", whole)
			})
		}
	}
}

func TestWhatIsGoneFromTheNodeStaysWantedAndTold(t *testing.T) {
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.sstable(dir, "nb-1-big-", 1, 900<<10)
	r.take(n, "one")
	r.dataBlob("one")
	r.asked(r.seen, CheckOptions{ReadData: true})
	removeAll(t, n, dir)
	n.sstable(dir, "nb-2-big-", 2, 300<<10)
	if two := r.take(n, "two"); two.PutBack > 2 { // small files are alike
		t.Errorf("%d blobs are put back", two.PutBack)
	}
	for range 3 {
		r.gc()
	}
	rep := r.verify(r.seen, CheckOptions{ReadData: true})
	if rep.OK() || len(rep.Hurt) != 1 || rep.Hurt[0].Backup != "one" || len(r.objects("wanted/")) != 1 {
		t.Errorf("hit %+v, records %v", rep.Hurt, r.objects("wanted/"))
	}
}

// dataBlob spoils one blob of a Data.db of a backup, where it lies.
func (r *rig) dataBlob(backup string) {
	r.t.Helper()
	s := r.snapshot(backup)
	all := r.sstables(s)
	one := &all[slices.Min(slices.Collect(maps.Keys(all)))][0]
	hows, err := s.recipes(r.t.Context(), []*SSTable{one})
	if err != nil {
		r.t.Fatal(err)
	}
	at := slices.IndexFunc(one.Components, func(c Component) bool { return c.Name == sstable.Data })
	loc, err := s.rd.Locate(r.t.Context(), hows[0].of(at).refs[0].ID)
	if err != nil {
		r.t.Fatal(err)
	}
	r.damage(repo.PackName(loc.Pack), flipAt(int(loc.Offset)+int(loc.Stored)/2))
}

// The lost chunk is in another SSTable of the same domain: that is as good.
func TestAnotherSSTableWithTheSameRowsPutsThemBack(t *testing.T) {
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.sstable(dir, "nb-1-big-", 1, 900<<10)
	r.take(n, "one")
	whole := n.live()
	r.dataBlob("one")
	rep := r.asked(r.seen, CheckOptions{ReadData: true})
	if len(rep.Wanted) != 1 || rep.Wanted[0].Packs != 1 {
		t.Fatalf("wanted %+v", rep.Wanted)
	}
	removeAll(t, n, dir)
	n.sstable(dir, "nb-7-big-", 1, 900<<10)
	if two := r.take(n, "two"); two.PutBack == 0 {
		t.Errorf("%d blobs are put back", two.PutBack)
	}
	r.shots = make(map[string]*Snapshot)
	r.mustHold("one", whole)
}

func removeAll(t *testing.T, n *fakeNode, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.Layout().DataDirs[0], dir, "nb-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

// A writer that died before its shard left a pack that nothing names, and perhaps half of one. Nobody lacks them.
func TestATornUploadIsNotWanted(t *testing.T) {
	r, n := newRig(t), newNode(t, hostA, 1)
	n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 200<<10)
	r.take(n, "one")
	torn := "packs/ab/ab" + r.objects("packs/")[0][11:]
	if err := r.st.Create(t.Context(), torn, []byte("half of a pack")); err != nil {
		t.Fatal(err)
	}
	for _, opt := range []CheckOptions{{}, {ReadData: true}} {
		if rep := r.asked(r.seen, opt); len(rep.Wanted) > 0 || len(rep.Hurt) > 0 {
			t.Errorf("wanted %+v, hit %+v", rep.Wanted, rep.Hurt)
		}
	}
	if len(r.objects("wanted/")) > 0 {
		t.Error("a record asks for it")
	}
}
