package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"cbk/index"
	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

func TestABackupGivesBackItsFiles(t *testing.T) {
	r, st := newRepo(t)
	files := [][]byte{{}, {7}, noise(1, 3<<20), bytes.Repeat([]byte("row "), 500_000), noise(2, 1<<20)}
	cost := backup(t, r, "node-1", "daily", files...)
	mustRestore(t, r, "node-1", "daily", files...)
	mustRestore(t, openRepo(t, st, ""), "node-1", "daily", files...)
	mustBeSound(t, r)
	if plain := int64(4 << 20); cost.Plain < plain || cost.Stored < plain || cost.Stored > cost.Plain {
		t.Errorf("cost %+v", cost)
	}
}

func TestAnyFilesComeBack(t *testing.T) {
	r, _ := newRepo(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 20 {
			return // each case opens two databases
		}
		var files [][]byte
		for i := range rapid.IntRange(0, 3).Draw(rt, "files") {
			files = append(files, noise(rapid.IntRange(0, 2).Draw(rt, "seed"), rapid.IntRange(0, 100_000*(i+1)).Draw(rt, "size")))
		}
		name := fmt.Sprint("backup ", n)
		backup(t, r, "node-1", name, files...)
		mustRestore(t, r, "node-1", name, files...)
	})
}

func TestKnownContentIsNotStoredAgain(t *testing.T) {
	cache := t.TempDir()
	_, st := newRepo(t)
	r := openRepo(t, st, cache)
	file := noise(1, 2<<20)
	first := backup(t, r, "node-1", "first", file, file)
	if first.Plain != int64(len(file)) {
		t.Errorf("one file twice costs %d plain bytes of %d", first.Plain, len(file))
	}
	for _, c := range []struct {
		name  string
		lose  bool
		files [][]byte
		want  int64
	}{
		{"the same again", false, [][]byte{file}, 0},
		{"the same with the cache deleted", true, [][]byte{file}, 0},
		{"the same and something else", false, [][]byte{file, []byte("else")}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.lose {
				if err := os.RemoveAll(cache); err != nil {
					t.Fatal(err)
				}
			}
			if cost := backup(t, r, "node-1", c.name, c.files...); cost.Plain != c.want {
				t.Errorf("it costs %d plain bytes, want %d", cost.Plain, c.want)
			}
			mustRestore(t, r, "node-1", c.name, c.files...)
		})
	}
	mustBeSound(t, r)
}

func TestDomainsShareNothing(t *testing.T) {
	r, _ := newRepo(t)
	file := noise(1, 200_000)
	for _, domain := range []string{"node-1", "node-2"} {
		if cost := backup(t, r, domain, "daily", file); cost.Plain != int64(len(file)) {
			t.Errorf("%s pays %d of %d bytes", domain, cost.Plain, len(file))
		}
	}
	mustRestore(t, r, "node-1", "daily", file)
	mustRestore(t, r, "node-2", "daily", file)
}

func TestManyGoroutinesStoreOneContentOnce(t *testing.T) {
	r, _ := newRepo(t)
	s := session(t, r, "node-1")
	file, blob := noise(1, 500_000), noise(2, 1000)
	var mu sync.Mutex
	var total repo.Added
	lists := make(map[string]int)
	var wait sync.WaitGroup
	for range 12 {
		wait.Go(func() {
			var list strings.Builder
			cost, err := s.Stream(bytes.NewReader(file), small, func(refs []repo.Ref) error {
				fmt.Fprint(&list, refs)
				return nil
			})
			ref, more, putErr := s.Put(pack.Recipe, blob)
			if err := errors.Join(err, putErr); err != nil || ref.Plain != 1000 {
				t.Errorf("%+v, %v", ref, err)
			}
			mu.Lock()
			defer mu.Unlock()
			total = total.Plus(cost).Plus(more)
			lists[list.String()]++
		})
	}
	wait.Wait()
	if want := int64(len(file) + len(blob)); total.Plain != want || len(lists) != 1 {
		t.Errorf("%d plain bytes were stored, want %d; %d different lists", total.Plain, want, len(lists))
	}
	if _, err := save(s, "daily", file); err != nil {
		t.Fatal(err)
	}
	s.Close()
	mustRestore(t, r, "node-1", "daily", file)
	mustBeSound(t, r)
}

func TestTwoSessionsOfOneDomainBothSucceed(t *testing.T) {
	_, st := newRepo(t)
	a, b := openRepo(t, st, t.TempDir()), openRepo(t, st, t.TempDir())
	sa, sb := session(t, a, "node-1"), session(t, b, "node-1")
	shared := noise(1, 300_000)
	var wait sync.WaitGroup
	for i, s := range []*repo.Session{sa, sb} {
		wait.Go(func() {
			if _, err := save(s, fmt.Sprint(i), shared, noise(10+i, 1000)); err != nil {
				t.Error(err)
			}
			s.Close()
		})
	}
	wait.Wait()
	for i := range 2 {
		mustRestore(t, openRepo(t, st, t.TempDir()), "node-1", fmt.Sprint(i), shared, noise(10+i, 1000))
	}
	mustBeSound(t, a)
}

func TestLocalStateServesOneSessionAtATime(t *testing.T) {
	r, _ := newRepo(t)
	backup(t, r, "node-1", "first", []byte("file"))
	s := session(t, r, "node-1")
	if _, err := r.NewSession(t.Context(), "node-1"); !errors.Is(err, index.ErrLocked) {
		t.Errorf("a second session: %v", err)
	}
	session(t, r, "node-2")
	mustRestore(t, r, "node-1", "first", []byte("file"))
	if _, err := save(s, "second", []byte("file")); err != nil {
		t.Error(err)
	}
}

func TestABackupNameIsTakenOnce(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "daily", []byte("first"))
	s := session(t, r, "node-1")
	if _, err := save(s, "daily", []byte("second")); !errors.Is(err, repo.ErrSnapshotExists) {
		t.Errorf("error %v", err)
	}
	s.Close()
	mustRestore(t, r, "node-1", "daily", []byte("first"))
	backup(t, r, "node-2", "daily", []byte("other node"))
	if roots := objects(t, st, "snapshots/"); len(roots) != 2 {
		t.Errorf("roots %v", roots)
	}
}

// A killed backup finds again what it uploaded, because shards do not wait for the end.
func TestAnUnfinishedBackupIsResumed(t *testing.T) {
	for name, lose := range map[string]bool{"with its cache": false, "on a machine without one": true} {
		t.Run(name, func(t *testing.T) {
			_, st := newRepo(t)
			cache := t.TempDir()
			file := noise(1, 22<<20)
			s := session(t, openRepo(t, st, cache), "node-1")
			if _, err := s.Stream(bytes.NewReader(file), small, func([]repo.Ref) error { return nil }); err != nil {
				t.Fatal(err)
			}
			packs, shards := len(objects(t, st, "packs/")), len(objects(t, st, "index/"))
			if packs < 16 || shards != 1 {
				t.Fatalf("%d packs and %d shards before the commit", packs, shards)
			}
			s.Close()
			if lose {
				cache = t.TempDir()
			}
			s = session(t, openRepo(t, st, cache), "node-1")
			cost, err := s.Stream(bytes.NewReader(file), small, func([]repo.Ref) error { return nil })
			if err != nil || cost.Plain > 8<<20 || cost.Plain == 0 {
				t.Errorf("the second try stores %d of %d bytes: %v", cost.Plain, len(file), err)
			}
		})
	}
}

func TestFinishKeepsBlobsWithoutABackup(t *testing.T) {
	r, st := newRepo(t)
	s := session(t, r, "node-1")
	ref, _, err := s.Put(pack.Data, []byte("kept"))
	if err := errors.Join(err, s.Finish(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if roots := objects(t, st, "snapshots/"); len(roots) > 0 {
		t.Errorf("roots %v", roots)
	}
	got, err := reader(t, r, "node-1").Load(t.Context(), &repo.Scratch{}, nil, ref.ID, pack.Data)
	if err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAClosedSessionLeavesNoBackup(t *testing.T) {
	r, st := newRepo(t)
	s := session(t, r, "node-1")
	if _, _, err := s.Put(pack.Data, noise(1, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left := objects(t, st, "snapshots/"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if cost := backup(t, r, "node-1", "daily", noise(1, 1000)); cost.Plain != 1000 {
		t.Errorf("a blob that no shard names counts as known: cost %+v", cost)
	}
	mustRestore(t, r, "node-1", "daily", noise(1, 1000))
}

// Known must not be true for a blob that could still be lost, nor false for one on its way.
func TestKnownFollowsABlob(t *testing.T) {
	r, _ := newRepo(t)
	s := session(t, r, "node-1")
	known := func(want bool, id pack.ID) {
		t.Helper()
		if got, err := s.Known(id); err != nil || got != want {
			t.Errorf("known %v, %v", got, err)
		}
	}
	known(false, pack.ID{1})
	ref, _, err := s.Put(pack.Data, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	known(true, ref.ID)
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	known(true, ref.ID)
	_, has, err := s.Facts().Holder(ref.ID)
	if err != nil || !has || s.Stored() == 0 {
		t.Errorf("in the cache %v, %v; %d bytes stored", has, err, s.Stored())
	}
}

func TestASessionSurvivesAFileThatCannotBeRead(t *testing.T) {
	r, _ := newRepo(t)
	s := session(t, r, "node-1")
	broken := errors.New("input/output error")
	_, err := s.Stream(io.MultiReader(bytes.NewReader(noise(1, 100_000)), iotest.ErrReader(broken)), small,
		func([]repo.Ref) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("a broken file: %v", err)
	}
	_, err = s.Stream(bytes.NewReader(noise(1, 1000)), small, func([]repo.Ref) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("a broken receiver: %v", err)
	}
	if _, _, err := s.Put(pack.Data, make([]byte, pack.MaxBlob+1)); err == nil {
		t.Error("a blob over the limit was stored")
	}
	if _, err := save(s, "daily", noise(1, 100_000)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	mustRestore(t, r, "node-1", "daily", noise(1, 100_000))
}

func TestAStreamHandsOverItsRefsInWindows(t *testing.T) {
	r, _ := newRepo(t)
	s := session(t, r, "node-1")
	const chunks = repo.Window*2 + 5
	var got []int
	_, err := s.Stream(io.LimitReader(zeros{}, chunks*4096), pack.Sizes{Min: 4096, Bits: 12, Max: 4096},
		func(refs []repo.Ref) error { got = append(got, len(refs)); return nil })
	if fmt.Sprint(got) != fmt.Sprint([]int{repo.Window, repo.Window, 5}) || err != nil {
		t.Errorf("windows %v, %v", got, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// More tiny blobs than one pack may list, in packs with room for all of them.
func TestVeryManyBlobsStayReadable(t *testing.T) {
	st, cfg := memory(t), smallSettings()
	cfg.PackSize = 16 << 20
	if err := repo.Init(t.Context(), st, cfg, roles.Passphrase([]byte(passphrase), cheap)); err != nil {
		t.Fatal(err)
	}
	r := openRepo(t, st, "")
	s := session(t, r, "node-1")
	const blobs = pack.MaxEntries + 1000
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for i := g; i < blobs; i += 4 {
				if _, _, err := s.Put(pack.Data, fmt.Append(nil, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	if got := mustBeSound(t, r).Blobs.Load(); got != blobs {
		t.Errorf("%d blobs of %d", got, blobs)
	}
}

func TestAnInterruptedBackupEndsWithoutATrace(t *testing.T) {
	before := runtime.NumGoroutine()
	r, st := newRepo(t)
	for _, after := range []int64{0, 10_000, 3 << 20} {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := r.NewSession(ctx, "node-1")
		if err != nil {
			t.Fatal(err)
		}
		endless := io.MultiReader(io.LimitReader(bytes.NewReader(noise(1, 3<<20)), after), &interrupt{cancel: cancel})
		if _, err := s.Stream(endless, small, func([]repo.Ref) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d bytes: %v", after, err)
		}
		if _, _, err := s.Put(pack.Data, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a blob after the interrupt: %v", err)
		}
		if err := s.Commit("daily", &repo.Root{}); !errors.Is(err, context.Canceled) {
			t.Errorf("a commit after the interrupt: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if roots := objects(t, st, "snapshots/"); len(roots) > 0 {
		t.Errorf("roots %v", roots)
	}
	backup(t, r, "node-1", "daily", noise(1, 3<<20))
	mustRestore(t, r, "node-1", "daily", noise(1, 3<<20))
	settled(t, before)
}

// interrupt is a reader that never ends and cancels at its first read.
type interrupt struct {
	cancel context.CancelFunc
	zeros
}

func (i *interrupt) Read(p []byte) (int, error) { i.cancel(); return i.zeros.Read(p) }

func TestASessionNeedsAGoodLabelAndAReadableIndex(t *testing.T) {
	r, st := newRepo(t)
	for _, label := range []string{"", "Node", "a/b", "..", "a..b", strings.Repeat("x", 65)} {
		if _, err := r.NewSession(t.Context(), label); err == nil {
			t.Errorf("label %q passes", label)
		}
	}
	before := runtime.NumGoroutine()
	backup(t, r, "node-1", "daily", []byte("file"))
	name, data := only(t, st, "index/")
	replace(t, st, name, flip(data, 50))
	_, err := openRepo(t, st, t.TempDir()).NewSession(t.Context(), "node-1")
	mustDamage(t, err, name)
	_, err = openRepo(t, &altered{Store: st, name: name, err: store.ErrDenied}, "").NewSession(t.Context(), "node-1")
	if !errors.Is(err, store.ErrDenied) {
		t.Errorf("error %v", err)
	}
	settled(t, before)
}
