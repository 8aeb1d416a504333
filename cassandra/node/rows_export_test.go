package node

import (
	"context"
)

// Describe shows what the release says of its schema.
func (n *Node) Describe(ctx context.Context) ([]KeyspaceSchema, error) {
	all, _, err := n.describe(ctx)
	return all, err
}
