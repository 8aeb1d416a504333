package snapshot

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"cbk/pack"
	"cbk/repo"
)

// WantedBack is what a check could not read of a domain. A node that still has the SSTables stores it again.
type WantedBack struct {
	Domain string   `json:"domain"`
	Nodes  []string `json:"nodes"` // that have backed up there
	Packs  int      `json:"packs"` // that are missing or not as they were written
	Blobs  int      `json:"blobs"` // of others, that cannot be opened
	// Records are those that ask for it and that this check has made. Without them it is not asked for, or was before.
	Records []string `json:"records"`

	list []repo.Unsound
}

// badBlob is a blob as one pack holds it.
type badBlob struct {
	blobKey
	holder pack.ID
}

// unsound returns the damage of a blob in a pack, nil where none is known.
func (c *check) unsound(e *Entry, within string, holder, id pack.ID) error {
	if c.objects.Lost(within, holder) {
		return &repo.DamageError{Object: within + repo.PackName(holder), What: "not one of its blobs can be read"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bad[badBlob{e.blob(id), holder}] {
		return &repo.DamageError{Object: within + repo.PackName(holder), What: "damaged"}
	}
	return nil
}

// elsewhere returns the sound holders of blobs that have one which is not. Most checks never ask.
func (c *check) elsewhere(ctx context.Context, rd *repo.Reader, e *Entry) (map[pack.ID]pack.ID, error) {
	if c.othersOf == rd {
		return c.others, nil
	}
	within := e.root.Copy()
	others, err := rd.Elsewhere(ctx, func(holder, id pack.ID) bool { return c.unsound(e, within, holder, id) != nil })
	if err != nil {
		return nil, err
	}
	c.others, c.othersOf = others, rd
	return others, nil
}

// label notes that a node backs up into a domain.
func (c *check) label(e *Entry) {
	if c.labels[e.Domain] == nil {
		c.labels[e.Domain] = make(map[string]bool)
	}
	c.labels[e.Domain][e.Catalogue.Node] = true
}

// ask finds out what is wanted back, and which damage does not matter any more. What a self-contained copy has lost, no
// shared pack can give it.
func (c *check) ask(ctx context.Context) error {
	if err := c.pinpoint(ctx); err != nil {
		return err
	}
	lost := make(map[string]map[pack.ID][]pack.ID)
	at := func(domain string) map[pack.ID][]pack.ID {
		if lost[domain] == nil {
			lost[domain] = make(map[pack.ID][]pack.ID)
		}
		return lost[domain]
	}
	for b := range c.bad {
		if b.copy == "" && c.by[repo.PackName(b.holder)] != nil {
			at(b.domain)[b.holder] = append(at(b.domain)[b.holder], b.id)
		}
	}
	err := c.objects.Unsound(ctx, func(domain string, id pack.ID) { at(domain)[id] = nil })
	for _, domain := range slices.Sorted(maps.Keys(lost)) {
		w := WantedBack{Domain: domain, Nodes: slices.Sorted(maps.Keys(c.labels[domain])), Records: []string{}}
		for id, blobs := range lost[domain] {
			w.list = append(w.list, repo.Unsound{Pack: id, Blobs: blobs})
			w.Blobs += len(blobs)
			if len(blobs) == 0 {
				w.Packs++
			}
		}
		c.rep.Wanted = append(c.rep.Wanted, w)
	}
	if err != nil {
		return err
	}
	return c.mend(ctx)
}

// pinpoint reads the packs that a check of one backup found damaged by way of its files: it knows the packs, not the blobs.
func (c *check) pinpoint(ctx context.Context) error {
	if c.chosen == nil || !c.opt.ReadData || !c.repo.Reads() {
		return nil
	}
	hurt := make(map[pack.ID]bool)
	for object := range c.by {
		if id, err := pack.ParseID(path.Base(object)); err == nil && repo.IsPack(object) {
			hurt[id] = true
		}
	}
	if len(hurt) == 0 {
		return nil
	}
	_, err := c.objects.ReadPacks(ctx, repo.Reading{Extent: repo.Everything(), Pick: func(id pack.ID) bool { return hurt[id] }})
	return err
}

// mend finds the damaged packs that no backup needs for what they have lost and that an earlier check has asked for: their blobs were put back, or
// their backups are gone.
func (c *check) mend(ctx context.Context) error {
	c.mended = make(map[string]bool)
	var idle []string
	for object, d := range c.by {
		if d.HitsTotal == 0 && strings.HasPrefix(object, "packs/") {
			idle = append(idle, object)
		}
	}
	for _, domain := range c.inv.Domains {
		if len(idle) == 0 {
			return nil
		}
		asked, err := c.repo.Wanted(ctx, domain)
		if err != nil {
			return err
		}
		for _, object := range idle {
			if asked(object) {
				c.mended[object] = true
			}
		}
	}
	return nil
}

// Want publishes what a check could not read, so that the next backups put it back as far as their nodes still have it.
func Want(ctx context.Context, r *repo.Repo, rep *Report) error {
	for i := range rep.Wanted {
		w := &rep.Wanted[i]
		names, err := r.Want(ctx, w.Domain, w.list)
		w.Records = append(w.Records, names...)
		if err != nil {
			return fmt.Errorf("ask for what %s lost: %w", w.Domain, err)
		}
	}
	return nil
}
