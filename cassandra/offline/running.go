package offline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
)

// Running is a node that runs. Where CQL is off it is asked all the same: who it is and its ring by nodetool, its schema and
// roles by the files that it has just flushed. Its methods may be called concurrently.
type Running struct{ *node.Node }

// NewRunning is [node.New].
func NewRunning(cfg node.Config, log *slog.Logger) (*Running, error) {
	n, err := node.New(cfg, log)
	return &Running{n}, err
}

// readTries is how often files of a node that runs are read: a compaction may take them away meanwhile, which it does with
// the few SSTables of a system table once in minutes.
const readTries = 5

// flushed reads the files of a system keyspace, which are whole as of now.
func (r *Running) flushed(ctx context.Context, keyspace string, read func() error) (err error) {
	if err := r.FlushKeyspace(ctx, keyspace); err != nil {
		return err
	}
	for range readTries {
		if err = read(); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// Identity is what the node says of itself.
func (r *Running) Identity(ctx context.Context) (node.Identity, error) {
	id, err := r.Node.Identity(ctx)
	if errors.Is(err, node.ErrNoCQL) {
		return r.ToldIdentity(ctx)
	}
	return id, err
}

// Ring is the ring as the node sees it.
func (r *Running) Ring(ctx context.Context) (ring.Ring, error) {
	all, err := r.Node.Ring(ctx)
	if !errors.Is(err, node.ErrNoCQL) {
		return all, err
	}
	if all, err = r.ToldRing(ctx); err != nil {
		return ring.Ring{}, err
	}
	sys, err := r.System(ctx)
	if err != nil {
		return ring.Ring{}, err
	}
	all.Replication = replication(sys.Keyspaces)
	return all, nil
}

// System are the rows of system_schema.
func (r *Running) System(ctx context.Context) (*schema.System, error) {
	sys, err := r.Node.System(ctx)
	if !errors.Is(err, node.ErrNoCQL) {
		return sys, err
	}
	sys = new(schema.System)
	err = r.flushed(ctx, "system_schema", func() (err error) {
		*sys, err = readSystem(ctx, r.Layout())
		return err
	})
	return sys, err
}

// Schema is the cluster's schema as the node knows it.
func (r *Running) Schema(ctx context.Context) (node.Schema, error) {
	s, err := r.Node.Schema(ctx)
	if !errors.Is(err, node.ErrNoCQL) {
		return s, err
	}
	sys, err := r.System(ctx)
	if err != nil {
		return node.Schema{}, fmt.Errorf("read the schema without CQL: %w", err)
	}
	return newSchema(*sys)
}

// Roles are the roles and what they may do. Where the node has no replica of them there are none in its files: they are
// absent then.
func (r *Running) Roles(ctx context.Context) (node.Roles, error) {
	roles, err := r.Node.Roles(ctx)
	if !errors.Is(err, node.ErrNoCQL) {
		return roles, err
	}
	release, err := r.Release(ctx)
	if err != nil {
		return node.Roles{}, err
	}
	var access schema.Access
	err = r.flushed(ctx, "system_auth", func() (err error) {
		access, err = readAccess(ctx, r.Layout())
		return err
	})
	if ctx.Err() != nil {
		return node.Roles{}, ctx.Err()
	}
	if err == nil && len(access.Roles) == 0 {
		err = errors.New("this node's files hold no role")
	}
	if err != nil {
		return node.Roles{Absent: fmt.Sprintf("system_auth cannot be read without CQL: %v", err)}, nil
	}
	cql, err := access.CQL(release)
	return node.Roles{CQL: cql}, err
}
