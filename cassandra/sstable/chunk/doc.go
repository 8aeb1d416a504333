// Package chunk compresses and decompresses the chunks of an SSTable's Data.db,
// bytes in, bytes out.
//
// Words. A compressed Data.db is a row of chunks. Each is the same number of
// plain bytes, the chunk length, but for the last; it is stored as its bytes
// compressed on their own and a checksum, which is none of this package's
// business. Where compression gains too little the plain bytes are stored: a raw
// chunk. A [Format] is how the chunks of one file are stored: what
// CompressionInfo.db says of them.
//
// LZ4 chunks can be made again bit for bit, although the format allows many blocks
// for the same bytes: every encoder that Cassandra has shipped is liblz4's fast one
// or a translation of it, and together they have two behaviours. A [Dialect] names
// one. [Encoder] is that algorithm, written for being the same and not for being
// better: which positions it looks at, and which it remembers, is the contract.
// Which dialect wrote a file is not in the file; a chunk that one of them gives back
// and the other does not tells. Deflate, Snappy, Zstd and LZ4's high compression
// depend on libraries whose choices change by version; they are only decompressed.
//
// Invariants. What is decompressed came from outside: no input makes a function
// panic, write past the end of what it was given, or give back more than a chunk
// length. Only a whole chunk counts: trailing bytes are an error.
//
// Ways in: [NewFormat] with [Format.Decode], and [Encoder.AppendChunk], its inverse
// where [Format.Reproducible] says so.
package chunk
