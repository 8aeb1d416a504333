package keys

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"cbk/pack"
)

// Secrets are the root secrets of one repository.
type Secrets struct {
	Repository [16]byte

	id, index, data [32]byte
}

// New draws the secrets of a new repository.
func New(repository [16]byte) *Secrets {
	s := &Secrets{Repository: repository}
	for _, b := range []*[32]byte{&s.id, &s.index, &s.data} {
		rand.Read(b[:])
	}
	return s
}

// Domain is what a writer of one domain needs: how blobs are named and cut, and the key of tails, shards and roots.
type Domain struct {
	Label      string
	Hasher     *pack.Hasher
	Polynomial pack.Polynomial
	Index      *pack.Key

	names [32]byte
}

// generation stands in every derivation, so that rotated keys of the same secrets differ.
const generation = 1

func (s *Secrets) derive(secret *[32]byte, purpose, domain string) (out [32]byte, err error) {
	info := fmt.Sprintf("cbk/0\x00%s\x00%s\x00%d", purpose, domain, generation)
	b, err := hkdf.Key(sha256.New, secret[:], s.Repository[:], info, len(out))
	if err != nil {
		return out, fmt.Errorf("derive %s key: %w", purpose, err)
	}
	return [32]byte(b), nil
}

// Domain derives the keys of one domain.
func (s *Secrets) Domain(label string) (*Domain, error) {
	var keys [4][32]byte
	for i, k := range []struct {
		secret  *[32]byte
		purpose string
	}{{&s.id, "id"}, {&s.id, "chunker"}, {&s.index, "index"}, {&s.index, "names"}} {
		var err error
		if keys[i], err = s.derive(k.secret, k.purpose, label); err != nil {
			return nil, err
		}
	}
	pol, err := pack.DerivePolynomial(keys[1])
	if err != nil {
		return nil, err
	}
	return &Domain{Label: label, Hasher: pack.NewHasher(keys[0]), Polynomial: pol,
		Index: &pack.Key{ID: keyID(keys[2]), Secret: keys[2]}, names: keys[3]}, nil
}

func keyID(secret [32]byte) [8]byte {
	sum := sha256.Sum256(append([]byte("cbk key id\x00"), secret[:]...))
	return [8]byte(sum[:8])
}

// SnapshotID is the name of the root of a backup name's n-th attempt (from 0): the same name always lands on the same
// object, so a duplicate is found by the store itself.
func (d *Domain) SnapshotID(name string, attempt uint32) pack.ID {
	mac := hmac.New(sha256.New, d.names[:])
	fmt.Fprintf(mac, "%d\x00%s", attempt, name)
	return pack.ID(mac.Sum(nil))
}

// ConfigMAC authenticates the repository's config object.
func (s *Secrets) ConfigMAC(config []byte) ([32]byte, error) {
	key, err := s.derive(&s.index, "config", "")
	if err != nil {
		return key, err
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write(config)
	return [32]byte(mac.Sum(nil)), nil
}

// NewSession draws the data key of a write session and seals it for readers.
func (s *Secrets) NewSession(domain string) (*pack.Key, pack.Session, error) {
	var id pack.SessionID
	rand.Read(id[:])
	k := &pack.Key{ID: [8]byte(id[:8])}
	rand.Read(k.Secret[:])
	wrap, err := s.sessionKey()
	if err != nil {
		return nil, pack.Session{}, err
	}
	sealed := pack.Seal(nil, wrap, pack.ClassSessionKey, s.sessionScope(domain, id), k.Secret[:])
	return k, pack.Session{ID: id, Sealed: sealed}, nil
}

// OpenSession returns the data key of a session. Errors match pack.ErrAuthentication.
func (s *Secrets) OpenSession(domain string, sess pack.Session) (*pack.Key, error) {
	wrap, err := s.sessionKey()
	if err != nil {
		return nil, err
	}
	secret, err := pack.Open(nil, wrap, pack.ClassSessionKey, s.sessionScope(domain, sess.ID), sess.Sealed)
	if err == nil && len(secret) != 32 {
		err = pack.ErrAuthentication
	}
	if err != nil {
		return nil, fmt.Errorf("session key %x: %w", sess.ID[:4], err)
	}
	return &pack.Key{ID: [8]byte(sess.ID[:8]), Secret: [32]byte(secret)}, nil
}

func (s *Secrets) sessionKey() (*pack.Key, error) {
	secret, err := s.derive(&s.data, "session", "")
	return &pack.Key{ID: keyID(secret), Secret: secret}, err
}

func (s *Secrets) sessionScope(domain string, id pack.SessionID) pack.Scope {
	return pack.Scope{Repository: s.Repository, Domain: domain, Name: "session " + string(id[:])}
}
