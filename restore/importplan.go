package restore

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"cbk/cassandra/node"
	"cbk/cassandra/schema"
	"cbk/cassandra/sstable"
	"cbk/snapshot"
)

// Taking is what a plan says of an import beside the tables that are imported.
type Taking struct {
	Release  string   `json:"release"`            // of the node
	Refresh  bool     `json:"refresh,omitempty"`  // it is of before 4.0, and its files are put into place for it
	Foreign  bool     `json:"foreign,omitempty"`  // the node has other tokens than the one of the backup
	Beside   bool     `json:"beside,omitempty"`   // rows come into a table that is not emptied
	Schema   []string `json:"schema"`             // statements that are run before
	Truncate []string `json:"truncate,omitempty"` // tables that are emptied, with their views
	Views    []string `json:"views"`              // statements that are run after
	Built    []string `json:"built,omitempty"`    // views whose rows Cassandra makes of their base tables
	Triggers []string `json:"triggers,omitempty"` // that tables had and do not get: their classes are files of each node
	NotRun   []string `json:"not_run,omitempty"`  // statements of the backup's schema that are not understood
}

// importing plans an import.
type importing struct {
	*Plan
	snap   *snapshot.Snapshot
	now    node.Schema
	chosen []*snapshot.Table // in the order of their names
	views  map[[2]string]bool
}

// planImport finds what a running node takes in, and what must be made for it first.
func (p *Plan) planImport(ctx context.Context, snap *snapshot.Snapshot, host Host) error {
	im, err := p.needs(ctx, snap, host)
	if err != nil {
		return err
	}
	if err := p.alone(ctx, host); err != nil {
		return err
	}
	return im.tasks(ctx)
}

// needs compares what is imported with what the node is and has.
func (p *Plan) needs(ctx context.Context, snap *snapshot.Snapshot, host Host) (*importing, error) {
	if !p.Running {
		return nil, refuse("Cassandra does not answer here, and an import needs it: start it, or restore --in-place")
	}
	p.Online = &Taking{Schema: []string{}, Views: []string{}}
	if err := p.knowHost(ctx, snap, host); err != nil {
		return nil, err
	}
	im := &importing{Plan: p, snap: snap, views: make(map[[2]string]bool)}
	if err := im.choose(); err != nil {
		return nil, err
	}
	return im, im.resolve(ctx, host)
}

// knowHost asks the node what it is and whether the rows of the backup are its own.
func (p *Plan) knowHost(ctx context.Context, snap *snapshot.Snapshot, host Host) error {
	id, err := host.Identity(ctx)
	if err != nil {
		return err
	}
	major, _, _ := strings.Cut(id.Version, ".")
	n, err := strconv.Atoi(major)
	if err != nil || n < 3 {
		return refuse("the node is of release %s: imports are into 3.0 and later; restore with --to", id.Version)
	}
	t := p.Online
	t.Release, t.Refresh = id.Version, n < 4
	t.Foreign = !slices.Equal(slices.Sorted(slices.Values(id.Tokens)), slices.Sorted(slices.Values(snap.Node.Tokens)))
	if t.Foreign && t.Refresh {
		return refuse("this node has other tokens than the one of the backup, and release %s takes in rows that are not its own and hides them: load them with sstableloader from restore --to",
			id.Version)
	}
	return nil
}

// alone refuses to empty a table on other nodes than this one: what was imported there already would be gone again.
func (p *Plan) alone(ctx context.Context, host Host) error {
	if len(p.Online.Truncate) == 0 {
		return nil
	}
	r, err := host.Ring(ctx)
	if err != nil {
		return err
	}
	if n := len(r.Normal()); n != 1 {
		return refuse("TRUNCATE empties a table on all %d nodes of the cluster, also what was imported on others: truncate once by hand, then import on each node without --truncate-first", n)
	}
	return nil
}

// choose lists the tables that are selected.
func (im *importing) choose() error {
	seen := make(map[[2]string]bool)
	for i := range im.snap.Node.Tables {
		t := &im.snap.Node.Tables[i]
		if !im.Takes(t.Keyspace, t.Name) {
			continue
		}
		k := [2]string{t.Keyspace, t.Name}
		if seen[k] {
			return refuse("the backup has two tables named %s.%s, one made after the other was dropped: restore with --to", t.Keyspace, t.Name)
		}
		seen[k] = true
		im.chosen = append(im.chosen, t)
	}
	if len(im.chosen) == 0 {
		return fmt.Errorf("%w what is selected, in backup %s", snapshot.ErrNoTable, im.Backup)
	}
	slices.SortFunc(im.chosen, func(a, b *snapshot.Table) int {
		return cmp.Or(cmp.Compare(a.Keyspace, b.Keyspace), cmp.Compare(a.Name, b.Name))
	})
	if first, last := im.chosen[0].Keyspace, im.chosen[len(im.chosen)-1].Keyspace; im.AsKeyspace != "" && first != last {
		return refuse("another name is given to one keyspace, and %s and %s are chosen: choose one with --keyspace", first, last)
	}
	return nil
}

// into is the keyspace that one of the backup comes to.
func (o *Order) into(keyspace string) string { return cmp.Or(o.AsKeyspace, keyspace) }

// resolve compares the schemas of the backup and of the node, keyspace by keyspace.
func (im *importing) resolve(ctx context.Context, host Host) error {
	var err error
	if im.now, err = host.Schema(ctx); err != nil {
		return err
	}
	if im.now.Absent != "" {
		return refuse("the node tells no schema (%s), and an import needs it: restore --in-place, or with --to", im.now.Absent)
	}
	for from := 0; from < len(im.chosen); {
		keyspace, to := im.chosen[from].Keyspace, from
		for to < len(im.chosen) && im.chosen[to].Keyspace == keyspace {
			to++
		}
		backup, err := backedUpDefinitions(ctx, im.snap, keyspace)
		if err != nil {
			return err
		}
		live, err := liveDefinitions(&im.now, im.into(keyspace))
		if err != nil {
			return err
		}
		k := &importedKeyspace{importing: im, name: keyspace, backup: backup, live: live, tables: im.chosen[from:to]}
		if err := k.resolve(); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// tasks counts what is imported, and looks at the SSTables as far as the backup describes them.
func (im *importing) tasks(ctx context.Context) error {
	for _, t := range im.chosen {
		if im.views[[2]string{t.Keyspace, t.Name}] {
			continue
		}
		task := Task{Keyspace: t.Keyspace, Table: t.Name, From: t.Dir, To: path.Join(im.into(t.Keyspace), t.Name)}
		err := im.snap.SSTables(ctx, t, func(s *snapshot.SSTable) error {
			if ofIndex(s) {
				return nil
			}
			task.SSTables++
			for i := range s.Components {
				task.Files++
				task.Bytes += s.Components[i].Size
			}
			return im.checkSSTable(t, s)
		})
		if err != nil {
			return err
		}
		im.Tables = append(im.Tables, task)
		im.Files += task.Files
		im.Bytes += task.Bytes
	}
	return nil
}

// ofIndex tells the SSTables of indexes, which Cassandra builds anew.
func ofIndex(s *snapshot.SSTable) bool { return s.Sub != "" }

// checkSSTable refuses what Cassandra would not take, or what would stop it: a release before 4.0 verifies nothing.
func (im *importing) checkSSTable(t *snapshot.Table, s *snapshot.SSTable) error {
	d, _, err := sstable.ParseName(s.Prefix + sstable.Data)
	if err != nil || d.Keyspace != "" {
		return refuse("%s.%s has an SSTable %s of a release before 2.2, which cannot be imported: restore --in-place", t.Keyspace, t.Name, s.Prefix)
	}
	switch {
	case !im.Online.Refresh:
		return nil
	case d.Version[0] > 'm':
		return refuse("%s.%s has an SSTable %s of a later release than %s: import it into such a node, or restore with --to", t.Keyspace, t.Name, s.Prefix, im.Online.Release)
	case len(s.Damage) > 0:
		return refuse("%s.%s has an SSTable %s that was damaged on the node already, and release %s would stop at it: restore it with --to and mend it", t.Keyspace, t.Name, s.Prefix, im.Online.Release)
	}
	return nil
}

// statement adds one that is run for a keyspace, in the order in which the backup has it.
func (im *importing) statement(list *[]string, s *schema.Statement) {
	cql := s.CQL
	if im.AsKeyspace != "" {
		cql = s.In(im.AsKeyspace)
	}
	*list = append(*list, strings.TrimSuffix(cql, ";"))
}
