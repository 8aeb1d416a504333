// Package rows reads the partitions of a Data.db and writes them again, bit for
// bit. It works on the plain stream: whoever calls it has undone the compression.
//
// Words. A partition is a key, a deletion time and a run of unfiltereds: the
// static row, if the table has static columns, then rows and range tombstone
// markers in clustering order. A row has a liveness, a deletion and columns; a
// column has cells, one if it is simple and any number if it is complex, which is
// a collection or user type that is not frozen. Timestamps are microseconds since
// 1970 and whatever the client sent; deletion times are seconds since 1970 in 32
// bits without sign; TTLs are seconds.
//
// Cassandra writes times as differences to the minima in the SSTable's HEADER and
// leaves out what follows from the table or the row. [Reader] gives absolute
// values, [Writer] takes them and finds the bytes again, against the same or
// another HEADER. Sizes, previous sizes and the sets of missing columns are never
// handed over, since the content determines them.
//
// Invariants. What a Reader yields and calls [Reader.Canonical], a Writer with the
// same version and header turns into the same bytes. A Reader holds one unfiltered
// at a time, of at most [MaxUnfiltered] bytes, and its memory never exceeds a small
// multiple of what it has read. It allocates nothing per row. Bytes that Cassandra
// would not have written cost an error or the word canonical, never a panic.
//
// What is not read is not checked: columns that a caller passes over are skipped
// by their size, and Canonical speaks only of what was visited.
//
// Ways in: [NewReader], then Next, NextUnfiltered, NextColumn and NextCell, each
// inside the loop of the one before; [NewWriter], and [Copy] from one to the other;
// [ParseType] for the class names in a HEADER.
package rows
