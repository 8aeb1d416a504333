// Package restore brings a node snapshot back: into a plain directory, onto the node it was taken from or another that takes
// over its tokens, or table by table into a node that keeps running.
//
// Words. An order says what a node shall become, a plan what that means on the node; it is printed before anything is done.
// A clone is a node of another cluster that takes over tokens and rows. Fetching writes every component beside its
// destination while Cassandra runs; only bytes that were authenticated are written, and a component takes its name only
// after its hash was compared. Switching moves the old files aside and the fetched ones in by rename. Importing has
// Cassandra take the fetched SSTables in, after what they need was made by CQL. The journal, a small file in the state
// directory, holds the plan and says how far a restore has come; a phase is run again by whoever goes on, and proves what
// the one before has left. A rollback puts the old files back, a commit removes them.
//
// Invariants. Nothing of the node is touched before everything is fetched, re-read from disk and found right. Old files
// are moved, never removed, and the journal names where they are before the first of them moves. A component that
// cannot be rebuilt as it was is refused by name; a restore in place with a refused component stops before it touches
// anything. An import is over when no fetched SSTable is left, whatever Cassandra said of it.
//
// Ways in: ToDir; NewOrder and NewPlan, then Begin and Job.Run, or Resume; Find for what comes afterwards; PlanCluster for
// the orders of many nodes. What SSTables fit is told by restore/fit, whether the data is there by restore/prove.
package restore
