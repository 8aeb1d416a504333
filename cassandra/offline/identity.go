package offline

import (
	"context"
	"encoding/hex"
	"net"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
)

// Identity is what system.local says of the node. Where that cannot be read, the host id is empty and the rest is what
// cassandra.yaml says; the log has the reason then.
func (n *Node) Identity(ctx context.Context) (node.Identity, error) {
	if err := ctx.Err(); err != nil {
		return node.Identity{}, err
	}
	dirs, err := node.LiveTables(n.layout)
	if err != nil {
		return node.Identity{}, err
	}
	id, err := n.local(dirs)
	if err != nil {
		n.log.Warn("the node's identity cannot be read; cassandra.yaml has to do", "error", err)
		name := n.yaml.name()
		id = node.Identity{Name: name, Address: name, Cluster: n.layout.ClusterName}
	}
	return id, nil
}

// local reads the one row of system.local.
func (n *Node) local(dirs []node.TableDir) (node.Identity, error) {
	all, err := read(dirs, "system.local")
	if err != nil {
		return node.Identity{}, err
	}
	for _, r := range all {
		if text(r, "key") != "local" || hostID(r) == "" {
			continue
		}
		address := address(r, "broadcast_address")
		if address == "" {
			address = n.yaml.name()
		}
		id := node.Identity{
			HostID: hostID(r), Name: address, Address: address,
			Cluster: text(r, "cluster_name"), Version: text(r, "release_version"), Partitioner: text(r, "partitioner"),
			DC: text(r, "data_center"), Rack: text(r, "rack"), Tokens: texts(r, "tokens"),
		}
		ring.SortTokens(id.Tokens)
		return id, nil
	}
	return node.Identity{}, errNothing
}

// The values of a column; a value that is missing, or of another type, is the zero one.

func text(r schema.Row, column string) string {
	v, _ := r[column].(string)
	return v
}

func texts(r schema.Row, column string) []string {
	v, _ := r[column].([]string)
	return v
}

func address(r schema.Row, column string) string {
	v, ok := r[column].(net.IP)
	if !ok {
		return ""
	}
	return v.String()
}

// hostID is a UUID in its usual text form.
func hostID(r schema.Row) string {
	id, ok := r["host_id"].([16]byte)
	if !ok {
		return ""
	}
	s := hex.EncodeToString(id[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
