// Package store keeps the repository's objects: a flat name space of immutable
// byte strings in a directory or in a cloud bucket.
//
// # Words
//
//   - object: bytes under a name; written once, whole, never changed
//   - create-if-absent: the only way to write. Of all writers of one name in
//     the world one wins, decided by the store itself
//   - settle: to find out what a taken name means by reading it. The same bytes
//     are ours (an earlier try whose answer was lost), others are a conflict
//   - transient: a failure that may pass; anything not known to be permanent
//
// # Invariants
//
//   - No object is ever truncated, overwritten or left half-written by us. All
//     gocloud writers are opened in write.go; a test scans the tree for others.
//   - Every operation may be repeated, so a lost answer is never a wrong one.
//   - Nothing unbounded is held: a Get has a limit, a listing one page.
//   - A request on which no byte moves ends after Options.Stall, by default a
//     minute, and is repeated within the budget of Retry.
//   - Every error names operation and object, in one line, and matches one of
//     the errors of this package where a caller may decide by it.
//
// # Layers
//
// Open builds them in this order, the innermost first; each is a Store:
//
//	bucketStore   requests: counted, watched for stalls, settled; with
//	              Options.FirstVersion of the first version of each object
//	Rate, Limit   bytes per second, requests in flight
//	Options.Wrap  seam for fault injection (package storefault)
//	Retry         repeats what may pass
//	ReadOnly      refuses changes
//
// A Locker tells of versions and locks; every decorator here passes it on.
//
// Limit stands below Retry, so that a pausing operation holds no place; Rate
// below it too, so that repeated bytes are paid for. Counting may stand
// anywhere above: the innermost layer does the counting, told by the context.
//
// # Ways in
//
// Open, by URL or path. A new provider: open its gocloud bucket in a file of
// its own beside s3.go, give it a put where gocloud's writer does not do, and
// run storetest.Run on a real server of it.
package store
