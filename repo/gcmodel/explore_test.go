package gcmodel

import (
	"errors"
	"strings"
	"testing"
)

func TestDepthAndBreadthFirstVisitTheSameStates(t *testing.T) {
	for _, sc := range []*Scenario{oneByTwo, oneSwept, deletedEarly, mixedPack, lateShard, lateAdoption} {
		t.Run(sc.Name, func(t *testing.T) {
			deep, err := Explore(sc, Rules{}, limit)
			if err != nil {
				t.Fatal(err)
			}
			broad, err := Shortest(sc, Rules{}, limit)
			if err != nil {
				t.Fatal(err)
			}
			if deep.States != broad.States || len(deep.Trace)+len(broad.Trace) != 0 {
				t.Errorf("%d states and %d deep, %d and %d broad", deep.States, len(deep.Trace), broad.States, len(broad.Trace))
			}
		})
	}
}

// Merging alike actors must change the number of states and never the verdict.
func TestSymmetryChangesNoVerdict(t *testing.T) {
	plain := *oneByTwo
	plain.cast = []role{backup(1, blobA), {kind: keeper}, {kind: keeper}}
	for name, c := range map[string]struct {
		rules Rules
		loses bool
	}{
		"the protocol": {Rules{}, false},
		"no W5":        {Rules{NoW5: true}, true},
		"un-condemn":   {Rules{Uncondemn: true}, true},
		"fresh K3":     {Rules{FreshK3: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			merged, err := Shortest(oneByTwo, c.rules, limit)
			if err != nil {
				t.Fatal(err)
			}
			apart, err := Shortest(&plain, c.rules, limit)
			if err != nil {
				t.Fatal(err)
			}
			if (len(merged.Trace) > 0) != c.loses || len(apart.Trace) != len(merged.Trace) {
				t.Errorf("loss after %d steps merged, %d apart", len(merged.Trace), len(apart.Trace))
			}
			if merged.States >= apart.States {
				t.Errorf("%d states merged, %d apart", merged.States, apart.States)
			}
		})
	}
}

func TestAnExplorationThatIsNotCompleteIsAnError(t *testing.T) {
	crowded := &Scenario{Name: "crowded", cast: []role{backup(1, blobA|blobB)}, store: func(s *state) {
		for range maxPacks {
			s.putShard(bit(s.putPack(blobA)), 0)
		}
	}}
	for name, c := range map[string]struct {
		sc    *Scenario
		limit int
		want  error
	}{
		"too many states":    {oneByTwo, 100, ErrTooMany},
		"no room for a pack": {crowded, limit, ErrOutgrown},
	} {
		t.Run(name, func(t *testing.T) {
			for _, explore := range []func(*Scenario, Rules, int) (Report, error){Explore, Shortest} {
				r, err := explore(c.sc, Rules{}, c.limit)
				if !errors.Is(err, c.want) || len(r.Trace) != 0 {
					t.Errorf("%v, %v", r, err)
				}
				if err != nil && !strings.Contains(err.Error(), c.sc.Name) {
					t.Errorf("the error %q does not name the scenario", err)
				}
			}
		})
	}
}

func TestAStoreThatHasLostABlobIsALossOnceSomethingMoves(t *testing.T) {
	broken := &Scenario{Name: "broken", cast: []role{fresh(1, blobB)}, store: func(s *state) {
		old(false, blobA)(s)
		s.packs[0].present = false
	}}
	r, err := Explore(broken, Rules{}, limit)
	if err != nil || r.States != 1 || len(r.Trace) != 2 {
		t.Errorf("%v, %v", r, err)
	}
}

// Each reachable step must be reached: a scenario whose keepers never copy, say, would prove little.
func TestTheScenariosReachEveryStep(t *testing.T) {
	reached := map[string]bool{}
	for _, sc := range []*Scenario{comesBack, deletedEarly, declaredDead, mixedPack, diesAgain, lateShard, orphan} {
		e := &explorer{world: newWorld(sc, Rules{}), limit: limit}
		e.tell = func(what string) { reached[what] = true }
		if _, err := e.run(); err != nil {
			t.Fatal(err)
		}
	}
	crowded := &explorer{world: newWorld(mixedPack, Rules{MayBeFull: true}), limit: limit, tell: func(what string) { reached[what] = true }}
	if _, err := crowded.run(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"W1 list and read gc/", "W2 list and load shards", "W3 upload a pack", "W3 write a shard", "W4 announce the root",
		"W5 list and read gc/", "W5 list gc/: an epoch after E0 is gone, back to W1",
		"W6 create the root", "W6 create the root, the answer is lost", "W6 create the root: the abort record won",
		"begin the next run", "crash and begin the next run", "close the dead attempt: create its abort record",
		"K0 plan nothing", "K0 plan an epoch", "K1 create the epoch", "K1 create the epoch: taken, back to K0",
		"K2 list and read gc/", "K2 list pending", "K2 list roots", "K2 list deletion records", "K2 list shards",
		"K2 copy live blobs into a pack", "K2 copy: a source is gone, list again", "K2 write the copies' shard",
		"K3 list shards", "K3 write a shard without condemned packs", "K3 delete a rewritten shard",
		"K3 list shards again", "K3 delete a pack",
		"K2 list shards, no room for copies", "K3 list packs", "K3 no room for a shard",
		"find an epoch to remove", "remove an epoch", "adopt: write a shard for packs without one",
		"find a pending that is open", "find a pending that is closed", "create an abort record", "remove a pending",
		"create a deletion record", "remove a root",
	} {
		if !reached[want] {
			t.Errorf("no scenario reaches %q", want)
		}
	}
}
