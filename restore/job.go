package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"cbk/restore/prove"
	"cbk/snapshot"
)

// Options are what a job works with.
type Options struct {
	Host     Host
	StateDir string // where the journals are
	Log      *slog.Logger
	Progress snapshot.Progress

	Verify     Verification
	FileSchema FileSchema // nil: no partitions are sampled

	at func(point string) // is told of every step on disk, for tests that end there; may be nil
}

// Job is a restore onto a node on its way. Each phase can be run by a process of its own and run again: what the journal
// claims is proven anew.
type Job struct {
	Options
	Journal *Journal

	release func()
	proven  bool // what was fetched, by this process
}

// Outcome is what a finished restore did.
type Outcome struct {
	Files    int           // restored, and compared with their hash from disk
	Bytes    int64         // restored
	Verified *prove.Report // by queries; nil if the node was verified before
	Before   []string      // where the old files are
}

// Begin writes the journal of a plan. Errors: *UnfinishedError where an earlier restore did not end.
func Begin(opt Options, p *Plan) (*Job, error) {
	r := &Job{Options: opt, Journal: &Journal{Plan: p, Started: time.Now().UTC()}}
	r.Journal.at = r.point
	release, err := lock(opt.StateDir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r.release == nil {
			release()
		}
	}()
	all, err := Journals(opt.StateDir)
	if i := slices.IndexFunc(all, func(j *Journal) bool { return !j.Phase.Over() }); err == nil && i >= 0 {
		err = &UnfinishedError{all[i]}
	}
	if err == nil {
		err = r.vacant()
	}
	if err == nil {
		err = r.Journal.create(opt.StateDir)
	}
	if err != nil {
		return nil, err
	}
	r.release = release
	return r, nil
}

// Resume opens the restore that was interrupted when it did what the order says; nil if there is none.
func Resume(opt Options, o Order) (*Job, error) {
	return find(opt, func(j *Journal) bool { return !j.Phase.Over() && !j.Phase.reached(PhaseUndo) && j.Plan.Order.same(o) })
}

// Find opens a restore by its id; nil if there is none.
func Find(opt Options, id string) (*Job, error) {
	return find(opt, func(j *Journal) bool { return j.Plan.ID == id })
}

func find(opt Options, is func(*Journal) bool) (*Job, error) {
	release, err := lock(opt.StateDir)
	if err != nil {
		return nil, err
	}
	all, err := Journals(opt.StateDir)
	i := slices.IndexFunc(all, is)
	if err != nil || i < 0 {
		release()
		return nil, err
	}
	r := &Job{Options: opt, Journal: all[i], release: release}
	r.Journal.at = r.point
	return r, nil
}

func (r *Job) point(name string) {
	if r.at != nil {
		r.at(name)
	}
}

// Close lets other restores of the state directory begin.
func (r *Job) Close() { r.release() }

// Run does what is left up to the end. An error leaves a journal with which it can be gone on, or rolled back. There is an
// outcome beside a *prove.UnprovenError.
func (r *Job) Run(ctx context.Context, snap *snapshot.Snapshot) (*Outcome, error) {
	if err := r.Fetch(ctx, snap); err != nil {
		return nil, err
	}
	if r.Journal.Plan.Way == Import {
		return r.takeIn(ctx, snap)
	}
	if err := r.Switch(ctx); err != nil {
		return nil, err
	}
	if err := r.Start(ctx); err != nil {
		return nil, err
	}
	p := r.Journal.Plan
	out := &Outcome{Files: p.Files, Bytes: p.Bytes, Before: r.Journal.Before()}
	var err error
	if r.Journal.Phase == PhaseVerify {
		out.Verified, err = r.Check(ctx)
	}
	return out, err
}

// vacant demands that nothing carries this restore's names yet: what is there would be switched in.
func (r *Job) vacant() error {
	for _, dir := range slices.Concat(r.Journal.staging(), r.Journal.Before(), r.Journal.Undone()) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists already: move it away", dir)
		}
	}
	return nil
}

// target says where the tables of a plan are fetched to.
func (p *Plan) target(snap *snapshot.Snapshot) target {
	to := make(map[string]Task)
	for _, t := range p.Tables {
		to[t.From] = t
	}
	var skip func(*snapshot.SSTable) bool
	if p.Way == Import {
		skip = ofIndex
	}
	return target{
		tables: chosen(snap, func(t *snapshot.Table) bool { return to[t.Dir].To != "" }),
		skip:   skip,
		sizes:  to,
		dir: func(t *snapshot.Table, s *snapshot.SSTable) string {
			return filepath.Join(p.Places.Dirs[p.Places.of(t, s)].Staging, filepath.FromSlash(to[t.Dir].To))
		},
	}
}

func (r *Job) proofName() string { return r.Journal.beside(".sha256") }

// Fetch writes everything beside the data directories and proves it from disk. A component that is damaged in the
// repository is a *DamagedError, and nothing is kept then.
func (r *Job) Fetch(ctx context.Context, snap *snapshot.Snapshot) error {
	if r.Journal.Phase != PhaseFetch {
		return r.notUndone()
	}
	p := r.Journal.Plan
	f := &fetch{snap: snap, target: p.target(snap), progress: r.Progress, made: make(map[string]bool)}
	for _, d := range p.Places.Dirs {
		info, err := os.Stat(d.Live)
		if err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		st := info.Sys().(*syscall.Stat_t)
		f.owner = &owner{uid: int(st.Uid), gid: int(st.Gid), dirMode: info.Mode().Perm()}
		if err := os.MkdirAll(filepath.Dir(d.Staging), 0o755); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		switch err := os.Mkdir(d.Staging, 0o755); {
		case errors.Is(err, fs.ErrExist):
			f.resumed = true
		case err != nil:
			return fmt.Errorf("restore: %w", err)
		}
	}
	r.Log.Info("fetching", "files", p.Files, "bytes", p.Bytes)
	got, err := f.run(ctx)
	if err == nil && len(got.Refused) > 0 {
		return errors.Join(&DamagedError{got.Refused}, r.discard())
	}
	if err != nil {
		return err
	}
	return r.prove(ctx, snap, f.target, got)
}

// prove reads back what was fetched and writes down what it is.
func (r *Job) prove(ctx context.Context, snap *snapshot.Snapshot, to target, got *Fetched) error {
	p := r.Journal.Plan
	r.Log.Info("comparing restored files with their hashes", "files", got.Files)
	list, err := newProof(r.proofName(), p.Places.Dirs)
	if err != nil {
		return err
	}
	n, err := verifyFiles(ctx, snap, to, list.add)
	if err == nil && (n != got.Files || n != p.Files) {
		err = fmt.Errorf("%d files fetched and %d compared, %d are in the backup", got.Files, n, p.Files)
	}
	sum, ended := list.end()
	if err = errors.Join(err, ended); err != nil {
		return err
	}
	r.proven, r.Journal.Proof = true, sum
	return r.Journal.enter(PhaseFetched)
}

// discard forgets a restore that has touched nothing.
func (r *Job) discard() error {
	if err := removeAll(r.Journal.staging()); err != nil {
		return err
	}
	for _, name := range []string{r.proofName(), r.Journal.path} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("restore journal: %w", err)
		}
	}
	return nil
}

// notUndone refuses to go on with a restore that is being rolled back or was.
func (r *Job) notUndone() error {
	if j := r.Journal; j.Phase.reached(PhaseUndo) {
		return fmt.Errorf("the restore %s is in phase %q: begin another", j.Plan.ID, j.Phase)
	}
	return nil
}
