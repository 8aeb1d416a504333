package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cbk/snapshot"
)

// ToDir writes the files of the selected tables of a node snapshot into dir, laid out as a data directory. dir must be
// empty or absent. With damage in the repository everything else is written, and the error is a *DamagedError.
func ToDir(ctx context.Context, snap *snapshot.Snapshot, only *snapshot.Selection, dir string, p snapshot.Progress) (*Fetched, error) {
	if err := vacantDir(dir); err != nil {
		return nil, err
	}
	f := &fetch{snap: snap, progress: p, made: make(map[string]bool), target: target{
		tables: chosen(snap, func(t *snapshot.Table) bool { return only.Has(t.Keyspace, t.Name) }),
		dir: func(t *snapshot.Table, _ *snapshot.SSTable) string {
			return filepath.Join(dir, filepath.FromSlash(t.Dir))
		},
	}}
	if len(f.target.tables) == 0 && len(snap.Node.Tables) > 0 {
		return nil, fmt.Errorf("%w what is selected, in backup %s", snapshot.ErrNoTable, snap.Backup)
	}
	if err := f.mkdir(filepath.Clean(dir)); err != nil {
		return nil, err
	}
	got, err := f.run(ctx)
	if err != nil {
		return nil, err
	}
	if len(got.Refused) > 0 {
		return got, &DamagedError{got.Refused}
	}
	return got, nil
}

func vacantDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("restore: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: give --to a directory that is, or that does not exist", dir)
	}
	return nil
}

// chosen are the tables of a snapshot for which take says so.
func chosen(s *snapshot.Snapshot, take func(*snapshot.Table) bool) (out []*snapshot.Table) {
	for i := range s.Node.Tables {
		if t := &s.Node.Tables[i]; take(t) {
			out = append(out, t)
		}
	}
	return out
}
