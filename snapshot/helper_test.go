package snapshot

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

const (
	hostA = "aaaaaaaa-0000-4000-8000-000000000001"
	hostB = "bbbbbbbb-0000-4000-8000-000000000002"
	hostC = "cccccccc-0000-4000-8000-000000000003"
)

// written is when the files of a test were written, unless it says otherwise; the first backup begins an hour later.
var written = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// smallest is the least size of a chunk that is not of a Data.db. Zeros are cut at it.
const smallest = 4 << 10

// rig is a repository in memory, and what a test knows about the backups it takes.
type rig struct {
	t     *testing.T
	st    store.Store
	repo  *repo.Repo // of which backups are taken, with local caches in state
	seen  *repo.Repo // the same repository as it is read, without a cache
	state string
	clock time.Time
	shots map[string]*Snapshot // opened, by backup

	mu     sync.Mutex
	opened []string // "table/file" of what backups opened, in no order
	open   func(path string) (io.ReadCloser, error)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	cfg := repo.DefaultSettings()
	cfg.PackSize = 1 << 20
	// Small chunks make small files stand for large ones.
	cfg.DataChunks = pack.Sizes{Min: 64 << 10, Bits: 16, Max: 512 << 10}
	cfg.MetaChunks = pack.Sizes{Min: smallest, Bits: 12, Max: 64 << 10}
	return newRigWith(t, cfg)
}

func newRigWith(t *testing.T, cfg repo.Settings) *rig {
	t.Helper()
	st, err := store.Open(t.Context(), "mem://", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Init(t.Context(), st, cfg, roles.Passphrase([]byte("pass"), roles.Cost{Time: 1, Memory: 8, Threads: 1})); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, st: st, state: t.TempDir(), clock: written.Add(time.Hour), open: OpenFile, shots: make(map[string]*Snapshot)}
	r.repo, r.seen = r.reopen(st, r.state), r.reopen(st, "")
	t.Cleanup(func() { st.Close() })
	return r
}

// reopen opens the repository through st.
func (r *rig) reopen(st store.Store, cacheDir string) *repo.Repo {
	r.t.Helper()
	opened, err := repo.Open(r.t.Context(), st, roles.WithPassphrase([]byte("pass")), cacheDir)
	if err != nil {
		r.t.Fatal(err)
	}
	return opened
}

func (r *rig) options(name string) Options {
	now := func() time.Time { r.clock = r.clock.Add(time.Millisecond); return r.clock }
	return Options{Name: name, Now: now, Log: slog.New(slog.DiscardHandler), Progress: silent{}, Open: r.opening}
}

type silent struct{}

func (silent) Expect(int, int64) {}
func (silent) Done(int, int64)   {}

func (r *rig) opening(path string) (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	table, file, _ := strings.Cut(path, "/snapshots/")
	_, file, _ = strings.Cut(file, "/")
	table, _, _ = strings.Cut(filepath.Base(table), "-")
	r.opened = append(r.opened, table+"/"+file)
	return r.open(path)
}

// take backs n up, which must succeed. What was opened before is forgotten, and the clock moves on by an hour.
func (r *rig) take(n *fakeNode, name string) *Result {
	r.t.Helper()
	r.opened = nil
	r.clock = r.clock.Add(time.Hour)
	res, err := Take(r.t.Context(), r.repo, n, r.options(name))
	if err != nil {
		r.t.Fatalf("backup %s: %v", name, err)
	}
	return res
}

// list returns the backups, none of which may be damaged.
func (r *rig) list() []Backup {
	r.t.Helper()
	all, err := List(r.t.Context(), r.seen, func(d *repo.DamageError) { r.t.Errorf("list: %v", d) })
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// snapshot opens the only node snapshot of a backup.
func (r *rig) snapshot(backup string) *Snapshot {
	r.t.Helper()
	if s := r.shots[backup]; s != nil {
		return s
	}
	all, err := entries(r.t.Context(), r.seen, func(d *repo.DamageError) { r.t.Error(d) })
	if err != nil {
		r.t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(e *Entry) bool { return e.Backup != backup })
	if len(all) != 1 {
		r.t.Fatalf("%d node snapshots of backup %s", len(all), backup)
	}
	s, err := Open(r.t.Context(), r.seen, all[0])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.shots[backup] = s
	return s
}

// sstables returns all SSTables of a node snapshot by the directory of their table.
func (r *rig) sstables(s *Snapshot) map[string][]SSTable {
	r.t.Helper()
	all := make(map[string][]SSTable)
	for i := range s.Node.Tables {
		t := &s.Node.Tables[i]
		all[t.Dir] = nil
		err := s.SSTables(r.t.Context(), t, func(one *SSTable) error { all[t.Dir] = append(all[t.Dir], *one); return nil })
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return all
}

// content reads a backup back: "data directory/table directory/file" and its bytes.
func (r *rig) content(backup string) map[string]string {
	r.t.Helper()
	s := r.snapshot(backup)
	files := make(map[string]string)
	for dir, list := range r.sstables(s) {
		out := make(writers)
		err := s.Content(r.t.Context(), []Page{{SSTables: list}}, out.create, func(f File, err error) error {
			files[fmt.Sprintf("%d/%s/%s", f.SSTable.DataDir, dir, f.SSTable.File(f.Component))] = out.take(f)
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return files
}

// mustHold demands that a backup holds exactly these files; contents are compared by length and hash when they differ.
func (r *rig) mustHold(backup string, want map[string]string) {
	r.t.Helper()
	short := cmp.Transformer("short", func(s string) string {
		if len(s) <= 64 {
			return s
		}
		return fmt.Sprintf("%d bytes %.12s…", len(s), fmt.Sprintf("%x", s[:min(len(s), 8)]))
	})
	got := r.content(backup)
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("backup %s (-want +got):\n%s", backup, cmp.Diff(want, got, short))
	}
}

// mustOpen demands that the last backup opened exactly these files.
func (r *rig) mustOpen(want ...string) {
	r.t.Helper()
	slices.Sort(want)
	got := slices.Sorted(slices.Values(r.opened))
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("opened (-want +got):\n%s", diff)
	}
}

// damage replaces an object's bytes by what change returns; nil removes it.
func (r *rig) damage(object string, change func([]byte) []byte) {
	r.t.Helper()
	ctx := r.t.Context()
	b, err := r.st.Get(ctx, object, pack.MaxPack)
	if err == nil {
		err = r.st.Delete(ctx, object)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if b = change(b); b == nil {
		return
	}
	if err := r.st.Create(ctx, object, b); err != nil {
		r.t.Fatal(err)
	}
}

func flipAt(i int) func([]byte) []byte { return func(b []byte) []byte { b[i] ^= 1; return b } }
func flip(b []byte) []byte             { b[len(b)/2] ^= 1; return b }
func remove([]byte) []byte             { return nil }

// objects lists the names below a prefix.
func (r *rig) objects(prefix string) (names []string) {
	r.t.Helper()
	err := r.st.List(r.t.Context(), prefix, func(i store.Info) error { names = append(names, i.Name); return nil })
	if err != nil {
		r.t.Fatal(err)
	}
	return names
}

// isDamage reports whether err says that an object is damaged.
func isDamage(err error, object string) bool {
	var damage *repo.DamageError
	return errors.As(err, &damage) && damage.Object == object
}
