// Package gcmodel is an executable model of how writers and keepers share one domain of a repository without locks, and
// an explorer that walks every interleaving of their store operations. It imports nothing of cbk: it judges the
// protocol, not the code.
//
// # What is modelled
//
// The store: packs, shards (which packs they name and the newest epoch their author had read), epochs under gc/, and for
// each snapshot id the pending, the object at the root's key (a root or an abort record) and the deletion record.
//
// The actors, each a machine whose every step is one store operation:
//
//	writer    W1 read gc/ · W2 load shards · W3 packs, shard · W4 pending · W5 read gc/ again · W6 root; with a cache that
//	          outlives the run, further runs, death anywhere, and a W6 whose answer is lost and which is repeated
//	keeper    K0 plan · K1 create the epoch, or find it taken · K2 read gc/, list pending, roots, deletion records and
//	          shards, copy · K3 rewrite shards, list them again, delete packs; with MayBeFull at each of them no room
//	sweeper   K2 and K3 of what others condemned
//	remover   removes epochs · adopter names packs that no shard names · janitor writes abort records for sessions it
//	          takes for dead and removes closed pendings · operator deletes a backup: its record, then its root
//
// Any actor may pause for ever at any step, which is a crash: every prefix of every interleaving is a state visited.
//
// # What is checked
//
// In every state, for every snapshot id with a root at its key and no deletion record: each blob the root needs is in
// some pack that is in the store and is named by some shard that is in the store. So a reader who lists the shards at
// this moment finds every blob, also while shards are being rewritten. It need not believe a shard: one that names a
// missing pack costs it a look at the other holders.
//
// # What is abstracted, and why that is sound
//
// A LIST and the GETs of what it names are one step. The objects never change, so a GET either returns what it would have
// returned at the LIST, or finds nothing; an implementation must then list again, which is a LIST at a later moment. The
// same holds for a look at a pack named by an old shard.
//
// There is no clock: no pack is too young to be condemned, no session too young to be declared dead, no grace passes
// before K3. Whatever holds here therefore needs none of the three. Where a scenario says planAny, K0 may condemn any set
// of packs, live ones too, which covers every survey with any order and delays.
//
// A keeper plans once, a writer uploads what it misses in one pack, and a domain has one or two blobs. Snapshots that lie
// in several domains, full mode, revocation, holds and damage are not modelled; neither is a store whose LIST lags, nor a
// request of a process that has died and still lands.
//
// Packs and shards are told apart by what mentions them and not by name, and like actors may change places, so isomorphic
// states are visited once. States are remembered by a 64-bit hash.
//
// # What it has shown
//
// Rules.Epochs has three readings of gc/. Bare, where a missing number is all that is left of an epoch, loses: a keeper
// that planned before an epoch was created and removed can create the same number once more, below what writers have
// read, and W5 does not look there. Floored repairs this: each epoch carries the number at or below which all are
// finished. Both need that a pack deleted once never comes back, which a repeated upload can break (RetriedPack), for
// the paused delete of another keeper cannot be called back. Cumulative, where the newest epoch names every pack ever
// condemned, needs neither, nor the cache's gap rule nor the stamps of shards.
//
// K2 must read gc/ before it lists pendings, and K3 may sweep only what that reading condemned; LateEpochs and FreshK3
// lose. That K3 rewrites shards before it deletes packs, and lists them again, spares readers a detour; NoRelist and
// DropBeforeShards lose nothing. So K3 of a store that has become full (MayBeFull) may delete packs and leave the shards,
// as long as it keeps every holder of what K2 could not copy; KeepOne loses, for two keepers may keep different ones. What a
// shard that stays names K3 need not write again; what only shards name that go too it must (RewriteLess).
//
// # Invariants and ways in
//
// A step changes the store by one operation at most. A state is all that decides what may happen next. Explore proves a
// Scenario under Rules, Shortest finds the shortest way to a loss. The scenarios, and the ablations that must lose, are
// in the tests.
package gcmodel
