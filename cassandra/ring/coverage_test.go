package ring

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func held(ids string) map[string]bool {
	set := map[string]bool{"a stranger": true}
	for _, id := range strings.Fields(ids) {
		set[id] = true
	}
	return set
}

func TestCoverageSaysWhatIsMissing(t *testing.T) {
	six := []string{"a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r1: 30", "d dc1 r1: 40", "e dc1 r1: 50", "f dc1 r1: 60"}
	dcs := []string{"a dc1 r1: 10", "b dc2 r1: 20", "c dc1 r2: 30", "d dc2 r1: 40"}
	tests := []struct {
		what        string
		members     []string
		replication string
		held        string
		want        Coverage
	}{
		{"all nodes have all", six, "SimpleStrategy replication_factor:3", "a b c d e f",
			Coverage{Level: All, Replicas: 3, Ranges: Tally{All: 6}}},
		{"one node of six: its ranges are joined, over the end of the ring", six, "SimpleStrategy replication_factor:3", "b c d e f",
			Coverage{Level: Quorum, Replicas: 3, Ranges: Tally{Quorum: 3, All: 3}, Uncovered: map[Level][]Range{All: {{"40", "10"}}}}},
		{"a range that ends with the ring's last token", six, "SimpleStrategy replication_factor:1", "a b c d e",
			Coverage{Level: None, Replicas: 1, Ranges: Tally{None: 1, All: 5},
				Uncovered: map[Level][]Range{One: {{"50", "60"}}, Quorum: {{"50", "60"}}, All: {{"50", "60"}}}}},
		{"the range over the end stands last", six, "SimpleStrategy replication_factor:1", "b c e f",
			Coverage{Level: None, Replicas: 1, Ranges: Tally{None: 2, All: 4},
				Uncovered: map[Level][]Range{One: {{"30", "40"}, {"60", "10"}}, Quorum: {{"30", "40"}, {"60", "10"}}, All: {{"30", "40"}, {"60", "10"}}}}},
		{"two neighbours missing", six, "SimpleStrategy replication_factor:3", "a d e f",
			Coverage{Level: One, Replicas: 3, Ranges: Tally{One: 2, Quorum: 2, All: 2},
				Uncovered: map[Level][]Range{Quorum: {{"60", "20"}}, All: {{"50", "30"}}}}},
		{"two of two is the quorum", six, "SimpleStrategy replication_factor:2", "a c e",
			Coverage{Level: One, Replicas: 2, Ranges: Tally{One: 6},
				Uncovered: map[Level][]Range{Quorum: {{"60", "60"}}, All: {{"60", "60"}}}}},
		{"no node has nothing of the whole ring", six, "SimpleStrategy replication_factor:3", "",
			Coverage{Level: None, Replicas: 3, Ranges: Tally{None: 6},
				Uncovered: map[Level][]Range{One: {{"60", "60"}}, Quorum: {{"60", "60"}}, All: {{"60", "60"}}}}},
		{"a quorum of more than the nodes is all of them", six[:2], "SimpleStrategy replication_factor:5", "a b",
			Coverage{Level: All, Replicas: 2, Ranges: Tally{All: 2}}},
		{"a quorum of more than the nodes is not one less", six[:3], "SimpleStrategy replication_factor:5", "a b",
			Coverage{Level: One, Replicas: 3, Ranges: Tally{One: 3}, Uncovered: map[Level][]Range{Quorum: {{"30", "30"}}, All: {{"30", "30"}}}}},
		{"the quorum is of all data centres together", dcs, "NetworkTopologyStrategy dc1:2 dc2:2", "a b c",
			Coverage{Level: Quorum, Replicas: 4, Ranges: Tally{Quorum: 4}, Uncovered: map[Level][]Range{All: {{"40", "40"}}}}},
		{"a whole data centre is half, no quorum", dcs, "NetworkTopologyStrategy dc1:2 dc2:2", "a c",
			Coverage{Level: One, Replicas: 4, Ranges: Tally{One: 4}, Uncovered: map[Level][]Range{Quorum: {{"40", "40"}}, All: {{"40", "40"}}}}},
		{"a data centre without nodes counts in the quorum", dcs, "NetworkTopologyStrategy dc1:2 dc2:1 gone:3", "a c",
			Coverage{Level: One, Replicas: 3, Ranges: Tally{One: 4}, Uncovered: map[Level][]Range{Quorum: {{"40", "40"}}, All: {{"40", "40"}}}}},
		{"no replica anywhere is never covered", dcs, "NetworkTopologyStrategy gone:3", "a b c d",
			Coverage{Level: None, Ranges: Tally{None: 4},
				Uncovered: map[Level][]Range{One: {{"40", "40"}}, Quorum: {{"40", "40"}}, All: {{"40", "40"}}}}},
		{"a node's own rows are on no other", dcs, "LocalStrategy", "b d",
			Coverage{Level: None, Replicas: 1, Local: true, Missing: []string{"a", "c"}}},
		{"all nodes have their own rows", dcs, "org.apache.cassandra.locator.LocalStrategy", "a b c d",
			Coverage{Level: All, Replicas: 1, Local: true}},
		{"rows everywhere are in any backup", dcs, "EverywhereStrategy", "c",
			Coverage{Level: One, Replicas: 4, Ranges: Tally{One: 4}, Uncovered: map[Level][]Range{Quorum: {{"40", "40"}}, All: {{"40", "40"}}}}},
		{"what is not known is not covered", dcs, "org.example.Mine", "a b c d",
			Coverage{Level: None, Unknown: `the strategy is not known`}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			topo := topology(t, map[string]map[string]string{"ks": options(tt.replication)}, tt.members...)
			tt.want.Keyspace = "ks"
			if diff := cmp.Diff([]Coverage{tt.want}, topo.Coverage(held(tt.held))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A node that leaves may hold rows that nobody else has, but a backup is complete
// without it.
func TestAMissingNodeThatLeavesIsMissedByItsRangesOnly(t *testing.T) {
	r := Ring{Partitioner: murmur3, Replication: map[string]map[string]string{"ks": options("SimpleStrategy replication_factor:1"), "system": options("LocalStrategy")},
		Members: []Member{member(t, "a dc1 r1: 10"), member(t, "b dc1 r1: 20")}}
	r.Members[1].State = Leaving
	topo, err := r.Topology()
	if err != nil {
		t.Fatal(err)
	}
	got := topo.Coverage(held("a"))
	if len(got) != 2 || got[0].Level != None || got[0].Uncovered[One][0].String() != "(10,20]" || got[1].Level != All {
		t.Errorf("%+v", got)
	}
}

func TestKeyspacesComeInOrderAndTheLowestLevelCounts(t *testing.T) {
	topo := topology(t, map[string]map[string]string{
		"zoo": options("SimpleStrategy replication_factor:2"), "accounts": options("SimpleStrategy replication_factor:2"),
		"Big": options("SimpleStrategy replication_factor:3"), "system": options("LocalStrategy"),
	}, "a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r1: 30")
	all := topo.Coverage(held("a b"))
	var names []string
	for _, c := range all {
		names = append(names, c.Keyspace+" "+c.Level.String())
	}
	if diff := cmp.Diff([]string{"Big QUORUM", "accounts ONE", "system NONE", "zoo ONE"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if l := Restorable(all); l != One {
		t.Errorf("all are restorable at %s", l)
	}
	all = append(all, Coverage{Keyspace: "strange", Unknown: "no idea"})
	if l := Restorable(all); l != None {
		t.Errorf("with an unknown keyspace all are restorable at %s", l)
	}
}

// Levels and coverage stand in documents that users read by machine.
func TestCoverageHasThisJSON(t *testing.T) {
	topo := topology(t, map[string]map[string]string{"ks": options("SimpleStrategy replication_factor:2"), "system": options("LocalStrategy"), "x": options("Mine")},
		"a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r1: 30")
	all := topo.Coverage(held("a b"))
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"keyspace":"ks","level":"ONE","replicas":2,"ranges":{"none":0,"one":2,"quorum":0,"all":1},` +
		`"uncovered":{"ALL":[{"start":"10","end":"30"}],"QUORUM":[{"start":"10","end":"30"}]}},` +
		`{"keyspace":"system","level":"NONE","replicas":1,"ranges":{"none":0,"one":0,"quorum":0,"all":0},"local":true,"missing":["c"]},` +
		`{"keyspace":"x","level":"NONE","replicas":0,"ranges":{"none":0,"one":0,"quorum":0,"all":0},"unknown":"the strategy is not known"}]`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var back []Coverage
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all, back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestLevelsAreReadInAnyCase(t *testing.T) {
	for text, want := range map[string]Level{"one": One, "QUORUM": Quorum, "All": All, "none": None} {
		var got Level
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %s, %v", text, got, err)
		}
	}
	var l Level
	if err := l.UnmarshalText([]byte("two")); err == nil || !strings.Contains(err.Error(), `"two"`) {
		t.Errorf("error %v", err)
	}
}

// The level of a token's own range, counted by hand, is the one that the lists of
// uncovered ranges give it.
func TestUncoveredRangesAreExactlyThoseBelowTheLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, rep := drawRing(t), drawReplication(t)
		topo, err := r.Topology()
		if err != nil {
			t.Fatal(err)
		}
		p, err := topo.Place(rep)
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]bool{}
		for _, m := range r.Members {
			has[m.HostID] = rapid.Bool().Draw(t, "held")
		}
		c := p.Coverage(has)
		lowest := All
		for rng, replicas := range p.All() {
			want := levelByHand(rep, replicas, has)
			lowest = min(lowest, want)
			end, _ := strconv.ParseInt(rng.End, 10, 64)
			for level := One; level <= All; level++ {
				listed := slices.ContainsFunc(c.Uncovered[level], func(u Range) bool { return holds(u, end) })
				if listed != (want < level) {
					t.Fatalf("%s with %v is %s but listed below %s: %v", rng, replicas, want, level, listed)
				}
			}
		}
		if c.Level != lowest || c.Ranges.None+c.Ranges.One+c.Ranges.Quorum+c.Ranges.All != topo.Len() {
			t.Fatalf("level %s, want %s; %+v", c.Level, lowest, c.Ranges)
		}
		for _, list := range c.Uncovered {
			for i, u := range list {
				if next := list[(i+1)%len(list)]; len(list) > 1 && u.End == next.Start {
					t.Fatalf("%s and %s are not joined", u, next)
				}
			}
		}
	})
}

func levelByHand(rep Replication, replicas []string, has map[string]bool) Level {
	factor := rep.Factor
	if rep.Strategy == NetworkTopologyStrategy {
		for _, f := range rep.DCs {
			factor += f
		}
	}
	n := 0
	for _, id := range replicas {
		if has[id] {
			n++
		}
	}
	switch {
	case n == 0:
		return None
	case n == len(replicas):
		return All
	case n > factor/2:
		return Quorum
	}
	return One
}
