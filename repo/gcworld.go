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
	"cbk/repo/keys"
)

// keeper is one run of garbage collection in one domain.
type keeper struct {
	repo   *Repo
	dom    *keys.Domain
	domain string
	opt    GCOptions
	res    *GCResult
	world  *world // as seen by this run's K2
	seq    uint64 // of the newest shard
}

// world is what a keeper sees of a domain. For each blob it holds 40 bytes: 400 MiB for ten million.
type world struct {
	view   *epochs
	shards []shard
	packs  []packState
	blobs  []holder // by id
	live   bitset   // one holder of each blob that a root needs
}

type shard struct {
	name  string
	packs []int // numbers in world.packs
}

type packState struct {
	name    pack.ID
	shard   string // one that names it
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
	for range maxRetries {
		w, err := k.lookOnce(ctx)
		var damage *DamageError
		if !errors.As(err, &damage) || damage.What != missing {
			return w, err
		}
		if there, err := k.repo.exists(ctx, damage.Object); err != nil || there {
			return nil, errors.Join(err, damage)
		}
		// No shard may name a pack that is gone: that is damage, not change.
		if Classify(damage.Object) == KindPack {
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
	w := &world{view: view}
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
		if Aborted(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		alive = append(alive, aliveRoot{Root: root})
	}
	for _, name := range pending {
		if gone[path.Base(name)] {
			continue
		}
		root, err := k.repo.readPending(ctx, name)
		if err != nil {
			return nil, err
		}
		alive = append(alive, aliveRoot{Root: root, pending: true})
	}
	return alive, nil
}

// load reads every shard.
func (k *keeper) load(ctx context.Context, w *world) error {
	names, err := k.repo.ListShards(ctx, k.domain)
	if err != nil {
		return err
	}
	number := make(map[pack.ID]int)
	for _, name := range names {
		packs, err := k.repo.readShard(ctx, name)
		if err != nil {
			return err
		}
		seq, _, _ := index.ParseShardName(path.Base(name))
		k.seq = max(k.seq, seq)
		s := shard{name: name}
		for _, p := range packs {
			n, met := number[p.Name]
			if !met {
				n = len(w.packs)
				number[p.Name] = n
				w.packs = append(w.packs, packState{name: p.Name, shard: name})
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
	rd, err := k.repo.newReader(ctx, source{Repo: k.repo}, k.domain, index.OpenTemporary)
	if err != nil {
		return err
	}
	defer rd.Close()
	m := marker{world: w, rd: rd, seen: make(map[pack.ID]bool)}
	for _, root := range roots {
		if err := m.root(ctx, root); err != nil {
			return err
		}
	}
	return nil
}

type marker struct {
	world   *world
	rd      *Reader
	scratch Scratch
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
		b, err := m.rd.Load(ctx, &m.scratch, nil, id, pack.Refs)
		if damage := (*DamageError)(nil); errors.As(err, &damage) && root.pending {
			continue
		}
		if err != nil {
			return err
		}
		ids, err := DecodeRefs(b)
		if err == nil {
			err = need(ids...)
		}
		if err != nil {
			return fmt.Errorf("reference segment %s: %w", id.Short(), err)
		}
		m.seen[id] = !root.pending
	}
	return nil
}

// salvage is what has to be copied out of one condemned pack.
type salvage struct {
	info pack.Info
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
			out[n] = &salvage{want: make(map[pack.ID]bool), from: p.shard, info: pack.Info{Name: p.name}}
		}
		out[n].want[b.id] = true
	}
	return out
}
