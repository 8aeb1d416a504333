package ring

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// walkAhead is the rule as Cassandra states it: go forward from the range's end
// and take what is allowed. It is slow where a rack is small.
func walkAhead(r Ring, rep Replication, end int64) []string {
	type at struct {
		token int64
		Member
	}
	var ring []at
	nodes, racks := map[string]int{}, map[Rack]bool{}
	racksIn := map[string]int{}
	for _, m := range r.Members {
		if m.State == Joining {
			continue
		}
		nodes[m.DC]++
		if k := (Rack{m.DC, m.Rack}); !racks[k] {
			racks[k] = true
			racksIn[m.DC]++
		}
		for _, text := range m.Tokens {
			v, _ := strconv.ParseInt(text, 10, 64)
			ring = append(ring, at{v, m})
		}
	}
	slices.SortFunc(ring, func(a, b at) int { return cmp.Compare(a.token, b.token) })
	first := slices.IndexFunc(ring, func(a at) bool { return a.token == end })
	var taken []string
	seen, inDC, repeats := map[Rack]bool{}, map[string]int{}, map[string]int{}
	for i := range ring {
		m := ring[(first+i)%len(ring)].Member
		if slices.Contains(taken, m.HostID) {
			continue
		}
		if rep.Strategy == SimpleStrategy {
			if len(taken) < rep.Factor {
				taken = append(taken, m.HostID)
			}
			continue
		}
		k := Rack{m.DC, m.Rack}
		switch {
		case inDC[m.DC] == min(rep.in(m.DC), nodes[m.DC]):
			continue
		case !seen[k]:
			seen[k] = true
		case repeats[m.DC] >= rep.in(m.DC)-racksIn[m.DC]:
			continue
		default:
			repeats[m.DC]++
		}
		taken = append(taken, m.HostID)
		inDC[m.DC]++
	}
	return taken
}

// edges are the tokens where arithmetic goes wrong first.
var edges = []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64}

// drawRing draws a ring of up to 12 nodes in up to 3 data centres.
func drawRing(t *rapid.T) Ring {
	r := Ring{Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner"}
	nodes := rapid.IntRange(1, 12).Draw(t, "nodes")
	used := map[int64]bool{}
	for n := range nodes {
		m := Member{HostID: fmt.Sprintf("n%02d", n), DC: rapid.SampledFrom([]string{"dc1", "dc2", "dc3"}).Draw(t, "dc"),
			Rack:  rapid.SampledFrom([]string{"r1", "r2", "r3", "r4"}).Draw(t, "rack"),
			State: rapid.SampledFrom([]string{Normal, Normal, Leaving, Moving, Joining}).Draw(t, "state")}
		if n == 0 {
			m.State = Normal
		}
		for range rapid.IntRange(1, 5).Draw(t, "tokens") {
			v := rapid.OneOf(rapid.SampledFrom(edges), rapid.Int64()).Filter(func(v int64) bool { return !used[v] }).Draw(t, "token")
			used[v] = true
			m.Tokens = append(m.Tokens, strconv.FormatInt(v, 10))
		}
		r.Members = append(r.Members, m)
	}
	return r
}

func drawReplication(t *rapid.T) Replication {
	if rapid.Bool().Draw(t, "simple") {
		return Replication{Strategy: SimpleStrategy, Factor: rapid.IntRange(0, 6).Draw(t, "factor")}
	}
	return Replication{Strategy: NetworkTopologyStrategy, DCs: rapid.MapOf(
		rapid.SampledFrom([]string{"dc1", "dc2", "dc3", "gone"}), rapid.IntRange(0, 6)).Draw(t, "factors")}
}

func TestReplicasOfAnyRingAreThoseOfTheRule(t *testing.T) {
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
		for rng, got := range p.All() {
			end, err := strconv.ParseInt(rng.End, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if want := walkAhead(r, rep, end); !slices.Equal(want, got) {
				t.Fatalf("%s: want %v, got %v", rng, want, got)
			}
		}
	})
}

func TestPlacementsKeepTheirPromises(t *testing.T) {
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
		for rng, replicas := range p.All() {
			checkReplicas(t, r, rep, rng, replicas)
		}
		sum := 0.0
		for _, share := range p.Ownership() {
			sum += share
		}
		if math.Abs(sum-float64(p.Each())) > 1e-9 {
			t.Fatalf("all own %v together, not %d", sum, p.Each())
		}
		checkOtherOrder(t, r, rep, p)
	})
}

// checkReplicas checks that a range has as many replicas in each data centre as
// its factor or its nodes allow, on different racks while there are any.
func checkReplicas(t *rapid.T, r Ring, rep Replication, rng Range, replicas []string) {
	nodes, racks := map[string]int{}, map[Rack]int{}
	at := map[string]Rack{}
	for _, m := range r.Members {
		if m.State != Joining {
			nodes[m.DC]++
			racks[Rack{m.DC, m.Rack}] = 0
			at[m.HostID] = Rack{m.DC, m.Rack}
		}
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(replicas))); len(sorted) != len(replicas) {
		t.Fatalf("%s: a node is twice in %v", rng, replicas)
	}
	if rep.Strategy == SimpleStrategy {
		if want := min(rep.Factor, len(at)); len(replicas) != want {
			t.Fatalf("%s: %d replicas, not %d", rng, len(replicas), want)
		}
		return
	}
	got := map[string]int{}
	for _, id := range replicas {
		k, owns := at[id]
		if !owns {
			t.Fatalf("%s: %s owns nothing", rng, id)
		}
		got[k.DC]++
		racks[k]++
	}
	for dc, n := range nodes {
		if want := min(rep.in(dc), n); got[dc] != want {
			t.Fatalf("%s: %d replicas in %s, not %d", rng, got[dc], dc, want)
		}
		used, all := 0, 0
		for k, n := range racks {
			if k.DC == dc {
				all++
				used += min(n, 1)
			}
		}
		if used != min(got[dc], all) {
			t.Fatalf("%s: replicas in %d racks of %s's %d", rng, used, dc, all)
		}
	}
}

// checkOtherOrder checks that nothing depends on the order of members and tokens.
func checkOtherOrder(t *rapid.T, r Ring, rep Replication, p *Placement) {
	other := r
	other.Members = rapid.Permutation(r.Members).Draw(t, "members")
	for i, m := range other.Members {
		other.Members[i].Tokens = rapid.Permutation(m.Tokens).Draw(t, "tokens")
	}
	topo, err := other.Topology()
	if err != nil {
		t.Fatal(err)
	}
	again, err := topo.Place(rep)
	if err != nil {
		t.Fatal(err)
	}
	if one, another := drawn(p), drawn(again); !slices.Equal(one, another) {
		t.Fatalf("one order: %v\nanother: %v", one, another)
	}
}

func drawn(p *Placement) []string {
	var all []string
	for r, replicas := range p.All() {
		all = append(all, fmt.Sprint(r, replicas))
	}
	return all
}
