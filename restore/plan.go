package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
	"cbk/restore/fit"
	"cbk/restore/prove"
	"cbk/snapshot"
)

// Host is the node that a restore works on; *node.Node is one.
type Host interface {
	Layout() node.Layout
	Answers(ctx context.Context) bool
	Identity(ctx context.Context) (node.Identity, error)
	Schema(ctx context.Context) (node.Schema, error)
	System(ctx context.Context) (*schema.System, error)
	Drain(ctx context.Context) error
	StopCassandra(ctx context.Context) error
	PrepareFirstStart(ctx context.Context, f *node.FirstStart, keep string) error
	StartCassandra(ctx context.Context) error
	WaitUp(ctx context.Context) error
	EndFirstStart(ctx context.Context, f *node.FirstStart) error
	RebuildIndexes(ctx context.Context, keyspace, table string, names ...string) error
	SampleQuery(ctx context.Context, keyspace, table string) error
	prove.Querier
	Online
}

// Online is what an import asks of a node that runs.
type Online interface {
	Ring(ctx context.Context) (ring.Ring, error)
	Execute(ctx context.Context, statement string) error
	TruncateTable(ctx context.Context, keyspace, table string) error
	Import(ctx context.Context, keyspace, table string, dirs ...string) error
	Refresh(ctx context.Context, keyspace, table string) error
}

// Plan is what a restore onto a node will do. It is a value: printed, kept in the journal and carried out from there.
type Plan struct {
	Order
	Running bool      `json:"running"`            // Cassandra answered when the plan was made
	Alone   bool      `json:"alone"`              // the node was all of its ring
	Tables  []Task    `json:"tables"`             // that come back
	LeftOut []string  `json:"left_out,omitempty"` // tables of the backup that do not, though the whole node is restored
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Damaged int       `json:"damaged_sstables"` // that were damaged on the node already
	Places  Places    `json:"places"`
	Moves   []Move    `json:"moves"`
	Online  *Taking   `json:"import,omitempty"` // of an import
	Time    *Estimate `json:"time"`             // null where nothing came of what was asked for

	Risks []fit.Risk     `json:"risks"`
	Fit   []fit.TableFit `json:"fit"`            // what the SSTables of user tables are
	Idle  []string       `json:"idle,omitempty"` // risks that were accepted and are none here

	release string // of the host, "" where it cannot be asked
}

// Task is a table that comes back.
type Task struct {
	Keyspace string `json:"keyspace"`
	Table    string `json:"table"`
	From     string `json:"from"` // its directory in the backup, below a data directory
	To       string `json:"to"`   // its directory on the node: that of the table as it is known there
	SSTables int    `json:"sstables"`
	Files    int    `json:"files"`
	Bytes    int64  `json:"bytes"`
}

// RefusedError says that a restore was not begun because it would do harm. The reason ends with what to do instead.
type RefusedError struct{ Reason string }

// Error returns the reason.
func (e *RefusedError) Error() string { return "refused: " + e.Reason }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// NewPlan finds out what an order means for a host and whether it may be carried out. It touches nothing. Errors:
// *RefusedError, *SpaceError, *fit.RefusedError.
func NewPlan(ctx context.Context, snap *snapshot.Snapshot, host Host, o Order) (*Plan, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	p := &Plan{Order: o, Damaged: snap.DamagedSSTables, Running: host.Answers(ctx), Alone: snap.Members.Normal+snap.Members.Others == 1}
	if err := p.whose(ctx, host, snap.Node.Version); err != nil {
		return nil, err
	}
	if err := p.suffices(snap); err != nil {
		return nil, err
	}
	if err := p.find(ctx, snap, host); err != nil {
		return nil, err
	}
	l := host.Layout()
	if err := p.startsAgain(l); err != nil {
		return nil, err
	}
	var err error
	if p.Places, err = newPlaces(l, o.ID, snap.Node.DataDirs); err != nil {
		return nil, err
	}
	if err := p.Places.demand(p.Bytes); err != nil {
		return nil, err
	}
	if p.Way != Import { // which moves nothing
		if err := p.planMoves(l); err != nil {
			return nil, err
		}
	}
	if err := p.judge(ctx, snap, host); err != nil {
		return nil, err
	}
	p.Time, err = estimate(ctx, snap, p.target(snap), p.Bytes)
	return p, err
}

// judge finds out which risks the plan carries and refuses those that were not accepted.
func (p *Plan) judge(ctx context.Context, snap *snapshot.Snapshot, host Host) error {
	in := fit.Input{Now: time.Now(), Backup: snap.Started, Way: fit.Way(p.Way), Release: p.release, Mode: cmp.Or(host.Layout().StorageMode, "CASSANDRA_4"),
		Creates: p.whole() || p.Way == Import, Partial: p.partial()}
	if !p.whole() || p.Way == Import {
		rows, err := host.System(ctx)
		if err != nil {
			return err
		}
		if in.Schema, err = p.targets(rows); err != nil {
			return err
		}
		var text strings.Builder
		if err := snap.Schema(ctx, &text); err != nil {
			return err
		}
		in.Drops = fit.Drops(text.String())
	}
	ours := make(map[string]bool)
	for _, t := range p.Tables {
		ours[t.From] = !isSystem(t.Keyspace)
	}
	found, err := fit.Read(ctx, snap, chosen(snap, func(t *snapshot.Table) bool { return ours[t.Dir] }), in)
	if err != nil {
		return err
	}
	p.Risks, p.Fit = found.Risks, found.Tables
	p.Idle, err = fit.Judge(p.Risks, p.Accept)
	return err
}

// partial reports whether data stays beside what is restored.
func (p *Plan) partial() bool {
	switch {
	case p.Way == Import:
		return p.Online.Beside || !p.Alone
	case !p.whole():
		return true
	}
	return p.Way == InPlace && !p.Alone && !p.WholeCluster
}

// targets are the tables of users on the host, under the names that the backup knows them by.
func (p *Plan) targets(rows *schema.System) ([]fit.Table, error) {
	if p.AsKeyspace == "" {
		return fit.FromRows(rows, func(keyspace string) bool { return !isSystem(keyspace) })
	}
	all, err := fit.FromRows(rows, func(keyspace string) bool { return keyspace == p.AsKeyspace })
	for i := range all {
		all[i].Keyspace = p.Tables[0].Keyspace
	}
	return all, err
}

// whose refuses a host that runs as another node than the backup's. One that does not answer cannot be asked.
func (p *Plan) whose(ctx context.Context, host Host, release string) error {
	if !p.Running {
		p.release = release // that of the backup is all that is known
		return nil
	}
	id, err := host.Identity(ctx)
	if err != nil {
		return err
	}
	p.release = id.Version
	if p.Way == InPlace && !strings.EqualFold(id.HostID, p.HostID) {
		return refuse("this node is %s (%s), the backup is of %s (%s): restore there, with --to, or onto another cluster by cbk node orders --host-list", id.HostID, id.Name, p.HostID, p.Node)
	}
	return nil
}

// suffices refuses a snapshot that is not of the whole node where everything on the node gives way to it.
func (p *Plan) suffices(snap *snapshot.Snapshot) error {
	if !p.whole() || p.Way == Import {
		return nil
	}
	if snap.Node.Selection != nil {
		return refuse("the backup is of chosen tables only, and a restore of the whole node replaces all: choose with --keyspace or --table")
	}
	if n := len(snap.Node.Missing); n > 0 {
		return refuse("the backup lacks %d tables that the node had, first %s, and a restore of the whole node replaces all: choose with --keyspace or --table",
			n, snap.Node.Missing[0])
	}
	return nil
}

// startsAgain refuses a clone with another number of tokens than cassandra.yaml has: its first start would go well, and
// Cassandra would refuse every one after that ("Cannot change the number of tokens").
func (p *Plan) startsAgain(l node.Layout) error {
	if p.FirstStart == nil || l.NumTokens == 0 || l.NumTokens == len(p.FirstStart.Tokens) {
		return nil
	}
	return refuse("the node of the backup has %[1]d tokens, and cassandra.yaml here num_tokens: %[2]d, with which Cassandra would not start a second time: set num_tokens: %[1]d there, and no initial_token",
		len(p.FirstStart.Tokens), l.NumTokens)
}

// find finds what comes back and where it belongs.
func (p *Plan) find(ctx context.Context, snap *snapshot.Snapshot, host Host) error {
	if p.Way == Import {
		return p.planImport(ctx, snap, host)
	}
	return p.tables(ctx, snap, host)
}

// tables finds what replaces files of the node.
func (p *Plan) tables(ctx context.Context, snap *snapshot.Snapshot, host Host) error {
	to := func(t *snapshot.Table) (string, error) { return t.Dir, nil }
	if !p.whole() {
		var err error
		if to, err = p.known(ctx, host); err != nil {
			return err
		}
	}
	for i := range snap.Node.Tables {
		t := &snap.Node.Tables[i]
		if !p.Takes(t.Keyspace, t.Name) {
			if p.whole() {
				p.LeftOut = append(p.LeftOut, t.Keyspace+"."+t.Name)
			}
			continue
		}
		dir, err := to(t)
		if err != nil {
			return err
		}
		p.Tables = append(p.Tables, Task{t.Keyspace, t.Name, t.Dir, dir, t.SSTables, t.Files, t.BytesSource})
		p.Files += t.Files
		p.Bytes += t.BytesSource
	}
	if len(p.Tables) == 0 {
		return fmt.Errorf("%w what is selected, in backup %s", snapshot.ErrNoTable, p.Backup)
	}
	return nil
}

// known tells the directories of tables by the schema of the host: a table that was made again has another id.
func (p *Plan) known(ctx context.Context, host Host) (func(t *snapshot.Table) (string, error), error) {
	if !p.Running {
		return nil, refuse("Cassandra does not answer here; chosen tables are restored onto a node that can be asked for its schema and drained: start it, or restore the whole node")
	}
	s, err := host.Schema(ctx)
	if err != nil {
		return nil, err
	}
	return func(t *snapshot.Table) (string, error) {
		i := slices.IndexFunc(s.Tables, func(k node.Table) bool { return k.Keyspace == t.Keyspace && k.Name == t.Name })
		if i < 0 {
			return "", refuse("%s.%s is not in the schema of this node: make it first (cbk show %s --schema), or restore it with --import", t.Keyspace, t.Name, p.Backup)
		}
		return path.Join(t.Keyspace, t.Name+"-"+s.Tables[i].ID), nil
	}, nil
}

// planMoves says which directories of the node give way. The commit log must be among them: what it holds would be
// replayed over the restored files. Where cassandra.yaml does not name it, it cannot be known.
func (p *Plan) planMoves(l node.Layout) error {
	if l.CommitLog == "" {
		return refuse("cassandra.yaml has no commitlog_directory, and its content would be replayed over the restored files: name it there as Cassandra uses it")
	}
	if err := disjoint(append(slices.Clone(l.DataDirs), l.CommitLog, l.Hints, l.SavedCaches, l.CDCRaw)); err != nil {
		return err
	}
	if p.whole() {
		p.moveAll()
	} else {
		p.moveTables()
	}
	emptied := []string{l.CommitLog, l.SavedCaches}
	if p.whole() {
		emptied = []string{l.CommitLog, l.Hints, l.SavedCaches, l.CDCRaw}
	}
	for _, dir := range emptied {
		at, err := beside(dir)
		if dir == "" || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		base := filepath.Base(dir)
		p.Moves = append(p.Moves, Move{Live: dir, Before: filepath.Join(at, beforeName(p.ID), base), Undone: filepath.Join(at, undoneName(p.ID), base)})
	}
	return nil
}

func (p *Plan) moveAll() {
	for _, d := range p.Places.Dirs {
		m := Move{Live: d.Live, Staging: d.Staging, Before: d.Before, Undone: d.Undone}
		if p.Way == Clone && p.KeepAuth {
			m.Keep = []string{keyspaceAuth}
		}
		p.Moves = append(p.Moves, m)
	}
}

// moveTables exchanges the SSTables of the chosen tables. What operators keep beside them stays.
func (p *Plan) moveTables() {
	for _, t := range p.Tables {
		for _, d := range p.Places.Dirs[:p.Places.UserDirs] {
			p.Moves = append(p.Moves, Move{Live: filepath.Join(d.Live, t.To), Staging: filepath.Join(d.Staging, t.To),
				Before: filepath.Join(d.Before, t.To), Undone: filepath.Join(d.Undone, t.To), Keep: []string{"snapshots", "backups"}})
		}
	}
}

// disjoint refuses directories that lie in one another and so cannot be exchanged one by one.
func disjoint(dirs []string) error {
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return dir == "" })
	for i, a := range dirs {
		for _, b := range dirs[:i] {
			if within(a, b) || within(b, a) {
				return refuse("%s and %s lie in one another and cannot be exchanged one by one: restore with --to", b, a)
			}
		}
	}
	return nil
}

func within(dir, parent string) bool {
	rel, err := filepath.Rel(parent, dir)
	return err == nil && filepath.IsLocal(rel)
}

// cut splits KEYSPACE.TABLE.
func cut(name string) (keyspace, table string, whole bool) { return strings.Cut(name, ".") }
