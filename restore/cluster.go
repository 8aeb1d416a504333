package restore

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/restore/fit"
	"cbk/snapshot"
)

// ClusterInput is what a coordinator knows when it plans the restore of a cluster.
type ClusterInput struct {
	Backup *snapshot.Backup
	Source ring.Ring // as the nodes of the backup saw it
	Way    Way       // InPlace or Clone
	// Target is the ring of the nodes that are restored onto, as it is. Where a clone's is not known it has no members, and
	// the host list alone says who they are.
	Target    ring.Ring
	Hosts     ring.HostList // of a clone; empty: nodes are matched by their racks
	Renames   ring.Renames  // of data centres and racks, for a clone
	Level     ring.Level    // that every range must reach; the zero value is QUORUM
	KeepAuth  bool
	Selection snapshot.Selection // of user tables, in place
	Accept    []string           // codes of risks
	ID        string             // of an earlier run that is gone on with; empty: made of Asked
	Proven    bool               // that run has given every node its order: where nobody tells the ring any more, its proof stands
	Asked     time.Time          // makes the id
}

// ClusterPlan says for every node of a cluster what it shall become. Each node then makes its own plan of its order.
type ClusterPlan struct {
	ID      string      `json:"id"`
	Backup  string      `json:"backup"`
	Cluster string      `json:"cluster"`
	Way     Way         `json:"way"`
	Level   ring.Level  `json:"level"`
	Nodes   []NodeOrder `json:"nodes"` // seeds first
	Missing []string    `json:"missing"`
	Bytes   int64       `json:"bytes"`

	Lacks       []ring.Lack      `json:"lacks,omitempty"`      // ranges below the level
	Differences ring.Differences `json:"differences"`          // ranges whose replicas would be others
	Risks       []fit.Risk       `json:"risks"`                // of the cluster; those of tables each node tells
	Idle        []string         `json:"idle,omitempty"`       // risks that were accepted and are none here
	Statements  []string         `json:"statements,omitempty"` // to be run on one node when all are up
}

// NodeOrder is one node's part. It carries its own source, in whatever batch it is done.
type NodeOrder struct {
	Target string `json:"target"` // address or host name, as it was given
	Root   string `json:"root"`   // object name of the node snapshot it gets
	Seed   bool   `json:"seed"`
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"`
	Order  Order  `json:"order"`
}

// AnotherShapeError says that the target's ring has another shape than the backup's, so that files alone do not bring the
// rows where they are looked for.
type AnotherShapeError struct{ Err error }

// Error says what differs.
func (e *AnotherShapeError) Error() string {
	return fmt.Sprintf("the target has another shape: %v; its rows have to be distributed anew by token", e.Err)
}

// Unwrap returns what differs.
func (e *AnotherShapeError) Unwrap() error { return e.Err }

// PlanCluster maps the nodes of a backup to those of a cluster and proves that every row ends where it is looked for. It
// asks nobody and touches nothing. Errors: *fit.RefusedError, *RefusedError, *AnotherShapeError, those of [ring.MapHosts],
// [ring.MapAuto] and [ring.MapInPlace].
func PlanCluster(in ClusterInput) (*ClusterPlan, error) {
	in.Level = cmp.Or(in.Level, ring.Quorum)
	held, missing := in.held()
	p := &ClusterPlan{ID: cmp.Or(in.ID, in.Asked.UTC().Format(idForm)), Backup: in.Backup.Name, Cluster: in.Backup.Cluster, Way: in.Way, Level: in.Level, Missing: missing,
		Risks: []fit.Risk{}}
	if in.Source.Absent != "" {
		return p, p.blind(&in)
	}
	source, err := in.Source.Topology()
	if err != nil {
		return nil, fmt.Errorf("ring of the backup: %w", err)
	}
	if p.Lacks, err = source.Lacking(held, in.Level, nil); err != nil {
		return nil, err
	}
	m, err := in.mapping(source, held)
	if err != nil {
		return nil, err
	}
	if err := p.prove(&in, source, m); err != nil {
		return nil, err
	}
	if err := p.order(&in, m); err != nil {
		return nil, err
	}
	if p.Statements, err = in.statements(); err != nil {
		return nil, err
	}
	p.judge()
	p.Idle, err = fit.Judge(p.Risks, in.Accept)
	return p, err
}

// blind plans without the backup's ring: each node gets its own back. Whether that is all of the cluster, and whether reads
// look where the rows lie, is taken on trust.
func (p *ClusterPlan) blind(in *ClusterInput) error {
	if in.Way != InPlace {
		return refuse("the backup has no ring (%s), so nobody knows which tokens its nodes had: restore each in place, or with --to", in.Source.Absent)
	}
	m := ring.Mapping{InPlace: true}
	for i := range in.Backup.Nodes {
		e := &in.Backup.Nodes[i]
		m.Assignments = append(m.Assignments, ring.Assignment{Source: ring.Member{HostID: e.HostID, Address: e.Node}, Target: e.Node})
	}
	if err := p.order(in, m); err != nil {
		return err
	}
	p.risk(fit.Ranges, "", "the backup has no ring (%s): whether all nodes are in it cannot be told", in.Source.Absent)
	p.risk(fit.Replicas, "", "the backup has no ring: whether its nodes own the ranges they owned cannot be told")
	var err error
	p.Idle, err = fit.Judge(p.Risks, in.Accept)
	return err
}

// held are the members that the backup has whole, by host id, and the addresses of those that it lacks.
func (in *ClusterInput) held() (held map[string]bool, missing []string) {
	held = make(map[string]bool)
	for i := range in.Backup.Nodes {
		e := &in.Backup.Nodes[i]
		held[e.HostID] = e.MissingTables == 0
	}
	missing = []string{}
	for _, m := range in.Source.Normal() {
		if _, there := held[m.HostID]; !there {
			missing = append(missing, cmp.Or(m.Address, m.HostID))
		}
	}
	return held, missing
}

func (in *ClusterInput) mapping(source *ring.Topology, held map[string]bool) (ring.Mapping, error) {
	switch {
	case in.Way == InPlace:
		now, err := in.Target.Topology()
		if err != nil {
			return ring.Mapping{}, fmt.Errorf("ring of today: %w", err)
		}
		return ring.MapInPlace(source, now, slices.Sorted(maps.Keys(held)))
	case len(in.Hosts) > 0:
		names := make(ring.Names)
		for i := range in.Backup.Nodes {
			e := &in.Backup.Nodes[i]
			names[e.HostID] = append(names[e.HostID], e.Node)
		}
		return ring.MapHosts(source, in.Hosts, ring.HostOptions{Subset: true, Names: names, Target: in.Target.Members, Renames: in.Renames})
	}
	m, err := ring.MapAuto(source, in.Target, ring.AutoOptions{Renames: in.Renames})
	if shape := (*ring.ShapeError)(nil); errors.As(err, &shape) {
		return m, &AnotherShapeError{err}
	}
	return m, err
}

// prove compares the replicas of every range before and after. Where the racks of the target are not known it cannot.
func (p *ClusterPlan) prove(in *ClusterInput, source *ring.Topology, m ring.Mapping) error {
	after := in.Target
	if in.Way == Clone {
		if len(in.Target.Members) == 0 && in.Proven {
			return nil
		}
		if len(in.Target.Members) == 0 {
			p.risk(fit.Replicas, "", "the racks of the target's nodes are not known: whether reads look where the rows lie cannot be told")
			return nil
		}
		var err error
		if after, err = m.After(source, in.Target); err != nil {
			return err
		}
	}
	t, err := after.Topology()
	if err != nil {
		return fmt.Errorf("ring after the restore: %w", err)
	}
	p.Differences, err = ring.ReplicasKept(source, t, nil, m)
	return err
}

// order gives every mapped node its part.
func (p *ClusterPlan) order(in *ClusterInput, m ring.Mapping) error {
	entries := make(map[string]*snapshot.Entry)
	for i := range in.Backup.Nodes {
		entries[in.Backup.Nodes[i].HostID] = &in.Backup.Nodes[i]
	}
	whole := len(p.Missing) == 0 && len(m.Assignments) == len(in.Source.Normal()) && in.Selection.All()
	for _, batch := range m.Batches(len(m.Assignments)) {
		for _, a := range batch {
			e := entries[a.Source.HostID]
			if e == nil {
				return fmt.Errorf("%s is to be restored from %s, of which backup %s has nothing", a.Target, cmp.Or(a.Source.Address, a.Source.HostID), p.Backup)
			}
			o := Order{ID: p.ID, Way: in.Way, Backup: e.Backup, Cluster: e.Cluster, Node: e.Node, HostID: e.HostID, Selection: in.Selection,
				KeepAuth: in.KeepAuth, WholeCluster: whole, Accept: in.Accept}
			if in.Way == Clone {
				o.FirstStart = &node.FirstStart{Restore: p.ID, Tokens: a.Source.Tokens}
			}
			p.Nodes = append(p.Nodes, NodeOrder{Target: cmp.Or(a.Target, a.Source.Address), Root: e.Root, Seed: a.Seed, Files: e.Files, Bytes: e.BytesSource, Order: o})
			p.Bytes += e.BytesSource
		}
	}
	return nil
}

// statements give the keyspaces of a clone the names that data centres have at the target.
func (in *ClusterInput) statements() (all []string, err error) {
	if in.Way != Clone {
		return nil, nil
	}
	for _, keyspace := range slices.Sorted(maps.Keys(in.Source.Replication)) {
		options := in.Source.Replication[keyspace]
		renamed, err := ring.RenameReplication(options, in.Renames)
		if err != nil {
			return nil, fmt.Errorf("keyspace %s: %w", keyspace, err)
		}
		if maps.Equal(options, renamed) || keyspace == keyspaceSystem || keyspace == keyspaceSchema {
			continue
		}
		var list []string
		for _, k := range slices.Sorted(maps.Keys(renamed)) {
			list = append(list, quoteText(k)+": "+quoteText(renamed[k]))
		}
		all = append(all, fmt.Sprintf("%s WITH replication = {%s};", alterKeyspace(keyspace), strings.Join(list, ", ")))
	}
	return all, nil
}

func alterKeyspace(name string) string {
	return `ALTER KEYSPACE "` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// maxTold bounds the keyspaces that one risk each is told of.
const maxTold = 100

// judge turns what the rings tell into risks.
func (p *ClusterPlan) judge() {
	for i, l := range p.Lacks {
		switch {
		case i == maxTold:
			p.risk(fit.Ranges, "", "and so on, %d keyspaces in all", len(p.Lacks))
			return
		case l.Unknown != "":
			p.risk(fit.Ranges, l.Keyspace, "whether all its ranges are in the backup cannot be told: %s", l.Unknown)
		default:
			p.risk(fit.Ranges, l.Keyspace, "token ranges are below %s in the backup, as %v", p.Level, l.Ranges[:min(1, len(l.Ranges))])
		}
	}
	if slices.ContainsFunc(p.Statements, func(stmt string) bool { return strings.HasPrefix(stmt, alterKeyspace(keyspaceAuth)) }) {
		p.Risks = append(p.Risks, fit.Risk{Code: fit.Roles, Keyspace: keyspaceAuth, What: "its replicas are in data centres that the target has under other names: " +
			"where passwords are asked for, nobody can log in to run the statements of this plan; let the nodes start with AllowAllAuthenticator and AllowAllAuthorizer until they were run"})
	}
	if p.Differences.None() {
		return
	}
	for _, k := range p.Differences.Short {
		p.risk(fit.ReplicationFactor, k.Keyspace, "%s", k)
	}
	p.risk(fit.Replicas, "", "%s", strings.TrimSpace(p.Differences.String()))
}

func (p *ClusterPlan) risk(code, keyspace, format string, args ...any) {
	p.Risks = append(p.Risks, fit.Risk{Code: code, Keyspace: keyspace, What: fmt.Sprintf(format, args...), Refuses: true})
}
