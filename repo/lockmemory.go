package repo

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cbk/repo/store"
)

// lockMemory is what this machine knows of the ends of locks, so that a run asks only for those that are new to it or end
// soon. A line for each object, in the order of names:
//
//	end of the lock   seconds since 1970
//	written           of the object, seconds since 1970: what was written later is another object
//	name
//
// A run reads it beside the listing and writes the next one, so that it takes no memory. Whatever is wrong with it costs
// requests and nothing else: no lock in compliance mode ends earlier than was once seen.
type lockMemory struct {
	file  string
	old   *os.File
	lines *bufio.Scanner
	at    lockSeen // of the line last read
	more  bool
	fresh *os.File
	out   *bufio.Writer
}

// openLockMemory opens it in a state directory, "" for none. Only reading, it keeps what is there.
func openLockMemory(stateDir, repository string, readOnly bool) (*lockMemory, error) {
	m := &lockMemory{}
	if stateDir == "" {
		return m, nil
	}
	m.file = filepath.Join(stateDir, "locks", repository)
	old, err := os.Open(m.file)
	if err == nil {
		m.old, m.lines = old, bufio.NewScanner(old)
		m.next()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("local state: %w", err)
	}
	if readOnly {
		return m, nil
	}
	if err = os.MkdirAll(filepath.Dir(m.file), 0o700); err == nil {
		m.fresh, err = os.CreateTemp(filepath.Dir(m.file), ".tmp-")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("local state: %w", err), m.close(false))
	}
	m.out = bufio.NewWriter(m.fresh)
	return m, nil
}

// next reads a line; what is no line ends it.
func (m *lockMemory) next() {
	var until, written int64
	m.more = m.lines.Scan()
	numbers, name, ok := strings.Cut(m.lines.Text(), "\t")
	if _, err := fmt.Sscanf(numbers, "%d %d", &until, &written); err != nil || !ok || name <= m.at.Name {
		m.more = false
	}
	m.at = lockSeen{store.Info{Name: name, ModTime: time.Unix(written, 0)}, time.Unix(until, 0)}
}

// get returns the end of an object's lock, the zero time if it is not known. It is called in the order of names.
func (m *lockMemory) get(i store.Info) time.Time {
	for m.more && m.at.Name < i.Name {
		m.next()
	}
	if m.more && m.at.Name == i.Name && m.at.ModTime.Unix() == i.ModTime.Unix() {
		return m.at.until
	}
	return time.Time{}
}

// put notes the end of a lock, in the order of names.
func (m *lockMemory) put(s *lockSeen) error {
	if m.out == nil || s.until.IsZero() {
		return nil
	}
	if _, err := fmt.Fprintf(m.out, "%d %d\t%s\n", s.until.Unix(), s.ModTime.Unix(), s.Name); err != nil {
		return fmt.Errorf("local state: %w", err)
	}
	return nil
}

// close puts what was noted in the place of what was read, if the run came to its end.
func (m *lockMemory) close(whole bool) (err error) {
	if m.old != nil {
		err = m.old.Close()
	}
	if m.fresh == nil {
		return err
	}
	if m.out != nil {
		err = errors.Join(err, m.out.Flush(), m.fresh.Sync())
	}
	if err = errors.Join(err, m.fresh.Close()); err == nil && whole {
		return os.Rename(m.fresh.Name(), m.file)
	}
	return errors.Join(err, os.Remove(m.fresh.Name()))
}
