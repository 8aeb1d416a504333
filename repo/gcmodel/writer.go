package gcmodel

// closeAttempt lets a writer end its own dead attempt before the next.
func (t *turn) closeAttempt() {
	t.to("close the dead attempt: create its abort record", func(s *state, a *actor) {
		r := &s.roots[t.role().runs[a.run-1].root]
		if r.object == nothing {
			r.object = aborted
		}
		a.at = wEpochs
	})
}

func (t *turn) writerEpochs() {
	t.to("W1 list and read gc/", func(s *state, a *actor) {
		v := t.epochsOf(s)
		if !t.rules.NoGapRule && (v.newest < a.sync || v.low > a.sync) {
			a.dropCache()
		}
		a.epoch, a.low, a.condemned = v.newest, v.low, v.condemned
		if t.rules.TrustOld {
			a.condemned = 0
		}
		a.at = wShards
	})
}

func (t *turn) writerShards() {
	t.to("W2 list and load shards", func(s *state, a *actor) {
		for i := range s.shards {
			sh := &s.shards[i]
			switch {
			case a.cached.has(i) && !sh.listed && !t.rules.KeepUnlisted:
				a.uncache(i)
			case !a.cached.has(i) && sh.listed:
				a.cached |= bit(i)
				a.cache[i] = t.trusted(s, sh, a.low)
			}
			a.cache[i] &^= a.condemned
		}
		a.sync, a.low, a.condemned = a.epoch, 0, 0
		a.at = t.afterLoad(s, a)
		if t.rules.WriterCompacts && a.cached != 0 {
			a.at = wMerge
		}
	})
}

// trusted returns the packs of a shard that count: all, unless an epoch its author never read is gone, in which case
// those that are in the store.
func (w *world) trusted(s *state, sh *shard, low uint8) set {
	if sh.stamp < low && !w.rules.NoStamp {
		return sh.packs & s.present()
	}
	return sh.packs
}

// missing returns the blobs of the run that no pack known to the writer holds.
func (t *turn) missing(s *state, a *actor) set {
	return t.role().runs[a.run].needs &^ s.blobsIn(a.known())
}

// afterLoad says where a writer goes once it knows which blobs it relies on.
func (t *turn) afterLoad(s *state, a *actor) pc {
	switch {
	case t.missing(s, a) != 0:
		return wPack
	case a.announced || t.rules.LatePending:
		return wRecheck
	}
	return wPending
}

func (t *turn) writerPack() {
	t.to("W3 upload a pack", func(s *state, a *actor) {
		t.upload(s, a)
		a.at = wShard
	})
	if t.rules.RetriedPack {
		t.to("W3 upload a pack, the answer is lost", func(s *state, a *actor) { t.upload(s, a) })
	}
}

// upload puts the writer's pack, or puts it again with the same bytes and so under the same name.
func (t *turn) upload(s *state, a *actor) {
	if a.own != 0 {
		s.packs[a.own-1].present = true
		return
	}
	a.own = uint8(s.putPack(t.missing(s, a))) + 1
}

func (t *turn) writerShard() {
	t.to("W3 write a shard", func(s *state, a *actor) {
		packs := bit(a.own - 1)
		i := s.putShard(packs, a.epoch)
		a.cached |= bit(i)
		a.cache[i] = packs
		a.own = 0
		a.at = t.afterLoad(s, a)
	})
}

func (t *turn) writerPending() {
	t.to("W4 announce the root", func(s *state, a *actor) {
		r := t.role().runs[a.run]
		s.roots[r.root].pending, s.roots[r.root].needs = true, r.needs
		a.announced = true
		a.at = wRecheck
		if t.rules.NoW5 || t.rules.LatePending {
			a.at = wCommit
		}
	})
}

func (t *turn) writerRecheck() {
	v := t.epochsOf(t.from)
	if v.low > t.from.actors[t.i].epoch {
		t.to("W5 list gc/: an epoch after E0 is gone, back to W1", func(_ *state, a *actor) { a.at = wEpochs })
		return
	}
	t.to("W5 list and read gc/", func(s *state, a *actor) {
		condemned := t.condemnedAfter(s, a.epoch, v)
		for i := range a.cache {
			a.cache[i] &^= condemned
		}
		a.epoch, a.sync = max(a.epoch, v.newest), max(a.sync, v.newest)
		switch {
		case t.missing(s, a) != 0:
			a.at = wPack
		case a.announced:
			a.at = wCommit
		default:
			a.at = wPending
		}
	})
}

func (t *turn) writerCommit() {
	r := t.from.roots[t.role().runs[t.from.actors[t.i].run].root]
	if r.object == aborted {
		t.to("W6 create the root: the abort record won", func(_ *state, a *actor) { a.end() })
		return
	}
	t.to("W6 create the root", func(s *state, a *actor) {
		t.commit(s, a)
		a.end()
	})
	if r.object == nothing {
		t.to("W6 create the root, the answer is lost", t.commit)
	}
}

func (t *turn) commit(s *state, a *actor) {
	r := t.role().runs[a.run]
	s.roots[r.root].object, s.roots[r.root].needs = committed, r.needs
}

// end leaves of a writer's run what its state directory keeps: the cache.
func (a *actor) end() {
	*a = actor{at: idle, run: a.run, sync: a.sync, cached: a.cached, cache: a.cache}
}

// nextRun begins the writer's next backup, with the cache of the last one.
func (t *turn) nextRun() {
	t.to("begin the next run", func(_ *state, a *actor) {
		a.run++
		a.at = wEpochs
	})
}

// crash ends a run wherever it stands. What comes next first closes the attempt that was announced.
func (t *turn) crash() {
	t.to("crash and begin the next run", func(_ *state, a *actor) {
		a.end()
		a.run++
		a.at = wClose
	})
}

func (t *turn) writerMerge() {
	t.to("write one shard for all that were loaded", func(s *state, a *actor) {
		a.retire = a.cached
		if known := a.known(); known != 0 {
			i := s.putShard(known, a.epoch)
			a.cached |= bit(i)
			a.cache[i] = known
		}
		a.at = wRetire
	})
}

func (t *turn) writerRetire() {
	t.to("delete a shard it has merged", func(s *state, a *actor) {
		i := a.retire.first()
		s.shards[i].listed = false
		a.retire &^= bit(i)
		a.uncache(i)
		if a.retire == 0 {
			a.at = t.afterLoad(s, a)
		}
	})
}

// known returns the packs a writer relies on.
func (a *actor) known() set {
	var in set
	for held := a.cached; held != 0; held &= held - 1 {
		in |= a.cache[held.first()]
	}
	return in
}

func (a *actor) dropCache() { a.cached, a.cache = 0, [maxShards]set{} }

func (a *actor) uncache(i int) {
	a.cached &^= bit(i)
	a.cache[i] = 0
}
