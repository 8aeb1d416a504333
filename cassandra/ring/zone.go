package ring

// A zone is a set of nodes that holds a fixed number of each range's replicas: a
// data centre, or the whole ring for a strategy that knows no data centres. There
// every node counts as a rack of its own.
type zone struct {
	name    string // of the data centre
	factor  int
	nodes   int
	racks   int
	want    int // replicas of each range
	repeats int // how many of them stand in a rack that already has one
}

// zones are the zones of a ring for one replication.
type zones struct {
	all   []zone
	of    []int32 // by owner: its zone, or -1
	rack  []int32 // by owner: its rack, numbered over all zones
	racks int
}

func (t *Topology) zones(r Replication) zones {
	z := zones{of: make([]int32, len(t.owners)), rack: make([]int32, len(t.owners))}
	numbers, racks := make(map[string]int32), make(map[Rack]int32)
	for i, m := range t.owners {
		at, factor := r.place(m, len(t.owners))
		if factor == 0 {
			z.of[i] = -1
			continue
		}
		n, known := numbers[at.DC]
		if !known {
			n = int32(len(z.all))
			numbers[at.DC], z.all = n, append(z.all, zone{name: at.DC, factor: factor})
		}
		if _, known := racks[at]; !known {
			racks[at] = int32(len(racks))
			z.all[n].racks++
		}
		z.of[i], z.rack[i] = n, racks[at]
		z.all[n].nodes++
	}
	for n := range z.all {
		zone := &z.all[n]
		zone.want = min(zone.factor, zone.nodes)
		zone.repeats = max(zone.want-zone.racks, 0)
	}
	z.racks = len(racks)
	return z
}

// place is where a member stands for that replication, and the factor there.
func (r Replication) place(m Member, nodes int) (Rack, int) {
	switch r.Strategy {
	case SimpleStrategy:
		return Rack{Rack: m.HostID}, r.Factor
	case EverywhereStrategy:
		return Rack{Rack: m.HostID}, nodes
	}
	return Rack{m.DC, m.Rack}, r.in(m.DC)
}

// sum is the sum of the factors. Data centres without a node count too, as they
// do in Cassandra's QUORUM.
func (r Replication) sum(z zones) int64 {
	var sum int64
	named := make(map[string]bool)
	for _, zone := range z.all {
		named[zone.name] = true
		sum += int64(zone.factor)
	}
	for dc, factor := range r.DCs {
		if !named[dc] {
			sum += int64(factor)
		}
	}
	return sum
}
