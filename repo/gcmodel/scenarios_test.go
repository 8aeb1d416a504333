package gcmodel

import "testing"

const (
	blobA set = 1 << iota
	blobB
)

var (
	aKeeper  = role{kind: keeper, class: 1}
	aSweeper = role{kind: sweeper}
	aRemover = role{kind: remover}
	aJanitor = role{kind: janitor}
	anAdopt  = role{kind: adopter}
)

// backup is a writer whose cache knows every shard of the start and whose next backup needs some blobs.
func backup(root int, needs set) role {
	return role{kind: writer, warm: true, runs: []run{{root, needs}}}
}

// fresh is a writer without a cache.
func fresh(root int, needs set) role { return role{kind: writer, runs: []run{{root, needs}}} }

func deletion(root int) role { return role{kind: operator, target: root} }

func (r role) in(class int) role     { r.class = class; return r }
func (r role) after(mind actor) role { r.mind = mind; return r }

// dying is the writer with further runs, which may die anywhere before the last.
func (r role) dying(next ...run) role {
	r.crashes, r.runs = true, append(r.runs, next...)
	return r
}

// old is a store with one pack and one shard for each set of blobs and an old backup, root 0, that needs them all.
func old(deleted bool, packs ...set) func(*state) {
	return func(s *state) {
		for _, blobs := range packs {
			s.putShard(bit(s.putPack(blobs)), 0)
			s.roots[0].needs |= blobs
		}
		s.roots[0].object, s.roots[0].deleted = committed, deleted
	}
}

// The packs and shards that old(…, blobA, blobB) makes, and the third pack of the histories below.
const (
	packA   set = 1 << iota // holds blob a
	packB                   // holds blob b
	oddPack                 // depends on the history
)

// history is old(true, blobA, blobB) and what happened since.
func history(happened func(*state)) func(*state) {
	return func(s *state) {
		old(true, blobA, blobB)(s)
		happened(s)
	}
}

// swept leaves epoch 1 behind, whose packs are gone: a pack that held the blobs, and those of the set.
func swept(blobs, also set) func(*state) {
	return history(func(s *state) {
		s.packs[s.putPack(blobs)].present = false
		s.epochs[1] = epoch{present: true, condemns: oddPack | also}
		for i := range s.packs {
			if also.has(i) {
				s.packs[i].present, s.shards[i].listed = false, false
			}
		}
	})
}

// halfLive is a pack that holds a dead blob a and a blob b that root 3 needs.
func halfLive(s *state) {
	old(true, blobA|blobB)(s)
	s.roots[3] = root{needs: blobB, object: committed}
}

// twiceNamed is a live pack and a dead one, both named by two shards.
func twiceNamed(s *state) {
	old(false, blobA)(s)
	s.shards[0].packs |= bit(s.putPack(blobB))
	s.putShard(s.shards[0].packs, 0)
}

// twiceHeld is a blob in two packs, each with a shard.
func twiceHeld(s *state) {
	old(false, blobA)(s)
	s.putShard(bit(s.putPack(blobA)), 0)
}

// orphaned is a pack with blob a that no shard names, its writer not having come so far.
var orphaned = history(func(s *state) {
	s.putPack(blobA)
	s.packs[0].present, s.shards[0].listed = false, false
})

// rolledBack is a bucket set back to a day before a shard existed that the writer's cache still holds; the pack it names
// and that shard are unknown there, and so is every other copy of blob a.
var rolledBack = history(func(s *state) {
	s.packs[s.putPack(blobA)].present = false
	s.shards[s.putShard(oddPack, 0)].listed = false
	s.packs[0].present, s.shards[0].listed = false, false
})

var (
	twoByTwo = &Scenario{Name: "two writers and two keepers", planAny: true, store: old(true, blobA),
		cast: []role{backup(1, blobA).in(2), backup(2, blobA).in(2), aKeeper, aKeeper}}
	oneByTwo = &Scenario{Name: "a writer and two keepers", store: old(true, blobA),
		cast: []role{backup(1, blobA), aKeeper, aKeeper}}
	oneSwept = &Scenario{Name: "a writer, a keeper and a sweeper", store: old(true, blobA),
		cast: []role{backup(1, blobA), aKeeper, aSweeper}}
	twoSwept = &Scenario{Name: "two writers, a keeper and a sweeper", store: old(true, blobA),
		cast: []role{backup(1, blobA).in(2), backup(2, blobA).in(2), aKeeper, aSweeper}}
	comesBack = &Scenario{Name: "content that dies while it is needed again", planAny: true, store: old(false, blobA),
		cast: []role{backup(1, blobA), deletion(0), aKeeper, aKeeper}}
	declaredDead = &Scenario{Name: "a session that is declared dead", planAny: true, store: old(true, blobA),
		cast: []role{backup(1, blobA), aJanitor, aKeeper, aKeeper}}
	deletedEarly = &Scenario{Name: "a backup deleted before its writer knows it is done", planAny: true,
		store: old(true, blobA), cast: []role{backup(1, blobA), aJanitor, deletion(1), aKeeper}}
	mixedPack = &Scenario{Name: "a pack half of which lives", planAny: true, store: halfLive,
		cast: []role{backup(1, blobA), aKeeper, aKeeper}}
	diesAgain = &Scenario{Name: "a writer that dies and returns with its cache", store: old(true, blobA),
		cast: []role{backup(1, blobA).dying(run{2, blobA}), aKeeper, aKeeper, aRemover}}
	lateShard = &Scenario{Name: "a shard written after its pack's epoch was removed", planAny: true,
		store: swept(blobA, packA),
		cast:  []role{backup(1, blobA).after(actor{at: wShard, own: 3}), aKeeper, aRemover}}
	lateShardRead = &Scenario{Name: "a late shard read by another writer", store: swept(blobA, packA),
		cast: []role{backup(1, blobA).after(actor{at: wShard, own: 3}), fresh(2, blobA), aKeeper, aRemover}}
	lateEpoch = &Scenario{Name: "an epoch planned before its number was used and removed", planAny: true,
		store: swept(blobB, 0),
		cast:  []role{backup(1, blobA), aKeeper.after(actor{at: kCreate, next: 1, plan: packA}), aKeeper, aRemover}}
	orphan = &Scenario{Name: "a pack adopted while its writer still works", store: orphaned,
		cast: []role{backup(1, blobA).after(actor{at: wShard, own: 3}), anAdopt, aKeeper, aKeeper, aRemover}}
	lateAdoption = &Scenario{Name: "a pack adopted after its epoch was removed", planAny: true,
		store: swept(blobA, packA), cast: []role{fresh(1, blobA), anAdopt.after(actor{at: aEpochs, plan: oddPack}), aKeeper, aRemover}}
	namedByTwo = &Scenario{Name: "packs that two shards name", planAny: true, store: twiceNamed,
		cast: []role{backup(1, blobA), aKeeper, aKeeper}}
	heldByTwo = &Scenario{Name: "a blob in two packs", planAny: true, store: twiceHeld,
		cast: []role{backup(1, blobA), aKeeper, aKeeper}}
	rollback = &Scenario{Name: "a bucket that was rolled back", store: rolledBack,
		cast: []role{backup(1, blobA).after(actor{at: wEpochs, cached: oddPack, cache: [maxShards]set{2: oddPack}}), aKeeper}}
	retried = &Scenario{Name: "an upload repeated after its pack was deleted", planAny: true, store: swept(blobA, packA),
		cast: []role{backup(1, blobA).after(actor{at: wPack, own: 3}),
			aSweeper.after(actor{at: kDelete, doomed: oddPack}), aKeeper, aRemover}}
	retriedOrphan = &Scenario{Name: "an upload repeated while its pack is adopted", store: orphaned,
		cast: []role{backup(1, blobA).after(actor{at: wPack, own: 3}), anAdopt, aKeeper, aKeeper, aRemover}}
)

// everyScenario holds those in which a pack once deleted does not come back.
var everyScenario = []*Scenario{twoByTwo, oneByTwo, oneSwept, twoSwept, comesBack, declaredDead, deletedEarly, mixedPack,
	diesAgain, lateShard, lateShardRead, lateEpoch, lateAdoption, rollback, namedByTwo, heldByTwo, orphan}

// limit is far above the largest scenario, and 24 bytes a state, so that two explorations fit into 1 GB.
const limit = 6_000_000

func mustBeSafe(t *testing.T, sc *Scenario, rules Rules) {
	t.Helper()
	r, err := Explore(sc, rules, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range r.Trace {
		t.Error(line)
	}
	t.Logf("%d states", r.States)
}

func TestTheProtocolLosesNothing(t *testing.T) {
	for _, sc := range everyScenario {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			mustBeSafe(t, sc, Rules{})
		})
	}
}

// Cumulative epochs replace the floor, the gap rule and the stamps, and bear packs that come back. The
// orphan is left to its harder form, retriedOrphan.
func TestCumulativeEpochsLoseNothingWithFewerRules(t *testing.T) {
	rules := Rules{Epochs: Cumulative, NoGapRule: true, NoStamp: true, RetriedPack: true}
	for _, sc := range append([]*Scenario{retried, retriedOrphan}, everyScenario[:len(everyScenario)-1]...) {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			mustBeSafe(t, sc, rules)
		})
	}
}

func TestRulesThatSafetyDoesNotNeed(t *testing.T) {
	for name, rules := range map[string]Rules{
		"K3 deletes packs by its first list of shards":   {NoRelist: true},
		"K3 deletes packs before it rewrites the shards": {DropBeforeShards: true},
		"the store may be full":                          {MayBeFull: true},
	} {
		for _, sc := range []*Scenario{oneByTwo, comesBack, mixedPack, diesAgain, lateShard, lateShardRead, namedByTwo} {
			t.Run(name+"/"+sc.Name, func(t *testing.T) {
				t.Parallel()
				mustBeSafe(t, sc, rules)
			})
		}
	}
}
