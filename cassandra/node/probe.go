package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Release asks nodetool for the node's release, as "5.0.6".
func (n *Node) Release(ctx context.Context) (string, error) {
	out, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "version")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if release, ok := strings.CutPrefix(strings.TrimSpace(line), "ReleaseVersion: "); ok {
			return oneLine(release), nil
		}
	}
	return "", fmt.Errorf("nodetool version says no release: %q; check %s in the config", oneLine(out), nodetoolKey)
}

// Clock asks the node, over CQL, what time it is.
func (n *Node) Clock(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := n.query(ctx, func(row gocql.Scanner) error { return row.Scan(&at) },
		"SELECT toTimestamp(now()) FROM system.local WHERE key = 'local'")
	if err == nil && at.IsZero() {
		err = errors.New("system.local has no row")
	}
	if err != nil {
		return at, fmt.Errorf("read the node's clock: %w", err)
	}
	return at, nil
}
