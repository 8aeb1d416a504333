// Package restore brings a node snapshot back: into a plain directory, onto the node it was taken from, or table by table
// into a node that keeps running.
//
// Words. A plan says what will be done and is printed before anything is. Fetching writes every component beside its
// destination while Cassandra runs; only bytes that were authenticated are written, and a component takes its name only
// after its hash was compared. Switching moves the old files aside and the fetched ones in by rename. Importing has
// Cassandra take the fetched SSTables in, after what they need was made by CQL. The journal, a small file in the state
// directory, says how far a restore has come.
//
// Invariants. Nothing of the node is touched before everything is fetched, re-read from disk and found right. Old files
// are moved, never removed, and the journal names where they are before the first of them moves. A component that
// cannot be rebuilt as it was is refused by name; a restore in place with a refused component stops before it touches
// anything. An import is over when no fetched SSTable is left, whatever Cassandra said of it.
//
// Ways in: ToDir; NewOrder and NewPlan, then Begin and Job.Run.
package restore
