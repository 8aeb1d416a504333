package roles

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"cbk/pack"
)

// Role says what a key may do. The zero Role may do nothing.
type Role string

// The roles. An owner may do everything; a writer backs up named domains and reads nothing back; a keeper sees the
// index of all domains and no content; a reader sees content and changes nothing. A borrower is no principal: it holds a
// Loan, reads what that opens and changes nothing.
const (
	RoleOwner  Role = "owner"
	RoleWriter Role = "writer"
	RoleKeeper Role = "keeper"
	RoleReader Role = "reader"

	RoleBorrower Role = "borrower"
)

// roleCodes are the roles in binary structures; 0 is none.
var roleCodes = [...]Role{1: RoleOwner, 2: RoleWriter, 3: RoleKeeper, 4: RoleReader}

func (r Role) code() byte {
	for i, x := range roleCodes {
		if i > 0 && x == r {
			return byte(i)
		}
	}
	return 0
}

func roleOf(code byte) (Role, bool) {
	if code == 0 || int(code) >= len(roleCodes) {
		return "", false
	}
	return roleCodes[code], true
}

// opensContent reports whether the role holds seal private keys.
func (r Role) opensContent() bool { return r == RoleOwner || r == RoleReader }

// namesContent reports whether the role holds id and chunker keys.
func (r Role) namesContent() bool { return r != RoleKeeper && r != RoleBorrower }

// KeyID names a principal: the start of a hash of its public keys, so that an id can never come to mean other keys.
type KeyID [8]byte

// String returns 16 lower-case hex digits.
func (k KeyID) String() string { return hex.EncodeToString(k[:]) }

// MarshalText returns String.
func (k KeyID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads 16 hex digits.
func (k *KeyID) UnmarshalText(b []byte) error { return unhex(k[:], b) }

// ParseKeyID reads what String returns.
func ParseKeyID(s string) (k KeyID, err error) { return k, k.UnmarshalText([]byte(s)) }

// SealKeyID names a seal key, the HPKE key pair to which session keys are sealed, by a hash of its public half.
type SealKeyID [8]byte

// String returns 16 lower-case hex digits.
func (k SealKeyID) String() string { return hex.EncodeToString(k[:]) }

// MarshalText returns String.
func (k SealKeyID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads 16 hex digits.
func (k *SealKeyID) UnmarshalText(b []byte) error { return unhex(k[:], b) }

// ParseSealKeyID reads what String returns.
func ParseSealKeyID(s string) (k SealKeyID, err error) { return k, k.UnmarshalText([]byte(s)) }

func principalID(signing ed25519.PublicKey, sealing []byte) KeyID {
	return KeyID(shortHash("cbk principal\x00", signing, sealing))
}

func sealKeyID(public hpke.PublicKey) SealKeyID {
	return SealKeyID(shortHash("cbk seal key\x00", public.Bytes()))
}

// shortHash needs no more than 64 bits: only the owner makes keys, so nobody gains by a collision.
func shortHash(context string, parts ...[]byte) [8]byte {
	h := sha256.New()
	io.WriteString(h, context)
	for _, p := range parts {
		h.Write(p)
	}
	return [8]byte(h.Sum(nil)[:8])
}

// digest is 32 bytes that stand in JSON as lower-case hex.
type digest [32]byte

// MarshalText returns 64 lower-case hex digits.
func (d digest) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(d[:])), nil }

// UnmarshalText reads 64 hex digits.
func (d *digest) UnmarshalText(b []byte) error { return unhex(d[:], b) }

func unhex(dst, text []byte) error {
	if len(text) != 2*len(dst) {
		return fmt.Errorf("%d characters where %d hex digits belong", len(text), 2*len(dst))
	}
	if _, err := hex.Decode(dst, text); err != nil {
		return errors.New("characters that are no hex digits")
	}
	return nil
}

const (
	maxLabel = 64
	// maxDomains bounds the domains of one writer, so that its principal statement stays far below MaxStatement.
	maxDomains = 256
)

// checkLabel refuses domain labels that could not stand in an object name.
func checkLabel(label string) error {
	ok := label != "" && len(label) <= maxLabel && label[0] != '-' && label[0] != '.' && !strings.Contains(label, "..")
	for _, c := range []byte(label) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.')
	}
	if !ok {
		return fmt.Errorf("domain label %.80q: use lower-case letters, digits, '-' and '.', at most %d", label, maxLabel)
	}
	return nil
}

// Object is one object to be written to, or read from, the repository.
type Object struct {
	Name string // from the root of the repository, such as "keys/<64 hex digits>"
	Data []byte
}

const (
	keysPrefix  = "keys/"
	trustPrefix = "trust/"
)

// KeyObjectName is the name of a slot or grant: it is called by its content.
func KeyObjectName(data []byte) string { return keysPrefix + pack.ID(sha256.Sum256(data)).String() }

// TrustName returns the object name of statement n of the trust log; n counts from 1.
func TrustName(n uint64) string { return fmt.Sprintf("%s%d", trustPrefix, n) }
