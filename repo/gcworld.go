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
	world  *world   // as seen by this run's K2
	seq    uint64   // of the newest shard
	parts  []string // committed parts of roots that are dead
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
	stored uint32
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

// aliveRoot is a root that keeps its blobs. What a pending one needs and does not find is no damage: its writer learns of
// it before it commits.
type aliveRoot struct {
	*Root
	pending bool
}

// fate says what became of a root that was announced.
type fate int

const (
	undecided fate = iota
	committed
	dead
)

// fateOf finds out what became of the root at a name: dead if its deletion record stands, or an abort record in its
// place. dead is for ever; and a root that a revoked key wrote too late never lived.
func (r *Repo) fateOf(ctx context.Context, name string) (fate, error) {
	deleted, err := r.exists(ctx, sibling(deadPrefix, name))
	if err != nil {
		return undecided, err
	}
	if deleted {
		return dead, nil
	}
	_, err = r.ReadRoot(ctx, name)
	switch {
	case err == nil:
		return committed, nil
	case Aborted(err) || Void(err):
		return dead, nil
	case ignoreMissing(err) == nil:
		return undecided, nil
	}
	return undecided, err
}

// roots reads what is alive: committed roots without a deletion record, and pending roots whose id has no abort or
// deletion record.
func (k *keeper) roots(ctx context.Context, pending []string) (alive []aliveRoot, err error) {
	deleted, err := k.repo.names(ctx, deadPrefix+k.domain+"/", KindDeleted)
	if err != nil {
		return nil, err
	}
	gone := make(map[string]bool)
	for _, name := range deleted {
		gone[path.Base(name)] = true
	}
	committed, err := k.repo.names(ctx, rootPrefix+k.domain+"/", KindRoot)
	if err != nil {
		return nil, err
	}
	for _, name := range committed {
		if gone[path.Base(name)] {
			continue
		}
		root, err := k.repo.ReadRoot(ctx, name)
		gone[path.Base(name)] = true // a pending root of this id says nothing more
		if Aborted(err) || Void(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n := len(alive)
		if alive, err = k.revive(ctx, alive, aliveRoot{Root: root}); err != nil {
			return nil, err
		}
		if root.Main != nil && len(alive) == n {
			k.parts = append(k.parts, name)
		}
	}
	for _, name := range pending {
		if gone[path.Base(name)] {
			continue
		}
		root, err := k.repo.readPending(ctx, name)
		if err != nil {
			return nil, err
		}
		if alive, err = k.revive(ctx, alive, aliveRoot{Root: root, pending: true}); err != nil {
			return nil, err
		}
	}
	return alive, nil
}

// revive adds a root to those alive, unless it is part of one that is dead, or needs nothing of the shared packs.
func (k *keeper) revive(ctx context.Context, alive []aliveRoot, root aliveRoot) ([]aliveRoot, error) {
	if root.Full {
		return alive, nil
	}
	if root.Main != nil {
		f, err := k.repo.fateOf(ctx, root.Main.Name())
		if err != nil || f == dead {
			return alive, err
		}
	}
	return append(alive, root), nil
}

// load reads every shard.
func (k *keeper) load(ctx context.Context, w *world) error {
	names, err := k.repo.ListShards(ctx, k.domain)
	if err != nil {
		return err
	}
	number := make(map[pack.ID]int)
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
				w.add(n, &p)
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

func (w *world) add(n int, p *pack.Info) {
	for _, e := range p.Entries {
		w.blobs = append(w.blobs, holder{e.ID, uint32(n), e.Stored})
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

// need marks a blob as alive: one holder is enough, preferably one that is not condemned.
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
		if !w.view.condemned[w.packs[w.blobs[i].pack].name] {
			best = i
			break
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
	name := PackName(p.name)
	sealed := make([]byte, at.stored)
	if err := m.repo.st.ReadAt(ctx, name, int64(at.offset), sealed); err != nil {
		return nil, asDamage(name, err)
	}
	opener := pack.Sealer{Codec: m.repo.codec, Repository: m.repo.id, Domain: m.domain, Hasher: p.dom.Hasher}
	plain, err := opener.Open(nil, &m.scratch, p.dom.Index, pack.Refs, id, sealed, int(at.plain))
	if err != nil {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("blob %s: %v", id.Short(), err)}
	}
	ids, err := DecodeRefs(plain)
	if err != nil {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("reference segment %s: %v", id.Short(), err)}
	}
	return ids, nil
}

// salvage is what has to be copied out of one condemned pack.
type salvage struct {
	info pack.Info
	dom  *roles.Domain
	want map[pack.ID]bool
	from string // the shard that names it
}

// doomed returns the live blobs whose every holder is condemned, by pack. need prefers holders that are not condemned, so
// a live holder in a condemned pack has no other.
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
