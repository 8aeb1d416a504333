package repo_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
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
	var mu sync.Mutex
	err := r.Heads(t.Context(), func(d *repo.DamageError) { damaged = append(damaged, d.Object) }, func(h *repo.Head) error {
		mu.Lock()
		defer mu.Unlock()
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
	for what, bad := range map[string][]byte{"nothing": {}, "a flipped byte": flip(known, len(known)-9), "cut": known[:len(known)-1], "torn": known[:len(known)/2],
		"more": append(known[:len(known):len(known)], 0), "no heads": known[:sha256.Size]} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Log(what)
		mustList(3, "mon", "thu", "wed")
	}
}

func TestACacheOfAnotherFormOrRepositoryIsNotBelieved(t *testing.T) {
	r, st := newRepo(t)
	for _, name := range []string{"mon", "tue"} {
		backup(t, r, "node-1", name, noise(1, 1000))
	}
	state := t.TempDir()
	heads(t, st, state)
	file := filepath.Join(state, "cache", r.ID(), "heads")
	known, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	change := func(part string, at int) func([]byte) {
		return func(b []byte) { b[bytes.Index(b, []byte(part))+at] ^= 0x80 }
	}
	for what, c := range map[string]struct {
		make func([]byte)
		gets int64
	}{
		"as it was":             {func([]byte) {}, 0},
		"of another version":    {change("cbkh", 4), 2},
		"of another repository": {change(r.ID(), 0), 2},
		"of another node":       {change("node-1", 0), 2},
	} {
		bad := bytes.Clone(known)
		c.make(bad)
		sum := sha256.Sum256(bad[sha256.Size:])
		if err := os.WriteFile(file, append(sum[:], bad[sha256.Size:]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if names, damaged, gets := heads(t, st, state); !slices.Equal(names, []string{"mon", "tue"}) || len(damaged) > 0 || gets != c.gets {
			t.Errorf("%s: listed %v, damaged %v, %d requests instead of %d", what, names, damaged, gets, c.gets)
		}
	}
}

func TestTheStoreAloneSaysWhatIsThere(t *testing.T) {
	r, st := newRepo(t)
	state := t.TempDir()
	mustList := func(wantGets int64, want ...string) {
		t.Helper()
		names, damaged, gets := heads(t, st, state)
		if diff := cmp.Diff(want, names); diff != "" || len(damaged) > 0 || gets != wantGets {
			t.Errorf("%d requests instead of %d, damaged %v, listed (-want +got):\n%s", gets, wantGets, damaged, diff)
		}
	}
	backup(t, r, "node-1", "mon", noise(1, 1000))
	before := make(map[string][]byte)
	for _, name := range objects(t, st, "snapshots/") {
		before[name] = must(t)(st.Get(t.Context(), name, 1<<20))
	}
	backup(t, r, "node-1", "tue", noise(2, 1000))
	backup(t, r, "node-2", "wed", noise(3, 1000))
	mustList(3, "mon", "tue", "wed")

	// A bucket is put back to what it was: what came later is gone, and what stands there again is another object.
	for _, name := range objects(t, st, "snapshots/") {
		if err := st.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range before {
		if err := st.Create(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
	mustList(1, "mon")
	mustList(0, "mon")

	// An abort record in the place of a root that was read ends it at once.
	mon := rootName(t, r, "mon")
	replace(t, st, mon, must(t)(r.Forge("node-1", pack.ClassAbort, mon, []byte("dead"))))
	mustList(1)
	mustList(0)
}

// inDirectory makes a repository in a directory.
func inDirectory(t testing.TB) (dir string, st store.Store) {
	t.Helper()
	dir = t.TempDir()
	st, err := store.Open(t.Context(), dir, store.Options{})
	if err == nil {
		err = repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte(passphrase), cheap))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, st
}

func TestAListingOfManyRootsIsWholeOrAnError(t *testing.T) {
	dir, st := inDirectory(t)
	const nodes, each = 5, 170 // more than a batch, the last of which is smaller
	manyRoots(t, openRepo(t, st, ""), dir, nodes, each)
	state := t.TempDir()
	cold, damaged, gets := heads(t, st, state)
	if len(cold) != nodes*each || len(damaged) > 0 || gets != nodes*each {
		t.Fatalf("%d heads, damaged %v, %d requests", len(cold), damaged, gets)
	}
	warm, damaged, gets := heads(t, st, state)
	if diff := cmp.Diff(cold, warm); diff != "" || len(damaged) > 0 || gets != 0 {
		t.Errorf("damaged %v, %d requests (-cold +warm):\n%s", damaged, gets, diff)
	}
	for _, dir := range []string{"", state} {
		var calls atomic.Int64
		stop := errors.New("enough")
		err := openRepo(t, st, dir).Heads(t.Context(), func(*repo.DamageError) {}, func(*repo.Head) error {
			if calls.Add(1) > 300 {
				return stop
			}
			return nil
		})
		if err != stop {
			t.Errorf("a listing that is ended by its caller ends with %v", err)
		}
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
		var mu sync.Mutex
		if err := r.Heads(t.Context(), func(*repo.DamageError) {}, func(h *repo.Head) error {
			mu.Lock()
			defer mu.Unlock()
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

// BenchmarkList runs cbk list over the backups of 180 nodes, 400 each, in a directory: first with nothing kept on this
// machine, then with what the first listing kept. Beside the seconds stand those of the processors and the memory.
func BenchmarkList(b *testing.B) {
	dir, st := inDirectory(b)
	manyRoots(b, openRepo(b, st, ""), dir, 180, 400)
	program := filepath.Join(b.TempDir(), "cbk")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "cbk/cmd/cbk").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	for b.Loop() {
		state := b.TempDir()
		for _, how := range []string{"cold", "warm"} {
			mustListAll(b, exec.CommandContext(b.Context(), program, "list", "--repo", dir, "--state-dir", state, "--json"), how)
		}
	}
}

// mustListAll runs a listing and reports what it took.
func mustListAll(b *testing.B, cmd *exec.Cmd, how string) {
	b.Helper()
	cmd.Env = append(os.Environ(), "CBK_PASSPHRASE="+passphrase)
	start := time.Now()
	out, err := cmd.Output()
	took := time.Since(start)
	var list struct {
		Backups []struct {
			Complete bool
			Nodes    int `json:"nodes_done"`
		}
	}
	if err = errors.Join(err, json.Unmarshal(out, &list)); err != nil || len(list.Backups) != 400 || list.Backups[7].Nodes != 180 || !list.Backups[7].Complete {
		b.Fatalf("%d backups, %v", len(list.Backups), err)
	}
	used := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	b.ReportMetric(took.Seconds(), how+"-s")
	b.ReportMetric((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), how+"-cpu-s")
	b.ReportMetric(float64(used.Maxrss)/1024, how+"-MiB")
}

// manyRoots puts roots into the directory of a store as backups of each of the nodes would.
func manyRoots(b testing.TB, r *repo.Repo, dir string, nodes, each int) {
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
