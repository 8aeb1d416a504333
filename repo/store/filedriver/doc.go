// Package filedriver keeps objects as files under one directory, as a gocloud
// driver.Bucket whose create-if-absent holds between processes and machines.
//
// # Why not gocloud's fileblob
//
// fileblob decides "absent" with a mutex of its own process, a stat and a
// rename, so two processes can both win one name, and it syncs neither file
// nor directory. The repository's commit point is a create-if-absent: both
// would be fatal.
//
// # Words
//
//   - object: a regular file whose path decodes to a key (see names.go)
//   - temporary file: a file under .cbk-tmp, being written; never an object
//   - publish: to give a finished temporary file its object name
//
// # Invariants
//
//   - An object appears whole or not at all: bytes go to a temporary file,
//     that file is synced, and only then published.
//   - With IfNotExist publishing is link(2), where the file system has no hard
//     links renameat2(RENAME_NOREPLACE), else refused. All three are decided by
//     the file system, so exactly one of any number of processes wins.
//   - When a writer returns success, or says that the object exists, the
//     object's name is durable: every directory from the root to it is synced.
//   - No key reaches outside the root, by name or by symbolic link.
//   - Files whose name begins with a dot are no objects: they are neither
//     listed nor reachable by a key.
//   - A bucket opened read-only writes nothing, not even the temporary folder.
//
// # Left out
//
// Content type, metadata and the other HTTP attributes are not kept: they
// would need a second file beside each object, published at another moment.
// conformance_test.go holds the exact list of gocloud conformance tests that
// this costs.
//
// # Ways in
//
// Open makes a bucket; blob.NewBucket wraps it for callers.
package filedriver
