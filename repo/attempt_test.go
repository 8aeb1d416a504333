package repo_test

import (
	"errors"
	"testing"

	"cbk/repo"
	"cbk/repo/store/storefault"
)

// A name whose root cannot be read is not called taken: the fault is told as itself, wherever it strikes.
func TestANameIsTakenOnlyByARootThatIsThere(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "one", noise(1, 500))
	for at := 0; ; at++ {
		f, broken := faulty(st, storefault.Fault{At: at, Mode: storefault.Error})
		_, err := r.By(broken).CheckFree(t.Context(), "node-1", "one")
		if f.Fired() == 0 {
			if !errors.Is(err, repo.ErrSnapshotExists) || at < 3 {
				t.Fatalf("without a fault, after %d operations: %v", at, err)
			}
			return
		}
		injected(t, storefault.Error, err)
	}
}
