package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

// rescue is K2: with roots and shards read again, after the tombstone stands, every live blob whose holders are all
// condemned is copied, and its new shard written, before anything may be deleted.
func (k *keeper) rescue(ctx context.Context) error {
	for range maxRetries {
		err := k.rescueOnce(ctx)
		var damage *DamageError
		if !errors.As(err, &damage) || damage.What != missing {
			return err
		}
		// A shard or pack that another keeper has just given up is no damage: what was in it is elsewhere.
		w, failed := k.look(ctx)
		if failed != nil {
			return failed
		}
		if w.mentions(damage.Object) {
			return err
		}
	}
	return fmt.Errorf("the domain changed while live blobs were copied, %d times in a row: try again later", maxRetries)
}

func (k *keeper) rescueOnce(ctx context.Context) error {
	w, err := k.look(ctx)
	if err != nil {
		return err
	}
	need, key := w.doomed(), w.held.key
	// What comes needs the memory of the table: packs as they are read and written, shards as they are rewritten.
	k.world, k.held, w.held = w, nil, nil
	c := &copier{keeper: k, key: key, shard: -1}
	stuck := make(map[int]bool)
	for _, s := range need {
		err := c.from(ctx, s)
		if isDamage(err) && w.packs[s.pack].claimed {
			stuck[s.pack] = true // told by the check that asked for its blobs; it stays, and the others need not wait
			continue
		}
		if err != nil {
			return err
		}
	}
	if err := c.finish(ctx); err != nil {
		return err
	}
	for i := range w.packs {
		w.packs[i].kept = stuck[i]
	}
	return nil
}

// salvage is what has to be copied out of one condemned pack.
type salvage struct {
	pack int // number in world.packs
	want []tag
}

// doomed returns the live blobs whose every holder is condemned, or whose every other holder cannot be opened, by pack:
// need prefers other holders, so a live holder in a condemned pack has none. Until the last of them is copied all their
// holders are kept: a keeper beside this one may rely on another of them.
func (w *world) doomed() []*salvage {
	found := make(map[uint32]*salvage)
	w.held.groups(func(group []holder, needed *holder) {
		if needed == nil || !w.packs[needed.pack].condemned {
			return
		}
		for i := range group {
			w.packs[group[i].pack].kept = true
		}
		s := found[needed.pack]
		if s == nil {
			s = &salvage{pack: int(needed.pack)}
			found[needed.pack] = s
		}
		s.want = append(s.want, needed.tag) // in order, as groups go
	})
	out := make([]*salvage, 0, len(found))
	for _, s := range found {
		out = append(out, s)
	}
	// Shard by shard, so that each is read once.
	slices.SortFunc(out, func(a, b *salvage) int {
		p, q := &w.packs[a.pack], &w.packs[b.pack]
		return cmp.Or(cmp.Compare(p.dom.Generation, q.dom.Generation), cmp.Compare(p.shard, q.shard), cmp.Compare(a.pack, b.pack))
	})
	return out
}

// copier moves sealed blobs, unread, from condemned packs into packs of its own. Blobs stay under the generation of keys
// they are sealed under: each has its packs.
type copier struct {
	*keeper
	key     tagKey
	dom     *roles.Domain
	builder *pack.Builder
	written []pack.Info // that no shard names so far
	entries int

	shard int // number of the one read last, -1 for none
	packs []pack.Info
}

// from copies the wanted blobs of one pack, which must be the bytes its name says: what a damaged pack holds is damage,
// not garbage.
func (c *copier) from(ctx context.Context, s *salvage) error {
	p := &c.world.packs[s.pack]
	if err := c.enter(ctx, p.dom); err != nil {
		return err
	}
	info, err := c.info(ctx, p)
	if err != nil {
		return err
	}
	data, err := c.repo.getPack(ctx, p.name)
	if err != nil {
		return err
	}
	if len(data) != int(info.Size) {
		return &DamageError{Object: c.world.shards[p.shard].name, What: fmt.Sprintf("it gives pack %s %d bytes, which has %d", p.name, info.Size, len(data))}
	}
	session := make(map[pack.SessionID]pack.Session)
	for _, x := range info.Sessions {
		session[x.ID] = x
	}
	for _, e := range info.Entries {
		if _, wanted := slices.BinarySearchFunc(s.want, c.key.tag(e.ID), compareTags); !wanted {
			continue
		}
		if !c.builder.Fits(int(e.Stored)) || !c.builder.Admits(e.Session) {
			if err := c.put(ctx); err != nil {
				return err
			}
		}
		c.builder.Add(e.Type, e.ID, data[e.Offset:e.Offset+e.Stored], int(e.Plain), session[e.Session])
		c.res.Copied++
		c.res.BytesCopied += int64(e.Stored)
	}
	return nil
}

// enter turns to blobs of a generation.
func (c *copier) enter(ctx context.Context, d *roles.Domain) error {
	if c.dom != nil && c.dom.Generation == d.Generation {
		return nil
	}
	if err := c.finish(ctx); err != nil {
		return err
	}
	if c.builder == nil {
		c.builder = pack.NewBuilder(make([]byte, 0, c.repo.settings.PackSize))
	}
	c.dom = d
	return nil
}

// info returns what its shard says of a pack.
func (c *copier) info(ctx context.Context, p *packState) (*pack.Info, error) {
	name := c.world.shards[p.shard].name
	if c.shard != p.shard {
		read, err := c.repo.readShard(ctx, name)
		if err != nil {
			return nil, err
		}
		c.shard, c.packs = p.shard, read.packs
	}
	i := slices.IndexFunc(c.packs, func(i pack.Info) bool { return i.Name == p.name })
	if i < 0 {
		return nil, &DamageError{Object: name, What: "it no longer names pack " + p.name.String()}
	}
	return &c.packs[i], nil
}

// put stores the pack being filled, and now and then the shard of some: a keeper that is killed leaves copies that the
// next one finds.
func (c *copier) put(ctx context.Context) error {
	if c.builder == nil || c.builder.Empty() {
		return nil
	}
	data, info := c.builder.Finish(c.dom.Index, pack.TailScope(c.repo.id, c.domain))
	if err := c.repo.st.Create(ctx, PackName(info.Name), data); err != nil {
		return err
	}
	c.written = append(c.written, info)
	c.entries += len(info.Entries)
	c.builder.Reset()
	if len(c.written) < shardPacks && c.entries < index.MaxShardEntries-pack.MaxEntries {
		return nil
	}
	return c.writeShard(ctx)
}

func (c *copier) writeShard(ctx context.Context) error {
	packs := c.written
	c.written, c.entries = nil, 0
	return c.writeShards(ctx, c.dom, packs)
}

// finish writes what is still in memory.
func (c *copier) finish(ctx context.Context) error {
	if err := c.put(ctx); err != nil {
		return err
	}
	return c.writeShard(ctx)
}
