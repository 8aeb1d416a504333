package restore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/snapshot"
)

// described is a snapshot of which only the description is needed.
func described() *snapshot.Snapshot {
	s := &snapshot.Snapshot{Entry: snapshot.Entry{Catalogue: snapshot.Catalogue{Backup: "monday", Node: "node-a", HostID: hostID,
		Files: 7, BytesSource: 3 << 20}}}
	s.Node.DataDirs = 1
	s.Node.Tables = []snapshot.Table{{Keyspace: "shop", Name: "customers", ID: "1", Dir: "shop/customers-1", Cost: snapshot.Cost{Files: 4, BytesSource: 2 << 20}},
		{Keyspace: "shop", Name: "orders", ID: "2", Dir: "shop/orders-2", Cost: snapshot.Cost{Files: 3, BytesSource: 1 << 20}},
		{Keyspace: "system", Name: "local", ID: "3", Dir: "system/local-3"}}
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
  room in /d/data: about 3.0 MiB needed, FREE free
  1. fetch beside the data directories while Cassandra runs, and compare every file with its hash, read back from disk
  2. stop Cassandra
  3. move the content of /d/data to /d/cbk-before-20260501T120000Z/data
  3. move the content of /d/commitlog to /d/cbk-before-20260501T120000Z/commitlog
  3. move the content of /d/hints to /d/cbk-before-20260501T120000Z/hints
  3. move the content of /d/saved_caches to /d/cbk-before-20260501T120000Z/saved_caches
  4. move the restored files in, start Cassandra, wait until CQL answers, and verify as --verify says (by default: some partitions of each table)
`},
		{false, `Restore monday of node node-a (aaaaaaaa-0000-4000-8000-000000000001) in place: 3 tables, 7 files, 3.0 MiB
  !  Cassandra does not answer here: that this is the node above is taken on trust
  room in /d/data: about 3.0 MiB needed, FREE free
  1. fetch beside the data directories while Cassandra runs, and compare every file with its hash, read back from disk
  2. stop Cassandra
  3. move the content of /d/data to /d/cbk-before-20260501T120000Z/data
  3. move the content of /d/commitlog to /d/cbk-before-20260501T120000Z/commitlog
  3. move the content of /d/hints to /d/cbk-before-20260501T120000Z/hints
  3. move the content of /d/saved_caches to /d/cbk-before-20260501T120000Z/saved_caches
  4. move the restored files in, start Cassandra, wait until CQL answers, and verify as --verify says (by default: some partitions of each table)
`},
	} {
		h.up = c.up
		plan, err := NewPlan(t.Context(), described(), h, wholeOrder(described()))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		plan.Print(&out)
		got := strings.ReplaceAll(out.String(), h.dir, "/d")
		got = strings.Replace(got, humanize.IBytes(uint64(plan.Places.Dirs[0].Free)), "FREE", 1)
		if diff := cmp.Diff(c.want, got); diff != "" {
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
	plan, err := NewPlan(t.Context(), described(), h, wholeOrder(described()))
	if err != nil {
		t.Fatal(err)
	}
	up := filepath.Dir(second)
	want := []Move{
		{Live: h.dir + "/data", Staging: h.dir + "/cbk-restore-" + planID + "/data", Before: h.dir + "/cbk-before-" + planID + "/data",
			Undone: h.dir + "/cbk-undone-" + planID + "/data"},
		{Live: second, Staging: up + "/cbk-restore-" + planID + "/data", Before: up + "/cbk-before-" + planID + "/data",
			Undone: up + "/cbk-undone-" + planID + "/data"},
		{Live: h.dir + "/commitlog", Before: h.dir + "/cbk-before-" + planID + "/commitlog", Undone: h.dir + "/cbk-undone-" + planID + "/commitlog"},
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
		}, true, "absent is not there: make it, empty"},
		{"the bytes do not fit", func(s *snapshot.Snapshot, _ *fakeHost) { s.Node.Tables[0].BytesSource = 1 << 60 }, false, "1.0 EiB are needed: make room"},
		{"the commit log may be anywhere", func(_ *snapshot.Snapshot, h *fakeHost) { h.layout.CommitLog = "" }, true, "no commitlog_directory"},
		{"the commit log cannot be looked at", func(_ *snapshot.Snapshot, h *fakeHost) {
			h.layout.CommitLog = filepath.Join(h.dir, "a file/commitlog")
			if err := os.WriteFile(filepath.Join(h.dir, "a file"), nil, 0o600); err != nil {
				panic(err)
			}
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
			before := inodes(t, h.dir)
			_, err := NewPlan(t.Context(), s, h, wholeOrder(s))
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.As(err, new(*RefusedError)) != c.refused {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if diff := cmp.Diff(before, inodes(t, h.dir)); diff != "" {
				t.Errorf("inodes (-before +after):\n%s", diff)
			}
			os.Remove(filepath.Join(h.dir, "a file"))
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
	plan, err := NewPlan(t.Context(), described(), h, wholeOrder(described()))
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
	write(t, filepath.Join(real, "shop/customers-0/nb-1-big-Data.db"), "old")
	write(t, filepath.Join(real, "lost+found/x"), "old too")
	h := newHost(t)
	h.id, h.layout.DataDirs = hostID, []string{dir}
	snap := newRig(t).backup("monday", backedUp())
	r := inPlace(t, snap, h)
	if m := r.Plan.Moves[0]; m.Staging != dir+"/cbk-restore-"+planID+"/data" || m.Before != dir+"/cbk-before-"+planID+"/data" {
		t.Fatalf("%+v", m)
	}
	before := stat(t, dir)
	out, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	aside := "cbk-before-" + planID
	if out.Before[0] != filepath.Join(dir, aside) {
		t.Errorf("the old files are in %v", out.Before)
	}
	want := merged(backedUp(), files{aside + "/data/shop/customers-0/nb-1-big-Data.db": "old", aside + "/data/lost+found/x": "old too"})
	mustBe(t, real, want)
	if after := stat(t, dir); after.Ino != before.Ino || after.Dev != before.Dev {
		t.Error("the directory became another")
	}
	// A second restore leaves the old files of the first where they are.
	again := &placing{Options: r.Options, Snap: snap}
	if again.Plan, err = NewPlan(t.Context(), snap, h, orderAt(InPlace, snap, started.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBe(t, real, merged(want, moved(backedUp(), "cbk-before-"+again.Plan.ID+"/data")))
	// Rolled back, each is as before the other.
	if err := again.job(t).Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBe(t, real, merged(want, moved(backedUp(), "cbk-undone-"+again.Plan.ID+"/data")))
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
	for _, c := range []struct {
		name   string
		places Places
		bytes  int64
		short  int64 // bytes that the first one without room needs; 0: there is room
		share  []int64
	}{
		{"alone", Places{Dirs: []Place{{Free: 1 << 30}}, UserDirs: 1, Same: true}, 1 << 20, 0, []int64{1 << 20}},
		{"alone and full", Places{Dirs: []Place{{Free: 1 << 30}}, UserDirs: 1, Same: true}, 1 << 30, 1<<30 + freeMargin, []int64{1 << 30}},
		{"as many as there were, on one file system", Places{Dirs: []Place{{Free: 1 << 30}, {Free: 1 << 30}}, UserDirs: 2, Same: true}, 2 << 30, 1<<30 + freeMargin, []int64{1 << 30, 0}},
		{"by room where there are others", Places{Dirs: []Place{{Free: 3 << 30}, {Free: 9 << 30}}, UserDirs: 2}, 1 << 20, 0, []int64{1 << 18, 3 << 18}},
		{"none in a directory for Cassandra's own", Places{Dirs: []Place{{Free: 1 << 30}, {Free: 1 << 30}}, UserDirs: 1}, 1 << 20, 0, []int64{1 << 20, 0}},
	} {
		for i := range c.places.Dirs {
			c.places.Dirs[i].Live = dir
		}
		err := c.places.demand(c.bytes)
		var full *SpaceError
		if errors.As(err, &full) != (c.short > 0) || full != nil && (full.Need != c.short || full.Dir != dir) {
			t.Errorf("%s: %v, want %d bytes", c.name, err, c.short)
		}
		for i, want := range c.share {
			if got := c.places.Dirs[i].Need; got != want {
				t.Errorf("%s: directory %d needs %d, want %d", c.name, i, got, want)
			}
		}
	}
	gone := Places{Dirs: []Place{{Live: filepath.Join(dir, "absent"), Free: 1 << 40}}, UserDirs: 1}
	if err := gone.demand(1); err == nil {
		t.Error("a directory that is not there has room")
	}
}

// Where an SSTable goes follows from the plan, whoever asks and in whatever order.
func TestSSTablesGoWhereCassandraLooksForThem(t *testing.T) {
	table := func(keyspace, name string) *snapshot.Table {
		return &snapshot.Table{Keyspace: keyspace, Name: name, Dir: keyspace + "/" + name + "-1"}
	}
	user, local, paxos := table("shop", "orders"), table("system", "local"), table("system", "paxos")
	dirs := []Place{{Free: 1 << 40}, {Free: 1 << 40}, {Free: 1 << 10}}
	for _, c := range []struct {
		name   string
		places Places
		table  *snapshot.Table
		from   int
		want   int
	}{
		{"as it was", Places{Dirs: dirs, UserDirs: 3, SystemDir: -1, Same: true}, user, 2, 2},
		{"as it was, also Cassandra's own", Places{Dirs: dirs, UserDirs: 3, SystemDir: -1, Same: true}, local, 1, 1},
		{"Cassandra's own where it wants it", Places{Dirs: dirs, UserDirs: 2, SystemDir: 2, Same: true}, local, 0, 2},
		{"but not what grows", Places{Dirs: dirs, UserDirs: 2, SystemDir: 2, Same: true}, paxos, 1, 1},
		{"Cassandra's own, from more directories", Places{Dirs: dirs[:1], UserDirs: 1, SystemDir: -1}, local, 2, 0},
		{"a user's never where only Cassandra's own is found", Places{Dirs: dirs[:2], UserDirs: 1, SystemDir: 1, Same: true}, user, 1, 0},
	} {
		if got := c.places.of(c.table, &snapshot.SSTable{DataDir: c.from, Prefix: "nb-1-big-"}); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	p, got := Places{Dirs: []Place{{Free: 1 << 40}, {Free: 3 << 40}}, UserDirs: 2, SystemDir: -1}, [2]int{}
	for i := range 4000 {
		got[p.of(user, &snapshot.SSTable{Prefix: fmt.Sprintf("nb-%d-big-", i)})]++
	}
	if got[0] < 800 || got[0] > 1200 {
		t.Errorf("one to three of room gave %v", got)
	}
}

func TestAnOrderTakesWhatItNames(t *testing.T) {
	whole, clone := Order{Way: InPlace}, Order{Way: Clone, FirstStart: &node.FirstStart{}}
	keeping, some := clone, Order{Way: InPlace, Selection: snapshot.Selection{Keyspaces: []string{"shop"}, Exclude: []string{"shop.logs"}}}
	keeping.KeepAuth = true
	for _, c := range []struct {
		keyspace, table             string
		whole, clone, keeping, some bool
	}{
		{"shop", "orders", true, true, true, true},
		{"shop", "logs", true, true, true, false},
		{"system", "local", true, false, false, false},
		{"system", "peers_v2", true, false, false, false},
		{"system", "IndexInfo", true, true, true, false},
		{"system", "built_views", true, true, true, false},
		{"system_schema", "tables", true, true, true, false},
		{"system_auth", "roles", true, true, false, false},
		{"system_traces", "events", true, false, false, false},
		{"system_distributed", "view_build_status", true, true, true, false},
		{"system_distributed", "repair_history", true, false, false, false},
		{"system_cluster_metadata", "distributed_metadata_log", true, false, false, false},
		{"systematics", "peers_x", true, true, true, false},
	} {
		got := []bool{whole.Takes(c.keyspace, c.table), clone.Takes(c.keyspace, c.table), keeping.Takes(c.keyspace, c.table), some.Takes(c.keyspace, c.table)}
		if diff := cmp.Diff([]bool{c.whole, c.clone, c.keeping, c.some}, got); diff != "" {
			t.Errorf("%s.%s (whole, clone, keeping, some; -want +got):\n%s", c.keyspace, c.table, diff)
		}
	}
}

func TestOrdersThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []struct {
		order   Order
		says    string
		refused bool
	}{
		{Order{Way: "sideways"}, `way "sideways"`, false},
		{Order{Way: Clone}, "with the tokens it takes over", false},
		{Order{Way: Clone, FirstStart: &node.FirstStart{}, Selection: snapshot.Selection{Keyspaces: []string{"shop"}}}, "of a whole node", false},
		{Order{Way: InPlace, Selection: snapshot.Selection{Keyspaces: []string{"system_auth"}}}, "system_auth is Cassandra's own", true},
		{Order{Way: InPlace, Selection: snapshot.Selection{Tables: []string{"system.local"}}}, "system.local is Cassandra's own", true},
		{Order{Way: InPlace, Selection: snapshot.Selection{Tables: []string{"orders"}}}, "KEYSPACE.TABLE", false},
	} {
		err := c.order.check()
		if err == nil || !strings.Contains(err.Error(), c.says) || errors.As(err, new(*RefusedError)) != c.refused {
			t.Errorf("%+v: %v, want %q", c.order, err, c.says)
		}
	}
}
