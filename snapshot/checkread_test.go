package snapshot

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

func (r *rig) verify(rp *repo.Repo, opt CheckOptions) *Report {
	r.t.Helper()
	if opt.Now == nil {
		opt.Now = func() time.Time { r.clock = r.clock.Add(time.Second); return r.clock }
	}
	rep, err := Verify(r.t.Context(), rp, opt)
	if err != nil {
		r.t.Fatal(err)
	}
	return rep
}

// recorded is a check that leaves its record.
func (r *rig) recorded(opt CheckOptions) *Report {
	r.t.Helper()
	rep := r.verify(r.seen, opt)
	if _, err := Leave(r.t.Context(), r.seen, rep); err != nil {
		r.t.Fatal(err)
	}
	return rep
}

func (r *rig) status() *CheckStatus {
	r.t.Helper()
	st, err := Status(r.t.Context(), r.seen, r.clock)
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

// watched notes the packs that are read.
type watched struct {
	store.Store
	reads map[string]int64
}

func (w *watched) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	if repo.IsPack(name) {
		w.reads[name] += int64(len(p))
	}
	return w.Store.ReadAt(ctx, name, off, p)
}

// many returns a rig with a backup of some 20 packs.
func many(t *testing.T) (*rig, *fakeNode) {
	t.Helper()
	cfg := repo.DefaultSettings()
	cfg.PackSize = 1 << 20
	r, n := newRigWith(t, cfg), newNode(t, hostA, 1)
	n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 20<<20)
	r.take(n, "one")
	return r, n
}

// keyed opens the repository with a key of a role.
func (r *rig) keyed(role roles.Role, domains ...string) *repo.Repo {
	r.t.Helper()
	f, _, err := r.repo.ExportKey(r.t.Context(), role, domains)
	if err != nil {
		r.t.Fatal(err)
	}
	opened, err := repo.Open(r.t.Context(), r.st, r.unlock(f), "")
	if err != nil {
		r.t.Fatal(err)
	}
	return opened
}

// unlock opens with the text of a key file.
func (r *rig) unlock(text []byte) roles.Unlock {
	r.t.Helper()
	f, err := roles.ParseKeyFile(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return roles.WithKeyFile(f)
}

func TestBudgetsGoOnWhereTheLastEndedUntilAllIsRead(t *testing.T) {
	t.Parallel()
	r, _ := many(t)
	all := r.verify(r.seen, CheckOptions{ReadData: true}).Packs
	if all.Read != all.Listed || all.Read < 5 || all.Ended {
		t.Fatalf("%+v", all)
	}
	budget := CheckOptions{ReadData: true, Budget: Budget{Bytes: 5 << 20}}
	met := make(map[string]int64)
	runs := 0
	for ; r.status().Readable.NeverPacks > 0; runs++ {
		w := &watched{Store: r.st, reads: make(map[string]int64)}
		rep := r.verify(r.reopen(w, ""), budget)
		if _, err := Leave(t.Context(), r.seen, rep); err != nil {
			t.Fatal(err)
		}
		if rep.Packs.Read == 0 || runs > 10 || rep.Packs.ReadBytes >= 5<<20+slices.Max(slices.Collect(maps.Values(r.packs()))) || len(rep.Packs.Extents) > 2 {
			t.Fatalf("run %d: %+v", runs, rep.Packs)
		}
		if !slices.ContainsFunc(rep.NotChecked(), func(s string) bool { return strings.HasPrefix(s, "the bytes of ") }) {
			t.Errorf("run %d says of what was not read: %q", runs, rep.NotChecked())
		}
		for name := range r.packs() {
			if w.reads[name] >= r.packs()[name] {
				met[name]++
			}
		}
	}
	if len(met) != int(all.Listed) || runs < 2 {
		t.Errorf("%d runs read %d of %d packs", runs, len(met), all.Listed)
	}
	first := r.status().Readable.Oldest
	r.recorded(budget)
	if again := r.status().Readable; again.NeverPacks > 0 || !again.Oldest.After(first) {
		t.Errorf("the next round did not begin with what was read longest ago: %v after %v", again.Oldest, first)
	}
}

// packs returns the sizes of all packs.
func (r *rig) packs() map[string]int64 {
	r.t.Helper()
	sizes := make(map[string]int64)
	err := r.st.List(r.t.Context(), "packs/", func(i store.Info) error { sizes[i.Name] = i.Size; return nil })
	if err != nil {
		r.t.Fatal(err)
	}
	return sizes
}

func TestATimeBudgetEndsBetweenPacks(t *testing.T) {
	t.Parallel()
	r, _ := many(t)
	rep := r.verify(r.seen, CheckOptions{ReadData: true, Budget: Budget{Time: 6 * time.Second}}) // a second a pack
	if p := rep.Packs; !p.Ended || p.Read < 3 || p.Read > 6 || len(p.Extents) != 1 || !rep.OK() {
		t.Errorf("%+v", p)
	}
	if whole := r.verify(r.seen, CheckOptions{ReadData: true, Budget: Budget{Time: time.Hour}}).Packs; whole.Ended || whole.Read != whole.Listed {
		t.Errorf("%+v", whole)
	}
}

func TestAPackThatCameAfterARunWasNeverRead(t *testing.T) {
	t.Parallel()
	r, n := many(t)
	r.recorded(CheckOptions{ReadData: true})
	if st := r.status(); st.Readable.NeverPacks != 0 || st.Unaltered.NeverPacks != 0 || len(st.Runs) != 1 {
		t.Fatalf("%+v", st)
	}
	time.Sleep(1100 * time.Millisecond) // stores tell times by the second
	n.sstable("ks/t-"+tableID(1), "nb-2-big-", 2, 3<<20)
	r.take(n, "two")
	st := r.status()
	if st.Readable.NeverPacks < 2 || st.Readable.NeverPacks > 8 {
		t.Errorf("%d of %d packs were never read", st.Readable.NeverPacks, st.Packs)
	}
	rep := r.recorded(CheckOptions{ReadData: true, Budget: Budget{Bytes: 1}})
	if rep.Packs.Read != 1 || r.status().Readable.NeverPacks != st.Readable.NeverPacks-1 {
		t.Errorf("what was never read does not come first: %+v", rep.Packs)
	}
}

func TestASampleIsThatOfItsSeed(t *testing.T) {
	t.Parallel()
	r, _ := many(t)
	read := func(seed uint64) []string {
		w := &watched{Store: r.st, reads: make(map[string]int64)}
		rep := r.verify(r.reopen(w, ""), CheckOptions{ReadData: true, Sample: &Sample{Seed: seed, Parts: Million / 2}})
		if _, err := Leave(t.Context(), r.seen, rep); err != nil {
			t.Fatal(err)
		}
		var picked []string
		for name, size := range r.packs() {
			id, err := pack.ParseID(filepath.Base(name))
			if err != nil {
				t.Fatal(err)
			}
			if rep.Packs.Sample.picks(id) {
				picked = append(picked, name)
			} else if size > 1<<20 && w.reads[name] >= size {
				t.Errorf("%s was read", name)
			}
		}
		if slices.ContainsFunc(picked, func(name string) bool { return w.reads[name] < r.packs()[name] }) || int(rep.Packs.Read) != len(picked) {
			t.Errorf("%+v, %d picked, read %v", rep.Packs, len(picked), w.reads)
		}
		if rep.Packs.Ended || len(picked) == 0 || len(picked) == int(rep.Packs.Listed) {
			t.Fatalf("%+v", rep.Packs)
		}
		slices.Sort(picked)
		return picked
	}
	one, again, other := read(7), read(7), read(8)
	if diff := cmp.Diff(one, again); diff != "" || slices.Equal(one, other) {
		t.Errorf("the same seed (-first +second):\n%s; another: %v", diff, other)
	}
	both := slices.Concat(one, other)
	slices.Sort(both)
	if st := r.status(); int(st.Packs-st.Readable.NeverPacks) != len(slices.Compact(both)) {
		t.Errorf("%d packs were never read, of %d in the samples", st.Readable.NeverPacks, len(both))
	}
}

func TestACheckOfOneBackupReadsWhatItNeedsAndNothingElse(t *testing.T) {
	for _, role := range []roles.Role{roles.RoleReader, roles.RoleKeeper} {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			r, n := many(t)
			other := newNode(t, hostB, 1)
			other.sstable(other.table(0, "u", 2), "nb-1-big-", 9, 2<<20)
			r.take(other, "small")
			r.take(n, "two")
			small := r.snapshot("small")
			need := make(map[string]bool)
			for _, id := range slices.Concat(r.references(small), small.root.Refs, small.root.Descriptions, []pack.ID{small.root.Ring}) {
				need[repo.PackName(r.find(small, id).Pack)] = true
			}
			w := &watched{Store: r.st, reads: make(map[string]int64)}
			f, _, err := r.repo.ExportKey(t.Context(), role, nil)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := repo.Open(t.Context(), w, r.unlock(f), "")
			if err != nil {
				t.Fatal(err)
			}
			rep := r.verify(opened, CheckOptions{ReadData: true, Backup: "small"})
			var total int64
			for name, n := range w.reads {
				total += n
				if !need[name] {
					t.Errorf("%s was read", name)
				}
			}
			if !rep.OK() || rep.Backups != 1 || total < 2<<20 || total > 12<<20 || rep.Cluster != "shop" {
				t.Errorf("%d bytes read: %+v", total, rep)
			}
			if role == roles.RoleKeeper && int(rep.Packs.Read) != len(need) {
				t.Errorf("%d of %d packs compared with their names", rep.Packs.Read, len(need))
			}
			if _, err := Leave(t.Context(), opened, rep); err != nil {
				t.Fatal(err)
			}
			if got := r.status().Backups; len(got) != 1 || got[0].Backup != "small" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestDamageOfOthersIsNoneOfTheBackup(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	r.take(a, "one")
	r.take(b, "two")
	s := r.snapshot("one")
	object := r.spoil(s, r.recipe(s, "Index.db").refs[0].ID)
	for _, role := range []roles.Role{roles.RoleReader, roles.RoleKeeper} {
		if rep := r.verify(r.keyed(role), CheckOptions{ReadData: true, Backup: "two"}); !rep.OK() {
			t.Errorf("%s: %+v", role, rep.Damage)
		}
		rep := r.verify(r.keyed(role), CheckOptions{ReadData: true, Backup: "one"})
		if rep.OK() || len(rep.Damage) != 1 || rep.Damage[0].Object != object || rep.Damage[0].HitsTotal == 0 {
			t.Errorf("%s: %+v", role, rep.Damage)
		}
	}
}

func TestABackupIsNamedExactlyAndItsNodeToo(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	r.take(a, "one")
	r.take(b, "one")
	for _, opt := range []CheckOptions{{Backup: "on"}, {Backup: "one1"}, {Backup: "one", Node: "node-c"}} {
		opt.Now = time.Now
		if _, err := Verify(t.Context(), r.seen, opt); !errors.Is(err, ErrNotFound) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
	if rep := r.verify(r.seen, CheckOptions{Backup: "one"}); rep.Backups != 2 || rep.Host != "" {
		t.Errorf("%+v", rep)
	}
	if rep := r.verify(r.seen, CheckOptions{Backup: "one", Node: "node-b", ReadData: true}); rep.Backups != 1 || rep.Host != hostB {
		t.Errorf("%+v", rep)
	}
}
