package node

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"cbk/cassandra/sstable"
)

// SSTable is one SSTable in a snapshot or live directory: its files as they lie there.
type SSTable struct {
	Sub   string // "", or ".INDEX" for an SSTable of a secondary index
	Desc  sstable.Descriptor
	Files []File // in the order of their names
}

// File is one component on disk. Dev, Inode, Size and ModTime are its identity
// for telling whether it changed since another time; for the inode's change time
// there is no place, since taking a snapshot alters it.
type File struct {
	Name    string // base name
	Path    string // absolute
	Size    int64  // bytes
	ModTime time.Time
	Dev     uint64
	Inode   uint64
}

// Files that Cassandra writes into a snapshot directory beside the components:
// the list of the snapshot's files and, for user tables, the table's CQL.
const (
	snapshotManifest = "manifest.json"
	snapshotSchema   = "schema.cql"
)

// SSTables lists the SSTables of this directory and of its index directories, in
// the order of sub-directory and name. An empty table has none. Anything that is
// neither a component nor a file of the snapshot itself is an error that names
// it, and so is a link or any other file that is not regular.
//
// Of a live directory it lists what a node would find that starts: no snapshots
// and backups, nothing that a transaction has left over, nothing unfinished.
func (t TableDir) SSTables() ([]SSTable, error) {
	if t.Shared != nil {
		all, err := t.liveSSTables()
		if err != nil {
			return nil, fmt.Errorf("list the files of %s.%s: %w", t.Keyspace, t.Table, err)
		}
		return all, nil
	}
	all, err := t.list("")
	if err != nil {
		return nil, fmt.Errorf("list snapshot of %s.%s: %w", t.Keyspace, t.Table, err)
	}
	return all, nil
}

func (t TableDir) list(sub string) ([]SSTable, error) {
	entries, err := os.ReadDir(filepath.Join(t.Path, sub))
	if err != nil {
		return nil, err
	}
	found := make(map[sstable.Descriptor]*SSTable)
	var below []SSTable
	for _, e := range entries {
		_, index := sstable.ParseIndexDir(e.Name())
		switch {
		case sub == "" && e.IsDir() && index:
			indexed, err := t.list(e.Name())
			if err != nil {
				return nil, err
			}
			below = append(below, indexed...)
		case sub == "" && (e.Name() == snapshotManifest || e.Name() == snapshotSchema):
		default:
			if err := t.add(found, sub, e.Name()); err != nil {
				return nil, err
			}
		}
	}
	return append(sorted(found), below...), nil
}

// add puts one file to the SSTable it belongs to.
func (t TableDir) add(found map[sstable.Descriptor]*SSTable, sub, name string) error {
	full := filepath.Join(t.Path, sub, name)
	file, err := StatFile(full)
	if err != nil {
		return err
	}
	desc, _, err := sstable.ParseName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", full, err)
	}
	s := found[desc]
	if s == nil {
		s = &SSTable{Sub: sub, Desc: desc}
		found[desc] = s
	}
	s.Files = append(s.Files, file)
	return nil
}

// StatFile tells the identity of a file, and refuses one that is not regular.
func StatFile(full string) (File, error) {
	info, err := os.Lstat(full)
	if err != nil {
		return File{}, err
	}
	if !info.Mode().IsRegular() {
		return File{}, fmt.Errorf("%s is not a regular file but %s", full, info.Mode())
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return File{}, fmt.Errorf("%s: the file system tells no inode", full)
	}
	return File{
		Name: filepath.Base(full), Path: full, Size: info.Size(), ModTime: info.ModTime(),
		Dev: uint64(stat.Dev), Inode: stat.Ino,
	}, nil
}

// sorted returns the SSTables in the order of their names. Their files are in
// order already, as the directory was read.
func sorted(found map[sstable.Descriptor]*SSTable) []SSTable {
	var all []SSTable
	for _, s := range found {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b SSTable) int { return cmp.Compare(a.Desc.Prefix(), b.Desc.Prefix()) })
	return all
}
