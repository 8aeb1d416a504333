package repo

import (
	"fmt"

	"cbk/pack"
	"cbk/pack/wire"
)

// A reference segment is a blob of type Refs, sealed under the index key so that a keeper can read it. It lists blobs that
// a backup needs, in the order they were met. In the grammar of package wire:
//
//	version  1 byte: 1. Version 2 is reserved for entries with the positions of a blob that are used.
//	count, 32-byte ids
const (
	refsVersion = 1
	// MaxRefs bounds the ids of one segment: 2 MiB, far below pack.MaxBlob.
	MaxRefs = 64 << 10
)

// EncodeRefs returns the content of a reference segment of at most MaxRefs ids.
func EncodeRefs(ids []pack.ID) []byte {
	var e wire.Encoder
	e.Byte(refsVersion)
	encodeIDs(&e, ids)
	return e.Out()
}

// DecodeRefs reads a reference segment.
func DecodeRefs(b []byte) ([]pack.ID, error) {
	d := wire.NewDecoder(b)
	if v := d.Byte(); d.Err() == nil && v != refsVersion {
		return nil, fmt.Errorf("reference segment of version %d: %w", v, pack.ErrNewer)
	}
	ids := decodeIDs(d, MaxRefs)
	return ids, d.Done()
}
