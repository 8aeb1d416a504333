package gcmodel

import (
	"slices"
	"testing"
)

func TestABlobIsLostWhenNoListedShardNamesAPresentPackOfIt(t *testing.T) {
	for name, c := range map[string]struct {
		happened func(*state)
		want     set
	}{
		"nothing happened":                   {func(*state) {}, 0},
		"the pack is gone":                   {func(s *state) { s.packs[0].present = false }, blobA},
		"its only shard is gone":             {func(s *state) { s.shards[0].listed = false }, blobA},
		"both packs are gone":                {func(s *state) { s.packs[0].present, s.packs[1].present = false, false }, blobA | blobB},
		"a second shard names the pack":      {func(s *state) { s.shards[0].listed = false; s.putShard(packA, 3) }, 0},
		"another pack holds the blob":        {func(s *state) { s.packs[0].present = false; s.putShard(bit(s.putPack(blobA)), 1) }, 0},
		"another pack, which no shard names": {func(s *state) { s.packs[0].present = false; s.putPack(blobA) }, blobA},
		"the backup has a deletion record":   {func(s *state) { s.packs[0].present, s.roots[0].deleted = false, true }, 0},
		"an abort record stands at its key":  {func(s *state) { s.packs[0].present, s.roots[0].object = false, aborted }, 0},
		"it is only pending": {func(s *state) {
			s.packs[0].present = false
			s.roots[0] = root{needs: blobA, pending: true}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			old(false, blobA, blobB)(&s)
			c.happened(&s)
			if got := s.lost(); got != c.want {
				t.Errorf("lost %q, want %q", blobNames(got), blobNames(c.want))
			}
		})
	}
}

func TestASnapshotIsLiveUntilARecordClosesIt(t *testing.T) {
	for name, c := range map[string]struct {
		root root
		live bool
	}{
		"nothing":                               {root{}, false},
		"announced":                             {root{pending: true}, true},
		"committed":                             {root{object: committed}, true},
		"committed, pending not yet removed":    {root{object: committed, pending: true}, true},
		"aborted while pending":                 {root{object: aborted, pending: true}, false},
		"deleted, root not yet removed":         {root{object: committed, deleted: true}, false},
		"deleted, pending never removed":        {root{pending: true, deleted: true}, false},
		"deleted, and the root reappeared":      {root{object: committed, pending: true, deleted: true}, false},
		"a deletion record of nothing at all":   {root{deleted: true}, false},
		"an abort record and nothing announced": {root{object: aborted}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			s.roots[2] = c.root
			if got := s.survey().live(); got.has(2) != c.live || got&^bit(2) != 0 {
				t.Errorf("live roots %b", got)
			}
		})
	}
}

func TestWhatGcTellsDependsOnTheReading(t *testing.T) {
	const p, q, r = set(1), set(2), set(4)
	epochs := func(es map[int]epoch) *state {
		var s state
		for n, e := range es {
			e.present = true
			s.epochs[n] = e
		}
		return &s
	}
	whole := map[int]epoch{1: {condemns: p}, 2: {condemns: q}, 3: {condemns: r}}
	holed := map[int]epoch{1: {condemns: p}, 3: {condemns: r}}
	floored := map[int]epoch{1: {condemns: p}, 2: {condemns: q}, 3: {condemns: r, floor: 1}}
	for name, c := range map[string]struct {
		epochs  map[int]epoch
		reading Reading
		want    view
		after1  set
	}{
		"bare, none":                             {nil, Bare, view{}, 0},
		"bare, all":                              {whole, Bare, view{3, 0, p | q | r}, q | r},
		"bare, a missing number is a gap":        {holed, Bare, view{3, 2, p | r}, r},
		"floored, none":                          {nil, Floored, view{}, 0},
		"floored, no floor":                      {whole, Floored, view{3, 0, p | q | r}, q | r},
		"floored, what stands below is nothing":  {floored, Floored, view{3, 1, q | r}, q | r},
		"cumulative, none":                       {nil, Cumulative, view{}, 0},
		"cumulative, only the newest counts":     {whole, Cumulative, view{3, 0, r}, r},
		"cumulative, a missing number is no gap": {holed, Cumulative, view{3, 0, r}, r},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(oneByTwo, Rules{Epochs: c.reading})
			s := epochs(c.epochs)
			got := w.epochsOf(s)
			if got != c.want {
				t.Errorf("read %+v, want %+v", got, c.want)
			}
			if after := w.condemnedAfter(s, 1, got); after != c.after1 {
				t.Errorf("condemned after 1: %b, want %b", after, c.after1)
			}
		})
	}
}

func TestAShardOlderThanARemovedEpochCountsByWhatTheStoreHolds(t *testing.T) {
	var s state
	held, gone := s.putPack(blobA), s.putPack(blobB)
	s.packs[gone].present = false
	both := bit(held) | bit(gone)
	for name, c := range map[string]struct {
		stamp, low uint8
		rules      Rules
		want       set
	}{
		"no epoch is gone":                {0, 0, Rules{}, both},
		"its author read the gone epoch":  {2, 2, Rules{}, both},
		"its author did not":              {1, 2, Rules{}, bit(held)},
		"its author did not, no one asks": {1, 2, Rules{NoStamp: true}, both},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(oneByTwo, c.rules)
			if got := w.trusted(&s, &shard{packs: both, stamp: c.stamp}, c.low); got != c.want {
				t.Errorf("trusts %b, want %b", got, c.want)
			}
		})
	}
}

func TestAFullModelSaysSo(t *testing.T) {
	var s state
	for range maxPacks {
		s.putShard(bit(s.putPack(blobA)), 0)
	}
	if s.outgrown {
		t.Fatal("outgrown while everything fits")
	}
	s.putPack(blobA)
	if !s.outgrown {
		t.Error("a pack too many is not told")
	}
	s.outgrown = false
	s.putShard(1, 0)
	if !s.outgrown {
		t.Error("a shard too many is not told")
	}
}

// steps lists what an actor can do next, in order.
func steps(w *world, s *state, i int) []string {
	var out []string
	w.successors(s, i, func(_ *state, what string) { out = append(out, what) })
	return out
}

func TestStepsOfAWriterInEveryState(t *testing.T) {
	for name, c := range map[string]struct {
		mind actor
		prep func(*state)
		want []string
	}{
		"before W1":               {actor{at: wEpochs}, func(*state) {}, []string{"W1 list and read gc/"}},
		"W5 with an epoch gone":   {actor{at: wRecheck}, func(s *state) { s.epochs[2] = epoch{present: true, floor: 1} }, []string{"W5 list gc/: an epoch after E0 is gone, back to W1"}},
		"W5 with all epochs":      {actor{at: wRecheck}, func(s *state) { s.epochs[1] = epoch{present: true} }, []string{"W5 list and read gc/"}},
		"W6 may lose its answer":  {actor{at: wCommit}, func(*state) {}, []string{"W6 create the root", "W6 create the root, the answer is lost"}},
		"W6 finds its own root":   {actor{at: wCommit}, func(s *state) { s.roots[1].object = committed }, []string{"W6 create the root"}},
		"W6 finds an abort":       {actor{at: wCommit}, func(s *state) { s.roots[1].object = aborted }, []string{"W6 create the root: the abort record won"}},
		"done, and there is more": {actor{at: idle}, func(*state) {}, []string{"begin the next run"}},
		"a crash is possible too": {actor{at: wShard, own: 1}, func(*state) {}, []string{"crash and begin the next run", "W3 write a shard"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := backup(1, blobA)
			if c.mind.at == idle || c.mind.at == wShard {
				r = r.dying(run{2, blobB})
			}
			w := newWorld(&Scenario{cast: []role{r}, store: old(true, blobA)}, Rules{})
			s := w.start()
			c.prep(&s)
			s.actors[0].at, s.actors[0].own = c.mind.at, c.mind.own
			if got := steps(w, &s, 0); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAKeeperMayPlanAnySetOfPacksOrOnlyTheDead(t *testing.T) {
	for name, c := range map[string]struct {
		any   bool
		store func(*state)
		plans int
	}{
		"any of two packs":             {true, old(false, blobA, blobB), 3},
		"both are live":                {false, old(false, blobA, blobB), 0},
		"both are dead":                {false, old(true, blobA, blobB), 1},
		"one pack, half of it is live": {false, halfLive, 0},
		"nothing dead, epoch 1 done": {false, func(s *state) {
			old(false, blobA)(s)
			s.epochs[1] = epoch{present: true}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(&Scenario{cast: []role{aKeeper}, planAny: c.any, store: c.store}, Rules{})
			s := w.start()
			if got := len(steps(w, &s, 0)) - 1; got != c.plans {
				t.Errorf("%d plans, want %d", got, c.plans)
			}
		})
	}
}
