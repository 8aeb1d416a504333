package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"cbk/cassandra/cluster"
	"cbk/cassandra/ring"
)

const (
	// clearWithin bounds the clearing of snapshots after an interruption, for all nodes together.
	clearWithin = 2 * time.Minute
	// snapshotTries are a minute and a half at a node that takes no connection.
	snapshotTries = 3
)

// Options say what a backup is to be and how it is gone about.
type Options struct {
	Name    string
	Seeds   []string // addresses of nodes that know the ring: the first that answers is asked
	Filter  Filter
	Require ring.Level // that the nodes which are up have to reach together
	// Snapshots and Uploads bound at how many nodes these go on at a time.
	Snapshots, Uploads cluster.Limits
	Retry              cluster.Retry
	// Prepare and Upload are flags of the phases of that name.
	Prepare, Upload []string
	// Share gives further flags of an upload where so many go on at a time; may be nil.
	Share func(uploads int) []string
	// Ready is called on each host before its first phase; may be nil.
	Ready func(context.Context, cluster.Host) error
	// Show is told of each change of a node, one after the other; may be nil.
	Show func(Node)
	Log  *slog.Logger
}

// backup is one run.
type backup struct {
	run   Runner
	opt   Options
	ring  ring.Ring
	hosts []cluster.Host // chosen and up

	mu     sync.Mutex
	report Report
	index  map[string]int // of the report's nodes, by address
}

// Backup has the nodes of a cluster back up, under one name. The report is there, also beside an error, once the ring is
// known. The error is an *[UnfinishedError] where a node or a table is missing in the end, a *[LacksError] where it was
// called off because too much would be, [ErrAllRecorded], or the context's.
func Backup(ctx context.Context, r Runner, opt Options) (*Report, error) {
	b := &backup{run: r, opt: opt}
	if err := b.look(ctx); err != nil {
		return nil, err
	}
	err := b.phases(ctx)
	if failed := b.report.add(b.ring); failed != nil && err == nil {
		err = failed
	}
	if err == nil {
		err = b.report.verdict()
	}
	return &b.report, err
}

// look asks for the ring and decides who takes part.
func (b *backup) look(ctx context.Context) error {
	seeds := Asking{Runner: b.run, Ready: b.opt.Ready, Silent: func(seed string, err error) {
		b.opt.Log.Warn("seed does not tell the ring", "seed", seed, "err", err)
	}}
	here, err := seeds.First(ctx, b.opt.Seeds...)
	if err != nil {
		return err
	}
	b.ring = here.Ring
	normal, chosen, err := choose(b.ring, b.opt.Filter)
	if err != nil {
		return err
	}
	b.report = Report{Name: b.opt.Name, Cluster: b.ring.Cluster, Chosen: len(chosen)}
	b.index = make(map[string]int)
	in := ids(chosen)
	for i, m := range normal {
		n := Node{Member: m, State: Waiting}
		switch {
		case !in[m.HostID]:
			n.State = Left
		case !m.Up:
			n.State, n.Err = Down, fmt.Errorf("%s is down, says %s", m.Address, here.Address)
		default:
			b.hosts = append(b.hosts, host(m))
		}
		if before, twice := b.index[m.Address]; twice {
			return fmt.Errorf("nodes %s and %s of the ring have the same address, %s", normal[before].HostID, m.HostID, m.Address)
		}
		b.index[m.Address] = i
		b.report.Nodes = append(b.report.Nodes, n)
	}
	return nil
}

// phases does the phases.
func (b *backup) phases(ctx context.Context) error {
	if err := b.judge(func(n *Node) bool { return n.State == Waiting }); err != nil {
		return err
	}
	// Those that stand wait for those that do not answer: not as long as an upload may.
	retry := b.opt.Retry
	retry.Tries = min(cmp.Or(retry.Tries, snapshotTries), snapshotTries)
	b.each(ctx, b.hosts, cluster.Plan{Limits: b.opt.Snapshots, Retry: retry}, b.prepare)
	if ctx.Err() != nil {
		return b.callOff(ctx, context.Cause(ctx))
	}
	if err := b.judge(func(n *Node) bool { return n.State == Ready || n.In() }); err != nil {
		return b.callOff(ctx, err)
	}
	ready := b.in(Ready)
	if len(ready) == 0 && len(b.in(Before)) == b.report.Chosen {
		return ErrAllRecorded
	}
	if b.opt.Share != nil && len(ready) > 0 {
		b.opt.Upload = slices.Concat(b.opt.Upload, b.opt.Share(atOnce(ready, b.opt.Uploads)))
	}
	b.each(ctx, ready, cluster.Plan{Limits: b.opt.Uploads, Retry: b.opt.Retry}, b.upload)
	if ctx.Err() != nil {
		return b.callOff(ctx, context.Cause(ctx))
	}
	return nil
}

// judge proves that the nodes of which held is true would do.
func (b *backup) judge(held func(*Node) bool) error {
	have, chosen := make(map[string]bool), []ring.Member(nil)
	for i := range b.report.Nodes {
		n := &b.report.Nodes[i]
		have[n.HostID] = held(n)
		if n.State != Left {
			chosen = append(chosen, n.Member)
		}
	}
	err := suffices(b.ring, chosen, have, b.opt.Require)
	var lacks *LacksError
	if errors.As(err, &lacks) {
		for i := range b.report.Nodes {
			if failed := b.report.Nodes[i].Err; failed != nil {
				b.opt.Log.Warn("node takes no part", "node", b.report.Nodes[i].Address, "err", failed)
			}
		}
	}
	return err
}

// each does a phase on hosts and notes who failed.
func (b *backup) each(ctx context.Context, hosts []cluster.Host, plan cluster.Plan, do func(context.Context, cluster.Host) error) {
	plan.Log = b.opt.Log
	for _, res := range cluster.Each(ctx, hosts, plan, do) {
		if res.Err != nil && res.Tries > 0 {
			b.change(res.Host, func(n *Node) { n.State, n.Err, n.Tries = Failed, res.Err, res.Tries })
		}
	}
}

// change changes what is known of a node, and tells.
func (b *backup) change(h cluster.Host, do func(*Node)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := &b.report.Nodes[b.index[h.Address]]
	do(n)
	if b.opt.Show != nil {
		b.opt.Show(*n)
	}
}

// in returns the hosts that are in a state.
func (b *backup) in(states ...string) (hosts []cluster.Host) {
	for i := range b.report.Nodes {
		for _, s := range states {
			if n := &b.report.Nodes[i]; n.State == s {
				hosts = append(hosts, host(n.Member))
			}
		}
	}
	return hosts
}

func (b *backup) phase(ctx context.Context, h cluster.Host, to Lines, name string, flags []string) error {
	return Do(ctx, b.run, h, Call{Words: append([]string{name, "--name", b.opt.Name}, flags...), Lines: to})
}

// prepare has a node take its snapshot.
func (b *backup) prepare(ctx context.Context, h cluster.Host) error {
	b.change(h, func(n *Node) { n.State = Snapshot })
	if b.opt.Ready != nil {
		if err := b.opt.Ready(ctx, h); err != nil {
			return err
		}
	}
	var p Prepared
	if err := b.phase(ctx, h, Lines{PreparedSchema: &p}, "prepare", b.opt.Prepare); err != nil {
		return err
	}
	err := b.prepared(h, p)
	if stranger := (*strangerError)(nil); errors.As(err, &stranger) {
		err = errors.Join(err, b.phase(context.WithoutCancel(ctx), h, Lines{}, "clear", nil))
	}
	return err
}

// strangerError says that another node answers at an address than the ring has there.
type strangerError struct{ at, is, want string }

// Error names both.
func (e *strangerError) Error() string {
	return fmt.Sprintf("%s answers as node %s, and the ring has %s there", e.at, e.is, e.want)
}

// prepared notes what a node said of its snapshot.
func (b *backup) prepared(h cluster.Host, p Prepared) (err error) {
	b.change(h, func(n *Node) {
		switch {
		case p.Recorded != "":
			n.State, n.Prepared = Before, p
		case p.Tag == "":
			err = fmt.Errorf("%s: prepare: %w", h.Address, ErrSilent)
		case p.HostID != n.HostID:
			err = &strangerError{h.Address, p.HostID, n.HostID}
		default:
			n.State, n.Prepared, n.Err = Ready, p, nil
		}
	})
	return err
}

// upload has a node store its snapshot.
func (b *backup) upload(ctx context.Context, h cluster.Host) error {
	b.change(h, func(n *Node) { n.State = Upload })
	var before Prepared
	var stored *Stored
	err := b.phase(ctx, h, Lines{
		PreparedSchema: &before,
		ProgressSchema: Progressed(func(p Progress) { b.change(h, func(n *Node) { n.Progress = p }) }),
		storedSchema: func(line []byte) (err error) {
			stored, err = parseStored(line)
			return err
		},
	}, "upload", b.opt.Upload)
	var exit *cluster.ExitError
	if stored != nil && (err == nil || errors.As(err, &exit)) {
		// What the node tells by its exit code is in the document: the backup is recorded.
		b.change(h, func(n *Node) { n.State, n.Stored, n.Err = Done, *stored, nil })
		return nil
	}
	if err == nil && before.Recorded != "" {
		b.change(h, func(n *Node) { n.State, n.Err = Done, nil })
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s: upload: %w", h.Address, ErrSilent)
	}
	return err
}

func parseStored(line []byte) (*Stored, error) {
	var s struct {
		Stored
		MissingTables []string `json:"missing"`
	}
	err := json.Unmarshal(line, &s)
	s.Stored.Missing = len(s.MissingTables)
	return &s.Stored, err
}

// atOnce is at how many hosts something goes on at a time, at most.
func atOnce(hosts []cluster.Host, l cluster.Limits) (n int) {
	within := func(n, limit int) int {
		if limit > 0 {
			return min(n, limit)
		}
		return n
	}
	racks, dcs := make(map[cluster.Host]int), make(map[string]int)
	for _, h := range hosts {
		racks[cluster.Host{DC: h.DC, Rack: h.Rack}]++
	}
	for h, k := range racks {
		dcs[h.DC] += within(k, l.PerRack)
	}
	for _, k := range dcs {
		n += within(k, l.PerDC)
	}
	return within(n, l.Total)
}

// callOff clears the snapshots that were not stored, also after an interruption, and returns why.
func (b *backup) callOff(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearWithin)
	defer cancel()
	hosts := b.in(Snapshot, Ready, Upload, Failed)
	b.opt.Log.Info("clearing snapshots", "nodes", len(hosts))
	plan := cluster.Plan{Retry: cluster.Retry{Tries: 3}, Log: b.opt.Log}
	var left []string
	for _, res := range cluster.Each(ctx, hosts, plan, func(ctx context.Context, h cluster.Host) error {
		return b.phase(ctx, h, Lines{}, "clear", nil)
	}) {
		if res.Err != nil {
			left = append(left, res.Host.Address)
			continue
		}
		b.change(res.Host, func(n *Node) { n.State = Cleared })
	}
	if len(left) > 0 {
		why = fmt.Errorf("%w; a snapshot may be left on %s: cbk node clear --name %s there", why, few(left), b.opt.Name)
	}
	return why
}
