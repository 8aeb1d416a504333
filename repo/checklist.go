package repo

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"cbk/pack"
	"cbk/repo/store"
)

// held is a pack as it was listed, and what its shard says of it. It takes 64 bytes: the packs of 500 TB, 8 M, take 512
// MiB, those of a domain of 10 M blobs 10 MiB.
type held struct {
	id     pack.ID
	size   int64
	toc    uint64 // of what a shard says is in it, see digest
	stored uint32 // seconds since 1970, by the store's clock
	place  uint32 // in the order of shelves: 0 = shared, else of a self-contained copy
	dom    uint32 // 1 + index in Checker.doms; 0 = no shard names it

	wanted  bool // what is checked relies on it
	lost    bool // none of its blobs can be read
	altered bool // its bytes do not match its name
	suspect bool // to be looked at once more, by what its shard says
}

func prefix(id *pack.ID) uint64 { return binary.BigEndian.Uint64(id[:8]) }

// packList holds the packs of the repository and of all copies in the order of their names.
type packList struct {
	all     []held
	horizon uint32
}

func (l *packList) add(place uint32, id pack.ID, i store.Info) {
	stored := uint32(min(max(i.ModTime.Unix(), 0), math.MaxUint32))
	l.all = append(l.all, held{id: id, size: i.Size, stored: stored, place: place})
	l.horizon = max(l.horizon, stored)
}

func (l *packList) sort() {
	slices.SortFunc(l.all, func(a, b held) int { return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.place, b.place)) })
}

// find returns nil for a pack that was not listed.
func (l *packList) find(place uint32, id pack.ID) *held {
	i, ok := slices.BinarySearchFunc(l.all, id, func(h held, id pack.ID) int {
		return cmp.Or(bytes.Compare(h.id[:], id[:]), cmp.Compare(h.place, place))
	})
	if !ok {
		return nil
	}
	return &l.all[i]
}

// from returns the packs whose names begin with p or what comes after it.
func (l *packList) from(p uint64) []held {
	i, _ := slices.BinarySearchFunc(l.all, p, func(h held, p uint64) int { return cmp.Compare(prefix(&h.id), p) })
	return l.all[i:]
}

func (inv *Inventory) pack(id pack.ID) *held { return inv.packs.find(inv.place, id) }

// Horizon is when the youngest pack listed was stored, in seconds since 1970 by the store's clock; 0 without packs.
func (inv *Inventory) Horizon() int64 { return int64(inv.packs.horizon) }

// EachPack calls fn for every pack, those of copies included, in the order of names: with its size and when it was stored,
// in seconds since 1970 by the store's clock.
func (inv *Inventory) EachPack(fn func(id pack.ID, size, stored int64)) {
	for i := range inv.packs.all {
		h := &inv.packs.all[i]
		fn(h.id, h.size, int64(h.stored))
	}
}
