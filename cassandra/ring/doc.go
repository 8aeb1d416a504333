// Package ring holds what a Cassandra cluster's ring looked like at one moment:
// its members with their tokens, and how each keyspace is replicated. It does
// no input or output and imports nothing of cbk.
//
// Words. A member is one node of the ring, named by its host id for as long as
// it lives; its address may change. A token is the start of a token range, kept
// as decimal text because its size depends on the partitioner.
//
// Invariants. After [Ring.Sort] the members stand in the order of their host
// ids and each member's tokens in numeric order, so that the same ring always
// has the same JSON form.
//
// Ways in: fill a [Ring], call [Ring.Sort], ask [Ring.Normal] for the members a
// backup needs.
package ring
