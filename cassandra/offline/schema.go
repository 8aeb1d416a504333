package offline

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"cbk/cassandra/node"
	"cbk/cassandra/schema"
)

// Schema is the schema as system_schema has it. Where that cannot be read, as with 2.x, which has none, it is absent and
// there is no list of tables.
func (n *Node) Schema(ctx context.Context) (node.Schema, error) {
	sys, err := n.System(ctx)
	if ctx.Err() != nil {
		return node.Schema{}, ctx.Err()
	}
	if err != nil {
		n.log.Warn("the schema cannot be read", "error", err)
		return node.Schema{Absent: err.Error()}, nil
	}
	return newSchema(sys)
}

// newSchema makes the schema of the rows of system_schema.
func newSchema(sys schema.System) (node.Schema, error) {
	tables, err := tablesOf(sys.Tables, sys.Views)
	if err != nil {
		return node.Schema{}, err
	}
	s := node.Schema{Tables: tables}
	keyspaces, err := sys.CQL()
	if err != nil {
		return node.Schema{}, err
	}
	for _, k := range keyspaces {
		s.Keyspaces = append(s.Keyspaces, node.KeyspaceSchema{Name: k.Name, CQL: k.CQL})
	}
	return s, nil
}

// System reads the rows of system_schema.
func (n *Node) System(ctx context.Context) (schema.System, error) { return readSystem(ctx, n.layout) }

func readSystem(ctx context.Context, l node.Layout) (schema.System, error) {
	var sys schema.System
	dirs, err := node.LiveTables(l)
	if err != nil {
		return sys, err
	}
	for name, rows := range map[string]*[]schema.Row{
		"keyspaces": &sys.Keyspaces, "tables": &sys.Tables, "columns": &sys.Columns, "dropped_columns": &sys.DroppedColumns,
		"types": &sys.Types, "functions": &sys.Functions, "aggregates": &sys.Aggregates, "views": &sys.Views,
		"indexes": &sys.Indexes, "triggers": &sys.Triggers, "column_masks": &sys.ColumnMasks, // the last since 5.0
	} {
		if err := ctx.Err(); err != nil {
			return sys, err
		}
		if *rows, err = read(dirs, "system_schema."+name); err != nil {
			return sys, err
		}
	}
	// A node has its own keyspaces there from its first start on.
	if len(sys.Keyspaces) == 0 {
		return sys, fmt.Errorf("read system_schema.keyspaces from its files: %w", errNothing)
	}
	return sys, nil
}

// tables lists the tables and views of the schema.
func (n *Node) tables(dirs []node.TableDir) ([]node.Table, error) {
	tables, err := read(dirs, "system_schema.tables")
	if err != nil {
		return nil, err
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("read system_schema.tables from its files: %w", errNothing)
	}
	views, err := read(dirs, "system_schema.views")
	if err != nil {
		return nil, err
	}
	return tablesOf(tables, views)
}

// tablesOf lists tables and views in the order of keyspace and name.
func tablesOf(tables, views []schema.Row) ([]node.Table, error) {
	var all []node.Table
	for i, r := range slices.Concat(tables, views) {
		t := node.Table{Keyspace: text(r, "keyspace_name"), Name: text(r, "table_name"), View: i >= len(tables)}
		if t.View {
			t.Name = text(r, "view_name")
		}
		id, ok := r["id"].([16]byte)
		if !ok {
			return nil, fmt.Errorf("system_schema has no id of %s.%s", t.Keyspace, t.Name)
		}
		t.ID = hex.EncodeToString(id[:])
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b node.Table) int {
		return cmp.Or(cmp.Compare(a.Keyspace, b.Keyspace), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// Roles are the roles as system_auth has them; absent where that cannot be read.
func (n *Node) Roles(ctx context.Context) (node.Roles, error) {
	access, err := n.Access(ctx)
	if ctx.Err() != nil {
		return node.Roles{}, ctx.Err()
	}
	if err != nil {
		n.log.Warn("the roles cannot be read", "error", err)
		return node.Roles{Absent: err.Error()}, nil
	}
	id, err := n.Identity(ctx)
	if err != nil {
		return node.Roles{}, err
	}
	cql, err := access.CQL(id.Version)
	return node.Roles{CQL: cql}, err
}

// Access reads the rows of system_auth. Before 2.2 there was no table of roles.
func (n *Node) Access(ctx context.Context) (schema.Access, error) { return readAccess(ctx, n.layout) }

func readAccess(ctx context.Context, l node.Layout) (schema.Access, error) {
	var access schema.Access
	dirs, err := node.LiveTables(l)
	if err != nil {
		return access, err
	}
	id := systemID("system_auth", "roles")
	if !slices.ContainsFunc(dirs, func(d node.TableDir) bool { return d.ID == id }) {
		return access, errors.New("no table system_auth.roles in the data directories")
	}
	for name, rows := range map[string]*[]schema.Row{
		"roles": &access.Roles, "role_members": &access.Members, "role_permissions": &access.Permissions,
		"network_permissions": &access.Networks, "identity_to_role": &access.Identities, // since 4.0 and 5.0
	} {
		if err := ctx.Err(); err != nil {
			return access, err
		}
		if *rows, err = read(dirs, "system_auth."+name); err != nil {
			return access, err
		}
	}
	return access, nil
}
