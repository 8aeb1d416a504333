package restore

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/cassandra/schema"
	"cbk/snapshot"
)

// orders is the directory of a table that was dropped and made again since the backup.
const orders = "shop/orders-ffffffffffffffffffffffffffffffff"

// liveFiles are what a node holds whose table orders is restored.
func liveFiles() files {
	return files{
		"data/" + orders + "/nb-9-big-Data.db":                        "a later order",
		"data/" + orders + "/.by_day/nb-9-big-Data.db":                "its index",
		"data/" + orders + "/snapshots/mine/nb-8-big-Data.db":         "an operator's",
		"data/" + orders + "/backups/nb-8-big-Data.db":                "an operator's too",
		"data/" + tableDir("shop", "orders") + "/nb-1-big-Data.db":    "left over when it was dropped",
		"data/" + tableDir("shop", "customers") + "/nb-2-big-Data.db": "a later customer",
		"data/system_auth/roles-1/nb-1-big-Data.db":                   "roles",
		"commitlog/CommitLog-7-1.log":                                 "flushed", "hints/x.hints": "a hint", "saved_caches/k.db": "a cache", "cdc_raw/x": "changes",
	}
}

func liveHost(t *testing.T) *fakeHost {
	t.Helper()
	dir := t.TempDir()
	for name, content := range liveFiles() {
		write(t, filepath.Join(dir, name), content)
	}
	return &fakeHost{dir: dir, id: hostID, up: true, on: make(map[string]func() error), rows: schemaRows(), tables: []node.Table{
		{Keyspace: "shop", Name: "orders", ID: strings.Repeat("f", 32)}, {Keyspace: "shop", Name: "customers", ID: strings.Repeat("0", 31) + "9"}},
		layout: node.Layout{DataDirs: []string{filepath.Join(dir, "data")}, UserDirs: 1, CommitLog: filepath.Join(dir, "commitlog"),
			Hints: filepath.Join(dir, "hints"), SavedCaches: filepath.Join(dir, "saved_caches"), CDCRaw: filepath.Join(dir, "cdc_raw"), StorageMode: "NONE"}}
}

// schemaRows are what the node's schema says of two tables of one column each.
func schemaRows() (s schema.System) {
	for _, name := range []string{"customers", "orders"} {
		s.Tables = append(s.Tables, schema.Row{"keyspace_name": "shop", "table_name": name, "flags": []string{"compound"}, "gc_grace_seconds": int64(864000)})
		s.Columns = append(s.Columns, schema.Row{"keyspace_name": "shop", "table_name": name, "column_name": "id", "kind": "partition_key", "position": int64(0),
			"clustering_order": "none", "type": "int"})
	}
	s.Keyspaces = []schema.Row{{"keyspace_name": "shop", "replication": map[string]string{"class": "SimpleStrategy", "replication_factor": "1"}}}
	return s
}

func planTables(t *testing.T, s *snapshot.Snapshot, h *fakeHost, tables ...string) (*placing, error) {
	t.Helper()
	p, err := NewPlan(t.Context(), s, h, orderAt(InPlace, s, started, tables...))
	return &placing{Options{Host: h, StateDir: filepath.Join(h.dir, "state"), Log: silentLog, Progress: silent{}}, s, p}, err
}

// Chosen tables come back under the ids they have on the node, and nothing else of it is touched but the commit log, which
// was flushed, and the caches.
func TestChosenTablesComeBackAndNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	h := liveHost(t)
	r, err := planTables(t, newRig(t).backup("monday", backedUp()), h, "shop.orders")
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.Run(t.Context())
	if err != nil || out.Files != 2 || len(out.Verified.Tables) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	want := files{}
	for name, content := range liveFiles() {
		switch {
		case strings.HasPrefix(name, "data/"+orders+"/") && !strings.Contains(name, "/snapshots/") && !strings.Contains(name, "/backups/"),
			strings.HasPrefix(name, "commitlog/"), strings.HasPrefix(name, "saved_caches/"):
			want["cbk-before-"+planID+"/"+name] = content
		default:
			want[name] = content
		}
	}
	want["data/"+orders+"/oa-2-big-Data.db"], want["data/"+orders+"/oa-2-big-CRC.db"] = noise(4, 1000), ""
	got := tree(t, h.dir)
	for name := range got {
		if strings.HasPrefix(name, "state/") {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(brief(want), brief(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"identity", "schema", "rows", "drain", "stop", "start", "wait", "identity", "query shop.orders"}, h.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestChosenTablesThatCannotBePlacedAreRefused(t *testing.T) {
	s := newRig(t).backup("monday", backedUp())
	for _, c := range []struct {
		name   string
		change func(h *fakeHost)
		table  string
		is     func(error) bool
		says   string
	}{
		{"the node cannot be asked", func(h *fakeHost) { h.up = false }, "shop.orders", refused, "start it, or restore the whole node"},
		{"the table is not there", func(h *fakeHost) { h.tables = h.tables[1:] }, "shop.orders", refused, "shop.orders is not in the schema of this node"},
		{"Cassandra's own", func(*fakeHost) {}, "system.local", refused, "system.local is Cassandra's own"},
		{"the backup has none such", func(*fakeHost) {}, "shop.nothing", func(err error) bool { return errors.Is(err, snapshot.ErrNoTable) }, "what is selected, in backup monday"},
		{"the schema cannot be read", func(h *fakeHost) { h.fails("schema") }, "shop.orders", func(err error) bool { return errors.Is(err, errInjected) }, "injected"},
	} {
		h := liveHost(t)
		c.change(h)
		before := inodes(t, h.dir)
		_, err := planTables(t, s, h, c.table)
		if err == nil || !c.is(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
		if diff := cmp.Diff(before, inodes(t, h.dir)); diff != "" {
			t.Errorf("%s: the node is touched (-before +after):\n%s", c.name, diff)
		}
	}
}

// indexed has the schema say that orders has an index, of which the backup has no files.
func (h *fakeHost) indexed() {
	h.rows.Indexes = []schema.Row{{"keyspace_name": "shop", "table_name": "orders", "index_name": "by_id", "kind": "COMPOSITES", "options": map[string]string{"target": "id"}}}
}

// A node believes that an index which it had is whole.
func TestAnIndexWithoutFilesIsBuiltAnew(t *testing.T) {
	t.Parallel()
	h := liveHost(t)
	h.indexed()
	r, err := planTables(t, newRig(t).backup("monday", backedUp()), h, "shop.orders")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	r.Plan.Print(&text)
	if !strings.HasSuffix(text.String(), "\n  5. build anew on shop.orders: index by_id\n") {
		t.Errorf("plan:\n%s", &text)
	}
	const rebuild = "rebuild shop.orders [by_id]"
	h.fails(rebuild)
	if _, err := r.Run(t.Context()); !errors.Is(err, errInjected) || r.journal(t).Phase != PhaseStart {
		t.Fatalf("%v, phase %s", err, r.journal(t).Phase)
	}
	h.on, h.calls = nil, nil
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"wait", "identity", rebuild, "query shop.orders"}, h.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func refused(err error) bool { return errors.As(err, new(*RefusedError)) }

// What the commit log holds of other tables would be lost with it, and what it holds of the restored ones replayed.
func TestWithoutADrainNoTableIsExchanged(t *testing.T) {
	t.Parallel()
	s := newRig(t).backup("monday", backedUp())
	h := liveHost(t)
	r, err := planTables(t, s, h, "shop.orders")
	if err != nil {
		t.Fatal(err)
	}
	h.fails("drain")
	if _, err := r.Run(t.Context()); !errors.Is(err, errInjected) || !strings.Contains(err.Error(), "nothing was moved") || !h.up {
		t.Fatalf("up %v, %v", h.up, err)
	}
	// Killed after the stop was asked for and before the drain: the node is down, and its commit log not known to be flushed.
	h.up = false
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "start it and go on") {
		t.Errorf("a node that went down by itself: %v", err)
	}
	h.on, h.up = nil, true
	if _, err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
	if !r.journal(t).Drained {
		t.Error("the journal does not know of the drain")
	}
}

// What was written to other tables since a restore of some is in today's commit log, which a rollback moves away.
func TestARollbackOfTablesDrainsFirst(t *testing.T) {
	t.Parallel()
	h := liveHost(t)
	r, err := planTables(t, newRig(t).backup("monday", backedUp()), h, "shop.orders")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(h.dir, "commitlog/CommitLog-7-2.log"), "written since")
	h.up, h.calls = false, nil
	if err := r.rollback(t)(); err == nil || !strings.Contains(err.Error(), "start it and go on") || len(h.calls) > 0 {
		t.Errorf("a node that went down by itself: %v, calls %v", err, h.calls)
	}
	if got := tree(t, h.dir)["commitlog/CommitLog-7-2.log"]; got != "written since" {
		t.Error("its commit log was touched")
	}
	h.up = true
	if err := r.rollback(t)(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"drain", "stop", "start", "wait"}, h.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestARestoreOfTablesKilledAtAnyStepGoesOnOrBack(t *testing.T) {
	t.Parallel()
	snap := newRig(t).backup("monday", backedUp())
	for n := 0; ; n++ {
		h := liveHost(t)
		r, err := planTables(t, snap, h, "shop.*")
		if err != nil {
			t.Fatal(err)
		}
		died := r.until(t, n, r.run(t))
		if died == "" {
			break
		}
		if n%2 == 0 {
			for m := 0; r.until(t, m, r.rollback(t)) != ""; m += 5 {
			}
			got := tree(t, h.dir)
			for name := range got {
				if dir, _, _ := strings.Cut(name, "/"); dir == "state" || dir == undoneName(planID) {
					delete(got, name)
				}
			}
			if diff := cmp.Diff(brief(liveFiles()), brief(got)); diff != "" || !h.up {
				t.Errorf("killed at %q (%d) and rolled back, up %v (-want +got):\n%s", died, n, h.up, diff)
			}
			continue
		}
		if j := r.journal(t); j != nil && j.Phase.Over() {
			continue
		}
		if _, err := r.Run(t.Context()); err != nil {
			t.Errorf("killed at %q (%d): %v", died, n, err)
		}
		if got := tree(t, filepath.Join(h.dir, "data", orders)); len(got) != 4 || got["oa-2-big-Data.db"] != noise(4, 1000) {
			t.Errorf("killed at %q (%d): %d files", died, n, len(got))
		}
	}
}

// A fetch that was interrupted keeps what is right and nothing else.
func TestAFetchGoesOnWithWhatIsRight(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
	left := r.Plan.Files - 1
	r.at = nil
	r.Progress = hooks{done: func() {
		if left--; left == 0 {
			panic(crash{"fetch"})
		}
	}}
	job, err := Begin(r.Options, r.Plan)
	if err != nil {
		t.Fatal(err)
	}
	staged := r.Plan.Places.Dirs[0].Staging
	write(t, filepath.Join(staged, tableDir("shop", "customers"), "nb-1-big-Data.db"), "torn")
	write(t, filepath.Join(staged, tableDir("shop", "orders"), "oa-2-big-Data.db"+partSuffix), "half")
	write(t, filepath.Join(staged, tableDir("system", "local"), "nb-7-big-Data.db"), noise(5, 700))
	right := stat(t, filepath.Join(staged, tableDir("system", "local"), "nb-7-big-Data.db"))
	job.Progress = silent{}
	if err := job.Fetch(t.Context(), r.Snap); err != nil {
		t.Fatal(err)
	}
	mustBe(t, staged, backedUp())
	if again := stat(t, filepath.Join(staged, tableDir("system", "local"), "nb-7-big-Data.db")); again.Ino != right.Ino {
		t.Error("what was right was fetched again")
	}
	job.Close()
	// The next process proves what this one has fetched.
	for _, spoil := range []func(name string){
		func(name string) { flipFile(t, name) },
		func(name string) { os.Remove(name) },
		func(name string) { os.WriteFile(name, []byte("short"), 0o600) },
	} {
		job, err := Find(Options{Host: h, StateDir: r.StateDir, Log: silentLog, Progress: silent{}}, planID)
		if err != nil || job == nil || job.Journal.Phase != PhaseFetched && job.Journal.Phase != PhaseStop {
			t.Fatal(job, err)
		}
		name := filepath.Join(staged, tableDir("shop", "orders"), "oa-2-big-Data.db")
		spoil(name)
		if err := job.Switch(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing was moved") || !h.up {
			t.Errorf("up %v, %v", h.up, err)
		}
		job.Close()
		write(t, name, noise(4, 1000))
	}
	job, err = Find(Options{Host: h, StateDir: r.StateDir, Log: silentLog, Progress: silent{}}, planID)
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	if err := job.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := job.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBe(t, filepath.Join(h.dir, "data"), backedUp())
}

func TestProofsThatAreNoneAreNotBelieved(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "1.sha256")
	good := strings.Repeat("ab", 32) + " 5 0 ks/t-1/nb-1-big-Data.db\n"
	write(t, name, good)
	if err := readProof(name, "0", func(proven) error { return nil }); err == nil || !strings.Contains(err.Error(), "not the one that the journal names") {
		t.Errorf("got %v", err)
	}
	for _, line := range []string{"", "x", "ab 5 0 a", strings.Repeat("ab", 32) + " x 0 a", strings.Repeat("ab", 32) + " 5 -1 a",
		strings.Repeat("ab", 32) + " 5 0 ../a", strings.Repeat("ab", 32) + " 5 0 /etc/passwd"} {
		if _, err := parseProven(line); err == nil {
			t.Errorf("%q is taken for a file", line)
		}
	}
}

func TestACloneTakesOverTokensAndLeavesTheOldNodeOut(t *testing.T) {
	t.Parallel()
	content := merged(backedUp(), files{"system_auth/roles-" + strings.Repeat("1", 32) + "/nb-1-big-Data.db": noise(6, 300),
		"system_schema/tables-" + strings.Repeat("2", 32) + "/nb-1-big-Data.db": noise(7, 300)})
	s := newRig(t).backup("monday", content)
	for _, keep := range []bool{false, true} {
		h := newHost(t)
		write(t, filepath.Join(h.dir, "data/system_auth/roles-1/nb-1-big-Data.db"), "roles of here")
		h.id, h.tokens = "bbbbbbbb-0000-4000-8000-000000000002", []string{"5", "-7"}
		o := orderAt(Clone, s, started)
		o.KeepAuth, o.FirstStart = keep, &node.FirstStart{Restore: o.ID, Tokens: []string{"-7", "5"}}
		plan, err := NewPlan(t.Context(), s, h, o)
		if err != nil {
			t.Fatal(err)
		}
		r := &placing{Options{Host: h, StateDir: filepath.Join(h.dir, "state"), Log: silentLog, Progress: silent{}}, s, plan}
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := without(content, tableDir("system", "local")+"/nb-7-big-Data.db")
		if keep {
			want = merged(without(want, "system_auth/roles-"+strings.Repeat("1", 32)+"/nb-1-big-Data.db"),
				files{"system_auth/roles-1/nb-1-big-Data.db": "roles of here"})
		}
		mustBe(t, filepath.Join(h.dir, "data"), want)
		if diff := cmp.Diff([]string{"identity", "stop", "prepare first start", "start", "wait", "identity", "end first start", "query shop.customers", "query shop.orders"}, h.calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		job := r.job(t)
		if err := job.Commit(); err != nil {
			t.Fatal(err)
		}
		job.Close()
		if left := tree(t, r.StateDir); len(left) != 2 || left["restores/lock"] != "" { // and the journal
			t.Errorf("left after the commit: %v", slices.Collect(maps.Keys(left)))
		}
		wrong := newHost(t)
		wrong.tokens = []string{"5"}
		r.Host, r.Plan, r.StateDir = wrong, nil, filepath.Join(wrong.dir, "state")
		o.ID = orderAt(Clone, s, started.Add(time.Hour)).ID
		if r.Plan, err = NewPlan(t.Context(), s, wrong, o); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "has tokens 5, the backup is of -7, 5") {
			t.Errorf("other tokens: %v", err)
		}
	}
}

// With another num_tokens Cassandra would start on the cloned files once and never again.
func TestACloneNeedsTheNumTokensOfItsSource(t *testing.T) {
	s := described()
	for _, c := range []struct {
		numTokens int // of cassandra.yaml
		refused   bool
	}{{2, false}, {0, false}, {1, true}, {16, true}} {
		h := newHost(t)
		h.layout.NumTokens = c.numTokens
		o := orderAt(Clone, s, started)
		o.FirstStart = &node.FirstStart{Restore: o.ID, Tokens: []string{"-7", "5"}}
		_, err := NewPlan(t.Context(), s, h, o)
		if refused := err != nil && strings.Contains(err.Error(), "set num_tokens: 2 there"); refused != c.refused || refused != errors.As(err, new(*RefusedError)) {
			t.Errorf("num_tokens: %d: %v", c.numTokens, err)
		}
		h.mustBeUntouched(t)
	}
}
