// Package sstable knows the files of an SSTable: bytes and names in, structures
// out. It opens nothing, imports nothing of cbk and holds no policy.
//
// Words. An SSTable is a set of files that share a name prefix; each file is a
// component. The prefix is a [Descriptor]: format version, identifier and format
// ("nb-12-big-"). The component is all that follows it ("Data.db"), and may hold
// dashes and plus signs of its own, as index components do ("SAI+aa+name+Meta.db").
//
// Versions. The two letters of a version decide the layout of every binary
// component; parsers take them as text. bti versions are another index and share all
// else with the big version of their release. A version not known is
// [ErrUnsupportedVersion], never a guess: ka to lb (2.1, 2.2) are known in part, ma
// to me (3.x), na and nb (4.x, and 5.0 by default), oa and da (5.0) in full, pa and
// ea (6.0) from its sources.
//
// Invariants. A name that is parsed and put together again is the same name.
// Every parser states the most it accepts, so that a damaged or hostile file
// costs an error and not memory; none holds what grows with the data. A file that
// Cassandra has not finished writing is told apart by [ErrTemporary] and is never a
// component.
//
// Ways in: [ParseName], [ParseTableDir] and [ParseIndexDir] for names; [Live] for
// what transaction logs say of a directory's files; [ParseStatistics] for what is in
// an SSTable and how to read its rows; [ParseCompressionHeader] and [NewOffsets], or
// [NewSums] and its inverse [NewSumsWriter], for the chunks of Data.db; [NewIndexReader] for where its partitions are;
// [KeyRange], [ReadSummaryKeys] and [ReadPartitionsFooter] for its first and last
// key, and [Token] for their place on the ring; [ParseDigest] and [ParseTOC] for the
// two components that are text.
package sstable
