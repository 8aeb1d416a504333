package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"cbk/cassandra/cassandratest"
)

// TestMain makes the test binary answer to the name cbk, for scripts and for exec, and ends the shared cluster.
func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"cbk": func() { os.Exit(run()) }})
}

// suite runs the tests and then takes down what they shared.
type suite struct{ m *testing.M }

// Run implements testscript.TestingM.
func (s suite) Run() int {
	code := s.m.Run()
	if shared.cluster != nil {
		shared.cluster.Stop()
		os.RemoveAll(shared.dir)
	}
	return code
}

// shared is the one real node of these tests: 16 vnodes, started by the first test that needs it.
var shared struct {
	once    sync.Once
	dir     string
	cluster *cassandratest.Cluster
	err     error
}

func realNode(t testing.TB) *cassandratest.Node {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "cbk-e2e-"); shared.err != nil {
			return
		}
		shared.cluster, shared.err = cassandratest.New(shared.dir, cassandratest.Options{Vnodes: 16, Cluster: "e2e"})
		if shared.err == nil {
			shared.err = shared.cluster.Start(context.Background())
		}
		if shared.err != nil {
			shared.err = fmt.Errorf("start Cassandra: %w", shared.err)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cluster.Nodes[0]
}

// TestScripts runs the stories in testdata/script that need no Cassandra.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CBK_STATE_DIR", e.WorkDir+"/state")
			return os.WriteFile(e.WorkDir+"/pass", []byte("correct horse\n"), 0o600)
		}})
}
