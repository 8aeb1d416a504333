package main

import (
	"context"
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
	switch {
	case r.c.String("seed-target") != "":
		here, err := r.asking(nil).First(r.c.Context, r.c.String("seed-target"))
		if err != nil {
			return err
		}
		r.in.Target = here.Ring
		return r.settleWay()
	case r.in.Way == restore.InPlace:
		return r.ringOfToday()
	}
	// A clone by a list: any of its nodes knows the racks. Where none answers, the planner says what cannot be told.
	var targets []string
	for _, p := range r.in.Hosts[:min(maxAsked, len(r.in.Hosts))] {
		targets = append(targets, p.Target)
	}
	here, err := r.asking(func(node string, err error) {
		r.log.Warn("node does not tell the ring", "node", node, "err", err)
	}).First(r.c.Context, targets...)
	if err == nil {
		r.in.Target = here.Ring
	}
	return context.Cause(r.c.Context)
}

// asking asks nodes for the ring; silent may be nil.
func (r *clusterRestore) asking(silent func(node string, err error)) fleet.Asking {
	if silent == nil {
		silent = func(string, error) {}
	}
	return fleet.Asking{Runner: r.nodes, Ready: r.ready, Silent: silent}
}

// ringOfToday asks the nodes of the cluster. Of one that is down its ring is taken to be as it was.
func (r *clusterRestore) ringOfToday() error {
	seeds, _ := r.cfg.seeds(r.c)
	for _, m := range r.in.Source.Members {
		if !slices.Contains(seeds, m.Address) {
			seeds = append(seeds, m.Address)
		}
	}
	here, err := r.asking(func(node string, err error) {
		if exit := (*cluster.ExitError)(nil); !errors.As(err, &exit) {
			r.log.Warn("node cannot be reached", "node", node, "err", err)
		}
	}).First(r.c.Context, seeds[:min(maxAsked, len(seeds))]...)
	switch {
	case err == nil:
		r.in.Target = here.Ring
	case r.c.Context.Err() != nil:
		return err
	default:
		fmt.Fprintln(r.out, "  !  Cassandra does not answer: the ring is taken to be as it was at the backup")
		r.in.Target = r.in.Source
	}
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
