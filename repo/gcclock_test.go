package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// shifted is a store whose clock is off.
type shifted struct {
	store.Store
	by func(name string) time.Duration
}

func (s *shifted) Stat(ctx context.Context, name string) (store.Info, error) {
	i, err := s.Store.Stat(ctx, name)
	i.ModTime = i.ModTime.Add(s.by(name))
	return i, err
}

func (s *shifted) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return s.Store.List(ctx, prefix, func(i store.Info) error {
		i.ModTime = i.ModTime.Add(s.by(i.Name))
		return fn(i)
	})
}

// off is a store all of whose times are off by so much.
func off(st store.Store, by time.Duration) store.Store {
	return &shifted{st, func(string) time.Duration { return by }}
}

// usual is what cbk gc does without flags.
func usual() repo.GCOptions {
	return repo.GCOptions{Grace: 24 * time.Hour, MinAge: 7 * 24 * time.Hour, MaxRepack: 10 << 30, Now: time.Now}
}

// Whatever clock the store has, and with whatever patience a keeper works beside a writer: what is committed reads back.
func TestNothingIsLostWhereTheClockOfTheStoreIsOff(t *testing.T) {
	for _, by := range []time.Duration{-13 * time.Hour, 0, 42 * 24 * time.Hour} {
		for name, o := range map[string]repo.GCOptions{"usual": usual(), "impatient": impatient()} {
			t.Run(fmt.Sprint(by, " ", name), func(t *testing.T) {
				r, plain := newRepo(t)
				st := off(plain, by)
				shared, kept, mid := noise(1, 300_000), noise(2, 300_000), noise(3, 300_000)
				backup(t, r, "node-1", "gone", shared, noise(4, 500_000), mid)
				backup(t, r, "node-1", "kept", shared, kept)
				remove(t, r, "gone")
				keeper := openRepo(t, st, "")
				gc := func() {
					if _, err := keeper.GC(t.Context(), "node-1", o); err != nil {
						t.Error(err)
					}
				}
				// The keeper comes between the writer's packs and its root, twice.
				w := at(t, plain, "pending/", func() { gc(); gc() })
				err := tryBackup(t.Context(), w, "mid", mid, shared)
				if errors.Is(err, repo.ErrCondemned) {
					err = tryBackup(t.Context(), w, "mid", mid, shared)
				}
				if err != nil {
					t.Fatal(err)
				}
				gc()
				mustRestoreAttempt(t, openRepo(t, plain, ""), "mid", mid, shared)
				mustRestoreAttempt(t, openRepo(t, plain, ""), "kept", shared, kept)
				mustBeSound(t, openRepo(t, plain, ""))
			})
		}
	}
}

// A clock ahead makes all look young: it waits, and collects when its time has come.
func TestAStoreWhoseClockIsAheadIsCollectedLater(t *testing.T) {
	const ahead = 42 * 24 * time.Hour
	r, plain := newRepo(t)
	st := off(plain, ahead)
	backup(t, r, "node-1", "b", noise(1, 300_000))
	remove(t, r, "b")
	k := openRepo(t, st, "")
	for _, tc := range []struct {
		later, grace, age  time.Duration
		condemned, deleted int
	}{
		{later: 0, age: time.Hour},
		{later: ahead, age: time.Hour},
		{later: ahead + 2*time.Hour, age: time.Hour, grace: 24 * time.Hour, condemned: 1},
		{later: ahead + 23*time.Hour, grace: 24 * time.Hour},
		{later: ahead + 25*time.Hour, grace: 24 * time.Hour, deleted: 1},
	} {
		res := collect(t, k, tc.grace, tc.age, time.Now().Add(tc.later))
		if res.Condemned != tc.condemned || res.Deleted != tc.deleted {
			t.Errorf("after %s: %+v", tc.later, res)
		}
	}
}

// All objects of a copied bucket are of the same moment: yesterday's, or a year's ago.
func TestACopiedBucketIsCollectedAndLosesNothing(t *testing.T) {
	p := lived(t)
	for _, age := range []time.Duration{0, 24 * time.Hour, 365 * 24 * time.Hour} {
		t.Run(age.String(), func(t *testing.T) {
			copied := p.copy(t)
			moment := time.Now().Add(-age)
			k := openRepo(t, &equal{copied, moment}, "")
			for range 2 {
				res, err := k.GC(t.Context(), "node-1", usual())
				if young := age < usual().MinAge; err != nil || young && res.Condemned+res.Deleted+res.Aborted > 0 {
					t.Fatalf("%+v, %v", res, err)
				}
			}
			r := openRepo(t, copied, "")
			backup(t, r, "node-1", "next", noise(30, 5_000))
			p.whole(t, r, "")
			mustBeSound(t, r)
		})
	}
}

// equal is a store in which all times are the same.
type equal struct {
	store.Store
	at time.Time
}

func (e *equal) Stat(ctx context.Context, name string) (store.Info, error) {
	i, err := e.Store.Stat(ctx, name)
	i.ModTime = e.at
	return i, err
}

func (e *equal) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return e.Store.List(ctx, prefix, func(i store.Info) error { i.ModTime = e.at; return fn(i) })
}

// What a newer cbk wrote says something that this one does not know: the domain is left as it is, and others are not.
func TestGCLeavesADomainAloneInWhichANewerCbkWrote(t *testing.T) {
	for prefix, version := range map[string]int{"snapshots/": 8 + 4, "pending/": 8 + 4, "index/": 4, "gc/": 4} {
		t.Run(prefix, func(t *testing.T) {
			r, st := newRepo(t)
			for _, domain := range []string{"node-1", "node-2"} {
				backup(t, r, domain, "a", noise(1, 300_000))
				backup(t, r, domain, "b", noise(2, 300_000))
				root, err := r.RootName(domain, "b")
				if err == nil {
					err = r.Delete(t.Context(), root, nil)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			collect(t, r, time.Hour, 0, time.Now())
			if err := tryBackup(t.Context(), openRepo(t, dead{st, "snapshots/"}, ""), "c", noise(3, 300_000)); !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			name := objects(t, st, prefix+"node-1/")[0]
			data, err := st.Get(t.Context(), name, pack.MaxPack)
			if err != nil {
				t.Fatal(err)
			}
			data = bytes.Clone(data)
			data[version] = 7
			replace(t, st, name, data)
			before := contentOf(t, st)
			o := repo.GCOptions{MinAge: time.Hour, Now: time.Now} // the session of c is not to be ended
			_, err = r.GC(t.Context(), "node-1", o)
			if !errors.Is(err, pack.ErrNewer) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "newer version of cbk") {
				t.Errorf("error %v, want a newer %s", err, name)
			}
			if !sameContent(before, contentOf(t, st)) {
				t.Error("the store was changed")
			}
			if res, err := r.GC(t.Context(), "node-2", impatient()); err != nil || res.Deleted == 0 {
				t.Errorf("the other domain: %+v, %v", res, err)
			}
		})
	}
}

// A pack that somebody removed takes nothing else with it: gc refuses where it cannot tell what is alive, or cannot copy.
func TestAPackRemovedByHandIsDamageOnlyWhereItIsNeeded(t *testing.T) {
	t.Run("nobody needs it", func(t *testing.T) {
		r, st := newRepo(t)
		backup(t, r, "node-1", "gone", noise(1, 300_000))
		name, _ := only(t, st, "packs/")
		backup(t, r, "node-1", "kept", noise(2, 300_000))
		remove(t, r, "gone")
		replace(t, st, name, nil)
		now(t, r)
		mustRestore(t, r, "node-1", "kept", noise(2, 300_000))
		mustBeSound(t, r)
	})
	for name, thin := range map[string]bool{"it says what is alive": false, "it is to be repacked": true} {
		t.Run(name, func(t *testing.T) {
			r, st, packs, _ := thinned(t, 2)
			if !thin {
				packs = objects(t, st, "packs/")
			}
			for i, name := range packs {
				if thin && i > 0 {
					break
				}
				replace(t, st, name, nil)
			}
			before := objects(t, st, "packs/")
			_, err := r.GC(t.Context(), "node-1", repo.GCOptions{MaxRepack: math.MaxInt64, Now: time.Now})
			mustDamage(t, err, "packs/")
			if after := objects(t, st, "packs/"); len(after) != len(before) {
				t.Errorf("packs %v, before %v", after, before)
			}
		})
	}
}
