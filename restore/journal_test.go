package restore

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is the journal of a restore of one data directory below dir.
func sample(dir, id string, p Phase) *Journal {
	return &Journal{ID: id, Backup: "monday", Node: "node-a", Started: started, Phase: p, Moves: []Move{
		{Live: dir + "/data", Staging: dir + "/cbk-restore-" + id + "/data", Before: dir + "/cbk-before-" + id + "/data"},
		{Live: dir + "/commitlog", Before: dir + "/cbk-before-" + id + "/commitlog"}}}
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
	path := save(t, state, sample("/d", "1", PhaseSwitch))
	const want = `{
  "id": "1",
  "backup": "monday",
  "node": "node-a",
  "started": "2026-05-01T12:00:00Z",
  "phase": "switch",
  "moves": [
    {
      "live": "/d/data",
      "staging": "/d/cbk-restore-1/data",
      "before": "/d/cbk-before-1/data"
    },
    {
      "live": "/d/commitlog",
      "before": "/d/cbk-before-1/commitlog"
    }
  ]
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

func TestAnInterruptedRestoreIsClearedOrReportedByItsPhase(t *testing.T) {
	for _, c := range []struct {
		phase      Phase
		unfinished bool
		cleared    bool
	}{
		{PhaseFetch, false, true},
		{PhaseStop, false, true},
		{PhaseSwitch, true, false},
		{PhaseStart, true, false},
		{PhaseDone, false, false},
		{"", true, false},
		{"a phase to come", true, false},
	} {
		t.Run(string(c.phase), func(t *testing.T) {
			dir := t.TempDir()
			state := filepath.Join(dir, "state")
			path := save(t, state, sample(dir, "1", c.phase))
			staged, before := filepath.Join(dir, "cbk-restore-1/data/ks/t/file"), filepath.Join(dir, "cbk-before-1/data/file")
			write(t, staged, "fetched")
			write(t, before, "old")
			err := clearUnfinished(state)
			var unfinished *UnfinishedError
			if errors.As(err, &unfinished) != c.unfinished || (err != nil) != c.unfinished {
				t.Fatalf("got %v", err)
			}
			if c.unfinished && (unfinished.Path != path || unfinished.Journal.Phase != c.phase) {
				t.Errorf("got %+v", unfinished)
			}
			_, stagedErr := os.Stat(staged)
			_, journalErr := os.Stat(path)
			if (stagedErr != nil) != c.cleared || (journalErr != nil) != c.cleared {
				t.Errorf("staged files: %v; journal: %v", stagedErr, journalErr)
			}
			if b, err := os.ReadFile(before); err != nil || string(b) != "old" {
				t.Errorf("the old files: %q, %v", b, err)
			}
		})
	}
}

func TestAnUnfinishedRestoreSaysWhatToDo(t *testing.T) {
	err := &UnfinishedError{Journal: *sample("/d", "1", PhaseSwitch), Path: "/state/restores/1.json"}
	const want = `a restore of backup "monday" was interrupted in phase "switch": the old files are still there, in ` +
		`/d/cbk-before-1/data, /d/cbk-before-1/commitlog (or not moved yet); with Cassandra stopped move them back, or keep what was restored, ` +
		`then remove /state/restores/1.json`
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
	for id, staging := range map[string]string{
		"1":               dir + "/precious/data",
		"1a":              dir + "/cbk-restore-12/data",
		"2 with a suffix": dir + "/precious/cbk-restore-2/data",
		"before":          dir + "/cbk-before-1/data",
		"itself":          dir,
		"none":            "",
		"root":            "/",
		"above":           "..",
		"x":               dir + "/cbk-restore-x/../precious/data",
	} {
		state := t.TempDir()
		j := sample(dir, id, PhaseFetch)
		j.Moves[0].Staging = staging
		save(t, state, j)
		if err := clearUnfinished(state); err != nil {
			t.Errorf("%s: %v", id, err)
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
		save(t, state, sample("/d", "1", PhaseSwitch))
		if err := clearUnfinished(state); !errors.As(err, new(*UnfinishedError)) {
			t.Errorf("%s: the interrupted restore is overlooked: %v", name, err)
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
	for _, name := range []string{"1.json.tmp", "README", "old/1.json"} {
		write(t, filepath.Join(journalDir(state), name), "no journal")
	}
	if err := clearUnfinished(state); err != nil {
		t.Error(err)
	}
}

func TestEveryPhaseIsOnDiskBeforeItBegins(t *testing.T) {
	state := t.TempDir()
	j := sample("/d", "1", "")
	if err := j.create(state); err != nil {
		t.Fatal(err)
	}
	for _, p := range []Phase{PhaseStop, PhaseSwitch, PhaseStart, PhaseDone} {
		if err := j.enter(p); err != nil {
			t.Fatal(err)
		}
		var got Journal
		b, err := os.ReadFile(j.path)
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if err != nil || got.Phase != p || !got.Started.Equal(started) || len(got.Moves) != 2 {
			t.Errorf("%s: %+v, %v", p, got, err)
		}
	}
	if err := os.RemoveAll(journalDir(state)); err != nil {
		t.Fatal(err)
	}
	if err := j.enter(PhaseSwitch); err == nil || !strings.Contains(err.Error(), "restore journal") {
		t.Errorf("a phase that could not be recorded: %v", err)
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

// What an interrupted restore fetched goes before the next one begins, also that of an earlier plan.
func TestTheNextRestoreClearsWhatAnEarlierOneFetched(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r := inPlace(t, newRig(t).backup("monday", backedUp()), h)
	save(t, r.StateDir, sample(h.dir, "20260430T000000Z", PhaseFetch))
	save(t, r.StateDir, sample(h.dir, "20260429T000000Z", PhaseDone))
	write(t, filepath.Join(h.dir, "cbk-restore-20260430T000000Z/data/ks/t/nb-1-big-Data.db"+partSuffix), "half")
	h.on["stop"] = func() error {
		if left, _ := filepath.Glob(filepath.Join(h.dir, "cbk-restore-20260430*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		return nil
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if j := r.journal(t); j.Started.Before(time.Now().Add(-time.Hour)) || j.Backup != "monday" || j.Node != "node-a" {
		t.Errorf("journal %+v", j)
	}
	mustBe(t, filepath.Join(h.dir, "data"), backedUp())
}
