package offline_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/cassandra/offline"
	"cbk/cassandra/ring"
	"cbk/cassandra/schema"
)

// self is what a running node tells a backup.
type self struct {
	Identity  node.Identity
	Ring      ring.Ring
	Keyspaces []schema.Keyspace
	Tables    []node.Table
	Roles     node.Roles
}

func tells(t *testing.T, n *cassandratest.Node) (s self, text []node.KeyspaceSchema) {
	t.Helper()
	r, err := offline.NewRunning(n.Config(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Identity, err = r.Identity(t.Context())
	must(err)
	s.Ring, err = r.Ring(t.Context())
	must(err)
	sys, err := r.System(t.Context())
	must(err)
	s.Keyspaces, err = sys.CQL()
	must(err)
	all, err := r.Schema(t.Context())
	must(err)
	s.Tables = all.Tables
	s.Roles, err = r.Roles(t.Context())
	must(err)
	if !r.Answers(t.Context()) {
		t.Error("a node that runs does not answer")
	}
	return s, all.Keyspaces
}

// compareWithoutCQL turns CQL off for a while: the node must tell the same.
func compareWithoutCQL(t *testing.T, n *cassandratest.Node) {
	t.Helper()
	want, _ := tells(t, n)
	nodetool(t, n, "disablebinary")
	defer nodetool(t, n, "enablebinary")
	got, text := tells(t, n)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("by CQL and without (-with +without):\n%s", diff)
	}
	if len(got.Keyspaces) == 0 || len(got.Tables) < 30 || got.Roles.CQL == "" || len(got.Ring.Members) != 1 || got.Ring.Replication["Shop"] == nil {
		t.Errorf("%+v", got)
	}
	for _, k := range got.Keyspaces {
		if !slices.Contains(text, node.KeyspaceSchema{Name: k.Name, CQL: k.CQL}) {
			t.Errorf("the schema has not the text of keyspace %s", k.Name)
		}
	}
}
