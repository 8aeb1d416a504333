package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/repo/store/storefault"
)

// deaf is a store whose creations do not notice that their caller has ended: nothing but the caller keeps a root back.
type deaf struct{ store.Store }

func (d deaf) Create(ctx context.Context, name string, data []byte) error {
	return d.Store.Create(context.WithoutCancel(ctx), name, data)
}

// faulty returns st with faults, and the same beneath the retries that every opened store has.
func faulty(st store.Store, faults ...storefault.Fault) (*storefault.Store, store.Store) {
	f := storefault.New(deaf{st}, faults...)
	return f, store.Retry(f, store.RetryOptions{First: time.Nanosecond, Max: time.Microsecond}, nil)
}

// struck is the operation at which the fault of a store fired; "" if it did not.
func struck(f *storefault.Store, at int) string {
	if f.Fired() == 0 {
		return ""
	}
	op := f.Ops()[at]
	return op.Kind + " " + op.Name
}

// injected requires that a fault is told: as itself, and never as damage of what is sound.
func injected(t *testing.T, mode storefault.Mode, err error) {
	t.Helper()
	told := errors.Is(err, storefault.ErrInjected) || errors.Is(err, storefault.ErrCrashed)
	if mode == storefault.Twice || !told || errors.As(err, new(*repo.DamageError)) {
		t.Fatalf("it ends with: %v", err)
	}
}

// place is a repository that has lived: two generations' seal keys, a deletion, a dead session, a pack without a shard, a
// backup of two domains, one of a writer's own key.
type place struct {
	objects map[string][]byte
	files   map[string][][]byte // of the committed backups of node-1
	writer  roles.KeyID
	blobs   int64
}

func lived(t *testing.T) *place {
	t.Helper()
	r, st := newRepo(t)
	p := &place{objects: make(map[string][]byte), files: make(map[string][][]byte)}
	shared, mostly, copied := noise(1, 5_000), noise(2, 60_000), noise(3, 6_000)
	keep := func(r *repo.Repo, name string, files ...[]byte) {
		backup(t, r, "node-1", name, files...)
		p.files[name] = files
	}
	keep(r, "one", shared, noise(4, 5_000))
	if _, err := r.RotateSeal(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	backup(t, r, "node-1", "gone", mostly, copied)
	keep(r, "two", shared, copied)
	remove(t, r, "gone")
	file, id, err := r.ExportKey(t.Context(), roles.RoleWriter, []string{"node-1"})
	if err != nil {
		t.Fatal(err)
	}
	p.writer = id
	key, err := roles.ParseKeyFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w, err := repo.Open(t.Context(), st, roles.WithKeyFile(key), "")
	if err != nil {
		t.Fatal(err)
	}
	keep(w, "by a writer", shared, noise(5, 5_000))
	p.files["parted"] = [][]byte{shared, noise(6, 5_000)}
	if err := parted(t.Context(), r, "parted", p.files["parted"]...); err != nil {
		t.Fatal(err)
	}
	for prefix, name := range map[string]string{"snapshots/": "dead", "index/": "dead early"} {
		if err := tryBackup(t.Context(), openRepo(t, dead{st, prefix}, ""), name, noise(len(name), 5_000)); !errors.Is(err, errDead) {
			t.Fatal(err)
		}
	}
	p.blobs = mustBeSound(t, r).Blobs.Load()
	for _, name := range objects(t, st, "") {
		if p.objects[name], err = st.Get(t.Context(), name, pack.MaxPack); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// copy puts the objects of the place into a store of their own.
func (p *place) copy(t *testing.T) store.Store {
	t.Helper()
	st := memory(t)
	for name, data := range p.objects {
		if err := st.Create(t.Context(), name, data); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

// whole requires that all committed backups but one read back, and the one made since.
func (p *place) whole(t *testing.T, r *repo.Repo, but string) {
	t.Helper()
	files := maps.Clone(p.files)
	files["next"] = [][]byte{noise(30, 5_000)}
	delete(files, but)
	if err := restored(t.Context(), r, files); err != nil {
		t.Fatal(err)
	}
}

// parted makes a backup of two domains: its files in one, as a program would do it, and a part in the other.
func parted(ctx context.Context, r *repo.Repo, name string, files ...[]byte) (err error) {
	s, err := r.NewSession(ctx, "node-1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	other, err := r.NewSession(ctx, "table-1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	root, _, err := fill(s, name, files...)
	if err != nil {
		return err
	}
	part, _, err := fill(other, name, files[0])
	if err != nil {
		return err
	}
	return s.Commit(name, root, repo.Part{Session: other, Root: part})
}

// act is one operation of a repository that a sweep breaks at every operation of the store.
type act struct {
	name string
	run  func(ctx context.Context, r *repo.Repo, p *place) error
	// full requires the whole effect.
	full  func(t *testing.T, r *repo.Repo, p *place)
	reads bool   // it changes nothing
	done  error  // what run may say the second time, because the first did it all
	but   string // the backup that it takes away
}

func acts() []act {
	none := func(*testing.T, *repo.Repo, *place) {}
	patience := repo.GCOptions{MaxRepack: math.MaxInt64, Now: time.Now}
	return []act{
		{name: "backup", done: repo.ErrSnapshotExists,
			run: func(ctx context.Context, r *repo.Repo, _ *place) error {
				return parted(ctx, r, "fresh", noise(1, 5_000), noise(20, 9_000))
			},
			full: func(t *testing.T, r *repo.Repo, _ *place) {
				name, err := r.Find(t.Context(), "node-1", "fresh")
				if err != nil {
					t.Fatal(err)
				}
				got, err := restoreRoot(t.Context(), r, name)
				if err != nil || !slices.EqualFunc(got, [][]byte{noise(1, 5_000), noise(20, 9_000)}, bytes.Equal) {
					t.Fatalf("%d files that are not those saved: %v", len(got), err)
				}
			}},
		{name: "delete", but: "parted", full: gone("parted"),
			run: func(ctx context.Context, r *repo.Repo, _ *place) error {
				name, err := r.RootName("node-1", "parted")
				if err != nil {
					return err
				}
				return r.Delete(ctx, name, []byte("no longer needed"))
			}},
		{name: "gc", full: collected,
			run: func(ctx context.Context, r *repo.Repo, _ *place) error {
				_, err := r.GC(ctx, "node-1", patience)
				return err
			}},
		{name: "adopt",
			run: func(ctx context.Context, r *repo.Repo, _ *place) error {
				_, _, err := r.Adopt(ctx, patience)
				return err
			},
			full: func(t *testing.T, r *repo.Repo, _ *place) {
				if n, bad, err := r.Adopt(t.Context(), patience); n+bad > 0 || err != nil {
					t.Fatalf("%d packs left without a shard, %d unreadable: %v", n, bad, err)
				}
			}},
		{name: "check", reads: true, full: none, run: checked},
		{name: "restore", reads: true, full: none,
			run: func(ctx context.Context, r *repo.Repo, p *place) error { return restored(ctx, r, p.files) }},
		{name: "rotate seal", full: sealed(3),
			run: func(ctx context.Context, r *repo.Repo, _ *place) error { _, err := r.RotateSeal(ctx, ""); return err }},
		{name: "retire seals", full: retired,
			run: func(ctx context.Context, r *repo.Repo, _ *place) error { _, err := r.RetireSeals(ctx, ""); return err }},
		{name: "revoke", done: roles.ErrRevoked, full: revoked,
			run: func(ctx context.Context, r *repo.Repo, p *place) error {
				last, err := r.Newest(ctx, p.writer)
				if err != nil {
					return err
				}
				return r.Revoke(ctx, p.writer, last)
			}},
		{name: "export key", full: principals(roles.RoleKeeper),
			run: func(ctx context.Context, r *repo.Repo, _ *place) error {
				_, _, err := r.ExportKey(ctx, roles.RoleKeeper, nil)
				return err
			}},
		{name: "add slot", full: principals(roles.RoleReader),
			run: func(ctx context.Context, r *repo.Repo, _ *place) error {
				_, err := r.AddSlot(ctx, roles.RoleReader, roles.Passphrase([]byte("a reader's"), cheap))
				return err
			}},
	}
}

func gone(name string) func(*testing.T, *repo.Repo, *place) {
	return func(t *testing.T, r *repo.Repo, _ *place) {
		if _, err := r.Find(t.Context(), "node-1", name); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("deleted, and found: %v", err)
		}
	}
}

// collected requires that nothing is left to collect.
func collected(t *testing.T, r *repo.Repo, _ *place) {
	res := now(t, r)
	if res.Condemned+res.Deleted+res.Copied+res.Tidied+res.Aborted > 0 {
		t.Fatalf("left to collect: %+v", res)
	}
}

func checked(ctx context.Context, r *repo.Repo, p *place) error {
	inv, err := r.Inventory(ctx)
	if err != nil {
		return err
	}
	f := &findings{damage: map[string]string{}, blobs: map[pack.ID]string{}}
	c := r.NewChecker(inv, f)
	err = errors.Join(c.Structure(ctx), c.Packs(ctx), readBack(ctx, c, true))
	if len(f.damage)+len(f.blobs) > 0 || err == nil && c.Blobs.Load() < p.blobs {
		return fmt.Errorf("%d blobs of %d, damage %v, blobs %v", c.Blobs.Load(), p.blobs, f.damage, f.blobs)
	}
	return err
}

// restored reads backups of node-1 and compares their files.
func restored(ctx context.Context, r *repo.Repo, files map[string][][]byte) error {
	rd, err := r.NewReader(ctx, "node-1")
	if err != nil {
		return err
	}
	defer rd.Close()
	for name, want := range files {
		at, err := r.RootName("node-1", name)
		if err != nil {
			return err
		}
		got, err := readRoot(ctx, r, rd, at)
		if err != nil {
			return err
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			return fmt.Errorf("%s comes back with other bytes", name)
		}
	}
	return nil
}

// sealed requires so many seal keys, and that every session is sealed to the newest.
func sealed(keys int) func(*testing.T, *repo.Repo, *place) {
	return func(t *testing.T, r *repo.Repo, _ *place) {
		n, err := r.Reseal(t.Context())
		if have := len(r.Key().Trust().SealKeys()); have < keys || n > 0 || err != nil {
			t.Fatalf("%d seal keys, %d sessions not sealed to the newest: %v", have, n, err)
		}
	}
}

func retired(t *testing.T, r *repo.Repo, p *place) {
	sealed(2)(t, r, p)
	for i, k := range r.Key().Trust().SealKeys() {
		if k.Retired != (i == 0) {
			t.Fatalf("seal key %d: retired is %v", i, k.Retired)
		}
	}
	if n := superseded(t, r); n > 0 {
		t.Fatalf("%d grants left that keep retired seal keys alive", n)
	}
}

func revoked(t *testing.T, r *repo.Repo, p *place) {
	if _, dead := r.Key().Trust().Revoked(p.writer); !dead || r.Key().Trust().Generation("node-1") != 2 {
		t.Fatalf("revoked: %v, generation %d", dead, r.Key().Trust().Generation("node-1"))
	}
	if n := superseded(t, r); n > 0 {
		t.Fatalf("%d objects of revoked keys left", n)
	}
}

// superseded counts the key objects that only keep old secrets alive.
func superseded(t *testing.T, r *repo.Repo) int {
	t.Helper()
	names, err := r.Superseded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func principals(role roles.Role) func(*testing.T, *repo.Repo, *place) {
	return func(t *testing.T, r *repo.Repo, _ *place) {
		for p := range r.Key().Trust().Principals() {
			if p.Role == role {
				return
			}
		}
		t.Fatalf("no %s in the trust log", role)
	}
}

// sweptModes leave out a crash after the effect: for the store that is a crash at the operation after it.
var sweptModes = []storefault.Mode{storefault.Error, storefault.ErrorAfter, storefault.Crash, storefault.Twice}

// Whichever operation of the store fails in an act of the repository, and however: the act did all it says, or it tells
// the fault; then the repository checks clean, every backup reads back, the next one succeeds, and so does the act.
func TestAFaultAtAnyOperationOfAnyActIsToldAndHarmless(t *testing.T) {
	before := runtime.NumGoroutine()
	p := lived(t)
	var all atomic.Int64
	t.Run("acts", func(t *testing.T) {
		for _, a := range acts() {
			for _, mode := range sweptModes {
				t.Run(a.name+", "+mode.String(), func(t *testing.T) {
					t.Parallel()
					n := 0
					for p.survives(t, &a, storefault.Fault{At: n, Mode: mode}) {
						n++
					}
					t.Logf("%d points", n)
					all.Add(int64(n))
				})
			}
		}
	})
	t.Logf("%d points in all", all.Load())
	settled(t, before)
}

// survives breaks an act at one point; false if the act had fewer operations.
func (p *place) survives(t *testing.T, a *act, fault storefault.Fault) bool {
	t.Helper()
	st, state := p.copy(t), t.TempDir()
	f, broken := faulty(st)
	r := openRepo(t, broken, state)
	opened := len(f.Ops())
	f.Arm(fault)
	err := a.run(t.Context(), r, p)
	at := struck(f, opened+fault.At)
	defer func() {
		if t.Failed() {
			t.Logf("%s at operation %d, %s", fault.Mode, fault.At, at)
		}
	}()
	if err != nil {
		injected(t, fault.Mode, err)
	}
	r = openRepo(t, st, state)
	if err == nil {
		a.full(t, r, p)
	}
	if at == "" {
		return false
	}
	if a.reads {
		return true
	}
	mustBeSound(t, r)
	backup(t, r, "node-1", "next", noise(30, 5_000))
	if err := a.run(t.Context(), r, p); err != nil && (a.done == nil || !errors.Is(err, a.done)) {
		t.Fatalf("the second time it ends with: %v", err)
	}
	a.full(t, r, p)
	mustBeSound(t, r)
	p.whole(t, r, a.but)
	return true
}
