package restore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"cbk/cassandra/node"
	"cbk/cassandra/sstable"
)

// refreshGap parts the numbers that imported SSTables get from those that Cassandra gives meanwhile: more than it writes in
// any table between this and the refresh, after which it has given them numbers of its own.
const refreshGap = 1 << 20

// refresh puts SSTables into the directories of a table, for a release before 4.0, and has Cassandra open them there. The
// files are hard links, the data file last: whatever interrupts it, what was fetched is still there, and Cassandra opens no
// SSTable that is not whole.
func (r *Job) refresh(ctx context.Context, t *Task, waiting []string) error {
	p := r.Journal.Plan
	id, err := r.tableID(ctx, t)
	if err != nil {
		return err
	}
	live := func(i int) string {
		return filepath.Join(p.Places.Dirs[i].Live, p.into(t.Keyspace), t.Table+"-"+id)
	}
	if err := r.number(); err != nil {
		return err
	}
	var placed []string
	for i, data := range waiting {
		d, _, err := sstable.ParseName(filepath.Base(data))
		if err != nil {
			return err
		}
		d.ID = strconv.Itoa(r.Journal.Generation + i)
		to := live(p.placeOf(data))
		if err := r.link(data, filepath.Join(to, d.Prefix())); err != nil {
			return err
		}
		placed = append(placed, filepath.Join(to, d.Prefix()+sstable.Data))
	}
	r.point("refresh")
	if err := r.Host.Refresh(ctx, p.into(t.Keyspace), t.Table); err != nil {
		return err
	}
	r.point("refreshed")
	if i := slices.IndexFunc(placed, exists); i >= 0 {
		return fmt.Errorf("after nodetool refresh, %s still has the name that it was put there by: Cassandra has not taken it in, its log says why", placed[i])
	}
	return removeAll(p.stagedDirs(t))
}

// stagedDirs are the directories that a table was fetched to.
func (p *Plan) stagedDirs(t *Task) (dirs []string) {
	for _, d := range p.Places.Dirs {
		dirs = append(dirs, filepath.Join(d.Staging, filepath.FromSlash(t.To)))
	}
	return dirs
}

// tableID is the id in the name of a table's directory.
func (r *Job) tableID(ctx context.Context, t *Task) (string, error) {
	s, err := r.Host.Schema(ctx)
	if err != nil {
		return "", err
	}
	keyspace := r.Journal.Plan.into(t.Keyspace)
	i := slices.IndexFunc(s.Tables, func(k node.Table) bool { return k.Keyspace == keyspace && k.Name == t.Table })
	if i < 0 {
		return "", fmt.Errorf("%s.%s is gone from the schema of the node", keyspace, t.Table)
	}
	return s.Tables[i].ID, nil
}

// placeOf is the number of the place that a staged file lies in.
func (p *Plan) placeOf(file string) int {
	return max(0, slices.IndexFunc(p.Places.Dirs, func(d Place) bool { return within(file, d.Staging) }))
}

// number chooses, once, the numbers that SSTables are placed under: higher than all that the node has.
func (r *Job) number() error {
	j := r.Journal
	if j.Generation > 0 {
		return nil
	}
	highest := 0
	for _, d := range j.Plan.Places.Dirs {
		err := filepath.WalkDir(d.Live, func(_ string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) { // Cassandra goes on meanwhile
				return nil
			}
			if err != nil {
				return err
			}
			if f, _, err := sstable.ParseName(e.Name()); err == nil {
				if n, err := strconv.Atoi(f.ID); err == nil {
					highest = max(highest, n)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("SSTables of the node: %w", err)
		}
	}
	j.Generation = highest + refreshGap
	return j.enter(PhaseImport)
}

// link gives the components of a staged SSTable other names, the data file's last.
func (r *Job) link(data, prefix string) error {
	of, _, err := sstable.ParseName(filepath.Base(data))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Dir(data))
	if err != nil {
		return fmt.Errorf("fetched files: %w", err)
	}
	add := func(component string) error {
		r.point("link")
		err := os.Link(filepath.Join(filepath.Dir(data), of.Prefix()+component), prefix+component)
		if errors.Is(err, fs.ErrExist) { // of a run that was interrupted
			return nil
		}
		return err
	}
	for _, e := range entries {
		d, component, err := sstable.ParseName(e.Name())
		if err != nil || d != of || component == sstable.Data {
			continue
		}
		if err := add(component); err != nil {
			return fmt.Errorf("place SSTable: %w", err)
		}
	}
	if err := add(sstable.Data); err != nil {
		return fmt.Errorf("place SSTable: %w", err)
	}
	return syncDir(filepath.Dir(prefix))
}
