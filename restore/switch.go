package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cbk/cassandra/node"
)

const (
	// startTimeout bounds the wait for CQL: a node replays no commit log after a restore, but opens every SSTable.
	startTimeout = 15 * time.Minute
	stopTimeout  = 2 * time.Minute
)

// Switch stops Cassandra and puts the fetched files into the place of the old ones. Until the first move nothing of the
// node is touched, and an error then leaves it as it was.
func (r *Job) Switch(ctx context.Context) error {
	j := r.Journal
	switch {
	case j.Phase == PhaseFetch:
		return fmt.Errorf("the restore %s is not fetched yet", j.Plan.ID)
	case j.Phase.reached(PhaseStart):
		return r.notUndone()
	}
	if !j.Phase.reached(PhaseAside) {
		if err := r.down(ctx); err != nil {
			return fmt.Errorf("%w; nothing was moved", err)
		}
		j.Phase = PhaseAside
	} else if r.Host.Answers(ctx) {
		if err := r.stop(ctx); err != nil {
			return err
		}
	}
	// From here an interruption must not leave the directories half switched: the moves are renames and take no time.
	if err := r.exchange(ctx); err != nil {
		return fmt.Errorf("switch: %w; the old files are in %s", err, strings.Join(j.Before(), ", "))
	}
	return j.enter(PhaseStart)
}

// down proves what was fetched, if that was not done just before, and ends Cassandra.
func (r *Job) down(ctx context.Context) error {
	j := r.Journal
	if !r.proven {
		r.Log.Info("comparing fetched files with their hashes once more", "files", j.Plan.Files)
		if err := r.landed(ctx, func(d Place) string { return d.Staging }, true); err != nil {
			return err
		}
	}
	if err := j.enter(PhaseStop); err != nil {
		return err
	}
	if !j.Plan.whole() {
		if err := r.drain(ctx, &j.Drained); err != nil {
			return err
		}
	}
	return r.stop(ctx)
}

// drain has Cassandra write out what its commit log holds: that of tables that stay must not be lost with it, and that of
// the restored ones must not be replayed. That it is done is noted in the journal.
func (r *Job) drain(ctx context.Context, done *bool) error {
	if *done {
		return nil
	}
	if !r.Host.Answers(ctx) {
		return errors.New("no answer from Cassandra, whose commit log may hold writes to other tables: start it and go on")
	}
	r.Log.Info("draining Cassandra")
	if err := r.Host.Drain(ctx); err != nil {
		return err
	}
	*done = true
	return r.Journal.enter(r.Journal.Phase)
}

func (r *Job) stop(ctx context.Context) error {
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

// exchange moves the old files aside and the fetched ones in, and demands that all of these have arrived.
func (r *Job) exchange(ctx context.Context) error {
	j := r.Journal
	if j.Phase == PhaseAside {
		if err := r.step(PhaseAside, aside); err != nil {
			return err
		}
		if err := j.enter(PhaseFill); err != nil {
			return err
		}
	}
	if err := fill(j.Plan.Moves, r.point); err != nil {
		return err
	}
	if err := r.landed(ctx, func(d Place) string { return d.Live }, false); err != nil {
		return err
	}
	return removeEmpty(j.staging())
}

// landed demands that every proven file is where it should be, of its size or even of its hash.
func (r *Job) landed(ctx context.Context, where func(Place) string, content bool) error {
	dirs, files := r.Journal.Plan.Places.Dirs, 0
	err := readProof(r.proofName(), r.Journal.Proof, func(p proven) error {
		if p.dir >= len(dirs) {
			return fmt.Errorf("proof of restored files: data directory %d", p.dir)
		}
		files++
		return p.check(ctx, filepath.Join(where(dirs[p.dir]), p.path), content)
	})
	if err == nil && files != r.Journal.Plan.Files {
		err = fmt.Errorf("proof of restored files: %d files, %d were planned", files, r.Journal.Plan.Files)
	}
	return err
}

func (p *proven) check(ctx context.Context, name string, content bool) error {
	info, err := os.Lstat(name)
	if err == nil && (!info.Mode().IsRegular() || info.Size() != p.size) {
		err = fmt.Errorf("%s is not as it was restored", name)
	}
	if err != nil || !content {
		return err
	}
	got, err := hashFile(name)
	if err == nil && got != p.sum {
		err = fmt.Errorf("%s %w", name, errMismatch)
	}
	return errors.Join(err, ctx.Err())
}

// Start brings Cassandra up on the restored files.
func (r *Job) Start(ctx context.Context) error {
	j := r.Journal
	switch {
	case j.Phase.reached(PhaseVerify):
		return r.notUndone()
	case j.Phase != PhaseStart:
		return fmt.Errorf("the restore %s is in phase %q and has nothing to start yet", j.Plan.ID, j.Phase)
	}
	if err := r.bringUp(ctx); err != nil {
		return fmt.Errorf("%w; the restored files are in place, the old ones in %s", err, strings.Join(j.Before(), ", "))
	}
	return j.enter(PhaseVerify)
}

func (r *Job) bringUp(ctx context.Context) error {
	p := r.Journal.Plan
	if err := r.expect(ctx); err != nil {
		return err
	}
	if p.FirstStart != nil {
		if err := r.Host.PrepareFirstStart(ctx, p.FirstStart, r.yamlName()); err != nil {
			return err
		}
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := r.isWho(ctx); err != nil {
		return err
	}
	if p.FirstStart != nil {
		if err := r.Host.EndFirstStart(ctx, p.FirstStart); err != nil {
			return err
		}
	}
	return r.rebuild(ctx)
}

// yamlName is where the operator's cassandra.yaml is kept until the restore is committed.
func (r *Job) yamlName() string { return r.Journal.beside(".cassandra.yaml") }

// rebuild builds the indexes that did not come with the files. A node believes of an index table that it is whole, and
// would find nothing through it.
func (r *Job) rebuild(ctx context.Context) error {
	for _, t := range r.Journal.Plan.Fit {
		if len(t.Build) == 0 {
			continue
		}
		r.Log.Info("building indexes", "keyspace", t.Keyspace, "table", t.Table, "indexes", t.Build)
		if err := r.Host.RebuildIndexes(ctx, t.Keyspace, t.Table, t.Build...); err != nil {
			return err
		}
	}
	return nil
}

func (r *Job) start(ctx context.Context) error {
	if !r.Host.Answers(ctx) {
		r.Log.Info("starting Cassandra")
		if err := r.Host.StartCassandra(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return r.Host.WaitUp(ctx)
}

// isWho demands that the node is the one that the data is of: by its id, or by its tokens where it has taken them over.
func (r *Job) isWho(ctx context.Context) error {
	p := r.Journal.Plan
	id, err := r.Host.Identity(ctx)
	if err != nil {
		return err
	}
	switch {
	case p.Way == Clone && !sameTokens(id, p.FirstStart):
		return fmt.Errorf("the restored node has tokens %s, the backup is of %s", short(id.Tokens), short(p.FirstStart.Tokens))
	case p.Way == InPlace && !strings.EqualFold(id.HostID, p.HostID):
		return fmt.Errorf("the restored node calls itself %s, the backup is of %s", id.HostID, p.HostID)
	}
	return nil
}

func sameTokens(id node.Identity, f *node.FirstStart) bool {
	return slices.Equal(slices.Sorted(slices.Values(id.Tokens)), slices.Sorted(slices.Values(f.Tokens)))
}

// short is a list of which the first few are enough to see that it is another.
func short(list []string) string {
	if len(list) > 3 {
		return fmt.Sprintf("%s, … (%d)", strings.Join(list[:3], ", "), len(list))
	}
	return strings.Join(list, ", ")
}

// Rollback puts the old files back. What was restored, and what Cassandra has written since, is kept aside. A restore that
// had touched nothing is forgotten.
func (r *Job) Rollback(ctx context.Context) error {
	j := r.Journal
	switch {
	case j.Phase == PhaseUndone:
		return nil
	case j.imports():
		return j.cannotUndo()
	case j.Phase == PhaseCommitted:
		return fmt.Errorf("the restore %s is committed: its old files are gone", j.Plan.ID)
	case !j.Phase.reached(PhaseAside):
		return r.revoke(ctx)
	}
	if err := r.takeBack(ctx); err != nil {
		return fmt.Errorf("roll back: %w; give the command again", err)
	}
	return j.enter(PhaseUndone)
}

// revoke ends a restore that has moved nothing.
func (r *Job) revoke(ctx context.Context) error {
	if r.Journal.Phase == PhaseStop {
		if err := r.start(ctx); err != nil {
			return err
		}
	}
	return r.discard()
}

func (r *Job) takeBack(ctx context.Context) error {
	j := r.Journal
	if err := r.quiet(ctx); err != nil {
		return err
	}
	if !j.Phase.reached(PhaseRevive) {
		if err := r.stop(ctx); err != nil {
			return err
		}
	}
	// While the old files were being moved aside, what is in place is still of them.
	if j.Phase == PhaseAside {
		if err := j.enter(PhaseBack); err != nil {
			return err
		}
	}
	if !j.Phase.reached(PhaseBack) {
		if err := r.step(PhaseUndo, undo); err != nil {
			return err
		}
		if err := j.enter(PhaseBack); err != nil {
			return err
		}
	}
	if j.Phase == PhaseBack {
		if err := r.step(PhaseBack, giveBack); err != nil {
			return err
		}
		if err := j.enter(PhaseRevive); err != nil {
			return err
		}
	}
	if j.Plan.FirstStart != nil {
		if err := r.Host.EndFirstStart(ctx, j.Plan.FirstStart); err != nil {
			return err
		}
	}
	if err := errors.Join(removeAll(j.staging()), removeEmpty(j.Before())); err != nil {
		return err
	}
	return r.start(ctx)
}

// quiet drains a node of which chosen tables are taken back: the commit log of today goes with them, and holds what was
// written to others since. A node that never came up on the restored files has nothing to drain.
func (r *Job) quiet(ctx context.Context) error {
	j := r.Journal
	if j.Plan.whole() || !j.Phase.reached(PhaseStart) || j.Phase.reached(PhaseUndo) || j.Phase == PhaseStart && !r.Host.Answers(ctx) {
		return nil
	}
	return r.drain(ctx, &j.Quiet)
}

// step enters a phase and makes its moves.
func (r *Job) step(p Phase, moves func([]Move, func(string)) error) error {
	if err := r.Journal.enter(p); err != nil {
		return err
	}
	return moves(r.Journal.Plan.Moves, r.point)
}

// Commit removes what a finished restore has kept: the old files or, after a rollback, the restored ones. It cannot be
// taken back.
func (r *Job) Commit() error {
	j := r.Journal
	var err error
	switch {
	case j.imports():
		err = removeAll(j.staging())
	case j.Phase == PhaseDone || j.Phase == PhaseVerify:
		err = removeAll(j.Before())
	case j.Phase == PhaseUndone:
		err = removeAll(j.Undone())
	case j.Phase == PhaseCommitted:
		return nil
	default:
		return fmt.Errorf("the restore %s is in phase %q: go on with it or roll it back first", j.Plan.ID, j.Phase)
	}
	if err != nil {
		return err
	}
	for _, name := range []string{r.proofName(), r.expectName(), r.yamlName()} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return j.enter(PhaseCommitted)
}
