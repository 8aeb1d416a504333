package snapshot

import (
	"slices"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// takeFull is take in full mode.
func (r *rig) takeFull(n *fakeNode, name string) *Result {
	r.t.Helper()
	o := r.options(name)
	o.Mode = ModeFull
	res, err := Take(r.t.Context(), r.repo, n, o)
	if err != nil {
		r.t.Fatalf("backup %s: %v", name, err)
	}
	return res
}

// tree returns the prefix of a backup's own copy.
func (r *rig) tree(backup string) string {
	r.t.Helper()
	return r.snapshot(backup).root.Copy()
}

func TestAFullBackupIsListedCheckedAndRestoredFromItsCopy(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	monday := n.live()
	first := r.take(n, "monday")
	n.sstable("ks/t-"+tableID(1), "nb-2-big-", 2, 2000)
	full := r.takeFull(n, "tuesday")
	if full.Mode != ModeFull || full.Copied.Packs == 0 || full.Copied.Bytes == 0 {
		t.Errorf("full: %+v", full)
	}
	if first.Mode != ModeDifferential || first.Copied != (repo.Copied{}) {
		t.Errorf("differential: %+v", first)
	}
	if full.Unchanged == 0 {
		t.Error("a full backup reads files that have not changed")
	}
	tuesday := n.live()
	r.mustHold("monday", monday)
	r.mustHold("tuesday", tuesday)
	if rep := r.check(true); !rep.OK() || rep.Backups != 2 {
		t.Errorf("%+v", rep)
	}
	tree := r.tree("tuesday")
	for _, name := range r.objects("") {
		if !slices.ContainsFunc([]string{"config", "keys/", "trust/", tree}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			r.damage(name, remove)
		}
	}
	clear(r.shots)
	r.seen = r.reopen(r.st, "")
	list := r.list()
	if len(list) != 1 || list[0].Name != "tuesday" || !list[0].Complete() || list[0].Nodes[0].Mode != ModeFull {
		t.Fatalf("listed: %+v", list)
	}
	if rep := r.check(true); !rep.OK() || rep.Backups != 1 || rep.BytesRead == 0 {
		t.Errorf("%+v", rep)
	}
	r.mustHold("tuesday", tuesday)
}

func TestDamageHitsTheBackupsThatReadIt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, hits string
		where      func(*rig) string
	}{
		{"a pack in a copy", "tuesday", func(r *rig) string { return r.tree("tuesday") + "packs/" }},
		{"a shared pack", "monday", func(*rig) string { return "packs/" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, n := newRig(t), oneTable(t, hostA)
			r.take(n, "monday")
			r.takeFull(n, "tuesday")
			// The pack of the table's content is the largest.
			var object string
			var size int64
			err := r.st.List(t.Context(), tc.where(r), func(i store.Info) error {
				if i.Size > size {
					object, size = i.Name, i.Size
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			r.damage(object, flip)
			for _, readData := range []bool{true, false} {
				if !readData {
					r.damage(object, func(b []byte) []byte { return b[:len(b)-1] })
				}
				rep := r.check(readData)
				if len(rep.Damage) != 1 || rep.Damage[0].Object != object || rep.Damage[0].HitsTotal == 0 {
					t.Fatalf("damage of %s: %+v", object, rep.Damage)
				}
				for _, h := range rep.Damage[0].Hits {
					if h.Backup != tc.hits {
						t.Errorf("hits %+v", h)
					}
				}
			}
		})
	}
}

func TestOnlyModesThatThereAreAreTaken(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	o := r.options("b")
	o.Mode = "incremental"
	if _, err := Take(t.Context(), r.repo, n, o); err == nil || !strings.Contains(err.Error(), `mode "incremental"`) {
		t.Errorf("error %v", err)
	}
	if len(n.calls) > 1 {
		t.Errorf("the node was asked for %v", n.calls)
	}
}

func TestAModeThatIsNotTheRootsIsDamage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, err := r.repo.NewSession(t.Context(), hostA)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := &backup{s: s, opt: r.options("b"), cat: Catalogue{Kind: KindSSTables, Backup: "b", HostID: hostA, Mode: ModeFull}}
	ref, _, err := b.putJSON(pack.Ring, Node{})
	if err != nil {
		t.Fatal(err)
	}
	root := &repo.Root{Ring: ref.ID}
	root.Descriptions = append(root.Descriptions, ref.ID)
	if err := b.commit(root); err != nil {
		t.Fatal(err)
	}
	var damage *repo.DamageError
	all, err := entries(t.Context(), r.seen, func(d *repo.DamageError) { damage = d })
	if err != nil || len(all) != 0 || damage == nil || !strings.Contains(damage.What, "mode") {
		t.Errorf("a full backup without a copy: %+v, %v, %v", all, damage, err)
	}
}
