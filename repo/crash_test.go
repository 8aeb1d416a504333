package repo_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// fault is how a store fails.
type fault int

const (
	refuses  fault = iota // one operation is not carried out
	forgets               // one operation is carried out, and its answer lost
	vanishes              // no operation is carried out from one on
)

var errStore = errors.New("the store has a fault")

// flaky is a store that fails at its n-th operation, from 0.
type flaky struct {
	store.Store
	fault fault
	at    int

	mu   sync.Mutex
	done []string
	hit  string // the operation that met the fault
}

// run counts an operation and carries it out, or not.
func (f *flaky) run(op, name string, do func() error) error {
	f.mu.Lock()
	n := len(f.done)
	f.done = append(f.done, op+" "+name)
	now := n == f.at || f.fault == vanishes && n > f.at
	if now && f.hit == "" {
		f.hit = op + " " + name
	}
	f.mu.Unlock()
	if !now {
		return do()
	}
	if f.fault == forgets {
		do()
	}
	return errStore
}

// Create does not notice that a session has ended, as a store may not: nothing but the session keeps the root back.
func (f *flaky) Create(ctx context.Context, name string, data []byte) error {
	ctx = context.WithoutCancel(ctx)
	return f.run("create", name, func() error { return f.Store.Create(ctx, name, data) })
}

func (f *flaky) Get(ctx context.Context, name string, limit int64) (data []byte, err error) {
	err = f.run("get", name, func() error { data, err = f.Store.Get(ctx, name, limit); return err })
	return data, err
}

func (f *flaky) Stat(ctx context.Context, name string) (i store.Info, err error) {
	err = f.run("stat", name, func() error { i, err = f.Store.Stat(ctx, name); return err })
	return i, err
}

func (f *flaky) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return f.run("list", prefix, func() error { return f.Store.List(ctx, prefix, fn) })
}

// tryBackup is a whole backup as a program would do it, stopping at the first error.
func tryBackup(ctx context.Context, r *repo.Repo, name string, files ...[]byte) error {
	s, err := r.NewSession(ctx, "node-1")
	if err != nil {
		return err
	}
	_, err = save(s, name, files...)
	return errors.Join(err, s.Close())
}

// Whichever operation of a backup fails, and however: it reports an error, the name is free or taken by a complete
// backup, and the next backup succeeds with the same local state.
func TestABackupSurvivesAFaultAtAnyOperation(t *testing.T) {
	before := runtime.NumGoroutine()
	for f, name := range map[fault]string{refuses: "refused", forgets: "forgotten", vanishes: "the last before an outage"} {
		t.Run("an operation is "+name, func(t *testing.T) {
			for n := 0; ; n++ {
				if !surviveFault(t, f, n) {
					if n < 5 {
						t.Fatalf("a backup of %d operations", n)
					}
					return
				}
			}
		})
	}
	settled(t, before)
}

// surviveFault runs one backup with a fault at operation n; false if it had fewer operations.
func surviveFault(t *testing.T, kind fault, n int) bool {
	t.Helper()
	_, st := newRepo(t)
	backup(t, openRepo(t, st, ""), "node-1", "first", noise(1, 10_000))
	cache, name := t.TempDir(), "daily"
	files := [][]byte{noise(1, 10_000), noise(2, 1_300_000)}
	f := &flaky{Store: st, fault: kind, at: 1 << 30}
	r := openRepo(t, f, cache)
	f.mu.Lock()
	f.at = len(f.done) + n
	f.mu.Unlock()
	err := tryBackup(t.Context(), r, name, files...)
	if f.hit == "" {
		if err != nil {
			t.Fatalf("without a fault: %v", err)
		}
		return false
	}
	if !errors.Is(err, errStore) {
		t.Fatalf("fault at %s: the backup ends with %v", f.hit, err)
	}
	sound := openRepo(t, st, cache)
	at, err := sound.RootName("node-1", name)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := sound.HasRoot(t.Context(), at)
	if err != nil || committed && (kind != forgets || !strings.Contains(f.hit, "snapshots/")) {
		t.Fatalf("fault at %s: there is a root (%v)", f.hit, err)
	}
	if !committed {
		if err := tryBackup(t.Context(), sound, name, files...); err != nil {
			t.Fatalf("fault at %s: the next backup ends with %v", f.hit, err)
		}
	}
	mustRestoreAttempt(t, sound, name, files...)
	mustBeSound(t, sound)
	return true
}

// Init has the same duty: it succeeds, or there is no repository and it can be tried again.
func TestInitSurvivesAFaultAtAnyOperation(t *testing.T) {
	for _, kind := range []fault{refuses, forgets, vanishes} {
		for n := 0; ; n++ {
			st := memory(t)
			f := &flaky{Store: st, fault: kind, at: n}
			err := repo.Init(t.Context(), f, smallSettings(), roles.Passphrase([]byte("first"), cheap))
			if f.hit == "" {
				if err != nil || n != 7 {
					t.Fatalf("%d operations: %v", n, err)
				}
				break
			}
			if !errors.Is(err, errStore) {
				t.Fatalf("fault %d at %s: %v", kind, f.hit, err)
			}
			if kind == forgets && f.hit == "create config" {
				if err := tryOpen(t.Context(), st, "first"); err != nil {
					t.Fatalf("a repository whose making was forgotten: %v", err)
				}
				continue
			}
			if err := tryOpen(t.Context(), st, "first"); !errors.Is(err, repo.ErrNoRepository) {
				t.Fatalf("fault %d at %s: it opens with %v", kind, f.hit, err)
			}
			if err := repo.DiscardUnfinishedInit(t.Context(), st); err != nil {
				t.Fatal(err)
			}
			if err := repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte("second"), cheap)); err != nil {
				t.Fatal(err)
			}
			if err := tryOpen(t.Context(), st, "second"); err != nil {
				t.Fatalf("fault %d at %s: the second try opens with %v", kind, f.hit, err)
			}
		}
	}
}
