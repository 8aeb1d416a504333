package ring

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// member writes a node as "id dc rack: tokens".
func member(t testing.TB, text string) Member {
	t.Helper()
	where, tokens, _ := strings.Cut(text, ":")
	f := strings.Fields(where)
	if len(f) != 3 {
		t.Fatalf("%q is no member", text)
	}
	return Member{HostID: f[0], DC: f[1], Rack: f[2], State: Normal, Tokens: strings.Fields(tokens)}
}

// topology is a Murmur3 ring of such nodes.
func topology(t testing.TB, replication map[string]map[string]string, members ...string) *Topology {
	t.Helper()
	r := Ring{Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner", Replication: replication}
	for _, m := range members {
		r.Members = append(r.Members, member(t, m))
	}
	topo, err := r.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

// options writes a replication as "Class name:value …".
func options(text string) map[string]string {
	o := map[string]string{}
	for i, f := range strings.Fields(text) {
		if i == 0 {
			o["class"] = f
			continue
		}
		name, value, _ := strings.Cut(f, ":")
		o[name] = value
	}
	return o
}

func TestReplicasFollowTheRing(t *testing.T) {
	one := []string{"a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r1: 30"}
	vnodes := []string{"a dc1 r1: 10 20 50", "b dc1 r1: 30", "c dc1 r1: 40"}
	racks := []string{"a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r2: 30", "d dc1 r2: 40", "e dc1 r3: 50"}
	twoDCs := []string{"a dc1 r1: 10", "b dc2 r1: 20", "c dc1 r2: 30", "d dc2 r1: 40", "e dc1 r1: 50", "f dc2 r2: 60"}
	tests := []struct {
		what        string
		members     []string
		replication string
		want        []string // "end: replicas" of each range
	}{
		{"one replica is the owner of the range's end", one, "SimpleStrategy replication_factor:1",
			[]string{"10: a", "20: b", "30: c"}},
		{"more replicas are the next nodes, over the end of the ring", one, "SimpleStrategy replication_factor:2",
			[]string{"10: a b", "20: b c", "30: c a"}},
		{"a factor above the nodes takes all", one, "SimpleStrategy replication_factor:7",
			[]string{"10: a b c", "20: b c a", "30: c a b"}},
		{"a factor of none takes none", one, "SimpleStrategy replication_factor:0",
			[]string{"10:", "20:", "30:"}},
		{"a class may have its package", one, "org.apache.cassandra.locator.SimpleStrategy replication_factor:1",
			[]string{"10: a", "20: b", "30: c"}},
		{"a node's second token brings no second replica", vnodes, "SimpleStrategy replication_factor:2",
			[]string{"10: a b", "20: a b", "30: b c", "40: c a", "50: a b"}},
		{"one node owns all", []string{"a dc1 r1: 10"}, "SimpleStrategy replication_factor:3",
			[]string{"10: a"}},
		{"racks mean nothing to SimpleStrategy", racks, "SimpleStrategy replication_factor:2",
			[]string{"10: a b", "20: b c", "30: c d", "40: d e", "50: e a"}},
		{"as many racks as replicas: one in each", racks, "NetworkTopologyStrategy dc1:3",
			[]string{"10: a c e", "20: b c e", "30: c e a", "40: d e a", "50: e a c"}},
		{"more racks than replicas: no rack twice", racks, "NetworkTopologyStrategy dc1:2",
			[]string{"10: a c", "20: b c", "30: c e", "40: d e", "50: e a"}},
		{"fewer racks than replicas: the first repeats are taken on the way", racks, "NetworkTopologyStrategy dc1:4",
			[]string{"10: a b c e", "20: b c d e", "30: c d e a", "40: d e a b", "50: e a b c"}},
		{"all nodes in the order of the ring", racks, "NetworkTopologyStrategy dc1:9",
			[]string{"10: a b c d e", "20: b c d e a", "30: c d e a b", "40: d e a b c", "50: e a b c d"}},
		{"data centres count each for itself and mix in the order of the ring", twoDCs, "NetworkTopologyStrategy dc1:2 dc2:1",
			[]string{"10: a b c", "20: b c e", "30: c d e", "40: d e c", "50: e f c", "60: f a c"}},
		{"racks of two data centres that share a name are two", twoDCs, "NetworkTopologyStrategy dc1:2 dc2:2",
			[]string{"10: a b c f", "20: b c e f", "30: c d e f", "40: d e f c", "50: e f b c", "60: f a b c"}},
		{"a data centre without a factor has no replicas", twoDCs, "NetworkTopologyStrategy dc2:1",
			[]string{"10: b", "20: b", "30: d", "40: d", "50: f", "60: f"}},
		{"a data centre with factor 0 has none", twoDCs, "NetworkTopologyStrategy dc1:0 dc2:1",
			[]string{"10: b", "20: b", "30: d", "40: d", "50: f", "60: f"}},
		{"a data centre that has no node adds none", twoDCs, "NetworkTopologyStrategy dc2:1 gone:3",
			[]string{"10: b", "20: b", "30: d", "40: d", "50: f", "60: f"}},
		{"names of data centres are exact", twoDCs, "NetworkTopologyStrategy DC1:3",
			[]string{"10:", "20:", "30:", "40:", "50:", "60:"}},
		{"the short form stands for every data centre not named", twoDCs, "NetworkTopologyStrategy replication_factor:1 dc1:0",
			[]string{"10: b", "20: b", "30: d", "40: d", "50: f", "60: f"}},
		{"everywhere is everywhere", twoDCs[:3], "com.datastax.EverywhereStrategy",
			[]string{"10: a b c", "20: b c a", "30: c a b"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			topo := topology(t, map[string]map[string]string{"ks": options(tt.replication)}, tt.members...)
			p, err := topo.Placement("ks")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for r, replicas := range p.All() {
				got = append(got, strings.TrimSpace(r.End+": "+strings.Join(replicas, " ")))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReplicationThatCannotBePlacedIsRefused(t *testing.T) {
	tests := []struct{ what, replication, want string }{
		{"transient replicas of a data centre", "NetworkTopologyStrategy dc1:3/1", `"NetworkTopologyStrategy": data centre "dc1": factor "3/1": transient replication`},
		{"transient replicas of all", "SimpleStrategy replication_factor:3/1", `"SimpleStrategy": factor "3/1": transient replication`},
		{"a strategy of somebody's own", "org.example.Mine replication_factor:3", `"org.example.Mine": the strategy is not known`},
		{"a strategy that 4.0 dropped", "org.apache.cassandra.locator.OldNetworkTopologyStrategy replication_factor:3", "is not known"},
		{"no strategy", "", `by "": the strategy is not known`},
		{"no factor", "SimpleStrategy", `factor "" is no number`},
		{"a negative factor", "NetworkTopologyStrategy dc1:-1", `factor "-1" is no number`},
		{"a factor that is no Java int", "SimpleStrategy replication_factor:2147483648", "is no number"},
		{"words", "NetworkTopologyStrategy dc1:three", "is no number"},
		{"rows that belong to their node", "LocalStrategy", "each node holds rows of its own"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			o := options(tt.replication)
			topo := topology(t, map[string]map[string]string{"ks": o}, "a dc1 r1: 10")
			_, err := topo.Placement("ks")
			var refused *ReplicationError
			if !errors.As(err, &refused) || refused.Keyspace != "ks" || refused.Strategy != o["class"] || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v", err)
			}
		})
	}
	if _, err := topology(t, nil, "a dc1 r1: 10").Placement("ks"); err == nil || !strings.Contains(err.Error(), `no keyspace "ks"`) {
		t.Errorf("unknown keyspace: error %v", err)
	}
}

// A ring of as many ranges as a topology takes, each with very many replicas,
// would fill the memory.
func TestReplicasOfAllRangesAreBounded(t *testing.T) {
	const nodes = 3000
	r := Ring{Partitioner: "Murmur3Partitioner"}
	for n := range nodes {
		m := Member{HostID: strconv.Itoa(n), DC: "dc1", Rack: "r1", State: Normal}
		for v := range 8 {
			m.Tokens = append(m.Tokens, strconv.Itoa(v*nodes+n))
		}
		r.Members = append(r.Members, m)
	}
	r.Replication = map[string]map[string]string{"all": options("SimpleStrategy replication_factor:3000")}
	topo, err := r.Topology()
	if err != nil {
		t.Fatal(err)
	}
	var refused *ReplicationError
	if _, err := topo.Placement("all"); !errors.As(err, &refused) || !strings.Contains(err.Error(), "24000 ranges of 3000 replicas are more than") {
		t.Errorf("error %v", err)
	}
	if c := topo.Coverage(nil); len(c) != 1 || c[0].Level != None || !strings.Contains(c[0].Unknown, "24000 ranges of 3000") {
		t.Errorf("coverage %+v", c)
	}
	m, err := MapInPlace(topo, topo, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := ReplicasKept(topo, topo, nil, m); err != nil || len(d.Untold) != 1 || !strings.Contains(d.Untold[0].Reason, "24000 ranges of 3000") {
		t.Errorf("proof %v, %s", err, d)
	}
}

func TestOwnershipIsTheShareOfTheTokens(t *testing.T) {
	quarter := strconv.FormatInt(-1<<62, 10)
	tests := []struct {
		what        string
		partitioner string
		members     []string
		want        map[string]float64
	}{
		{"Murmur3 by quarters", "Murmur3Partitioner", []string{"a dc1 r1: " + quarter, "b dc1 r1: 0"}, map[string]float64{"a": 0.75, "b": 0.25}},
		{"Random by quarters", "RandomPartitioner", []string{"a dc1 r1: 0", "b dc1 r1: 42535295865117307932921825928971026432"}, map[string]float64{"a": 0.75, "b": 0.25}},
		{"one node has all", "Murmur3Partitioner", []string{"a dc1 r1: 77"}, map[string]float64{"a": 1}},
		{"no key lies between the highest token and the lowest", "Murmur3Partitioner",
			[]string{"a dc1 r1: -9223372036854775808", "b dc1 r1: 9223372036854775807"}, map[string]float64{"a": 0, "b": 1}},
		{"bytes have no measure", "ByteOrderedPartitioner", []string{"a dc1 r1: 00", "b dc1 r1: 80"}, nil},
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
			p, err := topo.Place(Replication{Strategy: SimpleStrategy, Factor: 1})
			if err != nil {
				t.Fatal(err)
			}
			near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-12 })
			if diff := cmp.Diff(tt.want, p.Ownership(), near); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSameReplicationHasTheSameKey(t *testing.T) {
	keys := map[string]string{}
	for _, text := range []string{
		"SimpleStrategy replication_factor:1", "SimpleStrategy replication_factor:2", "LocalStrategy", "EverywhereStrategy",
		"NetworkTopologyStrategy dc1:1", "NetworkTopologyStrategy dc1:2", "NetworkTopologyStrategy dc2:1", "NetworkTopologyStrategy dc1:1 dc2:1",
		"NetworkTopologyStrategy replication_factor:1",
	} {
		r, err := ParseReplication("ks", options(text))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := keys[r.key()]; ok {
			t.Errorf("%q and %q are one", text, other)
		}
		keys[r.key()] = text
	}
	long, err := ParseReplication("ks", map[string]string{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc2": "1", "dc1": "1"})
	if err != nil || keys[long.key()] != "NetworkTopologyStrategy dc1:1 dc2:1" {
		t.Errorf("%v, %v: not among %v", long, err, slices.Sorted(maps.Keys(keys)))
	}
}
