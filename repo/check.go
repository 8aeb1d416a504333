package repo

import (
	"context"
	"errors"
	"path"
	"sync/atomic"

	"cbk/pack"
	"cbk/repo/roles"
)

// Findings receives what a check meets. Its methods are called by several goroutines.
type Findings interface {
	// Damage reports an object that is not as written.
	Damage(*DamageError)
	// BadBlob reports a blob that a damaged pack takes with it, of a pack that is not Lost as a whole.
	BadBlob(domain string, id pack.ID, object string)
}

// maxBadBlobs bounds what is told blob by blob, and kept by whoever is told. A pack that is damaged beyond counts as lost.
const maxBadBlobs = 1 << 20

// Checker holds one check's state.
type Checker struct {
	repo *Repo
	inv  *Inventory
	find Findings
	only *narrow // nil: everything

	buffers chan []byte // one for each pack in memory

	shelves map[uint32]*shelf // by place
	doms    []*roles.Domain   // generations of domains whose shards name packs
	bad     atomic.Int64      // blobs told to be bad

	missing  map[absent]uint32           // packs that shards name and that were not listed, with the number of their domain as in held
	given    map[string]map[pack.ID]bool // packs that keepers gave up, by domain, where one is missing
	suspects atomic.Bool                 // there are packs to be looked at once more

	Blobs    atomic.Int64 // blobs named by shards
	Read     atomic.Int64 // bytes read from packs
	Unjudged atomic.Int64 // packs that were not read: no shard that this key sees names them
}

// shelf is what is checked as one: what all backups share, or a self-contained copy.
type shelf struct {
	repo    *Repo
	inv     *Inventory
	domains map[pack.SessionID]string // of the sessions that shards name
}

// narrow is what some backups need.
type narrow struct {
	roots   map[string]bool
	domains map[string]bool
}

// absent is a pack that is not there.
type absent struct {
	place uint32
	id    pack.ID
}

// checkPacks bounds the packs in memory at a time: 128 MiB at the default size.
const checkPacks = 2

// NewChecker prepares a check of what the inventory lists.
func (r *Repo) NewChecker(inv *Inventory, find Findings) *Checker {
	shared := &shelf{repo: r, inv: inv, domains: make(map[pack.SessionID]string)}
	c := &Checker{repo: r, inv: inv, find: find, buffers: make(chan []byte, checkPacks), shelves: map[uint32]*shelf{0: shared},
		missing: make(map[absent]uint32)}
	for range checkPacks {
		c.buffers <- nil
	}
	return c
}

// Narrow restricts the check to what some roots need, by the names they were listed with: their shards and copies, and
// neither records nor the chains of other backups.
func (c *Checker) Narrow(roots map[string]*Root) {
	c.only = &narrow{roots: make(map[string]bool), domains: make(map[string]bool)}
	for name, r := range roots {
		c.only.roots[name] = true
		if r.Full {
			continue // it needs nothing but its copy
		}
		c.only.domains[r.At.Domain] = true
		for _, p := range r.Parts {
			c.only.domains[p.Domain] = true
		}
	}
}

// Structure checks every object but packs: that each is what its author wrote and signed, and that no root went without a
// deletion record. Of shards and roots Packs and the caller look at the content.
func (c *Checker) Structure(ctx context.Context) error {
	parts := []func(context.Context) error{c.keys, c.trust}
	if c.only == nil {
		parts = append(parts, c.records, c.chains)
	}
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Packs checks that every pack named by a shard is there with its size, that the session keys sealed anew open, and that
// the self-contained copies are of their backups. Packs are read by ReadPacks, which comes after.
func (c *Checker) Packs(ctx context.Context) error {
	shared := c.shelves[0]
	if err := c.packs(ctx, shared); err != nil {
		return err
	}
	if err := c.overlays(ctx, shared); err != nil {
		return err
	}
	return c.copies(ctx)
}

// Lost reports whether a pack that a shard names, of the shared ones or of the copy under a prefix, is not there or cannot
// be read. What was stored after the listing is not.
func (c *Checker) Lost(within string, id pack.ID) bool {
	inv := c.listed(within)
	if inv == nil {
		return true
	}
	if h := inv.pack(id); h != nil {
		return h.lost
	}
	return c.missing[absent{inv.place, id}] > 0
}

// Unsound calls fn for every pack, but those of copies, that a shard names and that is not there or not as it was written:
// what can still be read of one is better kept in another. It looks once more for those that were not listed.
func (c *Checker) Unsound(ctx context.Context, fn func(domain string, id pack.ID)) error {
	for at, dom := range c.missing {
		if at.place > 0 {
			continue
		}
		there, err := c.repo.exists(ctx, PackName(at.id))
		if err != nil {
			return err
		}
		if !there {
			fn(c.doms[dom-1].Label, at.id)
		}
	}
	for i := range c.inv.packs.all {
		if h := &c.inv.packs.all[i]; h.place == 0 && (h.lost || h.altered) && h.dom > 0 {
			fn(c.doms[h.dom-1].Label, h.id)
		}
	}
	return nil
}

// Want notes that a pack is one of those that are to be read, see Reading.
func (c *Checker) Want(within string, id pack.ID) {
	if inv := c.listed(within); inv != nil {
		if h := inv.pack(id); h != nil {
			h.wanted = true
		}
	}
}

// Wanted reports whether Want has named a pack, by its object name.
func (c *Checker) Wanted(name string) bool {
	id, err := pack.ParseID(path.Base(name))
	inv := c.listed(CopyOf(name))
	if err != nil || inv == nil {
		return false
	}
	h := inv.pack(id)
	return h != nil && h.wanted
}

// listed returns what was listed of a copy, or of what is shared.
func (c *Checker) listed(within string) *Inventory {
	if at, _, ok := SplitFull(within + configName); ok {
		return c.inv.copies[at]
	}
	return c.inv
}

// note reports err if it is damage and returns it otherwise.
func (c *Checker) note(err error) error {
	var damage *DamageError
	if errors.As(err, &damage) {
		c.find.Damage(damage)
		return nil
	}
	return err
}
