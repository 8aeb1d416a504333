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
// Mapping. A restore to a ring of the same shape gives each member of the backup's
// ring, the source, one node, its target, which takes over its rows and tokens and
// stays in its own data centre and rack. Data centres and racks may have other
// names there. Who takes whose place comes from a host list, from the racks of both
// rings, or is the node itself, in place. No way of making a [Mapping] says that
// rows end where Cassandra looks for them: with NetworkTopologyStrategy the racks
// of all nodes decide that, not their number. So it is proven: for every range and
// keyspace the replicas of the backup's ring, mapped, must be those of the ring as
// it will be. Rack names mean nothing to the proof, and their order only where it
// changes a replica.
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
//
// For a restore: [ReadHostList] and [MapHosts], or [MapAuto], or [MapInPlace] with
// [SameTopology] for what has changed; then [Mapping.After], the ring as it will
// be, [ReplicasKept] to prove it, [Topology.Lacking] for what the nodes at hand do
// not have, and [Mapping.Batches] for the order of the work.
package ring
