package restore

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/schema"
	"cbk/restore/fit"
	"cbk/snapshot"
)

// importing3 is a release before 4.0, whose SSTables have numbers.
const importing3 = "3.11.19"

// oldShop are the shop's files as a release before 4.0 has them: none that a look at them finds damaged.
func oldShop() files {
	return files{
		tableDir("shop", "orders") + "/me-1-big-Data.db":        noise(1, 2000),
		tableDir("shop", "orders") + "/me-1-big-Index.db":       noise(2, 300),
		tableDir("shop", "orders") + "/me-2-big-Data.db":        noise(3, 1000),
		tableDir("shop", "orders") + "/.by_at/me-2-big-Data.db": noise(4, 100),
	}
}

// plannedImport plans an import into a host.
func plannedImport(t *testing.T, s *snapshot.Snapshot, h *fakeHost, o Order) *placing {
	t.Helper()
	return &placing{Options{Host: h, StateDir: filepath.Join(h.dir, "state"), Log: silentLog, Progress: silent{}}, s, mustPlan(t, s, h, o)}
}

// live are the contents of a table's directory on a host.
func (h *fakeHost) live(t *testing.T, keyspace, table string) (contents []string) {
	t.Helper()
	for _, content := range tree(t, h.liveDir(keyspace, table)) {
		contents = append(contents, content)
	}
	slices.Sort(contents)
	return contents
}

// contents are those of the files of a table, but for indexes.
func contents(all files, table string) (some []string) {
	for name, content := range all {
		if strings.HasPrefix(name, table+"/") && !strings.Contains(name, "/.") {
			some = append(some, content)
		}
	}
	slices.Sort(some)
	return some
}

func (h *fakeHost) mustHaveNoStaging(t *testing.T) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(h.dir, "cbk-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAnImportRunsInThisOrder(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	h := newHost(t)
	h.cql = map[string]string{"shop": makeShop + makeOrders + makeView}
	o := importOrder(snap)
	o.TruncateFirst = true
	r := plannedImport(t, snap, h, o)
	h.calls = nil
	write(t, h.liveDir("shop", "orders")+"/nb-9-big-Data.db", "gives way")
	got, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"execute type zip", "execute type address", "execute function f", "execute table customers", "execute drop gone", "execute index by_mail", "identity", "schema",
		"truncate shop.orders", "import shop.by_v", "import shop.customers", "import shop.orders", "query shop.by_v", "query shop.customers", "query shop.orders"}
	if diff := cmp.Diff(want, h.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for _, table := range []string{"customers", "orders", "by_v"} {
		if diff := cmp.Diff(contents(shopFiles(), tableDir("shop", table)), h.live(t, "shop", table)); diff != "" {
			t.Errorf("%s (-want +got):\n%.300s", table, diff)
		}
	}
	if got.Files != 6 || len(got.Verified.Tables) != 3 || len(got.Before) > 0 || r.journal(t).Phase != PhaseCommitted {
		t.Errorf("outcome %+v, phase %s", got, r.journal(t).Phase)
	}
	h.mustHaveNoStaging(t)
	if left, _ := filepath.Glob(r.StateDir + "/restores/*.sha256"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAnImportUnderAnotherNameLeavesTheFirstAlone(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	h := newHost(t)
	h.cql = map[string]string{"shop": makeAll}
	before := h.cql["shop"]
	o := importOrder(snap, "shop.*")
	o.AsKeyspace = "copy"
	if _, err := plannedImport(t, snap, h, o).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(shopFiles(), tableDir("shop", "orders")), h.live(t, "copy", "orders")); diff != "" {
		t.Errorf("(-want +got):\n%.300s", diff)
	}
	if h.cql["shop"] != before || !strings.Contains(h.cql["copy"], "CREATE MATERIALIZED VIEW copy.by_v") || slices.Contains(h.calls, "import copy.by_v") {
		t.Errorf("calls %q, schema of the copy:\n%s", h.calls, h.cql["copy"])
	}
}

// An import that dies at any step comes to the same end when it is run again.
func TestAnImportKilledAtAnyStepGoesOn(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"5.0.6", importing3} {
		rig := newRig(t)
		rig.cql = map[string]string{"shop": makeAll}
		all := oldShop()
		snap := rig.backup("monday", all)
		for n := 0; ; n++ {
			h := newHost(t)
			h.version = version
			h.cql = map[string]string{"shop": makeShop}
			r := importedSoundly(t, snap, h)
			died := r.until(t, n, r.run(t))
			if died == "" {
				if n < 15 {
					t.Errorf("%s: an import has only %d steps", version, n)
				}
				break
			}
			if j := r.journal(t); j != nil && j.Phase.Over() {
				continue
			}
			if _, err := r.Run(t.Context()); err != nil {
				t.Errorf("%s: killed at %q (%d): %v", version, died, n, err)
			}
			// Rows that are taken in twice are the same rows.
			if diff := cmp.Diff(contents(all, tableDir("shop", "orders")), slices.Compact(h.live(t, "shop", "orders"))); diff != "" {
				t.Errorf("%s: killed at %q (%d) (-want +got):\n%.300s", version, died, n, diff)
			}
			h.mustHaveNoStaging(t)
		}
	}
}

// importedSoundly plans an import of the orders as if no SSTable were damaged: those of these tests are noise.
func importedSoundly(t *testing.T, snap *snapshot.Snapshot, h *fakeHost) *placing {
	t.Helper()
	version := h.version
	h.version = "5.0.6"
	r := plannedImport(t, snap, h, importOrder(snap, "shop.orders"))
	h.version = version
	r.Plan.Online.Refresh = version[0] == '3'
	return r
}

func TestAnImportThatLeavesSSTablesIsAnError(t *testing.T) {
	t.Parallel()
	rig := newRig(t)
	rig.cql = map[string]string{"shop": makeAll}
	snap := rig.backup("monday", oldShop())
	for version, says := range map[string]string{"5.0.6": "left 1 SSTables", importing3: "still has the name"} {
		h := newHost(t)
		h.version, h.left = version, "me-2-big-Data.db"
		r := importedSoundly(t, snap, h)
		if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "shop.orders") {
			t.Errorf("%s: %v", version, err)
		}
		h.left = ""
		if _, err := r.Run(t.Context()); err != nil {
			t.Errorf("%s again: %v", version, err)
		}
		if diff := cmp.Diff(contents(oldShop(), tableDir("shop", "orders")), h.live(t, "shop", "orders")); diff != "" {
			t.Errorf("%s (-want +got):\n%.300s", version, diff)
		}
	}
}

func TestAnImportCanBeGivenUpAtAnyTime(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	for _, c := range []struct {
		call     string // that fails
		forgiven bool   // nothing was changed, so that a rollback forgets it
	}{
		{"execute keyspace shop", false}, {"import shop.customers", false}, {"query shop.orders", false}, {"", true},
	} {
		h := newHost(t)
		r := plannedImport(t, snap, h, importOrder(snap))
		if c.call != "" {
			h.fails(c.call)
		} else {
			r.until(t, 1, func() error { _, err := r.Run(t.Context()); return err })
		}
		if c.call != "" {
			if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), errInjected.Error()) {
				t.Fatalf("%s: %v", c.call, err)
			}
		}
		job := r.job(t)
		err := job.Rollback(t.Context())
		if (err == nil) != c.forgiven || err != nil && !strings.Contains(err.Error(), "--commit "+planID) {
			t.Errorf("%s: rolled back: %v", c.call, err)
		}
		if !c.forgiven {
			said := (&UnfinishedError{job.Journal}).Error()
			if err := job.Commit(); err != nil || !strings.Contains(said, "--commit") {
				t.Errorf("%s: given up: %v; %s", c.call, err, said)
			}
			if err := job.Rollback(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be taken out again") {
				t.Errorf("%s: rolled back after it was given up: %v", c.call, err)
			}
		}
		h.mustHaveNoStaging(t)
	}
}

func TestWhatWasFetchedIsProvenBeforeItIsImported(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	for _, c := range []struct {
		name   string
		change func(staged string) error
		says   string
	}{
		{"a byte", func(staged string) error { return os.WriteFile(staged, []byte(strings.Repeat("x", 1000)), 0o600) }, "does not match its hash"},
		{"its size", func(staged string) error { return os.Truncate(staged, 3) }, "not as it was restored"},
		{"it is gone", os.Remove, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			r := plannedImport(t, snap, h, importOrder(snap, "shop.orders", "shop.by_v"))
			h.up = true
			r.at = func(point string) {
				if point == "entered fetched" {
					panic(crash{point})
				}
			}
			func() {
				defer func() { r.at = nil; _ = recover() }()
				_, _ = r.Run(t.Context())
			}()
			staged := filepath.Join(r.Plan.Places.Dirs[0].Staging, "shop/orders/oa-2-big-Data.db")
			if err := c.change(staged); err != nil {
				t.Fatal(err)
			}
			h.calls = nil
			if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "--rollback "+planID) {
				t.Errorf("got %v", err)
			}
			if len(h.calls) > 0 {
				t.Errorf("calls %q", h.calls)
			}
		})
	}
}

// What others make between plan and import is not taken for what was to be made.
func TestASchemaThatChangesMeanwhileStopsTheImport(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	h := newHost(t)
	r := plannedImport(t, snap, h, importOrder(snap, "shop.orders", "shop.by_v"))
	h.cql = map[string]string{"shop": makeShop + strings.Replace(makeOrders, "v text", "v blob", 1)}
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `column "v" is blob there`) {
		t.Errorf("got %v", err)
	}
	if slices.Contains(h.calls, "import shop.orders") {
		t.Errorf("calls %q", h.calls)
	}
}

func TestAnImportNeedsTheNodeToTheEnd(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	h := newHost(t)
	r := plannedImport(t, snap, h, importOrder(snap))
	h.up = false
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "start it and give the command again") {
		t.Errorf("got %v", err)
	}
	h.up = true
	if _, err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnImportIsInTheJournal(t *testing.T) {
	p := &Plan{Order: Order{ID: "1", Way: Import, TruncateFirst: true, AsKeyspace: "copy"}, Online: &Taking{Release: "3.11.19", Refresh: true, Schema: []string{"a"}, Truncate: []string{"c.d"}, Views: []string{"b"}}}
	state := t.TempDir()
	j := &Journal{Plan: p, Started: started, at: nothing, Executed: 1, Imported: []string{"copy/t"}, Generation: 7}
	if err := j.create(state); err != nil {
		t.Fatal(err)
	}
	if err := j.enter(PhaseImport); err != nil {
		t.Fatal(err)
	}
	all, err := Journals(state)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	want, _ := json.Marshal(j)
	got, _ := json.Marshal(all[0])
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}

// Cassandra that is killed while it moves an SSTable leaves its data file, which it moves last, without the others.
func TestAnSSTableThatIsHalfMovedIsNotImported(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	h := newHost(t)
	r := plannedImport(t, snap, h, importOrder(snap, "shop.customers"))
	half := filepath.Join(r.Plan.Places.Dirs[0].Staging, "shop/customers/nb-1-big-Index.db")
	h.on["import shop.customers"] = func() error { return errors.Join(os.Remove(half), errInjected) }
	if _, err := r.Run(t.Context()); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	delete(h.on, "import shop.customers")
	h.calls = nil
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), half) || !strings.Contains(err.Error(), "--commit "+planID) {
		t.Errorf("got %v", err)
	}
	if len(h.calls) > 0 {
		t.Errorf("calls %q", h.calls)
	}
}

func TestTheRisksOfAnImportAreThoseOfItsTarget(t *testing.T) {
	t.Parallel()
	snap := shopBackup(t)
	for _, c := range []struct {
		name, keyspace, as string
		tables, accept     []string
		risk               string
	}{
		{"a view that is not imported", "shop", "", []string{"shop.orders"}, nil, fit.Views},
		{"it is accepted", "shop", "", []string{"shop.orders"}, []string{fit.Views}, ""},
		{"it is imported", "shop", "", []string{"shop.orders", "shop.by_v"}, nil, ""},
		{"a view of another keyspace", "other", "", []string{"shop.orders"}, nil, ""},
		{"a view of the keyspace it comes to", "copy", "copy", []string{"shop.orders"}, nil, fit.Views},
		{"a view of the keyspace it comes from", "shop", "copy", []string{"shop.orders"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			h.cql = map[string]string{c.keyspace: strings.ReplaceAll(makeShop+makeOrders+makeView, "shop", c.keyspace)}
			h.rows = viewRows(c.keyspace)
			o := importOrder(snap, c.tables...)
			o.AsKeyspace, o.Accept = c.as, append(o.Accept, c.accept...)
			_, err := NewPlan(t.Context(), snap, h, o)
			var refused *fit.RefusedError
			if errors.As(err, &refused) != (c.risk != "") || err != nil && refused.Risks[0].Code != c.risk {
				t.Errorf("got %v", err)
			}
		})
	}
}

// viewRows are those of the orders and their view, as Cassandra keeps them.
func viewRows(keyspace string) schema.System {
	s := schema.System{Keyspaces: []schema.Row{{"keyspace_name": keyspace, "replication": map[string]string{"class": "SimpleStrategy", "replication_factor": "1"}}}}
	s.Tables = []schema.Row{{"keyspace_name": keyspace, "table_name": "orders", "flags": []string{"compound"}, "gc_grace_seconds": int64(864000)}}
	s.Views = []schema.Row{{"keyspace_name": keyspace, "view_name": "by_v", "base_table_name": "orders", "flags": []string{"compound"}, "gc_grace_seconds": int64(864000)}}
	for _, table := range []string{"orders", "by_v"} {
		for i, column := range []string{"v", "id", "at"} {
			kind := "clustering"
			if i == 0 {
				kind = "partition_key"
			}
			s.Columns = append(s.Columns, schema.Row{"keyspace_name": keyspace, "table_name": table, "column_name": column, "kind": kind,
				"position": int64(max(0, i-1)), "type": "text", "clustering_order": "asc"})
		}
	}
	return s
}
