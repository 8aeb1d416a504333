package snapshot

import (
	"cmp"
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

	"github.com/google/uuid"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/repo"
)

// Source is the node that is backed up; *node.Node is one.
type Source interface {
	Identity(ctx context.Context) (node.Identity, error)
	Ring(ctx context.Context) (ring.Ring, error)
	Schema(ctx context.Context) (node.Schema, error)
	Roles(ctx context.Context) (node.Roles, error)
	ConfigFiles() ([]node.ConfigFile, error)
	Layout() node.Layout
	// Snapshot takes one of the keyspaces given, of all where none is.
	Snapshot(ctx context.Context, tag string, keyspaces ...string) error
	ClearSnapshot(ctx context.Context, tag string) error
	SnapshotTables(tag string) ([]node.TableDir, error)
}

// Options say how to back up.
type Options struct {
	Name         string    // of the backup; empty: the UTC time
	Domain       string    // whose blobs it shares; empty: the node's host id
	Mode         string    // empty: ModeDifferential
	Recipe       string    // of files that are read: RecipeAuto, which empty means, or RecipeBlobs
	Way          string    // to the files; empty: WaySnapshot
	Tag          string    // of the snapshot of WayExisting, which is not cleared
	Prepared     *Prepared // the snapshot to store, which stands and is left alone; nil: one is taken
	Selection    Selection // of tables
	AllowMissing bool      // tables may be missing from the snapshot, if there are others
	MD5          bool      // of each component, too
	Annotations  map[string]string
	NoConfig     bool             // leave the node's configuration files out
	Streams      int              // SSTables read at a time; 0: one more than processors, at most 8
	KeepSnapshot bool             // leave Cassandra's snapshot where it is
	Now          func() time.Time // the clock
	Log          *slog.Logger
	Progress     Progress
	// Open opens a component for reading; OpenFile unless a test counts or damages what is read.
	Open func(path string) (io.ReadCloser, error)
}

// Progress is told how far a backup or restore has come. Its methods are called by several goroutines.
type Progress interface {
	Expect(files int, bytes int64) // more are to be handled
	Done(files int, bytes int64)   // they were handled, read or found unchanged
}

// Result is what a backup did.
type Result struct {
	Catalogue
	Root         string // object name of the backup's root
	Copied       repo.Copied
	Recipes      []RecipeUse // by recipe and reason
	Found                    // how the tables compare with the schema
	DamagedNames []Damaged   // at most 1000 of DamagedSSTables
	CommitLog    int64       // bytes a stopped node had not flushed: not in the backup
	Overtaken    int         // times that gc made the backup store something again
	PutBack      int         // blobs that a check could not read and that are in the repository again
	SnapshotLeft string      // tag of a Cassandra snapshot that is still there, "" if it was cleared
	ClearFailure error       // why it could not be cleared, nil if it was to be kept
}

// clearTimeout bounds the removal of Cassandra's snapshot when the backup's own context has ended.
const clearTimeout = 2 * time.Minute

// DefaultName is the name of a backup that was given none: the time in UTC.
func DefaultName(now time.Time) string { return now.UTC().Format("2006-01-02T15-04-05Z") }

// CheckName refuses backup names that would be unreadable in a listing or too long for the catalogue.
func CheckName(name string) error {
	bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' }
	if Standing(name) {
		return fmt.Errorf("backup name %q stands for another backup: choose a name of its own", name)
	}
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

	repo      *repo.Repo
	domain    string
	lasting   context.Context // not ended by an interruption
	at        string          // name of the root that was created last
	overtaken int
	before    int64 // bytes put by sessions that gc overtook
	restored  int   // blobs put back by them

	// streams has room for each SSTable that is read at a time, whatever their pages.
	streams chan struct{}

	mu      sync.Mutex
	tables  []*Table
	uses    *recipeUses
	damaged *damagedList
	desc    *Node // what was committed
}

// taken is what a node showed of itself, with its files in place.
type taken struct {
	dirs   []node.TableDir
	schema node.Schema // after the snapshot
	found  Found
}

// Take takes a snapshot of the node, stores it and clears it. Nothing is recorded unless everything was stored. The
// error matches repo.ErrSnapshotExists for a name that is taken, context.Canceled when interrupted: what was uploaded by
// then is found by the next backup.
func Take(ctx context.Context, r *repo.Repo, src Source, opt Options) (res *Result, err error) {
	opt.Way = cmp.Or(opt.Way, WaySnapshot)
	b := &backup{opt: opt, src: src, streams: make(chan struct{}, cmp.Or(opt.Streams, min(runtime.GOMAXPROCS(0)+1, maxStreams)))}
	if err := errors.Join(opt.check(), b.identify(ctx)); err != nil {
		return nil, err
	}
	b.opt.Log = opt.Log.With("backup", b.cat.Backup, "node", b.cat.Node)
	free, err := b.free(ctx, r)
	if err != nil {
		return nil, err
	}
	b.repo, b.lasting = r, context.WithoutCancel(ctx)
	// The session outlives an interruption, so that what is in its buffers can still be stored.
	if b.s, err = r.NewSession(b.lasting, b.domain); err != nil {
		return nil, err
	}
	b.s.Use(free)
	defer func() { err = errors.Join(err, b.s.Close()) }()
	if b.facts, err = openFacts(b.s, opt.Now()); err != nil {
		return nil, err
	}
	res = &Result{}
	if err := b.take(ctx, res); err != nil {
		// What was uploaded is kept for the next backup; a session that failed says again why.
		if kept := b.s.Finish(); !errors.Is(err, kept) {
			err = errors.Join(err, kept)
		}
		return nil, errors.Join(err, res.ClearFailure)
	}
	if err := b.facts.sweep(); err != nil {
		b.opt.Log.Warn("local cache not tidied", "error", err)
	}
	res.Catalogue, res.Copied, res.Overtaken, res.Recipes = b.cat, b.s.Copied(), b.overtaken, b.uses.sorted()
	res.Root, res.PutBack = b.at, b.restored+b.s.PutBack()
	res.DamagedNames, res.Found, res.CommitLog = b.damaged.list, b.desc.Found, b.desc.CommitLog
	return res, nil
}

// check refuses options that do not go together.
func (o *Options) check() error {
	if (o.Way == WayExisting) != (o.Tag != "") || o.Prepared != nil && o.Way != WaySnapshot {
		return fmt.Errorf("way %q with tag %q", o.Way, o.Tag)
	}
	if o.Streams < 0 || o.Streams > maxStreams {
		return fmt.Errorf("%d SSTables at a time: 1 to %d", o.Streams, maxStreams)
	}
	return errors.Join(o.Selection.Check(), CheckAnnotations(o.Annotations))
}

// commit stores what is still in memory and creates the root.
func (b *backup) commit(root *repo.Root) (err error) {
	if err := b.s.Finish(); err != nil {
		return err
	}
	b.cat.BytesStored, b.cat.Finished = b.before+b.s.Stored(), b.opt.Now().UTC()
	if root.Catalogue, err = encodeJSON(b.cat); err != nil {
		return err
	}
	err = b.s.Commit(b.cat.Backup, root)
	b.at = root.At.Name()
	return err
}

func (b *backup) identify(ctx context.Context) error {
	id, err := b.src.Identity(ctx)
	if err != nil {
		return err
	}
	if said, err := uuid.Parse(b.opt.Domain); err == nil && id.HostID == "" {
		id.HostID = said.String() // the files do not say who the node is, the operator does
	}
	b.cat = Catalogue{Kind: KindSSTables, Backup: b.opt.Name, Cluster: id.Cluster, HostID: strings.ToLower(id.HostID),
		Node: id.Name, Mode: cmp.Or(b.opt.Mode, ModeDifferential), Started: b.opt.Now().UTC(), Annotations: b.opt.Annotations}
	if b.cat.Backup == "" {
		b.cat.Backup = DefaultName(b.cat.Started)
	}
	if p := b.opt.Prepared; p != nil {
		b.cat.Started = p.Started
	}
	b.domain = cmp.Or(b.opt.Domain, b.cat.HostID, id.Address)
	return errors.Join(CheckName(b.cat.Backup), CheckMode(b.cat.Mode), CheckRecipe(b.opt.Recipe), repo.CheckDomain(b.domain))
}

// free refuses a name that is taken before Cassandra is bothered.
func (b *backup) free(ctx context.Context, r *repo.Repo) (repo.Free, error) {
	free, err := r.CheckFree(ctx, b.domain, b.cat.Backup)
	if errors.Is(err, repo.ErrSnapshotExists) {
		err = fmt.Errorf("backup %q of node %s: %w", b.cat.Backup, b.cat.Node, err)
	}
	return free, err
}

// take brings the files in place, stores everything in them, commits, and only then has Cassandra's snapshot cleared:
// whatever happened before.
func (b *backup) take(ctx context.Context, res *Result) (err error) {
	if p := b.opt.Prepared; p != nil {
		return b.finish(ctx, p.Tag, p.Before, p.Schema)
	}
	before, err := b.opt.Selection.schema(ctx, b.src)
	if err != nil {
		return err
	}
	tag := b.opt.Tag
	if b.opt.Way == WaySnapshot {
		tag = fmt.Sprintf("cbk-%d", b.cat.Started.UnixMicro())
		if err := b.clearLeftover(ctx, tag); err != nil {
			return err
		}
		defer func() { b.clear(ctx, tag, res, err != nil) }()
		b.opt.Log.Info("taking snapshot", "tag", tag)
	}
	if b.opt.Way != WayExisting {
		if err := b.src.Snapshot(ctx, tag, b.opt.Selection.keyspaces(before.Tables)...); err != nil {
			return err
		}
	}
	after, err := b.src.Schema(ctx)
	if err != nil {
		return err
	}
	return b.finish(ctx, tag, before.Tables, after)
}

// finish stores a snapshot that stands and records it. before are the tables that there were when it was asked for.
func (b *backup) finish(ctx context.Context, tag string, before []node.Table, schema node.Schema) error {
	taken, err := b.find(tag, before, schema)
	if err != nil {
		return err
	}
	return b.keep(ctx, taken)
}

// find lists what there is to back up and compares it with the schema.
func (b *backup) find(tag string, before []node.Table, schema node.Schema) (*taken, error) {
	dirs, err := b.src.SnapshotTables(tag)
	if err != nil {
		return nil, err
	}
	chosen := &b.opt.Selection
	if schema.Absent != "" && !chosen.All() {
		if err := chosen.check(tablesIn(dirs)); err != nil {
			return nil, err
		}
	}
	got := &taken{dirs: chosen.of(dirs), schema: schema}
	if len(got.dirs) == 0 && b.opt.Way == WayExisting {
		return nil, fmt.Errorf("%w: none of this node has a snapshot %q; nodetool listsnapshots shows what there is", ErrNoTable, tag)
	}
	got.found = findTables(before, schema.Tables, got.dirs, chosen)
	for what, tables := range map[string][]string{"created": got.found.Appeared, "dropped": got.found.Gone} {
		if len(tables) > 0 {
			b.opt.Log.Warn("tables "+what+" while the snapshot was taken", "tables", tables)
		}
	}
	if err := got.found.check(before, got.dirs, b.opt.AllowMissing); err != nil {
		return nil, err
	}
	if len(got.dirs) == 0 && schema.Absent != "" {
		return nil, fmt.Errorf("%w in the data directories what is to be backed up", ErrNoTable)
	}
	if names := chosen.keyspaces(schema.Tables); names != nil {
		got.schema.Keyspaces = slices.DeleteFunc(slices.Clone(schema.Keyspaces), func(k node.KeyspaceSchema) bool { return !slices.Contains(names, k.Name) })
	}
	return got, nil
}

// maxStreams bounds the SSTables that are read at a time, and with them the memory: each takes up to 12 MiB.
const maxStreams = 8

// maxOvertaken bounds how often one backup starts over because gc condemned what it relies on.
const maxOvertaken = 10

// keep stores the snapshot and commits it. When gc overtook the session, all is stored again in a new one: what is still
// held costs nothing, and what was condemned is read and uploaded once more.
func (b *backup) keep(ctx context.Context, taken *taken) error {
	for range maxOvertaken {
		err := b.store(ctx, taken)
		if !errors.Is(err, repo.ErrCondemned) {
			return err
		}
		b.overtaken++
		b.opt.Log.Info("gc condemned packs this backup relies on: storing them again")
		if err := b.reopen(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w %d times in a row: run the backup again later", repo.ErrCondemned, maxOvertaken)
}

func (b *backup) store(ctx context.Context, taken *taken) error {
	b.tables, b.uses, b.damaged = nil, &recipeUses{}, &damagedList{}
	if err := b.storeTables(ctx, taken.dirs); err != nil {
		return err
	}
	root, err := b.describe(ctx, taken)
	if err != nil {
		return err
	}
	return b.commit(root)
}

func (b *backup) reopen() (err error) {
	stored, restored := b.s.Stored(), b.s.PutBack()
	if err := b.s.Close(); err != nil {
		return err
	}
	// The session outlives an interruption, so that what is in its buffers can still be stored.
	if b.s, err = b.repo.NewSession(b.lasting, b.domain); err != nil {
		return err
	}
	b.before, b.restored = b.before+stored, b.restored+restored
	b.facts, err = openFacts(b.s, b.opt.Now())
	return err
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
