package repo

import (
	"context"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"cbk/pack"
	"cbk/repo/roles"
)

// Extent is some packs: those whose names, by their first 8 bytes, lie in a range, and which the store says were stored in
// another, in seconds since 1970. From, To and Until are in, After is not.
type Extent struct {
	From, To     uint64
	After, Until int64
}

// Reading says which packs are read.
type Reading struct {
	Extent
	Wanted bool                   // only those that Want has named
	Pick   func(id pack.ID) bool  // nil picks all
	More   func(bytes int64) bool // told what was read of this extent, says whether to go on; nil goes on
}

// Everything is the extent of all packs.
func Everything() Extent { return Extent{To: math.MaxUint64, After: -1, Until: math.MaxInt64} }

// Back is what came of a Reading.
type Back struct {
	Packs, Bytes int64
	Whole        bool   // the extent was read to its end
	To           uint64 // else up to this name, if a pack was read at all
}

// ReadPacks reads packs in the order of their names, in a copy or not, and checks them down to each blob's id as far as the
// key goes. Damage is told; the error is for what could not be done.
func (c *Checker) ReadPacks(ctx context.Context, what Reading) (Back, error) {
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(cap(c.buffers))
	back := Back{Whole: true, To: what.To}
	last := what.From
	list := c.inv.packs.from(what.From)
	for i := range list {
		h := &list[i]
		at := prefix(&h.id)
		if at > what.To || reading.Err() != nil {
			break
		}
		if !c.chosen(&what, h) {
			continue
		}
		// A pack and its copies have one name: they are read together, or what is recorded would say too much.
		if what.More != nil && (back.Packs == 0 || at != last) && !what.More(back.Bytes) {
			back.Whole, back.To = false, last
			break
		}
		last = at
		back.Packs, back.Bytes = back.Packs+1, back.Bytes+h.size
		g.Go(func() error { return c.readPack(reading, h) })
	}
	if err := g.Wait(); err != nil {
		return back, err
	}
	return back, c.again(ctx)
}

func (c *Checker) chosen(what *Reading, h *held) bool {
	switch {
	case int64(h.stored) <= what.After, int64(h.stored) > what.Until, what.Wanted && !h.wanted, h.lost:
		return false
	case what.Pick != nil && !what.Pick(h.id):
		return false
	case h.dom == 0 && c.repo.Key().Bound():
		c.Unjudged.Add(1) // another node's, for all that is known
		return false
	}
	return true
}

// where returns the tree of a pack. Packs of a copy of which there is no root stand for themselves.
func (c *Checker) where(h *held) *Repo {
	if t := c.shelves[h.place]; t != nil {
		return t.repo
	}
	for id, inv := range c.inv.copies {
		if inv.place == h.place {
			return c.repo.inside(fullTree(id))
		}
	}
	return c.repo
}

// readPack compares a pack with its name and reads it by its own table of contents. Where that is no good the pack is left
// for again.
func (c *Checker) readPack(ctx context.Context, h *held) error {
	in := c.where(h)
	name := in.packName(h.id)
	err := c.withPack(ctx, name, h.size, func(data []byte) error {
		whole := pack.Name(data) == h.id
		h.altered = !whole
		switch {
		case !whole && h.dom == 0:
			c.find.Damage(&DamageError{Object: name, What: "its bytes do not match its name (no index shard names it)"})
		case !whole:
			c.find.Damage(&DamageError{Object: name, What: "its bytes do not match its name"})
		}
		if h.dom == 0 {
			return nil
		}
		d := c.doms[h.dom-1]
		tail, err := pack.OpenPack(data, d.Index, pack.TailScope(c.repo.id, d.Label))
		if err == nil && digest(tail) == h.toc {
			return c.readBlobs(ctx, in, d, contents{data, whole, tail}, h)
		}
		if whole {
			c.find.Damage(&DamageError{Object: name, What: "its table of contents does not match the index"})
		}
		c.doubt(h)
		return nil
	})
	var damage *DamageError
	if errors.As(err, &damage) {
		c.doubt(h)
		return nil
	}
	return err
}

func (c *Checker) doubt(h *held) {
	h.suspect = true
	c.suspects.Store(true)
}

// again looks at packs that were not there, could not be read to their end or have no good table of contents, by what the
// shards say now. A pack that none names any more was collected meanwhile.
func (c *Checker) again(ctx context.Context) error {
	if !c.suspects.Swap(false) {
		return nil
	}
	for _, t := range c.shelves {
		fresh := *t.inv
		fresh.shards = make(map[string][]string)
		for domain := range t.inv.shards {
			names, err := t.repo.ListShards(ctx, domain)
			if err != nil {
				return fmt.Errorf("list index shards: %w", err)
			}
			fresh.shards[domain] = names
		}
		now := &shelf{repo: t.repo, inv: &fresh, domains: t.domains}
		err := c.eachShard(ctx, now, func(_ string, shard *openShard) error {
			for i := range shard.packs {
				if h := t.inv.pack(shard.packs[i].Name); h != nil && h.suspect {
					h.suspect = false
					if err := c.readBy(ctx, t.repo, shard.dom, h, &shard.packs[i]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return c.unnamed(ctx)
}

// unnamed tells of packs that could not be read and that no shard names, if they are still there.
func (c *Checker) unnamed(ctx context.Context) error {
	for i := range c.inv.packs.all {
		h := &c.inv.packs.all[i]
		if !h.suspect {
			continue
		}
		h.suspect = false
		name := c.where(h).packName(h.id)
		err := c.withPack(ctx, name, h.size, func([]byte) error { return nil })
		if err := c.note(ignoreMissing(err)); err != nil {
			return err
		}
	}
	return nil
}

// readBy reads a pack by what its shard says of it.
func (c *Checker) readBy(ctx context.Context, in *Repo, d *roles.Domain, h *held, info *pack.Info) error {
	err := c.withPack(ctx, in.packName(h.id), h.size, func(data []byte) error {
		return c.readBlobs(ctx, in, d, contents{data, pack.Name(data) == h.id, info}, h)
	})
	if isDamage(err) {
		h.lost = true
	}
	return c.note(err)
}

// withPack reads a whole pack and hands it to fn.
func (c *Checker) withPack(ctx context.Context, name string, size int64, fn func(data []byte) error) error {
	if size > pack.MaxPack {
		return &DamageError{Object: name, What: fmt.Sprintf("%d bytes long, packs have at most %d", size, pack.MaxPack)}
	}
	buf := <-c.buffers
	defer func() { c.buffers <- buf }()
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if err := c.repo.st.ReadAt(ctx, name, 0, buf); err != nil {
		return asDamage(name, err)
	}
	c.Read.Add(size)
	return fn(buf)
}

// contents is a pack that was read.
type contents struct {
	data  []byte
	whole bool // it has its name
	info  *pack.Info
}

// readBlobs opens each blob of a pack, as far as the key can: a keeper opens what lies under the index key and knows of
// the rest that the pack is unaltered; where it is altered that is to be feared of each. A pack of which no blob opens is
// lost.
func (c *Checker) readBlobs(ctx context.Context, in *Repo, d *roles.Domain, p contents, h *held) error {
	data, info := p.data, p.info
	sessions, err := c.openSessions(ctx, in, d, info.Sessions)
	if err != nil {
		return err
	}
	opener := pack.Sealer{Codec: c.repo.codec, Repository: c.repo.id, Domain: d.Label, Hasher: d.Hasher}
	var w pack.Scratch
	var plain []byte
	var bad []pack.ID
	for _, e := range info.Entries {
		k := sessions[e.Session]
		if indexed(e.Type) {
			k = d.Index
		} else if !c.repo.Reads() {
			if !p.whole {
				bad = append(bad, e.ID)
			}
			continue
		}
		sealed := data[min(int(e.Offset), len(data)):min(int(e.Offset+e.Stored), len(data))]
		if k != nil {
			out, err := opener.Open(plain, &w, k, e.Type, e.ID, sealed, int(e.Plain))
			if err == nil {
				plain = out
				continue
			}
		}
		bad = append(bad, e.ID)
	}
	if len(bad) > 0 && (len(bad) == len(info.Entries) || c.bad.Add(int64(len(bad))) > maxBadBlobs) {
		h.lost = true
		return nil
	}
	for _, id := range bad {
		c.find.BadBlob(d.Label, id, in.packName(h.id))
	}
	return nil
}

// openSessions opens session keys for a key that reads content. Those that do not open are left out.
func (c *Checker) openSessions(ctx context.Context, in *Repo, d *roles.Domain, list []pack.Session) (map[pack.SessionID]*pack.Key, error) {
	sessions := make(map[pack.SessionID]*pack.Key)
	for _, s := range list {
		if !c.repo.Reads() {
			break
		}
		k, err := c.repo.Key().OpenSession(d.Label, s, in.overlays(ctx, s.ID))
		if err = ignoreDamage(err); err != nil && !errors.Is(err, pack.ErrAuthentication) && !errors.Is(err, roles.ErrNoSealKey) {
			return nil, err
		}
		sessions[s.ID] = k
	}
	return sessions, nil
}
