package gcmodel

func (t *turn) sweepList() {
	t.to("K3 list shards", func(s *state, a *actor) {
		if t.rules.FreshK3 {
			t.readEpochs(s, a)
		}
		if t.rules.DropBeforeShards {
			t.doom(s, a, a.condemned&s.present())
			return
		}
		stay := set(0)
		for i := range s.shards {
			sh := &s.shards[i]
			switch {
			case !sh.listed:
			case sh.packs&a.condemned == 0 && sh.stamp >= a.low:
				stay |= sh.packs
			default:
				a.retire |= bit(i)
				a.plan |= t.trusted(s, sh, a.low) &^ a.condemned
			}
		}
		a.plan &^= stay
		if t.rules.RewriteLess {
			a.plan &^= s.namedTwice()
		}
		switch {
		case a.plan != 0:
			a.at = kSweepShard
		case a.retire != 0:
			a.at = kRetire
		default:
			t.relistInto(s, a)
		}
	})
}

func (t *turn) sweepShard() {
	t.to("K3 write a shard without condemned packs", func(s *state, a *actor) {
		s.putShard(a.plan, a.epoch)
		a.plan = 0
		a.at = kRetire
	})
	if t.rules.MayBeFull {
		t.to("K3 no room for a shard", func(s *state, a *actor) { t.doom(s, a, a.condemned&s.present()) })
	}
}

// crowded is K3 of a keeper that could not copy: it rewrites no shard, and keeps the packs that hold what it would have copied.
func (t *turn) crowded() {
	t.to("K3 list packs", func(s *state, a *actor) { t.doom(s, a, a.condemned&^a.plan&s.present()) })
}

func (t *turn) retire() {
	t.to("K3 delete a rewritten shard", func(s *state, a *actor) {
		i := a.retire.first()
		s.shards[i].listed = false
		a.retire &^= bit(i)
		if a.retire != 0 {
			return
		}
		a.at = kRelist
		if t.rules.NoRelist {
			t.doom(s, a, a.condemned&s.present())
		}
	})
}

func (t *turn) relist() { t.to("K3 list shards again", t.relistInto) }

func (t *turn) relistInto(s *state, a *actor) { t.doom(s, a, a.condemned&s.present()&^s.named()) }

// doom fixes which packs a sweep deletes.
func (t *turn) doom(s *state, a *actor, packs set) {
	*a = actor{at: kDelete, doomed: packs}
	if packs == 0 {
		t.swept(s, a)
	}
}

func (t *turn) deletePack() {
	t.to("K3 delete a pack", func(s *state, a *actor) {
		i := a.doomed.first()
		s.packs[i].present = false
		a.doomed &^= bit(i)
		if a.doomed == 0 {
			t.swept(s, a)
		}
	})
}

func (t *turn) swept(_ *state, a *actor) {
	*a = actor{at: idle}
	if t.rules.DropAtOnce {
		a.at = kDrop
	}
}

// dropAtOnce removes an epoch whose packs are gone, though it may be the newest.
func (t *turn) dropAtOnce() {
	for n := 1; n < maxEpochs; n++ {
		if e := t.from.epochs[n]; e.present && e.condemns&t.from.present() == 0 {
			t.to("remove an epoch whose packs are gone", func(s *state, a *actor) {
				s.epochs[n] = epoch{}
				*a = actor{at: idle}
			})
		}
	}
}
