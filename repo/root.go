package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// A root is the commit point of one node's backup: the object snapshots/<domain>/<snapshot id>. The same bytes stand under
// pending/ from shortly before until a keeper tidies up.
//
//	offset  size  field
//	0       4     magic "cbkR"
//	4       4     length n of the head, big-endian
//	8       n     head: signed by its writer (see signed), sealed as ClassRoot, at most 12 KiB, so that one range read is
//	              enough for a listing
//	8+n           body: sealed as ClassRootBody; the head has its hash
//
// The head, in the grammar of package wire:
//
//	sequence      number of the root in the chain of its author's roots in this domain, from 1
//	previous      SHA-256 of the root object before it in that chain; zeros in the first
//	body          SHA-256 of the sealed body
//	flags         1 byte; bit 0: the packs are those under full/<snapshot id>/
//	main          count, 0 or 1: the root of which this is a part: domain; 32-byte snapshot id
//	parts         count: the parts of this root in other domains: domain; 32-byte snapshot id
//	catalogue     byte string, at most 8 KiB: what a listing shows, without any content key
//	ring          32-byte id of the ring blob
//
// The body:
//
//	refs          count, 32-byte ids of the reference segments: all blobs the backup needs, readable without a content key
//	descriptions  count, 32-byte ids of the blobs that describe the content
//
// An abort record (class ClassAbort, signed, a reason as body) at a root's own name says that this attempt is dead for ever.
const (
	maxCatalogue    = 8 << 10
	maxRootHead     = 12 << 10
	maxRoot         = 8 << 20
	maxDescriptions = 64 << 10
	maxRefs         = 128 << 10
	maxParts        = 32
	rootPrelude     = 8
	flagFull        = 1
)

var rootMagic = [4]byte{'c', 'b', 'k', 'R'}

// Root is what a committed backup of one node consists of. The catalogue's form is the caller's. At, Link, Main,
// Parts and Hash are filled in by Commit.
type Root struct {
	Catalogue    []byte
	Ring         pack.ID
	Refs         []pack.ID // reference segments, see EncodeRefs
	Descriptions []pack.ID
	Full         bool // needs nothing but what lies under full/<snapshot id>/
	At           Place

	Link
	Main  *Place  // of a part: the root that decides
	Parts []Place // in other domains
	Hash  pack.ID // SHA-256 of the object
}

// Place names a root: a domain and a snapshot id.
type Place struct {
	Domain string
	ID     pack.ID
}

// Name returns the object name of the root.
func (p Place) Name() string { return RootName(p.Domain, p.ID) }

// errAborted is matched when an abort record stands at a root's name.
var errAborted = errors.New("attempt was aborted")

// errVoid is matched by a root that a revoked key wrote and that does not count.
var errVoid = errors.New("signed by a revoked key, after its last backup that counts")

func (r *Root) check() error {
	switch {
	case len(r.Catalogue) > maxCatalogue:
		return fmt.Errorf("catalogue entry of %d bytes, at most %d: shorten names or annotations", len(r.Catalogue), maxCatalogue)
	case len(r.Descriptions) > maxDescriptions:
		return fmt.Errorf("root of %d descriptions, at most %d", len(r.Descriptions), maxDescriptions)
	case len(r.Refs) > maxRefs:
		return fmt.Errorf("root of %d reference segments, at most %d", len(r.Refs), maxRefs)
	case len(r.Parts) > maxParts:
		return fmt.Errorf("root of %d parts, at most %d", len(r.Parts), maxParts)
	}
	return nil
}

// sealRoot makes the object of a root and sets its hash.
func (r *Repo) sealRoot(d *roles.Domain, name string, root *Root) []byte {
	var body wire.Encoder
	encodeIDs(&body, root.Refs)
	encodeIDs(&body, root.Descriptions)
	sealed := pack.Seal(nil, d.Index, pack.ClassRootBody, r.scope(d.Label, name), body.Out())
	head := r.sealSigned(d, pack.ClassRoot, name, root.encodeHead(sha256.Sum256(sealed)))
	out := binary.BigEndian.AppendUint32(rootMagic[:], uint32(len(head)))
	out = append(append(out, head...), sealed...)
	root.Hash = sha256.Sum256(out)
	return out
}

func (r *Root) encodeHead(body pack.ID) []byte {
	var e wire.Encoder
	e.Uvarint(r.Sequence)
	e.Fixed(r.Previous[:])
	e.Fixed(body[:])
	e.Byte(flag(r.Full) * flagFull)
	var main []Place
	if r.Main != nil {
		main = []Place{*r.Main}
	}
	for _, list := range [][]Place{main, r.Parts} {
		e.Count(len(list))
		for _, p := range list {
			e.String(p.Domain)
			e.Fixed(p.ID[:])
		}
	}
	e.Bytes(r.Catalogue)
	e.Fixed(r.Ring[:])
	return e.Out()
}

func (r *Root) decodeHead(b []byte) (body pack.ID, err error) {
	d := wire.NewDecoder(b)
	r.Sequence = d.Uvarint(1<<63 - 1)
	d.Array(r.Previous[:])
	d.Array(body[:])
	flags := d.Byte()
	if flags&^flagFull != 0 {
		return body, fmt.Errorf("root with flags %x: %w", flags, pack.ErrNewer)
	}
	r.Full = flags&flagFull != 0
	if main := decodePlaces(d, 1); len(main) > 0 {
		r.Main = &main[0]
	}
	r.Parts = decodePlaces(d, maxParts)
	r.Catalogue = d.Bytes(maxCatalogue)
	d.Array(r.Ring[:])
	return body, d.Done()
}

func decodePlaces(d *wire.Decoder, limit int) (out []Place) {
	for range d.Count(limit, 34) {
		p := Place{Domain: d.String(maxDomain)}
		d.Array(p.ID[:])
		if err := CheckDomain(p.Domain); err != nil && d.Err() == nil {
			d.Invalid("%v", err)
		}
		out = append(out, p)
	}
	return out
}

func (r *Root) decodeBody(b []byte) error {
	d := wire.NewDecoder(b)
	r.Refs = decodeIDs(d, maxRefs)
	r.Descriptions = decodeIDs(d, maxDescriptions)
	return d.Done()
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

// ReadRoot opens a root. A root that is not as written, or written by somebody else than a writer of its domain, is a
// *DamageError; Aborted and Void tell of what stands there instead of a backup.
func (r *Repo) ReadRoot(ctx context.Context, name string) (*Root, error) {
	root, err := r.loadRoot(ctx, name, logical(name))
	if err != nil {
		return nil, err
	}
	if err := root.standsAt(name); err != nil {
		return nil, err
	}
	if err := r.counts(ctx, logical(name), root); err != nil {
		return nil, err
	}
	return root, nil
}

// readPending opens a root that is announced. Whether its author is revoked is seen when it is committed.
func (r *Repo) readPending(ctx context.Context, name string) (*Root, error) {
	return r.loadRoot(ctx, name, sibling(rootPrefix, name))
}

// loadRoot reads the object at name, which is sealed as the root at scope.
func (r *Repo) loadRoot(ctx context.Context, name, scope string) (*Root, error) {
	data, err := r.st.Get(ctx, name, maxRoot)
	if err != nil {
		return nil, asDamage(name, err)
	}
	root, err := r.parseRoot(ctx, scope, data)
	if errors.Is(err, errAborted) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return root, asDamage(name, err)
}

func (r *Repo) parseRoot(ctx context.Context, name string, data []byte) (*Root, error) {
	domain := domainOf(name)
	if !bytes.HasPrefix(data, rootMagic[:]) {
		_, err := r.openSigned(ctx, pack.ClassAbort, domain, name, data, roles.RoleWriter, roles.RoleKeeper, roles.RoleOwner)
		if err == nil {
			err = errAborted
		}
		return nil, err
	}
	head, body, err := splitRoot(data)
	if err != nil {
		return nil, err
	}
	opened, err := r.openHead(ctx, name, head)
	if err != nil {
		return nil, err
	}
	root := opened.root
	root.Hash = sha256.Sum256(data)
	if sha256.Sum256(body) != opened.body {
		return nil, fmt.Errorf("its body is not the one signed: %w", pack.ErrAuthentication)
	}
	plain, _, err := r.unseal(ctx, pack.ClassRootBody, domain, name, body)
	if err != nil {
		return nil, err
	}
	return root, root.decodeBody(plain)
}

// head is the head of a root that was opened.
type head struct {
	root  *Root // but for what the body says, and Hash
	body  pack.ID
	plain []byte // what the author signed
}

func (r *Repo) openHead(ctx context.Context, name string, sealed []byte) (*head, error) {
	s, err := r.openSigned(ctx, pack.ClassRoot, domainOf(name), name, sealed, roles.RoleWriter, roles.RoleOwner)
	if err != nil {
		return nil, err
	}
	h := &head{root: &Root{At: placeOf(name)}, plain: s.body}
	if h.body, err = h.root.decodeHead(s.body); err != nil {
		return nil, err
	}
	h.root.Author = s.author
	return h, r.reach(h.root)
}

// reach refuses a root that reaches into domains that are not its author's: the fate of a main root is that of its
// parts, and an announced part makes keepers end a main root that is silent.
func (r *Repo) reach(root *Root) error {
	places := root.Parts
	if root.Main != nil {
		places = append(slices.Clip(places), *root.Main)
	}
	p, _ := r.trust.Principal(root.Author) // it has signed
	for _, at := range places {
		if !p.Writes(at.Domain) {
			return fmt.Errorf("its author does not write domain %s: %w", at.Domain, pack.ErrAuthentication)
		}
	}
	return nil
}

func splitRoot(data []byte) (head, body []byte, err error) {
	if len(data) < rootPrelude {
		return nil, nil, fmt.Errorf("root of %d bytes: %w", len(data), wire.ErrMalformed)
	}
	n := int64(binary.BigEndian.Uint32(data[4:]))
	if n > maxRootHead || n > int64(len(data)-rootPrelude) {
		return nil, nil, fmt.Errorf("root with a head of %d bytes: %w", n, wire.ErrMalformed)
	}
	return data[rootPrelude : rootPrelude+n], data[rootPrelude+n:], nil
}

// ListRoots calls fn for the name of every committed backup that the key can see. Abort records and parts are left out
// only when read (ReadRoot), roots whose deletion record stands at once: a root that reappears is no backup.
func (r *Repo) ListRoots(ctx context.Context, fn func(name string) error) error {
	return r.listRoots(ctx, "", func(i store.Info) error { return fn(i.Name) })
}

// listRoots is ListRoots with what the listing says of each; of roots in copies it is the name alone.
func (r *Repo) listRoots(ctx context.Context, below string, fn func(store.Info) error) error {
	deleted, err := r.names(ctx, deadPrefix+below, KindDeleted)
	if err != nil {
		return err
	}
	gone := make(map[string]bool, len(deleted))
	for _, name := range deleted {
		gone[sibling(rootPrefix, name)] = true
	}
	none := true
	err = r.st.List(ctx, rootPrefix+below, func(i store.Info) error {
		if Classify(i.Name) != KindRoot {
			return nil
		}
		none = false
		if !r.sees(domainOf(i.Name)) {
			return nil
		}
		if gone[i.Name] {
			// A record that is none takes no backup away; a check reports it.
			if dead, err := r.deleted(ctx, i.Name); dead || ignoreDamage(err) != nil {
				return err
			}
		}
		return fn(i)
	})
	if err != nil || !none {
		return err
	}
	return r.eachBareRoot(ctx, below, func(name string) error { return fn(store.Info{Name: name}) })
}

// names lists the objects of one kind below a prefix.
func (r *Repo) names(ctx context.Context, prefix string, kind Kind) (names []string, err error) {
	err = r.st.List(ctx, prefix, func(i store.Info) error {
		if Classify(strings.TrimPrefix(i.Name, r.within)) == kind {
			names = append(names, i.Name)
		}
		return nil
	})
	return slices.Clip(names), err
}

// Aborted reports whether err says that an abort record stands where a root was looked for.
func Aborted(err error) bool { return errors.Is(err, errAborted) }

// Void reports whether err says that a revoked key wrote a root after the last of its backups that counts.
func Void(err error) bool { return errors.Is(err, errVoid) }
