package gcmodel

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// walk takes random steps from the start of a scenario and shows every state on the way.
func walk(w *world, rnd *rand.Rand, n int, show func(*state)) {
	s := w.start()
	for range n {
		var next []state
		for i := range w.sc.cast {
			w.successors(&s, i, func(to *state, _ string) { next = append(next, *to) })
		}
		if len(next) == 0 {
			return
		}
		s = next[rnd.IntN(len(next))]
		show(&s)
	}
}

// shuffled renames packs and shards at random.
func shuffled(s state, rnd *rand.Rand) state {
	places := make([]uint8, maxPacks)
	for i, to := range rnd.Perm(maxPacks) {
		places[i] = uint8(to)
	}
	s.movePacks(places)
	for i, to := range rnd.Perm(maxShards) {
		places[i] = uint8(to)
	}
	s.moveShards(places)
	return s
}

func TestCanonisingKeepsWhatStandsInTheStore(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, sc := range []*Scenario{oneByTwo, mixedPack, lateShardRead, diesAgain, orphan} {
		w := newWorld(sc, Rules{})
		for range 200 {
			walk(w, rnd, 60, func(s *state) {
				before, lost := s.objects(), s.lost()
				c := *s
				w.canonise(&c)
				if after := c.objects(); !slices.Equal(before, after) || c.lost() != lost {
					t.Fatalf("%s: %q became %q", sc.Name, before, after)
				}
			})
		}
	}
}

// Two namings of one state have one canonical form. Ties among alike packs may leave a few apart, which costs states and
// no truth, so the test asks for nearly all.
func TestNamesDoNotMakeAState(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	same, all := 0, 0
	for _, sc := range []*Scenario{twoByTwo, mixedPack, lateShardRead, diesAgain} {
		w := newWorld(sc, Rules{})
		for range 200 {
			walk(w, rnd, 60, func(s *state) {
				a, b := *s, shuffled(*s, rnd)
				w.canonise(&a)
				w.canonise(&b)
				all++
				if bytes.Equal(a.encode(nil), b.encode(nil)) {
					same++
				}
			})
		}
	}
	if same*100 < all*95 {
		t.Errorf("%d of %d states have one form under renaming", same, all)
	}
}

// What the renamed state can do next is what the state can do next.
func TestRenamingChangesNoStep(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, sc := range []*Scenario{oneByTwo, lateShardRead, diesAgain} {
		w := newWorld(sc, Rules{})
		for range 200 {
			walk(w, rnd, 60, func(s *state) {
				r := shuffled(*s, rnd)
				for i := range sc.cast {
					here, there := steps(w, s, i), steps(w, &r, i)
					if slices.Sort(here); !slices.Equal(here, sortedCopy(there)) {
						t.Fatalf("%s, actor %d: %q, renamed %q", sc.Name, i, here, there)
					}
				}
			})
		}
	}
}

func sortedCopy(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

func TestAlikeWritersChangePlacesWithTheirSnapshots(t *testing.T) {
	w := newWorld(&Scenario{cast: []role{backup(1, blobA).in(1), backup(2, blobA).in(1), aJanitor}, store: old(true, blobA)}, Rules{})
	form := func(first, second int) []byte {
		s := w.start()
		s.actors[first].at, s.actors[first].announced = wRecheck, true
		s.roots[first+1] = root{needs: blobA, pending: true}
		s.actors[second].at = wShards
		s.actors[2].at, s.actors[2].next = jAbort, uint8(first+1)
		s.actors[2].seen.pending = bit(first + 1)
		w.canonise(&s)
		return s.encode(nil)
	}
	if !bytes.Equal(form(0, 1), form(1, 0)) {
		t.Error("two states that differ in which of two alike writers is ahead stay apart")
	}
}

func TestWhatNothingMentionsIsForgotten(t *testing.T) {
	for name, c := range map[string]struct {
		mind         actor
		prep         func(*state)
		packs, shard bool // whether the absent pack and the unlisted shard keep their slots
	}{
		"nobody knows them":              {actor{}, func(*state) {}, false, false},
		"a cache holds the shard":        {actor{cached: 1, cache: [maxShards]set{packA}}, func(*state) {}, true, true},
		"a keeper is about to delete it": {actor{doomed: packA}, func(*state) {}, true, false},
		"an epoch condemns the pack":     {actor{}, func(s *state) { s.epochs[1] = epoch{present: true, condemns: packA} }, true, false},
		"a writer has just uploaded it":  {actor{own: 1}, func(*state) {}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			var s state
			old(true, blobA)(&s)
			s.packs[0].present, s.shards[0].listed = false, false
			s.actors[0] = c.mind
			c.prep(&s)
			s.forget()
			if got := s.packs[0].blobs != 0; got != c.packs {
				t.Errorf("pack kept: %v", got)
			}
			if got := s.shards[0].packs != 0; got != c.shard {
				t.Errorf("shard kept: %v", got)
			}
		})
	}
}
