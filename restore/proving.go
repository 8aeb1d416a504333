package restore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cbk/cassandra/node"
	"cbk/cassandra/schema"
	"cbk/restore/fit"
	"cbk/restore/prove"
)

// Verification is what shows that a restored node has the data.
type Verification struct {
	Mode    prove.Mode // empty: samples
	Level   string     // consistency level of queries; empty: LOCAL_ONE
	Queries []prove.Query
}

// expectations are what must be found after the start, told from the restored files before it: compactions replace them.
type expectations struct {
	Plan      *prove.Plan `json:"plan"`
	Unsampled []Unsampled `json:"unsampled"`
}

// Unsampled is a table of which it could not be told what must be there.
type Unsampled struct {
	Keyspace string `json:"keyspace"`
	Table    string `json:"table"`
	Why      string `json:"why"`
}

func (r *Job) expectName() string { return r.Journal.beside(".expect") }

// expect samples the restored files, once. What cannot be sampled does not keep the node down.
func (r *Job) expect(ctx context.Context) error {
	if _, err := os.Stat(r.expectName()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p := r.Journal.Plan
	now := time.Now().UTC()
	o := prove.Options{Mode: r.Verify.Mode, Level: r.Verify.Level, Seed: uint64(now.UnixNano()), Now: now, Sole: p.Alone,
		Whole: p.WholeCluster || p.Alone}
	e := &expectations{}
	var err error
	if e.Plan, err = prove.Prepare(ctx, nil, o); err != nil {
		return err
	}
	tables, absent := r.provable(ctx)
	for _, t := range p.Tables {
		if isSystem(t.Keyspace) {
			continue
		}
		i := slices.IndexFunc(tables, func(k prove.Table) bool { return k.Keyspace == t.Keyspace && k.Name == t.Table })
		if i < 0 {
			e.Unsampled = append(e.Unsampled, Unsampled{t.Keyspace, t.Table, absent})
			continue
		}
		one, err := prove.Prepare(ctx, tables[i:i+1], o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			e.Unsampled = append(e.Unsampled, Unsampled{t.Keyspace, t.Table, err.Error()})
			continue
		}
		e.Plan.Tables = append(e.Plan.Tables, one.Tables...)
	}
	b, err := json.Marshal(e)
	if err == nil {
		err = writeDurably(r.expectName(), b)
	}
	if err != nil {
		return fmt.Errorf("what must be found after the start: %w", err)
	}
	return nil
}

// provable describes the restored tables by the schema in their node's files; absent says why one has no description.
func (r *Job) provable(ctx context.Context) (tables []prove.Table, absent string) {
	absent = "it is not in the schema that the node's files hold"
	if r.FileSchema == nil {
		return nil, "the schema in the node's files is not read"
	}
	sys, err := r.FileSchema(ctx)
	var known []fit.Table
	if err == nil {
		known, err = fit.FromRows(&sys, func(keyspace string) bool { return !isSystem(keyspace) })
	}
	if err != nil {
		return nil, "the schema in the node's files cannot be read: " + err.Error()
	}
	places := &r.Journal.Plan.Places
	for _, k := range known {
		i := slices.IndexFunc(r.Journal.Plan.Tables, func(t Task) bool { return t.Keyspace == k.Keyspace && t.Table == k.Name })
		if i < 0 {
			continue
		}
		t := prove.Table{Keyspace: k.Keyspace, Name: k.Name, View: k.View, Dropped: make(map[string]int64)}
		for _, c := range k.Partition {
			t.Key = append(t.Key, c.Name)
		}
		for _, d := range k.Dropped {
			t.Dropped[d.Name] = d.Micros
		}
		for _, d := range places.Dirs[:places.UserDirs] {
			t.Dirs = append(t.Dirs, filepath.Join(d.Live, filepath.FromSlash(r.Journal.Plan.Tables[i].To)))
		}
		tables = append(tables, t)
	}
	return tables, absent
}

// maxExpect bounds what is read back of expectations: a few partitions of each table.
const maxExpect = 256 << 20

// Check asks the started node for what must be there. What is not gives a *prove.UnprovenError, after which the restore can
// be verified again or rolled back.
func (r *Job) Check(ctx context.Context) (*prove.Report, error) {
	j := r.Journal
	if j.Phase != PhaseVerify {
		return nil, errors.Join(r.notUndone(), fmt.Errorf("the restore %s is in phase %q and has nothing to verify", j.Plan.ID, j.Phase))
	}
	b, err := node.ReadBounded(r.expectName(), maxExpect)
	e := &expectations{}
	if err == nil {
		err = json.Unmarshal(b, e)
	}
	if err != nil || e.Plan == nil {
		return nil, fmt.Errorf("what must be found after the start: %w", err)
	}
	r.Log.Info("verifying", "tables", len(e.Plan.Tables), "unsampled", len(e.Unsampled))
	if r.Verify.Level != "" {
		e.Plan.Options.Level = r.Verify.Level
	}
	if r.Verify.Mode == prove.Hashes {
		e.Plan.Options.Mode = prove.Hashes
	}
	if e.Plan.Options.Mode == prove.Hashes {
		e.Unsampled = nil
	}
	report, err := prove.Check(ctx, r.Host, e.Plan, r.Verify.Queries)
	if err != nil {
		return report, err
	}
	for _, t := range e.Unsampled {
		report.Unsampled(t.Keyspace, t.Table, t.Why, r.Host.SampleQuery(ctx, t.Keyspace, t.Table))
	}
	if err := errors.Join(report.Err(), ctx.Err()); err != nil {
		return report, err
	}
	return report, j.enter(PhaseDone)
}

// FileSchema reads the schema of a stopped node from its files.
type FileSchema func(context.Context) (schema.System, error)
