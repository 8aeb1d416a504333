// Package pack turns content into objects and back: a stream is cut into chunks, a chunk becomes a blob with a keyed id,
// the blob is compressed, sealed and placed in a pack. It knows nothing about where packs live or what they are for.
//
// Words. A blob is a piece of content with a Type and an ID = HMAC-SHA256(domain id key, type ‖ plaintext): equal content
// of one domain has one id and is stored once. A pack is one object of many sealed blobs with a sealed table of contents
// at its end, the tail. A session is one run of a writer; its blobs are sealed under its own data key, and the tail
// carries that key in sealed form.
//
// Invariants. A blob's additional data binds repository, domain, type and id but neither pack nor offset, so sealed blobs
// can be moved between packs by someone who cannot read them. Every blob is opened again before it leaves memory
// (Sealer.Seal), and every blob read is authenticated and its id computed anew (Sealer.Open): there is no way to obtain
// bytes that were not. Whatever is decoded is bounded first (package wire).
//
// Ways in: Chunker and Hasher to find out what a stream consists of, Sealer and Builder to make packs, OpenPack and
// Sealer to read them.
package pack
