package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cbk/cassandra/node"
	"cbk/repo"
)

// Prepared is a snapshot of a node that stands and waits to be stored, so that the nodes of a cluster can be snapshotted at
// nearly the same moment and stored a few at a time. It is kept in the state directory, from before Cassandra is asked for
// the snapshot until that is cleared.
type Prepared struct {
	Backup    string       `json:"backup"`
	HostID    string       `json:"host_id"`
	Tag       string       `json:"tag"`
	Selection Selection    `json:"selection"`
	Started   time.Time    `json:"started"` // when the snapshot was asked for
	Ready     *time.Time   `json:"ready"`   // when it stood; null before
	Before    []node.Table `json:"before,omitempty"`
	Schema    node.Schema  `json:"schema"` // once it stood
}

// ErrNotPrepared says that there is no snapshot to be stored for a backup.
var ErrNotPrepared = errors.New("no snapshot stands for this backup")

// preparedName is the file in the state directory; there is at most one.
const preparedName = "prepared.json"

// maxPrepared is far above the schema of a node with a hundred thousand tables.
const maxPrepared = 512 << 20

// LoadPrepared reads what stands prepared; nil if nothing does.
func LoadPrepared(stateDir string) (*Prepared, error) {
	b, err := node.ReadBounded(filepath.Join(stateDir, preparedName), maxPrepared)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	p := &Prepared{}
	if err == nil {
		err = json.Unmarshal(b, p)
	}
	if err == nil && (p.Tag == "" || p.Backup == "") {
		err = errors.New("it names no snapshot")
	}
	if err != nil {
		return nil, fmt.Errorf("prepared snapshot in %s: %w", stateDir, err)
	}
	return p, nil
}

func (p *Prepared) save(stateDir string) error {
	b, err := json.Marshal(p)
	name := filepath.Join(stateDir, preparedName)
	if err == nil {
		err = os.WriteFile(name+".tmp", b, 0o600)
	}
	if err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err != nil {
		return fmt.Errorf("note the prepared snapshot: %w", err)
	}
	return nil
}

// Prepare takes the snapshot of a backup and leaves it. One that stands for the same backup is returned as it is; one of
// another backup is cleared first. Only Name, Selection, Domain, Now and Log of the options count. The error matches
// [repo.ErrSnapshotExists] for a name that is taken.
func Prepare(ctx context.Context, r *repo.Repo, src Source, stateDir string, opt Options) (*Prepared, error) {
	b := &backup{opt: opt, src: src}
	if err := errors.Join(opt.check(), b.identify(ctx)); err != nil {
		return nil, err
	}
	if _, err := b.free(ctx, r); err != nil {
		return nil, err
	}
	old, err := LoadPrepared(stateDir)
	if err != nil {
		return nil, err
	}
	if old != nil {
		if old.HostID == b.cat.HostID && old.Selection.ID() == opt.Selection.ID() {
			if p, err := old.For(b.cat.Backup, src); err == nil {
				return p, nil
			}
		}
		if err := old.Clear(ctx, src, stateDir); err != nil {
			return nil, err
		}
	}
	p := &Prepared{Backup: b.cat.Backup, HostID: b.cat.HostID, Selection: opt.Selection, Started: opt.Now().UTC()}
	p.Tag = fmt.Sprintf("cbk-%d", p.Started.UnixMicro())
	return p, p.take(ctx, src, stateDir, &opt)
}

// take has Cassandra take the snapshot. It is noted first: what stands must be known even if nobody hears that it does.
func (p *Prepared) take(ctx context.Context, src Source, stateDir string, opt *Options) error {
	before, err := opt.Selection.schema(ctx, src)
	if err != nil {
		return err
	}
	p.Before = before.Tables
	if err := p.save(stateDir); err != nil {
		return err
	}
	opt.Log.Info("taking snapshot", "tag", p.Tag, "backup", p.Backup)
	err = src.Snapshot(ctx, p.Tag, opt.Selection.keyspaces(before.Tables)...)
	if err == nil {
		p.Schema, err = src.Schema(ctx)
	}
	if err == nil {
		now := opt.Now().UTC()
		p.Ready = &now
		err = p.save(stateDir)
	}
	if err != nil {
		return errors.Join(err, p.Clear(ctx, src, stateDir))
	}
	return nil
}

// stands looks whether the snapshot is still there: operators clear what they do not know.
func (p *Prepared) stands(src Source) bool {
	dirs, err := src.SnapshotTables(p.Tag)
	return err == nil && len(dirs) > 0
}

// Clear has Cassandra clear the snapshot and forgets it, also when ctx has ended.
func (p *Prepared) Clear(ctx context.Context, src Source, stateDir string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTimeout)
	defer cancel()
	if err := src.ClearSnapshot(ctx, p.Tag); err != nil {
		return fmt.Errorf("clear snapshot %s of backup %s: %w", p.Tag, p.Backup, err)
	}
	if err := os.Remove(filepath.Join(stateDir, preparedName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the prepared snapshot: %w", err)
	}
	return nil
}

// For returns what stands prepared for a backup; the error matches ErrNotPrepared where nothing does.
func (p *Prepared) For(backup string, src Source) (*Prepared, error) {
	if p == nil || p.Ready == nil || p.Backup != backup || !p.stands(src) {
		return nil, fmt.Errorf("%w: prepare backup %s first", ErrNotPrepared, backup)
	}
	return p, nil
}

// RootOf returns where the root of a backup of the node stands; the error matches [store.ErrNotFound] if it is not recorded.
// Only Name, Domain, Now and Log of the options count.
func RootOf(ctx context.Context, r *repo.Repo, src Source, opt Options) (root string, err error) {
	b := &backup{opt: opt, src: src}
	if err := b.identify(ctx); err != nil {
		return "", err
	}
	return r.Find(ctx, b.domain, b.cat.Backup)
}
