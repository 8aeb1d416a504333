package node

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"cbk/cassandra/sstable"
)

// LiveTables lists the directories of the tables of a node that is stopped, over all its data directories, in the order of
// [Node.SnapshotTables]. It reads names only. Their [TableDir.SSTables] are what the node would find when it starts.
//
// What is in a directory that can be no table's is an error where it is an SSTable, and else passed over. A dropped table
// may have left a directory, with its snapshots or with nothing in it: which tables there are, the schema says.
func LiveTables(l Layout) ([]TableDir, error) {
	var all []TableDir
	for i, dir := range l.DataDirs {
		found, err := liveTables(dir, i)
		if err != nil {
			return nil, fmt.Errorf("list the tables: %w", err)
		}
		all = append(all, found...)
	}
	sortTables(all)
	for i := range all {
		all[i].Shared = sharedBy(l, all[i].Live)
	}
	return all, nil
}

func sortTables(all []TableDir) {
	slices.SortFunc(all, func(a, b TableDir) int {
		return cmp.Or(cmp.Compare(a.Keyspace, b.Keyspace), cmp.Compare(a.Table, b.Table),
			cmp.Compare(a.ID, b.ID), cmp.Compare(a.DataDir, b.DataDir))
	})
}

// sharedBy names a table's directory in every data directory.
func sharedBy(l Layout, live string) []string {
	var shared []string
	for _, dir := range l.DataDirs {
		shared = append(shared, filepath.Join(dir, filepath.FromSlash(live)))
	}
	return shared
}

func liveTables(dataDir string, index int) ([]TableDir, error) {
	keyspaces, err := directories(dataDir)
	if err != nil {
		return nil, err
	}
	var found []TableDir
	for _, keyspace := range keyspaces {
		if keyspace == lostAndFound {
			continue
		}
		tables, err := directories(filepath.Join(dataDir, keyspace))
		if err != nil {
			return nil, err
		}
		for _, table := range tables {
			dir := filepath.Join(dataDir, keyspace, table)
			if path.Join(keyspace, table) == paxosState {
				continue
			}
			name, id, ok := parseTableDir(table)
			if !ok || !tableName.MatchString(keyspace) {
				if err := noSSTables(dir); err != nil {
					return nil, err
				}
				continue
			}
			found = append(found, TableDir{
				Keyspace: keyspace, Table: name, ID: id,
				DataDir: index, Path: dir, Live: path.Join(keyspace, table),
			})
		}
	}
	return found, nil
}

const (
	// lostAndFound is what a file system has in its root, which only root may list.
	lostAndFound = "lost+found"
	// paxosState is where a node keeps the highest ballot it has seen, since 4.1 (PaxosBallotTracker). It is no table, and
	// no snapshot has it.
	paxosState = "system/_paxos_repair_state"
)

// parseTableDir reads the name of a table's directory, which before 2.1 was the table's alone; such a table keeps it.
func parseTableDir(base string) (table, id string, ok bool) {
	if table, id, ok = sstable.ParseTableDir(base); ok {
		return table, id, true
	}
	return base, "", tableName.MatchString(base)
}

// noSSTables refuses a directory that holds a component of an SSTable.
func noSSTables(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, _, err := sstable.ParseName(e.Name()); err == nil {
			return fmt.Errorf("%s lies in no directory named KEYSPACE/TABLE-ID", filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// liveSSTables lists the SSTables of a live directory: what its transaction logs leave, without files that were not
// finished. Logs are judged over all directories of the table and of its indexes, for a transaction has a copy of its log
// in each of them that it writes to.
func (t TableDir) liveSSTables() ([]SSTable, error) {
	var all []sstable.Directory
	own := make(map[string]int) // by sub-directory
	for _, shared := range t.Shared {
		subs, err := indexDirs(shared)
		if err != nil {
			return nil, err
		}
		for _, sub := range subs {
			d, err := readDirectory(filepath.Join(shared, sub))
			if err != nil {
				return nil, err
			}
			if shared == t.Path {
				own[sub] = len(all)
			}
			all = append(all, d)
		}
	}
	live, err := sstable.Live(all)
	if err != nil {
		return nil, err
	}
	var tables []SSTable
	subs, err := indexDirs(t.Path)
	if err != nil {
		return nil, err
	}
	for _, sub := range subs {
		found := make(map[sstable.Descriptor]*SSTable)
		for _, name := range live[own[sub]] {
			if err := t.addLive(found, sub, name); err != nil {
				return nil, err
			}
		}
		tables = append(tables, sorted(found)...)
	}
	return tables, nil
}

// addLive puts a file to its SSTable. Files that a process had not finished when it ended are none of an SSTable.
// Cassandra passes over all other files; what it has written itself are the two of a snapshot, which stay where an
// operator has copied a snapshot back.
func (t TableDir) addLive(found map[sstable.Descriptor]*SSTable, sub, name string) error {
	_, _, err := sstable.ParseName(name)
	switch {
	case errors.Is(err, sstable.ErrTemporary):
		return nil
	case err != nil && sub == "" && (name == snapshotManifest || name == snapshotSchema):
		return nil
	}
	return t.add(found, sub, name)
}

// Directories in a table's that hold what is not live (Directories). A node that starts deletes the last.
const (
	snapshotsDir = "snapshots"
	backupsDir   = "backups"
	temporaryDir = "tmp"
)

// indexDirs lists the sub-directories of a table's directory that have live files: itself, as "", and those of indexes.
// Where there is no directory there are none.
func indexDirs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	subs := []string{""}
	for _, e := range entries {
		if _, index := sstable.ParseIndexDir(e.Name()); index && e.IsDir() {
			subs = append(subs, e.Name())
		}
	}
	return subs, nil
}

// readDirectory lists a directory for [sstable.Live], which wants its path with all links resolved: so Cassandra names it.
func readDirectory(dir string) (d sstable.Directory, err error) {
	if d.Path, err = filepath.EvalSymlinks(dir); err != nil {
		return d, err
	}
	d.Files, d.Logs = make(map[string]time.Time), make(map[string][]byte)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return d, err
	}
	for _, e := range entries {
		_, index := sstable.ParseIndexDir(e.Name())
		if e.IsDir() && (index || e.Name() == snapshotsDir || e.Name() == backupsDir || e.Name() == temporaryDir) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return d, err
		}
		d.Files[e.Name()] = info.ModTime()
		if !info.Mode().IsRegular() || !sstable.IsLog(e.Name()) {
			continue
		}
		if d.Logs[e.Name()], err = ReadBounded(filepath.Join(dir, e.Name()), sstable.MaxLog); err != nil {
			return d, err
		}
	}
	return d, nil
}
