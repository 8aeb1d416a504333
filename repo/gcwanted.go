package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/repo/store"
)

// maxJudged bounds the packs that one run reads to see whether a record of what is wanted is right about them: 4 GiB. The
// others wait for the next.
const maxJudged = 64

// doubt marks the holders that records of what is wanted name: others are preferred, be it that they were put back since.
// The records are read after the shards, for a blob is put back only where its record stood before. What a revoked key said
// counts too: it can keep a pack from going, and nothing else.
func (k *keeper) doubt(ctx context.Context, w *world, number map[pack.ID]uint32) error {
	all := newWants()
	k.stale = nil
	n := 0
	err := k.repo.eachWanted(ctx, k.domain, func(rec *wantedRecord, err error) error {
		if err != nil {
			return err
		}
		n++
		all.add(rec.list)
		named := false
		for i := range rec.list {
			_, ok := number[rec.list[i].Pack]
			named = named || ok
		}
		if !named {
			k.stale = append(k.stale, rec.name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if all.over || n == maxWantedRecords {
		return fmt.Errorf("records below %s%s name more than can be held: look into who asks for so much", wantedPrefix, k.domain)
	}
	whole := make(map[uint32]bool)
	for id, blobs := range all.packs {
		at, ok := number[id]
		if !ok {
			continue
		}
		w.packs[at].claimed = true
		whole[at] = blobs == nil
		w.held.doubt(at, blobs)
	}
	w.held.each(func(_ int, h *holder) {
		if len(whole) > 0 && whole[h.pack] {
			h.stored |= lostHolder
		}
	})
	return nil
}

// mayGo reports whether a pack from which nothing is needed may be condemned. Of one that a record complains of nothing may
// be needed only because of the record: it goes when it is seen to be missing or damaged, and stays where it is as written.
func (k *keeper) mayGo(ctx context.Context, p *packState) (bool, error) {
	if !p.claimed {
		return true, nil
	}
	if goes, known := k.judged[p.name]; known {
		return goes, nil
	}
	info, err := k.repo.st.Stat(ctx, PackName(p.name))
	goes := errors.Is(err, store.ErrNotFound) || err == nil && info.Size != int64(p.size)
	if !goes && err == nil {
		if k.read++; k.read > maxJudged {
			return false, nil
		}
		_, err = k.repo.getPack(ctx, p.name)
		goes = isDamage(err)
	}
	if err = ignoreMissing(ignoreDamage(err)); err != nil {
		return false, err
	}
	if k.judged == nil {
		k.judged = make(map[pack.ID]bool)
	}
	k.judged[p.name] = goes
	return goes, nil
}

// dropWanted removes records of what is wanted when no shard names any of their packs: as long as one does, the record tells
// which holder is the sound one.
func (k *keeper) dropWanted(ctx context.Context) error {
	for _, name := range k.stale {
		gone, err := k.remove(ctx, name)
		if err != nil {
			return err
		}
		if gone {
			k.res.Tidied++
		}
	}
	return nil
}
