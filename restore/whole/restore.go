package whole

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"cbk/cassandra/cluster"
	"cbk/restore"
	"cbk/restore/prove"
	"cbk/snapshot/fleet"
)

const (
	// upWithin is what the nodes have to see each other up, and upEvery the time between two looks: gossip takes half a
	// minute on a busy machine, longer where a node comes back under another address.
	upWithin = 5 * time.Minute
	upEvery  = 2 * time.Second
)

// PhaseSchema is that of the line each phase ends with.
const PhaseSchema = "cbk.node-phase/1"

// PhaseLine is what a phase prints in the end, whatever came of it.
type PhaseLine struct {
	Schema   string        `json:"schema"`
	ID       string        `json:"id"`
	Phase    restore.Phase `json:"phase"` // that the restore has come to
	Verified *prove.Report `json:"verified,omitempty"`
	Keeps    []string      `json:"keeps"`
}

// Part is one node's.
type Part struct {
	Host cluster.Host
	Seed bool // starts before those that are none
	// Order is the line that fetch reads, a secret; it is asked for when the node is about to fetch, and kept nowhere.
	Order func(context.Context) ([]byte, error)
}

// Options say what is restored.
type Options struct {
	ID         string
	Parts      []Part
	Statements []string // run on one node when all are up
	Verify     []string // flags of start and verify
	Parallel   int      // nodes that fetch at a time; 0: all
	Retry      cluster.Retry
	// Ready is called on each host before its first phase; may be nil.
	Ready func(context.Context, cluster.Host) error
	// Show is told of each change of a node, one after the other; may be nil.
	Show func(Node)
	Log  *slog.Logger
}

// Node is how far a node has come.
type Node struct {
	cluster.Host
	Doing    string        // the phase that is called now; "" between two
	Phase    restore.Phase // its journal's; "" before the first answer
	Verified *prove.Report
	Keeps    []string
	Progress fleet.Progress // of the fetch
	Err      error          // of the last phase
}

// work is one run.
type work struct {
	run fleet.Runner
	opt Options

	mu    sync.Mutex
	nodes []Node
}

// Restore brings the nodes through all phases up to verified. What came of each node is there also beside an error, which is
// a *[StoppedError] or the context's.
func Restore(ctx context.Context, r fleet.Runner, opt Options) ([]Node, error) {
	w := newWork(r, opt)
	return w.nodes, w.all(ctx)
}

func newWork(r fleet.Runner, opt Options) *work {
	w := &work{run: r, opt: opt}
	for _, p := range opt.Parts {
		w.nodes = append(w.nodes, Node{Host: p.Host})
	}
	return w
}

func (w *work) all(ctx context.Context) error {
	everyone := func(Part) bool { return true }
	seed := func(p Part) bool { return p.Seed }
	other := func(p Part) bool { return !p.Seed }
	fetch := cluster.Plan{Limits: cluster.Limits{Total: w.opt.Parallel}, Retry: w.opt.Retry}
	// What a phase says of files and rows it says again: only connections are tried anew.
	plain := cluster.Plan{Retry: w.opt.Retry}
	plain.Retry.Codes = nil
	for _, step := range []struct {
		phase string
		who   func(Part) bool
		plan  cluster.Plan
		flags []string
	}{
		{"fetch", everyone, fetch, nil},
		{"switch", everyone, plain, nil},
		{"start", seed, plain, w.opt.Verify},
		{"start", other, plain, w.opt.Verify},
	} {
		if err := w.step(ctx, step.phase, step.plan, step.who, step.flags...); err != nil {
			return err
		}
	}
	if err := w.settle(ctx); err != nil {
		return w.stopped("statements", err)
	}
	return w.step(ctx, "verify", plain, everyone, w.opt.Verify...)
}

// step does a phase on some nodes. It does not begin where the context has ended.
func (w *work) step(ctx context.Context, phase string, plan cluster.Plan, who func(Part) bool, flags ...string) error {
	var hosts []cluster.Host
	parts := make(map[string]int)
	for i, p := range w.opt.Parts {
		if who(p) {
			hosts = append(hosts, p.Host)
			parts[p.Host.Address] = i
		}
	}
	plan.Log = w.opt.Log
	w.opt.Log.Info("restoring", "phase", phase, "nodes", len(hosts))
	results := cluster.Each(ctx, hosts, plan, func(ctx context.Context, h cluster.Host) error {
		i := parts[h.Address]
		w.change(i, func(n *Node) { n.Doing, n.Err = phase, nil })
		return w.do(ctx, i, phase, flags)
	})
	var first error
	for _, res := range results {
		w.change(parts[res.Host.Address], func(n *Node) { n.Doing, n.Err = "", res.Err })
		if first == nil {
			first = res.Err
		}
	}
	if ctx.Err() != nil {
		first = context.Cause(ctx)
	}
	if first != nil {
		return w.stopped(phase, first)
	}
	return nil
}

// change changes what is known of a node, and tells.
func (w *work) change(i int, do func(*Node)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do(&w.nodes[i])
	if w.opt.Show != nil {
		w.opt.Show(w.nodes[i])
	}
}

// do calls a phase on a node.
func (w *work) do(ctx context.Context, i int, phase string, flags []string) error {
	part := w.opt.Parts[i]
	call := fleet.Call{Words: slices.Concat([]string{phase}, flags, []string{w.opt.ID})}
	if phase == "fetch" {
		if w.opt.Ready != nil {
			if err := w.opt.Ready(ctx, part.Host); err != nil {
				return err
			}
		}
		order, err := part.Order(ctx)
		if err != nil {
			return fmt.Errorf("order for %s: %w", part.Host.Address, err)
		}
		call = fleet.Call{Words: []string{phase}, Stdin: bytes.NewReader(order)}
	}
	var said PhaseLine
	call.Lines = fleet.Lines{PhaseSchema: &said, fleet.ProgressSchema: fleet.Progressed(func(p fleet.Progress) { w.change(i, func(n *Node) { n.Progress = p }) })}
	err := fleet.Do(ctx, w.run, part.Host, call)
	if said.Phase != "" {
		w.change(i, func(n *Node) { n.Phase, n.Verified, n.Keeps = said.Phase, said.Verified, said.Keeps })
	}
	switch {
	case err != nil:
		return err
	case said.Phase == "":
		return fmt.Errorf("%s: %s: %w", part.Host.Address, phase, fleet.ErrSilent)
	case said.ID != w.opt.ID:
		return fmt.Errorf("%s: %s: it did restore %s, not %s", part.Host.Address, phase, said.ID, w.opt.ID)
	}
	return nil
}

// settle waits until one node sees all up, and has it run the statements.
func (w *work) settle(ctx context.Context) error {
	if len(w.opt.Parts) == 0 {
		return nil
	}
	first := w.opt.Parts[0].Host
	if err := w.awaitUp(ctx, first); err != nil {
		return err
	}
	if len(w.opt.Statements) == 0 {
		return nil
	}
	b, err := json.Marshal(w.opt.Statements)
	if err != nil {
		return err
	}
	w.opt.Log.Info("giving keyspaces the names of the data centres here", "node", first.Address, "statements", len(w.opt.Statements))
	return fleet.Do(ctx, w.run, first, fleet.Call{Words: []string{"alter"}, Stdin: bytes.NewReader(append(b, '\n'))})
}

// awaitUp returns when a node sees all others of the restore up.
func (w *work) awaitUp(ctx context.Context, first cluster.Host) error {
	deadline := time.Now().Add(upWithin)
	for {
		here, err := fleet.Ask(ctx, w.run, first)
		var down []string
		if err == nil {
			if down = w.down(here); len(down) == 0 {
				return nil
			}
			err = fmt.Errorf("%s does not see %s up", first.Address, strings.Join(down, ", "))
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s: %w", upWithin, err)
		}
		select {
		case <-time.After(upEvery):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// down are the nodes of the restore that are not up in a ring. Who stands there under another name is not looked for.
func (w *work) down(here *fleet.Here) (down []string) {
	for _, m := range here.Ring.Members {
		if !m.Up && slices.ContainsFunc(w.opt.Parts, func(p Part) bool { return p.Host.Address == m.Address }) {
			down = append(down, m.Address)
		}
	}
	return down
}

// StoppedError says that a restore of a cluster has not come to its end, and where that leaves the nodes.
type StoppedError struct {
	ID      string
	Phase   string // that failed
	Changed bool   // files of some node were exchanged, or may have been
	Nodes   []Node
	Err     error // of the first node that failed
}

// Error says where the nodes are and what comes next.
func (e *StoppedError) Error() string {
	s := fmt.Sprintf("restore %s stopped: %v", e.ID, e.Err)
	if !e.Changed {
		return s + "; nothing was changed on any node: run the command again to go on, or with --rollback to remove what was fetched"
	}
	at := make(map[string][]string)
	var phases []string
	for i := range e.Nodes {
		phase := string(e.Nodes[i].Phase)
		if phase == "" {
			phase = "unknown"
		}
		if at[phase] == nil {
			phases = append(phases, phase)
		}
		at[phase] = append(at[phase], e.Nodes[i].Address)
	}
	for _, phase := range phases {
		s += fmt.Sprintf("; in phase %s: %s", phase, strings.Join(at[phase], ", "))
	}
	return s + "; run the command again to go on, or with --rollback to put the old files back everywhere"
}

// Unwrap returns why.
func (e *StoppedError) Unwrap() error { return e.Err }

func (w *work) stopped(phase string, why error) error {
	e := &StoppedError{ID: w.opt.ID, Phase: phase, Nodes: w.nodes, Err: why, Changed: phase != "fetch"}
	for i := range w.nodes {
		switch w.nodes[i].Phase {
		case "", restore.PhaseFetch, restore.PhaseFetched, restore.PhaseUndone:
		default:
			e.Changed = true
		}
	}
	return e
}

// errNoRestore is a node that knows nothing of the restore.
var errNoRestore = errors.New("no node knows of such a restore")
