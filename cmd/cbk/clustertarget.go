package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cbk/cassandra/cluster"
	"cbk/cassandra/ring"
	"cbk/restore"
	"cbk/snapshot/fleet"
)

// maxAsked is how many nodes are asked for the ring before a cluster counts as down: each that does not answer takes its time.
const maxAsked = 5

// findTarget asks the nodes that are restored onto for their ring, and settles the way where the user left it open.
func (r *clusterRestore) findTarget() error {
	var err error
	switch {
	case r.c.String("seed-target") != "":
		here, err := r.askRing(r.c.String("seed-target"))
		if err != nil {
			return err
		}
		r.in.Target = here.Ring
		return r.settleWay()
	case r.in.Way == restore.InPlace:
		return r.ringOfToday()
	}
	// A clone by a list: any of its nodes knows the racks. Where none answers, the planner says what cannot be told.
	for _, p := range r.in.Hosts[:min(maxAsked, len(r.in.Hosts))] {
		var here *fleet.Here
		if here, err = r.askRing(p.Target); err == nil {
			r.in.Target = here.Ring
			return nil
		}
		r.log.Warn("node does not tell the ring", "node", p.Target, "err", err)
	}
	return nil
}

func (r *clusterRestore) askRing(address string) (*fleet.Here, error) {
	h := cluster.Host{Address: address}
	if r.ready != nil {
		if err := r.ready(r.c.Context, h); err != nil {
			return nil, err
		}
	}
	return fleet.Ask(r.c.Context, r.nodes, h)
}

// ringOfToday asks the nodes of the cluster. Of one that is down its ring is taken to be as it was.
func (r *clusterRestore) ringOfToday() error {
	seeds, _ := r.cfg.seeds(r.c)
	for _, m := range r.in.Source.Members {
		if !slices.Contains(seeds, m.Address) {
			seeds = append(seeds, m.Address)
		}
	}
	for _, seed := range seeds[:min(maxAsked, len(seeds))] {
		here, err := r.askRing(seed)
		if err == nil {
			r.in.Target = here.Ring
			return nil
		}
		if exit := (*cluster.ExitError)(nil); !errors.As(err, &exit) {
			r.log.Warn("node cannot be reached", "node", seed, "err", err)
		}
	}
	fmt.Fprintln(r.out, "  !  Cassandra does not answer: the ring is taken to be as it was at the backup")
	r.in.Target = r.in.Source
	return nil
}

// settleWay decides by the ring of the target, and says why.
func (r *clusterRestore) settleWay() error {
	now := make(map[string]bool)
	for _, m := range r.in.Target.Normal() {
		now[strings.ToLower(m.HostID)] = true
	}
	var same, other []string
	for _, m := range r.in.Source.Normal() {
		if now[strings.ToLower(m.HostID)] {
			same = append(same, m.HostID)
		} else {
			other = append(other, m.HostID)
		}
	}
	switch {
	case len(other) == 0 && len(now) == len(same):
		r.in.Way = restore.InPlace
		fmt.Fprintf(r.out, "in place: %s is a node of the backup's own cluster, and all %d are there\n", r.c.String("seed-target"), len(same))
		return nil
	case len(same) > 0:
		return usageError("the cluster of %s has %d nodes of the backup, lacks %d and has %d others: restore --in-place what is left, or replace the others first",
			r.c.String("seed-target"), len(same), len(other), len(now)-len(same))
	}
	source, err := r.in.Source.Topology()
	if err != nil {
		return err
	}
	if _, err := ring.MapAuto(source, r.in.Target, ring.AutoOptions{Renames: r.in.Renames}); err != nil {
		if shape := (*ring.ShapeError)(nil); errors.As(err, &shape) {
			return &restore.AnotherShapeError{Err: err}
		}
		return err
	}
	fmt.Fprintf(r.out, "another cluster of the same shape: no node of it is of the backup's %d, and each rack has as many\n", len(other))
	return nil
}

// host is a node as far as it is known of the target's ring.
func (r *clusterRestore) host(address string) cluster.Host {
	for _, m := range r.in.Target.Members {
		if m.Address == address {
			return cluster.Host{Address: address, DC: m.DC, Rack: m.Rack}
		}
	}
	return cluster.Host{Address: address}
}

// hosts are those that may have been restored onto.
func (r *clusterRestore) hosts() (hosts []cluster.Host) {
	if len(r.in.Hosts) > 0 {
		for _, p := range r.in.Hosts {
			hosts = append(hosts, r.host(p.Target))
		}
		return hosts
	}
	in := make(map[string]bool)
	for i := range r.in.Backup.Nodes {
		in[strings.ToLower(r.in.Backup.Nodes[i].HostID)] = true
	}
	for _, m := range r.in.Target.Members {
		if r.in.Way != restore.InPlace || in[strings.ToLower(m.HostID)] {
			hosts = append(hosts, r.host(m.Address))
		}
	}
	return hosts
}
