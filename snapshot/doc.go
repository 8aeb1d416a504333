// Package snapshot is what a backup of a Cassandra node consists of, and the engine that takes one.
//
// Words. A node snapshot is what one backup made of one node at one moment: a root with a catalogue entry, a ring blob
// and a description blob (Node). The description names, for each table, pages that list SSTables with their components,
// sizes and hashes; a recipe blob for each SSTable says how its components are made of data blobs: of their bytes, or, of a
// Data.db, of what was compressed in it. A mark on an SSTable says what was wrong with it on the node. A backup is the
// node snapshots of one cluster that share a name; it is complete when every NORMAL member of any ring its nodes saw is
// in it, with every table.
// A series is the complete backups of one cluster and one choice of tables; retention (Retention, Plan) says which of them stay
// and why. A hold keeps a backup whatever that says.
//
// Invariants. A backup is recorded by one object, created last: until then there is none. Every table that existed
// before and after Cassandra's snapshot must be in it, or a Selection or a list of missing ones says which are not.
// Components are compared with their hash whenever they are rebuilt, and no recipe is kept that did not give the
// component's hash when it was made. Pages and recipes hold nothing that differs between two backups of the same files, so
// unchanged tables cost nothing. No plan takes the last complete backup of a series, nor its last without damage, and
// incomplete ones take nobody's room. What a backup remembers about files (facts) is local, a hint, and always checked against the store's index.
//
// Reading is in order and by the page: pages, recipes, segments and data blobs of many SSTables are fetched together, each
// within a bound, and a component is written from its first byte to its last before the next begins. Only what is derived
// from a Data.db is written beside it.
//
// Ways in: Take; List, Find and a Filter; Open, then Pages and Content, or SSTables for a listing; Verify and Leave for a
// check and its record, Status for what all records say; Diff, Growth, Break and Freed for what backups hold and cost;
// Retention.Plan; AddHold and Holds; Lend and EntryOf for a restore on a machine without keys.
package snapshot
