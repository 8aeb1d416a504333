package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/gocql/gocql"

	"cbk/cassandra/schema"
)

// Roles reads the roles and what they may do from the node's system_auth. They are absent where the node answers that
// they cannot be read, be it that this user may not or that a release before 2.2 has none. One replica's word is taken:
// no other node is waited for. Where the replication of system_auth leaves this node out, the nearest replica answers.
func (n *Node) Roles(ctx context.Context) (Roles, error) {
	r, err := n.readRoles(ctx)
	var answered gocql.RequestError
	if errors.As(err, &answered) {
		return Roles{Absent: fmt.Sprintf("system_auth cannot be read: %s", oneLine(err.Error()))}, nil
	}
	if err != nil {
		return Roles{}, fmt.Errorf("read the roles: %w", err)
	}
	return r, nil
}

func (n *Node) readRoles(ctx context.Context) (Roles, error) {
	local, err := n.local(ctx)
	if err != nil {
		return Roles{}, err
	}
	var a schema.Access
	if err := n.readTables(ctx, "system_auth", map[string]*[]schema.Row{
		"roles": &a.Roles, "role_members": &a.Members, "role_permissions": &a.Permissions,
		"network_permissions": &a.Networks, "identity_to_role": &a.Identities,
	}); err != nil {
		return Roles{}, err
	}
	cql, err := a.CQL(local.Version)
	return Roles{CQL: cql}, err
}
