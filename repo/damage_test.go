package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// altered is a store in which one object has other bytes, or cannot be read.
type altered struct {
	store.Store
	name string
	data []byte
	err  error
}

func (a *altered) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	switch {
	case name != a.name:
		return a.Store.Get(ctx, name, limit)
	case a.err != nil:
		return nil, a.err
	case int64(len(a.data)) > limit:
		return nil, store.ErrTooLarge
	}
	return bytes.Clone(a.data), nil
}

func (a *altered) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	switch {
	case name != a.name:
		return a.Store.ReadAt(ctx, name, off, p)
	case a.err != nil:
		return a.err
	case off+int64(len(p)) > int64(len(a.data)):
		return io.ErrUnexpectedEOF
	}
	copy(p, a.data[off:])
	return nil
}

func (a *altered) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return a.Store.List(ctx, prefix, func(i store.Info) error {
		if i.Name == a.name {
			i.Size = int64(len(a.data))
		}
		return fn(i)
	})
}

// inspect looks at a repository in every way there is and returns what it finds damaged.
func inspect(t *testing.T, r *repo.Repo) *findings {
	t.Helper()
	f, _ := check(t, r, true)
	err := r.ListRoots(t.Context(), func(name string) error {
		var damage *repo.DamageError
		_, err := r.ReadRoot(t.Context(), name)
		if errors.As(err, &damage) {
			f.Damage(damage)
			return nil
		}
		if repo.Aborted(err) || repo.Void(err) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every byte of every object of a small repository, flipped, cut off before, and with one more behind the last: not one
// of these may pass in silence, and the object named must be the one that was touched.
func TestNoDamagedByteIsSilent(t *testing.T) {
	_, st := newRepo(t)
	cache := t.TempDir()
	backup(t, openRepo(t, st, cache), "node-1", "daily", []byte("the only file"))
	alt := &altered{Store: st}
	r := openRepo(t, alt, cache)
	if f := inspect(t, r); len(f.damage) > 0 {
		t.Fatalf("a sound repository: %v", f.damage)
	}
	for _, name := range objects(t, st, "") {
		t.Run(name, func(t *testing.T) {
			data, err := st.Get(t.Context(), name, pack.MaxPack)
			if err != nil {
				t.Fatal(err)
			}
			for what, change := range changes(data) {
				alt.name, alt.data = name, change
				kind := repo.Classify(name)
				if kind == repo.KindConfig || kind == repo.KindTrust || kind == repo.KindKey {
					if err := tryOpen(t.Context(), alt, passphrase); err == nil || !strings.Contains(err.Error(), name) {
						t.Fatalf("%s: %v", what, err)
					}
				}
				if kind == repo.KindConfig {
					continue // read when the repository is opened, and then only
				}
				if got := inspect(t, r).objects(); len(got) != 1 || got[0] != name {
					t.Fatalf("%s: found %v, want %s", what, got, name)
				}
			}
		})
	}
}

// changes yields all the ways of damage to data, each with its name.
func changes(data []byte) func(yield func(string, []byte) bool) {
	return func(yield func(string, []byte) bool) {
		for i := range data {
			if !yield("flipped", flip(data, i)) || !yield("cut", data[:i]) {
				return
			}
		}
		yield("longer", append(bytes.Clone(data), 0))
	}
}

func TestDamageTakesWithItTheBlobsItTouches(t *testing.T) {
	_, st := newRepo(t)
	r := openRepo(t, st, t.TempDir())
	backup(t, r, "node-1", "daily", noise(1, 100_000))
	name, data := only(t, st, "packs/")
	mustBeSound(t, r)
	for _, c := range []struct {
		name string
		data []byte
		read bool
		bad  int
		lost bool
		what string
	}{
		{"a byte of a blob", flip(data, 100), true, 1, false, "do not match its name"},
		{"a byte of a blob, not read", flip(data, 100), false, 0, false, ""},
		{"a byte of the tail", flip(data, len(data)-20), true, 0, false, "do not match its name"},
		{"a byte less", data[1:], false, 0, true, "bytes long"},
		{"missing", nil, false, 0, true, "missing"},
		{"missing, to be read", nil, true, 0, true, "missing"},
		{"nothing as it was", make([]byte, len(data)), true, 0, true, "do not match its name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			replace(t, st, name, c.data)
			f, objects := check(t, r, c.read)
			if len(f.blobs) != c.bad || objects.Lost("", pack.Name(data)) != c.lost || c.what == "" && len(f.damage) > 0 || !strings.Contains(f.damage[name], c.what) {
				t.Fatalf("%d bad blobs, damage %v", len(f.blobs), f.damage)
			}
		})
	}
}

func TestAPackThatNoShardNamesIsReadToo(t *testing.T) {
	r, st := newRepo(t)
	orphan := repo.PackName(pack.ID{0xab})
	if err := st.Create(t.Context(), orphan, []byte("not what the name says")); err != nil {
		t.Fatal(err)
	}
	if f, _ := check(t, r, false); len(f.damage) > 0 {
		t.Errorf("found without reading: %v", f.damage)
	}
	if f, _ := check(t, r, true); !strings.Contains(f.damage[orphan], "no index shard names it") || len(f.blobs) > 0 {
		t.Errorf("found %v, blobs %v", f.damage, f.blobs)
	}
}

// A pack under which nobody can write 256 MiB is still only one damaged object, not the end of the check.
func TestAnObjectLargerThanAnyOfOursIsDamage(t *testing.T) {
	_, st := newRepo(t)
	backup(t, openRepo(t, st, t.TempDir()), "node-1", "daily", []byte("file"))
	for _, prefix := range []string{"index/", "snapshots/"} {
		name, _ := only(t, st, prefix)
		alt := &altered{Store: st, name: name, data: make([]byte, 33<<20)}
		if got := inspect(t, openRepo(t, alt, "")).objects(); len(got) != 1 || got[0] != name {
			t.Errorf("found %v, want %s", got, name)
		}
	}
}

// An authentic object in the wrong place is as bad as a forged one.
func TestMovedObjectsAreDamage(t *testing.T) {
	_, st := newRepo(t)
	r := openRepo(t, st, t.TempDir())
	backup(t, r, "node-1", "daily", []byte("file"))
	root, rootData := only(t, st, "snapshots/")
	shard, shardData := only(t, st, "index/")
	for name, data := range map[string][]byte{
		repo.RootName("node-1", pack.ID{1}):                   rootData,
		strings.Replace(root, "node-1", "node-2", 1):          rootData,
		strings.Replace(shard, "node-1", "node-2", 1):         shardData,
		repo.RootName("node-1", pack.ID{2}):                   shardData,
		strings.Replace(shard, "0000000001", "00000000x1", 1): shardData,
	} {
		if err := st.Create(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
		got := inspect(t, r).objects()
		want := []string{name}
		if repo.Classify(name) == repo.Stranger {
			want = nil
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("with %s: found %v", name, got)
		}
		replace(t, st, name, nil)
	}
}

func TestACheckFailsWhereTheStoreFails(t *testing.T) {
	_, st := newRepo(t)
	backup(t, openRepo(t, st, t.TempDir()), "node-1", "daily", []byte("file"))
	for _, prefix := range []string{"keys/", "trust/", "index/", "packs/", "pending/", "snapshots/"} {
		name := objects(t, st, prefix)[0]
		alt := &altered{Store: st}
		r := openRepo(t, alt, "")
		inv, err := r.Inventory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		alt.name, alt.err = name, errors.New("offline")
		f := &findings{damage: map[string]string{}, blobs: map[pack.ID]string{}}
		c := r.NewChecker(inv, f)
		err = errors.Join(c.Structure(t.Context()), c.Packs(t.Context()), readBack(t.Context(), c, true))
		if !errors.Is(err, alt.err) || len(f.damage)+len(f.blobs) > 0 {
			t.Errorf("%s offline: %v, damage %v", name, err, f.damage)
		}
	}
}
