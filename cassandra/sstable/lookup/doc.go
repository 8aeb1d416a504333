// Package lookup finds single partitions in the files of an SSTable, as a node does that is asked for one: through the
// index, and without reading what lies between.
//
// Words. A position is where a partition begins in the plain bytes of Data.db. The index of the big format is Index.db, of
// which Summary.db has every 128th entry or so; that of bti is Partitions.db, a trie over the shortest beginnings of keys
// that tell them apart, whose leaves lead to Data.db, or to Rows.db for a partition that has an index of its own.
//
// Invariants. Nothing is written, and no component is read whole but Statistics.db. What is read of a chunk is held against
// its checksum. A key that was found is the key that stands at its position. Where an index is too coarse to be searched
// within bounds, [ErrUnindexed] says so and not that the key is missing.
//
// Only Murmur3Partitioner is known: the order of the keys hangs on it.
//
// Ways in: [Open], then [SSTable.Find], [SSTable.Random] and [SSTable.Partition]; [SSTable.All] for a whole SSTable.
package lookup
