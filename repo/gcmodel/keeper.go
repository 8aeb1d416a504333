package gcmodel

// plan is K0. Under PlanAny the keeper may condemn any packs a shard names, which covers whatever a survey with any delays
// and any order could have made it believe; K0 may also find nothing to condemn and go on to finish others' work.
func (t *turn) plan() {
	v := t.epochsOf(t.from)
	if !t.rules.NoK2 {
		t.to("K0 plan nothing", func(_ *state, a *actor) { a.at = t.surveys[0] })
	}
	fresh := t.from.named() & t.from.present() &^ v.condemned
	if !t.sc.planAny {
		t.planOne(v, t.dead(fresh))
		return
	}
	for plan := fresh; plan != 0; plan = (plan - 1) & fresh {
		t.planOne(v, plan)
	}
}

// dead returns those of the packs that hold no blob of a live root.
func (t *turn) dead(packs set) set {
	needed := t.from.needed(t.from.survey().live())
	for i := range t.from.packs {
		if t.from.packs[i].blobs&needed != 0 {
			packs &^= bit(i)
		}
	}
	return packs
}

func (t *turn) planOne(v view, plan set) {
	floor := t.finished(v)
	if plan == 0 && floor == v.low {
		return
	}
	t.to("K0 plan an epoch", func(s *state, a *actor) {
		a.next, a.plan, a.floor = v.newest+1, plan, floor
		if t.rules.Epochs == Cumulative {
			a.plan |= v.condemned
		}
		if a.next == maxEpochs {
			s.outgrown = true
		}
		a.at = kCreate
	})
}

// finished returns the highest floor a keeper may give to the next epoch.
func (t *turn) finished(v view) uint8 {
	if t.rules.Epochs != Floored {
		return 0
	}
	floor := v.low
	for n := floor + 1; n <= v.newest && t.gone(t.from.epochs[n].condemns); n++ {
		floor = n
	}
	return floor
}

// gone says that no pack of the set is in the store and no listed shard names one.
func (t *turn) gone(packs set) bool { return packs&(t.from.present()|t.from.named()) == 0 }

func (t *turn) create() {
	a := t.from.actors[t.i]
	if t.from.epochs[a.next].present {
		t.to("K1 create the epoch: taken, back to K0", func(_ *state, a *actor) { *a = actor{at: kPlan} })
		return
	}
	t.to("K1 create the epoch", func(s *state, a *actor) {
		s.epochs[a.next] = epoch{present: true, condemns: a.plan, floor: a.floor}
		a.plan, a.floor = 0, 0
		if !t.rules.Uncondemn {
			a.next = 0
		}
		a.at = t.surveys[0]
		if t.rules.NoK2 {
			a.at = kUnsurveyed
		}
	})
}

// unsurveyed is the step of keepers that leave K2 out.
func (t *turn) unsurveyed() {
	t.to("list gc/, no K2", func(s *state, a *actor) {
		t.readEpochs(s, a)
		a.at = kSweepList
	})
}

func (t *turn) readEpochs(s *state, a *actor) {
	v := t.epochsOf(s)
	a.epoch, a.low, a.condemned = v.newest, v.low, v.condemned
}

// afterSurvey returns the step that follows in the order K2 lists things.
func (w *world) afterSurvey(p pc) pc {
	for i, q := range w.surveys {
		if q == p {
			return w.surveys[i+1]
		}
	}
	return kCopyList
}

func (t *turn) surveyEpochs() {
	t.to("K2 list and read gc/", func(s *state, a *actor) {
		t.readEpochs(s, a)
		a.at = t.afterSurvey(kEpochs)
	})
}

func (t *turn) surveyPending() {
	t.to("K2 list pending", func(s *state, a *actor) {
		a.seen.pending = s.survey().pending
		a.at = t.afterSurvey(kPending)
	})
}

func (t *turn) surveyRoots() {
	t.to("K2 list roots", func(s *state, a *actor) {
		l := s.survey()
		a.seen.roots, a.seen.aborts = l.roots, l.aborts
		a.at = t.afterSurvey(kRoots)
	})
}

func (t *turn) surveyDeleted() {
	t.to("K2 list deletion records", func(s *state, a *actor) {
		a.seen.deleted = s.survey().deleted
		a.at = t.afterSurvey(kDeleted)
	})
}

func (t *turn) copyList() {
	if t.rules.MayBeFull {
		t.to("K2 list shards, no room for copies", func(s *state, a *actor) {
			held, copies := t.toCopy(s, a)
			*a = actor{at: kCrowded, condemned: a.condemned, plan: t.keeps(s, held, copies)}
		})
	}
	t.to("K2 list shards", func(s *state, a *actor) {
		_, a.copies = t.toCopy(s, a)
		a.seen = listing{}
		a.at = kSweepList
		switch {
		case a.copies != 0 && t.rules.Uncondemn:
			a.copies, a.at = 0, kUncondemn
		case a.copies != 0:
			a.at = kCopy
		}
	})
}

// toCopy returns the packs that shards name, and the live blobs that only condemned ones hold.
func (t *turn) toCopy(s *state, a *actor) (held, blobs set) {
	safe := set(0)
	for i := range s.shards {
		if s.shards[i].listed {
			packs := t.trusted(s, &s.shards[i], a.low)
			held |= packs
			safe |= packs &^ a.condemned
		}
	}
	return held, s.needed(a.seen.live()) & s.blobsIn(held) &^ s.blobsIn(safe)
}

// keeps returns the packs that hold blobs which could not be copied.
func (t *turn) keeps(s *state, held, blobs set) (keep set) {
	for in := held; in != 0; in &= in - 1 {
		if i := in.first(); s.packs[i].blobs&blobs != 0 {
			keep |= bit(i)
			if t.rules.KeepOne {
				blobs &^= s.packs[i].blobs
			}
		}
	}
	return keep
}

// uncondemn takes the keeper's own epoch back.
func (t *turn) uncondemn() {
	t.to("take the epoch back", func(s *state, a *actor) {
		s.epochs[a.next] = epoch{}
		*a = actor{at: idle}
	})
}

func (t *turn) copyBlobs() {
	a := t.from.actors[t.i]
	if a.copies&^t.from.blobsIn(t.from.present()) != 0 {
		t.to("K2 copy: a source is gone, list again", func(_ *state, a *actor) { *a = actor{at: t.surveys[0]} })
		return
	}
	t.to("K2 copy live blobs into a pack", func(s *state, a *actor) {
		a.own = uint8(s.putPack(a.copies)) + 1
		a.copies = 0
		a.at = kCopyShard
	})
}

func (t *turn) copyShard() {
	t.to("K2 write the copies' shard", func(s *state, a *actor) {
		s.putShard(bit(a.own-1), a.epoch)
		a.own = 0
		a.at = kSweepList
	})
}
