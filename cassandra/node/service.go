package node

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"
)

// WaitUp tries again after firstRetry, then after twice as long each time, up to
// lastRetry: a start takes ten seconds at the least and minutes at the most.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = time.Second
)

// StopCassandra runs the configured stop command, which must return when
// Cassandra has ended. A failure is a *CommandError.
func (n *Node) StopCassandra(ctx context.Context) error {
	n.drop()
	_, err := n.run(ctx, "cassandra.stop", n.cfg.Stop)
	return err
}

// Drain has the node write out what its commit log holds and take no more writes.
func (n *Node) Drain(ctx context.Context) error {
	_, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "drain")
	return err
}

// StartCassandra runs the configured start command. It returns with the
// command, which may leave Cassandra running behind it and not yet ready; WaitUp
// tells when it is. A failure is a *CommandError.
func (n *Node) StartCassandra(ctx context.Context) error {
	n.drop()
	_, err := n.run(ctx, "cassandra.start", n.cfg.Start)
	return err
}

// Answers tells whether the node answers at this moment: a query or, where CQL is off, nodetool.
func (n *Node) Answers(ctx context.Context) bool { return n.ping(ctx) == nil || n.cqlIsOff(ctx) }

// WaitUp waits until the node answers CQL or the context ends. Where cassandra.yaml has start_native_transport: false, a
// node that has joined the ring is up: the other ways to turn CQL off do not outlive a start.
func (n *Node) WaitUp(ctx context.Context) error {
	n.drop()
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := n.ping(ctx)
		if err != nil && n.layout.NoCQL {
			err = n.joined(ctx)
		}
		if err == nil {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("wait for Cassandra to come up: %w: %w", context.Cause(ctx), err)
		}
	}
}

// ping asks one row over a connection of its own.
func (n *Node) ping(ctx context.Context) error {
	s, err := n.connect(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return scan(ctx, s, func(gocql.Scanner) error { return nil }, "SELECT key FROM system.local WHERE key = 'local'")
}
