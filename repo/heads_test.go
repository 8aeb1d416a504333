package repo_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

// heads returns the catalogues of a listing, the objects that are damaged, and the GETs that it took.
func heads(t testing.TB, st store.Store, stateDir string) (names, damaged []string, gets int64) {
	t.Helper()
	counted, counts := store.Counting(st)
	r := openRepo(t, counted, stateDir)
	before := counts.Gets.Load()
	err := r.Heads(t.Context(), func(d *repo.DamageError) { damaged = append(damaged, d.Object) }, func(h *repo.Head) error {
		if h.Object != h.At.Name() || h.Size == 0 || h.Stored.IsZero() || h.Refs != nil || h.Author != r.Key().KeyID() {
			t.Errorf("head of %s: %+v", h.Object, h)
		}
		names = append(names, string(h.Catalogue))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names, damaged, counts.Gets.Load() - before
}

func TestAListingReadsEachHeadOnce(t *testing.T) {
	r, st := newRepo(t)
	for _, name := range []string{"mon", "tue", "wed"} {
		backup(t, r, "node-1", name, noise(1, 1000))
	}
	state := t.TempDir()
	mustList := func(wantGets int64, want ...string) {
		t.Helper()
		names, damaged, gets := heads(t, st, state)
		if diff := cmp.Diff(want, names); diff != "" || len(damaged) > 0 || gets != wantGets {
			t.Errorf("%d requests instead of %d, damaged %v, listed (-want +got):\n%s", gets, wantGets, damaged, diff)
		}
	}
	mustList(3, "mon", "tue", "wed")
	mustList(0, "mon", "tue", "wed")
	backup(t, r, "node-2", "thu", noise(2, 1000))
	mustList(1, "mon", "thu", "tue", "wed")
	if err := r.Delete(t.Context(), rootName(t, r, "tue"), nil); err != nil {
		t.Fatal(err)
	}
	mustList(0, "mon", "thu", "wed")

	// What was read says nothing of another object under the name.
	at := rootName(t, r, "mon")
	data, err := st.Get(t.Context(), at, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, st, at, flip(data, 20))
	for range 2 {
		if names, damaged, _ := heads(t, st, state); !slices.Equal(names, []string{"thu", "wed"}) || !slices.Equal(damaged, []string{at}) {
			t.Errorf("listed %v, damaged %v", names, damaged)
		}
	}
	replace(t, st, at, data)
	mustList(1, "mon", "thu", "wed")

	// The cache may be anything, or nothing.
	file := filepath.Join(state, "cache", r.ID(), "heads")
	known, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{"nothing": {}, "a flipped byte": flip(known, len(known)-9), "cut": known[:len(known)-1], "more": append(known[:len(known):len(known)], 0)} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Log(what)
		mustList(3, "mon", "thu", "wed")
	}
}

func TestAListingWithoutAPlaceForItsCacheIsAsGood(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "mon", noise(1, 1000))
	state := t.TempDir()
	openRepo(t, st, state)
	if err := os.RemoveAll(filepath.Join(state, "cache")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "cache"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{state, "", state} {
		if names, _, _ := heads(t, st, dir); !slices.Equal(names, []string{"mon"}) {
			t.Errorf("listed %v", names)
		}
	}
}

func TestARevocationCountsForHeadsReadBefore(t *testing.T) {
	owner, st := newRepo(t)
	u, id := export(t, owner, roles.RoleWriter, "node-1")
	backup(t, openWith(t, st, u, ""), "node-1", "stolen", noise(1, 1000))
	state, at := t.TempDir(), rootName(t, owner, "stolen")
	count := func() (n int) {
		r := openRepo(t, st, state)
		if err := r.Heads(t.Context(), func(*repo.DamageError) {}, func(h *repo.Head) error {
			if h.Object == at {
				n++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 1 {
		t.Fatalf("the root of a key that stands is listed %d times", n)
	}
	if err := owner.Revoke(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n := count(); n != 0 {
			t.Errorf("the root of a revoked key is listed %d times", n)
		}
	}
}

func TestAnAbortedAttemptIsReadOnceAndNotListed(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "mon", noise(1, 1000))
	at := rootName(t, r, "tue")
	replace(t, st, at, must(t)(r.Forge("node-1", pack.ClassAbort, at, []byte("dead"))))
	state := t.TempDir()
	for _, want := range []int64{2, 0} {
		if names, damaged, gets := heads(t, st, state); !slices.Equal(names, []string{"mon"}) || len(damaged) > 0 || gets != want {
			t.Errorf("listed %v, damaged %v, %d requests instead of %d", names, damaged, gets, want)
		}
	}
}

// BenchmarkList lists the backups of 180 nodes, 400 each, in a directory: first with nothing kept on this machine, then
// with what the first listing kept.
func BenchmarkList(b *testing.B) {
	dir := b.TempDir()
	st, err := store.Open(b.Context(), dir, store.Options{})
	if err == nil {
		err = repo.Init(b.Context(), st, smallSettings(), roles.Passphrase([]byte(passphrase), cheap))
	}
	if err != nil {
		b.Fatal(err)
	}
	manyRoots(b, openRepo(b, st, ""), dir, 180, 400)
	for b.Loop() {
		state := b.TempDir()
		for _, how := range []string{"cold", "warm"} {
			start := time.Now()
			all, err := snapshot.List(b.Context(), openRepo(b, st, state), func(d *repo.DamageError) { b.Error(d) })
			if err != nil || len(all) != 400 || !all[7].Complete() || len(all[7].Nodes) != 180 {
				b.Fatalf("%d backups, %v", len(all), err)
			}
			b.ReportMetric(time.Since(start).Seconds(), how+"-s")
		}
	}
}

// manyRoots puts roots into the directory of a store as backups of each of the nodes would.
func manyRoots(b *testing.B, r *repo.Repo, dir string, nodes, each int) {
	b.Helper()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var hosts []string
	for n := range nodes {
		hosts = append(hosts, fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n))
	}
	members := snapshot.Members{Normal: nodes, HostIDs: snapshot.HostsDigest(hosts), Topology: "1"}
	g := errgroup.Group{}
	g.SetLimit(4)
	for n, host := range hosts {
		g.Go(func() error {
			var link repo.Link
			for i := range each {
				at := began.Add(time.Duration(i) * 24 * time.Hour)
				cat, err := json.Marshal(snapshot.Catalogue{Kind: snapshot.KindSSTables, Backup: snapshot.DefaultName(at), Cluster: "shop", HostID: host, Node: fmt.Sprint("10.0.0.", n),
					Mode: snapshot.ModeDifferential, Started: at, Finished: at.Add(time.Minute), Tables: 500, SSTables: 10_000, Files: 80_000, Unchanged: 79_000,
					BytesSource: 1 << 40, BytesNew: 1 << 30, BytesStored: 1 << 29, Members: members})
				if err != nil {
					return err
				}
				name, err := r.RootName(host, snapshot.DefaultName(at))
				if err != nil {
					return err
				}
				link = repo.Link{Author: r.Key().KeyID(), Sequence: link.Sequence + 1}
				data, err := r.ForgeRoot(host, name, &repo.Root{Catalogue: cat, Link: link, Descriptions: make([]pack.ID, 1)})
				if err != nil {
					return err
				}
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}
