package store_test

import (
	"fmt"
	"os"
	"testing"

	"cbk/repo/store"
	"cbk/repo/store/storetest"
	"cbk/repo/store/storetest/server"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// paged are the options that storetest.Run asks for.
var paged = store.Options{PageSize: storetest.PageSize}

// conform runs the conformance suite and a race of 16 processes on a server,
// each test in a path of its own.
func conform(t *testing.T, s server.Store) {
	s.Setenv(t)
	n := 0
	storetest.Run(t, func(t *testing.T) store.Store {
		n++
		return open(t, s.Path(fmt.Sprintf("suite/%d", n)), paged)
	})
	t.Run("of 16 processes one wins a name", func(t *testing.T) {
		storetest.RaceProcesses(t, s.Path("race"), 16)
	})
}

func TestOf16ProcessesOneWinsANameInADirectory(t *testing.T) {
	for range 3 {
		storetest.RaceProcesses(t, t.TempDir(), 16)
	}
}

func TestS3FakeConforms(t *testing.T) {
	conform(t, server.Store{
		URL: "s3://cbk?endpoint=" + serve(t, fakeS3(t)),
		Env: []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x"},
	})
}
