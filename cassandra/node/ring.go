package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/gocql/gocql"

	"cbk/cassandra/ring"
)

// maxMembers bounds what is taken for a ring; clusters of a thousand nodes are rare.
const maxMembers = 100_000

// Ring tells the ring as this node sees it. Tokens, data centres and host ids
// come from the node's system tables. Who belongs to the ring, and in what
// state, comes from nodetool status: the system tables may keep ghosts of
// members long gone.
func (n *Node) Ring(ctx context.Context) (ring.Ring, error) {
	r, err := n.readRing(ctx)
	if err != nil {
		return ring.Ring{}, fmt.Errorf("read the ring: %w", err)
	}
	return r, nil
}

func (n *Node) readRing(ctx context.Context) (ring.Ring, error) {
	local, err := n.local(ctx)
	if err != nil {
		return ring.Ring{}, err
	}
	known, err := n.peers(ctx)
	if err != nil {
		return ring.Ring{}, err
	}
	known[local.HostID] = ring.Member{HostID: local.HostID, Address: local.Address, DC: local.DC, Rack: local.Rack, Tokens: local.Tokens}
	seen, err := n.seen(ctx, local.Version)
	if err != nil {
		return ring.Ring{}, err
	}
	r := ring.Ring{Cluster: local.Cluster, Partitioner: local.Partitioner}
	if r.Members, err = members(seen, known); err != nil {
		return ring.Ring{}, err
	}
	if r.Replication, err = n.replication(ctx); err != nil {
		return ring.Ring{}, err
	}
	r.Sort()
	return r, nil
}

// seen asks nodetool who belongs to the ring, by host id. The status of a nodetool of 4.0 or later fails against a node
// before 4.0, for it asks for attributes that came with it; the gossip of both is the same.
func (n *Node) seen(ctx context.Context, version string) (map[string]ring.Member, error) {
	out, err := n.run(ctx, "cassandra.nodetool", n.cfg.Nodetool, "status")
	if err == nil {
		return parseStatus(out)
	}
	if major, _, _ := strings.Cut(version, "."); major != "2" && major != "3" {
		return nil, err
	}
	gossip, failed := n.run(ctx, "cassandra.nodetool", n.cfg.Nodetool, "gossipinfo")
	if failed != nil {
		return nil, err // the way of first choice says what is wrong
	}
	return parseGossip(gossip)
}

// local reads the one row of system.local.
func (n *Node) local(ctx context.Context) (Identity, error) {
	var id Identity
	err := n.query(ctx, func(row gocql.Scanner) error {
		return row.Scan(&id.HostID, &id.Cluster, &id.Version, &id.Partitioner, &id.DC, &id.Rack, &id.Address, &id.Tokens)
	}, `SELECT host_id, cluster_name, release_version, partitioner, data_center, rack, broadcast_address, tokens
		FROM system.local WHERE key = 'local'`)
	if err == nil && id.HostID == "" {
		err = errors.New("system.local has no host id")
	}
	id.Name = id.Address
	ring.SortTokens(id.Tokens)
	return id, err
}

// peers reads the other members from the node's system tables, by host id. Rows
// without a host id belong to nodes that never finished joining.
func (n *Node) peers(ctx context.Context) (map[string]ring.Member, error) {
	table, err := n.peersTable(ctx)
	if err != nil {
		return nil, err
	}
	peers := make(map[string]ring.Member)
	err = n.query(ctx, func(row gocql.Scanner) error {
		var m ring.Member
		if err := row.Scan(&m.HostID, &m.Address, &m.DC, &m.Rack, &m.Tokens); err != nil {
			return err
		}
		if len(peers) >= maxMembers {
			return fmt.Errorf("%s has more than %d rows", table, maxMembers)
		}
		peers[m.HostID] = m
		return nil
	}, "SELECT host_id, peer, data_center, rack, tokens FROM "+table)
	delete(peers, "")
	return peers, err
}

// peersTable names the table of peers: peers_v2 since 4.0, which also tells
// apart nodes that share an address.
func (n *Node) peersTable(ctx context.Context) (string, error) {
	table := "system.peers"
	err := n.query(ctx, func(row gocql.Scanner) error {
		table = "system.peers_v2"
		return row.Scan(nil)
	}, `SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system' AND table_name = 'peers_v2'`)
	return table, err
}

func (n *Node) replication(ctx context.Context) (map[string]map[string]string, error) {
	replication := make(map[string]map[string]string)
	err := n.query(ctx, func(row gocql.Scanner) error {
		var keyspace string
		var options map[string]string
		if err := row.Scan(&keyspace, &options); err != nil {
			return err
		}
		replication[keyspace] = options
		return nil
	}, `SELECT keyspace_name, replication FROM system_schema.keyspaces`)
	return replication, err
}

// members joins what nodetool says of each member with what the system tables
// know of it. Only a member that is still joining may be unknown to the tables.
func members(seen, known map[string]ring.Member) ([]ring.Member, error) {
	var all []ring.Member
	for id, s := range seen {
		m, ok := known[id]
		if (!ok || len(m.Tokens) == 0) && s.State != ring.Joining {
			return nil, fmt.Errorf("node %s at %s is %s but this node's system tables hold no tokens for it; try again when the ring is settled", id, s.Address, s.State)
		}
		if !ok {
			m = s
		}
		m.State, m.Up = s.State, s.Up
		all = append(all, m)
	}
	return all, nil
}

// A line of nodetool status: up or down and state, address, load, tokens, owned
// share, host id, rack. A member that has only begun to join has no host id yet.
//
//	UN  127.0.0.1  104.34 KiB  16  100.0%  0bb3e8b8-27f3-4b2b-9a4b-5ad7c7a5ae0c  rack1
var (
	statusLine = regexp.MustCompile(`^([A-Z?])([A-Z?]) +(\S+) .* ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|null) +(\S.*)$`)
	statusMark = regexp.MustCompile(`^[UD?][A-Z?]\s`)
)

// states maps the letters of nodetool status.
var states = map[string]string{"N": ring.Normal, "L": ring.Leaving, "J": ring.Joining, "M": ring.Moving}

// parseStatus reads the members from the output of nodetool status. A line that
// looks like a member and cannot be read is an error: leaving it out would make
// an incomplete backup look complete.
func parseStatus(out string) (map[string]ring.Member, error) {
	seen := make(map[string]ring.Member)
	dc := ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, " \r\n")
		if name, ok := strings.CutPrefix(line, "Datacenter: "); ok {
			dc = name
		}
		if !statusMark.MatchString(line) {
			continue
		}
		m, err := parseStatusLine(line, dc)
		if err != nil {
			return nil, err
		}
		if m.HostID != "null" {
			seen[m.HostID] = m
		}
	}
	if len(seen) == 0 {
		return nil, errors.New("nodetool status shows no member")
	}
	return seen, nil
}

func parseStatusLine(line, dc string) (ring.Member, error) {
	f := statusLine.FindStringSubmatch(line)
	if f == nil || states[f[2]] == "" {
		return ring.Member{}, fmt.Errorf("cannot read line of nodetool status: %q", oneLine(line))
	}
	address := f[3]
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return ring.Member{HostID: f[4], Address: address, DC: dc, Rack: f[5], State: states[f[2]], Up: f[1] == "U"}, nil
}
