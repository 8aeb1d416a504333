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

// sample is the journal of a restore of one data directory below dir.
func sample(dir, id string, p Phase) *Journal {
	o := Order{ID: id, Way: InPlace, Backup: "monday", Cluster: "shop", Node: "node-a", HostID: hostID}
	return &Journal{Started: started, Phase: p, at: nothing, Plan: &Plan{Order: o, Tables: []Task{}, Moves: []Move{
		{Live: dir + "/data", Staging: dir + "/cbk-restore-" + id + "/data", Before: dir + "/cbk-before-" + id + "/data", Undone: dir + "/cbk-undone-" + id + "/data"},
		{Live: dir + "/commitlog", Before: dir + "/cbk-before-" + id + "/commitlog", Undone: dir + "/cbk-undone-" + id + "/commitlog"}}}}
}

// save puts a journal where a restore that was killed left it.
func save(t *testing.T, state string, j *Journal) string {
	t.Helper()
	p := j.Phase
	if err := j.create(state); err != nil {
		t.Fatal(err)
	}
	if err := j.enter(p); err != nil {
		t.Fatal(err)
	}
	return j.path
}

func TestTheJournalReadsLikeThis(t *testing.T) {
	state := t.TempDir()
	path := save(t, state, sample("/d", "1", PhaseAside))
	const want = `{
  "plan": {
    "id": "1",
    "way": "in-place",
    "backup": "monday",
    "cluster": "shop",
    "node": "node-a",
    "host_id": "aaaaaaaa-0000-4000-8000-000000000001",
    "selection": {},
    "running": false,
    "alone": false,
    "tables": [],
    "files": 0,
    "bytes": 0,
    "damaged_sstables": 0,
    "places": {
      "dirs": null,
      "user_dirs": 0,
      "system_dir": 0,
      "same": false
    },
    "moves": [
      {
        "live": "/d/data",
        "staging": "/d/cbk-restore-1/data",
        "before": "/d/cbk-before-1/data",
        "undone": "/d/cbk-undone-1/data"
      },
      {
        "live": "/d/commitlog",
        "before": "/d/cbk-before-1/commitlog",
        "undone": "/d/cbk-undone-1/commitlog"
      }
    ],
    "time": null,
    "risks": null,
    "fit": null
  },
  "started": "2026-05-01T12:00:00Z",
  "phase": "aside"
}`
	b, err := os.ReadFile(path)
	if diff := cmp.Diff(want, string(b)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if path != filepath.Join(state, "restores/1.json") {
		t.Errorf("it is %s", path)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if got := mode(t, name).Perm(); got != want {
			t.Errorf("%s has mode %v", name, got)
		}
	}
}

// Of two restores the second begins only when the first is over.
func TestAnInterruptedRestoreStandsInTheWayOfOthers(t *testing.T) {
	for _, phase := range order {
		dir := t.TempDir()
		opt := Options{StateDir: filepath.Join(dir, "state")}
		save(t, opt.StateDir, sample(dir, "1", phase))
		other := sample(dir, "2", "").Plan
		other.Backup = "tuesday"
		job, err := Begin(opt, other)
		over := phase == PhaseDone || phase == PhaseUndone || phase == PhaseCommitted
		if (err == nil) != over || !over && !errors.As(err, new(*UnfinishedError)) {
			t.Errorf("%s: %v", phase, err)
		}
		if job != nil {
			job.Close()
		}
		// The same order is gone on with, unless it is being rolled back.
		job, err = Resume(opt, sample(dir, "3", "").Plan.Order)
		if err != nil || (job != nil) != (!over && !phase.reached(PhaseUndo)) {
			t.Errorf("%s: the same order gives %+v, %v", phase, job, err)
		}
		if job != nil {
			job.Close()
		}
	}
}

func TestAnUnfinishedRestoreSaysWhatToDo(t *testing.T) {
	err := &UnfinishedError{Journal: sample("/d", "1", PhaseAside)}
	const want = `the restore 1 of backup "monday" was interrupted in phase "aside": give the same command again to go on with it, ` +
		`or cbk restore --rollback 1 to put everything back as it was`
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// Whatever a journal says, only what carries the restore's own name is removed.
func TestAJournalThatNamesOtherPathsRemovesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"precious/data/file", "precious/cbk-restore-2/data/file", "cbk-restore-12/data/file", "cbk-restore-/data/file", "cbk-before-1/data/file"} {
		write(t, filepath.Join(dir, name), "mine")
	}
	before := tree(t, dir)
	for id, place := range map[string]string{
		"1":               dir + "/precious/data",
		"1a":              dir + "/cbk-restore-12/data",
		"2 with a suffix": dir + "/precious/cbk-restore-2/data",
		"before":          dir + "/cbk-before-1/data",
		"itself":          dir,
		"none":            "",
		"root":            "/",
		"above":           "..",
		"x":               dir + "/cbk-restore-x/../precious/data",
		"relative":        "cbk-restore-relative/data",
	} {
		for _, phase := range []Phase{PhaseFetch, PhaseDone, PhaseUndone} {
			state := t.TempDir()
			j := sample(dir, id, phase)
			j.Plan.Moves = []Move{{Live: dir + "/live", Staging: place, Before: place, Undone: place}}
			save(t, state, j)
			job, err := Find(Options{StateDir: state, Host: &fakeHost{}, Log: silentLog}, id)
			if err != nil || job == nil {
				t.Fatal(err)
			}
			if phase == PhaseFetch {
				err = job.Rollback(t.Context())
			} else {
				err = job.Commit()
			}
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			job.Close()
		}
	}
	mustBe(t, dir, before)
}

func TestJournalsThatCannotBeReadStopTheRestore(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(path string) error
		says string
	}{
		{"no JSON", func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) }, "look at it and move it away"},
		{"empty", func(path string) error { return os.WriteFile(path, nil, 0o600) }, "look at it and move it away"},
		{"of another form", func(path string) error { return os.WriteFile(path, []byte(`{"moves": "all"}`), 0o600) }, "look at it and move it away"},
		{"of another name", func(path string) error {
			return os.WriteFile(path, []byte(`{"plan": {"id": "1"}, "phase": "fetch"}`), 0o600)
		}, "none of this release"},
		{"a phase to come", func(path string) error {
			return os.WriteFile(path, []byte(`{"plan": {"id": "0"}, "phase": "fly"}`), 0o600)
		}, "none of this release"},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, "is a directory"},
		{"a link to nowhere", func(path string) error { return os.Symlink("nowhere", path) }, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			r := inPlace(t, described(), h)
			path := filepath.Join(r.StateDir, "restores/0.json")
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), c.make(path)); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v", err)
			}
			if err := os.RemoveAll(r.StateDir); err != nil {
				t.Fatal(err)
			}
			h.mustBeUntouched(t)
		})
	}
}

func TestAStateDirectoryOfAnyNameIsLookedInto(t *testing.T) {
	for _, name := range []string{"state", "state [1]", "*", "a?b", `back\slash`} {
		state := filepath.Join(t.TempDir(), name)
		save(t, state, sample("/d", "1", PhaseAside))
		if all, err := Journals(state); err != nil || len(all) != 1 {
			t.Errorf("%s: the interrupted restore is overlooked: %v, %v", name, all, err)
		}
	}
}

func TestOtherFilesBesideTheJournalsAreNoJournals(t *testing.T) {
	state := t.TempDir()
	release, err := lock(state)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	for _, name := range []string{"1.json.tmp", "README", "old/1.json", "1.sha256"} {
		write(t, filepath.Join(journalDir(state), name), "no journal")
	}
	if all, err := Journals(state); err != nil || len(all) > 0 {
		t.Error(all, err)
	}
}

// A journal that cannot be written stops the restore before the step that it would have told of.
func TestWithoutItsJournalARestoreDoesNotGoOn(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
	h.on["stop"] = func() error { return os.RemoveAll(r.StateDir) }
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "switch: restore journal") {
		t.Errorf("got %v", err)
	}
	for name, content := range oldFiles() {
		if got := tree(t, h.dir)[name]; got != content {
			t.Errorf("%s: %q", name, got)
		}
	}
	file := newHost(t)
	r = inPlace(t, described(), file)
	write(t, r.StateDir, "a file where the state directory would be")
	if _, err := r.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "restore journal") {
		t.Errorf("got %v", err)
	}
	if len(file.calls) != 1 {
		t.Errorf("calls %v", file.calls)
	}
}

func TestTheLockEndsWithItsRelease(t *testing.T) {
	state := t.TempDir()
	release, err := lock(state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(state); err == nil || !strings.Contains(err.Error(), "another restore is running") {
		t.Errorf("got %v", err)
	}
	if other, err := lock(t.TempDir()); err != nil {
		t.Errorf("another state directory: %v", err)
	} else {
		other()
	}
	release()
	release, err = lock(state)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

func TestOrdersAreTheSameWhenTheyAskForTheSame(t *testing.T) {
	base := sample("/d", "1", "").Plan.Order
	later := base
	later.ID = "2"
	if !base.same(later) {
		t.Error("the time makes another order")
	}
	for _, change := range []func(*Order){
		func(o *Order) { o.Backup = "tuesday" }, func(o *Order) { o.HostID = "b" }, func(o *Order) { o.Way = Clone },
		func(o *Order) { o.Cluster = "other" }, func(o *Order) { o.KeepAuth = true },
		func(o *Order) { o.Selection = snapshot.Selection{Tables: []string{"shop.orders"}} },
	} {
		other := base
		change(&other)
		if base.same(other) {
			t.Errorf("%+v is taken for %+v", other, base)
		}
	}
}

// crash is what ends a restore in the midst of a step.
type crash struct{ point string }

// until runs a restore that dies at its n-th step on disk, counted from 0. It tells where that was, or that there are no
// so many.
func (r *placing) until(t *testing.T, n int, run func() error) (died string) {
	t.Helper()
	defer func() {
		r.at = nil
		if c, ok := recover().(crash); ok {
			died = c.point
		}
	}()
	r.at = func(point string) {
		if n--; n < 0 {
			panic(crash{point})
		}
	}
	if err := run(); err != nil {
		t.Error(err)
	}
	return ""
}

func (r *placing) run(t *testing.T) func() error {
	return func() error { _, err := r.Run(t.Context()); return err }
}

func (r *placing) rollback(t *testing.T) func() error {
	return func() error {
		job, err := Find(r.Options, r.Plan.ID)
		if err != nil || job == nil {
			return err
		}
		defer job.Close()
		return job.Rollback(t.Context())
	}
}

// A restore that dies at any step comes to the same end when it is run again, and a rollback from there to the beginning.
func TestARestoreKilledAtAnyStepGoesOnOrBack(t *testing.T) {
	t.Parallel()
	snap := newRig(t).backup("monday", backedUp())
	for n := 0; ; n++ {
		h := newHost(t)
		r := inPlace(t, snap, h)
		died := r.until(t, n, r.run(t))
		if died == "" {
			if n < 20 {
				t.Errorf("a restore has only %d steps", n)
			}
			break
		}
		if j := r.journal(t); j != nil && j.Phase.Over() {
			continue // the next command would be another restore
		}
		if _, err := r.Run(t.Context()); err != nil {
			t.Errorf("killed at %q (%d): %v", died, n, err)
		}
		mustBe(t, filepath.Join(h.dir, "data"), backedUp())
		mustBe(t, filepath.Join(h.dir, beforeName(planID)), oldFiles())
		if left, _ := filepath.Glob(filepath.Join(h.dir, stagingName("*"))); len(left) > 0 || !h.up {
			t.Errorf("killed at %q (%d): left %v, up %v", died, n, left, h.up)
		}

		back := newHost(t)
		r = inPlace(t, snap, back)
		r.until(t, n, r.run(t))
		for m := 0; r.until(t, m, r.rollback(t)) != ""; m += 3 {
		}
		back.mustBeBack(t, died)
	}
}

// mustBeBack demands the files of before in their places, and nothing restored but in a place of its own.
func (h *fakeHost) mustBeBack(t *testing.T, died string) {
	t.Helper()
	got := tree(t, h.dir)
	for name, content := range oldFiles() {
		if got[name] != content {
			t.Errorf("killed at %q and rolled back: %s is %q", died, name, got[name])
		}
	}
	for name := range got {
		dir, _, _ := strings.Cut(name, "/")
		if _, old := oldFiles()[name]; !old && dir != "state" && dir != undoneName(planID) {
			t.Errorf("killed at %q and rolled back: left %s", died, name)
		}
	}
	if !h.up {
		t.Errorf("killed at %q and rolled back: Cassandra is down", died)
	}
}

func TestCommitRemovesWhatIsKeptAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds nothing to do
		job := r.job(t)
		if err := job.Commit(); err != nil {
			t.Fatal(err)
		}
		job.Close()
	}
	want := moved(backedUp(), "data")
	got := tree(t, h.dir)
	for name := range got {
		if strings.HasPrefix(name, "state/") {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	job := r.job(t)
	if err := job.Rollback(t.Context()); err == nil || !strings.Contains(err.Error(), "its old files are gone") {
		t.Errorf("a rollback: %v", err)
	}
}

func TestOnlyWhatIsOverIsCommitted(t *testing.T) {
	for _, phase := range []Phase{PhaseFetch, PhaseFetched, PhaseStop, PhaseAside, PhaseFill, PhaseStart, PhaseUndo, PhaseBack, PhaseRevive} {
		state := t.TempDir()
		save(t, state, sample(t.TempDir(), "1", phase))
		job, err := Find(Options{StateDir: state, Log: silentLog}, "1")
		if err != nil {
			t.Fatal(err)
		}
		if err := job.Commit(); err == nil || !strings.Contains(err.Error(), "roll it back first") {
			t.Errorf("%s: %v", phase, err)
		}
		job.Close()
	}
}
