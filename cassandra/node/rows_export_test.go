package node

import (
	"context"

	"cbk/cassandra/schema"
)

// SchemaRows shows the rows that a schema is made of.
func (n *Node) SchemaRows(ctx context.Context) (*schema.System, error) { return n.schemaRows(ctx) }

// Describe shows what the release says of its schema.
func (n *Node) Describe(ctx context.Context) ([]KeyspaceSchema, error) {
	all, _, err := n.describe(ctx)
	return all, err
}
