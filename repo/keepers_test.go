package repo_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// slow is a store in which each operation waits for a random while, so that actors meet in ever other orders.
type slow struct {
	store.Store
	mu   *sync.Mutex
	dice *rand.Rand
}

func (s *slow) wait() {
	s.mu.Lock()
	n := s.dice.IntN(4)
	s.mu.Unlock()
	for range n {
		runtime.Gosched()
	}
	if n == 3 {
		time.Sleep(time.Duration(100) * time.Microsecond)
	}
}

func (s *slow) Create(ctx context.Context, name string, data []byte) error {
	s.wait()
	return s.Store.Create(ctx, name, data)
}

func (s *slow) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	s.wait()
	return s.Store.Get(ctx, name, limit)
}

func (s *slow) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	s.wait()
	return s.Store.ReadAt(ctx, name, off, p)
}

func (s *slow) Delete(ctx context.Context, name string) error {
	s.wait()
	return s.Store.Delete(ctx, name)
}

// Two keepers and a writer at once, over and over: no keeper calls the other's work damage, and what is committed reads
// back.
func TestTwoKeepersAtOnceDoNotMistakeEachOtherForDamage(t *testing.T) {
	for seed := range uint64(6) {
		owner, st := newRepo(t)
		shared := noise(0, 400_000)
		s := &slow{Store: st, mu: new(sync.Mutex), dice: rand.New(rand.NewPCG(seed, 1))}
		w := openRepo(t, s, t.TempDir())
		keepers := []*repo.Repo{openRepo(t, s, ""), openRepo(t, s, "")}
		want := make(map[string][]byte)
		for round := range 6 {
			name := fmt.Sprint("b", round)
			want[name] = append(noise(int(seed)*100+round, 300_000), shared[:round*50_000]...)
			var at sync.WaitGroup
			for _, k := range keepers {
				at.Go(func() {
					if _, err := k.GC(t.Context(), "node-1", impatientButFor(pendingAge)); err != nil {
						t.Errorf("seed %d, round %d: %v", seed, round, err)
					}
				})
			}
			at.Go(func() {
				err := repo.ErrCondemned
				for n := 0; errors.Is(err, repo.ErrCondemned) && n < 20; n++ {
					err = tryBackup(t.Context(), w, name, want[name], shared)
				}
				if err != nil {
					t.Errorf("seed %d: backup %s: %v", seed, name, err)
				}
			})
			at.Wait()
			if t.Failed() {
				return
			}
			if round%2 == 1 {
				gone := fmt.Sprint("b", round-1)
				for _, at := range committed(t, owner) {
					if root, err := owner.ReadRoot(t.Context(), at); err == nil && string(root.Catalogue) == gone {
						if err := owner.Delete(t.Context(), at, nil); err != nil {
							t.Fatal(err)
						}
					}
				}
				delete(want, gone)
			}
		}
		fresh := openRepo(t, st, "")
		for name, file := range want {
			mustRestoreAttempt(t, fresh, name, file, shared)
		}
		now(t, fresh)
		now(t, fresh)
		mustBeSound(t, openRepo(t, st, ""))
	}
}

// pendingAge is zero: a session at work may be taken for dead at any moment, and then tries again.
const pendingAge = 0

func impatientButFor(age time.Duration) repo.GCOptions {
	return repo.GCOptions{MinAge: age, MaxRepack: math.MaxInt64, Now: time.Now}
}

// The shard that names what is to be copied goes while a keeper is at it: it looks again.
func TestAKeeperWhoseShardsAreRewrittenUnderItsHandsLooksAgain(t *testing.T) {
	_, st := newRepo(t)
	file := noise(1, 2<<20)
	w := openRepo(t, st, t.TempDir())
	backup(t, w, "node-1", "old", file)
	backup(t, w, "node-1", "some", file[:300_000])
	remove(t, w, "old")
	var once sync.Once
	reads := &observed{Store: st, get: func(name string) {
		// After its tombstone stands, at the first look at a shard to copy from: the other keeper does all of it.
		if len(objects(t, st, "gc/")) > 0 && repo.Classify(name) == repo.KindPack {
			once.Do(func() { now(t, openRepo(t, st, "")) })
		}
	}}
	if res := now(t, openRepo(t, reads, "")); res.Condemned == 0 {
		t.Errorf("%+v", res)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "some", file[:300_000])
	mustBeSound(t, openRepo(t, st, ""))
}

// A session that lists shards just before a keeper replaces them lists them again, and stores nothing twice.
func TestAWriterWhoseShardsAreReplacedAsItReadsThemListsThemAgain(t *testing.T) {
	_, st := newRepo(t)
	gone, file := noise(1, 3<<20), noise(2, 3<<20)
	w := openRepo(t, st, "")
	backup(t, w, "node-1", "both", gone, file) // one shard names what dies and what stays
	backup(t, w, "node-1", "kept", file)
	remove(t, w, "both")
	collect(t, w, time.Hour, 0, time.Now()) // condemned, not swept
	var once sync.Once
	reads := &observed{Store: st, get: func(name string) {
		if repo.Classify(name) == repo.KindShard {
			once.Do(func() { now(t, openRepo(t, st, "")) })
		}
	}}
	if cost := backup(t, openRepo(t, reads, ""), "node-1", "next", file); cost.Plain != 0 {
		t.Errorf("%d bytes stored again", cost.Plain)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "next", file)
	mustBeSound(t, openRepo(t, st, ""))
}

// observed is a store that tells of each object before it is read whole.
type observed struct {
	store.Store
	get func(name string)
}

func (w *observed) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	w.get(name)
	return w.Store.Get(ctx, name, limit)
}

// Of two holders of a reference segment, one damaged, the other is read; with none left, gc refuses.
func TestASegmentWithADamagedHolderIsReadFromTheOther(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(1, 300_000)
	u, _ := export(t, owner, roles.RoleWriter, "node-1")
	// Two sessions begun at once store the same blobs twice.
	one, two := session(t, openWith(t, st, u, ""), "node-1"), session(t, openWith(t, st, u, ""), "node-1")
	for name, s := range map[string]*repo.Session{"one": one, "two": two} {
		if _, err := save(s, name, file); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	root, err := owner.ReadRoot(t.Context(), rootName(t, owner, "one"))
	if err != nil {
		t.Fatal(err)
	}
	loc, err := reader(t, owner, "node-1").Locate(t.Context(), root.Refs[0])
	if err != nil {
		t.Fatal(err)
	}
	packs := objects(t, st, "packs/")
	if len(packs) != 2 {
		t.Fatalf("packs %v", packs)
	}
	for n, name := range []string{repo.PackName(loc.Pack), packs[0], packs[1]} {
		data, err := st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			replace(t, st, name, flip(data, int(loc.Offset)+60))
			if _, err := owner.GC(t.Context(), "node-1", impatientButFor(time.Hour)); err != nil {
				t.Errorf("with one good holder: %v", err)
			}
			continue
		}
		replace(t, st, name, make([]byte, len(data)))
	}
	if _, err := owner.GC(t.Context(), "node-1", impatientButFor(time.Hour)); err == nil {
		t.Error("gc goes on without a segment")
	} else {
		mustDamage(t, err, "packs/")
	}
}
