package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cbk/cassandra/node"
)

const (
	// A snapshot keeps SSTables on the disk that compaction would remove, and a
	// compaction needs room for its output: with less than this share free a data
	// directory may run full during a backup.
	dataFree = 0.05
	// stateFree holds the local index of some million blobs, at 100 bytes each,
	// twice over while it is rewritten.
	stateFree = 256 << 20
)

// node checks what a backup needs of this machine's Cassandra.
func (d *doctor) node(ctx context.Context) {
	n, err := node.New(d.cfg.node(), d.log)
	if !d.check("cassandra.yaml", err, "%s parses", d.cfg.Cassandra.Config) {
		for _, check := range []string{"data directory", "nodetool", "cql", "clock of Cassandra"} {
			d.failed(check, "", errNotAsked)
		}
		return
	}
	defer n.Close()
	for _, dir := range n.Layout().DataDirs {
		d.dataDir(ctx, dir)
	}
	release, err := n.Release(ctx)
	d.check("nodetool", err, "answers, Cassandra %s", release)
	d.cql(ctx, n)
}

func (d *doctor) dataDir(ctx context.Context, dir string) {
	first, err := firstFile(ctx, dir)
	switch {
	case err != nil:
		d.failed("data directory", "check data_file_directories, and run cbk as a user who may read Cassandra's files", err)
		return
	case first == "":
		d.ok("data directory", "%s is readable and has no file", dir)
	default:
		d.ok("data directory", "%s is readable, as is %s in it", dir, first)
	}
	free, share, err := freeSpace(dir)
	if err == nil && share < dataFree {
		err = fmt.Errorf("%s has %s free, less than %d in 100", dir, size(free), int(dataFree*100))
	}
	if err != nil {
		d.failed("space", "make room: a snapshot keeps files that Cassandra would delete", err)
		return
	}
	d.ok("space", "%s has %s free", dir, size(free))
}

var errFound = errors.New("found")

// firstFile opens and reads the first file of some bytes below dir, all directories before it being listed. It
// returns its path below dir, "" where there is none.
func firstFile(ctx context.Context, dir string) (string, error) {
	first := ""
	dir, err := filepath.EvalSymlinks(dir) // a link to another disk is walked into
	if err != nil {
		return "", err
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil // compacted away meanwhile
		}
		if err != nil || !e.Type().IsRegular() {
			return errors.Join(err, context.Cause(ctx))
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		switch _, err := f.Read(make([]byte, 1)); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		first, err = filepath.Rel(dir, path)
		return errors.Join(err, errFound)
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return first, err
}

// freeSpace is what an ordinary user may still write where dir is, and its share of the whole.
func freeSpace(dir string) (free int64, share float64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if s.Blocks == 0 {
		return 0, 1, nil // a file system that tells no size
	}
	return int64(s.Bavail) * s.Bsize, float64(s.Bavail) / float64(s.Blocks), nil
}

func (d *doctor) cql(ctx context.Context, n *node.Node) {
	id, err := n.Identity(ctx)
	answers := d.check("cql", err, "answers, Cassandra %s, host id %s, cluster %s", id.Version, id.HostID, id.Cluster)
	chain, err := n.TLSChain(ctx)
	if err != nil {
		d.failed("certificate of cql", "", err)
	}
	d.certificates("certificate of cql", chain)
	if !answers {
		d.failed("clock of Cassandra", "", errNotAsked)
		return
	}
	before := d.now()
	at, err := n.Clock(ctx)
	if err != nil {
		d.failed("clock of Cassandra", "", err)
		return
	}
	d.sameTime("clock of Cassandra", "the node's", at, before, d.now())
}

// stateDir checks that the state directory takes files and locks on them.
func (d *doctor) stateDir() {
	dir := d.cfg.StateDir
	if err := lockFileIn(dir); err != nil {
		d.failed("state_dir", "give cbk a directory of its own with state_dir: or --state-dir", err)
		return
	}
	d.ok("state_dir", "%s takes files and locks", dir)
	free, _, err := freeSpace(dir)
	if err == nil && free < stateFree {
		err = fmt.Errorf("%s has %s free, less than %s", dir, size(free), size(stateFree))
	}
	if err != nil {
		d.failed("space", "make room: the local index lies there", err)
		return
	}
	d.ok("space", "%s has %s free", dir, size(free))
}

func lockFileIn(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.WriteString("doctor"); err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}
