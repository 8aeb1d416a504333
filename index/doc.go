// Package index answers one question: where is the blob with this id?
//
// Words. A shard is an object index/<domain>/<seq>-<16 hex> that lists blobs of some packs: pack name, size, sealed
// session keys and one entry a blob; package repo signs and seals it. Shards are written by backups and together
// hold everything that can be found. A Cache is a local badger database of the same entries, so that a backup with
// millions of known blobs asks no store; next to them it keeps the facts that let a backup skip files it has seen.
//
// Invariants. The cache may be deleted at any moment and costs only time: Sync compares the shards it holds with those
// listed, loads what is missing, and forgets what all shards said when one it holds is gone. Facts stay: who uses one asks
// for each blob it names. An entry enters the cache only when the shard naming it is in the store, so a
// crash can never make a later backup rely on a blob that no shard can find.
//
// Ways in: Open or OpenTemporary, then Sync, then Lookup; EncodeShard and DecodeShard for a shard's content.
package index
