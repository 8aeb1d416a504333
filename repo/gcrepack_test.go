package repo_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// thinned is a repository in which each of n packs has a little more alive in it than the one before, from 3 % on; the
// names of these packs, and what the backup that needs it holds.
func thinned(t *testing.T, n int) (r *repo.Repo, st store.Store, packs []string, shared [][]byte) {
	t.Helper()
	r, st = newRepo(t)
	for i := range n {
		shared = append(shared, noise(i, 20_000*(i+1)))
		backup(t, r, "node-1", fmt.Sprint("old", i), shared[i], noise(100+i, 500_000))
		for _, name := range objects(t, st, "packs/") {
			if !slices.Contains(packs, name) {
				packs = append(packs, name)
			}
		}
	}
	if len(packs) != n {
		t.Fatalf("%d packs of %d backups", len(packs), n)
	}
	backup(t, r, "node-1", "new", shared...)
	for i := range n {
		remove(t, r, fmt.Sprint("old", i))
	}
	return r, st, packs, shared
}

func sizeOf(t *testing.T, st store.Store, name string) int64 {
	t.Helper()
	info, err := st.Stat(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size
}

func collectWith(t *testing.T, r *repo.Repo, o repo.GCOptions) *repo.GCResult {
	t.Helper()
	o.Now = time.Now
	res, err := r.GC(t.Context(), "node-1", o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestPacksWithLeastAliveAreRepackedFirstAndWithinTheBound(t *testing.T) {
	r, st, packs, shared := thinned(t, 4)
	if res := collectWith(t, r, repo.GCOptions{}); res.Condemned != 0 {
		t.Errorf("repacked without leave: %+v", res)
	}
	two := sizeOf(t, st, packs[0]) + sizeOf(t, st, packs[1])
	if res := collectWith(t, r, repo.GCOptions{MaxRepack: two - 1}); res.Repacked != 1 || res.Deleted != 1 || res.BytesRepacked > two {
		t.Errorf("with room for one: %+v", res)
	}
	left := objects(t, st, "packs/")
	if slices.Contains(left, packs[0]) || !slices.Contains(left, packs[1]) {
		t.Errorf("not the one with least alive: %v of %v", left, packs)
	}
	res := collectWith(t, r, repo.GCOptions{MaxRepack: math.MaxInt64})
	if res.Repacked != 3 || res.Deleted != 3 || res.BytesCopied < 180_000 || res.BytesCopied > 220_000 {
		t.Errorf("without a bound: %+v", res)
	}
	if again := collectWith(t, r, repo.GCOptions{MaxRepack: math.MaxInt64}); again.Condemned+again.Copied > 0 {
		t.Errorf("what was repacked is repacked again: %+v", again)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "new", shared...)
	mustBeSound(t, r)
}

// contentOf is every object of a store.
func contentOf(t *testing.T, st store.Store) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for _, name := range objects(t, st, "") {
		data, err := st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = data
	}
	return all
}

func TestADryRunCountsWhatARunDoesAndChangesNothing(t *testing.T) {
	p := lived(t)
	repacked := 0
	for name, steps := range map[string][]repo.GCOptions{
		"at once":                      {{MaxRepack: math.MaxInt64}, {MaxRepack: math.MaxInt64}},
		"nothing repacked":             {{}, {MaxRepack: math.MaxInt64}},
		"condemned first, then swept":  {{MaxRepack: math.MaxInt64, Grace: time.Hour}, {}},
		"everything is young":          {{MaxRepack: math.MaxInt64, MinAge: time.Hour}},
		"young, and a session is dead": {{MaxRepack: math.MaxInt64, Grace: time.Hour}, {MinAge: time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			st := p.copy(t)
			r := openRepo(t, st, "")
			for i, o := range steps {
				before := contentOf(t, st)
				dry := o
				dry.DryRun = true
				planned := collectWith(t, r, dry)
				if !sameContent(before, contentOf(t, st)) {
					t.Fatalf("step %d: a dry run changes the store", i)
				}
				repacked += planned.Repacked
				done := collectWith(t, r, o)
				done.Epochs = nil // a plan makes none
				if diff := cmp.Diff(planned, done); diff != "" {
					t.Errorf("step %d: planned and done differ:\n%s", i, diff)
				}
			}
			p.whole(t, r, "next")
		})
	}
	if repacked == 0 {
		t.Error("nothing was repacked")
	}
}

func TestADryRunAdoptsAndSweepsNothing(t *testing.T) {
	r, st := newRepo(t)
	orphans(t, openRepo(t, dead{st, "index/"}, ""), noise(1, 3<<20))
	s := session(t, openRepo(t, dead{st, "snapshots/"}, ""), "node-1")
	if _, err := saveAs(s, "dying", &repo.Root{Full: true}, noise(2, 300_000)); err == nil {
		t.Fatal("a full backup survives its writer")
	}
	s.Close()
	now(t, r) // ends the session
	before := contentOf(t, st)
	o := impatient()
	o.DryRun = true
	for _, dry := range []bool{true, false} {
		o.DryRun = dry
		adopted, _ := adopt(t, r, o)
		swept, err := r.SweepFull(t.Context(), o)
		if err != nil || adopted < 3 || swept.Copies != 1 || swept.Objects < 2 || swept.Bytes < 300_000 {
			t.Errorf("dry %v: %d adopted, %+v: %v", dry, adopted, swept, err)
		}
		if same := sameContent(before, contentOf(t, st)); same != dry {
			t.Errorf("dry %v: the store is as before: %v", dry, same)
		}
	}
}

func sameContent(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// A shard names no more packs than can be read, however many small ones a domain has.
func TestShardsOfVeryManySmallPacksAreRewrittenIntoReadableOnes(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 100_000)
	backup(t, r, "node-1", "b", file)
	doomed := pack.ID{1}
	all := []pack.ID{doomed}
	for part := range 6 {
		packs := []pack.Info{tiny(doomed, 0)}
		for i := range 1000 {
			id := pack.ID{2, byte(part), byte(i >> 8), byte(i)}
			all = append(all, id)
			packs = append(packs, tiny(id, part*1000+i+1))
		}
		name, data, err := r.ForgeShard("node-1", "node-1", packs...)
		if err == nil {
			err = st.Create(t.Context(), name, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// Nothing says that the small packs are needed. All but the one are too young to be condemned.
	for _, id := range all {
		if err := st.Create(t.Context(), repo.PackName(id), []byte("old or young")); err != nil {
			t.Fatal(err)
		}
	}
	k := openRepo(t, &shifted{st, func(name string) time.Duration {
		if name == repo.PackName(doomed) {
			return -2 * time.Hour
		}
		return 0
	}}, "")
	if res := collectWith(t, k, repo.GCOptions{MinAge: time.Hour}); res.Condemned != 1 || res.Deleted != 1 || res.ShardsRemoved != 6 {
		t.Errorf("%+v", res)
	}
	if n := len(objects(t, st, "index/")); n < 6 || n > 9 {
		t.Errorf("%d shards", n)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "b", file)
	if res := collectWith(t, k, repo.GCOptions{MinAge: time.Hour, DryRun: true}); res.Condemned != 0 {
		t.Errorf("%+v", res)
	}
}

// tiny is a pack of one blob, as a shard describes it.
func tiny(name pack.ID, n int) pack.Info {
	id := pack.ID{9, byte(n >> 8), byte(n)}
	return pack.Info{Name: name, Size: 200, Sessions: []pack.Session{{Sealed: []byte("k")}},
		Entries: []pack.Entry{{Type: pack.Data, ID: id, Stored: 100, Plain: 40}}}
}
