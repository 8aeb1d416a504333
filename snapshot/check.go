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

// blobKey names a blob as one of a domain, or of the self-contained copy of one backup.
type blobKey struct {
	domain, copy string
	id           pack.ID
}

func (e *Entry) blob(id pack.ID) blobKey { return blobKey{e.Domain, e.root.Copy(), id} }

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
	if err := errors.Join(objects.Structure(ctx), objects.Packs(ctx, readData), objects.Copies(ctx, readData)); err != nil {
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
	c.bad[blobKey{domain, repo.CopyOf(object), id}] = object
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
		if repo.DomainOf(name) != domain {
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
		if e.root.Full {
			err = c.copied(ctx, e, readData)
		} else {
			err = c.snapshot(ctx, rd, e, readData)
		}
		if err != nil {
			return backups, err
		}
	}
	return backups, nil
}

// copied checks a backup that reads from a copy of its own.
func (c *check) copied(ctx context.Context, e *Entry, readData bool) error {
	rd, err := c.repo.NewCheckReaderFor(ctx, e.root, c.Damage)
	if err != nil {
		return err
	}
	return errors.Join(c.snapshot(ctx, rd, e, readData), rd.Close())
}

func (c *check) snapshot(ctx context.Context, rd *repo.Reader, e *Entry, readData bool) error {
	at := Hit{Backup: e.Backup, Node: e.Catalogue.Node}
	if err := c.hit(ringFits(ctx, rd, e), at); err != nil {
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
	c.refs.use(e.root.Descriptions[0])
	if err := c.texts(ctx, s, at); err != nil {
		return err
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

// texts reads the texts of a node.
func (c *check) texts(ctx context.Context, s *Snapshot, at Hit) error {
	for _, text := range s.Node.texts() {
		at.Component = text.Name
		if err := c.hit(s.Text(ctx, &text, io.Discard), at); err != nil {
			return err
		}
		for _, id := range text.Blobs {
			c.refs.use(pack.ID(id))
		}
	}
	return nil
}

// references finds every blob that the root names, and every blob that its reference segments name: what a key that opens
// no content can say about a backup.
func (c *check) references(ctx context.Context, rd *repo.Reader, e *Entry, at Hit) error {
	need := func(ids []pack.ID) error {
		for _, id := range ids {
			if err := c.hit(c.findBlob(ctx, rd, e, id), at); err != nil {
				return err
			}
		}
		return nil
	}
	if err := need(slices.Concat(e.root.Descriptions, e.root.Refs)); err != nil {
		return err
	}
	return eachSegment(ctx, rd, e.root.Refs, func(ids []pack.ID, err error) error {
		if err := c.hit(err, at); err != nil {
			return err
		}
		return need(ids)
	})
}

func (c *check) tables(ctx context.Context, s *Snapshot, at Hit, readData bool) error {
	tables := make([]*Table, len(s.Node.Tables))
	for i := range s.Node.Tables {
		tables[i] = &s.Node.Tables[i]
		for _, id := range tables[i].Pages {
			c.refs.use(pack.ID(id))
		}
	}
	return s.Pages(ctx, tables, func(pages []Page) error {
		for i := range pages {
			at.Keyspace, at.Table, at.Component = pages[i].Table.Keyspace, pages[i].Table.Name, ""
			if err := c.hit(pages[i].Err, at); err != nil {
				return err
			}
			if err := c.page(ctx, s, &pages[i], at, readData); err != nil {
				return err
			}
		}
		return nil
	})
}

// page locates every blob of the SSTables of a page and, with readData, compares the components of those that are sound
// with their hashes, once for all the backups that share them.
func (c *check) page(ctx context.Context, s *Snapshot, p *Page, at Hit, readData bool) error {
	list := make([]*SSTable, len(p.SSTables))
	for i := range p.SSTables {
		list[i] = &p.SSTables[i]
	}
	hows, err := s.recipes(ctx, list)
	if err != nil {
		return err
	}
	sound := Page{Table: p.Table}
	for i, t := range list {
		ok, err := c.sstable(ctx, s, t, &hows[i], at)
		if err != nil {
			return err
		}
		if ok && !c.seen[c.key(s, t)] {
			sound.SSTables = append(sound.SSTables, *t)
		}
	}
	if !readData {
		return nil
	}
	return c.content(ctx, s, sound, at)
}

// key names an SSTable whose content is compared once. The page's hashes belong to the recipe: the same recipe under
// another hash is looked at again.
func (c *check) key(s *Snapshot, t *SSTable) blobKey { return s.blob(pageHash(t)) }

// sstable locates every blob of an SSTable.
func (c *check) sstable(ctx context.Context, s *Snapshot, t *SSTable, how *recipes, at Hit) (sound bool, err error) {
	c.refs.use(t.Recipe)
	sound = how.err == nil
	for i := range t.Components {
		comp := &t.Components[i]
		if comp.inlined() {
			continue
		}
		at.Component = t.File(comp)
		faults := []error{how.err}
		if how.err == nil {
			if faults, err = c.locate(ctx, s, how.of(i)); err != nil {
				return false, err
			}
		}
		for _, fault := range faults {
			sound = false
			if err := c.hit(fault, at); err != nil {
				return false, err
			}
		}
	}
	return sound, nil
}

// content rebuilds the components of SSTables and compares them with their hashes.
func (c *check) content(ctx context.Context, s *Snapshot, p Page, at Hit) error {
	for i := range p.SSTables {
		c.seen[c.key(s, &p.SSTables[i])] = true
	}
	create := func(File) (io.Writer, error) { return io.Discard, nil }
	return s.Content(ctx, []Page{p}, create, func(f File, err error) error {
		at.Component = f.SSTable.File(f.Component)
		c.read += f.Component.Size
		if err != nil {
			// A fault is looked for again in every backup that shares the SSTable, so that each of them is named.
			delete(c.seen, c.key(s, f.SSTable))
		}
		var damage *repo.DamageError
		if errors.As(err, &damage) && damage.Object == "component" {
			err = &repo.DamageError{Object: s.Root, What: fmt.Sprintf("%s: %s", at.Component, damage.What)}
		}
		return c.hit(err, at)
	})
}

// locate finds every blob of a component in the index and among the sound packs, and returns one fault for each damaged
// object the component needs.
func (c *check) locate(ctx context.Context, s *Snapshot, how recipe) (faults []error, err error) {
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
	next := &segments{s: s}
	next.add(how)
	err = next.refs(ctx, how, func(refs []ref, err error) bool {
		fault(err)
		for _, ref := range refs {
			c.refs.use(ref.ID)
			fault(c.findBlob(ctx, s.rd, &s.Entry, ref.ID))
		}
		return true
	})
	return faults, err
}

func (c *check) findBlob(ctx context.Context, rd *repo.Reader, e *Entry, id pack.ID) error {
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
	if object, ok := c.bad[e.blob(id)]; ok {
		return &repo.DamageError{Object: object, What: "damaged"}
	}
	return nil
}
