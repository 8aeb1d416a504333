package restore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/snapshot"
)

// described is a snapshot of which only the description is needed.
func described() *snapshot.Snapshot {
	s := &snapshot.Snapshot{Entry: snapshot.Entry{Catalogue: snapshot.Catalogue{Backup: "monday", Node: "node-a", HostID: hostID,
		Files: 7, BytesSource: 3 << 20}}}
	s.Node.Tables = make([]snapshot.Table, 3)
	return s
}

func TestThePlanReadsLikeThis(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	for _, c := range []struct {
		up   bool
		want string
	}{
		{true, `Restore monday of node node-a (aaaaaaaa-0000-4000-8000-000000000001) in place: 3 tables, 7 files, 3.0 MiB
  1. fetch beside the data directories while Cassandra runs, and compare every file with its hash, read back from disk
  2. stop Cassandra
  3. move the content of /d/data to /d/cbk-before-20260501T120000Z/data
  3. move the content of /d/commitlog to /d/cbk-before-20260501T120000Z/commitlog
  3. move the content of /d/hints to /d/cbk-before-20260501T120000Z/hints
  3. move the content of /d/saved_caches to /d/cbk-before-20260501T120000Z/saved_caches
  4. move the restored files in, start Cassandra, wait until CQL answers, query every restored table
`},
		{false, `Restore monday of node node-a (aaaaaaaa-0000-4000-8000-000000000001) in place: 3 tables, 7 files, 3.0 MiB
  !  Cassandra does not answer here: that this is the node above is taken on trust
  1. fetch beside the data directories while Cassandra runs, and compare every file with its hash, read back from disk
  2. stop Cassandra
  3. move the content of /d/data to /d/cbk-before-20260501T120000Z/data
  3. move the content of /d/commitlog to /d/cbk-before-20260501T120000Z/commitlog
  3. move the content of /d/hints to /d/cbk-before-20260501T120000Z/hints
  3. move the content of /d/saved_caches to /d/cbk-before-20260501T120000Z/saved_caches
  4. move the restored files in, start Cassandra, wait until CQL answers, query every restored table
`},
	} {
		h.up = c.up
		plan, err := PlanInPlace(t.Context(), described(), h, started)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		plan.Print(&out)
		if diff := cmp.Diff(c.want, strings.ReplaceAll(out.String(), h.dir, "/d")); diff != "" {
			t.Errorf("up %v (-want +got):\n%s", c.up, diff)
		}
		if plan.Running != c.up {
			t.Errorf("running %v, up %v", plan.Running, c.up)
		}
	}
	h.mustBeUntouched(t)
}

func TestThePlanPlacesEveryDirectoryBesideItself(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	second := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(second, 0o755); err != nil {
		t.Fatal(err)
	}
	h.layout.DataDirs = append(h.layout.DataDirs, second)
	h.layout.Hints, h.layout.SavedCaches = "", ""
	plan, err := PlanInPlace(t.Context(), described(), h, started)
	if err != nil {
		t.Fatal(err)
	}
	up := filepath.Dir(second)
	want := []Move{
		{h.dir + "/data", h.dir + "/cbk-restore-" + planID + "/data", h.dir + "/cbk-before-" + planID + "/data"},
		{second, up + "/cbk-restore-" + planID + "/data", up + "/cbk-before-" + planID + "/data"},
		{h.dir + "/commitlog", "", h.dir + "/cbk-before-" + planID + "/commitlog"},
	}
	if diff := cmp.Diff(want, plan.Moves); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPlansThatWouldDoHarmAreNotMade(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(s *snapshot.Snapshot, h *fakeHost)
		refused bool
		says    string
	}{
		{"the host is another node", func(_ *snapshot.Snapshot, h *fakeHost) { h.id = "bbbbbbbb-0000-4000-8000-000000000002" }, true,
			"refused: this node is bbbbbbbb-0000-4000-8000-000000000002 (node-x), the backup is of " + hostID + " (node-a)"},
		{"the host does not say who it is", func(_ *snapshot.Snapshot, h *fakeHost) { h.fails("identity") }, false, "injected failure"},
		{"a data directory is missing", func(_ *snapshot.Snapshot, h *fakeHost) {
			h.layout.DataDirs = append(h.layout.DataDirs, filepath.Join(h.dir, "absent"))
		}, false, "absent: no such file or directory"},
		{"the bytes do not fit", func(s *snapshot.Snapshot, _ *fakeHost) { s.BytesSource = 1 << 60 }, false, "1.0 EiB are needed: make room"},
		{"the commit log may be anywhere", func(_ *snapshot.Snapshot, h *fakeHost) { h.layout.CommitLog = "" }, true, "no commitlog_directory"},
		{"the commit log cannot be looked at", func(_ *snapshot.Snapshot, h *fakeHost) {
			h.layout.CommitLog = filepath.Join(h.dir, "hints/x.hints/commitlog")
		}, false, "not a directory"},
		{"the commit log lies in a data directory", func(_ *snapshot.Snapshot, h *fakeHost) {
			h.layout.CommitLog = filepath.Join(h.dir, "data/shop")
		}, true, "data/shop lie in one another"},
		{"a data directory lies in another", func(_ *snapshot.Snapshot, h *fakeHost) {
			h.layout.DataDirs = append([]string{filepath.Join(h.dir, "data/shop")}, h.layout.DataDirs...)
		}, true, "lie in one another"},
		{"the caches are a data directory", func(_ *snapshot.Snapshot, h *fakeHost) { h.layout.SavedCaches = h.layout.DataDirs[0] }, true, "lie in one another"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, h := described(), newHost(t)
			c.change(s, h)
			_, err := PlanInPlace(t.Context(), s, h, started)
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.As(err, new(*RefusedError)) != c.refused {
				t.Errorf("got %v, want %q", err, c.says)
			}
			h.mustBeUntouched(t)
		})
	}
}

func TestADirectoryThatIsNotThereNeedsNoMove(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	if err := os.RemoveAll(h.layout.CommitLog); err != nil {
		t.Fatal(err)
	}
	plan, err := PlanInPlace(t.Context(), described(), h, started)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range plan.Moves {
		if m.Live == h.layout.CommitLog {
			t.Errorf("%+v", m)
		}
	}
}

func TestDirectoriesInOneAnotherAreToldFromNeighbours(t *testing.T) {
	for _, c := range []struct {
		dir, parent string
		want        bool
	}{
		{"/a/b", "/a", true}, {"/a", "/a", true}, {"/a/b/c", "/a", true}, {"/a", "/a/b", false}, {"/ab", "/a", false}, {"/a", "/", true},
		{"/a/..b", "/a", true}, {"/b", "/a", false},
	} {
		if got := within(c.dir, c.parent); got != c.want {
			t.Errorf("%s within %s: %v", c.dir, c.parent, got)
		}
	}
}

// apart returns a directory that lies on another file system than the path it is reached by, as a mount point does: a
// link to a directory in memory needs no right to mount.
func apart(t *testing.T) (dir, real string) {
	t.Helper()
	real, err := os.MkdirTemp("/dev/shm", "cbk-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(real) })
	dir = filepath.Join(t.TempDir(), "data")
	if err := os.Symlink(real, dir); err != nil {
		t.Fatal(err)
	}
	if stat(t, dir).Dev == stat(t, filepath.Dir(dir)).Dev {
		t.Fatalf("%s and %s are one file system: set TMPDIR to a directory on disk", real, filepath.Dir(dir))
	}
	return dir, real
}

func TestInsideAMountPointEverythingStaysInside(t *testing.T) {
	dir, real := apart(t)
	m, err := planMove(dir, "1", true)
	if diff := cmp.Diff(Move{dir, dir + "/cbk-restore-1/data", dir + "/cbk-before-1/data"}, m); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	write(t, filepath.Join(real, "shop/customers-0/nb-1-big-Data.db"), "old")
	write(t, filepath.Join(real, "lost+found/x"), "old too")
	h := newHost(t)
	h.id = hostID
	r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
	if m, err = planMove(dir, planID, true); err != nil {
		t.Fatal(err)
	}
	r.Plan.Moves[0] = m
	before := stat(t, dir)
	out, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	aside := "cbk-before-" + planID + "/data"
	if out.Before[0] != filepath.Join(dir, aside) {
		t.Errorf("the old files are in %v", out.Before)
	}
	want := merged(backedUp(), files{aside + "/shop/customers-0/nb-1-big-Data.db": "old", aside + "/lost+found/x": "old too"})
	mustBe(t, real, want)
	if after := stat(t, dir); after.Ino != before.Ino || after.Dev != before.Dev {
		t.Error("the directory became another")
	}
	// A second restore leaves the old files of the first where they are.
	again := *r
	plan := *r.Plan
	plan.ID = "later"
	plan.Moves = nil
	if m, err = planMove(dir, "later", true); err != nil {
		t.Fatal(err)
	}
	plan.Moves = append(plan.Moves, m)
	again.Plan = &plan
	if _, err := again.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBe(t, real, merged(want, moved(backedUp(), "cbk-before-later/data")))
}

func TestMountsAreToldApart(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	a, errA := mountOf(one)
	b, errB := mountOf(two)
	if a != b || errA != nil || errB != nil {
		t.Errorf("neighbours: %+v and %+v, %v, %v", a, b, errA, errB)
	}
	dir, _ := apart(t)
	if c, err := mountOf(dir); err != nil || c == a {
		t.Errorf("another file system: %+v, %v", c, err)
	}
	if _, err := mountOf(filepath.Join(one, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestEveryDataDirectoryNeedsItsShareOfRoom(t *testing.T) {
	dir := t.TempDir()
	p := &Plan{Bytes: 1, Moves: []Move{{Live: dir}, {Live: dir}, {Live: filepath.Join(dir, "not looked at")}}}
	if err := p.checkSpace(2); err != nil {
		t.Error(err)
	}
	p.Bytes = 1 << 59
	if err := p.checkSpace(2); err == nil || !strings.Contains(err.Error(), dir+" has ") || !strings.Contains(err.Error(), "256 PiB are needed") {
		t.Errorf("got %v", err)
	}
	if err := p.checkSpace(3); err == nil {
		t.Error("a directory that is not there has room")
	}
}
