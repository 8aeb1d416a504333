package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
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

// readRefs reads the reference segment that lies in a pack, under the index key, without any local index. Bytes that are
// not as written are a *DamageError that names the pack.
func (r *Repo) readRefs(ctx context.Context, d *roles.Domain, w *pack.Scratch, id pack.ID, name string, offset, stored, plain uint32) ([]pack.ID, error) {
	sealed := make([]byte, stored)
	if err := r.st.ReadAt(ctx, name, int64(offset), sealed); err != nil {
		return nil, asDamage(name, err)
	}
	opener := pack.Sealer{Codec: r.codec, Repository: r.id, Domain: d.Label, Hasher: d.Hasher}
	content, err := opener.Open(nil, w, d.Index, pack.Refs, id, sealed, int(plain))
	if err != nil {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("blob %s: %v", id.Short(), err)}
	}
	ids, err := DecodeRefs(content)
	if err != nil {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("reference segment %s: %v", id.Short(), err), Newer: errors.Is(err, pack.ErrNewer)}
	}
	return ids, nil
}
