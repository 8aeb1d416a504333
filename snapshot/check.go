package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"cbk/pack"
	"cbk/repo"
)

// maxHits bounds the hits listed for one damaged object; all are counted.
const maxHits = 1000

// Hit is what a damaged object takes with it. Parts that do not apply are empty: a damaged description hits a whole
// table or node.
type Hit struct {
	Backup    string `json:"backup"`
	Node      string `json:"node"`
	Keyspace  string `json:"keyspace"`
	Table     string `json:"table"`
	Component string `json:"component"`
}

// Damage is one damaged object and what it hits.
type Damage struct {
	Object    string `json:"object"`
	What      string `json:"what"`
	Hits      []Hit  `json:"hits"`
	HitsTotal int    `json:"hits_total"`
}

// Report is the result of a check.
type Report struct {
	Objects   int
	Strangers int
	Backups   int // node snapshots that were read
	Blobs     int64
	BytesRead int64
	Readable  bool     // the key could open content; else blobs were compared with references only, and packs with their names
	Unseen    int      // objects of domains that the key cannot see
	Void      []string // roots that revoked keys signed after the last that counts: no backups
	Damage    []Damage
}

// OK reports whether nothing was found damaged.
func (r *Report) OK() bool { return len(r.Damage) == 0 }

type blobKey struct {
	domain string
	id     pack.ID
}

// check collects damage by object. It is the Findings of the repository's check.
type check struct {
	repo *repo.Repo
	mu   sync.Mutex
	by   map[string]*Damage
	bad  map[blobKey]string // the damaged object that takes a blob with it

	refs   *refCheck // of the node snapshot being walked
	faults int       // met so far

	void []string // roots of revoked keys that do not count

	seen map[blobKey]bool // recipes whose content has been compared and found right
	read int64
}

// Check verifies the repository: every pack a shard names is there with its size, every root and description decodes,
// every blob of every backup can be located. With readData every pack is read and each blob authenticated, decompressed
// and hashed, and each component rebuilt and compared with its hash. It uses nothing but the store: no local cache.
// Damage is in the report; the error is for a check that could not be done.
func Check(ctx context.Context, r *repo.Repo, readData bool) (*Report, error) {
	inv, err := r.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	c := &check{repo: r, by: make(map[string]*Damage), bad: make(map[blobKey]string), seen: make(map[blobKey]bool)}
	objects := r.NewChecker(inv, c)
	if err := errors.Join(objects.Structure(ctx), objects.Packs(ctx, readData)); err != nil {
		return nil, err
	}
	rep := &Report{Readable: r.Reads(), Unseen: inv.Unseen, Objects: inv.Objects, Strangers: inv.Strangers, Blobs: objects.Blobs.Load()}
	for _, domain := range inv.Domains {
		n, err := c.domain(ctx, domain, inv.Roots, readData)
		if err != nil {
			return nil, err
		}
		rep.Backups += n
	}
	rep.Void = c.void
	rep.BytesRead = objects.Read.Load() + c.read
	for _, d := range c.by {
		rep.Damage = append(rep.Damage, *d)
	}
	slices.SortFunc(rep.Damage, func(a, b Damage) int { return strings.Compare(a.Object, b.Object) })
	return rep, nil
}

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
	c.bad[blobKey{domain, id}] = object
}

func (c *check) entry(object, what string) *Damage {
	if c.by[object] == nil {
		c.by[object] = &Damage{Object: object, What: what, Hits: []Hit{}}
	}
	return c.by[object]
}

// hit records that a damaged object takes h with it. Errors that are not damage are returned.
func (c *check) hit(err error, h Hit) error {
	var damage *repo.DamageError
	if err == nil || !errors.As(err, &damage) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.entry(damage.Object, damage.What)
	c.faults++
	d.HitsTotal++
	if len(d.Hits) < maxHits {
		d.Hits = append(d.Hits, h)
	}
	return nil
}

func (c *check) domain(ctx context.Context, domain string, roots []string, readData bool) (backups int, err error) {
	rd, err := c.repo.NewCheckReader(ctx, domain, c.Damage)
	if err != nil {
		return 0, err
	}
	defer rd.Close()
	for _, name := range roots {
		if strings.Split(name, "/")[1] != domain {
			continue
		}
		e, err := readEntry(ctx, c.repo, name)
		if repo.Aborted(err) {
			continue
		}
		if repo.Void(err) {
			c.void = append(c.void, name)
			continue
		}
		if err := c.hit(err, Hit{}); err != nil {
			return backups, err
		}
		if e == nil {
			continue
		}
		backups++
		if err := c.snapshot(ctx, rd, e, readData); err != nil {
			return backups, err
		}
	}
	return backups, nil
}

func (c *check) snapshot(ctx context.Context, rd *repo.Reader, e *Entry, readData bool) error {
	at := Hit{Backup: e.Backup, Node: e.Catalogue.Node}
	_, err := readRing(ctx, rd, e)
	if err := c.hit(err, at); err != nil {
		return err
	}
	if !c.repo.Reads() {
		return c.references(ctx, rd, e, at)
	}
	s, err := open(ctx, rd, e)
	if err := c.hit(err, at); err != nil || s == nil {
		return err
	}
	c.refs, err = newRefCheck(ctx, rd, e)
	if err := c.hit(err, at); err != nil {
		return err
	}
	if err := c.hit(s.Schema(ctx, io.Discard), at); err != nil {
		return err
	}
	c.refs.use(e.root.Descriptions[0])
	for _, id := range s.Node.Schema {
		c.refs.use(pack.ID(id))
	}
	faults := c.faults
	if err := c.tables(ctx, s, at, readData); err != nil {
		return err
	}
	if c.faults > faults {
		return nil // not everything could be followed
	}
	at.Keyspace, at.Table, at.Component = "", "", ""
	return c.hit(c.refs.verdict(e.Root), at)
}

// references finds every blob that the root names, and every blob that its reference segments name: what a key that opens
// no content can say about a backup.
func (c *check) references(ctx context.Context, rd *repo.Reader, e *Entry, at Hit) error {
	need := func(ids []pack.ID) error {
		for _, id := range ids {
			if err := c.hit(c.findBlob(ctx, rd, e.Domain, id), at); err != nil {
				return err
			}
		}
		return nil
	}
	if err := need(slices.Concat(e.root.Descriptions, e.root.Refs)); err != nil {
		return err
	}
	for _, seg := range e.root.Refs {
		ids, err := readRefs(ctx, rd, seg)
		if err := c.hit(err, at); err != nil {
			return err
		}
		if err := need(ids); err != nil {
			return err
		}
	}
	return nil
}

func (c *check) tables(ctx context.Context, s *Snapshot, at Hit, readData bool) error {
	for i := range s.Node.Tables {
		t := &s.Node.Tables[i]
		at.Keyspace, at.Table, at.Component = t.Keyspace, t.Name, ""
		for p := range t.Pages {
			c.refs.use(pack.ID(t.Pages[p]))
			page, err := s.page(ctx, t, p)
			if err := c.hit(err, at); err != nil {
				return err
			}
			for i := range page {
				if err := c.sstable(ctx, s, &page[i], at, readData); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sstable locates every blob of an SSTable and, with readData, compares its components with their hashes, once for all
// the backups that share it.
func (c *check) sstable(ctx context.Context, s *Snapshot, t *SSTable, at Hit, readData bool) error {
	c.refs.use(t.Recipe)
	recipes, err := s.recipes(ctx, t)
	sound := err == nil
	for i := range t.Components {
		comp := &t.Components[i]
		if comp.inlined() {
			continue
		}
		at.Component = t.File(comp)
		faults := []error{err}
		if err == nil {
			faults = c.locate(ctx, s, recipes[i])
		}
		for _, fault := range faults {
			sound = false
			if err := c.hit(fault, at); err != nil {
				return err
			}
		}
	}
	// The page's hashes belong to the recipe: the same recipe under another hash is looked at again.
	key := blobKey{s.Domain, pageHash(t)}
	if !readData || !sound || c.seen[key] {
		return nil
	}
	err = s.Content(ctx, t, func(*Component) (io.Writer, error) { return io.Discard, nil }, func(comp *Component, err error) error {
		at.Component = t.File(comp)
		c.read += comp.Size
		sound = sound && err == nil
		var damage *repo.DamageError
		if errors.As(err, &damage) && damage.Object == "component" {
			err = &repo.DamageError{Object: s.Root, What: fmt.Sprintf("%s: %s", at.Component, damage.What)}
		}
		return c.hit(err, at)
	})
	// A fault is looked for again in every backup that shares the SSTable, so that each of them is named.
	if sound {
		c.seen[key] = true
	}
	return err
}

// locate finds every blob of a component in the index and among the sound packs, and returns one fault for each damaged
// object the component needs.
func (c *check) locate(ctx context.Context, s *Snapshot, how recipe) (faults []error) {
	met := make(map[string]bool)
	fault := func(err error) {
		if err != nil && !met[err.Error()] {
			met[err.Error()] = true
			faults = append(faults, err)
		}
	}
	if how.segmented {
		for _, ref := range how.refs {
			c.refs.use(ref.ID)
		}
	}
	fault(s.refs(ctx, how, func(refs []repo.Ref) error {
		for _, ref := range refs {
			c.refs.use(ref.ID)
			fault(c.findBlob(ctx, s.rd, s.Domain, ref.ID))
		}
		return nil
	}))
	return faults
}

func (c *check) findBlob(ctx context.Context, rd *repo.Reader, domain string, id pack.ID) error {
	_, err := rd.Locate(ctx, id)
	var damage *repo.DamageError
	if errors.As(err, &damage) {
		return &repo.DamageError{Object: damage.Object, What: "no shard names some of the blobs"}
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if object, ok := c.bad[blobKey{domain, id}]; ok {
		return &repo.DamageError{Object: object, What: "damaged"}
	}
	return nil
}
