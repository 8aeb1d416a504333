package main

import (
	"fmt"
	"os/exec"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"cbk/cassandra/cassandratest"
)

// corners makes the keyspace of corner cases on a node and its neighbours, and flushes it after each round but the last: that
// is left to the snapshot of a backup.
func (r *rig) corners(release, replication string, neighbours ...*rig) {
	r.t.Helper()
	r.cql(func(s *gocql.Session) error { return cassandratest.CreateCorners(s, release, replication) })
	for round := range cassandratest.CornerRounds {
		r.cql(func(s *gocql.Session) error { return cassandratest.FillCorners(s, round) })
		if round == cassandratest.CornerRounds-1 {
			return
		}
		together(r, append(neighbours, r), func(r *rig) error { return r.flush(cassandratest.Corners) })
	}
}

// flush and backup may be called by several goroutines.
func (r *rig) flush(keyspace string) error {
	k := r.node.Config()
	if out, err := exec.Command(k.Nodetool[0], append(k.Nodetool[1:], "flush", keyspace)...).CombinedOutput(); err != nil {
		return fmt.Errorf("flush: %w: %s", err, out)
	}
	return nil
}

func (r *rig) backup(name string) error {
	if out, err := r.command("backup", "--name", name).CombinedOutput(); err != nil {
		return fmt.Errorf("backup %s: %w: %s", name, err, out)
	}
	return nil
}

// together does the same for several nodes at a time and ends the test where one fails.
func together(first *rig, rigs []*rig, do func(*rig) error) {
	first.t.Helper()
	var all errgroup.Group
	for _, r := range rigs {
		all.Go(func() error {
			if err := do(r); err != nil {
				return fmt.Errorf("node %s: %w", r.node.Address, err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		first.t.Fatal(err)
	}
}

// readCorners reads every row of the corners from as many replicas as c says.
func (r *rig) readCorners(c gocql.Consistency) (dump map[string][]string) {
	r.t.Helper()
	r.cql(func(s *gocql.Session) (err error) {
		s.SetConsistency(c)
		dump, err = cassandratest.DumpCorners(s)
		return err
	})
	return dump
}

// emptyCorners takes all rows of the corners away.
func (r *rig) emptyCorners() {
	r.t.Helper()
	r.cql(cassandratest.EmptyCorners)
}
