package snapshot

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/repo/store/storefault"
)

// share is what one node has in a backup of a name.
type share struct{ backup, host string }

// world is a cluster of two nodes, their repository in memory, and what a reader of its history would say must come back.
type world struct {
	t     *testing.T // whose directories the nodes lie in
	st    store.Store
	seen  *repo.Repo // as it is read, without a cache
	nodes []*resident
	skew  time.Duration // of the clock of whoever acts

	kept    map[share]map[string]string // what must be restorable: files and their bytes
	roots   map[share]string
	held    map[string]bool
	injured map[string]bool     // objects that were changed or removed behind everybody's back
	broken  map[share]bool      // of those kept, what could not be read right after that
	lost    map[share]bool      // whose root was removed
	removed map[string]bool     // those roots
	order   map[string][]string // by host, the roots in the order in which they were made
}

// resident is a node with its state directory and the repository as it knows it.
type resident struct {
	*fakeNode
	repo  *repo.Repo
	dir   string
	files []string // its SSTables
	wrote int
}

// newWorld makes two empty nodes of a ring of two, and copies the objects of an empty repository.
func newWorld(t *testing.T, end *rapid.T, empty map[string][]byte) *world {
	w := &world{t: t, kept: make(map[share]map[string]string), roots: make(map[share]string), held: make(map[string]bool), injured: make(map[string]bool),
		broken: make(map[share]bool), lost: make(map[share]bool), removed: make(map[string]bool), order: make(map[string][]string)}
	var err error
	if w.st, err = store.Open(end.Context(), "mem://", store.Options{}); err != nil {
		end.Fatal(err)
	}
	end.Cleanup(func() { w.st.Close() })
	for name, b := range empty {
		if err := w.st.Create(end.Context(), name, b); err != nil {
			end.Fatal(err)
		}
	}
	w.seen = w.open(end, "")
	for _, host := range []string{hostA, hostB} {
		n := newNode(t, host, 1)
		n.members.Members = append(n.members.Members[:0], member(hostA, "NORMAL"), member(hostB, "NORMAL"))
		state, err := os.MkdirTemp(t.TempDir(), "state")
		if err != nil {
			end.Fatal(err)
		}
		end.Cleanup(func() { os.RemoveAll(state); os.RemoveAll(n.Layout().DataDirs[0]) })
		r := &resident{fakeNode: n, repo: w.open(end, state), dir: n.table(0, "t", 1)}
		r.write(1, 5_000)
		w.nodes = append(w.nodes, r)
	}
	return w
}

// emptyRepository returns the objects of a repository that opens fast.
func emptyRepository(t *testing.T) map[string][]byte {
	t.Helper()
	r := newRig(t)
	all := make(map[string][]byte)
	for _, name := range r.objects("") {
		b, err := r.st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = b
	}
	return all
}

func (w *world) open(t *rapid.T, state string) *repo.Repo {
	r, err := repo.Open(t.Context(), w.st, roles.WithPassphrase([]byte("pass")), state)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return r
}

func (w *world) now() time.Time { return time.Now().Add(w.skew) }

// write adds an SSTable. The same seed and size give the same content, as a replica's or an earlier one's.
func (r *resident) write(seed byte, size int) {
	r.wrote++
	at := fmt.Sprintf("%s/zz-%d-big-", r.dir, r.wrote)
	data := noise(seed, size)
	for name, text := range map[string]string{"Data.db": data, "Index.db": noise(seed+100, size/10), "Digest.crc32": fmt.Sprint(crc32.ChecksumIEEE([]byte(data))),
		"Statistics.db": "of a version nobody knows", "TOC.txt": "Data.db\nTOC.txt\n"} {
		r.put(at+name, text)
	}
	r.files = append(r.files, at)
}

// drop removes an SSTable, as a compaction does.
func (r *resident) drop(i int) {
	for _, name := range []string{"Data.db", "Index.db", "Digest.crc32", "Statistics.db", "TOC.txt"} {
		if err := os.Remove(r.Layout().DataDirs[0] + "/" + r.files[i] + name); err != nil {
			r.t.Fatal(err)
		}
	}
	r.files = append(r.files[:i], r.files[i+1:]...)
}

// amid is a store in the middle of whose operations something happens once.
type amid struct {
	store.Store
	left atomic.Int64 // operations until then
	do   func()
}

func (a *amid) step() {
	if a.left.Add(-1) == 0 {
		a.do()
	}
}

func (a *amid) Create(ctx context.Context, name string, data []byte) error {
	a.step()
	return a.Store.Create(ctx, name, data)
}

func (a *amid) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	a.step()
	return a.Store.Get(ctx, name, limit)
}

func (a *amid) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	a.step()
	return a.Store.List(ctx, prefix, fn)
}

func (a *amid) Delete(ctx context.Context, name string) error {
	a.step()
	return a.Store.Delete(ctx, name)
}

// trouble is what happens to an operation: a fault of the store, or something that others do meanwhile.
type trouble struct {
	st    store.Store
	fault *storefault.Store
	mode  storefault.Mode
	aside error // of what happened meanwhile
	other bool  // something else may happen meanwhile
}

// draw draws what happens to an operation: in half of all cases nothing.
func (w *world) draw(t *rapid.T, meanwhile func() error) *trouble {
	tr := &trouble{st: w.st}
	at := rapid.IntRange(0, 40).Draw(t, "at operation")
	switch rapid.SampledFrom([]string{"nothing", "a fault", "others"}).Draw(t, "happens") {
	case "a fault":
		tr.mode = rapid.SampledFrom(storefault.Modes).Draw(t, "fault")
		tr.fault = storefault.New(w.st, storefault.Fault{At: at, Mode: tr.mode})
		tr.st = store.Retry(tr.fault, store.RetryOptions{First: time.Nanosecond, Max: time.Microsecond}, nil)
	case "others":
		tr.other = true
		a := &amid{Store: w.st, do: func() { tr.aside = meanwhile() }}
		a.left.Store(int64(at) + 1)
		tr.st = a
	}
	return tr
}

// excused requires that an error is that of the fault, or says what is damaged where something is.
func (w *world) excused(t *rapid.T, tr *trouble, err error) {
	injected := errors.Is(err, storefault.ErrInjected) || errors.Is(err, storefault.ErrCrashed)
	damage := errors.As(err, new(*repo.DamageError))
	switch {
	case tr.fault != nil && tr.fault.Fired() > 0 && injected && !damage:
	case len(w.injured) > 0 && damage:
	case tr.other && repo.Aborted(err):
	case tr.other && damage && strings.Contains(err.Error(), "copy for full backup: "):
		// Two collections in the middle of a full backup: it is not made, and says more than is so.
	case err != nil:
		t.Fatalf("it ends with: %v", err)
	}
	if tr.aside != nil && !(len(w.injured) > 0 && errors.As(tr.aside, new(*repo.DamageError))) {
		t.Fatalf("what others did meanwhile ends with: %v", tr.aside)
	}
}

// listed returns the shares that a listing has. What it cannot read must have been injured.
func (w *world) listed(t *rapid.T) map[share]Entry {
	all, err := entries(t.Context(), w.seen, func(d *repo.DamageError) {
		if !w.injured[d.Object] {
			t.Fatalf("list: %v", d)
		}
	})
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	found := make(map[share]Entry)
	for _, e := range all {
		found[share{e.Backup, e.HostID}] = *e
	}
	return found
}

// read returns the files of a share.
func (w *world) read(ctx context.Context, by *repo.Repo, e *Entry) (files map[string]string, err error) {
	s, err := Open(ctx, by, e)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	files = make(map[string]string)
	for i := range s.Node.Tables {
		var list []SSTable
		t := &s.Node.Tables[i]
		if err := s.SSTables(ctx, t, func(one *SSTable) error { list = append(list, *one); return nil }); err != nil {
			return nil, err
		}
		out := make(writers)
		err := s.Content(ctx, []Page{{SSTables: list}}, out.create, func(f File, err error) error {
			if err == nil {
				files[fmt.Sprintf("%d/%s/%s", f.SSTable.DataDir, t.Dir, f.SSTable.File(f.Component))] = out.take(f)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, s.Schema(ctx, io.Discard)
}

// gc is what the command does: every domain, and what is left of full backups.
func (w *world) gc(ctx context.Context, by *repo.Repo) error {
	o := repo.GCOptions{MaxRepack: math.MaxInt64, Now: w.now}
	_, _, err := by.Adopt(ctx, o)
	domains, failed := by.Domains(ctx)
	err = errors.Join(err, failed)
	for _, d := range domains {
		_, failed := by.GC(ctx, d, o)
		err = errors.Join(err, failed)
	}
	_, failed = by.SweepFull(ctx, o)
	return errors.Join(err, failed)
}

// errHeld is what ends a deletion of what somebody holds.
var errHeld = errors.New("held")

// remove is what the commands do: nothing where one of the backups is held.
func (w *world) remove(ctx context.Context, by *repo.Repo, gone []Backup) error {
	holds, err := Holds(ctx, by)
	if err != nil {
		return err
	}
	for i := range gone {
		for j := range holds {
			if holds[j].Holds(&gone[i], w.now()) {
				return errHeld
			}
		}
	}
	for i := range gone {
		for _, e := range gone[i].RemovalOrder() {
			if err := by.Delete(ctx, e.Root, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// named are the backups of a name.
func (w *world) named(ctx context.Context, by *repo.Repo, name string) (found []Backup, err error) {
	all, err := List(ctx, by, func(*repo.DamageError) {})
	for _, b := range all {
		if b.Name == name {
			found = append(found, b)
		}
	}
	return found, err
}

// forget takes a backup out of what must be restorable.
func (w *world) forget(name string) {
	for p := range w.kept {
		if p.backup == name {
			w.drop(p)
		}
	}
}

func (w *world) drop(p share) {
	delete(w.kept, p)
	delete(w.roots, p)
	delete(w.broken, p)
}

func quiet(name, mode string, now func() time.Time) Options {
	return Options{Name: name, Mode: mode, Now: now, Log: slog.New(slog.DiscardHandler), Progress: silent{}, Open: OpenFile}
}
