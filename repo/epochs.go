package repo

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// A tombstone, gc/<domain>/<epoch>, condemns packs. It is cumulative: the newest names every pack ever condemned in its
// domain, so that nobody has to know the older ones, which may go at any time, and so that a pack that comes back (an
// upload repeated after its answer was lost) stays condemned. Epochs count from 1. A condemned pack is never used again:
// 32 bytes for each 64 MiB ever deleted, 0.5 MiB a TiB. Body (class ClassEpoch), in the grammar of package wire, signed by a
// keeper or an owner:
//
//	count, groups      in the order of condemnation; the last one is this epoch's own
//	  gone             1 byte: 1 if a keeper has seen that all of the packs are deleted
//	  time             seconds since 1970 by the store's clock, when the group was condemned; 0 in the last: the object's own
//	  count, 32-byte pack names
const (
	maxEpoch     = 64 << 20
	maxGroups    = 1 << 20
	maxCondemned = 1 << 21
)

// epochs is what a domain's newest tombstone says.
type epochs struct {
	newest    uint64 // 0: there is none
	older     []uint64
	groups    []group
	condemned map[pack.ID]bool
}

// group is the packs condemned by one tombstone.
type group struct {
	gone  bool
	at    time.Time
	packs []pack.ID
}

// readEpochs lists the tombstones of a domain and reads the newest. If that is gone by then, a newer one replaced it, and
// all is done again.
func (r *Repo) readEpochs(ctx context.Context, domain string) (*epochs, error) {
	for range maxRetries {
		e, info, err := r.listEpochs(ctx, domain)
		if err != nil || e.newest == 0 {
			return e, err
		}
		if e.groups, err = r.readEpoch(ctx, info); err == nil {
			for _, g := range e.groups {
				for _, id := range g.packs {
					e.condemned[id] = true
				}
			}
			return e, nil
		}
		if ignoreMissing(err) != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("tombstones of %s vanish as they are read, %d times in a row: try again later", domain, maxRetries)
}

func (r *Repo) listEpochs(ctx context.Context, domain string) (e *epochs, newest store.Info, err error) {
	e = &epochs{condemned: make(map[pack.ID]bool)}
	err = r.st.List(ctx, epochPrefix+domain+"/", func(i store.Info) error {
		if Classify(i.Name) != KindEpoch {
			return nil
		}
		n, _ := strconv.ParseUint(path.Base(i.Name), 10, 63)
		e.older = append(e.older, n)
		if n > e.newest {
			e.newest, newest = n, i
		}
		return nil
	})
	if err != nil {
		return nil, newest, fmt.Errorf("list tombstones: %w", err)
	}
	e.older = slices.DeleteFunc(e.older, func(n uint64) bool { return n == e.newest })
	return e, newest, nil
}

func (r *Repo) readEpoch(ctx context.Context, info store.Info) ([]group, error) {
	data, err := r.st.Get(ctx, info.Name, maxEpoch+maxFrame)
	if err != nil {
		return nil, asDamage(info.Name, err)
	}
	s, err := r.openSigned(ctx, pack.ClassEpoch, domainOf(info.Name), info.Name, data, roles.RoleKeeper, roles.RoleOwner)
	if err != nil {
		return nil, asDamage(info.Name, err)
	}
	d := wire.NewDecoder(s.body)
	groups := make([]group, d.Count(maxGroups, 3))
	for i := range groups {
		groups[i].gone = d.Byte() == 1
		groups[i].at = time.Unix(int64(d.Uvarint(1<<40)), 0)
		groups[i].packs = decodeIDs(d, maxCondemned)
	}
	if n := len(groups); n > 0 && d.Err() == nil {
		groups[n-1].at = info.ModTime
	}
	return groups, asDamage(info.Name, d.Done())
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// createEpoch condemns packs beside all that e condemns. taken is true if another keeper was first.
func (r *Repo) createEpoch(ctx context.Context, domain string, e *epochs, ids []pack.ID) (taken bool, err error) {
	var w wire.Encoder
	w.Count(len(e.groups) + 1)
	for _, g := range e.groups {
		w.Byte(flag(g.gone))
		w.Uvarint(uint64(max(g.at.Unix(), 0)))
		encodeIDs(&w, g.packs)
	}
	w.Byte(flag(false))
	w.Uvarint(0)
	encodeIDs(&w, ids)
	if len(w.Out()) > maxEpoch || len(e.condemned)+len(ids) > maxCondemned {
		return false, fmt.Errorf("domain %s has condemned %d packs, more than a tombstone holds: start a new repository for it", domain, len(e.condemned))
	}
	won, err := r.claimName(ctx, pack.ClassEpoch, epochName(domain, e.newest+1), w.Out())
	return !won && err == nil, err
}
