// Package repo is the repository: objects in a store, written once, found by name, opened only after authentication.
//
// Words. The config object makes a place a repository. A slot gives out its secrets. A domain is a label with keys of
// its own, one for each Cassandra node. Blobs lie in packs; shards say where; a root, snapshots/<domain>/<snapshot id>,
// is the commit point of one node's backup. The grammar of names is in names.go; anything else is a stranger.
//
// Invariants. Nothing is overwritten: every object is created if absent. The order of writes is packs, then a shard that
// names them, then the root under pending/, then the root, so a crash leaves garbage and never a lie. A blob is called known only when a shard in the
// store names it. Whatever is read is authenticated, and what does not authenticate is a *DamageError that names the
// object. The package knows nothing of Cassandra: the catalogue entry of a root and the content of blobs are its
// callers' affair.
//
// Garbage collection takes no lock: tombstones condemn packs for ever, writers look at them before they commit, keepers at
// pending roots before they delete (docs/gc.md; package gcmodel proves the protocol). Abort and deletion records outrank
// roots.
//
// Ways in: Init and Open; NewSession to write, NewReader to read, NewChecker to check, Delete and GC to take away.
package repo
