package offline

import (
	"context"
	"fmt"
	"log/slog"

	"cbk/cassandra/node"
)

// Node is a node that is stopped. Its methods may be called concurrently.
type Node struct {
	layout node.Layout
	yaml   yaml
	path   string // of cassandra.yaml
	log    *slog.Logger
}

// New reads the node's cassandra.yaml, of whose path alone it needs in cfg. A node that runs is an error.
func New(cfg node.Config, log *slog.Logger) (*Node, error) {
	read, err := node.New(cfg, log)
	if err != nil {
		return nil, err
	}
	n := &Node{layout: read.Layout(), path: cfg.YAML, log: log}
	if n.yaml, err = readYAML(cfg.YAML); err != nil {
		return nil, err
	}
	return n, n.stopped()
}

// Layout tells where the node's directories are.
func (n *Node) Layout() node.Layout { return n.layout }

// ConfigFiles reads the files of the node's configuration, with their secrets masked.
func (n *Node) ConfigFiles() ([]node.ConfigFile, error) { return node.ConfigFiles(n.path) }

// Snapshot takes none: the files of a node that is stopped stay as they are. It makes sure that the node is.
func (n *Node) Snapshot(ctx context.Context, _ string, _ ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return n.stopped()
}

// ClearSnapshot has nothing to clear.
func (n *Node) ClearSnapshot(context.Context, string) error { return nil }

// SnapshotTables lists the live directories of all tables, whatever the tag. Directories without SSTables that the schema
// knows no table for are left out: a dropped table leaves such, with its snapshots.
func (n *Node) SnapshotTables(string) ([]node.TableDir, error) {
	dirs, err := node.LiveTables(n.layout)
	if err != nil {
		return nil, err
	}
	tables, err := n.tables(dirs)
	if err != nil {
		n.log.Warn("the schema cannot be read; empty directories of dropped tables are taken for tables", "error", err)
		return dirs, nil
	}
	known := make(map[[2]string][]string)
	for _, t := range tables {
		name := [2]string{t.Keyspace, t.Name}
		known[name] = append(known[name], t.ID)
	}
	var kept []node.TableDir
	for _, d := range dirs {
		there, err := isTable(d, known[[2]string{d.Keyspace, d.Table}])
		if err != nil {
			return nil, err
		}
		if there {
			kept = append(kept, d)
		}
	}
	return kept, nil
}

// isTable tells whether a directory has an id that the schema has for its name, or no id, or SSTables.
func isTable(d node.TableDir, ids []string) (bool, error) {
	for _, id := range ids {
		if d.ID == id || d.ID == "" {
			return true, nil
		}
	}
	all, err := d.SSTables()
	return len(all) > 0, err
}

// stopped refuses a node that runs: one that accepts connections where its cassandra.yaml says.
func (n *Node) stopped() error {
	for _, address := range n.yaml.addresses() {
		if accepts(address) {
			return fmt.Errorf("the node of %s runs, or another: %s accepts connections; stop it, or back it up without --offline", n.path, address)
		}
	}
	return nil
}
