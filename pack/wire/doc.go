// Package wire is the byte grammar shared by everything cbk stores in binary: unsigned varints, length-prefixed byte
// strings and fixed arrays, one after another, with no field tags.
//
// Every value has exactly one encoding, so equal structures are equal bytes and deduplicate: varints are minimal, and a
// decoder refuses trailing bytes. Every length and count a decoder meets is checked against a limit given by the caller
// before anything is allocated, because the bytes come from a store that may be hostile.
//
// A Decoder keeps its first error: callers read a whole structure in a straight line and ask once, with Done.
package wire
