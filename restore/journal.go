package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cbk/cassandra/node"
)

// Phase is how far a restore has come.
type Phase string

// The phases, in order: each stands in the journal before it begins. Before PhaseAside no file of the node was touched.
const (
	PhaseFetch   Phase = "fetch"   // files are written beside the destination
	PhaseFetched Phase = "fetched" // all of them are there, and proven
	PhaseStop    Phase = "stop"    // Cassandra is being stopped
	PhaseAside   Phase = "aside"   // the old files are moved away
	PhaseFill    Phase = "fill"    // the fetched ones are moved in
	PhaseStart   Phase = "start"   // Cassandra is being started
	PhaseVerify  Phase = "verify"  // it runs, and is asked for what must be there

	// An import goes from PhaseFetched through these instead, and ends as committed: it keeps nothing.
	PhaseSchema   Phase = "schema"   // what the tables need is being made
	PhaseTruncate Phase = "truncate" // tables are being emptied
	PhaseImport   Phase = "import"   // Cassandra takes the SSTables in, table by table
	PhaseViews    Phase = "views"    // views are being made of the imported tables

	PhaseDone Phase = "done" // the old files are still there

	// A rollback goes from any phase up to PhaseDone through these.
	PhaseUndo   Phase = "undo"   // the restored files are moved away
	PhaseBack   Phase = "back"   // the old ones are moved back
	PhaseRevive Phase = "revive" // Cassandra is being started
	PhaseUndone Phase = "undone" // everything is as it was; what was restored is still there

	PhaseCommitted Phase = "committed" // what was kept is removed
)

// order is the order of phases a restore goes through.
var order = []Phase{PhaseFetch, PhaseFetched, PhaseStop, PhaseAside, PhaseFill, PhaseStart, PhaseVerify,
	PhaseSchema, PhaseTruncate, PhaseImport, PhaseViews, PhaseDone, PhaseUndo, PhaseBack, PhaseRevive, PhaseUndone, PhaseCommitted}

// reached reports whether a phase is another or one after it.
func (p Phase) reached(other Phase) bool { return slices.Index(order, p) >= slices.Index(order, other) }

// imports reports whether an import has begun to change what the node holds.
func (j *Journal) imports() bool { return j.Plan.Way == Import && j.Phase.reached(PhaseSchema) }

// Over reports whether nothing is left to do but to clean up.
func (p Phase) Over() bool { return p == PhaseDone || p == PhaseUndone || p == PhaseCommitted }

// Journal says what a restore did, on disk before it does it.
type Journal struct {
	Plan    *Plan     `json:"plan"`
	Started time.Time `json:"started"`
	Phase   Phase     `json:"phase"`
	Proof   string    `json:"proof_sha256,omitempty"` // of the list of fetched files and their hashes
	Drained bool      `json:"drained,omitempty"`      // Cassandra has flushed everything and takes no more writes
	Quiet   bool      `json:"quiet,omitempty"`        // the same again, before a rollback

	Executed   int      `json:"executed,omitempty"`   // statements of the schema, or of the views, that an import has run
	Imported   []string `json:"imported,omitempty"`   // tables that an import is done with
	Generation int      `json:"generation,omitempty"` // the first that an import into a release before 4.0 gives to SSTables

	path string
	at   func(point string)
}

// UnfinishedError reports a restore that was interrupted, where another is asked for.
type UnfinishedError struct {
	Journal *Journal
}

// Error says how far it came and what to do.
func (e *UnfinishedError) Error() string {
	j := e.Journal
	or := fmt.Sprintf("--rollback %s to put everything back as it was", j.Plan.ID)
	if j.imports() {
		or = fmt.Sprintf("--commit %s to leave it as it is", j.Plan.ID)
	}
	return fmt.Sprintf("the restore %s of backup %q was interrupted in phase %q: give the same command again to go on with it, "+
		"or cbk restore %s", j.Plan.ID, j.Plan.Backup, j.Phase, or)
}

// Before lists where the old files of a restore are, Undone where what a rollback took away is.
func (j *Journal) Before() []string {
	return j.roots(beforeName(j.Plan.ID), func(m *Move) string { return m.Before })
}

// Undone is described at Before.
func (j *Journal) Undone() []string {
	return j.roots(undoneName(j.Plan.ID), func(m *Move) string { return m.Undone })
}

// Keeps lists what a commit would remove: the old files or, after a rollback, the restored ones.
func (j *Journal) Keeps() []string {
	switch j.Phase {
	case PhaseUndone:
		return j.Undone()
	case PhaseCommitted:
		return nil
	}
	return j.Before()
}

// beside names a file that goes with the journal.
func (j *Journal) beside(ext string) string { return strings.TrimSuffix(j.path, ".json") + ext }

func (j *Journal) staging() []string {
	if j.Plan.Way != Import {
		return j.roots(stagingName(j.Plan.ID), func(m *Move) string { return m.Staging })
	}
	var dirs []string
	for _, d := range j.Plan.Places.Dirs {
		dirs = append(dirs, d.Staging)
	}
	return named(stagingName(j.Plan.ID), dirs)
}

// roots are the directories of a name above those that moves say.
func (j *Journal) roots(name string, of func(*Move) string) []string {
	var dirs []string
	for i := range j.Plan.Moves {
		dirs = append(dirs, of(&j.Plan.Moves[i]))
	}
	return named(name, dirs)
}

// named are the directories of a name above some others.
func named(name string, paths []string) (dirs []string) {
	for _, dir := range paths {
		for dir != "" && filepath.Base(dir) != name && filepath.Dir(dir) != dir {
			dir = filepath.Dir(dir)
		}
		if filepath.Base(dir) == name && filepath.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// removeAll removes directories that roots gave: they carry this restore's own name, whatever else the journal says.
func removeAll(dirs []string) error {
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove what a restore left: %w", err)
		}
	}
	return nil
}

func journalDir(stateDir string) string { return filepath.Join(stateDir, "restores") }

// create writes a new journal.
func (j *Journal) create(stateDir string) error {
	if err := os.MkdirAll(journalDir(stateDir), 0o700); err != nil {
		return fmt.Errorf("restore journal: %w", err)
	}
	j.path = filepath.Join(journalDir(stateDir), j.Plan.ID+".json")
	return j.enter(PhaseFetch)
}

// enter records a phase durably before it begins.
func (j *Journal) enter(p Phase) error {
	j.at("enter " + string(p))
	j.Phase = p
	b, err := json.MarshalIndent(j, "", "  ")
	if err == nil {
		err = writeDurably(j.path, b)
	}
	j.at("entered " + string(p))
	if err != nil {
		return fmt.Errorf("restore journal: %w", err)
	}
	return nil
}

func writeDurably(name string, b []byte) error {
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// maxJournal is far above the plan of a node with a hundred thousand tables.
const maxJournal = 256 << 20

// Journals returns the journals of all restores of a state directory, oldest first.
func Journals(stateDir string) ([]*Journal, error) {
	entries, err := os.ReadDir(journalDir(stateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("restore journals: %w", err)
	}
	var out []*Journal
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" {
			continue
		}
		j, err := readJournal(filepath.Join(journalDir(stateDir), e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	slices.SortFunc(out, func(a, b *Journal) int { return a.Started.Compare(b.Started) })
	return out, nil
}

func readJournal(name string) (*Journal, error) {
	b, err := node.ReadBounded(name, maxJournal)
	if err != nil {
		return nil, fmt.Errorf("restore journal: %w", err)
	}
	j := &Journal{path: name}
	if err = json.Unmarshal(b, j); err == nil && (j.Plan == nil || j.Plan.ID+".json" != filepath.Base(name) || !slices.Contains(order, j.Phase)) {
		err = errors.New("it is none of this release")
	}
	if err != nil {
		return nil, fmt.Errorf("restore journal %s: %w; look at it and move it away", name, err)
	}
	return j, nil
}

// lock keeps two restores of one state directory apart; the kernel releases it with the process.
func lock(stateDir string) (release func(), err error) {
	if err := os.MkdirAll(journalDir(stateDir), 0o700); err != nil {
		return nil, fmt.Errorf("restore journal: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(journalDir(stateDir), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("restore journal: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another restore is running with the state directory %s", stateDir), f.Close())
	}
	return func() { f.Close() }, nil
}
