// Package sstable knows the files of an SSTable: bytes and names in, structures
// out. It opens nothing, imports nothing of cbk and holds no policy.
//
// Words. An SSTable is a set of files that share a name prefix; each file is a
// component. The prefix is a [Descriptor]: format version, identifier and format
// ("nb-12-big-"). The component is all that follows it ("Data.db"), and may hold
// dashes and plus signs of its own, as index components do ("SAI+aa+name+Meta.db").
//
// Invariants. A name that is parsed and put together again is the same name.
// Every parser states the most it accepts, so that a damaged or hostile file
// costs an error and not memory. A file that Cassandra has not finished writing
// is told apart by [ErrTemporary] and is never a component.
//
// Ways in: [ParseName] for file names, [ParseDigest] and [ParseTOC] for the two
// components that are text.
package sstable
