package ring

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSortTokens(t *testing.T) {
	tests := []struct {
		what       string
		give, want []string
	}{
		{"Murmur3 tokens go by number", []string{"10", "-3", "9", "-9223372036854775808", "0"}, []string{"-9223372036854775808", "-3", "0", "9", "10"}},
		{"Random tokens may have 127 bits", []string{"170141183460469231731687303715884105728", "5"}, []string{"5", "170141183460469231731687303715884105728"}},
		{"ordered tokens go by text", []string{"ff", "10", "0a"}, []string{"0a", "10", "ff"}},
		{"equal numbers keep one order", []string{"01", "1", "001"}, []string{"001", "01", "1"}},
		{"no tokens stay none", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			SortTokens(tt.give)
			if diff := cmp.Diff(tt.want, tt.give); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func sample() Ring {
	return Ring{
		Cluster:     "shop",
		Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
		Members: []Member{
			{HostID: "c", Address: "10.0.0.3", DC: "dc1", Rack: "r1", State: Normal, Tokens: []string{"20", "3"}},
			{HostID: "a", Address: "10.0.0.1", DC: "dc1", Rack: "r1", State: Normal, Up: true, Tokens: []string{"7"}},
			{HostID: "b", Address: "10.0.0.2", DC: "dc1", Rack: "r2", State: Joining, Up: true},
			{HostID: "d", Address: "10.0.0.4", DC: "dc1", Rack: "r2", State: Leaving, Up: true, Tokens: []string{"9"}},
			{HostID: "e", Address: "10.0.0.5", DC: "dc1", Rack: "r2", State: Moving, Up: true, Tokens: []string{"11"}},
		},
		Replication: map[string]map[string]string{"ks": {"class": "NetworkTopologyStrategy", "dc1": "3"}},
	}
}

func TestNormalLeavesOutWhoMovesButNotWhoIsDown(t *testing.T) {
	r := sample()
	r.Sort()
	var ids []string
	for _, m := range r.Normal() {
		ids = append(ids, m.HostID)
	}
	if diff := cmp.Diff([]string{"a", "c"}, ids); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheSameRingHasTheSameJSON(t *testing.T) {
	one, other := sample(), sample()
	other.Members[0], other.Members[3] = other.Members[3], other.Members[0]
	other.Members[3].Tokens = []string{"3", "20"}
	one.Sort()
	other.Sort()
	if diff := cmp.Diff(marshal(t, one), marshal(t, other)); diff != "" {
		t.Errorf("(-one +other):\n%s", diff)
	}
}

func TestRingReadsItsOwnJSON(t *testing.T) {
	want := sample()
	want.Sort()
	var got Ring
	if err := json.Unmarshal([]byte(marshal(t, want)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The ring is part of the repository's format, so its field names are held.
func TestRingHasTheseJSONNames(t *testing.T) {
	r := Ring{Cluster: "c", Partitioner: "p", Members: []Member{{HostID: "h", Address: "a", DC: "d", Rack: "r", State: Normal, Up: true, Tokens: []string{"1"}}},
		Replication: map[string]map[string]string{"ks": {"class": "LocalStrategy"}}}
	const want = `{"cluster":"c","partitioner":"p","members":[{"host_id":"h","address":"a","dc":"d","rack":"r","state":"NORMAL","up":true,"tokens":["1"]}],"replication":{"ks":{"class":"LocalStrategy"}}}`
	if diff := cmp.Diff(want, marshal(t, r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func marshal(t *testing.T, r Ring) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
