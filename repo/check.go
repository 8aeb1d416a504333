package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/keys"
	"cbk/repo/store"
)

// Inventory is what one LIST of the whole repository shows, sorted by kind.
type Inventory struct {
	Objects   int // objects of the repository; strangers are not among them
	Strangers int
	Bytes     int64
	Roots     []string
	Domains   []string // every domain that has a shard or a root

	slots  []string
	shards map[string][]string
	packs  map[pack.ID]int64
}

// Inventory lists the repository.
func (r *Repo) Inventory(ctx context.Context) (*Inventory, error) {
	inv := &Inventory{shards: make(map[string][]string), packs: make(map[pack.ID]int64)}
	seen, deleted := make(map[string]bool), make(map[string]bool)
	err := r.st.List(ctx, "", func(i store.Info) error {
		kind := Classify(i.Name)
		switch kind {
		case Stranger:
			inv.Strangers++
			return nil
		case KindSlot:
			inv.slots = append(inv.slots, i.Name)
		case KindPack:
			id, _ := pack.ParseID(i.Name[len(i.Name)-64:])
			inv.packs[id] = i.Size
		case KindShard:
			inv.shards[domainOf(i.Name)] = append(inv.shards[domainOf(i.Name)], i.Name)
		case KindRoot:
			inv.Roots = append(inv.Roots, i.Name)
		case KindDeleted:
			deleted[sibling(rootPrefix, i.Name)] = true
		}
		if kind == KindShard || kind == KindRoot {
			if d := domainOf(i.Name); !seen[d] {
				seen[d] = true
				inv.Domains = append(inv.Domains, d)
			}
		}
		inv.Objects++
		inv.Bytes += i.Size
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list repository: %w", err)
	}
	// A root whose deletion record stands is no backup, even if it is still or again there.
	inv.Roots = slices.DeleteFunc(inv.Roots, func(name string) bool { return deleted[name] })
	return inv, nil
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

	Blobs atomic.Int64 // blobs named by shards
	Read  atomic.Int64 // bytes read from packs
}

// checkPacks bounds the packs in memory at a time: 128 MiB at the default size.
const checkPacks = 2

// NewChecker prepares a check of what the inventory lists.
func (r *Repo) NewChecker(inv *Inventory, find Findings) *Checker {
	c := &Checker{repo: r, inv: inv, find: find, buffers: make(chan []byte, checkPacks)}
	for range checkPacks {
		c.buffers <- nil
	}
	return c
}

// withPack reads a whole pack, whose size the inventory knows, and hands it to fn.
func (c *Checker) withPack(ctx context.Context, id pack.ID, fn func(data []byte) error) error {
	size := c.inv.packs[id]
	if size > pack.MaxPack {
		return &DamageError{Object: PackName(id), What: fmt.Sprintf("%d bytes long, packs have at most %d", size, pack.MaxPack)}
	}
	buf := <-c.buffers
	defer func() { c.buffers <- buf }()
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if err := c.repo.st.ReadAt(ctx, PackName(id), 0, buf); err != nil {
		return asDamage(PackName(id), err)
	}
	c.Read.Add(size)
	return fn(buf)
}

// Slots compares each key slot with its name.
func (c *Checker) Slots(ctx context.Context) error {
	for _, name := range c.inv.slots {
		data, err := c.repo.st.Get(ctx, name, keys.MaxSlot)
		if err == nil && pack.ID(sha256.Sum256(data)).String() != name[len(slotPrefix):] {
			err = &DamageError{Object: name, What: "its bytes do not match its name"}
		}
		if err := c.note(asDamage(name, err)); err != nil {
			return err
		}
	}
	return nil
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

// Packs checks that every pack named by a shard is there with its size. With read it also reads every pack of the
// repository and checks it down to each blob's id.
func (c *Checker) Packs(ctx context.Context, read bool) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(cap(c.buffers))
	named := make(map[pack.ID]bool)
	for domain, shards := range c.inv.shards {
		for _, shard := range shards {
			packs, err := c.repo.readShard(ctx, shard)
			if err := c.note(err); err != nil {
				return errors.Join(err, g.Wait())
			}
			for _, info := range packs {
				named[info.Name] = true
				c.Blobs.Add(int64(len(info.Entries)))
				if c.present(domain, &info) && read {
					g.Go(func() error { return c.readPack(ctx, domain, &info) })
				}
			}
		}
	}
	if read {
		for id := range c.inv.packs {
			if !named[id] {
				g.Go(func() error { return c.readUnnamed(ctx, id) })
			}
		}
	}
	return g.Wait()
}

func (c *Checker) present(domain string, info *pack.Info) bool {
	size, ok := c.inv.packs[info.Name]
	if ok && size == int64(info.Size) {
		return true
	}
	what := "missing"
	if ok {
		what = fmt.Sprintf("%d bytes long, %d were written", size, info.Size)
	}
	c.spoil(domain, info, what)
	return false
}

func (c *Checker) spoil(domain string, info *pack.Info, what string) {
	name := PackName(info.Name)
	c.find.Damage(&DamageError{Object: name, What: what})
	for _, e := range info.Entries {
		c.find.BadBlob(domain, e.ID, name)
	}
}

// readPack checks one pack against what its shard says of it. A fault of the whole that spares every blob (padding,
// tail) is damage that takes nothing with it.
func (c *Checker) readPack(ctx context.Context, domain string, info *pack.Info) error {
	d, err := c.repo.domain(domain)
	if err != nil {
		return err
	}
	err = c.withPack(ctx, info.Name, func(data []byte) error {
		name := PackName(info.Name)
		if pack.ID(sha256.Sum256(data)) != info.Name {
			c.find.Damage(&DamageError{Object: name, What: "its bytes do not match its name"})
		} else if tail, err := pack.OpenPack(data, d.Index, pack.TailScope(c.repo.id, domain)); err != nil || !sameInfo(tail, info) {
			c.find.Damage(&DamageError{Object: name, What: "its table of contents does not match the index"})
		}
		return c.readBlobs(d, data, info)
	})
	var damage *DamageError
	if errors.As(err, &damage) {
		c.spoil(domain, info, damage.What)
		return nil
	}
	return err
}

func sameInfo(a, b *pack.Info) bool {
	var ea, eb wire.Encoder
	pack.AppendInfo(&ea, a.Sessions, a.Entries)
	pack.AppendInfo(&eb, b.Sessions, b.Entries)
	return bytes.Equal(ea.Out(), eb.Out())
}

func (c *Checker) readBlobs(d *keys.Domain, data []byte, info *pack.Info) error {
	sessions := make(map[pack.SessionID]*pack.Key)
	for _, s := range info.Sessions {
		k, err := c.repo.secrets.OpenSession(d.Label, s)
		if err != nil && !errors.Is(err, pack.ErrAuthentication) {
			return err
		}
		sessions[s.ID] = k
	}
	opener := pack.Sealer{Codec: c.repo.codec, Repository: c.repo.id, Domain: d.Label, Hasher: d.Hasher}
	var w pack.Scratch
	var plain []byte
	for _, e := range info.Entries {
		k := sessions[e.Session]
		if indexed(e.Type) {
			k = d.Index
		}
		sealed := data[min(int(e.Offset), len(data)):min(int(e.Offset+e.Stored), len(data))]
		if k != nil {
			out, err := opener.Open(plain, &w, k, e.Type, e.ID, sealed, int(e.Plain))
			if err == nil {
				plain = out
				continue
			}
		}
		c.find.BadBlob(d.Label, e.ID, PackName(info.Name))
	}
	return nil
}

// readUnnamed checks a pack that no shard names: nothing relies on it, yet its bytes should be what its name says.
func (c *Checker) readUnnamed(ctx context.Context, id pack.ID) error {
	return c.note(c.withPack(ctx, id, func(data []byte) error {
		if pack.ID(sha256.Sum256(data)) != id {
			return &DamageError{Object: PackName(id), What: "its bytes do not match its name (no index shard names it)"}
		}
		return nil
	}))
}
