// Package standin stands in for Cassandra where a test has more nodes than a machine can run: 180 JVMs need 100 GB.
//
// A node is a directory with conf/cassandra.yaml and the directories that this names. Its files are whatever the test puts
// there, real SSTables; the stand-in never writes one. What it does is what nodetool and the service manager do for cbk:
// start, stop, nodetool with statusbinary, netstats, version, describecluster, info, status, ring, flush, drain, snapshot and
// clearsnapshot, in the words of 5.0. CQL is off.
//
// What is faked, and how. Gossip is a directory that all nodes of a cluster share: a file for each member with its tokens
// and whether it runs, so that a node that was stopped is seen down by all others at once. There are no rows and no
// process: a node that was started is a node whose file says so. A flush does nothing, for nothing is in memory.
//
// What is not faked: a snapshot is hard links of the files that are there, as Cassandra makes them; a node that is down
// answers nothing; initial_token counts at a start without system tables and at no other, which is Cassandra's rule.
//
// Ways in: [Cluster.Add] for a node, [Build] for the command that its configuration names.
package standin
