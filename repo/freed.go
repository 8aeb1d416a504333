package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"cbk/pack"
	"cbk/repo/store"
)

// Objects counts objects and their bytes.
type Objects struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

func (o *Objects) add(n int, bytes int64) {
	o.Objects += n
	o.Bytes += bytes
}

// Freed is what the deletion of backups brings back. What the next garbage collection condemns it deletes when the
// tombstone is as old as the grace time; packs younger than the minimal age wait for that first.
type Freed struct {
	Blobs int   // that only the backups need
	Bytes int64 // of these, as stored
	Later int64 // of Bytes: in packs that stay, because much else in them is alive

	Whole    Objects // packs in which nothing else is alive
	Repacked Objects // packs in which little else is alive: it is copied out of them
	Copied   int64   // bytes of that
	Young    Objects // of Whole and Repacked: younger than the minimal age
	Newest   time.Time

	Garbage Objects // packs that go in any case; not among the others
	Copies  Objects // what lies in full copies, and goes with the deletion itself
}

// Freed tells what the deletion of the backups of these roots, together, brings back. It looks at their domains as GC
// does, with the same memory, and changes nothing: what GC refuses because it cannot be read is a *DamageError here.
func (r *Repo) Freed(ctx context.Context, roots []string, o GCOptions) (*Freed, error) {
	f := &Freed{}
	gone, domains := make(map[Place]bool), make(map[string]bool)
	for _, name := range roots {
		root, err := r.ReadRoot(ctx, name)
		if err != nil {
			return nil, err
		}
		gone[root.At], domains[root.At.Domain] = true, true
		for _, p := range root.Parts {
			domains[p.Domain] = true
		}
		if root.Full {
			err = r.eachCopied(ctx, root.Copy(), func(_ pack.ID, _ string, i store.Info) error { f.Copies.add(1, i.Size); return nil })
		}
		if err != nil {
			return nil, err
		}
	}
	for _, domain := range slices.Sorted(maps.Keys(domains)) {
		k := &keeper{repo: r, domain: domain, opt: o, res: &GCResult{}}
		if err := k.freed(ctx, gone, f); err != nil {
			return nil, fmt.Errorf("look at %s: %w", domain, err)
		}
	}
	return f, nil
}

// freed adds what one domain brings back. What the other roots keep alive is marked first, so that what comes to it with
// the roots that go is theirs alone.
func (k *keeper) freed(ctx context.Context, gone map[Place]bool, f *Freed) error {
	k.leaving = gone
	w, err := k.look(ctx)
	if err != nil {
		return err
	}
	return k.ages(ctx, w.tally(k.others, f), f)
}

// tally adds up blobs and packs, and returns the packs that go.
func (w *world) tally(others bitset, f *Freed) (going []packState) {
	before, after := make([]uint64, len(w.packs)), make([]uint64, len(w.packs))
	w.held.each(func(n int, h *holder) {
		if !w.held.live.has(n) {
			return
		}
		before[h.pack] += h.bytes()
		if others.has(n) {
			after[h.pack] += h.bytes()
			return
		}
		f.Blobs++
		f.Bytes += int64(h.bytes())
	})
	for i := range w.packs {
		p := &w.packs[i]
		switch {
		case p.condemned, p.thin(before[i]):
			f.Garbage.add(1, int64(p.size))
			continue
		case after[i] == 0:
			f.Whole.add(1, int64(p.size))
		case p.thin(after[i]):
			f.Repacked.add(1, int64(p.size))
			f.Copied += int64(after[i])
		default:
			f.Later += int64(before[i] - after[i])
			continue
		}
		going = append(going, *p)
	}
	return going
}

// ages finds out which of the packs are too young to be condemned.
func (k *keeper) ages(ctx context.Context, packs []packState, f *Freed) error {
	if k.opt.MinAge <= 0 {
		return nil
	}
	var mu sync.Mutex
	return each(ctx, len(packs), func(ctx context.Context, i int) error {
		info, err := k.repo.st.Stat(ctx, PackName(packs[i].name))
		if errors.Is(err, store.ErrNotFound) || err == nil && k.past(info.ModTime, k.opt.MinAge) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		f.Young.add(1, int64(packs[i].size))
		if info.ModTime.After(f.Newest) {
			f.Newest = info.ModTime
		}
		return err
	})
}
