package repo

import (
	"context"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
)

// Whatever says something about backups is sealed under the index key of its domain and signed. The plaintext, in the
// grammar of package wire:
//
//	count, signatures  72 bytes each: key id and Ed25519 signature (roles.Signature) of the body, in the context
//	                   "<class> <name>"; the first is the author's
//	body               byte string
//
// Name is the object's logical name: that of the root for a root, whether announced, committed or copied; "shard" for
// shards, which are named by their content.
const (
	maxSignatures = 8
	// maxFrame is what the frame adds to a body.
	maxFrame = maxSignatures*roles.SignatureSize + 16 + pack.Overhead
)

// signed is the content of an object that was opened and whose signatures hold.
type signed struct {
	body   []byte
	dom    *roles.Domain // the generation of keys it is sealed under
	author roles.KeyID
	// revoked says that the author's key was revoked, before or after it signed this.
	revoked bool
}

func signContext(class pack.Class, name string) string { return fmt.Sprintf("%d %s", class, name) }

// scope binds a sealed object to its repository, domain and name.
func (r *Repo) scope(domain, name string) pack.Scope {
	return pack.Scope{Repository: r.id, Domain: domain, Name: name}
}

// sealSigned makes an object of a domain.
func (r *Repo) sealSigned(d *roles.Domain, class pack.Class, name string, body []byte) []byte {
	sig := r.Key().Sign(signContext(class, name), body)
	var e wire.Encoder
	e.Count(1)
	e.Fixed(sig.Bytes())
	e.Bytes(body)
	return pack.Seal(nil, d.Index, class, r.scope(d.Label, name), e.Out())
}

// seal is sealSigned in the newest generation of the domain.
func (r *Repo) seal(class pack.Class, name string, body []byte) ([]byte, error) {
	d, err := r.domain(domainOf(name))
	if err != nil {
		return nil, err
	}
	return r.sealSigned(d, class, name, body), nil
}

// unseal opens bytes under the generation of the domain's keys that they name.
func (r *Repo) unseal(ctx context.Context, class pack.Class, domain, name string, data []byte) ([]byte, *roles.Domain, error) {
	id, err := pack.KeyID(data, class)
	if err != nil {
		return nil, nil, err
	}
	d, err := r.generation(domain, id)
	if err == nil && d == nil {
		// Perhaps the keys are younger than this process.
		if err = r.refresh(ctx); err == nil {
			d, err = r.generation(domain, id)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if d == nil {
		return nil, nil, fmt.Errorf("sealed under key %x, which is none of domain %s: %w", id, domain, pack.ErrAuthentication)
	}
	plain, err := pack.Open(nil, d.Index, class, r.scope(domain, name), data)
	return plain, d, err
}

func (r *Repo) generation(domain string, id [8]byte) (*roles.Domain, error) {
	all, err := r.generations(domain)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.Index.ID == id {
			return d, nil
		}
	}
	return nil, nil
}

// openSigned opens an object of a domain that a key of one of the roles must have signed. Bytes that do not open, or that
// somebody signed whose business it is not, are errors that asDamage knows.
func (r *Repo) openSigned(ctx context.Context, class pack.Class, domain, name string, data []byte, may ...roles.Role) (*signed, error) {
	return r.openSignedBy(ctx, class, domain, name, data, roles.May(domain, may...))
}

// openSignedBy is openSigned with whatever its signers need.
func (r *Repo) openSignedBy(ctx context.Context, class pack.Class, domain, name string, data []byte, need func(*roles.Principal) error) (*signed, error) {
	plain, dom, err := r.unseal(ctx, class, domain, name, data)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(plain)
	signatures := make([][]byte, d.Count(maxSignatures, roles.SignatureSize))
	for i := range signatures {
		signatures[i] = d.Fixed(roles.SignatureSize)
	}
	s := &signed{body: d.Bytes(len(plain)), dom: dom}
	if d.Err() == nil && len(signatures) == 0 {
		d.Invalid("no signature")
	}
	if err := d.Done(); err != nil {
		return nil, err
	}
	for i, raw := range signatures {
		sig, err := roles.ParseSignature(raw)
		if err != nil {
			return nil, err
		}
		revoked, err := r.verify(ctx, sig, signContext(class, name), s.body, need)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			s.author, s.revoked = sig.KeyID, revoked
		}
	}
	return s, nil
}

// verify checks a signature. An unknown signer may be younger than this process: the trust log is read again before the
// signature is judged.
func (r *Repo) verify(ctx context.Context, sig roles.Signature, context string, body []byte, need func(*roles.Principal) error) (revoked bool, err error) {
	err = r.trust.Verify(sig, context, body, need)
	if errors.Is(err, roles.ErrUnknownSigner) {
		if failed := r.refresh(ctx); failed != nil {
			return false, failed
		}
		err = r.trust.Verify(sig, context, body, need)
	}
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, roles.ErrRevoked):
		return true, nil
	}
	return false, fmt.Errorf("%w: %w", err, pack.ErrAuthentication)
}
