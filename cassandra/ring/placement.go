package ring

import (
	"errors"
	"fmt"
	"iter"
)

// maxReplicas bounds the replicas of all ranges together, at two bytes each to
// 128 MiB: 180 nodes of 256 tokens, each with everything, have an eighth of it.
const maxReplicas = 1 << 26

// Placement is where the rows of one replication lie: the replicas of every range
// of a ring. It does not change and may be used by many goroutines.
type Placement struct {
	topology *Topology
	each     int      // replicas of a range
	quorum   int64    // as Cassandra counts it: may be more than there are
	replicas []uint16 // of range i from i*each on: indices in the topology's owners
}

// Placement tells where the rows of a keyspace lie. Where that cannot be told the
// error is a *ReplicationError.
func (t *Topology) Placement(keyspace string) (*Placement, error) {
	options, ok := t.replication[keyspace]
	if !ok {
		return nil, fmt.Errorf("the ring has no keyspace %q", keyspace)
	}
	r, err := ParseReplication(keyspace, options)
	if err != nil {
		return nil, err
	}
	p, err := t.Place(r)
	if err != nil {
		return nil, &ReplicationError{keyspace, options["class"], err}
	}
	return p, nil
}

// Place tells where rows with a replication of ParseReplication lie, whether a
// keyspace of the ring has it or not. It is an error for LocalStrategy: such rows
// lie on their own node only.
func (t *Topology) Place(r Replication) (*Placement, error) {
	if r.Strategy == LocalStrategy {
		return nil, errors.New("each node holds rows of its own, whatever their token")
	}
	z := t.zones(r)
	p := &Placement{topology: t}
	for _, zone := range z.all {
		p.each += zone.want
	}
	if p.each > maxReplicas/len(t.tokens) {
		return nil, fmt.Errorf("%d ranges of %d replicas are more than %d", len(t.tokens), p.each, maxReplicas)
	}
	p.quorum = r.sum(z)/2 + 1
	p.replicas = newWalk(t, z).replicas(p.each)
	return p, nil
}

// Each is the number of replicas of every range: the factors of the replication,
// or all nodes of a data centre that has less. It is 0 where no data centre of
// the replication has a node.
func (p *Placement) Each() int { return p.each }

// Replicas are the host ids of a range's replicas in Cassandra's order, the owner
// of the range's end before those that follow on the ring. The first is the one
// that Cassandra calls primary.
func (p *Placement) Replicas(i int) []string {
	hosts := make([]string, p.each)
	for k, o := range p.of(i) {
		hosts[k] = p.topology.owners[o].HostID
	}
	return hosts
}

func (p *Placement) of(i int) []uint16 { return p.replicas[i*p.each : (i+1)*p.each] }

// All goes over the ranges in the order of their ends, each with its replicas.
func (p *Placement) All() iter.Seq2[Range, []string] {
	return func(yield func(Range, []string) bool) {
		for i := range p.topology.tokens {
			if !yield(p.topology.Range(i), p.Replicas(i)) {
				return
			}
		}
	}
}

// Ownership is by host id the share of the ring's tokens for which a member is a
// replica, as nodetool status shows it; all together they make Each. It is nil
// with ByteOrderedPartitioner, whose ranges have no measure.
func (p *Placement) Ownership() map[string]float64 {
	t := p.topology
	whole := t.partitioner.size.float()
	if whole == 0 {
		return nil
	}
	shares := make([]float64, len(t.owners))
	for i, end := range t.tokens {
		start := t.tokens[(i+len(t.tokens)-1)%len(t.tokens)]
		part := t.partitioner.length(start, end).float() / whole
		for _, o := range p.of(i) {
			shares[o] += part
		}
	}
	owned := make(map[string]float64, len(shares))
	for o, share := range shares {
		owned[t.owners[o].HostID] = share
	}
	return owned
}
