package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
)

// Packs checks that every pack named by a shard is there with its size, and that the session keys sealed anew open. With
// read it also reads every pack of the repository and checks it down to each blob's id.
func (c *Checker) Packs(ctx context.Context, read bool) error {
	if err := c.packs(ctx, read); err != nil {
		return err
	}
	return c.overlays(ctx)
}

func (c *Checker) packs(ctx context.Context, read bool) error {
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(cap(c.buffers))
	named := make(map[pack.ID]bool)
	for domain, shards := range c.inv.shards {
		for _, shard := range shards {
			opened, err := c.repo.readShard(ctx, shard)
			if err := c.note(err); err != nil {
				return errors.Join(err, g.Wait())
			}
			if opened == nil {
				continue
			}
			for _, info := range opened.packs {
				named[info.Name] = true
				c.Blobs.Add(int64(len(info.Entries)))
				for _, s := range info.Sessions {
					c.domains[s.ID] = domain
				}
				if c.present(domain, &info) && read {
					g.Go(func() error { return c.readPack(reading, opened.dom, &info) })
				}
			}
		}
	}
	if read {
		for id := range c.inv.packs {
			if !named[id] {
				g.Go(func() error { return c.readUnnamed(reading, id) })
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
	name := c.repo.packName(info.Name)
	c.find.Damage(&DamageError{Object: name, What: what})
	for _, e := range info.Entries {
		c.find.BadBlob(domain, e.ID, name)
	}
}

// readPack checks one pack against what its shard says of it. A fault of the whole that spares every blob (padding,
// tail) is damage that takes nothing with it.
func (c *Checker) readPack(ctx context.Context, d *roles.Domain, info *pack.Info) error {
	err := c.withPack(ctx, info.Name, func(data []byte) error {
		name := c.repo.packName(info.Name)
		if pack.Name(data) != info.Name {
			c.find.Damage(&DamageError{Object: name, What: "its bytes do not match its name"})
		} else if tail, err := pack.OpenPack(data, d.Index, pack.TailScope(c.repo.id, d.Label)); err != nil || !sameInfo(tail, info) {
			c.find.Damage(&DamageError{Object: name, What: "its table of contents does not match the index"})
		}
		return c.readBlobs(ctx, d, data, info)
	})
	var damage *DamageError
	if errors.As(err, &damage) {
		c.spoil(d.Label, info, damage.What)
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

// readBlobs opens each blob of a pack, as far as the key can: a keeper opens what lies under the index key and knows of
// the rest that the pack is unaltered.
func (c *Checker) readBlobs(ctx context.Context, d *roles.Domain, data []byte, info *pack.Info) error {
	sessions := make(map[pack.SessionID]*pack.Key)
	content := c.repo.Reads()
	for _, s := range info.Sessions {
		if !content {
			break
		}
		k, err := c.repo.Key().OpenSession(d.Label, s, c.repo.overlays(ctx, s.ID))
		if err = ignoreDamage(err); err != nil && !errors.Is(err, pack.ErrAuthentication) && !errors.Is(err, roles.ErrNoSealKey) {
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
		} else if !content {
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
		c.find.BadBlob(d.Label, e.ID, c.repo.packName(info.Name))
	}
	return nil
}

// readUnnamed checks a pack that no shard names: nothing relies on it, yet its bytes should be what its name says.
func (c *Checker) readUnnamed(ctx context.Context, id pack.ID) error {
	return c.note(c.withPack(ctx, id, func(data []byte) error {
		if pack.Name(data) != id {
			return &DamageError{Object: c.repo.packName(id), What: "its bytes do not match its name (no index shard names it)"}
		}
		return nil
	}))
}
