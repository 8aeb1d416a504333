package repo_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"cbk/repo"
	"cbk/repo/store"
)

// bounded is a store with room for so many bytes; sizes are those of the objects.
type bounded struct {
	store.Store
	mu   sync.Mutex
	room int64
	full bool // takes nothing, whatever the room
}

func (b *bounded) Create(ctx context.Context, name string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full || int64(len(data)) > b.room {
		return &store.Error{Op: "create", Name: name, Kind: store.ErrFull}
	}
	err := b.Store.Create(ctx, name, data)
	if err == nil {
		b.room -= int64(len(data))
	}
	return err
}

func (b *bounded) Delete(ctx context.Context, name string) error {
	info, err := b.Store.Stat(ctx, name)
	if err == nil {
		err = b.Store.Delete(ctx, name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.room += info.Size
	return err
}

// On a store that takes nothing, what was condemned earlier goes, shards or not, and what cannot be done is told.
func TestOnAFullStoreWhatWasCondemnedIsDeletedAndNothingIsLost(t *testing.T) {
	r, st := newRepo(t)
	shared, kept := noise(1, 100_000), noise(2, 400_000)
	backup(t, r, "node-1", "one", noise(3, 500_000))
	backup(t, r, "node-1", "two", noise(4, 3<<20), kept) // one shard names what goes and what stays
	backup(t, r, "node-1", "kept", shared, kept)
	remove(t, r, "one")
	remove(t, r, "two")
	collect(t, r, time.Hour, 0, time.Now())
	remove(t, r, "kept")
	backup(t, r, "node-1", "kept again", shared, kept)
	backup(t, r, "node-1", "last", noise(5, 2<<20))
	remove(t, r, "last")
	full := &bounded{Store: st, full: true}
	k := openRepo(t, full, "")
	before := bytesIn(t, st, "packs/")
	res, err := k.GC(t.Context(), "node-1", impatient())
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), "gc/node-1/") {
		t.Errorf("error %v, want that the tombstone found no room", err)
	}
	if freed := before - bytesIn(t, st, "packs/"); res.Deleted < 3 || res.BytesFreed != freed || freed < 3<<20 || res.Condemned != 0 {
		t.Errorf("%+v, %d bytes less", res, freed)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "kept again", shared, kept)
	// With room, the rest is done.
	if res := now(t, r); res.Condemned == 0 {
		t.Errorf("%+v", res)
	}
	now(t, r)
	mustRestore(t, openRepo(t, st, ""), "node-1", "kept again", shared, kept)
	mustBeSound(t, r)
}

// A store is full when the tombstone stands: what a backup needs from a condemned pack stays where it is.
func TestOnAFullStoreACondemnedPackThatIsNeededStays(t *testing.T) {
	_, st := newRepo(t)
	file, gone := noise(1, 600_000), noise(2, 600_000)
	w := openRepo(t, st, t.TempDir())
	backup(t, w, "node-1", "old", file)
	backup(t, w, "node-1", "other", gone)
	remove(t, w, "old")
	remove(t, w, "other")
	full := &bounded{Store: st, room: math.MaxInt64}
	k := openRepo(t, &hooked{Store: full, prefix: "gc/", do: func() {
		backup(t, w, "node-1", "new", file) // from what is about to be condemned
		full.room = 10_000
	}}, "")
	res, err := k.GC(t.Context(), "node-1", impatient())
	if err != nil || res.Deleted != 2 || res.Copied == 0 {
		t.Errorf("what the one frees is room for the copy of the other: %+v, %v", res, err)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "new", file)
	mustBeSound(t, openRepo(t, st, ""))

	remove(t, w, "new")
	full.full = false
	k = openRepo(t, &hooked{Store: full, prefix: "gc/", do: func() {
		backup(t, w, "node-1", "newer", file)
		full.room = 1_000
	}}, "")
	res, err = k.GC(t.Context(), "node-1", impatient())
	if !errors.Is(err, store.ErrFull) {
		t.Errorf("with hardly anything to free: %+v, %v", res, err)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "newer", file)
	full.room = math.MaxInt64
	now(t, openRepo(t, full, ""))
	mustRestore(t, openRepo(t, st, ""), "node-1", "newer", file)
	mustBeSound(t, openRepo(t, st, ""))
}

// locked is a store that denies deletions below a prefix.
type locked struct {
	store.Store
	prefix string
}

func (l *locked) Delete(ctx context.Context, name string) error {
	if strings.HasPrefix(name, l.prefix) {
		return &store.Error{Op: "delete", Name: name, Kind: store.ErrDenied}
	}
	return l.Store.Delete(ctx, name)
}

func TestWhereDeletionsAreDeniedEachObjectIsNamedAndNothingIsLost(t *testing.T) {
	p := lived(t)
	for _, prefix := range []string{"", "packs/", "index/", "gc/", "pending/"} {
		t.Run("below "+prefix, func(t *testing.T) {
			st := p.copy(t)
			k := openRepo(t, &locked{st, prefix}, "")
			before := contentOf(t, st)
			var shards, tombstones int
			for round := range 3 {
				res, err := k.GC(t.Context(), "node-1", impatient())
				if prefix != "gc/" && (!errors.Is(err, store.ErrDenied) || res == nil) {
					t.Fatalf("round %d: %+v, %v", round, res, err)
				}
				for name := range before {
					held := strings.HasPrefix(name, prefix)
					if _, err := st.Stat(t.Context(), name); held && err != nil {
						t.Errorf("%s is gone: %v", name, err)
					}
				}
				if n := len(objects(t, st, "index/")); round == 1 && n > shards {
					t.Errorf("%d shards in the second round, %d in the first", n, shards)
				}
				shards, tombstones = len(objects(t, st, "index/")), len(objects(t, st, "gc/"))
				denied(t, st, prefix, err)
			}
			if tombstones != 1 {
				t.Errorf("%d tombstones", tombstones)
			}
			r := openRepo(t, st, "")
			backup(t, r, "node-1", "next", noise(30, 5_000))
			p.whole(t, r, "")
			mustBeSound(t, r)
			now(t, r)
			collected(t, r, p)
			p.whole(t, r, "")
		})
	}
}

// A shard that cannot be deleted is replaced once, not by each run.
func TestWhereShardsCannotBeDeletedTheirSuccessorsAreWrittenOnce(t *testing.T) {
	r, st := newRepo(t)
	gone, file := noise(1, 3<<20), noise(2, 3<<20)
	backup(t, r, "node-1", "both", gone, file) // one shard names what dies and what stays
	backup(t, r, "node-1", "kept", file)
	remove(t, r, "both")
	k := openRepo(t, &locked{st, "index/"}, "")
	var shards []int
	for range 3 {
		if _, err := k.GC(t.Context(), "node-1", repo.GCOptions{Now: time.Now}); !errors.Is(err, store.ErrDenied) {
			t.Fatal(err)
		}
		shards = append(shards, len(objects(t, st, "index/")))
	}
	if before := 2; shards[0] != before+1 || shards[2] != shards[0] {
		t.Errorf("%d shards after each run, %d before", shards, before)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "kept", file)
	if res := now(t, r); res.Deleted < 2 || res.ShardsRemoved == 0 {
		t.Errorf("%+v", res)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "kept", file)
	mustBeSound(t, r)
}

// What a stolen key says of a pack, in a shard that stays, does not stand for what its writer said in one that goes.
func TestAForgedShardDoesNotTakeThePlaceOfOneThatGoes(t *testing.T) {
	r, st := newRepo(t)
	gone, file := noise(1, 3<<20), noise(2, 3<<20)
	backup(t, r, "node-1", "both", gone, file)
	genuine := objects(t, st, "index/")[0]
	backup(t, r, "node-1", "kept", file)
	remove(t, r, "both")
	packs, err := r.ShardPacks(t.Context(), genuine)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packs {
		p.Entries = nil
		name, data, err := r.ForgeShard("node-1", "node-1", p)
		if err == nil {
			err = st.Create(t.Context(), name, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if res := collectWith(t, r, repo.GCOptions{}); res.Deleted == 0 || res.ShardsRemoved == 0 {
		t.Errorf("%+v", res)
	}
	mustRestore(t, openRepo(t, st, ""), "node-1", "kept", file)
	if _, err := st.Stat(t.Context(), genuine); err == nil {
		t.Error("the shard that names what was deleted is still there")
	}
}

// denied requires that the error names every condemned pack that is still there, or what stands in its way.
func denied(t *testing.T, st store.Store, prefix string, err error) {
	t.Helper()
	if prefix != "" && prefix != "packs/" {
		return
	}
	n := strings.Count(fmt.Sprint(err), "delete ")
	if n == 0 || prefix == "packs/" && n != strings.Count(fmt.Sprint(err), "delete packs/") {
		t.Errorf("the error names %d objects: %v", n, err)
	}
}

// What a shard says of a pack is believed only as far as the pack bears it out.
func TestAShardThatGivesAPackAnotherSizeIsDamage(t *testing.T) {
	r, st, _, _ := thinned(t, 1)
	for _, name := range objects(t, st, "index/") {
		packs, err := r.ShardPacks(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range packs {
			packs[i].Size *= 2
		}
		forged, data, err := r.ForgeShard("node-1", "node-1", packs...)
		if err == nil {
			err = st.Create(t.Context(), forged, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		replace(t, st, name, nil)
	}
	_, err := r.GC(t.Context(), "node-1", impatient())
	mustDamage(t, err, "index/")
}
