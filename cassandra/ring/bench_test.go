package ring

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// bigRing has random tokens, three racks in each of two data centres and 50
// keyspaces of different replications.
func bigRing(nodes, vnodes, different int) Ring {
	random := rand.New(rand.NewPCG(1, 2))
	r := Ring{Cluster: "big", Partitioner: murmur3, Replication: map[string]map[string]string{}}
	for n := range nodes {
		m := Member{HostID: fmt.Sprintf("%08d-27f3-4b2b-9a4b-5ad7c7a5ae0c", n), DC: fmt.Sprint("dc", n%2), Rack: fmt.Sprint("r", n/2%3), State: Normal}
		for range vnodes {
			m.Tokens = append(m.Tokens, strconv.FormatInt(int64(random.Uint64()), 10))
		}
		r.Members = append(r.Members, m)
	}
	for k := range 50 {
		d := k % different
		r.Replication[fmt.Sprint("ks", k)] = options(fmt.Sprintf("NetworkTopologyStrategy dc0:%d dc1:%d", 1+d%5, 1+d/5))
	}
	return r
}

// BenchmarkCoverage judges 50 keyspaces of a ring of which one node is missing.
func BenchmarkCoverage(b *testing.B) {
	for _, bb := range []struct{ nodes, vnodes, different int }{{3, 16, 5}, {180, 256, 1}, {180, 256, 5}, {180, 256, 50}, {1000, 256, 5}} {
		b.Run(fmt.Sprintf("nodes=%d/vnodes=%d/replications=%d", bb.nodes, bb.vnodes, bb.different), func(b *testing.B) {
			r := bigRing(bb.nodes, bb.vnodes, bb.different)
			has := map[string]bool{}
			for _, m := range r.Members[1:] {
				has[m.HostID] = true
			}
			b.ReportAllocs()
			for b.Loop() {
				topo, err := r.Topology()
				if err != nil {
					b.Fatal(err)
				}
				if c := topo.Coverage(has); len(c) != 50 || c[0].Level == All {
					b.Fatalf("%d keyspaces", len(c))
				}
			}
		})
	}
}

// BenchmarkPlacement includes what is hard for a walk from token to token: every
// node a replica of everything, and a rack with a single token.
func BenchmarkPlacement(b *testing.B) {
	for _, bb := range []struct {
		what string
		rep  Replication
		edit func(*Ring)
	}{
		{"rf=3", Replication{Strategy: SimpleStrategy, Factor: 3}, nil},
		{"dcs=2", Replication{Strategy: NetworkTopologyStrategy, DCs: map[string]int{"dc0": 3, "dc1": 3}}, nil},
		{"everywhere", Replication{Strategy: EverywhereStrategy}, nil},
		{"rare-rack", Replication{Strategy: NetworkTopologyStrategy, DCs: map[string]int{"dc0": 5}}, func(r *Ring) {
			r.Members[0].Rack, r.Members[0].Tokens = "r9", r.Members[0].Tokens[:1]
		}},
	} {
		b.Run(bb.what, func(b *testing.B) {
			r := bigRing(180, 256, 1)
			if bb.edit != nil {
				bb.edit(&r)
			}
			topo, err := r.Topology()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := topo.Place(bb.rep); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReplicasKept maps a ring to one of the same shape and proves it for 50
// keyspaces, from the members on.
func BenchmarkReplicasKept(b *testing.B) {
	for _, bb := range []struct{ nodes, vnodes, different int }{{3, 16, 5}, {1000, 16, 5}, {1000, 16, 50}, {180, 256, 5}} {
		b.Run(fmt.Sprintf("nodes=%d/vnodes=%d/replications=%d", bb.nodes, bb.vnodes, bb.different), func(b *testing.B) {
			source := bigRing(bb.nodes, bb.vnodes, bb.different)
			target := source
			target.Members = slices.Clone(source.Members)
			for i := range target.Members {
				target.Members[i].HostID, target.Members[i].Tokens = fmt.Sprint("t", i), nil
			}
			b.ReportAllocs()
			for b.Loop() {
				d, err := mapAndProve(source, target)
				if err != nil || !d.None() {
					b.Fatal(err, d)
				}
			}
		})
	}
}

func mapAndProve(source, target Ring) (Differences, error) {
	from, err := source.Topology()
	if err != nil {
		return Differences{}, err
	}
	m, err := MapAuto(from, target, AutoOptions{})
	if err != nil {
		return Differences{}, err
	}
	after, err := m.After(from, target)
	if err != nil {
		return Differences{}, err
	}
	to, err := after.Topology()
	if err != nil {
		return Differences{}, err
	}
	return ReplicasKept(from, to, nil, m)
}
