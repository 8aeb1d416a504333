package index_test

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/index"
	"cbk/pack"
)

func mustTake(t *testing.T, src *bucket, want ...uint64) {
	t.Helper()
	if diff := cmp.Diff(want, src.taken()); diff != "" {
		t.Errorf("shards read: %s", diff)
	}
}

func TestSyncReadsOnlyShardsItHasNot(t *testing.T) {
	c, src := temporary(t), newBucket()
	if newest := sync(t, c, src); newest != 0 {
		t.Errorf("the newest of no shards is %d", newest)
	}
	a, b, d := onePack(1, 5), onePack(2, 5), onePack(3, 5)
	src.put(1, a)
	src.put(7, b)
	if newest := sync(t, c, src); newest != 7 {
		t.Errorf("newest %d", newest)
	}
	mustTake(t, src, 1, 7)
	sync(t, c, src)
	mustTake(t, src)
	src.put(5, d)
	if newest := sync(t, c, src); newest != 7 {
		t.Errorf("newest %d after an older one came", newest)
	}
	mustTake(t, src, 5)
	mustHave(t, c, a, b, d)
}

func TestAShardAddedByItsWriterIsNotReadAgain(t *testing.T) {
	c, src := temporary(t), newBucket()
	a := onePack(1, 5)
	add(t, c, path.Base(src.put(1, a)), a)
	sync(t, c, src)
	mustTake(t, src)
	mustHave(t, c, a)
}

// A shard that is gone was rewritten or rolled back, and its packs may be gone as well.
func TestSyncStartsOverWhenALoadedShardIsGone(t *testing.T) {
	c, src := temporary(t), newBucket()
	a, b := onePack(1, 5), onePack(2, 5)
	gone := src.put(1, a)
	src.put(2, b)
	sync(t, c, src)
	putFact(t, c, "file", "seen")
	mustTake(t, src, 1, 2)
	src.remove(gone)
	sync(t, c, src)
	mustTake(t, src, 2)
	mustLack(t, c, a)
	mustHave(t, c, b)
	if fact(t, c, "file") != "seen" {
		t.Error("a fact went with the shard: whoever uses it asks for each blob anyway")
	}
	src.remove(src.order[0])
	if newest := sync(t, c, src); newest != 0 {
		t.Errorf("the newest of no shards is %d", newest)
	}
	mustLack(t, c, a, b)
}

func TestSyncFailsWithItsSourceAndGoesOnLater(t *testing.T) {
	c, src := temporary(t), newBucket()
	a, b, d := onePack(1, 5), onePack(2, 5), onePack(3, 5)
	src.put(1, a)
	bad := src.put(2, b)
	src.put(3, d)
	offline := errors.New("offline")
	src.broken["list"] = offline
	if _, err := c.Sync(t.Context(), src, "node"); !errors.Is(err, offline) {
		t.Errorf("error %v", err)
	}
	src.broken = map[string]error{bad: offline}
	if _, err := c.Sync(t.Context(), src, "node"); !errors.Is(err, offline) {
		t.Errorf("error %v", err)
	}
	mustTake(t, src, 1, 2)
	mustHave(t, c, a)
	mustLack(t, c, b, d)
	src.broken = nil
	sync(t, c, src)
	mustTake(t, src, 2, 3)
	mustHave(t, c, a, b, d)
}

// A source may leave a damaged shard out. Once the shard is whole again it must be found.
func TestAShardLeftOutIsAskedForAgain(t *testing.T) {
	c, src := temporary(t), newBucket()
	a := onePack(1, 5)
	name := src.put(1, a)
	src.shards[name] = nil
	sync(t, c, src)
	mustLack(t, c, a)
	src.shards[name] = []pack.Info{a}
	sync(t, c, src)
	mustTake(t, src, 1, 1)
	mustHave(t, c, a)
}

// Whatever happens to the cache between any two steps costs only time.
func TestTheCacheMayBeDeletedAtAnyMoment(t *testing.T) {
	steps := []func(*testing.T, *index.Cache, *bucket){
		func(t *testing.T, c *index.Cache, src *bucket) { sync(t, c, src) },
		func(t *testing.T, c *index.Cache, src *bucket) {
			p := onePack(10, 20)
			add(t, c, path.Base(src.put(10, p)), p)
		},
		func(t *testing.T, c *index.Cache, src *bucket) { putFact(t, c, "file", "seen") },
		func(t *testing.T, c *index.Cache, src *bucket) { src.put(11, onePack(11, 20)); sync(t, c, src) },
		func(t *testing.T, c *index.Cache, src *bucket) { src.remove(src.order[0]); sync(t, c, src) },
	}
	for name, lose := range map[string]func(dir string) error{
		"deleted":   os.RemoveAll,
		"truncated": func(dir string) error { return os.Truncate(filepath.Join(dir, "MANIFEST"), 3) },
	} {
		for after := range steps {
			src, dir := newBucket(), t.TempDir()
			src.put(1, onePack(1, 20))
			src.put(2, onePack(2, 20))
			for i, step := range steps {
				c := open(t, dir)
				step(t, c, src)
				closeCache(t, c)
				if i == after {
					if err := lose(dir); err != nil {
						t.Fatal(err)
					}
				}
			}
			c := open(t, dir)
			sync(t, c, src)
			mustLack(t, c, onePack(1, 20))
			mustHave(t, c, onePack(2, 20), onePack(10, 20), onePack(11, 20))
			if t.Failed() {
				t.Fatalf("%s after step %d", name, after)
			}
			closeCache(t, c)
		}
	}
}
