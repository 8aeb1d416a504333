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

// DirPlan is what a restore into a directory will do.
type DirPlan struct {
	Backup string    `json:"backup"`
	Node   string    `json:"node"`
	HostID string    `json:"host_id"`
	Dir    string    `json:"to"`
	Tables int       `json:"tables"`
	Files  int       `json:"files"`
	Bytes  int64     `json:"bytes"`
	Free   int64     `json:"free_bytes"` // where the directory is or will be
	Time   *Estimate `json:"time"`       // null until asked for, and where nothing came

	snap *snapshot.Snapshot
	to   target
}

// PlanDir finds out what it means to write the files of the selected tables of a node snapshot into dir, laid out as a data
// directory. dir must be empty or absent. It touches nothing. Errors: [snapshot.ErrNoTable], *SpaceError.
func PlanDir(snap *snapshot.Snapshot, only *snapshot.Selection, dir string) (*DirPlan, error) {
	if err := vacantDir(dir); err != nil {
		return nil, err
	}
	p := &DirPlan{Backup: snap.Backup, Node: snap.Entry.Catalogue.Node, HostID: snap.HostID, Dir: dir, snap: snap, to: target{
		tables: chosen(snap, func(t *snapshot.Table) bool { return only.Has(t.Keyspace, t.Name) }),
		dir: func(t *snapshot.Table, _ *snapshot.SSTable) string {
			return filepath.Join(dir, filepath.FromSlash(t.Dir))
		},
	}}
	if len(p.to.tables) == 0 && len(snap.Node.Tables) > 0 {
		return nil, fmt.Errorf("%w what is selected, in backup %s", snapshot.ErrNoTable, snap.Backup)
	}
	for _, t := range p.to.tables {
		p.Tables++
		p.Files += t.Files
		p.Bytes += t.BytesSource
	}
	var err error
	if p.Free, err = freeAbove(dir); err != nil {
		return nil, err
	}
	if p.Free < p.Bytes {
		return nil, &SpaceError{Dir: dir, Free: p.Free, Need: p.Bytes}
	}
	return p, nil
}

// freeAbove is what is free where dir is or will be made.
func freeAbove(dir string) (int64, error) {
	for {
		free, err := freeBytes(dir)
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return free, err
		}
		dir = up
	}
}

// Estimate tells how long it will take, by fetching a first part.
func (p *DirPlan) Estimate(ctx context.Context) (err error) {
	p.Time, err = estimate(ctx, p.snap, p.to, p.Bytes)
	return err
}

// Fetch carries the plan out. With damage in the repository everything else is written, and the error is a *DamagedError.
func (p *DirPlan) Fetch(ctx context.Context, progress snapshot.Progress) (*Fetched, error) {
	f := &fetch{snap: p.snap, progress: progress, made: make(map[string]bool), target: p.to}
	if err := f.mkdir(filepath.Clean(p.Dir)); err != nil {
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
