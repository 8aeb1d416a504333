package ring

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRangesEndAtTheOwnersTokens(t *testing.T) {
	tests := []struct {
		what, partitioner string
		members           []string
		want              []Range
	}{
		{"one token owns the whole ring", murmur3, []string{"a dc1 r1: 5"}, []Range{{"5", "5"}}},
		{"the first range goes over the end", murmur3, []string{"a dc1 r1: 9 -5", "b dc1 r1: 7"}, []Range{{"9", "-5"}, {"-5", "7"}, {"7", "9"}}},
		{"the lowest and the highest token may be a node's", murmur3, []string{"a dc1 r1: " + murmur3Max, "b dc1 r1: " + murmur3Min},
			[]Range{{murmur3Max, murmur3Min}, {murmur3Min, murmur3Max}}},
		{"bytes", byteOrdered, []string{"a dc1 r1: ff 00", "b dc1 r1: 0a"}, []Range{{"ff", "00"}, {"00", "0a"}, {"0a", "ff"}}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			r := Ring{Partitioner: tt.partitioner}
			for _, m := range tt.members {
				r.Members = append(r.Members, member(t, m))
			}
			topo, err := r.Topology()
			if err != nil {
				t.Fatal(err)
			}
			var got []Range
			for i := range topo.Len() {
				got = append(got, topo.Range(i))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A node that leaves or moves has all rows of its ranges until it is done; who
// takes them over has not.
func TestWhoIsOnTheWayOwnsWhatItHadBefore(t *testing.T) {
	r := Ring{Partitioner: murmur3}
	for i, state := range []string{Normal, Leaving, Moving, Joining} {
		r.Members = append(r.Members, Member{HostID: strings.ToLower(state), State: state, Tokens: []string{strconv.Itoa(i)}})
	}
	r.Members = append(r.Members, Member{HostID: "not yet", State: Joining})
	topo, err := r.Topology()
	if err != nil {
		t.Fatal(err)
	}
	p, err := topo.Place(Replication{Strategy: SimpleStrategy, Factor: 1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"(2,0] [normal]", "(0,1] [leaving]", "(1,2] [moving]"}, drawn(p)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARingThatCannotBeIsRefused(t *testing.T) {
	many := func(n, each int) []Member {
		var all []Member
		for i := range n {
			m := Member{HostID: strconv.Itoa(i), State: Normal}
			for v := range each {
				m.Tokens = append(m.Tokens, strconv.Itoa(i*each+v))
			}
			all = append(all, m)
		}
		return all
	}
	tests := []struct {
		what string
		ring Ring
		want string
	}{
		{"a ring that is not known", Ring{Partitioner: murmur3, Members: many(1, 1), Absent: "no peers table"}, "not known: no peers table"},
		{"an unknown partitioner", Ring{Partitioner: "org.example.Mine", Members: many(1, 1)}, `partitioner "org.example.Mine" is not known`},
		{"no members", Ring{Partitioner: murmur3}, "no member owns a token"},
		{"only members that join", Ring{Partitioner: murmur3, Members: []Member{{HostID: "a", State: Joining, Tokens: []string{"1"}}}}, "no member owns a token"},
		{"a member without tokens", Ring{Partitioner: murmur3, Members: []Member{{HostID: "a", State: Normal}}}, "member a: 0 tokens"},
		{"a state of somebody's own", Ring{Partitioner: murmur3, Members: []Member{{HostID: "a", State: "GONE", Tokens: []string{"1"}}}}, `member a: state "GONE"`},
		{"no token", Ring{Partitioner: murmur3, Members: []Member{{HostID: "a", State: Normal, Tokens: []string{"x"}}}}, `token "x" of member a`},
		{"one host id twice", Ring{Partitioner: murmur3, Members: append(many(1, 1), many(1, 2)...)}, "two members have the host id 0"},
		{"one token twice", Ring{Partitioner: murmur3, Members: append(many(1, 2), Member{HostID: "b", State: Moving, Tokens: []string{"+1"}})}, "token 1 is held by both 0 and b"},
		{"too many members", Ring{Partitioner: murmur3, Members: make([]Member, maxMembers+1)}, "65537 members are more than"},
		{"too many tokens of a member", Ring{Partitioner: murmur3, Members: many(1, maxTokensEach+1)}, "1537 tokens of a member"},
		{"too many tokens", Ring{Partitioner: murmur3, Members: many(maxTokens/maxTokensEach+1, maxTokensEach)}, "more than 1048576 tokens"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			tt.ring.Cluster = "shop"
			if _, err := tt.ring.Topology(); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `cluster "shop"`) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFindKnowsTheRangeOfAToken(t *testing.T) {
	topo := topology(t, nil, "a dc1 r1: -5 9", "b dc1 r1: 7")
	for token, want := range map[string]int{"-5": 0, murmur3Min: 0, murmur3Max: 0, "10": 0, "-4": 1, "7": 1, "8": 2, "9": 2} {
		if got, err := topo.Find(token); err != nil || got != want {
			t.Errorf("token %s is in range %d, %v; want %d", token, got, err, want)
		}
	}
	if _, err := topo.Find("x"); err == nil || !strings.Contains(err.Error(), `token "x"`) {
		t.Errorf("error %v", err)
	}
}

func TestRangesTileTheRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topo, err := drawRing(t).Topology()
		if err != nil {
			t.Fatal(err)
		}
		var whole uint128
		for i := range topo.Len() {
			if r, next := topo.Range(i), topo.Range((i+1)%topo.Len()); r.End != next.Start {
				t.Fatalf("%s does not touch %s", r, next)
			}
			whole = whole.add(topo.partitioner.length(topo.tokens[(i+topo.Len()-1)%topo.Len()], topo.tokens[i]))
		}
		if whole != topo.partitioner.size {
			t.Fatalf("all ranges have %v tokens", whole)
		}
		v := rapid.OneOf(rapid.SampledFrom(edges), rapid.Int64()).Draw(t, "token")
		i, err := topo.Find(strconv.FormatInt(v, 10))
		if err != nil {
			t.Fatal(err)
		}
		if !holds(topo.Range(i), v) {
			t.Fatalf("%d is not in %s", v, topo.Range(i))
		}
	})
}

// holds tells whether a Murmur3 token lies in a range.
func holds(r Range, v int64) bool {
	start, _ := strconv.ParseInt(r.Start, 10, 64)
	end, _ := strconv.ParseInt(r.End, 10, 64)
	if start < end {
		return start < v && v <= end
	}
	return v > start || v <= end
}
