package gcmodel

import "slices"

// canonise turns a state into the one that stands for all states it differs from only in names: what nothing mentions is
// forgotten, actors of one class are put in order, packs and shards are renumbered. Every step keeps the state isomorphic
// to what it was, so merging is sound; ties are left as they are, so that a few isomorphic states stay apart.
func (w *world) canonise(s *state) {
	s.forget()
	w.orderActors(s)
	s.renumber()
}

// forget frees the slots of absent packs and unlisted shards that no object and no actor mentions.
func (s *state) forget() {
	var shards set
	for i := range s.actors {
		shards |= s.actors[i].retire | s.actors[i].cached
	}
	packs := set(0)
	for i := range s.shards {
		if !s.shards[i].listed && !shards.has(i) {
			s.shards[i] = shard{}
		}
		packs |= s.shards[i].packs
	}
	for i := range s.epochs {
		packs |= s.epochs[i].condemns
	}
	for i := range s.actors {
		packs |= s.actors[i].mentions()
	}
	for i := range s.packs {
		if !s.packs[i].present && !packs.has(i) {
			s.packs[i] = pack{}
		}
	}
}

func (a *actor) mentions() set {
	in := a.condemned | a.plan | a.doomed | a.known()
	if a.own != 0 {
		in |= bit(a.own - 1)
	}
	return in
}

// orderActors sorts the actors of each class by what their memory holds apart from names. Two writers change places with
// their snapshot ids.
func (w *world) orderActors(s *state) {
	for i := range w.sc.cast {
		for j := range i {
			if c := w.sc.cast[i].class; c == 0 || c != w.sc.cast[j].class || s.actors[i].rank() >= s.actors[j].rank() {
				continue
			}
			s.actors[i], s.actors[j] = s.actors[j], s.actors[i]
			for r := range w.sc.cast[i].runs {
				s.swapRoots(w.sc.cast[i].runs[r].root, w.sc.cast[j].runs[r].root)
			}
		}
	}
}

// rank orders actors by the parts of their memory that hold no names.
func (a *actor) rank() uint64 {
	r := uint64(a.at)<<32 | uint64(a.run)<<28 | uint64(a.epoch)<<24 | uint64(a.low)<<20 | uint64(a.sync)<<16
	r |= uint64(a.floor)<<8 | uint64(a.copies)
	if a.announced {
		r |= 1 << 40
	}
	return r
}

func (s *state) swapRoots(x, y int) {
	s.roots[x], s.roots[y] = s.roots[y], s.roots[x]
	for i := range s.actors {
		a := &s.actors[i]
		for _, in := range []*set{&a.seen.pending, &a.seen.roots, &a.seen.aborts, &a.seen.deleted} {
			if in.has(x) != in.has(y) {
				*in ^= bit(x) | bit(y)
			}
		}
		if a.at == jAbort || a.at == jRemove {
			switch int(a.next) {
			case x:
				a.next = uint8(y)
			case y:
				a.next = uint8(x)
			}
		}
	}
}

// mix spreads a key over 64 bits, so that sums of keys tell sets apart (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// free sorts empty slots behind all others.
const free = ^uint64(0)

// renumber sorts packs and shards by what is known of them.
func (s *state) renumber() {
	var packs [maxPacks]uint64
	var shards [maxShards]uint64
	for i := range packs {
		packs[i] = s.packKey(i)
	}
	for i := range shards {
		shards[i] = s.shardKey(i, &packs)
	}
	for i := range packs {
		if packs[i] == free {
			continue
		}
		for j := range shards {
			if s.shards[j].packs.has(i) {
				packs[i] += mix(shards[j])
			}
		}
		packs[i] >>= 1
	}
	if places, moved := sorted(packs[:]); moved {
		s.movePacks(places)
	}
	if places, moved := sorted(shards[:]); moved {
		s.moveShards(places)
	}
}

func (s *state) packKey(i int) uint64 {
	if s.packs[i].blobs == 0 {
		return free
	}
	key := uint64(s.packs[i].blobs) << 1
	if s.packs[i].present {
		key |= 1
	}
	add := func(in set) { key = key<<1 | uint64(in>>i&1) }
	for n := 1; n < maxEpochs; n++ {
		add(s.epochs[n].condemns)
	}
	for n := range s.actors {
		a := &s.actors[n]
		add(a.condemned)
		add(a.plan)
		add(a.doomed)
		add(a.known())
		add(bit(a.own) >> 1)
	}
	return mix(key)
}

func (s *state) shardKey(i int, packs *[maxPacks]uint64) uint64 {
	sh := &s.shards[i]
	if sh.packs == 0 {
		return free
	}
	key := uint64(sh.stamp) << 1
	if sh.listed {
		key |= 1
	}
	for n := range s.actors {
		a := &s.actors[n]
		key = key<<2 | uint64(a.retire>>i&1)<<1 | uint64(a.cached>>i&1)
	}
	key = mix(key)
	for p := range packs {
		if sh.packs.has(p) {
			key += packs[p]
		}
	}
	return mix(key) >> 1
}

// sorted returns the places of the keys in order, by index, and whether one of them moves.
func sorted(keys []uint64) (places []uint8, moved bool) {
	if slices.IsSorted(keys) {
		return nil, false
	}
	places = make([]uint8, len(keys))
	for i, key := range keys {
		for j, other := range keys {
			if other < key || other == key && j < i {
				places[i]++
			}
		}
	}
	return places, true
}

// moved returns the set after every member i has become places[i].
func (s set) moved(places []uint8) set {
	var in set
	for ; s != 0; s &= s - 1 {
		in |= bit(places[s.first()])
	}
	return in
}

func (s *state) movePacks(places []uint8) {
	old := s.packs
	for i, to := range places {
		s.packs[to] = old[i]
	}
	for i := range s.shards {
		s.shards[i].packs = s.shards[i].packs.moved(places)
	}
	for i := range s.epochs {
		s.epochs[i].condemns = s.epochs[i].condemns.moved(places)
	}
	for i := range s.actors {
		a := &s.actors[i]
		a.condemned, a.plan, a.doomed = a.condemned.moved(places), a.plan.moved(places), a.doomed.moved(places)
		if a.own != 0 {
			a.own = places[a.own-1] + 1
		}
		for in := a.cached; in != 0; in &= in - 1 {
			a.cache[in.first()] = a.cache[in.first()].moved(places)
		}
	}
}

func (s *state) moveShards(places []uint8) {
	old := s.shards
	for i, to := range places {
		s.shards[to] = old[i]
	}
	for i := range s.actors {
		a := &s.actors[i]
		a.retire = a.retire.moved(places)
		if a.cached == 0 {
			continue
		}
		a.cached = a.cached.moved(places)
		cache := a.cache
		for j, to := range places {
			a.cache[to] = cache[j]
		}
	}
}

// encode appends all of a canonical state but the names that only traces use.
func (s *state) encode(b []byte) []byte {
	for _, p := range s.packs {
		if p.blobs != 0 {
			b = append(b, byte(p.blobs), flag(p.present))
		}
	}
	b = append(b, 0)
	for _, sh := range s.shards {
		if sh.packs != 0 {
			b = append(sh.packs.encode(b), sh.stamp, flag(sh.listed))
		}
	}
	b = append(b, 0xff, 0xff)
	for _, e := range s.epochs {
		b = append(e.condemns.encode(b), e.floor, flag(e.present))
	}
	for _, r := range s.roots {
		b = append(b, byte(r.needs), byte(r.object), flag(r.pending)<<1|flag(r.deleted))
	}
	for i := range s.actors {
		b = s.actors[i].encode(b)
	}
	return b
}

func (a *actor) encode(b []byte) []byte {
	b = append(b, byte(a.at), a.run, a.epoch, a.low, a.sync, a.next, a.floor, a.own, flag(a.announced))
	b = append(b, byte(a.copies), byte(a.seen.pending), byte(a.seen.roots), byte(a.seen.aborts), byte(a.seen.deleted))
	b = a.condemned.encode(b)
	b = a.plan.encode(b)
	b = a.doomed.encode(b)
	b = a.retire.encode(b)
	b = a.cached.encode(b)
	for i := range a.cache {
		if a.cached.has(i) {
			b = a.cache[i].encode(b)
		}
	}
	return b
}

func (s set) encode(b []byte) []byte { return append(b, byte(s), byte(s>>8)) }

func flag(on bool) byte {
	if on {
		return 1
	}
	return 0
}
