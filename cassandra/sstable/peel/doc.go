// Package peel takes the compression off a Data.db and puts it back bit for bit.
// Cassandra compresses in small chunks, so nothing that comes after can shrink or
// compare what is inside; what it compresses with is so simple that the same
// bytes come out again of the plain ones.
//
// Words. A chunk stands in the file as its stored bytes and their checksum. A run
// is a stretch of chunks of one [Kind]: chunks that one of the encoders gives
// again, as their plain bytes one after another, or chunks that none does, as
// they stand in the file. The [Layout] says how chunks are cut and encoded; it is
// the beginning of CompressionInfo.db, whose offsets follow from the rest.
//
// Invariants. The runs of a [Reader], given to a [Writer] of its layout, make the
// same Data.db and the same CompressionInfo.db: the reader has encoded every
// chunk again and compared it before it lets a run begin. How a file falls into
// runs depends on its bytes alone. Both hold a few batches of chunks, whatever
// the size of the file, and work on them side by side.
//
// Ways in: [NewReader] and [NewWriter].
package peel
