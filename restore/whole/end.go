package whole

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"cbk/cassandra/cluster"
	"cbk/restore"
	"cbk/snapshot/fleet"
)

// RestoresSchema is that of what cbk node restores prints.
const RestoresSchema = "cbk.restores/1"

// Restores is that line.
type Restores struct {
	Schema   string `json:"schema"`
	Restores []One  `json:"restores"`
}

// One is a restore in the journal of a node.
type One struct {
	ID      string        `json:"id"`
	Backup  string        `json:"backup"`
	Node    NodeName      `json:"node"` // of the backup
	Way     restore.Way   `json:"way"`
	Started string        `json:"started"`
	Phase   restore.Phase `json:"phase"`
	Keeps   []string      `json:"keeps"`
}

// NodeName is who a node was in the backup.
type NodeName struct {
	Name   string `json:"name"`
	HostID string `json:"host_id"`
}

// Found is what the journals of a cluster's nodes say of one restore.
type Found struct {
	ID     string
	Backup string
	Way    restore.Way
	At     map[string]restore.Phase // by address of the node
	Gets   map[string]string        // the host id of the node of the backup whose place it takes
}

// Standing asks nodes for the restores that are not committed, newest first. A node that does not answer is an error:
// what it has begun must be known before anything else is.
func Standing(ctx context.Context, r fleet.Runner, hosts []cluster.Host, plan cluster.Plan) ([]Found, error) {
	var mu sync.Mutex
	found := make(map[string]*Found)
	results := cluster.Each(ctx, hosts, plan, func(ctx context.Context, h cluster.Host) error {
		var said Restores
		if err := fleet.Do(ctx, r, h, fleet.Call{Words: []string{"restores"}, Lines: fleet.Lines{RestoresSchema: &said}}); err != nil {
			return err
		}
		if said.Schema == "" {
			return fmt.Errorf("%s: restores: %w", h.Address, fleet.ErrSilent)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, one := range said.Restores {
			if one.Phase == restore.PhaseCommitted {
				continue
			}
			if found[one.ID] == nil {
				found[one.ID] = &Found{ID: one.ID, Backup: one.Backup, Way: one.Way, At: make(map[string]restore.Phase), Gets: make(map[string]string)}
			}
			found[one.ID].At[h.Address], found[one.ID].Gets[h.Address] = one.Phase, one.Node.HostID
		}
		return nil
	})
	for _, res := range cluster.Failed(results) {
		return nil, res.Err
	}
	var all []Found
	for _, f := range found {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(x, y Found) int {
		if x.ID > y.ID {
			return -1
		}
		return 1
	})
	return all, nil
}

// Unfinished tells whether a restore is under way on some node: it can be gone on with.
func (f *Found) Unfinished() bool {
	for _, p := range f.At {
		if !p.Over() {
			return true
		}
	}
	return false
}

// All tells whether a restore is in one phase on every node that has it.
func (f *Found) All(phase restore.Phase) bool {
	for _, p := range f.At {
		if p != phase {
			return false
		}
	}
	return true
}

// End commits a restore on all nodes that have it, or rolls it back. Nodes that failed can be asked again.
func End(ctx context.Context, r fleet.Runner, opt Options, rollback bool) ([]Node, error) {
	if len(opt.Parts) == 0 {
		return nil, errNoRestore
	}
	w := newWork(r, opt)
	phase := "commit"
	if rollback {
		phase = "rollback"
	}
	err := w.step(ctx, phase, cluster.Plan{Retry: cluster.Retry{Tries: opt.Retry.Tries, First: opt.Retry.First, Max: opt.Retry.Max}}, func(Part) bool { return true })
	var stopped *StoppedError
	if errors.As(err, &stopped) {
		return w.nodes, fmt.Errorf("%s restore %s: %w; give the command again", phase, opt.ID, stopped.Err)
	}
	return w.nodes, err
}
