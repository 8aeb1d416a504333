package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/store"
)

// A root is the commit point of one node's backup: the object snapshots/<domain>/<snapshot id>, sealed under the domain's
// index key (class ClassRoot). Its plaintext, in the grammar of package wire:
//
//	catalogue     byte string, at most 8 KiB: what a listing shows, without any content key
//	ring          32-byte id of the ring blob
//	descriptions  count, 32-byte ids of the blobs that describe the content
const (
	maxCatalogue    = 8 << 10
	maxRoot         = 4 << 20
	maxDescriptions = 64 << 10
)

// Root is what a committed backup of one node consists of. The catalogue's form is the caller's.
type Root struct {
	Catalogue    []byte
	Ring         pack.ID
	Descriptions []pack.ID
}

func (r *Root) encode() ([]byte, error) {
	if len(r.Catalogue) > maxCatalogue {
		return nil, fmt.Errorf("catalogue entry of %d bytes, at most %d: shorten names or annotations", len(r.Catalogue), maxCatalogue)
	}
	var e wire.Encoder
	e.Bytes(r.Catalogue)
	e.Fixed(r.Ring[:])
	e.Count(len(r.Descriptions))
	for _, id := range r.Descriptions {
		e.Fixed(id[:])
	}
	return e.Out(), nil
}

func decodeRoot(b []byte) (*Root, error) {
	d := wire.NewDecoder(b)
	r := &Root{Catalogue: d.Bytes(maxCatalogue)}
	d.Array(r.Ring[:])
	for range d.Count(maxDescriptions, 32) {
		var id pack.ID
		d.Array(id[:])
		r.Descriptions = append(r.Descriptions, id)
	}
	return r, d.Done()
}

func (r *Repo) rootScope(name string) pack.Scope {
	return pack.Scope{Repository: r.id, Domain: domainOf(name), Name: name}
}

// RootName returns where the root of a backup name of a domain stands.
func (r *Repo) RootName(domain, backup string) (string, error) {
	d, err := r.domain(domain)
	if err != nil {
		return "", err
	}
	return RootName(domain, d.SnapshotID(backup, 0)), nil
}

// HasRoot reports whether an object of this name is there, readable or not.
func (r *Repo) HasRoot(ctx context.Context, name string) (bool, error) {
	_, err := r.st.Stat(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ListRoots calls fn for the name of every root in the repository.
func (r *Repo) ListRoots(ctx context.Context, fn func(name string) error) error {
	return r.st.List(ctx, rootPrefix, func(i store.Info) error {
		if Classify(i.Name) != KindRoot {
			return nil
		}
		return fn(i.Name)
	})
}

// ReadRoot opens a root. A root that is not as written is a *DamageError.
func (r *Repo) ReadRoot(ctx context.Context, name string) (*Root, error) {
	d, err := r.domain(domainOf(name))
	if err != nil {
		return nil, err
	}
	data, err := r.st.Get(ctx, name, maxRoot)
	if err != nil {
		return nil, asDamage(name, err)
	}
	plain, err := pack.Open(nil, d.Index, pack.ClassRoot, r.rootScope(name), data)
	if err != nil {
		return nil, asDamage(name, err)
	}
	root, err := decodeRoot(plain)
	return root, asDamage(name, err)
}

func (r *Repo) createRoot(ctx context.Context, name string, root *Root) error {
	d, err := r.domain(domainOf(name))
	if err != nil {
		return err
	}
	plain, err := root.encode()
	if err != nil {
		return err
	}
	err = r.st.Create(ctx, name, pack.Seal(nil, d.Index, pack.ClassRoot, r.rootScope(name), plain))
	if errors.Is(err, store.ErrExists) {
		return ErrSnapshotExists
	}
	return err
}
