package gcmodel

import (
	"strings"
	"testing"
)

// An ablation turns one rule off where that loses data. The same scenario with the rule on is among those that are
// proved to lose nothing, or is named in safe.
type ablation struct {
	name     string
	rules    Rules
	scenario *Scenario
	safe     *Rules // the rules under which the scenario is proved here, where it is not in everyScenario
}

var ablations = []ablation{
	{name: "packs condemned at or before E0 are trusted", rules: Rules{TrustOld: true}, scenario: oneByTwo},
	{name: "no W5", rules: Rules{NoW5: true}, scenario: oneByTwo},
	{name: "W5 before the pending", rules: Rules{LatePending: true}, scenario: oneByTwo},
	{name: "no K2", rules: Rules{NoK2: true}, scenario: oneByTwo},
	{name: "K3 without a K2 of its own", rules: Rules{BareK3: true}, scenario: oneSwept},
	{name: "K2 lists gc after pendings and roots", rules: Rules{LateEpochs: true}, scenario: oneByTwo},
	{name: "K3 sweeps what was condemned after its K2", rules: Rules{FreshK3: true}, scenario: oneByTwo},
	{name: "a deletion without its record", rules: Rules{NoRecord: true}, scenario: deletedEarly},
	{name: "un-condemn", rules: Rules{Uncondemn: true}, scenario: oneSwept},
	{name: "tombstones dropped at once", rules: Rules{DropAtOnce: true}, scenario: oneByTwo},
	{name: "roots listed before pending", rules: Rules{RootsFirst: true}, scenario: declaredDead},
	{name: "a pending removed by age without the abort record", rules: Rules{ForgetPending: true}, scenario: declaredDead},
	{name: "compaction by a writer", rules: Rules{WriterCompacts: true}, scenario: twoSwept},
	{name: "a cache without the gap rule", rules: Rules{NoGapRule: true}, scenario: lateShard},
	{name: "a cache without either of its rules", rules: Rules{NoGapRule: true, KeepUnlisted: true}, scenario: diesAgain},
	{name: "a cache that keeps unlisted shards after a rollback", rules: Rules{KeepUnlisted: true}, scenario: rollback},
	{name: "shards older than a removed epoch trusted unseen", rules: Rules{NoStamp: true}, scenario: lateShardRead},
	{name: "packs without a shard listed before gc", rules: Rules{LateAdoption: true}, scenario: lateAdoption,
		safe: &Rules{Epochs: Cumulative, LateAdoption: true}},
	{name: "K3 leaves out what a shard that goes too names", rules: Rules{RewriteLess: true}, scenario: namedByTwo},
	{name: "a keeper without room keeps one holder of each blob", rules: Rules{MayBeFull: true, KeepOne: true}, scenario: heldByTwo,
		safe: &Rules{MayBeFull: true}},
	{name: "an epoch number used twice", rules: Rules{Epochs: Bare}, scenario: lateEpoch},
	{name: "an upload that lands after its pack was deleted", rules: Rules{}, scenario: retried,
		safe: &Rules{Epochs: Cumulative}},
	{name: "the same without floors", rules: Rules{Epochs: Bare}, scenario: retried},
}

func TestEachAblationLosesData(t *testing.T) {
	for _, a := range ablations {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			r, err := Shortest(a.scenario, a.rules, 1_000_000)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Trace) == 0 {
				t.Fatalf("no loss in %d states: the rule is not needed, or the model has a hole", r.States)
			}
			t.Logf("%s: %d states, %d steps\n%s", a.scenario.Name, r.States, len(r.Trace)-2, strings.Join(r.Trace, "\n"))
			if a.safe != nil {
				mustBeSafe(t, a.scenario, *a.safe)
			}
		})
	}
}

// The story of the shortest loss without K2, word by word: the trace is what a reader of a failure has.
func TestATraceTellsWhatEachStepChanged(t *testing.T) {
	r, err := Shortest(oneByTwo, Rules{NoK2: true}, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"start: P1{a} S2@0{P1} deleted/0 root/0{a}",
		"W4 announce the root   +pending/1{a}",
		"W6 create the root   +root/1{a}",
		"K1 create the epoch   +gc/1{P1}",
		"list gc/, no K2",
		"K3 delete a rewritten shard   -S2@0{P1}",
		"lost: a",
	} {
		if !strings.Contains(strings.Join(r.Trace, "\n"), want) {
			t.Errorf("the trace has no %q:\n%s", want, strings.Join(r.Trace, "\n"))
		}
	}
}
