package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"cbk/cassandra/ring"
)

// ErrNoCQL says that the node runs and answers no CQL, because that is off: by start_native_transport in cassandra.yaml or
// by nodetool disablebinary.
var ErrNoCQL = errors.New("CQL is off")

// askTimeout bounds the question whether CQL is off, which takes a second: a node that hangs is not waited for.
const askTimeout = 30 * time.Second

// cqlIsOff asks nodetool whether the node runs without CQL. A node that is down does not answer that either.
func (n *Node) cqlIsOff(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	out, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "statusbinary")
	return err == nil && lastLine(out) == "not running"
}

// joined demands that the node is a member in full, as far as nodetool tells: what takes the place of an answer by CQL.
func (n *Node) joined(ctx context.Context) error {
	out, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "netstats")
	if err != nil {
		return err
	}
	switch mode := told(out, "Mode"); mode {
	case "NORMAL":
		return nil
	case "":
		return fmt.Errorf("nodetool netstats tells no mode: %q", oneLine(out))
	default:
		return fmt.Errorf("the node is in mode %s", oneLine(mode))
	}
}

// lastLine is the last line of an output that is not empty: a JVM may warn before.
func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// ToldIdentity is what nodetool alone tells of the node, the same as [Node.Identity].
func (n *Node) ToldIdentity(ctx context.Context) (Identity, error) {
	id, err := n.toldIdentity(ctx)
	if err != nil {
		return Identity{}, fmt.Errorf("ask nodetool who the node is: %w", err)
	}
	return id, nil
}

func (n *Node) toldIdentity(ctx context.Context) (id Identity, err error) {
	if id.Version, err = n.Release(ctx); err != nil {
		return id, err
	}
	if id.Cluster, id.Partitioner, err = n.describeCluster(ctx); err != nil {
		return id, err
	}
	out, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "info", "-T")
	if err != nil {
		return id, err
	}
	if id.HostID, id.Tokens, err = parseInfo(out); err != nil {
		return id, err
	}
	seen, err := n.seen(ctx, id.Version)
	if err != nil {
		return id, err
	}
	me, there := seen[id.HostID]
	if !there {
		return id, fmt.Errorf("nodetool status does not show the node itself, %s", id.HostID)
	}
	id.Name, id.Address, id.DC, id.Rack = me.Address, me.Address, me.DC, me.Rack
	return id, nil
}

// ToldRing is the ring as nodetool alone tells it, the same as [Node.Ring] but for the replication, which it does not tell
// of every release.
func (n *Node) ToldRing(ctx context.Context) (ring.Ring, error) {
	r, err := n.toldRing(ctx)
	if err != nil {
		return ring.Ring{}, fmt.Errorf("ask nodetool for the ring: %w", err)
	}
	r.Sort()
	return r, nil
}

func (n *Node) toldRing(ctx context.Context) (r ring.Ring, err error) {
	version, err := n.Release(ctx)
	if err != nil {
		return r, err
	}
	if r.Cluster, r.Partitioner, err = n.describeCluster(ctx); err != nil {
		return r, err
	}
	seen, err := n.seen(ctx, version)
	if err != nil {
		return r, err
	}
	out, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "ring")
	if err != nil {
		return r, err
	}
	known, err := parseRing(out, seen)
	if err == nil {
		r.Members, err = members(seen, known)
	}
	return r, err
}

// FlushKeyspace has the node write out what it holds of a keyspace in memory.
func (n *Node) FlushKeyspace(ctx context.Context, keyspace string) error {
	_, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "flush", keyspace)
	return err
}

func (n *Node) describeCluster(ctx context.Context) (name, partitioner string, err error) {
	out, err := n.run(ctx, nodetoolKey, n.cfg.Nodetool, "describecluster")
	if err != nil {
		return "", "", err
	}
	name, partitioner = told(out, "Name"), told(out, "Partitioner")
	if name == "" || partitioner == "" {
		return "", "", fmt.Errorf("nodetool describecluster tells no name and partitioner: %q", oneLine(out))
	}
	return name, partitioner, nil
}

// told is the value of the first line of the form KEY: VALUE, with whatever blanks.
func told(out, key string) string {
	all := allTold(out, key)
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

func allTold(out, key string) (values []string) {
	for line := range strings.Lines(out) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

var hostIDForm = regexp.MustCompile(`^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// parseInfo reads host id and tokens from the output of nodetool info -T, a token a line:
//
//	ID                     : 0bb3e8b8-27f3-4b2b-9a4b-5ad7c7a5ae0c
//	Token                  : -9223372036854775808
func parseInfo(out string) (hostID string, tokens []string, err error) {
	if hostID = told(out, "ID"); !hostIDForm.MatchString(hostID) {
		return "", nil, fmt.Errorf("nodetool info tells no host id: %q", oneLine(out))
	}
	tokens = allTold(out, "Token")
	for _, t := range tokens {
		if !tokenForm.MatchString(t) {
			return "", nil, fmt.Errorf("nodetool info tells no token but %q", oneLine(t))
		}
	}
	if len(tokens) == 0 {
		return "", nil, errors.New("nodetool info tells no token")
	}
	ring.SortTokens(tokens)
	return hostID, tokens, nil
}

// parseRing adds their tokens to the members that nodetool status shows, from the output of nodetool ring, a token a line,
// of which the first field and the last are read. A rack with a long name runs into what follows it.
//
//	127.0.0.1        rack1       Up     Normal  104.34 KiB      100.00%             -9145391258406741634
func parseRing(out string, seen map[string]ring.Member) (map[string]ring.Member, error) {
	at, known := make(map[string]string), make(map[string]ring.Member)
	for id, m := range seen {
		if other, twice := at[m.Address]; twice {
			return nil, fmt.Errorf("nodes %s and %s have the same address, %s, by which nodetool ring tells tokens", other, id, m.Address)
		}
		at[m.Address], known[id] = id, m
	}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		address, token := fields[0], fields[len(fields)-1]
		if host, _, err := net.SplitHostPort(address); err == nil {
			address = host
		}
		id, member := at[address]
		if !member {
			continue
		}
		if !tokenForm.MatchString(token) {
			return nil, fmt.Errorf("cannot read line of nodetool ring: %q", oneLine(line))
		}
		m := known[id]
		m.Tokens = append(m.Tokens, token)
		known[id] = m
	}
	return known, nil
}
