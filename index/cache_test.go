package index_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/index"
	"cbk/pack"
)

func TestACacheFindsWhatShardsName(t *testing.T) {
	c := temporary(t)
	a, b, other := onePack(1, 300), onePack(2, 7), onePack(3, 50)
	mustLack(t, c, a, b)
	add(t, c, "one", a, b)
	mustHave(t, c, a, b)
	mustLack(t, c, other)
	add(t, c, "two", other)
	mustHave(t, c, a, b, other)
	shards, err := c.Shards()
	if diff := cmp.Diff(map[string]bool{"one": true, "two": true}, shards); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestAddingAShardTwiceChangesNothing(t *testing.T) {
	c := temporary(t)
	a, b := onePack(1, 30), onePack(2, 30)
	for range 3 {
		add(t, c, "one", a)
		add(t, c, "two", b)
	}
	mustHave(t, c, a, b)
}

func TestABlobInTwoPacksIsFoundInOneOfThem(t *testing.T) {
	c := temporary(t)
	a, b := onePack(1, 4), onePack(2, 4)
	b.Entries = a.Entries
	add(t, c, "one", a)
	add(t, c, "two", b)
	loc, ok, err := c.Lookup(a.Entries[0].ID)
	if err != nil || !ok || loc.Pack != a.Name && loc.Pack != b.Name {
		t.Errorf("%+v, %v, %v", loc, ok, err)
	}
}

func TestAReopenedCacheKeepsWhatItHad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	var all []pack.Info
	for n := range 4 {
		c := open(t, dir)
		mustHave(t, c, all...)
		all = append(all, onePack(n, 20))
		add(t, c, string(rune('a'+n)), all[n])
		mustHave(t, c, all...)
		closeCache(t, c)
	}
}

func TestResetEmptiesTheCache(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	a, b := onePack(1, 20), onePack(2, 20)
	add(t, c, "one", a)
	if err := errors.Join(c.PutFact([]byte("k"), []byte("v")), c.Reset()); err != nil {
		t.Fatal(err)
	}
	mustLack(t, c, a)
	shards, err := c.Shards()
	fact, factErr := c.Fact([]byte("k"))
	if len(shards) != 0 || fact != nil || err != nil || factErr != nil {
		t.Errorf("left: shards %v, fact %q (%v, %v)", shards, fact, err, factErr)
	}
	add(t, c, "two", b)
	closeCache(t, c)
	c = open(t, dir)
	defer closeCache(t, c)
	mustHave(t, c, b)
	mustLack(t, c, a)
}

func TestACacheServesOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	a := onePack(1, 5)
	add(t, c, "one", a)
	if _, err := index.Open(dir); !errors.Is(err, index.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	mustHave(t, c, a)
	closeCache(t, c)
	c = open(t, dir)
	mustHave(t, c, a)
	closeCache(t, c)
}

func TestATemporaryCacheLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	a, err := index.OpenTemporary()
	if err != nil {
		t.Fatal(err)
	}
	b, err := index.OpenTemporary()
	if err != nil {
		t.Fatalf("no second one: %v", err)
	}
	add(t, a, "one", onePack(1, 5))
	mustLack(t, b, onePack(1, 5))
	closeCache(t, a)
	closeCache(t, b)
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestACacheThatCannotBeMadeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := index.Open(filepath.Join(file, "cache")); err == nil {
		closeCache(t, c)
		t.Error("opened inside a file")
	}
}

// spoil overwrites the files of a cache that match.
func spoil(t *testing.T, dir, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte("garbage where a database was"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnUnusableCacheIsEmptiedAndWorks(t *testing.T) {
	for name, ruin := range map[string]func(t *testing.T, dir string){
		"a manifest of garbage":  func(t *testing.T, dir string) { spoil(t, dir, "MANIFEST") },
		"all files of garbage":   func(t *testing.T, dir string) { spoil(t, dir, "*") },
		"a missing manifest":     func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "MANIFEST")) },
		"somebody else's layout": func(t *testing.T, dir string) { os.WriteFile(filepath.Join(dir, "000009.sst"), []byte("x"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			src := newBucket()
			a := onePack(1, 100)
			src.put(1, a)
			c := open(t, dir)
			sync(t, c, src)
			closeCache(t, c)
			ruin(t, dir)
			c = open(t, dir)
			sync(t, c, src)
			mustHave(t, c, a)
			closeCache(t, c)
			c = open(t, dir)
			mustHave(t, c, a)
			closeCache(t, c)
		})
	}
}

// Badger panics over a damaged table, in a goroutine of its own. One backup may die of that, not every one from then on.
func TestACacheThatKillsItsOpenerIsEmptiedByTheNext(t *testing.T) {
	if dir := os.Getenv("CBK_TEST_OPEN"); dir != "" {
		open(t, dir)
		return
	}
	dir, src := filepath.Join(t.TempDir(), "cache"), newBucket()
	src.put(1, onePack(1, 100))
	c := open(t, dir)
	sync(t, c, src)
	closeCache(t, c)
	spoil(t, dir, "*.sst")

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "CBK_TEST_OPEN="+dir)
	if out, err := child.CombinedOutput(); err == nil || !strings.Contains(string(out), "panic") {
		t.Fatalf("the damage was not deadly, so this test shows nothing: %v\n%s", err, out)
	}
	c = open(t, dir)
	sync(t, c, src)
	mustHave(t, c, onePack(1, 100))
	closeCache(t, c)
}

// The budget of a node with millions of chunks, some 5 TB, rests on these figures.
func TestABlobTakesLittleRoom(t *testing.T) {
	const packs, blobs = 40, 50_000
	dir := t.TempDir()
	c := open(t, dir)
	before := heap()
	for n := range packs {
		add(t, c, fmt.Sprint("shard ", n), onePack(n, blobs))
	}
	grown := heap() - before
	mustHave(t, c, onePack(packs-1, blobs))
	closeCache(t, c)
	perBlob := diskUse(t, dir) / (packs * blobs)
	t.Logf("%d blobs: %d bytes each on disk, heap grown by %d KiB", packs*blobs, perBlob, grown>>10)
	if perBlob > 100 || perBlob < 32 {
		t.Errorf("%d bytes a blob on disk", perBlob)
	}
	if grown > 100<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func diskUse(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		i, err := e.Info()
		if err == nil {
			n += i.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
