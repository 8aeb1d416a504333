package repo_test

import (
	"fmt"
	"testing"
)

// The tail of a pack names a bounded number of sessions: what a keeper gathers from more than that goes to several packs.
func TestAKeeperCopiesBlobsOfManySessions(t *testing.T) {
	r, st := newRepo(t)
	var mine [][]byte
	for i := range 20 {
		mine = append(mine, noise(100+i, 5_000))
		backup(t, r, "node-1", fmt.Sprint("old", i), mine[i], noise(200+i, 60_000))
	}
	backup(t, r, "node-1", "new", mine...)
	for i := range 20 {
		remove(t, r, fmt.Sprint("old", i))
	}
	if res := now(t, r); res.Copied < 20 || res.Deleted != 20 {
		t.Errorf("%+v", res)
	}
	mustRestore(t, openRepo(t, st, t.TempDir()), "node-1", "new", mine...)
	mustBeSound(t, r)
}
