package gcmodel

// removable lists the epochs that may be removed. The LIST is a step of its own under the Bare reading only: what the
// other two readings allow to be removed is allowed for ever.
func (t *turn) removable() {
	v := t.epochsOf(t.from)
	for n := uint8(1); n < v.newest; n++ {
		if !t.from.epochs[n].present || !t.mayRemove(v, n) {
			continue
		}
		t.to("find an epoch to remove", func(_ *state, a *actor) { a.at, a.next = eRemove, n })
	}
}

func (t *turn) mayRemove(v view, n uint8) bool {
	switch t.rules.Epochs {
	case Bare:
		return t.gone(t.from.epochs[n].condemns)
	case Floored:
		return n <= v.low
	}
	return true
}

func (t *turn) removeEpoch() {
	t.to("remove an epoch", func(s *state, a *actor) {
		s.epochs[a.next] = epoch{}
		*a = actor{at: eList}
	})
}

func (t *turn) adoptEpochs() {
	t.to("adopt: list and read gc/", func(s *state, a *actor) {
		t.readEpochs(s, a)
		a.at = aPacks
		if t.rules.LateAdoption {
			a.plan &^= a.condemned
			a.at = aShards
		}
	})
}

func (t *turn) adoptPacks() {
	t.to("adopt: list packs", func(s *state, a *actor) {
		a.plan = s.present() &^ a.condemned
		a.at = aShards
		if t.rules.LateAdoption {
			a.at = aEpochs
		}
	})
}

func (t *turn) adoptShards() {
	t.to("adopt: list shards", func(s *state, a *actor) {
		a.plan &^= s.named()
		a.condemned, a.low = 0, 0
		a.at = aWrite
		if a.plan == 0 {
			*a = actor{at: idle}
		}
	})
}

func (t *turn) adoptWrite() {
	t.to("adopt: write a shard for packs without one", func(s *state, a *actor) {
		s.putShard(a.plan, a.epoch)
		*a = actor{at: idle}
	})
}

// abortList picks any announced root: the age that a keeper waits for is a matter of work, not of safety.
func (t *turn) abortList() {
	for i := range t.from.roots {
		r := t.from.roots[i]
		if !r.pending {
			continue
		}
		if r.object != nothing || r.deleted {
			t.to("find a pending that is closed", func(_ *state, a *actor) { a.at, a.next = jRemove, uint8(i) })
			continue
		}
		t.to("find a pending that is open", func(_ *state, a *actor) {
			a.at, a.next = jAbort, uint8(i)
			if t.rules.ForgetPending {
				a.at = jRemove
			}
		})
	}
}

func (t *turn) abortCreate() {
	t.to("create an abort record", func(s *state, a *actor) {
		if s.roots[a.next].object == nothing {
			s.roots[a.next].object = aborted
		}
		*a = actor{at: jList}
	})
}

func (t *turn) removePending() {
	t.to("remove a pending", func(s *state, a *actor) {
		s.roots[a.next].pending = false
		*a = actor{at: jList}
	})
}

func (t *turn) deleteRecord() {
	if t.from.roots[t.role().target].object != committed {
		return
	}
	if t.rules.NoRecord {
		t.deleteRoot()
		return
	}
	t.to("create a deletion record", func(s *state, a *actor) {
		s.roots[t.role().target].deleted = true
		a.at = oRemove
	})
}

func (t *turn) deleteRoot() {
	t.to("remove a root", func(s *state, a *actor) {
		s.roots[t.role().target].object = nothing
		a.at = idle
	})
}
