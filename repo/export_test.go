package repo

import (
	"context"
	"unsafe"

	"cbk/pack"
	"cbk/repo/roles"
)

// HasRoot reports whether an object of this name is there, readable or not.
func (r *Repo) HasRoot(ctx context.Context, name string) (bool, error) { return r.exists(ctx, name) }

// borrow returns the keys of one domain under the label of another: all that who stole them can try.
func (r *Repo) borrow(own, label string) (*roles.Domain, error) {
	d, err := r.domain(own)
	if err != nil {
		return nil, err
	}
	b := *d
	b.Label = label
	return &b, nil
}

// Forge signs and seals a body as an object of a name, with the keys of the domain own.
func (r *Repo) Forge(own string, class pack.Class, name string, body []byte) ([]byte, error) {
	d, err := r.borrow(own, domainOf(name))
	if err != nil {
		return nil, err
	}
	return r.sealSigned(d, class, name, body), nil
}

// ForgeRoot makes a root with the keys of the domain own. The link says what place in the chain it claims.
func (r *Repo) ForgeRoot(own, name string, root *Root) ([]byte, error) {
	d, err := r.borrow(own, domainOf(name))
	if err != nil {
		return nil, err
	}
	return r.sealRoot(d, name, root), nil
}

// ForgeShard makes a shard of no packs for a domain with the keys of the domain own.
func (r *Repo) ForgeShard(own, label string, packs ...pack.Info) (name string, data []byte, err error) {
	d, err := r.borrow(own, label)
	if err != nil {
		return "", nil, err
	}
	name, data = r.sealShard(d, 1<<20, packs)
	return name, data, nil
}

// Pending returns the name of the announcement of a root, Deleted that of its deletion record.
func Pending(root string) string { return sibling(pendPrefix, root) }

// Deleted returns the name of the deletion record of a root.
func Deleted(root string) string { return DeletionRecord(root) }

// Superseded returns the names of key objects that only keep old secrets alive.
func (r *Repo) Superseded(ctx context.Context) ([]string, error) {
	return roles.Superseded(r.trust.Trust, openKeyObjects(ctx, r.st, r.identity, "").all())
}

// ForgeRecord makes a record that r signs, sealed under the key of the whole as holder has it.
func (r *Repo) ForgeRecord(holder *Repo, kind RecordKind, body []byte) ([]byte, error) {
	d, err := holder.domain(roles.Whole)
	if err != nil {
		return nil, err
	}
	return r.sealSigned(d, pack.ClassRecord, string(kind), body), nil
}

// ForgeAudit makes the record of a number in the chain of a key, with the keys of the domain own and its own signature.
func (r *Repo) ForgeAudit(own string, key roles.KeyID, seq uint64, previous pack.ID, entry string) ([]byte, error) {
	d, err := r.domain(own)
	if err != nil {
		return nil, err
	}
	return r.sealAudit(d, auditName(key, seq), previous, []byte(entry)), nil
}

// ShardPacks returns what a shard says.
func (r *Repo) ShardPacks(ctx context.Context, name string) ([]pack.Info, error) {
	s, err := r.readShard(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.packs, nil
}

// HeldSize is what a check holds for each pack listed.
const HeldSize = unsafe.Sizeof(held{})

// MaxWantedIDs is what a record of what is wanted may name.
const MaxWantedIDs = maxWantedIDs

// EncodeWanted and DecodeWanted are what records of what is wanted say.
var (
	EncodeWanted = encodeWanted
	DecodeWanted = decodeWanted
)

// WantedName is the name of a record of what is wanted.
func WantedName(domain string, data []byte) string { return wantedName(domain, data) }

// ForgeWanted makes a record of what is wanted, signed by whoever r is.
func (r *Repo) ForgeWanted(domain string, body []byte) ([]byte, error) {
	d, err := r.domain(domain)
	if err != nil {
		return nil, err
	}
	return r.sealSigned(d, pack.ClassRecord, wantedPrefix+domain, body), nil
}
