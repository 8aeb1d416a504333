package repo_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

const passphrase = "correct horse"

var cheap = roles.Cost{Time: 1, Memory: 8, Threads: 1}

// small cuts streams into many chunks.
var small = pack.Sizes{Min: 4 << 10, Bits: 12, Max: 32 << 10}

func smallSettings() repo.Settings {
	c := repo.DefaultSettings()
	c.PackSize = 1 << 20
	return c
}

// errStore is what a store of a test ends with that does not do all it is asked.
var errStore = errors.New("the store has a fault")

func memory(t testing.TB) store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), "mem://", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// newRepo makes a repository of small packs in memory, with caches in a directory of the test.
func newRepo(t testing.TB) (*repo.Repo, store.Store) {
	t.Helper()
	st := memory(t)
	if err := repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte(passphrase), cheap)); err != nil {
		t.Fatal(err)
	}
	return openRepo(t, st, t.TempDir()), st
}

func openRepo(t testing.TB, st store.Store, cacheDir string) *repo.Repo {
	t.Helper()
	r, err := repo.Open(t.Context(), st, roles.WithPassphrase([]byte(passphrase)), cacheDir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// noise returns n bytes that do not compress, the same for the same seed.
func noise(seed, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, seed))).Read(b)
	return b
}

func session(t testing.TB, r *repo.Repo, domain string) *repo.Session {
	t.Helper()
	s, err := r.NewSession(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func reader(t testing.TB, r *repo.Repo, domain string) *repo.Reader {
	t.Helper()
	rd, err := r.NewReader(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rd.Close() })
	return rd
}

// save streams each file into the session and commits a backup of them: one description a file, the list of its blobs.
func save(s *repo.Session, name string, files ...[]byte) (cost repo.Added, err error) {
	return saveAs(s, name, &repo.Root{Catalogue: []byte(name)}, files...)
}

// saveAs is save with a root that says what kind of backup it is.
func saveAs(s *repo.Session, name string, root *repo.Root, files ...[]byte) (cost repo.Added, err error) {
	filled, cost, err := fill(s, name, files...)
	if err != nil {
		return cost, err
	}
	root.Ring, root.Refs, root.Descriptions = filled.Ring, filled.Refs, filled.Descriptions
	return cost, s.Commit(name, root)
}

// fill streams each file into the session and returns the root of them.
func fill(s *repo.Session, name string, files ...[]byte) (root *repo.Root, cost repo.Added, err error) {
	root = &repo.Root{Catalogue: []byte(name)}
	var needed []pack.ID
	ring, _, err := s.Put(pack.Ring, []byte("ring of "+name))
	if err != nil {
		return nil, cost, err
	}
	root.Ring = ring.ID
	for _, f := range files {
		var list []byte
		added, err := s.Stream(bytes.NewReader(f), small, func(refs []repo.Ref) error {
			for _, r := range refs {
				list = append(list, r.ID[:]...)
				needed = append(needed, r.ID)
			}
			return nil
		})
		if err != nil {
			return nil, cost, err
		}
		cost = cost.Plus(added)
		ref, _, err := s.Put(pack.Description, list)
		if err != nil {
			return nil, cost, err
		}
		root.Descriptions = append(root.Descriptions, ref.ID)
	}
	refs, _, err := s.Put(pack.Refs, repo.EncodeRefs(needed))
	root.Refs = []pack.ID{refs.ID}
	return root, cost, err
}

// backup saves files in a session of its own.
func backup(t testing.TB, r *repo.Repo, domain, name string, files ...[]byte) repo.Added {
	t.Helper()
	s, err := r.NewSession(t.Context(), domain)
	if err != nil {
		t.Fatal(err)
	}
	cost, err := save(s, name, files...)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return cost
}

// restore reads the files of a backup, knowing only its name.
func restore(ctx context.Context, r *repo.Repo, domain, name string) (files [][]byte, err error) {
	at, err := r.RootName(domain, name)
	if err != nil {
		return nil, err
	}
	return restoreRoot(ctx, r, at)
}

// restoreRoot reads the files of the backup whose root stands at a name.
func restoreRoot(ctx context.Context, r *repo.Repo, at string) (files [][]byte, err error) {
	root, err := r.ReadRoot(ctx, at)
	if err != nil {
		return nil, err
	}
	rd, err := r.NewReaderFor(ctx, root)
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	return readRoot(ctx, r, rd, at)
}

func readRoot(ctx context.Context, r *repo.Repo, rd *repo.Reader, at string) (files [][]byte, err error) {
	root, err := r.ReadRoot(ctx, at)
	if err != nil {
		return nil, err
	}
	var w repo.Scratch
	for _, d := range root.Descriptions {
		list, err := rd.Load(ctx, &w, nil, d, pack.Description)
		if err != nil {
			return nil, err
		}
		file := []byte{}
		for id := range slices.Chunk(list, 32) {
			chunk, err := rd.Load(ctx, &w, nil, pack.ID(id), pack.Data)
			if err != nil {
				return nil, err
			}
			file = append(file, chunk...)
		}
		files = append(files, file)
	}
	return files, nil
}

func mustRestore(t testing.TB, r *repo.Repo, domain, name string, want ...[]byte) {
	t.Helper()
	got, err := restore(t.Context(), r, domain, name)
	if err != nil {
		t.Fatalf("restore %s: %v", name, err)
	}
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("restore %s: %d files that are not the %d saved", name, len(got), len(want))
	}
}

// objects returns the names in a store that start with prefix.
func objects(t testing.TB, st store.Store, prefix string) (names []string) {
	t.Helper()
	err := st.List(t.Context(), prefix, func(i store.Info) error { names = append(names, i.Name); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// only returns the one object under a prefix and its bytes.
func only(t testing.TB, st store.Store, prefix string) (string, []byte) {
	t.Helper()
	names := objects(t, st, prefix)
	if len(names) != 1 {
		t.Fatalf("%d objects under %s", len(names), prefix)
	}
	data, err := st.Get(t.Context(), names[0], pack.MaxPack)
	if err != nil {
		t.Fatal(err)
	}
	return names[0], data
}

// replace puts other bytes where an object was; nil only removes it.
func replace(t testing.TB, st store.Store, name string, data []byte) {
	t.Helper()
	err := st.Delete(t.Context(), name)
	if err == nil && data != nil {
		err = st.Create(t.Context(), name, data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func flip(data []byte, at int) []byte {
	b := bytes.Clone(data)
	b[at] ^= 1 << (at % 8)
	return b
}

// mustDamage requires an error that names the object.
func mustDamage(t testing.TB, err error, object string) {
	t.Helper()
	var damage *repo.DamageError
	if !errors.As(err, &damage) || !strings.HasPrefix(damage.Object, object) {
		t.Fatalf("error %v, want damage of %s", err, object)
	}
}

// findings collects what a check reports.
type findings struct {
	mu     sync.Mutex
	damage map[string]string
	blobs  map[pack.ID]string
}

func (f *findings) Damage(e *repo.DamageError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.damage[e.Object] = e.What
}

func (f *findings) BadBlob(_ string, id pack.ID, object string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blobs[id] = object
}

func (f *findings) objects() []string { return slices.Sorted(maps.Keys(f.damage)) }

// check runs every part of a check.
func check(t testing.TB, r *repo.Repo, read bool) (*findings, *repo.Checker) {
	t.Helper()
	inv, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &findings{damage: map[string]string{}, blobs: map[pack.ID]string{}}
	c := r.NewChecker(inv, f)
	if err := errors.Join(c.Structure(t.Context()), c.Packs(t.Context()), readBack(t.Context(), c, read)); err != nil {
		t.Fatal(err)
	}
	return f, c
}

// readBack reads every pack, if it is to.
func readBack(ctx context.Context, c *repo.Checker, read bool) error {
	if !read {
		return nil
	}
	_, err := c.ReadPacks(ctx, repo.Reading{Extent: repo.Everything()})
	return err
}

func mustBeSound(t testing.TB, r *repo.Repo) *repo.Checker {
	t.Helper()
	f, c := check(t, r, true)
	if len(f.damage)+len(f.blobs) > 0 {
		t.Fatalf("damage %v, blobs %v", f.damage, f.blobs)
	}
	return c
}

// settled waits until no more goroutines run than before; only a leak makes it wait long.
func settled(t testing.TB, before int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 64<<10)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
