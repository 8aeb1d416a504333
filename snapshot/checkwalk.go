package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"cbk/pack"
	"cbk/repo"
)

// walk follows every backup that is to be checked to its last blob.
func (c *check) walk(ctx context.Context) error {
	for _, domain := range c.inv.Domains {
		roots := slices.DeleteFunc(slices.Clone(c.inv.Roots), func(name string) bool {
			return repo.DomainOf(name) != domain || c.chosen != nil && c.chosen[name] == nil
		})
		if len(roots) == 0 && c.chosen != nil {
			continue
		}
		if err := c.domain(ctx, domain, roots); err != nil {
			return err
		}
		clear(c.seen) // no other domain has these
	}
	return nil
}

func (c *check) domain(ctx context.Context, domain string, roots []string) (err error) {
	rd, err := c.repo.NewCheckReader(ctx, domain, c.Damage)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rd.Close()) }()
	for _, name := range roots {
		if err := c.root(ctx, rd, name); err != nil {
			return err
		}
	}
	return nil
}

// root follows one root.
func (c *check) root(ctx context.Context, rd *repo.Reader, name string) error {
	e, err := readEntry(ctx, c.repo, name)
	switch {
	case repo.Aborted(err):
		return nil
	case repo.Void(err):
		c.rep.Void = append(c.rep.Void, name)
		return nil
	}
	c.enter(nil)
	if err := c.hit(err, Hit{}); err != nil || e == nil {
		return err
	}
	c.enter(e)
	c.label(e)
	c.remember(e)
	if e.root.Full {
		return c.copied(ctx, e)
	}
	return c.snapshot(ctx, rd, e)
}

// copied checks a backup that reads from a copy of its own.
func (c *check) copied(ctx context.Context, e *Entry) error {
	rd, err := c.repo.NewCheckReaderFor(ctx, e.root, c.Damage)
	if err != nil {
		return err
	}
	return errors.Join(c.snapshot(ctx, rd, e), rd.Close())
}

func (c *check) snapshot(ctx context.Context, rd *repo.Reader, e *Entry) error {
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
	if err := c.tables(ctx, s, at); err != nil {
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
	if err := need(slices.Concat([]pack.ID{e.root.Ring}, e.root.Descriptions, e.root.Refs)); err != nil {
		return err
	}
	return eachSegment(ctx, rd, e.root.Refs, func(ids []pack.ID, err error) error {
		if err := c.hit(err, at); err != nil {
			return err
		}
		return need(ids)
	})
}

func (c *check) tables(ctx context.Context, s *Snapshot, at Hit) error {
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
			if err := c.page(ctx, s, &pages[i], at); err != nil {
				return err
			}
		}
		return nil
	})
}

// page locates every blob of the SSTables of a page and, with readData, compares the components of those that are sound
// with their hashes, once for all the backups that share them.
func (c *check) page(ctx context.Context, s *Snapshot, p *Page, at Hit) error {
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
		key := c.key(s, t)
		c.stored(t, at, key)
		if ok && !c.seen[key] {
			sound.SSTables = append(sound.SSTables, *t)
		}
	}
	if !c.rebuilds() {
		return nil
	}
	return c.content(ctx, s, sound, at)
}

// key names an SSTable whose content is compared once. The page's hashes belong to the recipe: the same recipe under
// another hash is looked at again.
func (c *check) key(s *Snapshot, t *SSTable) blobKey { return s.blob(pageHash(t)) }

// sstable locates every blob of an SSTable. What Data.db lacks, that lacks too which is derived from it.
func (c *check) sstable(ctx context.Context, s *Snapshot, t *SSTable, how *recipes, at Hit) (sound bool, err error) {
	c.refs.use(t.Recipe)
	sound = how.err == nil
	for i := range t.Components {
		comp := &t.Components[i]
		if comp.inlined() {
			continue
		}
		faults, names := []error{how.err}, []string{t.File(comp)}
		if how.err == nil {
			if faults, err = c.locate(ctx, s, how.of(i)); err != nil {
				return false, err
			}
			if i == t.data() {
				names = append(names, t.derived(how)...)
			}
		}
		for _, fault := range faults {
			sound = false
			for _, at.Component = range names {
				if err := c.hit(fault, at); err != nil {
					return false, err
				}
			}
		}
	}
	return sound, nil
}

// derived are the components that come out with Data.db.
func (t *SSTable) derived(how *recipes) (names []string) {
	for i := range t.Components {
		if how.of(i).typ == recipeDerived {
			names = append(names, t.File(&t.Components[i]))
		}
	}
	return names
}

// content rebuilds the components of SSTables and compares them with their hashes.
func (c *check) content(ctx context.Context, s *Snapshot, p Page, at Hit) error {
	for i := range p.SSTables {
		c.seen[c.key(s, &p.SSTables[i])] = true
	}
	defer c.inside.close()
	done := func(f File, err error) error {
		c.looked(f, err, at, c.key(s, f.SSTable))
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
	}
	return s.pour(ctx, []Page{p}, &pouring{create: c.inside.create, done: done, tap: c.inside.tap})
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

// findBlob looks for a blob in the index and for its pack among the sound ones.
func (c *check) findBlob(ctx context.Context, rd *repo.Reader, e *Entry, id pack.ID) error {
	loc, err := rd.Locate(ctx, id)
	var damage *repo.DamageError
	if errors.As(err, &damage) {
		return &repo.DamageError{Object: damage.Object, What: "no shard names some of the blobs"}
	}
	if err != nil {
		return err
	}
	within := e.root.Copy()
	if fault := c.unsound(e, within, loc.Pack, id); fault != nil {
		others, err := c.elsewhere(ctx, rd, e)
		if err != nil {
			return err
		}
		other, ok := others[id]
		if !ok {
			return fault
		}
		loc.Pack = other
	}
	c.objects.Want(within, loc.Pack)
	return nil
}
