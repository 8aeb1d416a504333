package repo

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sort"

	"cbk/pack"
	"cbk/pack/wire"
)

// holdings says which packs of a domain hold which blobs, and which of them a backup needs: 24 bytes for each blob in each
// pack, 240 MB for ten million. A blob goes by a tag: 128 bits of the hash of a key, drawn for this run, and its id. That
// two of ten million blobs share a tag has a chance of 1 in 10^24, and who makes up ids does not know the key.
type holdings struct {
	key   tagKey
	parts [1 << partBits][]holder // by the first bits of the tag, so that each part is sorted, and grows, by itself
	first [1 << partBits]int      // the number of the first holder of each part, among all
	n     int
	live  bitset // one holder of each blob that a root needs
}

// partBits makes parts of 2,400 holders out of ten million: what is left over when one grows is little.
const partBits = 12

// holder is one blob in one pack.
type holder struct {
	tag
	pack   uint32 // number in world.packs
	stored uint32 // bytes; its top bit, far above the size of any blob: nobody can open the session any more, or a check could not read it
}

// tag stands for the id of a blob.
type tag struct{ hi, lo uint64 }

const lostHolder = 1 << 31

func (h *holder) lost() bool    { return h.stored&lostHolder != 0 }
func (h *holder) bytes() uint64 { return uint64(h.stored &^ lostHolder) }

func compareTags(a, b tag) int { return cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo)) }

type bitset []uint64

func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitset) set(i int)      { b[i/64] |= 1 << (i % 64) }

func newHoldings() *holdings {
	h := &holdings{}
	rand.Read(h.key[:])
	return h
}

// reset empties h and keeps its memory: a keeper looks at its domain at least twice.
func (h *holdings) reset() {
	for i := range h.parts {
		h.parts[i] = h.parts[i][:0]
	}
	h.n, h.live = 0, nil
}

// tagKey is what tags are made with.
type tagKey [16]byte

func (k *tagKey) tag(id pack.ID) tag {
	var keyed [16 + 32]byte
	copy(keyed[:], k[:])
	copy(keyed[16:], id[:])
	sum := sha256.Sum256(keyed[:])
	return tag{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
}

// info returns a tag of all that a shard says of a pack.
func (k *tagKey) info(p *pack.Info) tag {
	var e wire.Encoder
	e.Fixed(p.Name[:])
	e.Uvarint(uint64(p.Size))
	pack.AppendInfo(&e, p.Sessions, p.Entries)
	return k.tag(sha256.Sum256(e.Out()))
}

func (t tag) part() int { return int(t.hi >> (64 - partBits)) }

func (h *holdings) add(id pack.ID, pack, stored uint32) {
	t := h.key.tag(id)
	p := &h.parts[t.part()]
	*p = append(*p, holder{t, pack, stored})
	h.n++
}

// sort puts the holders in order, after the last was added.
func (h *holdings) sort() {
	n := 0
	for i, p := range h.parts {
		h.first[i] = n
		n += len(p)
		slices.SortFunc(p, func(a, b holder) int { return cmp.Or(compareTags(a.tag, b.tag), cmp.Compare(a.pack, b.pack)) })
	}
	h.live = make(bitset, n/64+1)
}

// of returns the holders of a blob, and the number of the first.
func (h *holdings) of(id pack.ID) (group []holder, first int) {
	t := h.key.tag(id)
	p := h.parts[t.part()]
	from := sort.Search(len(p), func(i int) bool { return compareTags(p[i].tag, t) >= 0 })
	to := from
	for to < len(p) && p[to].tag == t {
		to++
	}
	return p[from:to], h.first[t.part()] + from
}

// doubt marks the holders that a pack is of blobs, of all it holds where blobs is nil, as one that cannot be read.
func (h *holdings) doubt(pack uint32, blobs lacking) {
	for id := range blobs {
		group, _ := h.of(id)
		for i := range group {
			if group[i].pack == pack {
				group[i].stored |= lostHolder
			}
		}
	}
}

// each calls fn for each holder with its number.
func (h *holdings) each(fn func(n int, h *holder)) {
	for i, p := range h.parts {
		for j := range p {
			fn(h.first[i]+j, &p[j])
		}
	}
}

// groups calls fn for each blob with its holders, and the one that is needed, nil for none.
func (h *holdings) groups(fn func(group []holder, needed *holder)) {
	for i, p := range h.parts {
		for from, to := 0, 0; from < len(p); from = to {
			var needed *holder
			for ; to < len(p) && p[to].tag == p[from].tag; to++ {
				if h.live.has(h.first[i] + to) {
					needed = &p[to]
				}
			}
			fn(p[from:to], needed)
		}
	}
}
