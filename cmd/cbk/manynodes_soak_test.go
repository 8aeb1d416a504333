//go:build soak

package main

import (
	"testing"
	"time"

	"cbk/repo/store/storetest/server"
)

// TestSoakAHundredAndEightyNodes is the story of six nodes with 180, in a bucket of a real MinIO; see manyNodes for what is
// real. It prints what it took; only the coordinator's memory and the truth of the outcome are held.
func TestSoakAHundredAndEightyNodes(t *testing.T) {
	srv := server.MinIO(t, "")
	srv.Setenv(t)
	m := newManyNodes(t, 180, srv.Path("many"), srv.Env...)
	began := time.Now()
	m.story(8)
	t.Logf("from the first backup to the committed restore: %s", time.Since(began).Round(time.Second))
	t.Logf("%s", m.ok("stats"))
}
