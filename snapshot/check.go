package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"cbk/pack"
	"cbk/repo"
)

// CheckOptions say what a check looks at.
type CheckOptions struct {
	ReadData bool   // read, not only look for
	Backup   string // only what this backup needs; exact, empty for everything
	Node     string // of it, by name or host id; empty for all
	Sample   *Sample
	Budget   Budget
	Now      func() time.Time
}

// Budget bounds how much is read: what was not read for the longest time comes first. Zeros are no bound.
type Budget struct {
	Time  time.Duration
	Bytes int64
}

func (b Budget) set() bool { return b != Budget{} }

// Report is the result of a check.
type Report struct {
	Started, Finished time.Time
	Level             string // LevelStructure or LevelData
	Kind              string // Unaltered or Readable of what was read, empty where nothing was
	Backup            string // empty: all
	Cluster           string // of the backup
	Host              string // of the node, by host id, empty: all
	Rebuilt           bool   // every file was put together again
	RootsUnread       int    // roots that cannot be read: whether they are of the backup is not known

	Objects   int
	Strangers int
	Backups   int // node snapshots that were read
	Blobs     int64
	BytesRead int64
	Readable  bool     // the key could open content; else blobs were compared with references only, and packs with their names
	Unseen    int      // objects of domains that the key cannot see
	Void      []string // roots that revoked keys signed after the last that counts: no backups
	Packs     PacksRead
	Inside    Inside

	Damage      []Damage // by object, at most maxObjects
	DamageTotal int      // all of them; beyond maxObjects one may count several times
	Known       []Damage // whose every hit is known to be lost
	Found       []Loss   // that were known to be lost and are sound again
	Mended      []Damage // packs of which nothing is needed that they have lost, and that are asked for
	Wanted      []WantedBack
	Hurt        []HurtBackup
	Untouched   int // node snapshots that no damage hits
	Roots       RootsSeen
}

// PacksRead is which packs were read whole.
type PacksRead struct {
	Listed, ListedBytes int64
	Read, ReadBytes     int64
	Unjudged            int64         // not read, for no shard that the key sees names them
	Extents             []repo.Extent // read to the end, of all backups
	Sample              *Sample
	Ended               bool // by the budget
}

// OK reports whether nothing was found damaged that was not known to be lost: neither the repository, nor an SSTable in it that was not known to be.
func (r *Report) OK() bool { return r.DamageTotal == 0 && r.Inside.News == 0 }

// check collects damage by object. It is the Findings of the repository's check.
type check struct {
	repo    *repo.Repo
	opt     CheckOptions
	inv     *repo.Inventory
	objects *repo.Checker
	chosen  map[string]*repo.Root // what the check is of, nil: everything
	rep     *Report

	mu  sync.Mutex
	by  map[string]*Damage
	bad map[badBlob]bool // what cannot be read of packs that are not lost as a whole

	others   map[pack.ID]pack.ID // see elsewhere
	othersOf *repo.Reader
	labels   map[string]map[string]bool // node names by domain

	hurts  // by backup
	inside insides

	refs   *refCheck // of the node snapshot being walked
	faults int       // met so far

	mended map[string]bool   // objects of Report.Mended
	marks  map[string][]Loss // that stand, by root
	met    map[string]bool   // roots that are marked and were followed
	known  map[string]int    // hits that marks cover, by object

	seen map[blobKey]bool // recipes whose content has been compared and found right
	read int64
}

// Check verifies the whole repository: every pack a shard names is there with its size, every root and description
// decodes, every blob of every backup can be located. With readData every pack is read and each blob authenticated,
// decompressed and hashed, and each component rebuilt and compared with its hash. It uses nothing but the store: no local
// cache. Damage is in the report; the error is for a check that could not be done.
func Check(ctx context.Context, r *repo.Repo, readData bool) (*Report, error) {
	return Verify(ctx, r, CheckOptions{ReadData: readData, Now: func() time.Time { return time.Time{} }})
}

// Verify is Check of what the options say. The error matches ErrNotFound for a backup that is not there.
func Verify(ctx context.Context, r *repo.Repo, opt CheckOptions) (*Report, error) {
	c := &check{repo: r, opt: opt, rep: &Report{Started: opt.Now(), Level: LevelStructure, Readable: r.Reads()},
		by: make(map[string]*Damage), bad: make(map[badBlob]bool), labels: make(map[string]map[string]bool), seen: make(map[blobKey]bool)}
	if opt.ReadData {
		c.rep.Level, c.rep.Kind = LevelData, Unaltered
		if r.Reads() {
			c.rep.Kind = Readable
		}
	}
	c.rep.Rebuilt = c.rebuilds()
	if err := c.prepare(ctx); err != nil {
		return nil, err
	}
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	if err := c.ask(ctx); err != nil {
		return nil, err
	}
	c.finish()
	return c.rep, nil
}

// prepare finds what the check is of and lists the repository.
func (c *check) prepare(ctx context.Context) (err error) {
	if c.opt.Backup != "" {
		if err := c.choose(ctx); err != nil {
			return err
		}
	}
	if err := c.learn(ctx); err != nil {
		return err
	}
	if c.inv, err = c.repo.Inventory(ctx); err != nil {
		return err
	}
	c.objects = c.repo.NewChecker(c.inv, c)
	if c.chosen != nil {
		c.objects.Narrow(c.chosen)
	}
	return nil
}

// choose finds the backup by its roots alone: to ask for the rings of all others would read what it does not need.
func (c *check) choose(ctx context.Context) error {
	var damage *repo.DamageError
	all, err := entries(ctx, c.repo, func(d *repo.DamageError) { damage, c.rep.RootsUnread = d, c.rep.RootsUnread+1 })
	if err != nil {
		return err
	}
	b := Backup{Name: c.opt.Backup, Nodes: inOrder(slices.DeleteFunc(all, func(e *Entry) bool { return e.Backup != c.opt.Backup }))}
	switch {
	case len(b.Nodes) == 0 && damage != nil:
		return fmt.Errorf("%w: %q, but not every backup can be read: %w", ErrNotFound, b.Name, damage)
	case len(b.Nodes) == 0:
		return fmt.Errorf("%w: %q", ErrNotFound, b.Name)
	case slices.ContainsFunc(b.Nodes, func(e Entry) bool { return e.Cluster != b.Nodes[0].Cluster }):
		return fmt.Errorf("%w: %q names backups of several clusters", ErrNotFound, b.Name)
	}
	c.rep.Backup, c.rep.Cluster = b.Name, b.Nodes[0].Cluster
	if c.opt.Node != "" {
		e, err := b.Pick(c.opt.Node)
		if err != nil {
			return err
		}
		b.Nodes, c.rep.Host = []Entry{*e}, e.HostID
	}
	c.chosen = make(map[string]*repo.Root)
	for i := range b.Nodes {
		c.chosen[b.Nodes[i].Root] = b.Nodes[i].root
	}
	return nil
}

// run checks objects, reads packs and follows the backups. A key that opens no content knows what a backup needs when it
// has followed it, and follows it again if that was damaged.
func (c *check) run(ctx context.Context) error {
	if err := errors.Join(c.objects.Structure(ctx), c.objects.Packs(ctx)); err != nil {
		return err
	}
	if c.opt.ReadData && c.chosen == nil {
		if err := c.readPacks(ctx); err != nil {
			return err
		}
	}
	if err := c.walk(ctx); err != nil {
		return err
	}
	if !c.opt.ReadData || c.chosen == nil || c.repo.Reads() {
		return nil
	}
	found := c.rep.DamageTotal
	if err := c.readWanted(ctx); err != nil || c.rep.DamageTotal == found {
		return err
	}
	c.forget()
	return c.walk(ctx)
}

// finish puts the report together.
func (c *check) finish() {
	r := c.rep
	r.Unseen, r.Objects, r.Strangers, r.Blobs = c.inv.Unseen, c.inv.Objects, c.inv.Strangers, c.objects.Blobs.Load()
	r.BytesRead = c.objects.Read.Load() + c.read
	r.Packs.Unjudged = c.objects.Unjudged.Load()
	c.inv.EachPack(func(_ pack.ID, size, _ int64) {
		r.Packs.Listed, r.Packs.ListedBytes = r.Packs.Listed+1, r.Packs.ListedBytes+size
	})
	for _, d := range c.by {
		if c.chosen != nil && d.HitsTotal == 0 && repo.IsPack(d.Object) && !c.objects.Wanted(d.Object) {
			r.DamageTotal-- // another backup's
			continue
		}
		if d.HitsTotal > 0 && c.known[d.Object] == d.HitsTotal {
			r.DamageTotal--
			r.Known = append(r.Known, *d)
			continue
		}
		if c.mended[d.Object] {
			r.DamageTotal--
			r.Mended = append(r.Mended, *d)
			continue
		}
		r.Damage = append(r.Damage, *d)
	}
	byObject := func(a, b Damage) int { return strings.Compare(a.Object, b.Object) }
	slices.SortFunc(r.Damage, byObject)
	slices.SortFunc(r.Mended, byObject)
	slices.SortFunc(r.Known, byObject)
	r.Found = c.found()
	r.Hurt, r.Untouched, r.Backups, r.Roots = c.hurts.tell()
	r.Inside = c.inside.tell()
	r.Finished = c.opt.Now()
}

// rebuilds reports whether files are rebuilt: by a key that opens content, unless only some packs are read.
func (c *check) rebuilds() bool {
	return c.opt.ReadData && c.opt.Sample == nil && !c.opt.Budget.set() && c.repo.Reads()
}

// blobKey names a blob as one of a domain, or of the self-contained copy of one backup.
type blobKey struct {
	domain, copy string
	id           pack.ID
}

func (e *Entry) blob(id pack.ID) blobKey { return blobKey{e.Domain, e.root.Copy(), id} }

// Damage implements repo.Findings.
func (c *check) Damage(d *repo.DamageError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entry(d.Object, d.What)
}

// BadBlob implements repo.Findings.
func (c *check) BadBlob(domain string, id pack.ID, object string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if holder, err := pack.ParseID(path.Base(object)); err == nil {
		c.bad[badBlob{blobKey{domain, repo.CopyOf(object), id}, holder}] = true
	}
}

// NotChecked says in words what the check did not look at.
func (r *Report) NotChecked() (list []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	left := r.Packs.Listed - r.Packs.Read
	add(r.Level == LevelStructure, "the bytes of all packs: only that they are there with their sizes")
	add(r.Level == LevelData && r.Backup == "" && left > r.Packs.Unjudged, "the bytes of %d of %d packs", left-r.Packs.Unjudged, r.Packs.Listed)
	add(r.Kind == Readable && !r.Rebuilt, "whether files come out as they were: single packs do not tell")
	add(r.Kind == Unaltered, "whether what was read can be opened: only a reader's key shows that")
	add(r.Packs.Unjudged > 0, "%d packs that no shard names which this key can see", r.Packs.Unjudged)
	add(r.Unseen > 0, "%d objects of nodes that this key cannot see", r.Unseen)
	add(r.RootsUnread > 0, "whether %d roots that cannot be read are of this backup", r.RootsUnread)
	add(r.Backup != "", "other backups, and whether one of them went without a record")
	for _, u := range r.Inside.Unchecked {
		list = append(list, fmt.Sprintf("inside %d SSTables: %s", u.SSTables, u.What))
	}
	return slices.Clip(list)
}

// sortUnchecked puts the reasons of most SSTables first.
func sortUnchecked(list []Unchecked) {
	slices.SortFunc(list, func(a, b Unchecked) int {
		return cmp.Or(cmp.Compare(b.SSTables, a.SSTables), strings.Compare(a.What, b.What))
	})
}
