package snapshot

import (
	"cmp"
	"slices"
	"time"

	"cbk/repo"
)

// A run of a check remembers what it read as extents: packs by a range of names and a range of the times at which the store
// says they were stored. So a record stays small whatever the repository's size, and a pack that came later under a name
// in a range that was read counts as never read.

// maxExtents bounds the extents of one run. A budget of a tenth needs one or two; many come from runs of many sizes.
const maxExtents = 64

// piece is an extent whose packs were last read at one time.
type piece struct {
	repo.Extent
	at time.Time // zero: never
}

// coverage divides all packs there can be into pieces, no two of which share one.
type coverage []piece

func newCoverage() coverage { return coverage{{Extent: repo.Everything()}} }

// add notes that an extent was read. Earlier runs come first.
func (c coverage) add(e repo.Extent, at time.Time) coverage {
	if e.From > e.To || e.After >= e.Until {
		return c
	}
	var out coverage
	for _, p := range c {
		out = append(out, p.without(e)...)
	}
	return append(out, piece{e, at})
}

// without is what is left of a piece: its names before and behind those of e, and at e's names what was stored before and
// after.
func (p piece) without(e repo.Extent) (left []piece) {
	from, to := max(p.From, e.From), min(p.To, e.To)
	after, until := max(p.After, e.After), min(p.Until, e.Until)
	if from > to || after >= until {
		return []piece{p}
	}
	add := func(e repo.Extent) { left = append(left, piece{e, p.at}) }
	if p.From < from {
		add(repo.Extent{From: p.From, To: from - 1, After: p.After, Until: p.Until})
	}
	if to < p.To {
		add(repo.Extent{From: to + 1, To: p.To, After: p.After, Until: p.Until})
	}
	if p.After < after {
		add(repo.Extent{From: from, To: to, After: p.After, Until: after})
	}
	if until < p.Until {
		add(repo.Extent{From: from, To: to, After: until, Until: p.Until})
	}
	return left
}

// oldest returns the pieces in the order in which they are to be read: what never was, then what was longest ago.
func (c coverage) oldest() coverage {
	c = slices.Clone(c)
	slices.SortFunc(c, func(a, b piece) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.From, b.From), cmp.Compare(a.After, b.After))
	})
	return c
}

// last is when a pack was read, zero for never.
func (c coverage) last(name uint64, stored int64) time.Time {
	for i := range c {
		if holds(&c[i].Extent, name, stored) {
			return c[i].at
		}
	}
	return time.Time{}
}

func holds(e *repo.Extent, name uint64, stored int64) bool {
	return e.From <= name && name <= e.To && e.After < stored && stored <= e.Until
}

// join adds an extent to those that a run has read, as one with the last where they meet.
func join(read []repo.Extent, e repo.Extent) []repo.Extent {
	if n := len(read); n > 0 {
		if p := &read[n-1]; p.After == e.After && p.Until == e.Until && p.To+1 == e.From && e.From > 0 {
			p.To = e.To
			return read
		}
	}
	return append(read, e)
}
