// Package ring holds what a Cassandra cluster's ring looked like at one moment:
// its members with their tokens, and how each keyspace is replicated. From that
// it tells, as Cassandra does, which nodes hold which rows, and how much of a
// keyspace some of the nodes hold together. It does no input or output and
// imports nothing of cbk.
//
// Words. A member is one node of the ring, named by its host id for as long as
// it lives; its address may change. A token is a place on the ring, kept as text
// because its form depends on the partitioner. A range reaches from behind one
// token up to and with the next and belongs to the member that holds the latter;
// its replicas are that member and those the keyspace's replication adds, in the
// order in which they come on the ring. A rack is a rack of one data centre.
//
// Who counts. A backup needs the members that are NORMAL. Ranges belong to all
// that hold tokens: Cassandra reads from and writes to a member that is leaving
// or moving until it is done, so what only it holds is missing from a backup
// without it, and those that take its place have not all of it yet. A member that
// is joining owns nothing.
//
// Coverage. A level is reached where every range has at hand one of its replicas,
// as many as Cassandra's QUORUM (half of the factors' sum, and one more), or all.
// Where a ring has not the nodes for its factors, all replicas there are make the
// quorum too. Rows of a LocalStrategy keyspace are their own node's and have no
// ranges. What cannot be told, because replicas are transient or a strategy is
// somebody's own, counts as not covered and says why.
//
// Invariants. After [Ring.Sort] the members stand in the order of their host
// ids and each member's tokens in numeric order, so that the same ring always
// has the same JSON form. A [Topology] has been checked: it is bounded, its
// tokens are valid and none has two owners; its ranges touch each other and make
// the whole ring. Nothing it tells depends on the order of members or tokens.
//
// Ways in: fill a [Ring], call [Ring.Sort], ask [Ring.Normal] for the members a
// backup needs. [Ring.Topology] then gives [Topology.Placement], the replicas of
// every range for one keyspace, and [Topology.Coverage] for all keyspaces.
package ring
