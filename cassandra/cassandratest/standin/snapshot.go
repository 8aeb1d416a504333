package standin

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// snapshot makes snapshots/TAG in each table's directory, with hard links of its files and those of its indexes.
func (n *command) snapshot(args []string) error {
	if len(args) < 2 || args[0] != "-t" {
		return fmt.Errorf("nodetool snapshot -t TAG [KEYSPACE...], not %q", args)
	}
	tables, err := n.tables(args[2:])
	if err != nil {
		return err
	}
	for _, table := range tables {
		to := filepath.Join(table, "snapshots", args[1])
		if _, err := os.Stat(to); err == nil {
			return fmt.Errorf("error: Snapshot %s already exists", args[1])
		}
		if err := link(table, to); err != nil {
			return err
		}
	}
	return n.print("Snapshot directory: %s\n", args[1])
}

// clear removes the snapshots of a tag.
func (n *command) clear(args []string) error {
	if len(args) != 2 || args[0] != "-t" || args[1] == "" {
		return fmt.Errorf("nodetool clearsnapshot -t TAG, not %q", args)
	}
	tables, err := n.tables(nil)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := os.RemoveAll(filepath.Join(table, "snapshots", args[1])); err != nil {
			return err
		}
		_ = os.Remove(filepath.Join(table, "snapshots")) // stays while there is another
	}
	return nil
}

// tables are the directories of the tables of some keyspaces, or of all.
func (n *command) tables(keyspaces []string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(n.dir, "data/*/*-*"))
	return slices.DeleteFunc(all, func(dir string) bool {
		return len(keyspaces) > 0 && !slices.Contains(keyspaces, filepath.Base(filepath.Dir(dir)))
	}), err
}

// link makes to and, in it, hard links of the files in from and in its index directories.
func link(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case e.IsDir() && strings.HasPrefix(e.Name(), "."):
			err = link(source, target)
		case !e.IsDir():
			err = os.Link(source, target)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
