package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Cassandra takes only word characters in the names of keyspaces and tables
// (SchemaConstants.PATTERN_WORD_CHARS); length is bounded by a file's name.
var tableName = regexp.MustCompile(`^\w{1,222}$`)

// Snapshot has Cassandra flush every table of some keyspaces, or of all where
// none is named, and take a snapshot of them under a tag of 1 to 64 of a-z, 0-9
// and dash. A tag that exists already is an error. A failure is a *CommandError;
// part of the snapshot may exist then, and ClearSnapshot removes it.
func (n *Node) Snapshot(ctx context.Context, tag string, keyspaces ...string) error {
	if err := checkTag(tag); err != nil {
		return err
	}
	for _, k := range keyspaces {
		if !tableName.MatchString(k) {
			return fmt.Errorf("%q is not the name of a keyspace", k)
		}
	}
	_, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, append([]string{"snapshot", "-t", tag}, keyspaces...)...)
	return err
}

// ClearSnapshot has Cassandra remove the snapshot of a tag from all keyspaces.
// A tag that does not exist is no error. A failure is a *CommandError.
func (n *Node) ClearSnapshot(ctx context.Context, tag string) error {
	if err := checkTag(tag); err != nil {
		return err
	}
	_, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "clearsnapshot", "-t", tag)
	return err
}

// TableDir is the snapshot directory of one table in one data directory, or its live directory.
type TableDir struct {
	Keyspace string
	Table    string
	ID       string // 32 hex digits, or empty for a table made before 2.1
	DataDir  int    // index in Layout.DataDirs
	Path     string // the directory, absolute
	Live     string // KEYSPACE/TABLE-ID with slashes, relative to the data directory
	// Shared are the live directories of the table in all data directories, be they there or not. Of a snapshot
	// directory it is nil.
	Shared []string
}

// SnapshotTables lists the directories of a snapshot over all data directories,
// in the order of keyspace, table, id and data directory. It reads names only.
// Where a table has no directory in any data directory, Cassandra has not
// snapshotted it.
func (n *Node) SnapshotTables(tag string) ([]TableDir, error) {
	if tag == "" || tag == "." || tag == ".." || strings.ContainsAny(tag, "/\x00") {
		return nil, fmt.Errorf("snapshot tag %q is not the name of a directory", tag)
	}
	var all []TableDir
	for i, dir := range n.layout.DataDirs {
		found, err := snapshotTables(dir, i, tag)
		if err != nil {
			return nil, fmt.Errorf("list snapshot %s: %w", tag, err)
		}
		all = append(all, found...)
	}
	sortTables(all)
	return all, nil
}

func snapshotTables(dataDir string, index int, tag string) ([]TableDir, error) {
	keyspaces, err := directories(dataDir)
	if err != nil {
		return nil, err
	}
	var found []TableDir
	for _, keyspace := range keyspaces {
		tables, err := directories(filepath.Join(dataDir, keyspace))
		if err != nil {
			return nil, err
		}
		for _, table := range tables {
			snap := filepath.Join(dataDir, keyspace, table, snapshotsDir, tag)
			if there, err := isDirectory(snap); err != nil {
				return nil, err
			} else if !there {
				continue
			}
			name, id, ok := parseTableDir(table)
			if !ok || !tableName.MatchString(keyspace) {
				return nil, fmt.Errorf("%s lies in no directory named KEYSPACE/TABLE-ID", snap)
			}
			found = append(found, TableDir{
				Keyspace: keyspace, Table: name, ID: id,
				DataDir: index, Path: snap, Live: path.Join(keyspace, table),
			})
		}
	}
	return found, nil
}

// directories lists the directories in dir by name, sorted. Links to directories
// count: Cassandra follows them, and some put a keyspace on another disk so.
func directories(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			there, err := isDirectory(filepath.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			if there {
				names = append(names, e.Name())
			}
		} else if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func isDirectory(name string) (bool, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}
