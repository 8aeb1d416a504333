package repo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
)

// packs goes through the shards of a shelf.
func (c *Checker) packs(ctx context.Context, t *shelf) error {
	return c.eachShard(ctx, t, func(domain string, shard *openShard) error {
		dom := c.number(shard.dom)
		for i := range shard.packs {
			info := &shard.packs[i]
			c.Blobs.Add(int64(len(info.Entries)))
			for _, s := range info.Sessions {
				t.domains[s.ID] = domain
			}
			if err := c.present(ctx, t, info, domain, dom); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachShard calls fn for the shards of a shelf that can be read. One that went after it was listed was replaced by a keeper:
// the domain is listed once more then, for what came in its place.
func (c *Checker) eachShard(ctx context.Context, t *shelf, fn func(domain string, shard *openShard) error) error {
	for domain, shards := range t.inv.shards {
		if t.inv == c.inv && c.only != nil && !c.only.domains[domain] {
			continue
		}
		met := make(map[string]bool, len(shards))
		for range maxRetries {
			gone, err := c.someShards(ctx, t, shards, met, fn)
			if err != nil {
				return err
			}
			if !gone {
				break
			}
			if shards, err = t.repo.ListShards(ctx, domain); err != nil {
				return fmt.Errorf("list index shards: %w", err)
			}
		}
	}
	return nil
}

// someShards calls fn for those shards that were not met before; met is false of one that went. Listed again, that one is
// missed.
func (c *Checker) someShards(ctx context.Context, t *shelf, shards []string, met map[string]bool, fn func(string, *openShard) error) (gone bool, err error) {
	for _, name := range shards {
		read, known := met[name]
		if read {
			continue
		}
		met[name] = true
		shard, err := t.repo.readShard(ctx, name)
		if vanished(err) && !known {
			gone, met[name] = true, false
			continue
		}
		if err == nil {
			err = fn(domainOf(name), shard)
		}
		if err := c.note(err); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// number returns that of a generation of a domain, from 1.
func (c *Checker) number(d *roles.Domain) uint32 {
	for i := len(c.doms) - 1; i >= 0; i-- {
		if c.doms[i].Label == d.Label && c.doms[i].Generation == d.Generation {
			return uint32(i + 1)
		}
	}
	c.doms = append(c.doms, d)
	return uint32(len(c.doms))
}

// digest is the first 8 bytes of the SHA-256 of what a pack holds: enough to tell a shard from a tail by accident, and who
// makes them alike on purpose could as well write what belongs there.
func digest(info *pack.Info) uint64 {
	var e wire.Encoder
	pack.AppendInfo(&e, info.Sessions, info.Entries)
	sum := sha256.Sum256(e.Out())
	return binary.BigEndian.Uint64(sum[:8])
}

func (c *Checker) present(ctx context.Context, t *shelf, info *pack.Info, domain string, dom uint32) error {
	name := t.repo.packName(info.Name)
	h := t.inv.pack(info.Name)
	if h == nil {
		c.missing[absent{t.inv.place, info.Name}] = dom
		condemned, err := c.condemned(ctx, t, domain, info.Name)
		if err == nil && !condemned {
			c.find.Damage(&DamageError{Object: name, What: missing})
		}
		return c.note(err)
	}
	h.dom, h.toc = dom, digest(info)
	if h.size != int64(info.Size) {
		h.lost = true
		c.find.Damage(&DamageError{Object: name, What: fmt.Sprintf("%d bytes long, %d were written", h.size, info.Size)})
	}
	return nil
}

// condemned reports whether a keeper gave up a pack that is not there. On a full store packs go before the shards that name
// them, and by first versions a shard may outlast its packs. Whoever needs a blob of it all the same is told of as Lost.
func (c *Checker) condemned(ctx context.Context, t *shelf, domain string, id pack.ID) (bool, error) {
	if t.inv != c.inv {
		return false, nil // keepers condemn no pack of a copy
	}
	if c.given == nil {
		c.given = make(map[string]map[pack.ID]bool)
	}
	if _, read := c.given[domain]; !read {
		c.given[domain] = nil // what cannot be read is told once
		e, err := c.repo.readEpochs(ctx, domain)
		if err != nil {
			return false, err
		}
		c.given[domain] = e.condemned
	}
	return c.given[domain][id], nil
}
