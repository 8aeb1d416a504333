package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cbk/snapshot"
)

// InPlace restores a node snapshot onto the node it was taken from.
type InPlace struct {
	Snap     *snapshot.Snapshot
	Host     Host
	Plan     *Plan
	StateDir string
	Log      *slog.Logger
	Progress snapshot.Progress
}

// Outcome is what a finished restore in place did.
type Outcome struct {
	Files   int      // restored, and compared with their hash from disk
	Bytes   int64    // restored
	Queried int      // tables that answered a query afterwards
	Before  []string // where the old files are
}

const (
	// startTimeout bounds the wait for CQL: a node replays no commit log after a restore, but opens every SSTable.
	startTimeout = 15 * time.Minute
	stopTimeout  = 2 * time.Minute
)

// Run carries the plan out. Until the first move nothing of the node is touched, and an error then leaves it as it was.
// Errors: *DamagedError, *UnfinishedError for an earlier restore that was interrupted.
func (r *InPlace) Run(ctx context.Context) (*Outcome, error) {
	release, err := lock(r.StateDir)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := clearUnfinished(r.StateDir); err != nil {
		return nil, err
	}
	if err := r.vacant(); err != nil {
		return nil, err
	}
	j := &Journal{ID: r.Plan.ID, Backup: r.Plan.Backup, Node: r.Plan.Node, Started: time.Now().UTC(), Moves: r.Plan.Moves}
	if err := j.create(r.StateDir); err != nil {
		return nil, err
	}
	got, err := r.fetch(ctx)
	if err != nil {
		return nil, errors.Join(err, clearUnfinished(r.StateDir))
	}
	if err := j.enter(PhaseStop); err != nil {
		return nil, err
	}
	if err := r.stop(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; nothing was moved", err), clearUnfinished(r.StateDir))
	}
	// From here an interruption must not leave the directories half switched: the moves are renames and take no time.
	if err := r.swap(j); err != nil {
		return nil, fmt.Errorf("switch: %w; the old files are in %s", err, strings.Join(r.before(), ", "))
	}
	out := &Outcome{Files: got.Files, Bytes: got.Bytes, Before: r.before()}
	if out.Queried, err = r.start(ctx, j); err != nil {
		return nil, fmt.Errorf("%w; the restored files are in place, the old ones in %s", err, strings.Join(out.Before, ", "))
	}
	return out, j.enter(PhaseDone)
}

// vacant demands that nothing carries this restore's names yet: what is there would be switched in.
func (r *InPlace) vacant() error {
	for _, m := range r.Plan.Moves {
		for _, dir := range []string{m.Staging, m.Before} {
			if dir == "" {
				continue
			}
			if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s exists already: move it away", dir)
			}
		}
	}
	return nil
}

func (r *InPlace) before() (dirs []string) {
	for _, m := range r.Plan.Moves {
		dirs = append(dirs, m.Before)
	}
	return dirs
}

// fetch writes everything beside the data directories and proves it from disk.
func (r *InPlace) fetch(ctx context.Context) (*Fetched, error) {
	var dirs []string
	var own *owner
	for _, m := range r.Plan.Moves {
		if m.Staging == "" {
			continue
		}
		info, err := os.Stat(m.Live)
		if err != nil {
			return nil, fmt.Errorf("data directory: %w", err)
		}
		st := info.Sys().(*syscall.Stat_t)
		own = &owner{uid: int(st.Uid), gid: int(st.Gid), dirMode: info.Mode().Perm()}
		dirs = append(dirs, m.Staging)
	}
	f := &fetch{snap: r.Snap, dirs: dirs, owner: own, progress: r.Progress, made: make(map[string]bool)}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("restore: %w", err)
		}
	}
	r.Log.Info("fetching", "files", r.Plan.Files, "bytes", r.Plan.Bytes)
	got, err := f.run(ctx)
	if err != nil {
		return nil, err
	}
	if len(got.Refused) > 0 {
		return nil, &DamagedError{got.Refused}
	}
	r.Log.Info("comparing restored files with their hashes", "files", got.Files)
	n, err := verifyFiles(ctx, r.Snap, dirs)
	if err == nil && (n != got.Files || n != r.Plan.Files) {
		err = fmt.Errorf("%d files fetched and %d compared, %d are in the backup", got.Files, n, r.Plan.Files)
	}
	return got, err
}

func (r *InPlace) stop(ctx context.Context) error {
	r.Log.Info("stopping Cassandra")
	if err := r.Host.StopCassandra(ctx); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for r.Host.Answers(waiting) {
		select {
		case <-time.After(500 * time.Millisecond):
		case <-waiting.Done():
		}
	}
	// A node that cannot be asked for lack of time has not been seen to be down.
	if waiting.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("after cassandra.stop Cassandra still answers, for %s", stopTimeout)
	}
	return ctx.Err()
}

// swap moves the old files aside and the fetched ones in.
func (r *InPlace) swap(j *Journal) error {
	if err := j.enter(PhaseSwitch); err != nil {
		return err
	}
	for _, m := range r.Plan.Moves {
		if err := moveChildren(m.Live, m.Before); err != nil {
			return err
		}
	}
	for _, m := range r.Plan.Moves {
		if m.Staging == "" {
			continue
		}
		if err := moveChildren(m.Staging, m.Live); err != nil {
			return err
		}
		if err := removeEmpty(m.Staging, filepath.Dir(m.Staging)); err != nil {
			return err
		}
	}
	return nil
}

// moveChildren renames everything in from into to and makes both durable. The directories themselves stay: they may be
// mount points, and carry owner and mode. cbk's own directories inside a mount point are left alone.
func moveChildren(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "cbk-before-") || strings.HasPrefix(e.Name(), "cbk-restore-") {
			continue
		}
		target := filepath.Join(to, e.Name())
		if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move %s: %s is in the way", filepath.Join(from, e.Name()), target)
		}
		if err := os.Rename(filepath.Join(from, e.Name()), target); err != nil {
			return err
		}
	}
	// The new names are made durable before the old ones go.
	return errors.Join(syncDir(to), syncDir(filepath.Dir(to)), syncDir(filepath.Dir(filepath.Dir(to))), syncDir(from))
}

// removeEmpty removes directories that hold nothing any more; the last may be shared and still hold something.
func removeEmpty(dir, shared string) error {
	if err := os.Remove(dir); err != nil {
		return err
	}
	if err := os.Remove(shared); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return err
	}
	return nil
}

// start brings Cassandra up on the restored files and asks it for every restored user table.
func (r *InPlace) start(ctx context.Context, j *Journal) (queried int, err error) {
	if err := j.enter(PhaseStart); err != nil {
		return 0, err
	}
	r.Log.Info("starting Cassandra")
	if err := r.Host.StartCassandra(ctx); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := r.Host.WaitUp(ctx); err != nil {
		return 0, err
	}
	id, err := r.Host.Identity(ctx)
	if err != nil {
		return 0, err
	}
	if !strings.EqualFold(id.HostID, r.Snap.HostID) {
		return 0, fmt.Errorf("the restored node calls itself %s, the backup is of %s", id.HostID, r.Snap.HostID)
	}
	for _, t := range r.Snap.Node.Tables {
		if isSystem(t.Keyspace) {
			continue
		}
		if err := r.Host.SampleQuery(ctx, t.Keyspace, t.Name); err != nil {
			return queried, fmt.Errorf("query restored table %s.%s: %w", t.Keyspace, t.Name, err)
		}
		queried++
	}
	return queried, nil
}

// isSystem tells Cassandra's own keyspaces by their exact names: a user's may start alike.
func isSystem(keyspace string) bool {
	switch keyspace {
	case "system", "system_schema", "system_auth", "system_distributed", "system_traces", "system_cluster_metadata":
		return true
	}
	return false
}
