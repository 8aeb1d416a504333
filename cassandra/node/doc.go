// Package node works with one Cassandra node on this machine: it reads what the
// node is, has it take snapshots, lists their files, stops and starts it.
//
// Words. The layout is where cassandra.yaml puts the node's directories. A tag is
// the name of a Cassandra snapshot. A snapshot directory holds the hard links
// that Cassandra made for one table in one data directory:
//
//	DATADIR/KEYSPACE/TABLE-ID/snapshots/TAG/            components of the table
//	DATADIR/KEYSPACE/TABLE-ID/snapshots/TAG/.INDEX/     components of an index
//
// The live directory is the table's own, DATADIR/KEYSPACE/TABLE-ID, which is read of
// a node that is stopped. Tables from before 2.1 have no -ID there.
//
// Three ways lead to a node, and none of them needs another: its files, which
// work while it is down; CQL, for identity, schema and tokens; and nodetool, for
// snapshots and for which members are up. Where CQL is off, which gives [ErrNoCQL],
// nodetool tells identity and tokens too, by methods that begin with Told.
//
// Invariants. CQL speaks to the configured host and port only, whatever other
// addresses the cluster tells. Nothing in a snapshot directory is silently left
// out: what is neither a component nor one of the two files Cassandra writes for
// itself is an error that names it. No password is put on a command line or in
// a variable, and no variable named CBK_* reaches a child. Over TLS the node's
// certificate is verified. The node's configuration leaves this package with its
// secrets masked. A command that fails gives a [CommandError] with the end of its
// output, a configuration that cannot be a [ConfigError].
//
// Ways in: [New], then [Node.Snapshot] and [Node.SnapshotTables] for a backup,
// [Node.StopCassandra], [Node.StartCassandra] and [Node.WaitUp] for a restore,
// [Node.Execute] and [Node.Import] for one into a node that runs.
package node
