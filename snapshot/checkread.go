package snapshot

import (
	"context"

	"cbk/pack"
	"cbk/repo"
)

// readPacks reads all packs, a sample of them, or what was read longest ago until the budget ends.
func (c *check) readPacks(ctx context.Context) error {
	pieces := newCoverage()
	if c.opt.Budget.set() {
		h, err := readHistory(ctx, c.repo)
		if err != nil {
			return err
		}
		pieces, _ = h.coverage(c.rep.Kind)
	}
	for _, p := range pieces.oldest() {
		if c.rep.Packs.Ended {
			return nil
		}
		if err := c.readPiece(ctx, p.Extent); err != nil {
			return err
		}
	}
	c.rep.Packs.Sample = c.opt.Sample
	return nil
}

func (c *check) readPiece(ctx context.Context, e repo.Extent) error {
	what := repo.Reading{Extent: e}
	if c.opt.Sample != nil {
		what.Pick = c.opt.Sample.picks
	}
	packs := &c.rep.Packs
	if c.opt.Budget.set() {
		what.More = func(bytes int64) bool { return c.affords(packs.ReadBytes + bytes) }
	}
	back, err := c.objects.ReadPacks(ctx, what)
	if err != nil {
		return err
	}
	packs.Read, packs.ReadBytes = packs.Read+back.Packs, packs.ReadBytes+back.Bytes
	packs.Ended = !back.Whole
	if !back.Whole && back.Packs == 0 {
		return nil
	}
	e.To, e.Until = back.To, min(e.Until, c.inv.Horizon())
	if e.After < e.Until { // else there is no such pack yet
		packs.Extents = join(packs.Extents, e)
	}
	packs.Ended = packs.Ended || len(packs.Extents) >= maxExtents
	return nil
}

// affords reports whether the budget lets another pack be read. The first always is, or small budgets would come to nothing.
func (c *check) affords(read int64) bool {
	b := c.opt.Budget
	switch {
	case read == 0:
		return true
	case b.Bytes > 0 && read >= b.Bytes:
		return false
	}
	return b.Time == 0 || c.opt.Now().Sub(c.rep.Started) < b.Time
}

// readWanted reads the packs that the backup needs.
func (c *check) readWanted(ctx context.Context) error {
	back, err := c.objects.ReadPacks(ctx, repo.Reading{Extent: repo.Everything(), Wanted: true})
	c.rep.Packs.Read, c.rep.Packs.ReadBytes = back.Packs, back.Bytes
	return err
}

// nameOf is what extents know of a pack's name.
func nameOf(id pack.ID) (n uint64) {
	for _, b := range id[:8] {
		n = n<<8 | uint64(b)
	}
	return n
}
