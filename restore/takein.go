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

	"cbk/cassandra/schema"
	"cbk/cassandra/sstable"
	"cbk/restore/prove"
	"cbk/snapshot"
)

// takeIn has a running node make what the fetched tables need and take them in, from wherever an earlier run came to.
func (r *Job) takeIn(ctx context.Context, snap *snapshot.Snapshot) (*Outcome, error) {
	j := r.Journal
	if err := r.notUndone(); err != nil {
		return nil, err
	}
	if !r.Host.Answers(ctx) {
		return nil, errors.New("the node does not answer: start it and give the command again")
	}
	if len(j.Imported) < len(j.Plan.Tables) {
		if err := r.staged(ctx); err != nil {
			return nil, err
		}
	}
	for _, step := range []struct {
		phase Phase
		run   func(context.Context, *snapshot.Snapshot) error
	}{{PhaseSchema, r.makeSchema}, {PhaseTruncate, r.truncate}, {PhaseImport, r.importTables}, {PhaseViews, r.makeViews}} {
		if j.Phase.reached(step.phase) && j.Phase != step.phase {
			continue
		}
		if j.Phase != step.phase {
			j.Executed = 0
			if err := j.enter(step.phase); err != nil {
				return nil, err
			}
		}
		if err := step.run(ctx, snap); err != nil {
			return nil, err
		}
	}
	return r.taken(ctx)
}

// staged proves what waits to be imported: every file is there as it was fetched, but for SSTables that Cassandra has taken
// in. It moves the data file of each last.
func (r *Job) staged(ctx context.Context) error {
	j := r.Journal
	if r.proven {
		return nil
	}
	r.Log.Info("comparing fetched files with their hashes once more", "files", j.Plan.Files)
	return readProof(r.proofName(), j.Proof, func(p proven) error {
		if p.dir >= len(j.Plan.Places.Dirs) {
			return fmt.Errorf("proof of restored files: data directory %d", p.dir)
		}
		name := filepath.Join(j.Plan.Places.Dirs[p.dir].Staging, p.path)
		if j.Phase.reached(PhaseImport) && !exists(dataFile(name)) {
			return ctx.Err()
		}
		if err := p.check(ctx, name, true); err != nil {
			return fmt.Errorf("%w: give the restore up with --%s %s, and restore again", err, j.giveUp(), j.Plan.ID)
		}
		return nil
	})
}

// giveUp is what ends an import.
func (j *Journal) giveUp() string {
	if j.imports() {
		return "commit"
	}
	return "rollback"
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist)
}

// dataFile is the data file of the SSTable that a file is of.
func dataFile(name string) string {
	d, _, err := sstable.ParseName(filepath.Base(name))
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(name), d.Prefix()+sstable.Data)
}

// makeSchema makes what the tables need, and then plans anew: nothing may be missing or other than it was expected.
func (r *Job) makeSchema(ctx context.Context, snap *snapshot.Snapshot) error {
	if err := r.execute(ctx, r.Journal.Plan.Online.Schema); err != nil {
		return err
	}
	again := &Plan{Order: r.Journal.Plan.Order, Running: true}
	_, err := again.needs(ctx, snap, r.Host)
	if err == nil && len(again.Online.Schema) > 0 {
		err = fmt.Errorf("it is not there: %.200s", again.Online.Schema[0])
	}
	if err != nil {
		return fmt.Errorf("the schema after it was made: %w", err)
	}
	return nil
}

// execute runs the statements of a phase that are not run yet. One that fails, though what it makes is there, is the one
// at which an earlier run was interrupted.
func (r *Job) execute(ctx context.Context, statements []string) error {
	j := r.Journal
	for j.Executed < len(statements) {
		cql := statements[j.Executed]
		r.Log.Info("running CQL", "statement", firstLine(cql))
		r.point("execute")
		if err := r.Host.Execute(ctx, cql); err != nil {
			if there, looked := r.stands(ctx, cql); looked != nil || !there {
				return errors.Join(err, looked)
			}
		}
		j.Executed++
		if err := j.enter(j.Phase); err != nil {
			return err
		}
	}
	return nil
}

func firstLine(cql string) string {
	line, _, _ := strings.Cut(cql, "\n")
	return line
}

// stands reports whether what a statement makes is on the node.
func (r *Job) stands(ctx context.Context, cql string) (bool, error) {
	s, err := schema.Parse(cql)
	if err != nil {
		return false, err
	}
	live, err := r.Host.Schema(ctx)
	if err != nil {
		return false, err
	}
	d, err := liveDefinitions(&live, s.Keyspace)
	return err == nil && d.has(s), err
}

// truncate empties the tables. It is done once: what comes later is not in its phase.
func (r *Job) truncate(ctx context.Context, _ *snapshot.Snapshot) error {
	for _, name := range r.Journal.Plan.Online.Truncate {
		r.Log.Info("emptying", "table", name)
		keyspace, table, _ := cut(name)
		r.point("truncate")
		if err := r.Host.TruncateTable(ctx, keyspace, table); err != nil {
			return fmt.Errorf("empty %s: %w", name, err)
		}
	}
	return nil
}

func (r *Job) importTables(ctx context.Context, _ *snapshot.Snapshot) error {
	j := r.Journal
	for _, t := range j.Plan.Tables {
		if slices.Contains(j.Imported, t.To) {
			continue
		}
		r.Log.Info("importing", "table", t.To, "sstables", t.SSTables)
		if err := r.importTable(ctx, &t); err != nil {
			return fmt.Errorf("import %s.%s: %w", t.Keyspace, t.Table, err)
		}
		j.Imported = append(j.Imported, t.To)
		if err := j.enter(PhaseImport); err != nil {
			return err
		}
	}
	return nil
}

// importTable imports what is staged of a table. None of it may be left afterwards.
func (r *Job) importTable(ctx context.Context, t *Task) error {
	p := r.Journal.Plan
	waiting, err := p.waiting(t)
	if err != nil || len(waiting) == 0 {
		return err
	}
	if p.Online.Refresh {
		return r.refresh(ctx, t, waiting)
	}
	r.point("import")
	if err := r.Host.Import(ctx, p.into(t.Keyspace), t.Table, directories(waiting)...); err != nil {
		return err
	}
	r.point("imported")
	if waiting, err = p.waiting(t); err == nil && len(waiting) > 0 {
		err = fmt.Errorf("nodetool import ended well and left %d SSTables, first %s; give the command again", len(waiting), waiting[0])
	}
	return err
}

// waiting are the data files of a table that are not taken in, in an order that stays.
func (p *Plan) waiting(t *Task) (files []string, err error) {
	for _, d := range p.Places.Dirs {
		dir := filepath.Join(d.Staging, filepath.FromSlash(t.To))
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("fetched files: %w", err)
		}
		for _, e := range entries {
			if _, c, err := sstable.ParseName(e.Name()); err == nil && c == sstable.Data {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return files, nil
}

// directories are those that files are in, each once.
func directories(files []string) (dirs []string) {
	for _, f := range files {
		dirs = append(dirs, filepath.Dir(f))
	}
	return slices.Compact(dirs)
}

func (r *Job) makeViews(ctx context.Context, _ *snapshot.Snapshot) error {
	return r.execute(ctx, r.Journal.Plan.Online.Views)
}

// taken asks every imported table a query, and ends the import: it keeps nothing. What partitions must hold cannot be told,
// for others write to them meanwhile.
func (r *Job) taken(ctx context.Context) (*Outcome, error) {
	j := r.Journal
	p := j.Plan
	out := &Outcome{Files: p.Files, Bytes: p.Bytes}
	if j.Phase == PhaseCommitted {
		return out, nil
	}
	plan, err := prove.Prepare(ctx, nil, prove.Options{Mode: r.Verify.Mode, Level: r.Verify.Level, Now: time.Now().UTC()})
	if err == nil {
		out.Verified, err = prove.Check(ctx, r.Host, plan, r.Verify.Queries)
	}
	if err != nil {
		return nil, err
	}
	for _, t := range p.Tables {
		keyspace := p.into(t.Keyspace)
		out.Verified.Unsampled(keyspace, t.Table, "the node goes on serving it", r.Host.SampleQuery(ctx, keyspace, t.Table))
	}
	if err := errors.Join(out.Verified.Err(), ctx.Err()); err != nil {
		return out, err
	}
	if err := removeAll(j.staging()); err != nil {
		return nil, err
	}
	return out, r.Commit()
}

// cannotUndo says how to come back from an import.
func (j *Journal) cannotUndo() error {
	back := "delete it by CQL, or TRUNCATE and import another backup"
	if len(j.Plan.Online.Truncate) > 0 {
		back = "where auto_snapshot is on, Cassandra keeps a snapshot truncated-… of each table that was emptied"
	}
	if j.Phase == PhaseCommitted {
		return fmt.Errorf("what Cassandra has taken in cannot be taken out again: %s", back)
	}
	return fmt.Errorf("what Cassandra has taken in cannot be taken out again: go on with the restore, or leave it as it is with cbk restore --commit %s; %s", j.Plan.ID, back)
}
