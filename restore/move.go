package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Move is one directory of the node whose content is exchanged: where the old files go and where the fetched ones come
// from ("" for directories that are only emptied). The directory itself stays: it may be a mount point, and carries owner
// and mode.
type Move struct {
	Live    string   `json:"live"`
	Staging string   `json:"staging,omitempty"`
	Before  string   `json:"before"`
	Undone  string   `json:"undone,omitempty"`
	Keep    []string `json:"keep,omitempty"` // names that stay where they are
}

// aside moves the old files away, fill the fetched ones in. Each may be run again after it was interrupted, for none
// begins before the one before it has ended: what still lies in a place at any time of aside is old.
func aside(moves []Move, at func(string)) error {
	for _, m := range moves {
		if err := moveChildren(m.Live, m.Before, m.Keep, at); err != nil {
			return err
		}
	}
	return nil
}

func fill(moves []Move, at func(string)) error {
	for _, m := range moves {
		if m.Staging == "" {
			continue
		}
		if err := moveChildren(m.Staging, m.Live, nil, at); err != nil {
			return err
		}
	}
	return nil
}

// undo takes the restored files out again, with all that Cassandra has written since; giveBack puts the old ones back.
func undo(moves []Move, at func(string)) error {
	for _, m := range moves {
		if err := moveChildren(m.Live, m.Undone, m.Keep, at); err != nil {
			return err
		}
	}
	return nil
}

func giveBack(moves []Move, at func(string)) error {
	for _, m := range moves {
		if err := moveChildren(m.Before, m.Live, nil, at); err != nil {
			return err
		}
	}
	return nil
}

// moveChildren renames everything in from, but what is kept and the directories of restores, into to and makes both
// durable. A directory that is not there has nothing to move. at is told of each step.
func moveChildren(from, to string, keep []string, at func(string)) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return own(e.Name()) || slices.Contains(keep, e.Name()) })
	if len(entries) == 0 {
		return nil
	}
	if err := makeLike(to, from); err != nil {
		return err
	}
	for _, e := range entries {
		target := filepath.Join(to, e.Name())
		if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move %s: %s is in the way", filepath.Join(from, e.Name()), target)
		}
		at("rename")
		if err := os.Rename(filepath.Join(from, e.Name()), target); err != nil {
			return err
		}
	}
	at("renamed")
	// The new names are made durable before the old ones go.
	return errors.Join(syncDir(to), syncDir(filepath.Dir(to)), syncDir(filepath.Dir(filepath.Dir(to))), syncDir(from))
}

// makeLike makes a directory, and those above it, with the owner and mode of another and of those above that.
func makeLike(dir, other string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	info, err := os.Stat(other)
	if err != nil {
		return err
	}
	if err := makeLike(filepath.Dir(dir), filepath.Dir(other)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, info.Mode().Perm()); err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	return os.Chown(dir, int(st.Uid), int(st.Gid))
}

// removeEmpty removes the directories below and including dirs that hold no file.
func removeEmpty(dirs []string) error {
	var all []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, dir := range slices.Backward(all) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
	return nil
}
