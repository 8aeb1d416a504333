package repo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"sync"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

// keeper is one run of garbage collection in one domain.
type keeper struct {
	repo   *Repo
	domain string
	opt    GCOptions
	world  *world          // as seen by this run's K2
	held   *holdings       // the memory of the last look, for the next one
	seq    uint64          // of the newest shard
	parts  []part          // committed parts of roots that are dead
	ended  map[string]bool // pending roots that a rehearsal takes for ended

	leaving map[Place]bool // roots whose deletion is being thought of
	theirs  needs          // what they name
	stale   []string       // records of what is wanted that name no pack which a shard names
	judged  map[pack.ID]bool
	read    int    // packs read to judge them
	others  bitset // what is needed without them, of world.held

	mu     sync.Mutex // of the two below, while requests are under way
	res    *GCResult
	denied []error // deletions that the store does not allow
}

// world is what a keeper sees of a domain.
type world struct {
	view   *epochs
	shards []shard
	packs  []packState
	held   *holdings
	refs   []segment // by id
}

// segment is a place where a reference segment lies.
type segment struct {
	id                    pack.ID
	pack                  uint32 // number in world.packs
	offset, stored, plain uint32
}

type shard struct {
	name    string
	revoked bool     // its author's key is: backups leave it out
	packs   []uint32 // numbers in world.packs
	says    []tag    // of what it says of each; another shard may say something else
}

type packState struct {
	name      pack.ID
	shard     int // number in world.shards of one that names it
	dom       *roles.Domain
	size      uint32
	content   uint64 // stored bytes of its blobs
	condemned bool
	kept      bool // condemned, and a backup needs a blob that has no other holder and could not be copied
	claimed   bool // a record of what is wanted says that it cannot be read, or not all of it
}

// goes reports whether a sweep may delete a pack: nothing in it is needed from there.
func (p *packState) goes() bool { return p.condemned && !p.kept }

// rank orders the holders of a blob: first those that can be read, then those that need no copying.
func (w *world) rank(h *holder) (n int) {
	if h.lost() {
		n = 2
	}
	if w.packs[h.pack].condemned {
		n++
	}
	return n
}

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
	pending = slices.DeleteFunc(pending, func(name string) bool { return k.ended[name] })
	roots, err := k.roots(ctx, pending)
	if err != nil {
		return nil, err
	}
	if k.held == nil {
		k.held = newHoldings()
	}
	k.held.reset()
	w := &world{view: view, held: k.held}
	if err := k.load(ctx, w); err != nil {
		return nil, err
	}
	if err := k.mark(ctx, w, roots); err != nil || k.leaving == nil {
		return w, err
	}
	k.others = slices.Clone(w.held.live)
	return w, k.mark(ctx, w, k.theirs)
}

// load reads every shard.
func (k *keeper) load(ctx context.Context, w *world) error {
	names, err := k.repo.ListShards(ctx, k.domain)
	if err != nil {
		return err
	}
	number := make(map[pack.ID]uint32)
	seals, lost := k.repo.sealState(k.domain), make(map[pack.SessionID]bool)
	for _, name := range names {
		read, err := k.repo.readShard(ctx, name)
		if err != nil {
			return err
		}
		seq, _, _ := index.ParseShardName(path.Base(name))
		k.seq = max(k.seq, seq)
		s := shard{name: name, revoked: read.revoked, packs: make([]uint32, 0, len(read.packs)), says: make([]tag, 0, len(read.packs))}
		for i := range read.packs {
			p := &read.packs[i]
			n, met := number[p.Name]
			if !met {
				n = uint32(len(w.packs))
				number[p.Name] = n
				if err := lostOf(ctx, seals, p.Sessions, lost); err != nil {
					return err
				}
				w.packs = append(w.packs, packState{name: p.Name, shard: len(w.shards), dom: read.dom, size: p.Size,
					condemned: w.view.condemned[p.Name]})
				w.add(n, p, lost)
			}
			s.packs, s.says = append(s.packs, n), append(s.says, w.held.key.info(p))
		}
		w.shards = append(w.shards, s)
	}
	w.held.sort()
	slices.SortFunc(w.refs, func(a, b segment) int { return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.pack, b.pack)) })
	return k.doubt(ctx, w, number)
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

func (w *world) add(n uint32, p *pack.Info, lost map[pack.SessionID]bool) {
	for _, e := range p.Entries {
		stored := e.Stored &^ lostHolder
		w.packs[n].content += uint64(stored)
		if lost[e.Session] && !indexed(e.Type) {
			stored |= lostHolder
		}
		w.held.add(e.ID, n, stored)
		if e.Type == pack.Refs {
			w.refs = append(w.refs, segment{e.ID, n, e.Offset, e.Stored, e.Plain})
		}
	}
}

// need marks a blob as alive: one holder is enough, the first of the best rank.
func (w *world) need(id pack.ID) error {
	group, first := w.held.of(id)
	if len(group) == 0 {
		return &DamageError{Object: "blob " + id.String(), What: "a backup needs it and no shard names it"}
	}
	best := 0
	for i := range group {
		if w.held.live.has(first + i) {
			return nil
		}
		if w.rank(&group[i]) < w.rank(&group[best]) {
			best = i
		}
	}
	w.held.live.set(first + best)
	return nil
}

// mark follows the references of the roots. Each segment is read once.
func (k *keeper) mark(ctx context.Context, w *world, alive needs) error {
	m := marker{keeper: k, world: w}
	ids := slices.SortedFunc(maps.Keys(alive), func(a, b pack.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		err := m.follow(ctx, id, alive[id])
		if err != nil && (alive[id].committed || ignoreDamage(err) != nil) {
			return err
		}
	}
	return nil
}

type marker struct {
	*keeper
	world   *world
	scratch pack.Scratch
}

// follow needs a blob, and where that is a reference segment what it lists.
func (m *marker) follow(ctx context.Context, id pack.ID, n needed) error {
	err := m.world.need(id)
	if err != nil || !n.segment {
		return err
	}
	return m.segment(ctx, id, func(ids []pack.ID) error {
		for _, id := range ids {
			if err := m.world.need(id); err != nil && n.committed {
				return err
			}
		}
		return nil
	})
}

// segments returns the places of a reference segment.
func (w *world) segments(id pack.ID) []segment {
	first := sort.Search(len(w.refs), func(i int) bool { return bytes.Compare(w.refs[i].id[:], id[:]) >= 0 })
	to := first
	for to < len(w.refs) && w.refs[to].id == id {
		to++
	}
	return w.refs[first:to]
}

// segment needs what a reference segment lists. Every holder of the segment is read and all of them count: a holder that
// a stolen key has made up can keep too much alive, never too little.
func (m *marker) segment(ctx context.Context, id pack.ID, need func([]pack.ID) error) error {
	failed := error(&DamageError{Object: "blob " + id.String(), What: "a backup needs it and no shard names it"})
	read, places := 0, m.world.segments(id)
	for i := range places {
		ids, err := m.read(ctx, &places[i])
		if ignoreDamage(err) != nil {
			return err
		}
		if err != nil {
			failed = err
			continue
		}
		read++
		if err := need(ids); err != nil {
			return fmt.Errorf("reference segment %s: %w", id.Short(), err)
		}
	}
	if read == 0 {
		return failed
	}
	return nil
}

func (m *marker) read(ctx context.Context, at *segment) ([]pack.ID, error) {
	p := &m.world.packs[at.pack]
	return m.repo.readRefs(ctx, p.dom, &m.scratch, at.id, PackName(p.name), at.offset, at.stored, at.plain)
}

// mentions reports whether an object is a shard that was read, or a pack that one names.
func (w *world) mentions(name string) bool {
	return slices.ContainsFunc(w.shards, func(s shard) bool { return s.name == name }) ||
		slices.ContainsFunc(w.packs, func(p packState) bool { return PackName(p.name) == name })
}
