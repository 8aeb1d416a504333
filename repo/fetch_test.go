package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// put stores data blobs in a session of their own and returns a want for each, tagged with its number.
func put(t testing.TB, r *repo.Repo, blobs ...[]byte) (wants []repo.Want) {
	t.Helper()
	s, err := r.NewSession(t.Context(), "node-1")
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range blobs {
		ref, _, err := s.Put(pack.Data, b)
		if err != nil {
			t.Fatal(err)
		}
		wants = append(wants, repo.Want{ID: ref.ID, Type: pack.Data, Tag: i})
	}
	if err := errors.Join(s.Finish(), s.Close()); err != nil {
		t.Fatal(err)
	}
	return wants
}

// many returns blobs of sizes from 0 on.
func many(n, step int) (blobs [][]byte) {
	for i := range n {
		blobs = append(blobs, noise(i, i*step))
	}
	return blobs
}

// fetched is what a fetch gave: for each blob in order, its tag and its content or error.
type fetched struct {
	tags  []int
	plain [][]byte
	errs  []error
}

func (f *fetched) emit(w repo.Want, plain []byte, err error) error {
	f.tags = append(f.tags, w.Tag)
	f.plain = append(f.plain, bytes.Clone(plain))
	f.errs = append(f.errs, err)
	return nil
}

func fetch(t testing.TB, rd *repo.Reader, wants []repo.Want) *fetched {
	t.Helper()
	f := &fetched{}
	if err := rd.Fetch(t.Context(), slices.Values(wants), f.emit); err != nil {
		t.Fatal(err)
	}
	if len(f.tags) != len(wants) {
		t.Fatalf("%d blobs of %d", len(f.tags), len(wants))
	}
	return f
}

// mustBe requires the blobs that wants name, in their order, each of them whole.
func (f *fetched) mustBe(t testing.TB, wants []repo.Want, blobs [][]byte) {
	t.Helper()
	for i, w := range wants {
		if f.tags[i] != w.Tag || f.errs[i] != nil || !bytes.Equal(f.plain[i], blobs[w.Tag]) {
			t.Fatalf("number %d: blob %d of %d bytes, %v; want blob %d of %d bytes", i, f.tags[i], len(f.plain[i]), f.errs[i], w.Tag, len(blobs[w.Tag]))
		}
	}
}

func TestBlobsComeInTheOrderAskedAndAsOften(t *testing.T) {
	r, _ := newRepo(t)
	blobs := many(120, 700)
	stored := put(t, r, blobs...)
	rd := reader(t, r, "node-1")
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(stored))
	for name, pick := range map[string][]int{
		"none": {}, "the one of no bytes": {0}, "as stored": slices.Sorted(slices.Values(order)), "at random": order,
		"backwards": backwards(order), "one many times": slices.Repeat([]int{7}, 50), "all twice": append(slices.Clone(order), order...),
	} {
		var wants []repo.Want
		for _, i := range pick {
			wants = append(wants, stored[i])
		}
		t.Run(name, func(t *testing.T) { fetch(t, rd, wants).mustBe(t, wants, blobs) })
	}
}

func backwards(list []int) []int {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func TestWhateverTheWindowTheBlobsAreTheSame(t *testing.T) {
	r, _ := newRepo(t)
	blobs := many(150, 300)
	stored := append(put(t, r, blobs[:70]...), put(t, r, blobs[70:]...)...)
	for i := range stored {
		stored[i].Tag = i
	}
	rd := reader(t, r, "node-1")
	rapid.Check(t, func(rt *rapid.T) {
		wants := rapid.SliceOfN(rapid.SampledFrom(stored), 0, 300).Draw(rt, "wants")
		block := rapid.Int64Range(1, 300_000).Draw(rt, "block")
		budget := rapid.Int64Range(1, 3_000_000).Draw(rt, "budget")
		if budget/block > 100_000 {
			block = 100 // a window of millions of blocks of one byte shows nothing more
		}
		most := rapid.IntRange(1, 400).Draw(rt, "blobs")
		f := &fetched{}
		if err := rd.FetchWithin(t.Context(), block, budget, most, slices.Values(wants), f.emit); err != nil || len(f.tags) != len(wants) {
			rt.Fatalf("%d blobs of %d, %v", len(f.tags), len(wants), err)
		}
		for i, w := range wants {
			if f.tags[i] != w.Tag || f.errs[i] != nil || !bytes.Equal(f.plain[i], blobs[w.Tag]) {
				rt.Fatalf("number %d is not blob %d: %v", i, w.Tag, f.errs[i])
			}
		}
	})
}

// watched notes the ranges read and the listings.
type watched struct {
	store.Store
	mu    sync.Mutex
	reads []ranged
	lists int
}

type ranged struct {
	name    string
	off, to int64
}

func (w *watched) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	w.mu.Lock()
	w.reads = append(w.reads, ranged{name, off, off + int64(len(p))})
	w.mu.Unlock()
	return w.Store.ReadAt(ctx, name, off, p)
}

func (w *watched) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	w.mu.Lock()
	w.lists++
	w.mu.Unlock()
	return w.Store.List(ctx, prefix, fn)
}

// large makes a repository whose packs are larger than a block, and returns it as it is watched.
func large(t *testing.T) (*repo.Repo, *watched) {
	t.Helper()
	st := memory(t)
	c := smallSettings()
	c.PackSize = 8 << 20
	if err := repo.Init(t.Context(), st, c, roles.Passphrase([]byte(passphrase), cheap)); err != nil {
		t.Fatal(err)
	}
	w := &watched{Store: st}
	return openRepo(t, w, t.TempDir()), w
}

func TestSmallBlobsShareRequests(t *testing.T) {
	r, w := large(t)
	blobs := many(1500, 10)
	for i := range blobs {
		blobs[i] = append(blobs[i], noise(i, 4000)...)
	}
	wants := put(t, r, blobs...)
	packs := len(objects(t, w.Store, "packs/"))
	rd := reader(t, r, "node-1")
	rand.Shuffle(len(wants), func(i, j int) { wants[i], wants[j] = wants[j], wants[i] })
	w.reads = nil
	fetch(t, rd, wants).mustBe(t, wants, blobs)
	if len(w.reads) != packs {
		t.Errorf("%d requests for %d blobs in %d packs", len(w.reads), len(wants), packs)
	}
}

func TestRangesAreAlignedMergedAndNotReadTwice(t *testing.T) {
	r, w := large(t)
	var blobs [][]byte
	for i := range 60 {
		blobs = append(blobs, noise(i, 100_000))
	}
	stored := put(t, r, blobs...)
	name, data := only(t, w.Store, "packs/")
	size := int64(len(data))
	rd := reader(t, r, "node-1")
	slices.SortFunc(stored, func(a, b repo.Want) int { return int(offset(t, rd, a)) - int(offset(t, rd, b)) })
	whole := []ranged{{name, 0, size}}
	for _, c := range []struct {
		name   string
		wants  []repo.Want
		budget int64
		reads  []ranged
	}{
		{"one blob", stored[:1], 32 << 20, []ranged{{name, 0, 1 << 20}}},
		{"blobs in one block", stored[:9], 32 << 20, []ranged{{name, 0, 1 << 20}}},
		{"a blob over a border of blocks", stored[10:11], 32 << 20, []ranged{{name, 0, 2 << 20}}},
		{"blobs in two places", []repo.Want{stored[0], stored[30]}, 32 << 20, []ranged{{name, 0, 1 << 20}, {name, 2 << 20, 3 << 20}}},
		{"blobs with a gap less than a block", []repo.Want{stored[0], stored[15]}, 32 << 20, []ranged{{name, 0, 2 << 20}}},
		{"the last blob", stored[59:], 32 << 20, []ranged{{name, 5 << 20, size}}},
		{"most of the pack", slices.Concat(stored[:20], stored[35:36], stored[50:]), 32 << 20, whole},
		{"all", stored, 32 << 20, whole},
		{"most of the pack, in windows too small for it", stored[:40], 4 << 20, []ranged{{name, 0, 4 << 20}}},
		{"the next window begins where the one before has read", stored, 3 << 20, []ranged{{name, 0, 3 << 20}, {name, 3 << 20, 5 << 20}, {name, 5 << 20, size}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.reads = nil
			f := &fetched{}
			if err := rd.FetchWithin(t.Context(), 1<<20, c.budget, 1000, slices.Values(c.wants), f.emit); err != nil {
				t.Fatal(err)
			}
			f.mustBe(t, c.wants, blobs)
			slices.SortFunc(w.reads, func(a, b ranged) int { return int(a.off - b.off) })
			if !slices.Equal(w.reads, c.reads) {
				t.Errorf("read %v, want %v", w.reads, c.reads)
			}
		})
	}
}

func offset(t *testing.T, rd *repo.Reader, w repo.Want) uint32 {
	t.Helper()
	loc, err := rd.Locate(t.Context(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	return loc.Offset
}

// A list of any length is drawn from as it is needed: memory does not grow with it.
func TestWantsAreDrawnNoFurtherThanTwoWindowsAhead(t *testing.T) {
	r, _ := newRepo(t)
	stored := put(t, r, many(10, 100)...)
	rd := reader(t, r, "node-1")
	const all, window = 100_000, 500
	var mu sync.Mutex
	drawn, given, most := 0, 0, 0
	wants := func(yield func(repo.Want) bool) {
		for i := range all {
			mu.Lock()
			drawn++
			mu.Unlock()
			if !yield(stored[i%len(stored)]) {
				return
			}
		}
	}
	err := rd.FetchWithin(t.Context(), 1<<20, 32<<20, window, wants, func(w repo.Want, plain []byte, err error) error {
		if w.Tag != given%len(stored) || len(plain) != 100*w.Tag || err != nil {
			return fmt.Errorf("number %d: blob %d of %d bytes, %w", given, w.Tag, len(plain), err)
		}
		mu.Lock()
		defer mu.Unlock()
		given++
		most = max(most, drawn-given)
		return nil
	})
	if err != nil || given != all {
		t.Fatalf("%d blobs, %v", given, err)
	}
	if most > 2*window+1 {
		t.Errorf("%d wants drawn ahead of the blob given", most)
	}
}

func TestFetchEndsWhereItIsTold(t *testing.T) {
	r, _ := newRepo(t)
	stored := put(t, r, many(100, 3000)...)
	rd := reader(t, r, "node-1")
	enough := errors.New("enough")
	for name, c := range map[string]struct {
		stop func(cancel func()) error
		want error
	}{
		"by its caller":  {func(func()) error { return enough }, enough},
		"by its context": {func(cancel func()) error { cancel(); return nil }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			given, drawn := 0, 0
			wants := func(yield func(repo.Want) bool) {
				for yield(stored[drawn%len(stored)]) { // without end
					drawn++
				}
			}
			err := rd.FetchWithin(ctx, 1<<20, 2<<20, 10, wants, func(repo.Want, []byte, error) error {
				if given++; given == 25 {
					return c.stop(cancel)
				}
				return nil
			})
			if !errors.Is(err, c.want) || given != 25 {
				t.Errorf("%d blobs, %v", given, err)
			}
			settled(t, before)
			if drawn > 25+3*10 {
				t.Errorf("%d wants drawn", drawn)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rd.Fetch(ctx, slices.Values(stored), func(repo.Want, []byte, error) error { t.Error("given a blob"); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a fetch that has ended before: %v", err)
	}
}

var errOffline = errors.New("the store is offline")

// broken is a store whose reads of packs fail from the n-th on.
type broken struct {
	store.Store
	mu    sync.Mutex
	reads int
}

func (b *broken) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	b.mu.Lock()
	b.reads--
	left := b.reads
	b.mu.Unlock()
	if left < 0 {
		return errOffline
	}
	return b.Store.ReadAt(ctx, name, off, p)
}

func TestAStoreThatFailsEndsAFetchAndIsNoDamage(t *testing.T) {
	_, st := newRepo(t)
	blobs := many(100, 3000)
	cache := t.TempDir()
	stored := put(t, openRepo(t, st, cache), blobs...)
	b := &broken{Store: st}
	rd := reader(t, openRepo(t, b, cache), "node-1")
	for reads := range 4 {
		b.reads = reads
		f := &fetched{}
		err := rd.FetchWithin(t.Context(), 1<<20, 1<<20, 20, slices.Values(stored), f.emit)
		if !errors.Is(err, errOffline) || errors.As(err, new(*repo.DamageError)) {
			t.Errorf("after %d reads: %v", reads, err)
		}
		f.mustBe(t, stored[:len(f.tags)], blobs)
	}
}
