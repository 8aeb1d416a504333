package ring

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestWhatLacksALevelIsToldWithWhoWouldHelp(t *testing.T) {
	topo := topology(t, map[string]map[string]string{
		"one": options("SimpleStrategy replication_factor:1"), "three": options("SimpleStrategy replication_factor:3"),
		"also": options("SimpleStrategy replication_factor:3"), "system": options("LocalStrategy"), "mine": options("Mine")},
		"a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r1: 30", "d dc1 r1: 40")
	mine := Lack{Keyspace: "mine", Unknown: "the strategy is not known"}
	one := Lack{Keyspace: "one", Ranges: []Range{{"20", "30"}}, Missing: []string{"c"}}
	three := []Range{{"40", "30"}}
	tests := []struct {
		what, held string
		level      Level
		keyspaces  []string
		want       []Lack
	}{
		{"one node of four is no loss at QUORUM where there are three replicas", "a b d", Quorum, nil, []Lack{mine, one}},
		{"but at ALL", "a b d", All, []string{"three", "also"},
			[]Lack{{Keyspace: "also", Level: Quorum, Ranges: three, Missing: []string{"c"}}, {Keyspace: "three", Level: Quorum, Ranges: three, Missing: []string{"c"}}}},
		{"at ONE only what nobody has", "a b d", One, []string{"three", "one", "system"}, []Lack{one}},
		{"two nodes of four lack some ranges of a QUORUM, and either would help", "a b", Quorum, []string{"three"},
			[]Lack{{Keyspace: "three", Level: One, Ranges: []Range{{"10", "30"}}, Missing: []string{"c", "d"}}}},
		{"all nodes lack nothing", "a b c d", All, []string{"one", "three"}, nil},
		{"nothing is asked for", "", None, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := topo.Lacking(held(tt.held), tt.level, tt.keyspaces)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	eight := topology(t, map[string]map[string]string{"ks": options("SimpleStrategy replication_factor:3")},
		"a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r1: 30", "d dc1 r1: 40", "e dc1 r1: 50", "f dc1 r1: 60", "g dc1 r1: 70", "h dc1 r1: 80")
	got, err := eight.Lacking(held("a b e f h"), Quorum, nil)
	want := []Lack{{Keyspace: "ks", Level: One, Ranges: []Range{{"10", "30"}}, Missing: []string{"c", "d"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("who is missed by ranges of the level only is not asked for: %v (-want +got):\n%s", err, diff)
	}
	if _, err := topo.Lacking(nil, One, []string{"one", "tow"}); err == nil || !strings.Contains(err.Error(), `"tow"`) {
		t.Errorf("error %v", err)
	}
}

// A level lacks nothing exactly where every token has enough replicas at hand, and
// with all that are missing it lacks nothing.
func TestWhoIsMissingWouldMakeTheLevel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawBigRing(t)
		topo, err := r.Topology()
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]bool{}
		for _, m := range r.Members {
			has[m.HostID] = rapid.IntRange(0, 3).Draw(t, "held") > 0
		}
		level := rapid.SampledFrom([]Level{One, Quorum, All}).Draw(t, "level")
		lacks, err := topo.Lacking(has, level, nil)
		if err != nil {
			t.Fatal(err)
		}
		for keyspace, o := range r.Replication {
			i := slices.IndexFunc(lacks, func(l Lack) bool { return l.Keyspace == keyspace })
			if want := lacksByHand(r, o, has, level); want != (i >= 0) {
				t.Fatalf("%s lacks %s: %v by hand, %+v", keyspace, level, want, lacks)
			}
		}
		for _, l := range lacks {
			for _, id := range l.Missing {
				if has[id] {
					t.Fatalf("%s is at hand and missing", id)
				}
			}
			checkHelps(t, topo, has, level, l)
		}
	})
}

func checkHelps(t *rapid.T, topo *Topology, has map[string]bool, level Level, l Lack) {
	more := map[string]bool{}
	for id, held := range has {
		more[id] = held || slices.Contains(l.Missing, id)
	}
	again, err := topo.Lacking(more, level, []string{l.Keyspace})
	if err != nil {
		t.Fatal(err)
	}
	if len(again) > 0 && len(again[0].Missing) > 0 {
		t.Fatalf("with %v there still lacks %+v", l.Missing, again)
	}
}

func lacksByHand(r Ring, options map[string]string, has map[string]bool, level Level) bool {
	rep, err := parseReplication(options)
	if err != nil || rep.Strategy == LocalStrategy {
		return false
	}
	if rep.Strategy == EverywhereStrategy {
		rep = Replication{Strategy: SimpleStrategy, Factor: len(allOwners(r))}
	}
	for _, m := range allOwners(r) {
		for _, text := range m.Tokens {
			end, _ := strconv.ParseInt(text, 10, 64)
			if levelByHand(rep, walkAhead(r, rep, end), has) < level {
				return true
			}
		}
	}
	return false
}

func allOwners(r Ring) []Member {
	return slices.DeleteFunc(slices.Clone(r.Members), func(m Member) bool { return m.State == Joining })
}
