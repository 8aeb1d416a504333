package roles

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/crypto/argon2"

	"cbk/pack"
	"cbk/pack/wire"
)

// A slot is an object keys/<sha256> that wraps the private keys of one principal, in the grammar of package wire:
//
//	"cbkS"       4 bytes
//	version      1 byte
//	suite        1 byte
//	kind         1 byte: 1 = passphrase, 2 = KMS, 3 = recovery secret
//	key id       8 bytes, of the principal
//	params       byte string; what the kind needs to find its key again
//	commitment   32 bytes
//	sealed       byte string: the private keys (identity), class ClassSlot
//	signature    64 bytes: the owner's, over "cbk slot\x00" ‖ repository id ‖ everything before it
//
// passphrase: time, memory KiB, threads as numbers; salt 16 bytes. KMS: URL; byte string: a random 32-byte key as the
// KMS encrypted it. Recovery: salt 16 bytes. Each yields 64 bytes: 32 of key, 32 of commitment. The commitment is
// compared first, because the cipher alone would let one slot open under two passphrases. The additional data holds
// repository id, owner's public key, kind, key id and params. The signature keeps the store from making an opener work
// through slots of its own.
const (
	slotContext = "cbk slot\x00"
	slotVersion = 0
	saltSize    = 16
	commitSize  = 32

	// MaxSlot bounds a slot as read, in bytes.
	MaxSlot       = 16 << 10
	maxSlotParams = 8 << 10

	// The most a repository may ask of its opener: a hostile one must not be able to exhaust it.
	maxTime    = 16
	maxMemory  = 64 << 10 // KiB; with what Go has not yet taken back, under 256 MiB in use
	maxThreads = 16
	maxWork    = 8 * maxMemory // KiB written by all passes of one slot: about half a second
	maxAllWork = 4 * maxWork   // by those of all slots tried: ten of the default cost, under 5 s on a busy machine
)

var slotMagic = [4]byte{'c', 'b', 'k', 'S'}

type slotKind byte

const (
	noSlot slotKind = iota // of an Unlock by key file
	slotPassphrase
	slotKMS
	slotRecovery
)

// String names the kind.
func (k slotKind) String() string {
	switch k {
	case noSlot:
		return "key file"
	case slotPassphrase:
		return "passphrase"
	case slotKMS:
		return "KMS"
	case slotRecovery:
		return "recovery secret"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Cost is the price of one guess at a passphrase: passes over Memory KiB by Threads lanes.
type Cost struct {
	Time    uint32
	Memory  uint32
	Threads uint8
}

// DefaultCost takes about 0.15 s on one core: three passes over 64 MiB, the second recommendation of RFC 9106.
var DefaultCost = Cost{Time: 3, Memory: 64 << 10, Threads: 4}

func (c Cost) check() error {
	ok := c.Time > 0 && c.Time <= maxTime && c.Memory >= 8*uint32(c.Threads) && c.Memory <= maxMemory &&
		c.Threads > 0 && c.Threads <= maxThreads && c.Time*c.Memory <= maxWork
	if !ok {
		return fmt.Errorf("cost of %d passes over %d KiB by %d threads is out of bounds", c.Time, c.Memory, c.Threads)
	}
	return nil
}

type slot struct {
	kind       slotKind
	key        KeyID
	params     []byte
	commitment []byte
	sealed     []byte
}

func (s *slot) scope(repo [16]byte, owner ed25519.PublicKey) pack.Scope {
	var e wire.Encoder
	e.Fixed([]byte("slot\x00"))
	e.Fixed(owner)
	e.Byte(byte(s.kind))
	e.Fixed(s.key[:])
	e.Bytes(s.params)
	return pack.Scope{Repository: repo, Name: string(e.Out())}
}

func slotMessage(repo [16]byte, signed []byte) []byte {
	return append(append([]byte(slotContext), repo[:]...), signed...)
}

func (s *slot) encode(repo [16]byte, owner ed25519.PrivateKey) []byte {
	var e wire.Encoder
	e.Fixed(slotMagic[:])
	e.Byte(slotVersion)
	e.Byte(suite)
	e.Byte(byte(s.kind))
	e.Fixed(s.key[:])
	e.Bytes(s.params)
	e.Fixed(s.commitment)
	e.Bytes(s.sealed)
	return append(e.Out(), ed25519.Sign(owner, slotMessage(repo, e.Out()))...)
}

// decodeSlot checks the owner's signature before anything else is looked at.
func decodeSlot(repo [16]byte, owner ed25519.PublicKey, raw []byte) (*slot, error) {
	if len(raw) < len(slotMagic)+ed25519.SignatureSize || len(raw) > MaxSlot || [4]byte(raw[:4]) != slotMagic {
		return nil, fmt.Errorf("no slot in these %d bytes", len(raw))
	}
	signed, signature := raw[:len(raw)-ed25519.SignatureSize], raw[len(raw)-ed25519.SignatureSize:]
	if !ed25519.Verify(owner, slotMessage(repo, signed), signature) {
		return nil, errors.New("not signed by the repository's owner")
	}
	d := wire.NewDecoder(signed[len(slotMagic):])
	version, cipher, kind := d.Byte(), d.Byte(), slotKind(d.Byte())
	if d.Err() == nil && (version > slotVersion || cipher > suite || kind > slotRecovery) {
		return nil, fmt.Errorf("slot of version %d, suite %d, %s: %w", version, cipher, kind, pack.ErrNewer)
	}
	if kind == noSlot {
		d.Invalid("slot of no kind")
	}
	s := &slot{kind: kind}
	d.Array(s.key[:])
	s.params, s.commitment, s.sealed = d.Bytes(maxSlotParams), d.Fixed(commitSize), d.Bytes(MaxSlot)
	return s, d.Done()
}

// slotSecret is what a kind of slot yields: key and commitment.
type slotSecret [64]byte

func (s *slotSecret) key() *pack.Key     { return &pack.Key{Secret: [32]byte(s[:32])} }
func (s *slotSecret) commitment() []byte { return s[32:] }

func sealSlot(repo [16]byte, owner ed25519.PrivateKey, self *identity, w Wrapping) ([]byte, error) {
	if w.prepare == nil {
		return nil, errors.New("slot without a wrapping")
	}
	params, secret, err := w.prepare()
	if err != nil {
		return nil, fmt.Errorf("make %s slot: %w", w.kind, err)
	}
	defer clear(secret[:])
	plain, err := self.marshal()
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	s := &slot{kind: w.kind, key: self.id(), params: params, commitment: secret.commitment()}
	scope := s.scope(repo, owner.Public().(ed25519.PublicKey))
	s.sealed = pack.Seal(nil, secret.key(), pack.ClassSlot, scope, plain)
	return s.encode(repo, owner), nil
}

// open returns the private keys. Errors match ErrNoFit where the secret is another, else tell of damage.
func (s *slot) open(repo [16]byte, owner ed25519.PublicKey, secret *slotSecret) (*identity, error) {
	if subtle.ConstantTimeCompare(s.commitment, secret.commitment()) != 1 {
		return nil, ErrNoFit
	}
	plain, err := pack.Open(nil, secret.key(), pack.ClassSlot, s.scope(repo, owner), s.sealed)
	if err != nil {
		return nil, fmt.Errorf("slot of key %s: %w", s.key, err)
	}
	defer clear(plain)
	self, err := parseIdentity(plain)
	if err == nil && self.id() != s.key {
		err = errors.New("it wraps the keys of another key id")
	}
	return self, err
}

// Wrapping is a way to protect a new slot: Passphrase, KMS or Recovery.
type Wrapping struct {
	kind    slotKind
	prepare func() (params []byte, secret *slotSecret, err error)
}

// Passphrase protects a slot by a passphrase, which must not be empty. Costs over what Unlock accepts are refused.
func Passphrase(passphrase []byte, cost Cost) Wrapping {
	return Wrapping{slotPassphrase, func() ([]byte, *slotSecret, error) {
		if len(passphrase) == 0 {
			return nil, nil, errors.New("empty passphrase")
		}
		if err := cost.check(); err != nil {
			return nil, nil, err
		}
		salt := newSalt()
		var e wire.Encoder
		e.Uvarint(uint64(cost.Time))
		e.Uvarint(uint64(cost.Memory))
		e.Uvarint(uint64(cost.Threads))
		e.Fixed(salt)
		return e.Out(), stretch(passphrase, salt, cost), nil
	}}
}

func parseCost(params []byte) (c Cost, salt []byte, err error) {
	d := wire.NewDecoder(params)
	c = Cost{Time: uint32(d.Uvarint(maxTime)), Memory: uint32(d.Uvarint(maxMemory)), Threads: uint8(d.Uvarint(maxThreads))}
	salt = d.Fixed(saltSize)
	if err := d.Done(); err != nil {
		return c, nil, err
	}
	return c, salt, c.check()
}

func stretch(passphrase, salt []byte, c Cost) *slotSecret {
	out := argon2.IDKey(passphrase, salt, c.Time, c.Memory, c.Threads, 64)
	defer clear(out)
	s := slotSecret(out)
	return &s
}

// KMS protects a slot by a key management service; WithKMS names the URLs. The service is called when the slot is made.
func KMS(ctx context.Context, url string) Wrapping {
	return Wrapping{slotKMS, func() ([]byte, *slotSecret, error) {
		key := make([]byte, 32)
		defer clear(key)
		rand.Read(key)
		cipher, err := kmsEncrypt(ctx, url, key)
		if err != nil {
			return nil, nil, err
		}
		var e wire.Encoder
		e.String(publicURL(url))
		e.Bytes(cipher)
		if len(e.Out()) > maxSlotParams {
			return nil, nil, fmt.Errorf("%d bytes of ciphertext from the KMS are too many", len(cipher))
		}
		secret, err := expand(key, nil, slotKMS)
		return e.Out(), secret, err
	}}
}

func parseKMS(params []byte) (url string, cipher []byte, err error) {
	d := wire.NewDecoder(params)
	url, cipher = d.String(maxURL), d.Bytes(maxSlotParams)
	return url, cipher, d.Done()
}

// expand makes key and commitment of a secret that cannot be guessed, so without the cost of argon2id.
func expand(secret, salt []byte, kind slotKind) (*slotSecret, error) {
	out, err := hkdf.Key(sha256.New, secret, salt, "cbk slot\x00"+string([]byte{byte(kind)}), 64)
	if err != nil {
		return nil, fmt.Errorf("derive slot key: %w", err)
	}
	defer clear(out)
	s := slotSecret(out)
	return &s, nil
}

func newSalt() []byte {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return salt
}
