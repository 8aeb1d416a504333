package pack

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"cbk/pack/wire"
)

// Every sealed object and every blob starts with the same header:
//
//	offset  size  field
//	0       4     magic "cbk\x01"
//	4       1     format version
//	5       1     suite (1: XChaCha20-Poly1305; 2 is reserved for an approved-only build)
//	6       1     class
//	7       8     key id: which key opens it
//	15      24    nonce, random
//	39      n+16  ciphertext and tag
//
// The additional data is the header followed by the Scope, so that bytes moved to another name, domain or repository do
// not open.
const (
	headerSize = 39
	// Overhead is what sealing adds to a plaintext: header and tag.
	Overhead = headerSize + chacha20poly1305.Overhead

	version = 0
	suite   = 1
)

var magic = [4]byte{'c', 'b', 'k', 1}

// Class separates what is sealed: a blob can never be passed off as a root.
type Class byte

// The classes of sealed bytes.
const (
	ClassBlob Class = 1 + iota
	ClassTail
	ClassShard
	ClassRoot     // the head of a root
	ClassSlot     // package roles
	ClassRootBody // the rest of a root
	ClassAbort    // stands where a root would: the attempt is dead
	ClassRecord   // deletion records, holds, results of checks
	ClassEpoch    // tombstones
)

// Key is one symmetric key with the id that stands in the headers of what it seals.
type Key struct {
	ID     [8]byte
	Secret [chacha20poly1305.KeySize]byte
}

// Scope says where sealed bytes belong. Name is the logical name of an object whose name is not its content hash, or
// the type and id of a blob.
type Scope struct {
	Repository [16]byte
	Domain     string
	Name       string
}

func (s Scope) append(aad []byte) []byte {
	var e wire.Encoder
	e.Fixed(s.Repository[:])
	e.String(s.Domain)
	e.String(s.Name)
	return append(aad, e.Out()...)
}

// BlobScope returns the scope of a blob.
func BlobScope(repository [16]byte, domain string, t Type, id ID) Scope {
	return Scope{Repository: repository, Domain: domain, Name: string([]byte{byte(t)}) + string(id[:])}
}

// ErrAuthentication is matched when bytes do not open: damaged, moved, or sealed under another key.
var ErrAuthentication = errors.New("authentication failed")

// ErrNewer is matched when bytes were written by a newer format than this program reads.
var ErrNewer = errors.New("written by a newer version of cbk")

// Seal appends the sealed form of plain to dst. Nonces are random: 192 bits never collide in practice, and no state has
// to survive a crash.
func Seal(dst []byte, k *Key, c Class, s Scope, plain []byte) []byte {
	start := len(dst)
	dst = appendHeader(dst, k, c)
	return sealInPlace(append(dst, plain...), start, k, s)
}

func appendHeader(dst []byte, k *Key, c Class) []byte {
	dst = append(dst, magic[:]...)
	dst = append(dst, version, suite, byte(c))
	dst = append(dst, k.ID[:]...)
	var nonce [chacha20poly1305.NonceSizeX]byte
	rand.Read(nonce[:])
	return append(dst, nonce[:]...)
}

// sealInPlace encrypts what stands behind the header that begins at start, and appends the tag.
func sealInPlace(b []byte, start int, k *Key, s Scope) []byte {
	header, plain := b[start:start+headerSize], b[start+headerSize:]
	aad := s.append(append([]byte(nil), header...))
	sealed := aead(k).Seal(plain[:0], header[15:], plain, aad)
	return append(b[:start+headerSize], sealed...)
}

// Open appends the plaintext of sealed to dst. Errors match ErrAuthentication or ErrNewer.
func Open(dst []byte, k *Key, c Class, s Scope, sealed []byte) ([]byte, error) {
	got, err := KeyID(sealed, c)
	if err != nil {
		return nil, err
	}
	if got != k.ID {
		return nil, fmt.Errorf("sealed under key %x, have %x: %w", got, k.ID, ErrAuthentication)
	}
	aad := s.append(append([]byte(nil), sealed[:headerSize]...))
	plain, err := aead(k).Open(dst, sealed[15:headerSize], sealed[headerSize:], aad)
	if err != nil {
		return nil, ErrAuthentication
	}
	return plain, nil
}

// KeyID returns the id of the key that sealed these bytes, after checking that the header is of class c.
func KeyID(sealed []byte, c Class) (id [8]byte, err error) {
	switch {
	case len(sealed) < Overhead || [4]byte(sealed[:4]) != magic:
		return id, fmt.Errorf("no sealed bytes: %w", ErrAuthentication)
	case sealed[4] > version || sealed[5] > suite:
		return id, fmt.Errorf("version %d, suite %d: %w", sealed[4], sealed[5], ErrNewer)
	case Class(sealed[6]) != c:
		return id, fmt.Errorf("class %d where %d belongs: %w", sealed[6], c, ErrAuthentication)
	}
	return [8]byte(sealed[7:15]), nil
}

func aead(k *Key) cipher.AEAD {
	a, err := chacha20poly1305.NewX(k.Secret[:])
	if err != nil {
		panic(err) // only for a key of the wrong length, which the array type rules out
	}
	return a
}
