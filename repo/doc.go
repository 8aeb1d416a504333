// Package repo is the repository: objects in a store, written once, found by name, opened only after authentication.
//
// # Words
//
// The config object makes a place a repository and names its owner. The trust log, signed by the owner, says who holds
// which key (package roles). A domain is a label with keys of its own, one for each Cassandra node, in generations. Blobs
// lie in packs; shards say where; a root, snapshots/<domain>/<snapshot id>, is the commit point of one node's backup. A
// backup whose blobs lie in several domains has a part in each, and its main root decides. A full backup has a copy of all
// it needs under full/<snapshot id>/. The grammar of names is in names.go; anything else is a stranger.
//
// # Invariants
//
// Nothing is overwritten: every object is created if absent. The order of writes is packs, then a shard that names them,
// then the root under pending/, then the root, so a crash leaves garbage and never a lie. A blob is called known only when
// a shard in the store names it. Whatever is read is authenticated, and what says something about backups is signed by
// somebody whose business it is (signed.go); what does not hold is a *DamageError that names the object. The package knows
// nothing of Cassandra: the catalogue entry of a root and the content of blobs are its callers' affair.
//
// Garbage collection takes no lock: tombstones condemn packs for ever, writers look at them before they commit, keepers at
// pending roots before they delete (docs/gc.md; package gcmodel proves the protocol, package swarm runs it). Abort and
// deletion records outrank roots. Each root names the one before it of the same author, so that what is taken away shows.
// What is said of the repository as a whole are records: holds, results of checks (records.go). Each key has an audit
// chain of what it was used for, which nobody else can add to (audit.go).
//
// # Ways in
//
// Init and Open; NewSession to write, NewReader to read, NewChecker to check, Heads to list, Usage and Freed to look at what
// it takes, Delete, Adopt, GC and SweepFull to take away, RepairIndex to bring back; AddSlot, ExportKey, Revoke, RotateSeal and RetireSeals for keys;
// AddRecord, Records, AppendAudit and Audit for what is said and done; Reader.SessionKeys for a loan to a machine without keys.
package repo
