package roles

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
)

// suite 1: HPKE with MLKEM768-X25519, HKDF-SHA256 and ChaCha20-Poly1305; Ed25519; HKDF-SHA256. Recorded captures of the
// store may be attacked in decades, so what is sealed to a public key is sealed against quantum computers too. Suite 2
// is reserved for an approved-only build.
const suite = 1

const (
	seedSize        = ed25519.SeedSize
	hpkePublicSize  = 1216 // ML-KEM-768 encapsulation key 1184 ‖ X25519 32
	hpkePrivateSize = 32   // the seed of both
	hpkeOverhead    = 1136 // encapsulation 1088 + 32, tag 16
)

func kem() hpke.KEM { return hpke.MLKEM768X25519() }

func sealTo(public hpke.PublicKey, info, plain []byte) ([]byte, error) {
	return hpke.Seal(public, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info, plain)
}

func openWith(private hpke.PrivateKey, info, sealed []byte) ([]byte, error) {
	return hpke.Open(private, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info, sealed)
}

func parseSealing(b []byte) (hpke.PublicKey, error) {
	if len(b) != hpkePublicSize {
		return nil, fmt.Errorf("hpke public key of %d bytes", len(b))
	}
	p, err := kem().NewPublicKey(b)
	if err != nil {
		return nil, errors.New("hpke public key is invalid")
	}
	return p, nil
}

// identity is the private half of a principal: what a slot wraps and a key file carries.
type identity struct {
	signing ed25519.PrivateKey
	sealing hpke.PrivateKey
}

func newIdentity() (*identity, error) {
	_, signing, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("draw signing key: %w", err)
	}
	sealing, err := kem().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("draw hpke key: %w", err)
	}
	return &identity{signing, sealing}, nil
}

func (i *identity) public() ed25519.PublicKey { return i.signing.Public().(ed25519.PublicKey) }

func (i *identity) id() KeyID { return principalID(i.public(), i.sealing.PublicKey().Bytes()) }

// identitySize is the length of marshal's result: the signing seed, then the HPKE private key.
const identitySize = seedSize + hpkePrivateSize

func (i *identity) marshal() ([]byte, error) {
	private, err := i.sealing.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode hpke key: %w", err)
	}
	return append(append(make([]byte, 0, identitySize), i.signing.Seed()...), private...), nil
}

func parseIdentity(b []byte) (*identity, error) {
	if len(b) != identitySize {
		return nil, fmt.Errorf("private keys of %d bytes", len(b))
	}
	sealing, err := kem().NewPrivateKey(b[seedSize:])
	if err != nil {
		return nil, errors.New("hpke private key is invalid")
	}
	return &identity{ed25519.NewKeyFromSeed(b[:seedSize]), sealing}, nil
}
