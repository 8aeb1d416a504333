package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"slices"

	"github.com/urfave/cli/v2"

	"cbk/cassandra/cluster"
	"cbk/snapshot/fleet"
)

// nodeFilterFlags choose nodes of a cluster.
func nodeFilterFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "dc", Usage: "only nodes of the data centre `NAME`; may be repeated"},
		&cli.StringSliceFlag{Name: "rack", Usage: "only nodes of the rack `NAME` or DC:NAME; may be repeated"},
		&cli.StringSliceFlag{Name: "node", Usage: "only the node with this `ADDRESS` or host id; may be repeated"},
	}
}

// reachFlags are those of the commands that reach all nodes of a cluster.
func reachFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "seed", Usage: "ask the node at `ADDRESS` for the ring; may be repeated: the first that answers", DefaultText: "cluster.seed, then those of cluster.nodes"},
		&cli.BoolFlag{Name: "accept-new", Usage: "write down host keys that known_hosts does not have, and go on"},
		&cli.StringFlag{Name: "push-binary", Usage: "copy cbk's build `FILE` for Linux to cluster.remote_cbk on each node that has another"},
		&cli.IntFlag{Name: "tries", Usage: "try `N` times at a node that cannot be reached or whose store fails", Value: 8},
	}
}

// seeds are the addresses of nodes that may be asked for the ring.
func (k *config) seeds(c *cli.Context) ([]string, error) {
	if c.IsSet("seed") {
		return c.StringSlice("seed"), nil
	}
	var seeds []string
	if k.Cluster.Seed != "" {
		seeds = append(seeds, k.Cluster.Seed)
	}
	for _, n := range k.Cluster.Nodes {
		if !slices.Contains(seeds, n.Address) {
			seeds = append(seeds, n.Address)
		}
	}
	if len(seeds) == 0 {
		return nil, usageError("no node to ask for the ring: set --seed, or cluster.seed in the configuration")
	}
	return seeds, nil
}

func nodeFilter(c *cli.Context) fleet.Filter {
	return fleet.Filter{DCs: c.StringSlice("dc"), Racks: c.StringSlice("rack"), Nodes: c.StringSlice("node")}
}

// passing are exit codes of a node that may be others at another try: the store was not to be reached, or something ended
// the command.
var passing = []int{exitFailed, exitInterrupted, 128 + 9, 128 + 15}

func retry(c *cli.Context) cluster.Retry {
	return cluster.Retry{Tries: c.Int("tries"), Codes: passing}
}

// reach opens the way to the nodes.
func (s *session) reach(c *cli.Context) (*cluster.Cluster, error) {
	u, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("who runs this: %w", err)
	}
	home := u.HomeDir
	if set := os.Getenv("HOME"); set != "" {
		home = set
	}
	return cluster.New(c.Context, s.cfg.Cluster, cluster.Options{Home: home, User: u.Username, AgentSocket: os.Getenv("SSH_AUTH_SOCK"),
		AcceptNew: c.Bool("accept-new"), Log: s.log})
}

// pushing returns what copies the binary that --push-binary names to a host; nil where none is to be.
func pushing(c *cli.Context, to *cluster.Cluster, log *slog.Logger) (func(context.Context, cluster.Host) error, error) {
	if !c.IsSet("push-binary") {
		return nil, nil
	}
	b, err := cluster.OpenBinary(c.String("push-binary"))
	if err != nil {
		return nil, usageError("--push-binary: %w", err)
	}
	return func(ctx context.Context, h cluster.Host) error {
		copied, err := to.Push(ctx, h, b)
		if copied {
			log.Info("copied cbk", "node", h.Address)
		}
		return err
	}, nil
}
