package repo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

// keeper is one run of garbage collection in one domain.
type keeper struct {
	repo   *Repo
	domain string
	opt    GCOptions
	res    *GCResult
	world  *world // as seen by this run's K2
	seq    uint64 // of the newest shard
	parts  []part // committed parts of roots that are dead
}

// world is what a keeper sees of a domain. For each blob it holds 40 bytes: 400 MiB for ten million.
type world struct {
	view   *epochs
	shards []shard
	packs  []packState
	blobs  []holder // by id
	live   bitset   // one holder of each blob that a root needs
	refs   map[pack.ID][]location
}

// location is where a reference segment lies.
type location struct {
	pack                  int // number in world.packs
	offset, stored, plain uint32
}

type shard struct {
	name  string
	packs []int // numbers in world.packs
}

type packState struct {
	name    pack.ID
	shard   string // one that names it
	dom     *roles.Domain
	content uint64 // stored bytes of its blobs
}

type holder struct {
	id     pack.ID
	pack   uint32
	stored uint32 // its top bit, far above the size of any blob: nobody can open the session any more
}

const lostHolder = 1 << 31

// rank orders the holders of a blob: first those that can be read, then those that need no copying.
func (w *world) rank(h holder) (n int) {
	if h.stored&lostHolder != 0 {
		n = 2
	}
	if w.view.condemned[w.packs[h.pack].name] {
		n++
	}
	return n
}

type bitset []uint64

func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitset) set(i int)      { b[i/64] |= 1 << (i % 64) }

// look reads tombstones, pending roots, roots and shards, in this order, and marks what the roots need. A session that
// commits meanwhile is seen pending or committed; whatever a root needs had its shard before the root was announced. An
// object that goes between being listed and being read (another keeper, a writer, a deletion) makes the look worthless:
// a pending root may have gone because its root came. Then all is read again.
func (k *keeper) look(ctx context.Context) (*world, error) {
	gone := make(map[string]int)
	for range maxRetries {
		k.parts = nil
		w, err := k.lookOnce(ctx)
		var damage *DamageError
		if !errors.As(err, &damage) || damage.What != missing {
			return w, err
		}
		if there, err := k.repo.exists(ctx, damage.Object); err != nil || there {
			return nil, errors.Join(err, damage)
		}
		// A pack may go with the shards that named it as another keeper sweeps. Missed again, shards name it still: damage.
		if gone[damage.Object]++; Classify(damage.Object) == KindPack && gone[damage.Object] > 2 {
			return nil, damage
		}
	}
	return nil, fmt.Errorf("the domain changed while it was read, %d times in a row: try again later", maxRetries)
}

func (k *keeper) lookOnce(ctx context.Context) (*world, error) {
	view, err := k.repo.readEpochs(ctx, k.domain)
	if err != nil {
		return nil, err
	}
	pending, err := k.repo.names(ctx, pendPrefix+k.domain+"/", KindPending)
	if err != nil {
		return nil, err
	}
	roots, err := k.roots(ctx, pending)
	if err != nil {
		return nil, err
	}
	w := &world{view: view, refs: make(map[pack.ID][]location)}
	if err := k.load(ctx, w); err != nil {
		return nil, err
	}
	return w, k.mark(ctx, w, roots)
}

// load reads every shard.
func (k *keeper) load(ctx context.Context, w *world) error {
	names, err := k.repo.ListShards(ctx, k.domain)
	if err != nil {
		return err
	}
	number := make(map[pack.ID]int)
	seals, lost := k.repo.sealState(k.domain), make(map[pack.SessionID]bool)
	for _, name := range names {
		read, err := k.repo.readShard(ctx, name)
		if err != nil {
			return err
		}
		seq, _, _ := index.ParseShardName(path.Base(name))
		k.seq = max(k.seq, seq)
		s := shard{name: name}
		for _, p := range read.packs {
			n, met := number[p.Name]
			if !met {
				n = len(w.packs)
				number[p.Name] = n
				w.packs = append(w.packs, packState{name: p.Name, shard: name, dom: read.dom})
				if err := lostOf(ctx, seals, p.Sessions, lost); err != nil {
					return err
				}
				w.add(n, &p, lost)
			}
			s.packs = append(s.packs, n)
		}
		w.shards = append(w.shards, s)
	}
	slices.SortFunc(w.blobs, func(a, b holder) int {
		return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.pack, b.pack))
	})
	w.live = make(bitset, len(w.blobs)/64+1)
	return nil
}

// lostOf finds out which sessions nobody can open any more, each once.
func lostOf(ctx context.Context, seals *sealState, sessions []pack.Session, lost map[pack.SessionID]bool) (err error) {
	for _, s := range sessions {
		if _, known := lost[s.ID]; !known && err == nil {
			lost[s.ID], err = seals.lost(ctx, s)
		}
	}
	return err
}

func (w *world) add(n int, p *pack.Info, lost map[pack.SessionID]bool) {
	for _, e := range p.Entries {
		h := holder{e.ID, uint32(n), e.Stored &^ lostHolder}
		if lost[e.Session] && !indexed(e.Type) {
			h.stored |= lostHolder
		}
		w.blobs = append(w.blobs, h)
		w.packs[n].content += uint64(e.Stored)
		if e.Type == pack.Refs {
			w.refs[e.ID] = append(w.refs[e.ID], location{n, e.Offset, e.Stored, e.Plain})
		}
	}
}

// holders returns the range of w.blobs that holds a blob.
func (w *world) holders(id pack.ID) (from, to int) {
	from = sort.Search(len(w.blobs), func(i int) bool { return bytes.Compare(w.blobs[i].id[:], id[:]) >= 0 })
	for to = from; to < len(w.blobs) && w.blobs[to].id == id; to++ {
	}
	return from, to
}

// need marks a blob as alive: one holder is enough, the first of the best rank.
func (w *world) need(id pack.ID) error {
	from, to := w.holders(id)
	if from == to {
		return &DamageError{Object: "blob " + id.String(), What: "a backup needs it and no shard names it"}
	}
	best := from
	for i := from; i < to; i++ {
		if w.live.has(i) {
			return nil
		}
		if w.rank(w.blobs[i]) < w.rank(w.blobs[best]) {
			best = i
		}
	}
	w.live.set(best)
	return nil
}

// mark follows the references of the roots. Each distinct segment is read once.
func (k *keeper) mark(ctx context.Context, w *world, roots []aliveRoot) error {
	m := marker{keeper: k, world: w, seen: make(map[pack.ID]bool)}
	for _, root := range roots {
		if err := m.root(ctx, root); err != nil {
			return err
		}
	}
	return nil
}

type marker struct {
	*keeper
	world   *world
	scratch pack.Scratch
	seen    map[pack.ID]bool
}

func (m *marker) root(ctx context.Context, root aliveRoot) error {
	need := func(ids ...pack.ID) error {
		for _, id := range ids {
			if err := m.world.need(id); err != nil && !root.pending {
				return err
			}
		}
		return nil
	}
	if err := need(slices.Concat([]pack.ID{root.Ring}, root.Descriptions, root.Refs)...); err != nil {
		return err
	}
	for _, id := range root.Refs {
		if m.seen[id] {
			continue
		}
		err := m.segment(ctx, id, need)
		if errors.As(err, new(*DamageError)) && root.pending {
			continue
		}
		if err != nil {
			return err
		}
		m.seen[id] = !root.pending
	}
	return nil
}

// segment needs what a reference segment lists. Every holder of the segment is read and all of them count: a holder that
// a stolen key has made up can keep too much alive, never too little.
func (m *marker) segment(ctx context.Context, id pack.ID, need func(...pack.ID) error) error {
	failed := error(&DamageError{Object: "blob " + id.String(), What: "a backup needs it and no shard names it"})
	read := 0
	for _, at := range m.world.refs[id] {
		ids, err := m.read(ctx, id, at)
		if ignoreDamage(err) != nil {
			return err
		}
		if err != nil {
			failed = err
			continue
		}
		read++
		if err := need(ids...); err != nil {
			return fmt.Errorf("reference segment %s: %w", id.Short(), err)
		}
	}
	if read == 0 {
		return failed
	}
	return nil
}

func (m *marker) read(ctx context.Context, id pack.ID, at location) ([]pack.ID, error) {
	p := m.world.packs[at.pack]
	return m.repo.readRefs(ctx, p.dom, &m.scratch, id, PackName(p.name), at.offset, at.stored, at.plain)
}

// salvage is what has to be copied out of one condemned pack.
type salvage struct {
	info pack.Info
	dom  *roles.Domain
	want map[pack.ID]bool
	from string // the shard that names it
}

// doomed returns the live blobs whose every holder is condemned, or whose every other holder cannot be opened, by pack:
// need prefers other holders, so a live holder in a condemned pack has none.
func (w *world) doomed() map[int]*salvage {
	out := make(map[int]*salvage)
	for i, b := range w.blobs {
		p := w.packs[b.pack]
		if !w.view.condemned[p.name] || !w.live.has(i) {
			continue
		}
		n := int(b.pack)
		if out[n] == nil {
			out[n] = &salvage{want: make(map[pack.ID]bool), from: p.shard, dom: p.dom, info: pack.Info{Name: p.name}}
		}
		out[n].want[b.id] = true
	}
	return out
}

// mentions reports whether an object is a shard that was read, or a pack that one names.
func (w *world) mentions(name string) bool {
	return slices.ContainsFunc(w.shards, func(s shard) bool { return s.name == name }) ||
		slices.ContainsFunc(w.packs, func(p packState) bool { return PackName(p.name) == name })
}
