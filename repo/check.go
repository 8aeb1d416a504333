package repo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"cbk/pack"
	"cbk/repo/store"
)

// Inventory is what one LIST of the whole repository shows, sorted by kind.
type Inventory struct {
	Objects   int // objects of the repository; strangers are not among them
	Strangers int
	Bytes     int64
	Roots     []string
	Domains   []string // every domain that has a shard or a root and that the key can see
	Unseen    int      // objects of other domains

	keys     []string
	trust    []string
	sessions []string
	records  []string // pending roots and tombstones
	shards   map[string][]string
	packs    map[pack.ID]int64

	copies map[pack.ID]*Inventory // what stands in self-contained copies, by snapshot id
	bare   bool                   // the roots are those in copies, see bareRoots
}

func newInventory() *Inventory {
	return &Inventory{shards: make(map[string][]string), packs: make(map[pack.ID]int64), copies: make(map[pack.ID]*Inventory)}
}

// Inventory lists the repository.
func (r *Repo) Inventory(ctx context.Context) (*Inventory, error) {
	inv := newInventory()
	seen, deleted := make(map[string]bool), make(map[string]bool)
	inv.bare = true
	err := r.st.List(ctx, "", func(i store.Info) error {
		kind := Classify(i.Name)
		inv.bare = inv.bare && kind != KindRoot && kind != KindPending
		if inDomain(kind) {
			d := domainOf(i.Name)
			if !r.sees(d) {
				inv.Unseen++
				return nil
			}
			if !seen[d] {
				seen[d] = true
				inv.Domains = append(inv.Domains, d)
			}
		}
		switch kind {
		case Stranger:
			inv.Strangers++
			return nil
		case KindKey:
			inv.keys = append(inv.keys, i.Name)
		case KindTrust:
			inv.trust = append(inv.trust, i.Name)
		case KindSession:
			inv.sessions = append(inv.sessions, i.Name)
		case KindPending, KindEpoch:
			inv.records = append(inv.records, i.Name)
		case KindPack:
			id, _ := pack.ParseID(i.Name[len(i.Name)-64:])
			inv.packs[id] = i.Size
		case KindShard:
			inv.shards[domainOf(i.Name)] = append(inv.shards[domainOf(i.Name)], i.Name)
		case KindRoot:
			inv.Roots = append(inv.Roots, i.Name)
		case KindDeleted:
			deleted[sibling(rootPrefix, i.Name)] = true
		case KindFull:
			if !inv.copied(r, i) {
				inv.Unseen++
				return nil
			}
		}
		inv.Objects++
		inv.Bytes += i.Size
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list repository: %w", err)
	}
	if inv.bare {
		inv.bareRoots(seen)
	}
	// A root whose deletion record stands is no backup, even if it is still or again there.
	roots := inv.Roots[:0]
	for _, name := range inv.Roots {
		dead := false
		if deleted[logical(name)] {
			if dead, err = r.deleted(ctx, logical(name)); ignoreDamage(err) != nil {
				return nil, err
			}
		}
		if !dead {
			roots = append(roots, name)
		}
	}
	inv.Roots = roots
	return inv, nil
}

// inDomain tells the kinds of objects that make a domain one.
func inDomain(k Kind) bool {
	return k == KindShard || k == KindRoot || k == KindPending || k == KindEpoch || k == KindDeleted
}

// Findings receives what a check meets. Its methods are called by several goroutines.
type Findings interface {
	// Damage reports an object that is not as written.
	Damage(*DamageError)
	// BadBlob reports a blob that a damaged object takes with it.
	BadBlob(domain string, id pack.ID, object string)
}

// Checker holds one check's state.
type Checker struct {
	repo *Repo
	inv  *Inventory
	find Findings

	buffers chan []byte // one for each pack in memory

	domains map[pack.SessionID]string // of the sessions that shards name

	Blobs atomic.Int64 // blobs named by shards
	Read  atomic.Int64 // bytes read from packs
}

// checkPacks bounds the packs in memory at a time: 128 MiB at the default size.
const checkPacks = 2

// NewChecker prepares a check of what the inventory lists.
func (r *Repo) NewChecker(inv *Inventory, find Findings) *Checker {
	c := &Checker{repo: r, inv: inv, find: find, buffers: make(chan []byte, checkPacks), domains: make(map[pack.SessionID]string)}
	for range checkPacks {
		c.buffers <- nil
	}
	return c
}

// Structure checks every object but packs: that each is what its author wrote and signed, and that no root went without a
// deletion record. Of shards and roots Packs and the caller look at the content.
func (c *Checker) Structure(ctx context.Context) error {
	for _, part := range []func(context.Context) error{c.keys, c.trust, c.records, c.chains} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// withPack reads a whole pack, whose size the inventory knows, and hands it to fn.
func (c *Checker) withPack(ctx context.Context, id pack.ID, fn func(data []byte) error) error {
	size := c.inv.packs[id]
	if size > pack.MaxPack {
		return &DamageError{Object: c.repo.packName(id), What: fmt.Sprintf("%d bytes long, packs have at most %d", size, pack.MaxPack)}
	}
	buf := <-c.buffers
	defer func() { c.buffers <- buf }()
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if err := c.repo.st.ReadAt(ctx, c.repo.packName(id), 0, buf); err != nil {
		return asDamage(c.repo.packName(id), err)
	}
	c.Read.Add(size)
	return fn(buf)
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
