package gcmodel

import "math/bits"

// Capacities of the model. A scenario that needs more ends with ErrOutgrown, never with a silent cut.
const (
	maxPacks  = 12
	maxShards = 12
	maxEpochs = 8 // numbers 1…7; 0 means none
	maxRoots  = 6
	maxActors = 6
)

// set is a bit set of packs, shards, roots or blobs: each use says which.
type set uint16

func bit[I int | uint8](i I) set { return 1 << i }

func (s set) has(i int) bool { return s&bit(i) != 0 }

// first returns the lowest member; s must not be empty.
func (s set) first() int { return bits.TrailingZeros16(uint16(s)) }

// pack is an object packs/…; the slot is free while it holds no blob. An absent pack keeps its slot as long as something
// still names it, because a stale shard or cache goes on claiming its blobs.
type pack struct {
	blobs   set
	present bool
	name    uint8 // for traces only
}

// shard is an object index/…; the slot is free while it names no pack.
type shard struct {
	packs  set
	stamp  uint8 // newest epoch its author had read
	listed bool
	name   uint8 // for traces only
}

// epoch is an object gc/<domain>/<number>.
type epoch struct {
	present  bool
	condemns set
	floor    uint8 // every number at or below it is finished for ever
}

// object is what stands at a root's key.
type object uint8

const (
	nothing object = iota
	committed
	aborted
)

// root is everything kept under one snapshot id: the object at the root's key, the pending and the deletion record.
type root struct {
	needs   set // blobs
	object  object
	pending bool
	deleted bool
}

// actor is the memory of one process. Fields that its next steps do not read are zero, so that states which differ in
// nothing that matters are one state.
type actor struct {
	at        pc
	run       uint8 // writer: which of its runs
	epoch     uint8 // newest epoch read: a writer's E0, the stamp of its shards
	low       uint8 // newest number found finished and gone below epoch
	sync      uint8 // writer: newest epoch its cache has seen
	next      uint8 // keeper: the number it will create; remover: the number it will remove
	floor     uint8 // keeper: the floor of the epoch it will create
	own       uint8 // the pack just uploaded and not yet named, plus one
	announced bool  // writer: its pending was created
	condemned set   // packs, by the epochs read
	plan      set   // packs: to condemn, or to keep in a rewritten shard
	doomed    set   // packs to delete
	retire    set   // shards to delete
	copies    set   // blobs to copy
	cached    set   // writer: shards its cache holds
	cache     [maxShards]set
	seen      listing
}

// listing is what a survey of snapshots has found: sets of roots.
type listing struct{ pending, roots, aborts, deleted set }

// live returns the roots whose blobs must stay: committed or announced, and closed by no record.
func (l listing) live() set { return (l.roots | l.pending&^l.aborts) &^ l.deleted }

// state is the store of one domain and the memory of every process: all that decides what may happen next.
type state struct {
	packs    [maxPacks]pack
	shards   [maxShards]shard
	epochs   [maxEpochs]epoch
	roots    [maxRoots]root
	actors   [maxActors]actor
	names    uint8 // for traces only
	outgrown bool
}

func (s *state) putPack(blobs set) int {
	for i := range s.packs {
		if s.packs[i].blobs == 0 {
			s.names++
			s.packs[i] = pack{blobs: blobs, present: true, name: s.names}
			return i
		}
	}
	s.outgrown = true
	return 0
}

func (s *state) putShard(packs set, stamp uint8) int {
	for i := range s.shards {
		if s.shards[i].packs == 0 {
			s.names++
			s.shards[i] = shard{packs: packs, stamp: stamp, listed: true, name: s.names}
			return i
		}
	}
	s.outgrown = true
	return 0
}

// present returns the packs in the store.
func (s *state) present() set {
	var in set
	for i := range s.packs {
		if s.packs[i].present {
			in |= bit(i)
		}
	}
	return in
}

// named returns the packs some listed shard names.
func (s *state) named() set {
	var in set
	for i := range s.shards {
		if s.shards[i].listed {
			in |= s.shards[i].packs
		}
	}
	return in
}

// namedTwice returns the packs that more than one listed shard names.
func (s *state) namedTwice() set {
	var once, twice set
	for i := range s.shards {
		if s.shards[i].listed {
			twice |= once & s.shards[i].packs
			once |= s.shards[i].packs
		}
	}
	return twice
}

// blobsIn returns what the packs hold, or held.
func (s *state) blobsIn(packs set) set {
	var in set
	for i := range s.packs {
		if packs.has(i) {
			in |= s.packs[i].blobs
		}
	}
	return in
}

// needed returns the blobs of the given roots.
func (s *state) needed(roots set) set {
	var in set
	for i := range s.roots {
		if roots.has(i) {
			in |= s.roots[i].needs
		}
	}
	return in
}

// survey is the state of all snapshots at this moment.
func (s *state) survey() listing {
	var l listing
	for i := range s.roots {
		r := &s.roots[i]
		if r.pending {
			l.pending |= bit(i)
		}
		switch r.object {
		case committed:
			l.roots |= bit(i)
		case aborted:
			l.aborts |= bit(i)
		}
		if r.deleted {
			l.deleted |= bit(i)
		}
	}
	return l
}

// lost returns the blobs of committed roots that a reader who lists the shards now cannot find: the invariant is that
// there are none.
func (s *state) lost() set {
	l := s.survey()
	return s.needed(l.roots&^l.deleted) &^ s.blobsIn(s.present()&s.named())
}

// view is what one LIST of gc/ and the GETs of what it names tell.
type view struct {
	newest    uint8
	low       uint8 // the newest number below newest that is finished or missing
	condemned set   // by every epoch that counts
}

// epochsOf reads gc/ as the rules say it must be read.
func (w *world) epochsOf(s *state) view {
	var v view
	for n := maxEpochs - 1; n > 0 && v.newest == 0; n-- {
		if s.epochs[n].present {
			v.newest = uint8(n)
		}
	}
	switch w.rules.Epochs {
	case Cumulative:
		v.condemned = s.epochs[v.newest].condemns
		return v
	case Floored:
		v.low = s.epochs[v.newest].floor
	case Bare:
		for n := v.newest; n > 0 && v.low == 0; n-- {
			if !s.epochs[n].present {
				v.low = n
			}
		}
	}
	v.condemned = w.condemnedAfter(s, 0, v)
	return v
}

// condemnedAfter returns what the epochs after e0 that count condemn.
func (w *world) condemnedAfter(s *state, e0 uint8, v view) set {
	if w.rules.Epochs == Cumulative {
		return v.condemned
	}
	if w.rules.Epochs == Floored {
		e0 = max(e0, v.low)
	}
	var in set
	for n := e0 + 1; n < maxEpochs; n++ {
		if s.epochs[n].present {
			in |= s.epochs[n].condemns
		}
	}
	return in
}
