// Package offline reads a Cassandra node that is stopped, from its files alone: no CQL, no nodetool, no Java. All it needs
// is a cassandra.yaml with data_file_directories.
//
// Words. A live SSTable is one that the node would open if it were started: transaction logs say which. What the node knows
// of itself stands in its system tables, which are read from their live SSTables: identity and tokens in system.local, the
// other members in system.peers, the schema in system_schema, roles in system_auth.
//
// A node that runs while CQL is off is read so as well, after it has flushed: its schema and roles; the rest nodetool tells.
//
// Invariants. Nothing is written. Where a node has to be stopped, one that runs is refused, since its files change while
// they are read. What the system tables do not tell, as those of 2.x, whose format is not read, is marked absent and never
// guessed: the files are listed all the same. A member is taken for NORMAL and for down: who left or is joining only a
// running node knows.
//
// The files are what was flushed. A node that was not stopped in order has more in its commit log: [Node.CommitLog] tells
// how much.
//
// Ways in: [New] for a node that is stopped, [NewRunning] for one that runs; either is what a backup reads.
package offline
