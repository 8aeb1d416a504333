package ring

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ReplicasKept proves that rows are looked for where they are after a restore: it
// compares for every range of both rings and each of the keyspaces, or all of the
// backup's where none are named, the replicas of the source's ring, mapped, with
// those of the ring as it will be (see [Mapping.After]; in place the ring of
// today). Replicas are compared as sets: in which order they stand is nothing to
// the rows. A member without a target is a replica that is missing, but in place
// it stands for itself and only nodes that are restored are compared: the others
// keep the rows they have, whatever ring the backup saw.
//
// LocalStrategy has no ranges to compare. The error is for a mapping that does not
// fit the rings.
func ReplicasKept(source, after *Topology, keyspaces []string, m Mapping) (Differences, error) {
	var d Differences
	p, err := newProof(source, after, m)
	if err != nil {
		return d, err
	}
	if len(keyspaces) == 0 {
		keyspaces = slices.Collect(maps.Keys(source.replication))
	}
	groups := make(map[string]*group)
	var order []*group
	for _, keyspace := range slices.Compact(slices.Sorted(slices.Values(keyspaces))) {
		g, err := p.group(keyspace)
		if err != nil {
			d.Untold = append(d.Untold, Untold{keyspace, err.Error()})
			continue
		}
		key := g.key()
		if groups[key] == nil {
			groups[key] = g
			order = append(order, g)
		}
		groups[key].keyspaces = append(groups[key].keyspaces, keyspace)
	}
	for _, g := range order {
		p.compare(g, &d)
	}
	d.sort()
	return d, nil
}

// proof compares two rings by the numbers of their owners.
type proof struct {
	source, after *Topology
	mapping       Mapping
	to            []int32  // by owner of the source: its target's number, or -1
	restored      []bool   // by owner of the ring after: is a target
	names         []string // of the owners after
	serial        uint64   // of the range being compared
	marked        []uint64 // by owner after: the last range that it should hold
}

func newProof(source, after *Topology, m Mapping) (*proof, error) {
	if source.partitioner.name != after.partitioner.name {
		return nil, fmt.Errorf("the target's partitioner %s cannot hold rows of %s", after.partitioner.name, source.partitioner.name)
	}
	n := len(after.owners)
	p := &proof{source: source, after: after, mapping: m,
		to: slices.Repeat([]int32{-1}, len(source.owners)), restored: make([]bool, n), names: make([]string, n), marked: make([]uint64, n)}
	for i, member := range after.owners {
		p.names[i] = cmp.Or(member.Address, member.HostID)
	}
	from, to := numbers(source.owners), numbers(after.owners)
	for _, a := range m.Assignments {
		s, known := from[hostKey(a.Source)]
		if !known || p.to[s] >= 0 {
			return nil, fmt.Errorf("source %s is no member of the backup's ring, or mapped twice", a.Source.title())
		}
		t, known := to[hostKey(a.Member)]
		if !known || p.restored[t] {
			return nil, fmt.Errorf("target %s is no member of the ring after the restore, or mapped twice", a.Target)
		}
		p.to[s], p.restored[t], p.names[t] = t, true, a.Target
	}
	return p, nil
}

func numbers(owners []Member) map[string]int32 {
	by := make(map[string]int32, len(owners))
	for i, m := range owners {
		by[hostKey(m)] = int32(i)
	}
	return by
}

// group are keyspaces with the same replication before and after.
type group struct {
	keyspaces     []string
	before, after Replication
}

func (g *group) key() string { return g.before.key() + " " + g.after.key() }

// group reads both replications of a keyspace. Nothing is in the group yet.
func (p *proof) group(keyspace string) (*group, error) {
	before, known := p.source.replication[keyspace]
	if !known {
		return nil, errors.New("the backup's ring has no such keyspace")
	}
	after, known := p.after.replication[keyspace]
	if !known {
		return nil, errors.New("the ring after the restore has no such keyspace")
	}
	var g group
	var err error
	if g.before, err = parseReplication(before); err != nil {
		return nil, err
	}
	if g.after, err = parseReplication(after); err != nil {
		return nil, err
	}
	if (g.before.Strategy == LocalStrategy) != (g.after.Strategy == LocalStrategy) {
		return nil, fmt.Errorf("its replication was %s and will be %s", g.before.Strategy, g.after.Strategy)
	}
	return &g, nil
}

// compare adds what differs for one group of keyspaces.
func (p *proof) compare(g *group, d *Differences) {
	if g.before.Strategy == LocalStrategy {
		return
	}
	before, err := p.source.Place(g.before)
	if err == nil {
		var after *Placement
		if after, err = p.after.Place(g.after); err == nil {
			p.shortages(g, d)
			p.ranges(g, before, after, d)
			return
		}
	}
	for _, keyspace := range g.keyspaces {
		d.Untold = append(d.Untold, Untold{keyspace, err.Error()})
	}
}

// ranges goes over the ranges between the tokens of both rings together.
func (p *proof) ranges(g *group, before, after *Placement, d *Differences) {
	b, a := p.source.tokens, p.after.tokens
	last := b[len(b)-1]
	if a[len(a)-1].compare(last) > 0 {
		last = a[len(a)-1]
	}
	all, differ := 0, 0
	for i, j := 0, 0; i < len(b) || j < len(a); all++ {
		var end token
		this, that := i%len(b), j%len(a)
		switch {
		case j == len(a) || i < len(b) && b[i].compare(a[j]) < 0:
			end, i = b[i], i+1
		case i == len(b) || b[i].compare(a[j]) > 0:
			end, j = a[j], j+1
		default:
			end, i, j = b[i], i+1, j+1
		}
		if want, got := before.of(this), after.of(that); !p.same(want, got) {
			differ++
			if len(d.First) < maxDifferences {
				d.First = append(d.First, Difference{g.keyspaces, Range{last.text, end.text}, p.wanted(want), p.gotten(got)})
			}
		}
		last = end
	}
	if differ > 0 {
		for _, keyspace := range g.keyspaces {
			d.Keyspaces = append(d.Keyspaces, KeyspaceDifference{keyspace, differ, all})
		}
	}
}

// same tells whether the replicas of a range, mapped, are those after the restore.
func (p *proof) same(want, got []uint16) bool {
	p.serial++
	n := 0
	for _, o := range want {
		switch to := p.to[o]; {
		case to >= 0:
			p.marked[to] = p.serial
			n++
		case !p.mapping.InPlace:
			return false
		}
	}
	for _, o := range got {
		switch {
		case p.marked[o] == p.serial:
			n--
		case p.restored[o] || !p.mapping.InPlace:
			return false
		}
	}
	return n == 0
}

// wanted names the nodes that get the rows.
func (p *proof) wanted(replicas []uint16) []string {
	names := make([]string, len(replicas))
	for i, o := range replicas {
		switch to := p.to[o]; {
		case to >= 0:
			names[i] = p.names[to]
		case p.mapping.InPlace:
			names[i] = p.source.owners[o].title()
		default:
			names[i] = p.source.owners[o].title() + " of the backup, not restored"
		}
	}
	return names
}

func (p *proof) gotten(replicas []uint16) []string {
	names := make([]string, len(replicas))
	for i, o := range replicas {
		names[i] = p.names[o]
	}
	return names
}

// shortages compares the nodes of both rings with the factors after the restore.
func (p *proof) shortages(g *group, d *Differences) {
	was, is := make(map[string]int), make(map[string]int)
	factors := map[string]int{"": g.after.Factor}
	for _, m := range p.source.owners {
		was[p.mapping.Renames.dc(m.DC)]++
	}
	for _, m := range p.after.owners {
		is[m.DC]++
	}
	if g.after.Strategy == NetworkTopologyStrategy {
		factors = make(map[string]int)
		for dc := range was {
			factors[dc] = g.after.in(dc)
		}
	} else {
		was[""], is[""] = len(p.source.owners), len(p.after.owners)
	}
	for _, dc := range slices.Sorted(maps.Keys(factors)) {
		if is[dc] < min(factors[dc], was[dc]) {
			for _, keyspace := range g.keyspaces {
				d.Short = append(d.Short, Shortage{keyspace, dc, factors[dc], is[dc], was[dc]})
			}
		}
	}
}
