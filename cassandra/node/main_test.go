package node_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"

	"github.com/gocql/gocql"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
)

// live is the one node that the tests of this package share: two data
// directories, and passwords.
var live *cassandratest.Node

func TestMain(m *testing.M) {
	o := cassandratest.Options{Cluster: "Live Test", DataDirs: 2, Auth: true, DCs: []string{"north"}, Racks: []string{"r7"}}
	os.Exit(cassandratest.Main(context.Background(), m, o, func(c *cassandratest.Cluster) { live = c.Nodes[0] }))
}

// connect makes a node.Node of the live node, its configuration changed by edit.
func connect(t *testing.T, edit func(*node.Config)) *node.Node {
	t.Helper()
	c := live.Config()
	if edit != nil {
		edit(&c)
	}
	n, err := node.New(c, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// keyspace makes a keyspace for one test, runs statements in it and drops it at
// the end. Where a statement has %s, the quoted name of the keyspace comes in.
func keyspace(t *testing.T, name string, statements ...string) *gocql.Session {
	t.Helper()
	s, err := live.Session()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	quoted := `"` + name + `"`
	create := "CREATE KEYSPACE %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
	for _, stmt := range append([]string{create}, statements...) {
		if err := s.Query(fmt.Sprintf(stmt, quoted)).Exec(); err != nil {
			t.Fatalf("%s: %v", stmt, err)
		}
	}
	t.Cleanup(func() {
		if err := s.Query("DROP KEYSPACE " + quoted).Exec(); err != nil {
			t.Error(err)
		}
	})
	return s
}
