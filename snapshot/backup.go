package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/pack"
	"cbk/repo"
)

// Source is the node that is backed up; *node.Node is one.
type Source interface {
	Identity(ctx context.Context) (node.Identity, error)
	Ring(ctx context.Context) (ring.Ring, error)
	Schema(ctx context.Context) (node.Schema, error)
	Layout() node.Layout
	Snapshot(ctx context.Context, tag string) error
	ClearSnapshot(ctx context.Context, tag string) error
	SnapshotTables(tag string) ([]node.TableDir, error)
}

// Options say how to back up.
type Options struct {
	Name         string           // of the backup; empty: the UTC time
	KeepSnapshot bool             // leave Cassandra's snapshot where it is
	Now          func() time.Time // the clock
	Log          *slog.Logger
	Progress     Progress
	// Open opens a component for reading; OpenFile unless a test counts or damages what is read.
	Open func(path string) (io.ReadCloser, error)
}

// Progress is told how far a backup or restore has come. Its methods are called by several goroutines.
type Progress interface {
	Expect(bytes int64) // more bytes are to be handled
	Done(bytes int64)   // bytes were handled, read or found unchanged
}

// Result is what a backup did.
type Result struct {
	Catalogue
	SnapshotLeft string // tag of a Cassandra snapshot that is still there, "" if it was cleared
	ClearFailure error  // why it could not be cleared, nil if it was to be kept
}

// clearTimeout bounds the removal of Cassandra's snapshot when the backup's own context has ended.
const clearTimeout = 2 * time.Minute

// DefaultName is the name of a backup that was given none: the time in UTC.
func DefaultName(now time.Time) string { return now.UTC().Format("2006-01-02T15-04-05Z") }

// CheckName refuses backup names that would be unreadable in a listing or too long for the catalogue.
func CheckName(name string) error {
	bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' }
	if name == "" || len(name) > 128 || strings.TrimSpace(name) != name || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("backup name %q: 1 to 128 characters, no slashes, control characters or outer spaces", name)
	}
	return nil
}

// backup is the state of one run.
type backup struct {
	opt   Options
	src   Source
	s     *repo.Session
	facts *facts
	cat   Catalogue

	mu     sync.Mutex
	tables []*Table
}

// Take takes a snapshot of the node, stores it and clears it. Nothing is recorded unless everything was stored. The
// error matches repo.ErrSnapshotExists for a name that is taken, context.Canceled when interrupted: what was uploaded by
// then is found by the next backup.
func Take(ctx context.Context, r *repo.Repo, src Source, opt Options) (res *Result, err error) {
	b := &backup{opt: opt, src: src}
	if err := b.identify(ctx); err != nil {
		return nil, err
	}
	if err := b.free(ctx, r); err != nil {
		return nil, err
	}
	// The session outlives an interruption, so that what is in its buffers can still be stored.
	if b.s, err = r.NewSession(context.WithoutCancel(ctx), b.cat.HostID); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.s.Close()) }()
	if b.facts, err = openFacts(b.s, opt.Now()); err != nil {
		return nil, err
	}
	res = &Result{}
	root, err := b.take(ctx, res)
	if err != nil {
		return nil, errors.Join(err, b.s.Finish(), res.ClearFailure)
	}
	if err := b.s.Finish(); err != nil {
		return nil, err
	}
	b.cat.BytesStored, b.cat.Finished = b.s.Stored(), opt.Now().UTC()
	if root.Catalogue, err = encodeJSON(b.cat); err != nil {
		return nil, err
	}
	if err := b.s.Commit(b.cat.Backup, root); err != nil {
		return nil, err
	}
	if err := b.facts.sweep(); err != nil {
		opt.Log.Warn("local cache not tidied", "error", err)
	}
	res.Catalogue = b.cat
	return res, nil
}

func (b *backup) identify(ctx context.Context) error {
	id, err := b.src.Identity(ctx)
	if err != nil {
		return err
	}
	b.cat = Catalogue{Kind: KindSSTables, Backup: b.opt.Name, Cluster: id.Cluster, HostID: strings.ToLower(id.HostID),
		Node: id.Name, Mode: ModeDifferential, Started: b.opt.Now().UTC()}
	if b.cat.Backup == "" {
		b.cat.Backup = DefaultName(b.cat.Started)
	}
	return errors.Join(CheckName(b.cat.Backup), repo.CheckDomain(b.cat.HostID))
}

// free refuses a name that is taken before Cassandra is bothered.
func (b *backup) free(ctx context.Context, r *repo.Repo) error {
	name, err := r.RootName(b.cat.HostID, b.cat.Backup)
	if err != nil {
		return err
	}
	taken, err := r.HasRoot(ctx, name)
	if err == nil && taken {
		err = fmt.Errorf("backup %q of node %s: %w", b.cat.Backup, b.cat.Node, repo.ErrSnapshotExists)
	}
	return err
}

// take has Cassandra make its snapshot, stores everything in it and has it cleared again, whatever happened.
func (b *backup) take(ctx context.Context, res *Result) (root *repo.Root, err error) {
	before, err := b.src.Schema(ctx)
	if err != nil {
		return nil, err
	}
	tag := fmt.Sprintf("cbk-%d", b.cat.Started.UnixMicro())
	if err := b.clearLeftover(ctx, tag); err != nil {
		return nil, err
	}
	defer func() { b.clear(ctx, tag, res, err != nil) }()
	b.opt.Log.Info("taking snapshot", "tag", tag)
	if err := b.src.Snapshot(ctx, tag); err != nil {
		return nil, err
	}
	after, err := b.src.Schema(ctx)
	if err != nil {
		return nil, err
	}
	dirs, err := b.src.SnapshotTables(tag)
	if err != nil {
		return nil, err
	}
	if err := checkTables(before.Tables, after.Tables, dirs); err != nil {
		return nil, err
	}
	if err := b.storeTables(ctx, dirs); err != nil {
		return nil, err
	}
	return b.describe(ctx, after)
}

// leftoverKey is where the local cache names the Cassandra snapshot that this machine's cbk is responsible for.
var leftoverKey = []byte("tag")

// clearLeftover removes the Cassandra snapshot of a backup that was killed, which would hold disk space for ever, and
// puts down the tag of the one to be taken.
func (b *backup) clearLeftover(ctx context.Context, next string) error {
	old, err := b.s.Facts().Fact(leftoverKey)
	if err != nil {
		return err
	}
	if len(old) > 0 {
		b.opt.Log.Info("clearing the snapshot of an interrupted backup", "tag", string(old))
		if err := b.src.ClearSnapshot(ctx, string(old)); err != nil {
			return fmt.Errorf("clear snapshot %s of an interrupted backup: %w", old, err)
		}
	}
	return b.s.Facts().PutFact(leftoverKey, []byte(next))
}

// forget ends the responsibility for a Cassandra snapshot.
func (b *backup) forget() {
	if err := b.s.Facts().PutFact(leftoverKey, nil); err != nil {
		b.opt.Log.Warn("local cache", "error", err)
	}
}

// clear removes Cassandra's snapshot even when the backup was interrupted. On failure of the backup the snapshot goes as
// well, unless it was to be kept.
func (b *backup) clear(ctx context.Context, tag string, res *Result, failed bool) {
	if b.opt.KeepSnapshot {
		res.SnapshotLeft = tag
		b.forget()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clearTimeout)
	defer cancel()
	if err := b.src.ClearSnapshot(ctx, tag); err != nil {
		res.SnapshotLeft, res.ClearFailure = tag, fmt.Errorf("clear snapshot %s: %w", tag, err)
		if failed {
			b.opt.Log.Warn("snapshot not cleared", "tag", tag, "error", err)
		}
		return
	}
	b.forget()
}

// checkTables demands a snapshot of every table that existed before and after the snapshot was taken: a snapshot command
// that reports success and leaves tables out must not become a backup.
func checkTables(before, after []node.Table, dirs []node.TableDir) error {
	type key struct{ keyspace, table, id string }
	have := make(map[key]bool, len(dirs))
	for _, d := range dirs {
		have[key{d.Keyspace, d.Table, d.ID}] = true
	}
	still := make(map[key]bool, len(after))
	for _, t := range after {
		still[key{t.Keyspace, t.Name, t.ID}] = true
	}
	var missing []string
	for _, t := range before {
		if k := (key{t.Keyspace, t.Name, t.ID}); still[k] && !have[k] {
			missing = append(missing, t.Keyspace+"."+t.Name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	n := len(missing)
	return fmt.Errorf("the snapshot lacks %d of %d tables: %s; is this the cassandra.yaml of the running node, and can its data directories be read?",
		n, len(before), strings.Join(missing[:min(n, 5)], ", "))
}

// storeTables stores the snapshot page by page: a page is what one goroutine handles, and all that is held in memory.
func (b *backup) storeTables(ctx context.Context, dirs []node.TableDir) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0) + 1)
	for i := range dirs {
		t := b.table(&dirs[i])
		list, err := dirs[i].SSTables()
		if err != nil {
			return errors.Join(fmt.Errorf("list %s.%s: %w", dirs[i].Keyspace, dirs[i].Table, err), g.Wait())
		}
		for _, s := range list {
			for _, f := range s.Files {
				b.opt.Progress.Expect(f.Size)
			}
		}
		for page := range slices.Chunk(list, pageSSTables) {
			slot := len(t.Pages)
			b.reserve(t)
			g.Go(func() error { return b.storePage(ctx, &dirs[i], t, slot, page) })
		}
	}
	return g.Wait()
}

// table returns the entry of a table; the directories of one table in several data directories share it.
func (b *backup) table(d *node.TableDir) *Table {
	if n := len(b.tables); n > 0 {
		if t := b.tables[n-1]; t.Keyspace == d.Keyspace && t.Name == d.Table && t.ID == d.ID {
			return t
		}
	}
	t := &Table{Keyspace: d.Keyspace, Name: d.Table, ID: d.ID, Dir: d.Live}
	b.tables = append(b.tables, t)
	return t
}

func (b *backup) reserve(t *Table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Pages = append(t.Pages, ID{})
}

func (b *backup) storePage(ctx context.Context, d *node.TableDir, t *Table, slot int, list []node.SSTable) error {
	var cost Cost
	out := make([]SSTable, 0, len(list))
	for i := range list {
		s, err := b.storeSSTable(ctx, d, &list[i], &cost)
		if err != nil {
			return err
		}
		out = append(out, *s)
	}
	ref, added, err := b.s.Put(pack.Description, encodePage(out))
	if err != nil {
		return err
	}
	cost.stored(added)
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Pages[slot] = ID(ref.ID)
	t.Cost.add(cost)
	return nil
}

// describe stores what a node snapshot consists of beside its tables and returns its root.
func (b *backup) describe(ctx context.Context, schema node.Schema) (*repo.Root, error) {
	id, err := b.src.Identity(ctx)
	if err != nil {
		return nil, err
	}
	members, err := b.src.Ring(ctx)
	if err != nil {
		return nil, err
	}
	var total Cost
	desc := Node{Version: id.Version, Partitioner: id.Partitioner, DC: id.DC, Rack: id.Rack, Address: id.Address,
		Tokens: id.Tokens, DataDirs: len(b.src.Layout().DataDirs)}
	for _, t := range b.tables {
		desc.Tables = append(desc.Tables, *t)
		total.add(t.Cost)
	}
	added, err := b.s.Stream(strings.NewReader(schema.CQL), pack.OtherSizes, func(refs []repo.Ref) error {
		desc.Schema = append(desc.Schema, ids(refs)...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store schema: %w", err)
	}
	total.stored(added)
	ringRef, added, err := b.putJSON(pack.Ring, members)
	if err != nil {
		return nil, fmt.Errorf("store ring: %w", err)
	}
	total.stored(added)
	descRef, added, err := b.putJSON(pack.Description, desc)
	if err != nil {
		return nil, fmt.Errorf("store description: %w", err)
	}
	total.stored(added)
	b.cat.Tables = len(desc.Tables)
	b.cat.SSTables, b.cat.Files, b.cat.Unchanged = total.SSTables, total.Files, total.Unchanged
	b.cat.BytesSource, b.cat.BytesNew = total.BytesSource, total.BytesNew
	return &repo.Root{Ring: ringRef.ID, Descriptions: []pack.ID{descRef.ID}}, nil
}

func (b *backup) putJSON(t pack.Type, v any) (repo.Ref, repo.Added, error) {
	doc, err := encodeJSON(v)
	if err != nil {
		return repo.Ref{}, repo.Added{}, err
	}
	return b.s.Put(t, doc)
}
