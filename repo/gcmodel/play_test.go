package gcmodel

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A move is one operation of one actor: "2 K1 create the epoch".
type move struct {
	actor int
	what  string
}

// moves reads one move a line: the actor's place in the cast, from 1, and the operation.
func moves(script string) []move {
	var out []move
	for line := range strings.Lines(strings.TrimSpace(script)) {
		who, what, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		out = append(out, move{int(who[0] - '1'), what})
	}
	return out
}

// play takes the moves of a script, which must each be possible, and returns where they lead.
func play(t *testing.T, w *world, script string) state {
	t.Helper()
	s := w.start()
	for n, m := range moves(script) {
		var next *state
		w.successors(&s, m.actor, func(to *state, what string) {
			if what == m.what && next == nil {
				kept := *to
				next = &kept
			}
		})
		if next == nil {
			t.Fatalf("move %d, actor %d cannot %q; it can %q", n+1, m.actor+1, m.what, steps(w, &s, m.actor))
		}
		s = *next
	}
	return s
}

const (
	survey = `
		2 K2 list and read gc/
		2 K2 list pending
		2 K2 list roots
		2 K2 list deletion records
		2 K2 list shards
		`
	planned = `
		2 K0 plan an epoch
		2 K1 create the epoch
		`
	commits = `
		1 W4 announce the root
		1 W5 list and read gc/
		1 W6 create the root
		`
	loads = `
		1 W1 list and read gc/
		1 W2 list and load shards
		`
)

// A story is one interleaving, told by the store it leaves behind.
type story struct {
	name   string
	sc     Scenario
	rules  Rules
	script string
	want   string
}

var stories = []story{
	{
		name:   "a writer that knows its blobs uploads nothing",
		sc:     Scenario{cast: []role{backup(1, blobA)}, store: old(false, blobA)},
		script: loads + commits,
		want:   "P1{a} S2@0{P1} pending/1{a} root/0{a} root/1{a}",
	},
	{
		name:   "a writer without a cache reads the shards and knows as much",
		sc:     Scenario{cast: []role{fresh(1, blobA)}, store: old(false, blobA)},
		script: loads + commits,
		want:   "P1{a} S2@0{P1} pending/1{a} root/0{a} root/1{a}",
	},
	{
		name:   "new content goes into a pack and a shard",
		sc:     Scenario{cast: []role{backup(1, blobA|blobB)}, store: old(false, blobA)},
		script: loads + "1 W3 upload a pack\n1 W3 write a shard\n" + commits,
		want:   "P1{a} P3{b} S2@0{P1} S4@0{P3} pending/1{ab} root/0{a} root/1{ab}",
	},
	{
		name:   "what an epoch condemned before W1 is uploaded again",
		sc:     Scenario{cast: []role{backup(1, blobA), aKeeper}, store: old(true, blobA)},
		script: planned + loads + "1 W3 upload a pack\n1 W3 write a shard\n" + commits,
		want:   "P1{a} P3{a} S2@0{P1} S4@1{P3} deleted/0 gc/1{P1} pending/1{a} root/0{a} root/1{a}",
	},
	{
		name: "what an epoch condemned before W5 is uploaded again and looked at again",
		sc:   Scenario{cast: []role{backup(1, blobA), aKeeper}, store: old(true, blobA)},
		script: loads + planned + "1 W4 announce the root\n1 W5 list and read gc/\n1 W3 upload a pack\n1 W3 write a shard\n" +
			"1 W5 list and read gc/\n1 W6 create the root",
		want: "P1{a} P3{a} S2@0{P1} S4@1{P3} deleted/0 gc/1{P1} pending/1{a} root/0{a} root/1{a}",
	},
	{
		name:   "a keeper sweeps what nobody needs",
		sc:     Scenario{cast: []role{backup(1, blobB), aKeeper}, store: old(true, blobA)},
		script: planned + survey + "2 K3 list shards\n2 K3 delete a rewritten shard\n2 K3 list shards again\n2 K3 delete a pack",
		want:   "deleted/0 gc/1{P1} root/0{a}",
	},
	{
		name:   "a pack that a shard goes on naming is left for another sweep",
		sc:     Scenario{cast: []role{backup(1, blobA).after(actor{at: wShard, own: 1}), aKeeper}, store: old(true, blobA)},
		script: planned + survey + "2 K3 list shards\n2 K3 delete a rewritten shard\n1 W3 write a shard\n2 K3 list shards again",
		want:   "P1{a} S3@0{P1} deleted/0 gc/1{P1} root/0{a}",
	},
	{
		name:   "a blob announced after the epoch is copied before the sweep",
		sc:     Scenario{cast: []role{backup(1, blobA), aKeeper}, store: old(true, blobA)},
		script: loads + planned + "1 W4 announce the root\n" + survey + "2 K2 copy live blobs into a pack\n2 K2 write the copies' shard",
		want:   "P1{a} P3{a} S2@0{P1} S4@1{P3} deleted/0 gc/1{P1} pending/1{a} root/0{a}",
	},
	{
		name:   "un-condemning takes the epoch away from those who have read it",
		sc:     Scenario{cast: []role{backup(1, blobA), aKeeper}, store: old(true, blobA)},
		rules:  Rules{Uncondemn: true},
		script: loads + planned + "1 W4 announce the root\n" + survey + "2 take the epoch back",
		want:   "P1{a} S2@0{P1} deleted/0 pending/1{a} root/0{a}",
	},
	{
		name:   "a shard that also names live packs is rewritten",
		sc:     Scenario{cast: []role{backup(1, blobB), aSweeper}, store: twoPackShard},
		script: survey + "2 K3 list shards\n2 K3 write a shard without condemned packs\n2 K3 delete a rewritten shard",
		want:   "P1{a} P2{b} S4@1{P2} gc/1{P1} root/0{b}",
	},
	{
		name:   "a shard older than a finished epoch keeps what the store holds",
		sc:     Scenario{cast: []role{backup(1, blobB), aSweeper}, store: finishedEpoch},
		script: survey + "2 K3 list shards\n2 K3 write a shard without condemned packs\n2 K3 delete a rewritten shard",
		want:   "P2{b} S4@2{P2} gc/2{} root/0{b}",
	},
	{
		name:   "two keepers race for a number and one goes back to K0",
		sc:     Scenario{cast: []role{aKeeper, aKeeper}, store: old(true, blobA)},
		script: "1 K0 plan an epoch\n" + planned + "1 K1 create the epoch: taken, back to K0\n1 K0 plan nothing",
		want:   "P1{a} S2@0{P1} deleted/0 gc/1{P1} root/0{a}",
	},
	{
		name:   "an abort record wins the root's key and the writer fails",
		sc:     Scenario{cast: []role{backup(1, blobA), aJanitor}, store: old(false, blobA)},
		script: loads + "1 W4 announce the root\n2 find a pending that is open\n2 create an abort record\n1 W5 list and read gc/\n1 W6 create the root: the abort record won",
		want:   "P1{a} S2@0{P1} abort/1 pending/1{a} root/0{a}",
	},
	{
		name:   "the root wins its key and the abort record is not written",
		sc:     Scenario{cast: []role{backup(1, blobA), aJanitor}, store: old(false, blobA)},
		script: loads + "1 W4 announce the root\n2 find a pending that is open\n1 W5 list and read gc/\n1 W6 create the root\n2 create an abort record\n2 find a pending that is closed\n2 remove a pending",
		want:   "P1{a} S2@0{P1} root/0{a} root/1{a}",
	},
	{
		name:   "a dead attempt is closed by the next, which has a name of its own",
		sc:     Scenario{cast: []role{backup(1, blobA).dying(run{2, blobA})}, store: old(false, blobA)},
		script: loads + "1 W4 announce the root\n1 crash and begin the next run\n1 close the dead attempt: create its abort record\n" + loads + commits,
		want:   "P1{a} S2@0{P1} abort/1 pending/1{a} pending/2{a} root/0{a} root/2{a}",
	},
	{
		name:   "a root that reappears after its deletion is no backup",
		sc:     Scenario{cast: []role{backup(1, blobA), deletion(1)}, store: old(false, blobA)},
		script: loads + "1 W4 announce the root\n1 W5 list and read gc/\n1 W6 create the root, the answer is lost\n2 create a deletion record\n2 remove a root\n1 W6 create the root",
		want:   "P1{a} S2@0{P1} deleted/1 pending/1{a} root/0{a} root/1{a}",
	},
	{
		name:   "an epoch at the floor of the newest may be removed",
		sc:     Scenario{cast: []role{backup(1, blobB), aRemover}, store: finishedEpochStands},
		script: "2 find an epoch to remove\n2 remove an epoch",
		want:   "P2{b} S3@0{P1,P2} gc/2{} root/0{b}",
	},
	{
		name:   "a pack that no shard names gets one",
		sc:     Scenario{cast: []role{backup(1, blobB), anAdopt}, store: orphaned},
		script: "2 adopt: list and read gc/\n2 adopt: list packs\n2 adopt: list shards\n2 adopt: write a shard for packs without one",
		want:   "P3{b} P5{a} S4@0{P3} S6@0{P5} deleted/0 root/0{ab}",
	},
}

func TestStories(t *testing.T) {
	for _, c := range stories {
		t.Run(c.name, func(t *testing.T) {
			s := play(t, newWorld(&c.sc, c.rules), c.script)
			if diff := cmp.Diff(strings.Fields(c.want), s.objects()); diff != "" {
				t.Error(diff)
			}
			if s.lost() != 0 {
				t.Errorf("lost %s", blobNames(s.lost()))
			}
		})
	}
}

// twoPackShard is one shard that names a condemned pack and a live one.
func twoPackShard(s *state) {
	s.putPack(blobA)
	s.putPack(blobB)
	s.putShard(packA|packB, 0)
	s.roots[0] = root{needs: blobB, object: committed}
	s.epochs[1] = epoch{present: true, condemns: packA}
}

// finishedEpochStands is twoPackShard swept but for a shard that a paused writer wrote late.
func finishedEpochStands(s *state) {
	twoPackShard(s)
	s.packs[0].present = false
	s.epochs[2] = epoch{present: true, floor: 1}
}

// finishedEpoch is the same with the epoch removed.
func finishedEpoch(s *state) {
	finishedEpochStands(s)
	s.epochs[1] = epoch{}
}

// The rule of each reading for what may be removed.
func TestWhichEpochsMayBeRemoved(t *testing.T) {
	stands := func(happened func(*state)) func(*state) {
		return func(s *state) {
			twoPackShard(s)
			s.epochs[2] = epoch{present: true, condemns: packA}
			happened(s)
		}
	}
	swept := func(s *state) { s.packs[0].present, s.shards[0].packs = false, packB }
	for name, c := range map[string]struct {
		reading Reading
		store   func(*state)
		may     bool
	}{
		"bare, its pack stands":         {Bare, stands(func(*state) {}), false},
		"bare, a shard names its pack":  {Bare, stands(func(s *state) { s.packs[0].present = false }), false},
		"bare, all is gone":             {Bare, stands(swept), true},
		"bare, it is the newest":        {Bare, stands(func(s *state) { swept(s); s.epochs[2] = epoch{} }), false},
		"floored, above the floor":      {Floored, stands(swept), false},
		"floored, at the floor":         {Floored, stands(func(s *state) { s.epochs[2].floor = 1 }), true},
		"floored, it is the newest":     {Floored, stands(func(s *state) { s.epochs[2] = epoch{}; s.epochs[1].floor = 1 }), false},
		"cumulative, a newer one":       {Cumulative, stands(func(*state) {}), true},
		"cumulative, it is the newest":  {Cumulative, stands(func(s *state) { s.epochs[2] = epoch{} }), false},
		"bare, the newer one is beyond": {Bare, stands(func(s *state) { swept(s); s.epochs[2] = epoch{}; s.epochs[4].present = true }), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(&Scenario{cast: []role{aRemover}, store: c.store}, Rules{Epochs: c.reading})
			s := w.start()
			if got := len(steps(w, &s, 0)) > 0; got != c.may {
				t.Errorf("may remove: %v", got)
			}
		})
	}
}

// A floor rises over finished epochs only, one after the other.
func TestTheFloorRisesOverFinishedEpochs(t *testing.T) {
	for name, c := range map[string]struct {
		happened func(*state)
		want     uint8
	}{
		"no epoch":                       {func(*state) {}, 0},
		"its pack stands":                {func(s *state) { s.epochs[1] = epoch{present: true, condemns: packA} }, 0},
		"its pack is gone":               {func(s *state) { s.epochs[1] = epoch{present: true, condemns: oddPack} }, 1},
		"two are finished":               {func(s *state) { s.epochs[1].present, s.epochs[2].present = true, true }, 2},
		"the second waits for the first": {func(s *state) { s.epochs[1] = epoch{present: true, condemns: packA}; s.epochs[2].present = true }, 0},
		"it never falls":                 {func(s *state) { s.epochs[3] = epoch{present: true, condemns: packA, floor: 2} }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(&Scenario{cast: []role{aKeeper}, store: history(c.happened)}, Rules{})
			s := w.start()
			turn := turn{world: w, from: &s}
			if got := turn.finished(w.epochsOf(&s)); got != c.want {
				t.Errorf("floor %d, want %d", got, c.want)
			}
		})
	}
}

// What a writer may keep of its cache, by the epochs it finds at W1.
func TestWhenTheCacheCounts(t *testing.T) {
	whole := []uint8{1, 2, 3}
	for name, c := range map[string]struct {
		sync    uint8
		epochs  []uint8
		floor   uint8 // of the newest
		reading Reading
		rules   Rules
		keeps   bool
	}{
		"nothing has happened":                        {0, nil, 0, Floored, Rules{}, true},
		"every epoch since is there":                  {1, whole, 0, Floored, Rules{}, true},
		"the floor is at its sync":                    {1, whole, 1, Floored, Rules{}, true},
		"the floor is past its sync":                  {1, whole, 2, Floored, Rules{}, false},
		"the newest is older: the bucket went back":   {3, []uint8{1}, 0, Floored, Rules{}, false},
		"bare, a number since is missing":             {1, []uint8{1, 3}, 0, Bare, Rules{}, false},
		"bare, a number before is missing":            {2, []uint8{1, 3}, 0, Bare, Rules{}, true},
		"without the gap rule it always counts":       {1, whole, 2, Floored, Rules{NoGapRule: true}, true},
		"cumulative epochs leave no gap":              {1, []uint8{3}, 0, Cumulative, Rules{}, true},
		"cumulative, the newest is older than a sync": {3, []uint8{1}, 0, Cumulative, Rules{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c.rules.Epochs = c.reading
			w := newWorld(&Scenario{cast: []role{backup(1, blobA)}, store: old(false, blobA)}, c.rules)
			s := w.start()
			s.actors[0].sync = c.sync
			for _, n := range c.epochs {
				s.epochs[n].present = true
				if n == slices.Max(c.epochs) {
					s.epochs[n].floor = c.floor
				}
			}
			var after actor
			w.successors(&s, 0, func(to *state, _ string) { after = to.actors[0] })
			if got := after.cached != 0; got != c.keeps {
				t.Errorf("keeps its cache: %v", got)
			}
		})
	}
}

func TestATraceNamesSetsAndChanges(t *testing.T) {
	for name, c := range map[string]struct{ got, want string }{
		"no blobs":        {blobNames(0), ""},
		"two blobs":       {blobNames(blobA | blobB), "ab"},
		"nothing changed": {difference([]string{"P1"}, []string{"P1"}), ""},
		"one for another": {difference([]string{"P1", "P2"}, []string{"P2", "P3"}), "-P1 +P3"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("%q, want %q", c.got, c.want)
			}
		})
	}
}
