package repo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"cbk/pack"
)

const (
	// fetchReads bounds the requests a fetch has under way. A window seldom has more than a few ranges.
	fetchReads = 8
	// fetchOpens bounds the blobs opened side by side, whatever the number of processors: each takes up to 16 MiB.
	fetchOpens = 4
)

// Want asks for one blob.
type Want struct {
	ID   pack.ID
	Type pack.Type
	Tag  int // the caller's own, given back with the blob
}

// Fetch gives the wanted blobs to emit, one after another, in the order of wants, as often as they are wanted. It reads
// ahead: blobs that lie near each other in a pack share a request, whatever lies between them in wants.
//
// wants is drawn from in another goroutine, by up to two windows before emit is called, and no more when Fetch returns.
// plain is valid until emit returns. err is a *DamageError for a blob that is lost, or not as written at any of its
// holders; Fetch goes on with the rest. An error of emit ends Fetch and is returned as it is, as do those of the store
// and the end of ctx.
//
// Memory, for wants of any length: two windows of 32 MiB outside Go's heap and 16 MiB for each of five blobs, less where
// blobs are smaller.
func (rd *Reader) Fetch(ctx context.Context, wants iter.Seq[Want], emit func(w Want, plain []byte, err error) error) error {
	return rd.fetch(ctx, fetchLimits, wants, emit)
}

func (rd *Reader) fetch(ctx context.Context, l limits, wants iter.Seq[Want], emit func(Want, []byte, error) error) (err error) {
	f := &fetch{rd: rd, limits: l, out: make(chan *window), slots: make([]slot, min(runtime.GOMAXPROCS(0), fetchOpens)+1)}
	for i := range f.slots {
		f.slots[i].done = make(chan error, 1)
	}
	reading, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		defer close(f.out)
		ended <- f.collect(reading, wants)
	}()
	for w := range f.out {
		if err = f.deliver(ctx, w, emit); err != nil {
			break
		}
	}
	cancel()
	if failed := <-ended; err == nil {
		err = failed
	}
	if kept := f.free(); kept != nil {
		return errors.Join(err, kept)
	}
	return err
}

// fetch is one run of Fetch: a goroutine collects and reads windows while the one before is delivered.
type fetch struct {
	rd *Reader
	limits
	out   chan *window
	slots []slot

	// The collecting goroutine's own. A window is handed over when the one before it is delivered, so two memories are
	// enough, and the last window can still be read while the next one is filled.
	memory [2][]byte
	sent   int
	last   *window
}

// slot is the memory in which one blob is opened.
type slot struct {
	scratch Scratch
	plain   []byte
	done    chan error
}

func (f *fetch) collect(ctx context.Context, wants iter.Seq[Want]) error {
	return f.divide(ctx, func(yield func(item) bool) {
		for w := range wants {
			if !yield(item{want: w}) {
				return
			}
		}
	})
}

// divide makes windows of the items and reads them.
func (f *fetch) divide(ctx context.Context, items iter.Seq[item]) error {
	p := newPlan(f.limits)
	for it := range items {
		if !it.placed && it.err == nil {
			if err := f.rd.place(&it); err != nil {
				return err
			}
		}
		it.placed = it.placed && !f.rd.isGone(it.loc.Pack)
		if p.add(it) {
			continue
		}
		if err := f.send(ctx, p); err != nil {
			return err
		}
		p = newPlan(f.limits)
		p.add(it)
	}
	return f.send(ctx, p)
}

// send reads a window and hands it over. If packs turn out to be gone, other places are found for all that is astray, and
// the window is divided anew: each time round at least one more pack is known to be gone.
func (f *fetch) send(ctx context.Context, p *plan) error {
	gone := p.astray
	var w *window
	if !gone {
		var err error
		if w, err = p.window(f.room); err != nil {
			return err
		}
		if gone, err = f.read(ctx, w); err != nil {
			return err
		}
	}
	if gone {
		if err := f.rd.heal(ctx, p.items); err != nil {
			return err
		}
		return f.divide(ctx, slices.Values(p.items))
	}
	select {
	case f.out <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	f.last = w
	f.sent++
	return nil
}

// room returns the memory whose turn it is. It is mapped outside Go's heap: what is not touched costs nothing, and the
// collector does not double it.
func (f *fetch) room(size int64) (_ []byte, err error) {
	m := &f.memory[f.sent%2]
	if int64(len(*m)) < size {
		if err := unmap(m); err != nil {
			return nil, err
		}
		if *m, err = unix.Mmap(-1, 0, int(max(size, f.budget)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
			return nil, fmt.Errorf("read buffer: %w", err)
		}
	}
	return (*m)[:size], nil
}

func unmap(m *[]byte) error {
	if *m == nil {
		return nil
	}
	b := *m
	*m = nil
	if err := unix.Munmap(b); err != nil {
		return fmt.Errorf("read buffer: %w", err)
	}
	return nil
}

func (f *fetch) free() error { return errors.Join(unmap(&f.memory[0]), unmap(&f.memory[1])) }

// read fills the window's ranges. gone reports that some pack was not there.
func (f *fetch) read(ctx context.Context, w *window) (gone bool, err error) {
	var lost atomic.Bool
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchReads)
	for _, s := range w.order {
		from, to := s.take(f.last, f.block)
		if from == to {
			continue
		}
		g.Go(func() error {
			err := f.rd.repo.st.ReadAt(ctx, f.rd.repo.packName(s.pack), from, s.data[from-s.off:to-s.off])
			switch {
			case isMissing(err):
				f.rd.lose(s.pack)
				lost.Store(true)
			case isShort(err):
				s.short = true
			default:
				return err
			}
			return nil
		})
	}
	err = g.Wait()
	return lost.Load(), err
}

// deliver opens the blobs of a window side by side and gives them away in order.
func (f *fetch) deliver(ctx context.Context, w *window, emit func(Want, []byte, error) error) error {
	var opening sync.WaitGroup
	defer opening.Wait()
	ahead := len(f.slots)
	for i := range len(w.items) + ahead {
		s := &f.slots[i%ahead]
		if i >= ahead {
			if err := f.give(ctx, w, i-ahead, s, emit); err != nil {
				return err
			}
		}
		if i < len(w.items) {
			opening.Go(func() { s.done <- f.open(ctx, w, &w.items[i], s) })
		}
	}
	return nil
}

func (f *fetch) open(ctx context.Context, w *window, it *item, s *slot) error {
	if it.err != nil {
		return it.err
	}
	sealed := w.bytes(it.loc.Pack, int64(it.loc.Offset), int64(it.loc.Stored))
	if sealed == nil {
		return &DamageError{Object: f.rd.repo.packName(it.loc.Pack), What: "it ends too early"}
	}
	plain, err := f.rd.open(ctx, &s.scratch, s.plain, &it.loc, it.want, sealed)
	if err == nil {
		s.plain = plain
	}
	return err
}

// give emits one blob. One that did not open is looked for at its other holders first.
func (f *fetch) give(ctx context.Context, w *window, i int, s *slot, emit func(Want, []byte, error) error) error {
	it := &w.items[i]
	err := <-s.done
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if it.err == nil && another(err) {
		if err = f.elsewhere(ctx, w, i, s, err); err != nil && !isDamage(err) {
			return err
		}
	}
	switch {
	case err == nil:
		return emit(it.want, s.plain, nil)
	case isDamage(err):
		return emit(it.want, nil, err)
	}
	return err
}

// elsewhere reads a blob that did not open as it lies in the store, there and at its other holders. They are looked for
// once, for the rest of the window: where one blob is damaged, more are likely to be.
func (f *fetch) elsewhere(ctx context.Context, w *window, i int, s *slot, failed error) (err error) {
	if w.others == nil {
		ids := make(map[pack.ID]bool)
		for _, it := range w.items[i:] {
			ids[it.want.ID] = true
		}
		if w.others, err = f.rd.holders(ctx, ids); err != nil {
			return err
		}
	}
	plain, err := f.rd.readAny(ctx, &s.scratch, s.plain, w.others[w.items[i].want.ID], w.items[i].want, failed)
	if err == nil {
		s.plain = plain
	}
	return err
}
