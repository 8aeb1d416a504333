package offline

import (
	"context"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
)

// Ring is the ring as the node's system tables have it: this node and its peers, all taken for NORMAL and for down. Where
// they cannot be read the ring is absent.
func (n *Node) Ring(ctx context.Context) (ring.Ring, error) {
	if err := ctx.Err(); err != nil {
		return ring.Ring{}, err
	}
	dirs, err := node.LiveTables(n.layout)
	if err != nil {
		return ring.Ring{}, err
	}
	r, err := n.ring(dirs)
	if err != nil {
		n.log.Warn("the ring cannot be read", "error", err)
		return ring.Ring{Cluster: n.layout.ClusterName, Absent: err.Error()}, nil
	}
	return r, nil
}

func (n *Node) ring(dirs []node.TableDir) (ring.Ring, error) {
	id, err := n.local(dirs)
	if err != nil {
		return ring.Ring{}, err
	}
	peers, err := peers(dirs)
	if err != nil {
		return ring.Ring{}, err
	}
	keyspaces, err := read(dirs, "system_schema.keyspaces")
	if err != nil {
		return ring.Ring{}, err
	}
	r := ring.Ring{
		Cluster: id.Cluster, Partitioner: id.Partitioner,
		Members: []ring.Member{{HostID: id.HostID, Address: id.Address, DC: id.DC, Rack: id.Rack, State: ring.Normal, Tokens: id.Tokens}},
	}
	for _, p := range peers {
		if p.HostID != id.HostID {
			r.Members = append(r.Members, p)
		}
	}
	r.Replication = replication(keyspaces)
	r.Sort()
	return r, nil
}

// replication reads the options of each keyspace from the rows of system_schema.keyspaces.
func replication(keyspaces []schema.Row) map[string]map[string]string {
	all := make(map[string]map[string]string)
	for _, k := range keyspaces {
		if options, ok := k["replication"].(map[string]string); ok {
			all[text(k, "keyspace_name")] = options
		}
	}
	return all
}

// peers reads the other members: from peers_v2, which 4.0 made, or from peers where that has none. A row without a host id
// or tokens is of a node that never finished joining.
func peers(dirs []node.TableDir) ([]ring.Member, error) {
	for _, name := range []string{"system.peers_v2", "system.peers"} {
		all, err := read(dirs, name)
		if err != nil {
			return nil, err
		}
		if found := members(all); len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}

func members(all []schema.Row) []ring.Member {
	var found []ring.Member
	for _, r := range all {
		m := ring.Member{HostID: hostID(r), Address: address(r, "peer"), DC: text(r, "data_center"), Rack: text(r, "rack"),
			State: ring.Normal, Tokens: texts(r, "tokens")}
		if m.HostID != "" && len(m.Tokens) > 0 {
			found = append(found, m)
		}
	}
	return found
}
