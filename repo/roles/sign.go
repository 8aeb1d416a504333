package roles

import (
	"crypto/ed25519"
	"fmt"
	"slices"

	"cbk/pack/wire"
)

// SignatureSize is the length of an encoded Signature in bytes.
const SignatureSize = 8 + ed25519.SignatureSize

// Signature is a principal's signature of some bytes:
//
//	offset  size  field
//	0       8     key id of the signer
//	8       64    Ed25519 signature
type Signature struct {
	KeyID KeyID
	Sig   [ed25519.SignatureSize]byte
}

// Bytes returns the SignatureSize bytes of the signature.
func (s Signature) Bytes() []byte { return append(s.KeyID[:], s.Sig[:]...) }

// ParseSignature reads what Bytes returns.
func ParseSignature(b []byte) (s Signature, err error) {
	if len(b) != SignatureSize {
		return s, fmt.Errorf("signature of %d bytes: %w", len(b), wire.ErrMalformed)
	}
	return Signature{KeyID(b[:8]), [ed25519.SignatureSize]byte(b[8:])}, nil
}

// signedMessage separates what is signed: by repository, and by the kind of object that context names.
func signedMessage(repo [16]byte, context string, message []byte) []byte {
	var e wire.Encoder
	e.Fixed([]byte("cbk sign\x00"))
	e.Fixed(repo[:])
	e.String(context)
	e.Fixed(message)
	return e.Out()
}

// Sign signs message as a thing of the kind that context names, such as "root snapshots/<domain>/<id>". A borrower has
// nothing to sign with: its signature is all zeros, and nobody's.
func (k *Keyring) Sign(context string, message []byte) Signature {
	if k.self == nil {
		return Signature{}
	}
	sig := ed25519.Sign(k.self.signing, signedMessage(k.trust.repository, context, message))
	return Signature{k.principal.ID, [ed25519.SignatureSize]byte(sig)}
}

// Verify checks a signature and that its signer satisfies need, such as May. Errors match ErrUnknownSigner,
// ErrBadSignature or what need returned. Last comes ErrRevoked: the signature is good and need satisfied, and whether
// the object still counts is for the caller to judge by Revoked.
func (t *Trust) Verify(sig Signature, context string, message []byte, need func(*Principal) error) error {
	p, ok := t.Principal(sig.KeyID)
	if !ok {
		return fmt.Errorf("key %s: %w", sig.KeyID, ErrUnknownSigner)
	}
	if !ed25519.Verify(p.Signing, signedMessage(t.repository, context, message), sig.Sig[:]) {
		return fmt.Errorf("key %s: %w", sig.KeyID, ErrBadSignature)
	}
	if err := need(p); err != nil {
		return fmt.Errorf("signed by %s %s: %w", p.Role, p.ID, err)
	}
	if _, dead := t.Revoked(sig.KeyID); dead {
		return fmt.Errorf("key %s: %w", sig.KeyID, ErrRevoked)
	}
	return nil
}

// May returns a need for Verify: the signer has one of the roles, and a writer is one of the domain. The error matches
// ErrRole.
func May(domain string, roles ...Role) func(*Principal) error {
	return func(p *Principal) error {
		if !slices.Contains(roles, p.Role) || p.Role == RoleWriter && !p.Writes(domain) {
			return fmt.Errorf("not its business in domain %q: %w", domain, ErrRole)
		}
		return nil
	}
}
