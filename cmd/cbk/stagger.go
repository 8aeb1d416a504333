package main

import (
	"context"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/ring"
	"cbk/snapshot"
)

// stagger waits for this node's turn: the nodes of a ring spread evenly over a time, without asking each other. Nothing is
// open meanwhile but what is asked of the node.
func stagger(c *cli.Context) error {
	over := c.Duration("stagger")
	if over == 0 && !c.IsSet("stagger") {
		return nil
	}
	if over <= 0 || !c.IsSet("name") {
		return usageError("--stagger needs a time above 0, and the --name that this backup has on all nodes")
	}
	opt, err := backupOptions(c)
	if err != nil {
		return err
	}
	s, err := openLocal(c)
	if err != nil {
		return err
	}
	src, done, err := s.source(opt.Way)
	if err != nil {
		return err
	}
	pause, err := turn(c.Context, src, over)
	done()
	if err != nil {
		return err
	}
	s.log.Info("waiting for this node's turn", "pause", pause.Round(time.Second))
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-c.Context.Done():
		return context.Cause(c.Context)
	}
}

// turn is how long a node waits.
func turn(ctx context.Context, src snapshot.Source, over time.Duration) (time.Duration, error) {
	id, err := src.Identity(ctx)
	if err != nil {
		return 0, err
	}
	seen, err := src.Ring(ctx)
	if err != nil {
		return 0, err
	}
	return slot(seen, id.HostID, over), nil
}

// slot is a node's turn: its place among the NORMAL members of the ring, by host id, which all nodes see alike. A node whose
// ring is not known takes a place by chance, always the same.
func slot(r ring.Ring, hostID string, over time.Duration) time.Duration {
	members := r.Normal()
	slices.SortFunc(members, func(x, y ring.Member) int {
		return strings.Compare(strings.ToLower(x.HostID), strings.ToLower(y.HostID))
	})
	i, n := slices.IndexFunc(members, func(m ring.Member) bool { return strings.EqualFold(m.HostID, hostID) }), len(members)
	if i < 0 {
		h := fnv.New32a()
		h.Write([]byte(strings.ToLower(hostID)))
		i, n = int(h.Sum32()%1000), 1000
	}
	return time.Duration(float64(over) * float64(i) / float64(n))
}
