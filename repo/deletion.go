package repo

import (
	"context"
	"crypto/sha256"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
)

// A deletion record, deleted/<domain>/<snapshot id>, outranks the root of the same id for ever. It is signed by an owner
// or keeper and keeps what the root was to its author's chain. Body, in the grammar of package wire:
//
//	hash      32-byte SHA-256 of the root object
//	author    8-byte key id; zeros, like the two fields below, if the root could not be read
//	sequence  number in the chain
//	previous  32 bytes
//	why       byte string, at most 64 KiB: the caller's
const maxWhy = 64 << 10

// deletion is what a deletion record says.
type deletion struct {
	linked
	why []byte
}

// Delete removes a committed backup. Its deletion record is created first and outranks the root for ever: whatever
// brings the root back, it is no backup. Space comes back with gc. why is kept in the record. Parts in other domains are
// dead from the same moment.
func (r *Repo) Delete(ctx context.Context, name string, why []byte) error {
	if err := r.must("delete backups", roles.RoleOwner, roles.RoleKeeper); err != nil {
		return err
	}
	data, err := r.st.Get(ctx, name, maxRoot)
	if err != nil {
		return asDamage(name, err)
	}
	root, err := r.parseRoot(ctx, name, data)
	if ignoreDamage(asDamage(name, err)) != nil {
		return err
	}
	if root == nil {
		root = &Root{Hash: sha256.Sum256(data)}
	}
	var e wire.Encoder
	e.Fixed(root.Hash[:])
	e.Fixed(root.Author[:])
	e.Uvarint(root.Sequence)
	e.Fixed(root.Previous[:])
	e.Bytes(why[:min(len(why), maxWhy)])
	if _, err := r.claimName(ctx, pack.ClassRecord, sibling(deadPrefix, name), e.Out()); err != nil {
		return err
	}
	// Should it end here, gc removes the parts.
	for _, part := range root.Parts {
		if err := r.st.Delete(ctx, part.Name()); err != nil {
			return err
		}
	}
	return r.st.Delete(ctx, name)
}

func (r *Repo) readDeletion(ctx context.Context, name string) (*deletion, error) {
	rec := &deletion{}
	data, err := r.st.Get(ctx, name, maxWhy+4096)
	if err != nil {
		return rec, asDamage(name, err)
	}
	s, err := r.openSigned(ctx, pack.ClassRecord, domainOf(name), name, data, roles.RoleKeeper, roles.RoleOwner)
	if err != nil {
		return rec, asDamage(name, err)
	}
	d := wire.NewDecoder(s.body)
	d.Array(rec.Hash[:])
	d.Array(rec.Author[:])
	rec.Sequence = d.Uvarint(1<<63 - 1)
	d.Array(rec.Previous[:])
	rec.why = d.Bytes(maxWhy)
	return rec, asDamage(name, d.Done())
}
