package repo

import (
	"context"
	"crypto/sha256"
	"fmt"

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
// brings the root back, it is no backup. Space comes back with gc; a self-contained copy goes at once. why is kept in the
// record. Parts in other domains are dead from the same moment; a part by itself cannot be deleted.
func (r *Repo) Delete(ctx context.Context, name string, why []byte) error {
	if err := r.must("delete backups", roles.RoleOwner, roles.RoleKeeper); err != nil {
		return err
	}
	root, err := r.anyRoot(ctx, name)
	if vanished(err) {
		// Gone, and recorded: the answer of an earlier call was lost.
		if done, failed := r.deleted(ctx, logical(name)); done || failed != nil {
			return failed
		}
	}
	if err != nil {
		return err
	}
	if root.Main != nil {
		return fmt.Errorf("%s is a part of %s: delete that", name, root.Main.Name())
	}
	err = r.bury(ctx, name, root, why, func() error { return r.buryParts(ctx, name, root) })
	if err == nil && root.Full {
		err = r.dropDead(ctx, root.At)
	}
	return err
}

// DeletionRecord returns the name of the deletion record of a root.
func DeletionRecord(root string) string { return sibling(deadPrefix, logical(root)) }

// MayDelete reports whether a key has a role that deletes backups. Whether it was revoked is another question.
func (r *Repo) MayDelete(id roles.KeyID) bool {
	p, ok := r.trust.Principal(id)
	return ok && (p.Role == roles.RoleOwner || p.Role == roles.RoleKeeper)
}

// anyRoot reads the root at a name. One that is damaged has nothing but its hash, and perhaps a copy.
func (r *Repo) anyRoot(ctx context.Context, name string) (*Root, error) {
	data, err := r.st.Get(ctx, name, maxRoot)
	if err != nil {
		return nil, asDamage(name, err)
	}
	root, err := r.parseRoot(ctx, logical(name), data)
	if err = asDamage(name, err); err != nil {
		root = &Root{Hash: sha256.Sum256(data), Full: true, At: placeOf(name)}
	}
	return root, ignoreDamage(err)
}

// bury creates the deletion record of a root, does what is due between, and removes the root.
func (r *Repo) bury(ctx context.Context, name string, root *Root, why []byte, between func() error) error {
	var e wire.Encoder
	e.Fixed(root.Hash[:])
	e.Fixed(root.Author[:])
	e.Uvarint(root.Sequence)
	e.Fixed(root.Previous[:])
	e.Bytes(why[:min(len(why), maxWhy)])
	record := DeletionRecord(name)
	won, err := r.claimName(ctx, pack.ClassRecord, record, e.Out())
	if err == nil && !won {
		_, err = r.readDeletion(ctx, record) // perhaps somebody put down what is none
	}
	if err == nil {
		err = between()
	}
	if err != nil {
		return err
	}
	return r.st.Delete(ctx, name)
}

// buryParts removes the parts of a root that is dead. Should it end early, gc does the rest. What does not call itself a
// part of this root stays: a stolen key can name any root as its part.
func (r *Repo) buryParts(ctx context.Context, name string, root *Root) error {
	for _, part := range root.Parts {
		if err := r.buryPart(ctx, part.Name(), name); err != nil {
			return err
		}
	}
	return nil
}

// buryPart removes the part, if it is there, of a main root that is dead. Its record keeps the chain of its author whole.
func (r *Repo) buryPart(ctx context.Context, name, main string) error {
	root, err := r.anyRoot(ctx, name)
	switch {
	case Aborted(err):
		return nil
	case err != nil:
		return ignoreMissing(err)
	case root.Main == nil || root.Main.Name() != main:
		return nil
	}
	return r.bury(ctx, name, root, []byte("part of "+main), func() error { return nil })
}

// deleted reports whether the deletion record of a root stands. What only bears its name is a *DamageError.
func (r *Repo) deleted(ctx context.Context, root string) (bool, error) {
	_, err := r.readDeletion(ctx, sibling(deadPrefix, root))
	if err == nil {
		return true, nil
	}
	return false, ignoreMissing(err)
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
