package repo

import (
	"slices"

	"cbk/pack"
)

// limits bound what a fetch reads at a time.
type limits struct {
	block  int64 // ranges begin and end at multiples of it, or at the end of their pack
	budget int64 // bytes read for one window; a single blob may take more
	blobs  int   // blobs of one window
}

// fetchLimits: a request costs as much time as some 1 MiB of bytes, so what lies nearer together is read in one, and whole
// blocks do not tell the store where a blob begins. 32 MiB twice, for the window that is delivered and the one that is
// read, leave most of the 300 MiB of a restore to others. 8192 blobs keep what is known about a window of tiny ones to
// some 2 MiB.
var fetchLimits = limits{block: 1 << 20, budget: 32 << 20, blobs: 8 << 10}

// item is one wanted blob on its way.
type item struct {
	want   Want
	loc    located
	placed bool  // loc says where to read it
	err    error // the verdict on a blob that cannot be had
}

// block is one aligned piece of a pack, the last one shorter.
type block struct {
	pack   pack.ID
	number int64
}

// plan collects the items of a window and the blocks that hold them.
type plan struct {
	limits
	items  []item
	blocks map[block]bool
	sizes  map[pack.ID]int64
	packs  []pack.ID // in the order met
	astray bool      // some item has no place
}

func newPlan(l limits) *plan {
	return &plan{limits: l, blocks: make(map[block]bool), sizes: make(map[pack.ID]int64)}
}

// add takes an item in, unless the window is full. One item always fits.
func (p *plan) add(it item) bool {
	var fresh []block
	if it.placed && it.err == nil {
		end := int64(it.loc.Offset) + max(int64(it.loc.Stored), 1)
		for n := int64(it.loc.Offset) / p.block; n*p.block < end; n++ {
			if b := (block{it.loc.Pack, n}); !p.blocks[b] {
				fresh = append(fresh, b)
			}
		}
	}
	if len(p.items) > 0 && (len(p.items) >= p.limits.blobs || !p.room(len(fresh))) {
		return false
	}
	for _, b := range fresh {
		p.blocks[b] = true
		if _, met := p.sizes[b.pack]; !met {
			p.sizes[b.pack] = int64(it.loc.PackSize)
			p.packs = append(p.packs, b.pack)
		}
	}
	p.items = append(p.items, it)
	p.astray = p.astray || !it.placed && it.err == nil
	return true
}

func (p *plan) room(more int) bool { return int64(len(p.blocks)+more)*p.block <= p.budget }

// span is a range of one pack that is read in one request.
type span struct {
	pack  pack.ID
	off   int64
	size  int64
	data  []byte
	short bool // the pack ends before it: its bytes are not to be used
}

// spans returns the ranges to read, those of a pack in order. Blobs less than a block apart lie in the same or in adjacent
// blocks, so they share a range. A pack of which most is wanted is read whole where the window has room for it: the rest
// is likely to be wanted next.
func (p *plan) spans() (out []*span) {
	numbers := make(map[pack.ID][]int64)
	for b := range p.blocks {
		numbers[b.pack] = append(numbers[b.pack], b.number)
	}
	extra := 0
	for _, id := range p.packs {
		wanted, size := numbers[id], p.sizes[id]
		all := int((size + p.block - 1) / p.block)
		if rest := all - len(wanted); 2*len(wanted) > all && p.room(extra+rest) {
			extra += rest
			out = append(out, &span{pack: id, size: size})
			continue
		}
		slices.Sort(wanted)
		out = append(out, p.runs(id, wanted)...)
	}
	return out
}

// runs makes a range of each run of adjacent blocks.
func (p *plan) runs(id pack.ID, numbers []int64) (out []*span) {
	for i := 0; i < len(numbers); {
		j := i + 1
		for j < len(numbers) && numbers[j] == numbers[j-1]+1 {
			j++
		}
		off, end := numbers[i]*p.block, min((numbers[j-1]+1)*p.block, p.sizes[id])
		out = append(out, &span{pack: id, off: off, size: max(end-off, 0)})
		i = j
	}
	return out
}

// window is a plan and the bytes read for it.
type window struct {
	items []item
	spans map[pack.ID][]*span
	order []*span
	// others are where else the window's blobs lie. They are looked for when the first blob does not open.
	others map[pack.ID][]located
}

func (p *plan) window(memory func(size int64) ([]byte, error)) (*window, error) {
	w := &window{items: p.items, order: p.spans(), spans: make(map[pack.ID][]*span)}
	var size int64
	for _, s := range w.order {
		w.spans[s.pack] = append(w.spans[s.pack], s)
		size += s.size
	}
	mem, err := memory(size)
	if err != nil {
		return nil, err
	}
	for _, s := range w.order {
		s.data, mem = mem[:s.size:s.size], mem[s.size:]
	}
	return w, nil
}

// bytes returns part of a pack as it was read, nil where it was not.
func (w *window) bytes(id pack.ID, off, size int64) []byte {
	if w == nil {
		return nil
	}
	for _, s := range w.spans[id] {
		if s.off <= off && off+size <= s.off+s.size && !s.short {
			return s.data[off-s.off:][:size]
		}
	}
	return nil
}

// take copies into s what an earlier window holds of its first and last blocks, and returns what is left to be read.
// Two packs are filled at a time, so a window often ends in the middle of a block.
func (s *span) take(earlier *window, size int64) (from, to int64) {
	from, to = s.off, s.off+s.size
	for from < to {
		end := min(from+size, to)
		have := earlier.bytes(s.pack, from, end-from)
		if have == nil {
			break
		}
		copy(s.data[from-s.off:], have)
		from = end
	}
	for from < to {
		start := max((to-1)/size*size, from)
		have := earlier.bytes(s.pack, start, to-start)
		if have == nil {
			break
		}
		copy(s.data[start-s.off:], have)
		to = start
	}
	return from, to
}
