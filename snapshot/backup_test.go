package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/index"
	"cbk/repo"
	"cbk/repo/store"
)

// oneTable returns a node with one table of one SSTable.
func oneTable(t *testing.T, host string) *fakeNode {
	t.Helper()
	n := newNode(t, host, 1)
	n.sstable(n.table(0, "t", 1), "nb-1-big-", host[0], 300_000)
	return n
}

// mustBeNone demands that no backup was recorded and no Cassandra snapshot is left.
func (r *rig) mustBeNone(n *fakeNode) {
	r.t.Helper()
	if all := r.list(); len(all) > 0 {
		r.t.Errorf("a backup was recorded: %+v", all)
	}
	if left := n.snapshots(); len(left) > 0 {
		r.t.Errorf("snapshots left: %v", left)
	}
}

func TestWhateverTheNodeRefusesIsNoBackup(t *testing.T) {
	refused := errors.New("the node refuses")
	for _, c := range []struct {
		call  string
		calls []string // all that were made
	}{
		{"Identity 1", []string{"Identity"}},
		{"Schema 1", []string{"Identity", "Schema"}},
		{"Snapshot 1", []string{"Identity", "Schema", "Snapshot", "ClearSnapshot"}},
		{"Schema 2", []string{"Identity", "Schema", "Snapshot", "Schema", "ClearSnapshot"}},
		{"SnapshotTables 1", []string{"Identity", "Schema", "Snapshot", "Schema", "SnapshotTables", "ClearSnapshot"}},
		{"Identity 2", []string{"Identity", "Schema", "Snapshot", "Schema", "SnapshotTables", "Identity", "ClearSnapshot"}},
		{"Ring 1", []string{"Identity", "Schema", "Snapshot", "Schema", "SnapshotTables", "Identity", "Ring", "ClearSnapshot"}},
	} {
		t.Run(c.call, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), oneTable(t, hostA)
			n.fail[c.call] = refused
			res, err := Take(t.Context(), r.repo, n, r.options("b"))
			if res != nil || !errors.Is(err, refused) || err.Error() != refused.Error() {
				t.Errorf("result %v, error %v", res, err)
			}
			if diff := cmp.Diff(c.calls, n.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			r.mustBeNone(n)
			n.fail = nil
			r.take(n, "b")
			r.mustHold("b", n.live())
		})
	}
}

func TestATakenNameIsRefusedBeforeCassandraIsBothered(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	r.take(n, "monday")
	n.calls = nil
	_, err := Take(t.Context(), r.repo, n, r.options("monday"))
	if !errors.Is(err, repo.ErrSnapshotExists) || !strings.Contains(err.Error(), `"monday" of node node-a`) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"Identity"}, n.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	other := oneTable(t, hostB)
	r.take(other, "monday") // names are a node's own
}

func TestANameTakenWhileTheBackupRunsIsRefusedAtTheEnd(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	first := n.live()
	n.during = func() {
		n.during = nil
		rival := r.reopen(r.st, "")
		if _, err := Take(t.Context(), rival, oneTableLike(n), r.options("b")); err != nil {
			t.Error(err)
		}
	}
	if _, err := Take(t.Context(), r.repo, n, r.options("b")); !errors.Is(err, repo.ErrSnapshotExists) {
		t.Errorf("got %v", err)
	}
	r.mustHold("b", first)
}

// oneTableLike is the same node as another process sees it.
func oneTableLike(n *fakeNode) *fakeNode {
	return &fakeNode{Node: n.Node, t: n.t, id: n.id, members: n.members}
}

func TestTheResultNamesTheRootThatWasMade(t *testing.T) {
	r, n := newRig(t), oneTable(t, hostA)
	for _, name := range []string{"one", "two"} {
		res := r.take(n, name)
		if want, err := r.repo.Find(t.Context(), hostA, name); err != nil || res.Root != want {
			t.Errorf("%s: root %q, stands at %q, %v", name, res.Root, want, err)
		}
	}
}

func TestBadNamesAndLabelsAreRefused(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	if _, err := Take(t.Context(), r.repo, n, r.options("a/b")); err == nil || !strings.Contains(err.Error(), `"a/b"`) {
		t.Errorf("got %v", err)
	}
	n.id.HostID = "../../etc"
	if _, err := Take(t.Context(), r.repo, n, r.options("b")); err == nil || !strings.Contains(err.Error(), "../../etc") {
		t.Errorf("got %v", err)
	}
	r.mustBeNone(n)
	if diff := cmp.Diff([]string{"Identity", "Identity"}, n.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestATableWithoutItsSnapshotIsNamed(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	u := n.table(0, "u", 2)
	n.during = func() { os.RemoveAll(filepath.Join(n.Layout().DataDirs[0], u, "snapshots")) }
	_, err := Take(t.Context(), r.repo, n, r.options("b"))
	if err == nil || !strings.Contains(err.Error(), "lacks 1 of 2 tables: ks.u;") {
		t.Errorf("got %v", err)
	}
	r.mustBeNone(n)
	// A table that is dropped while the snapshot is taken is not demanded.
	n.during = func() { os.RemoveAll(filepath.Join(n.Layout().DataDirs[0], u)) }
	r.take(n, "b")
	r.mustHold("b", n.live())
}

func TestAStrangerInASnapshotIsNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(dir string) error
	}{
		{"core.1234", func(dir string) error { return os.WriteFile(filepath.Join(dir, "core.1234"), nil, 0o644) }},
		{"nb-9-big-Data.db", func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "nb-9-big-Data.db")) }},
		{"nb-8-big-Data.db", func(dir string) error { return os.Mkdir(filepath.Join(dir, "nb-8-big-Data.db"), 0o755) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), oneTable(t, hostA)
			n.during = func() {
				if err := c.make(filepath.Join(n.Layout().DataDirs[0], "ks/t-"+tableID(1), "snapshots", n.snapshots()[0])); err != nil {
					t.Error(err)
				}
			}
			_, err := Take(t.Context(), r.repo, n, r.options("b"))
			if err == nil || !strings.Contains(err.Error(), "ks.t") || !strings.Contains(err.Error(), c.name) {
				t.Errorf("got %v", err)
			}
			r.mustBeNone(n)
		})
	}
}

type readCloser struct{ io.Reader }

func (readCloser) Close() error { return nil }

func TestAComponentThatIsNotAsListedIsNoBackup(t *testing.T) {
	broken := errors.New("input/output error")
	for _, c := range []struct {
		name, component string
		open            func(whole io.Reader) (io.Reader, error)
		says            string
	}{
		{"gone", "Data.db", func(io.Reader) (io.Reader, error) { return nil, fs.ErrNotExist }, "read component: file does not exist"},
		{"a bad sector at its end", "Data.db", func(r io.Reader) (io.Reader, error) { return io.MultiReader(r, failing{broken}), nil }, "input/output error"},
		{"a bad sector in a small one", "TOC.txt", func(io.Reader) (io.Reader, error) { return failing{broken}, nil }, "input/output error"},
		{"it is shorter", "Data.db", func(r io.Reader) (io.Reader, error) { return io.LimitReader(r, 299_990), nil }, "it ended 10 bytes early"},
		{"it is empty", "Index.db", func(r io.Reader) (io.Reader, error) { return strings.NewReader(""), nil }, "it ended 5000 bytes early"},
		{"a small one is shorter", "TOC.txt", func(r io.Reader) (io.Reader, error) { return io.LimitReader(r, 1), nil }, "bytes early"},
		{"it is longer", "Data.db", func(r io.Reader) (io.Reader, error) { return io.MultiReader(r, strings.NewReader("x")), nil }, "it grew while it was read"},
		{"a small one has no end", "TOC.txt", func(r io.Reader) (io.Reader, error) { return endless{}, nil }, "it grew while it was read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), oneTable(t, hostA)
			r.open = func(path string) (io.ReadCloser, error) {
				f, err := OpenFile(path)
				if err != nil || !strings.HasSuffix(path, c.component) {
					return f, err
				}
				in, err := c.open(f)
				return readCloser{in}, err
			}
			_, err := Take(t.Context(), r.repo, n, r.options("b"))
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "ks.t: read component") || errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			r.mustBeNone(n)
			r.open = OpenFile
			r.take(n, "b")
			r.mustHold("b", n.live())
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestLinksAreNotFollowedWhenComponentsAreRead(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), "content")
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if f, err := OpenFile(filepath.Join(dir, "link")); err == nil {
		f.Close()
		t.Error("followed a link")
	}
	f, err := OpenFile(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
}

// interruption ends a backup when so many bytes are done.
type interruption struct {
	mu     sync.Mutex
	left   int64
	cancel context.CancelFunc
}

func (*interruption) Expect(int, int64) {}

func (i *interruption) Done(_ int, n int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.left -= n; i.left <= 0 {
		i.cancel()
	}
}

func TestAnInterruptedBackupKeepsWhatItStoredForTheNext(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	const size = 3 << 20
	for i := range 8 {
		n.put(fmt.Sprintf("%s/nb-1-big-Data.db", n.table(0, fmt.Sprint("t", i), i)), noise(byte(i), size))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opt := r.options("b")
	opt.Progress = &interruption{left: 2 * size, cancel: cancel}
	if _, err := Take(ctx, r.repo, n, opt); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	r.mustBeNone(n)
	next := r.take(n, "b")
	r.mustHold("b", n.live())
	if next.BytesNew > 6*size+(64<<10) {
		t.Errorf("%d bytes were stored again, two files of %d were whole", next.BytesNew, size)
	}
}

func TestABackupThatIsInterruptedBeforeItBeginsAsksNothing(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	n.fail["Identity 1"] = context.Canceled
	if _, err := Take(t.Context(), r.repo, n, r.options("b")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	r.mustBeNone(n)
}

// brokenStore refuses objects below a prefix.
type brokenStore struct {
	store.Store
	prefix string
}

var errDisk = errors.New("disk on fire")

func (b brokenStore) Create(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, b.prefix) {
		return errDisk
	}
	return b.Store.Create(ctx, name, data)
}

func TestAStoreThatRefusesAnythingHasNoBackup(t *testing.T) {
	for _, prefix := range []string{"packs/", "index/", "snapshots/"} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), oneTable(t, hostA)
			n.put("ks/t-"+tableID(1)+"/nb-2-big-Data.db", noise(9, 5<<20)) // more than the open packs hold
			broken := r.reopen(brokenStore{r.st, prefix}, r.state)
			_, err := Take(t.Context(), broken, n, r.options("b"))
			if !errors.Is(err, errDisk) || errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			r.mustBeNone(n)
			r.take(n, "b")
			r.mustHold("b", n.live())
		})
	}
}

func TestOneStateDirectoryServesOneBackupAtATime(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	n.during = func() {
		if _, err := Take(t.Context(), r.repo, oneTableLike(n), r.options("c")); !errors.Is(err, index.ErrLocked) {
			t.Errorf("a second one: %v", err)
		}
	}
	r.take(n, "b")
	r.mustHold("b", n.live())
}

var _ Source = (*node.Node)(nil)

func TestTheRingIsStoredOnceForNodesThatSeeTheSame(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	n.members.Members = append(n.members.Members, member(hostB, ring.Joining))
	one, two := r.take(n, "one"), r.take(n, "two")
	if entries := r.list(); entries[0].Nodes[0].root.Ring != entries[1].Nodes[0].root.Ring {
		t.Error("the same ring is two blobs")
	}
	if two.BytesNew >= one.BytesNew/10 || two.Unchanged != two.Files {
		t.Errorf("an unchanged node cost %d new bytes, %d of %d files unchanged", two.BytesNew, two.Unchanged, two.Files)
	}
}
