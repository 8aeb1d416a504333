package ring

import "slices"

// walk goes backwards round the ring and keeps what lies ahead: the nodes of each
// zone in the order in which their next tokens come, its racks likewise, and of
// each rack the node that comes first. So the replicas of a range are read off
// the fronts, however far away a small rack's next token is.
type walk struct {
	zones
	owner   []uint16
	ahead   []int32  // by owner: steps from the start to its next token
	nearest []uint16 // by rack
	nodes   fronts   // a list for each zone
	inZone  fronts   // of racks, a list for each zone
}

func newWalk(t *Topology, z zones) *walk {
	return &walk{
		zones: z, owner: t.owner,
		ahead: make([]int32, len(t.owners)), nearest: make([]uint16, z.racks),
		nodes: newFronts(len(t.owners), len(z.all)), inZone: newFronts(z.racks, len(z.all)),
	}
}

// replicas goes twice round the ring: the first round brings all into order, the
// second notes the replicas of each range.
func (w *walk) replicas(each int) []uint16 {
	n := len(w.owner)
	all := make([]uint16, n*each)
	for step := 2*n - 1; step >= 0; step-- {
		w.pass(w.owner[step%n], int32(step))
		if step < n {
			w.pick(all[step*each : step*each : (step+1)*each])
		}
	}
	return all
}

func (w *walk) pass(node uint16, step int32) {
	zone := w.of[node]
	if zone < 0 {
		return
	}
	w.ahead[node], w.nearest[w.rack[node]] = step, node
	w.nodes.bring(int32(node), zone)
	w.inZone.bring(w.rack[node], zone)
}

// pick appends the replicas of the range that ends at the token just passed. In
// every zone they are the nodes that come next, but not more than the repeats the
// zone has from a rack that already has one.
func (w *walk) pick(replicas []uint16) {
	for z, zone := range w.all {
		left, repeats := zone.want, zone.repeats
		rack := w.inZone.first(int32(z)) // the first that has no replica yet
		for node := w.nodes.first(int32(z)); left > 0 && repeats > 0; node = w.nodes.next[node] {
			if w.nearest[w.rack[node]] == uint16(node) {
				rack = w.inZone.next[rack]
			} else {
				repeats--
			}
			replicas = append(replicas, uint16(node))
			left--
		}
		for ; left > 0; left-- {
			replicas = append(replicas, w.nearest[rack])
			rack = w.inZone.next[rack]
		}
	}
	if len(w.all) > 1 {
		slices.SortFunc(replicas, func(a, b uint16) int { return int(w.ahead[a] - w.ahead[b]) })
	}
}

// fronts are lists of the numbers from 0 to n-1, each in one list at most. Any
// number is brought to the front of its list at once. The number n+l stands for
// the two ends of list l.
type fronts struct {
	n          int32
	next, prev []int32
}

func newFronts(n, lists int) fronts {
	f := fronts{int32(n), make([]int32, n+lists), make([]int32, n+lists)}
	for i := range f.next {
		f.next[i], f.prev[i] = int32(i), int32(i)
	}
	return f
}

func (f fronts) first(list int32) int32 { return f.next[f.n+list] }

func (f fronts) bring(x, list int32) {
	f.next[f.prev[x]], f.prev[f.next[x]] = f.next[x], f.prev[x]
	end := f.n + list
	first := f.next[end]
	f.next[end], f.prev[x], f.next[x], f.prev[first] = x, end, first, x
}
