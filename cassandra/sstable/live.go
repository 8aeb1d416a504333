package sstable

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Directory is a directory of one table, or of one of its indexes, as it was
// listed. A node with several data directories has several, and a transaction over
// more than one has a copy of its log in each.
type Directory struct {
	// Path is the directory as Cassandra names it in its logs: absolute, and with
	// every symbolic link resolved.
	Path string

	// Files are the base names of all files with their times of modification.
	Files map[string]time.Time

	// Logs are the contents of those files that [IsLog] knows. They are read after
	// the directory was listed, since Cassandra deletes a log last.
	Logs map[string][]byte
}

// listing is a Directory while it is judged.
type listing struct {
	files  map[string]time.Time
	sorted []string
	gone   map[string]bool
}

// of returns the names of the files a record is about, in order.
func (d *listing) of(prefix string) []string {
	at, _ := slices.BinarySearch(d.sorted, prefix)
	end := at
	for end < len(d.sorted) && strings.HasPrefix(d.sorted[end], prefix) {
		end++
	}
	return d.sorted[at:end]
}

// Live returns for each directory the names that are not left over by a
// transaction, in order: all but the logs, the files that an unfinished transaction
// was writing, and the files that a finished one has replaced. It judges all copies
// of a log together, as a node does when it starts (LogFile and LogReplicaSet), and
// gives [ErrDamagedLog] where that node would refuse. On a running node that error
// can also mean that the files changed while they were listed: list again.
func Live(dirs []Directory) ([][]string, error) {
	listings := make(map[string]*listing)
	copies := make(map[string][][]byte)
	for _, d := range dirs {
		l := &listing{files: d.Files, sorted: slices.Sorted(maps.Keys(d.Files)), gone: make(map[string]bool)}
		listings[d.Path] = l
		for name, b := range d.Logs {
			copies[name] = append(copies[name], b)
			l.gone[name] = true
		}
	}
	for name, all := range copies {
		t, err := parseLog(all)
		if err == nil {
			err = t.apply(listings)
		}
		if err != nil {
			return nil, fmt.Errorf("%w %s: %w", ErrDamagedLog, name, err)
		}
	}
	live := make([][]string, len(dirs))
	for i, d := range dirs {
		l := listings[d.Path]
		live[i] = slices.DeleteFunc(l.sorted, func(name string) bool { return l.gone[name] })
	}
	return live, nil
}

// apply marks the files that the log's transaction leaves over.
func (t txnLog) apply(listings map[string]*listing) error {
	goes := LogAdd
	if t.committed() {
		goes = LogRemove
	}
	for _, r := range t.records {
		if r.Type.final() {
			continue
		}
		dir, prefix := r.split()
		l := listings[dir]
		if l == nil {
			return fmt.Errorf("it names %s, which is not in a directory that was listed", r.Path)
		}
		names := l.of(prefix)
		if err := t.check(r, l, names); err != nil {
			return err
		}
		if r.Type != goes {
			continue
		}
		for _, name := range names {
			l.gone[name] = true
		}
	}
	return nil
}

// check holds a removal against the files: they may be gone once the transaction
// has completed and its last line is sound, and else must all be there; and where
// there are any they are the ones that were meant, not later ones of that name.
func (t txnLog) check(r LogRecord, l *listing, names []string) error {
	if r.Type != LogRemove {
		return nil
	}
	if len(names) < r.Files && (t.damaged || !t.completed()) {
		return fmt.Errorf("it removes %d files of %s, of which there are %d, and is not finished", r.Files, r.Path, len(names))
	}
	for _, statistics := range []bool{false, true} {
		newest, found := l.newest(names, statistics)
		if !found || newest/1000 == r.UpdateTime/1000 {
			return nil
		}
	}
	return fmt.Errorf("it removes files of %s as they were at %d, and they changed since", r.Path, r.UpdateTime)
}

// newest is when the newest file was modified, in milliseconds. A node may
// rewrite Statistics.db late, and early releases counted it all the same.
func (l *listing) newest(names []string, statistics bool) (newest int64, found bool) {
	for _, name := range names {
		if strings.HasSuffix(name, ".tmp") || !statistics && strings.HasSuffix(name, "-"+Statistics) {
			continue
		}
		newest, found = max(newest, l.files[name].UnixMilli()), true
	}
	return newest, found
}
