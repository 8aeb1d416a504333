// Package fleet has the nodes of a cluster make one backup together. The nodes do the work, each for itself, by the phases of
// cbk node; this package decides who takes part, when, and what the outcome is.
//
// Words. The coordinator is the machine this runs on. A seed is a node that is asked for the ring. A node takes part if it is
// NORMAL and chosen; who is down is told and left out. A phase is one call of cbk on one node.
//
// The way of a backup. Ask a seed for the ring; see that the nodes that are up hold enough; have all take their snapshots, at
// nearly the same moment; see again that those that could hold enough; have them upload, within limits; add up. Before the
// first upload a backup can be called off, and nothing is left of it on any node.
//
// Invariants. The coordinator keeps nothing: what has to survive is in the repository and in the nodes' state directories, so
// any machine may run it again, under the same name, and it goes on where it was. A node is who its host id says: one that
// answers under another's address takes no part. An interruption clears the snapshots that are not yet stored; a node that
// failed to upload keeps its snapshot for the next run, so that the moment of the backup stays the same.
//
// Ways in: Backup, with a Runner that a cluster.Cluster is; Asking for the ring alone; Do for any phase.
package fleet
