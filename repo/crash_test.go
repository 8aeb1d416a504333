package repo_test

import (
	"context"
	"errors"
	"testing"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/repo/store/storefault"
)

// tryBackup is a whole backup as a program would do it, stopping at the first error.
func tryBackup(ctx context.Context, r *repo.Repo, name string, files ...[]byte) error {
	s, err := r.NewSession(ctx, "node-1")
	if err != nil {
		return err
	}
	_, err = save(s, name, files...)
	return errors.Join(err, s.Close())
}

// Init succeeds, or there is no repository and it can be tried again, whatever the removal of its remains meets.
func TestInitSurvivesAFaultAtAnyOperation(t *testing.T) {
	points := 0
	for _, mode := range sweptModes {
		for n := 0; initSurvives(t, storefault.Fault{At: n, Mode: mode}); n++ {
			points++
		}
	}
	t.Logf("%d points", points)
}

// initSurvives breaks one init; false if it had fewer operations.
func initSurvives(t *testing.T, fault storefault.Fault) bool {
	t.Helper()
	st := memory(t)
	f, broken := faulty(st, fault)
	err := repo.Init(t.Context(), broken, smallSettings(), roles.Passphrase([]byte("first"), cheap))
	at := struck(f, fault.At)
	if err == nil {
		if err := tryOpen(t.Context(), st, "first"); err != nil || at != "" && fault.Mode != storefault.Twice {
			t.Fatalf("%s at %s: init says nothing; it opens with %v", fault.Mode, at, err)
		}
		return at != ""
	}
	injected(t, fault.Mode, err)
	if fault.Mode == storefault.ErrorAfter && at == "create config" {
		if err := tryOpen(t.Context(), st, "first"); err != nil {
			t.Fatalf("a repository whose making was forgotten: %v", err)
		}
		return true
	}
	if err := tryOpen(t.Context(), st, "first"); !errors.Is(err, repo.ErrNoRepository) {
		t.Fatalf("%s at %s: it opens with %v", fault.Mode, at, err)
	}
	discardRemains(t, st, fault.Mode)
	err = repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte("second"), cheap))
	if err := errors.Join(err, tryOpen(t.Context(), st, "second")); err != nil {
		t.Fatalf("%s at %s: the second try ends with %v", fault.Mode, at, err)
	}
	return true
}

// discardRemains removes the remains of an init, broken at one operation after another until all are gone.
func discardRemains(t *testing.T, st store.Store, mode storefault.Mode) {
	t.Helper()
	for n := 0; ; n++ {
		f, broken := faulty(st, storefault.Fault{At: n, Mode: mode})
		if err := repo.DiscardUnfinishedInit(t.Context(), broken); err != nil {
			injected(t, mode, err)
		} else if f.Fired() == 0 {
			break
		}
	}
	if left := objects(t, st, ""); len(left) > 0 {
		t.Fatalf("left %v", left)
	}
}
