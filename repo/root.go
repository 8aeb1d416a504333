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
// index key (class ClassRoot). The same bytes stand under pending/ from shortly before until a keeper tidies up. Its
// plaintext, in the grammar of package wire:
//
//	catalogue     byte string, at most 8 KiB: what a listing shows, without any content key
//	ring          32-byte id of the ring blob
//	refs          count, 32-byte ids of the reference segments: all blobs the backup needs, readable without a content key
//	descriptions  count, 32-byte ids of the blobs that describe the content
//
// An abort record (class ClassAbort, a reason as plaintext) at a root's own name says that this attempt is dead for ever.
const (
	maxCatalogue    = 8 << 10
	maxRoot         = 8 << 20
	maxDescriptions = 64 << 10
	maxRefs         = 128 << 10
)

// Root is what a committed backup of one node consists of. The catalogue's form is the caller's.
type Root struct {
	Catalogue    []byte
	Ring         pack.ID
	Refs         []pack.ID // reference segments, see EncodeRefs
	Descriptions []pack.ID
}

// errAborted is matched when an abort record stands at a root's name.
var errAborted = errors.New("attempt was aborted")

func (r *Root) encode() ([]byte, error) {
	switch {
	case len(r.Catalogue) > maxCatalogue:
		return nil, fmt.Errorf("catalogue entry of %d bytes, at most %d: shorten names or annotations", len(r.Catalogue), maxCatalogue)
	case len(r.Descriptions) > maxDescriptions:
		return nil, fmt.Errorf("root of %d descriptions, at most %d", len(r.Descriptions), maxDescriptions)
	case len(r.Refs) > maxRefs:
		return nil, fmt.Errorf("root of %d reference segments, at most %d", len(r.Refs), maxRefs)
	}
	if len(r.Descriptions) > maxDescriptions {
		return nil, fmt.Errorf("root of %d descriptions, at most %d", len(r.Descriptions), maxDescriptions)
	}
	var e wire.Encoder
	e.Bytes(r.Catalogue)
	e.Fixed(r.Ring[:])
	encodeIDs(&e, r.Refs)
	encodeIDs(&e, r.Descriptions)
	return e.Out(), nil
}

func decodeRoot(b []byte) (*Root, error) {
	d := wire.NewDecoder(b)
	r := &Root{Catalogue: d.Bytes(maxCatalogue)}
	d.Array(r.Ring[:])
	r.Refs = decodeIDs(d, maxRefs)
	r.Descriptions = decodeIDs(d, maxDescriptions)
	return r, d.Done()
}

func encodeIDs(e *wire.Encoder, ids []pack.ID) {
	e.Count(len(ids))
	for _, id := range ids {
		e.Fixed(id[:])
	}
}

func decodeIDs(d *wire.Decoder, limit int) []pack.ID {
	ids := make([]pack.ID, d.Count(limit, 32))
	for i := range ids {
		d.Array(ids[i][:])
	}
	return ids
}

// scope binds a sealed object to its name. A pending root is bound to the name of the root it will be.
func (r *Repo) scope(name string) pack.Scope {
	return pack.Scope{Repository: r.id, Domain: domainOf(name), Name: name}
}

func (r *Repo) seal(class pack.Class, name string, plain []byte) ([]byte, error) {
	d, err := r.domain(domainOf(name))
	if err != nil {
		return nil, err
	}
	return pack.Seal(nil, d.Index, class, r.scope(name), plain), nil
}

// open reads the object at name that is sealed as if it stood at scope.
func (r *Repo) open(ctx context.Context, class pack.Class, name, scope string, limit int64) ([]byte, error) {
	d, err := r.domain(domainOf(name))
	if err != nil {
		return nil, err
	}
	data, err := r.st.Get(ctx, name, limit)
	if err != nil {
		return nil, asDamage(name, err)
	}
	if class == pack.ClassRoot {
		if _, err := pack.Open(nil, d.Index, pack.ClassAbort, r.scope(scope), data); err == nil {
			return nil, fmt.Errorf("%s: %w", name, errAborted)
		}
	}
	plain, err := pack.Open(nil, d.Index, class, r.scope(scope), data)
	return plain, asDamage(name, err)
}

// ReadRoot opens a root. A root that is not as written is a *DamageError.
func (r *Repo) ReadRoot(ctx context.Context, name string) (*Root, error) {
	plain, err := r.open(ctx, pack.ClassRoot, name, name, maxRoot)
	if err != nil {
		return nil, err
	}
	root, err := decodeRoot(plain)
	return root, asDamage(name, err)
}

func (r *Repo) readPending(ctx context.Context, name string) (*Root, error) {
	plain, err := r.open(ctx, pack.ClassRoot, name, sibling(rootPrefix, name), maxRoot)
	if err != nil {
		return nil, err
	}
	root, err := decodeRoot(plain)
	return root, asDamage(name, err)
}

// ListRoots calls fn for the name of every committed backup. Abort records are left out only when read (ReadRoot), and so
// are roots whose deletion record stands: a root that reappears is no backup.
func (r *Repo) ListRoots(ctx context.Context, fn func(name string) error) error {
	deleted, err := r.names(ctx, deadPrefix, KindDeleted)
	if err != nil {
		return err
	}
	gone := make(map[string]bool, len(deleted))
	for _, name := range deleted {
		gone[sibling(rootPrefix, name)] = true
	}
	return r.st.List(ctx, rootPrefix, func(i store.Info) error {
		if Classify(i.Name) != KindRoot || gone[i.Name] {
			return nil
		}
		return fn(i.Name)
	})
}

// names lists the objects of one kind below a prefix.
func (r *Repo) names(ctx context.Context, prefix string, kind Kind) (names []string, err error) {
	err = r.st.List(ctx, prefix, func(i store.Info) error {
		if Classify(i.Name) == kind {
			names = append(names, i.Name)
		}
		return nil
	})
	return names, err
}

// Aborted reports whether err says that an abort record stands where a root was looked for.
func Aborted(err error) bool { return errors.Is(err, errAborted) }
