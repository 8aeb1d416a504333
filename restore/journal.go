package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Phase is how far a restore in place has come.
type Phase string

// The phases, in order. Before PhaseSwitch no file of the node was touched.
const (
	PhaseFetch  Phase = "fetch"
	PhaseStop   Phase = "stop"
	PhaseSwitch Phase = "switch"
	PhaseStart  Phase = "start"
	PhaseDone   Phase = "done"
)

// Move is one directory of the node: where the old files go and where the fetched ones come from ("" for directories
// that are only emptied).
type Move struct {
	Live    string `json:"live"`
	Staging string `json:"staging,omitempty"`
	Before  string `json:"before"`
}

// Journal says what a restore in place did, on disk before it does it.
type Journal struct {
	ID      string    `json:"id"`
	Backup  string    `json:"backup"`
	Node    string    `json:"node"`
	Started time.Time `json:"started"`
	Phase   Phase     `json:"phase"`
	Moves   []Move    `json:"moves"`

	path string
}

// UnfinishedError reports a restore that was interrupted after it began to move files.
type UnfinishedError struct {
	Journal Journal
	Path    string // of the journal
}

// Error says where the old data is and what to do.
func (e *UnfinishedError) Error() string {
	var before []string
	for _, m := range e.Journal.Moves {
		before = append(before, m.Before)
	}
	return fmt.Sprintf("a restore of backup %q was interrupted in phase %q: the old files are still there, in %s (or not moved yet); "+
		"with Cassandra stopped move them back, or keep what was restored, then remove %s", e.Journal.Backup, e.Journal.Phase,
		strings.Join(before, ", "), e.Path)
}

func journalDir(stateDir string) string { return filepath.Join(stateDir, "restores") }

// create writes a new journal.
func (j *Journal) create(stateDir string) error {
	if err := os.MkdirAll(journalDir(stateDir), 0o700); err != nil {
		return fmt.Errorf("restore journal: %w", err)
	}
	j.path = filepath.Join(journalDir(stateDir), j.ID+".json")
	return j.enter(PhaseFetch)
}

// enter records a phase durably before it begins.
func (j *Journal) enter(p Phase) error {
	j.Phase = p
	b, err := json.MarshalIndent(j, "", "  ")
	if err == nil {
		err = writeDurably(j.path, b)
	}
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

// unfinished returns the journals of restores that did not end, by reading all of them.
func unfinished(stateDir string) ([]*Journal, error) {
	entries, err := os.ReadDir(journalDir(stateDir))
	if err != nil {
		return nil, fmt.Errorf("restore journals: %w", err)
	}
	var out []*Journal
	for _, e := range entries {
		name := filepath.Join(journalDir(stateDir), e.Name())
		if filepath.Ext(name) != ".json" {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("restore journal: %w", err)
		}
		j := &Journal{path: name}
		if err := json.Unmarshal(b, j); err != nil {
			return nil, fmt.Errorf("restore journal %s: %w; look at it and move it away", name, err)
		}
		if j.Phase != PhaseDone {
			out = append(out, j)
		}
	}
	return out, nil
}

// clearUnfinished removes what restores left behind that had not touched the node yet, and reports one that had.
func clearUnfinished(stateDir string) error {
	list, err := unfinished(stateDir)
	if err != nil {
		return err
	}
	for _, j := range list {
		if j.Phase != PhaseFetch && j.Phase != PhaseStop {
			return &UnfinishedError{Journal: *j, Path: j.path}
		}
		for _, m := range j.Moves {
			// Only what carries this restore's own name is removed, whatever the journal says.
			if filepath.Base(filepath.Dir(m.Staging)) != stagingName(j.ID) {
				continue
			}
			if err := os.RemoveAll(filepath.Dir(m.Staging)); err != nil {
				return fmt.Errorf("remove leftovers of an interrupted restore: %w", err)
			}
		}
		if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("restore journal: %w", err)
		}
	}
	return nil
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
