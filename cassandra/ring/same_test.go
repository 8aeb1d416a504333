package ring

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// threeNodes are the ring of a backup.
func threeNodes(t testing.TB) Ring {
	return addressed(t, "NetworkTopologyStrategy dc1:2", "a dc1 r1: 10 11", "b dc1 r2: 20", "c dc1 r3: 30")
}

func TestWhatHasChangedSinceTheBackupIsTold(t *testing.T) {
	joining := Member{HostID: "d", Address: "10.0.0.4", DC: "dc1", Rack: "r1", State: Joining}
	joined := joining
	joined.State, joined.Tokens = Normal, []string{"40"}
	tests := []struct {
		what string
		edit func(*Ring)
		want []string
	}{
		{"nothing, in another order and form", func(r *Ring) {
			slices.Reverse(r.Members)
			r.Members[2].Tokens, r.Members[2].HostID, r.Members[2].Up = []string{"+11", "10"}, "A", true
		}, nil},
		{"one has joined", func(r *Ring) { r.Members = append(r.Members, joined) }, []string{"node 10.0.0.4 (d) has joined"}},
		{"one is joining", func(r *Ring) { r.Members = append(r.Members, joining) }, []string{"node 10.0.0.4 (d) is joining"}},
		{"one joins again under its host id", func(r *Ring) { r.Members[1].State = Joining }, []string{"node 10.0.0.2 (b) is joining"}},
		{"one has left", func(r *Ring) { r.Members = r.Members[1:] }, []string{"node 10.0.0.1 (a) has left"}},
		{"one was replaced", func(r *Ring) { r.Members[0].HostID = "z" }, []string{"node 10.0.0.1 (a) has left", "node 10.0.0.1 (z) has joined"}},
		{"a token of its own", func(r *Ring) { r.Members[1].Tokens = []string{"21"} }, []string{"node 10.0.0.2 (b) has changed its tokens from 20 to 21"}},
		{"one of its tokens", func(r *Ring) { r.Members[0].Tokens = []string{"10", "12"} }, []string{"node 10.0.0.1 (a) has changed its tokens from 2 to 2, 1 of them others"}},
		{"all else", func(r *Ring) {
			r.Members[1] = Member{HostID: "b", Address: "10.0.9.9", DC: "dc2", Rack: "r9", State: Leaving, Tokens: []string{"20"}}
		}, []string{"node 10.0.9.9 (b) has changed its state from NORMAL to LEAVING", "node 10.0.9.9 (b) has changed its dc from dc1 to dc2",
			"node 10.0.9.9 (b) has changed its rack from r2 to r9", "node 10.0.9.9 (b) has changed its address from 10.0.0.2 to 10.0.9.9"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			now := threeNodes(t)
			tt.edit(&now)
			var got []string
			for _, c := range SameTopology(ready(t, threeNodes(t)), ready(t, now)) {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestInPlaceEveryNodeIsItsOwnTarget(t *testing.T) {
	tests := []struct {
		what   string
		chosen []string
		edit   func(*Ring)
		want   []string
	}{
		{"all of a ring as it was", nil, func(*Ring) {}, []string{"a>10.0.0.1=a", "b>10.0.0.2=b", "c>10.0.0.3=c"}},
		{"under the address of today", nil, func(r *Ring) { r.Members[1].Address = "10.0.9.9" }, []string{"a>10.0.0.1=a", "b>10.0.9.9=b", "c>10.0.0.3=c"}},
		{"one of them by host id, while another has changed", []string{"B"}, func(r *Ring) { r.Members[0].Tokens = []string{"1"} }, []string{"b>10.0.0.2=b"}},
		{"one of them by address, while another has left", []string{"10.0.0.3"}, func(r *Ring) { r.Members = r.Members[1:] }, []string{"c>10.0.0.3=c"}},
		{"another rack is for the proof to judge", nil, func(r *Ring) { r.Members[1].Rack = "r1" }, []string{"a>10.0.0.1=a", "b>10.0.0.2=b", "c>10.0.0.3=c"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			now := threeNodes(t)
			tt.edit(&now)
			m, err := MapInPlace(ready(t, threeNodes(t)), ready(t, now), tt.chosen)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, pairs(m)); diff != "" || !m.InPlace {
				t.Errorf("in place %v (-want +got):\n%s", m.InPlace, diff)
			}
		})
	}
}

func TestARingThatIsNotWhatItWasIsNotRestoredInPlace(t *testing.T) {
	tests := []struct {
		what   string
		chosen []string
		edit   func(*Ring)
		want   string
	}{
		{"one has left", nil, func(r *Ring) { r.Members = r.Members[1:] }, "changed since the backup: node 10.0.0.1 (a) has left"},
		{"the chosen one has left", []string{"a"}, func(r *Ring) { r.Members = r.Members[1:] }, "node 10.0.0.1 (a) has left"},
		{"the chosen one has other tokens", []string{"c", "b"}, func(r *Ring) { r.Members[1].Tokens = []string{"1", "20"} }, "node 10.0.0.2 (b) has changed its tokens from 1 to 2, 1 of them others"},
		{"one is joining", nil, func(r *Ring) {
			r.Members = append(r.Members, Member{HostID: "d", State: Joining})
		}, "node d is joining"},
		{"one is leaving", nil, func(r *Ring) { r.Members[2].State = Leaving }, "node 10.0.0.3 (c) is LEAVING, not NORMAL"},
		{"another partitioner", nil, func(r *Ring) { r.Partitioner = random }, "partitioner is RandomPartitioner, not Murmur3Partitioner"},
		{"nobody has that host id", []string{"a", "x"}, func(*Ring) {}, "x is no member of the backup's ring"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			now := threeNodes(t)
			tt.edit(&now)
			if _, err := MapInPlace(ready(t, threeNodes(t)), ready(t, now), tt.chosen); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestErrorsOfAMappingInPlaceAreForCallersToDecide(t *testing.T) {
	now := threeNodes(t)
	now.Members[0].Tokens, now.Members[1].Rack = []string{"1"}, "r1"
	_, err := MapInPlace(ready(t, threeNodes(t)), ready(t, now), nil)
	var changed *ChangedError
	if !errors.As(err, &changed) || len(changed.Changes) != 1 || changed.Changes[0].Kind != TokensChanged {
		t.Errorf("error %v", err)
	}
	now = threeNodes(t)
	now.Members[2].State = Moving
	_, err = MapInPlace(ready(t, threeNodes(t)), ready(t, now), nil)
	var state *StateError
	if !errors.As(err, &state) || state.Member.HostID != "c" {
		t.Errorf("error %v", err)
	}
}

// In place a node is judged by its own ranges: those of which it was a replica at
// the backup and those of which it is one today are the same, or differ.
func TestInPlaceTheProofLooksAtRestoredNodesOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backup := drawBigRing(t)
		now := drawChanges(t, backup)
		from, err := backup.Topology()
		if err != nil {
			t.Fatal(err)
		}
		to, err := now.Topology()
		if err != nil {
			t.Fatal(err)
		}
		m, err := MapInPlace(from, to, []string{"n00"})
		if err != nil {
			t.Fatal(err)
		}
		d, err := ReplicasKept(from, to, nil, m)
		if err != nil {
			t.Fatal(err)
		}
		tokens := allTokens(backup, now)
		var want []KeyspaceDifference
		for keyspace := range backup.Replication {
			k := KeyspaceDifference{keyspace, 0, len(tokens)}
			for _, token := range tokens {
				if replicates(backup, keyspace, "n00", token) != replicates(now, keyspace, "n00", token) {
					k.Ranges++
				}
			}
			if k.Ranges > 0 {
				want = append(want, k)
			}
		}
		(&Differences{Keyspaces: want}).sort()
		if !slices.Equal(want, d.Keyspaces) {
			t.Fatalf("want %v, got %v", want, d.Keyspaces)
		}
	})
}

// drawChanges draws what became of a ring: the first node is as it was, others
// have left, moved to another rack or joined.
func drawChanges(t *rapid.T, r Ring) Ring {
	now := r
	now.Members = nil
	for i, m := range r.Members {
		if i > 0 && rapid.IntRange(0, 9).Draw(t, "leaves") == 0 {
			continue
		}
		if i > 0 && rapid.IntRange(0, 9).Draw(t, "rack") == 0 {
			m.Rack = "r9"
		}
		now.Members = append(now.Members, m)
	}
	if rapid.Bool().Draw(t, "joins") {
		token := rapid.Int64().Filter(func(v int64) bool { return !slices.Contains(allTokens(r), v) }).Draw(t, "token")
		now.Members = append(now.Members, Member{HostID: "joined", DC: "dc1", Rack: "r1", State: Normal, Tokens: []string{strconv.FormatInt(token, 10)}})
	}
	return now
}

func replicates(r Ring, keyspace, id string, token int64) bool {
	rep, err := parseReplication(r.Replication[keyspace])
	if err != nil || rep.Strategy == LocalStrategy {
		return false
	}
	return slices.Contains(walkAhead(r, rep.spelled(r), endOf(r, token)), id)
}
