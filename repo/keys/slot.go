package keys

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"

	"golang.org/x/crypto/argon2"

	"cbk/pack"
	"cbk/pack/wire"
)

// A slot object, in the grammar of package wire:
//
//	"cbkS"               4 bytes
//	kind                 1 byte: 1 = passphrase, argon2id
//	time, memory KiB, threads
//	salt                 16 bytes
//	commitment           32 bytes
//	sealed               byte string: the secrets, sealed under the derived key (class ClassSlot)
//
// argon2id yields 64 bytes: 32 of key, 32 of commitment.
const (
	slotPassphrase = 1
	// MaxSlot bounds a slot as read.
	MaxSlot = 4 << 10

	// The most a repository may ask of its opener: a hostile one must not be able to exhaust it.
	maxTime    = 16
	maxMemory  = 256 << 10 // KiB
	maxThreads = 16
)

var slotMagic = [4]byte{'c', 'b', 'k', 'S'}

// Cost is the price of one guess at a passphrase. Memory is in KiB.
type Cost struct {
	Time    uint32
	Memory  uint32
	Threads uint8
}

// DefaultCost takes about 0.15 s on one core: three passes over 64 MiB, the second recommendation of RFC 9106.
var DefaultCost = Cost{Time: 3, Memory: 64 << 10, Threads: 4}

// ErrPassphrase means that a slot does not open with the passphrase given.
var ErrPassphrase = errors.New("passphrase does not fit")

// Slot wraps the secrets under a passphrase and returns the slot object.
func (s *Secrets) Slot(passphrase []byte, cost Cost) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("empty passphrase")
	}
	var salt [16]byte
	rand.Read(salt[:])
	key, commitment := stretch(passphrase, salt[:], cost)
	var e wire.Encoder
	e.Fixed(slotMagic[:])
	e.Byte(slotPassphrase)
	e.Uvarint(uint64(cost.Time))
	e.Uvarint(uint64(cost.Memory))
	e.Uvarint(uint64(cost.Threads))
	e.Fixed(salt[:])
	e.Fixed(commitment)
	e.Bytes(pack.Seal(nil, key, pack.ClassSlot, s.slotScope(), s.marshal()))
	return e.Out(), nil
}

// OpenSlot returns the secrets in a slot of a repository. Errors match ErrPassphrase, wire.ErrMalformed or
// pack.ErrAuthentication.
func OpenSlot(slot []byte, repository [16]byte, passphrase []byte) (*Secrets, error) {
	d := wire.NewDecoder(slot)
	var head [5]byte
	d.Array(head[:])
	if d.Err() == nil && ([4]byte(head[:4]) != slotMagic || head[4] != slotPassphrase) {
		d.Invalid("no passphrase slot: %x", head)
	}
	cost := Cost{Time: uint32(d.Uvarint(maxTime)), Memory: uint32(d.Uvarint(maxMemory)), Threads: uint8(d.Uvarint(maxThreads))}
	if d.Err() == nil && (cost.Time == 0 || cost.Threads == 0) {
		d.Invalid("key derivation of no cost")
	}
	salt, commitment, sealed := d.Fixed(16), d.Fixed(32), d.Bytes(MaxSlot)
	if err := d.Done(); err != nil {
		return nil, err
	}
	key, want := stretch(passphrase, salt, cost)
	if subtle.ConstantTimeCompare(commitment, want) != 1 {
		return nil, ErrPassphrase
	}
	s := &Secrets{Repository: repository}
	plain, err := pack.Open(nil, key, pack.ClassSlot, s.slotScope(), sealed)
	if err != nil {
		return nil, err
	}
	return s, s.unmarshal(plain)
}

func stretch(passphrase, salt []byte, c Cost) (*pack.Key, []byte) {
	out := argon2.IDKey(passphrase, salt, c.Time, c.Memory, c.Threads, 64)
	return &pack.Key{Secret: [32]byte(out[:32])}, out[32:]
}

func (s *Secrets) slotScope() pack.Scope { return pack.Scope{Repository: s.Repository, Name: "slot"} }

func (s *Secrets) marshal() []byte {
	var e wire.Encoder
	e.Fixed(s.id[:])
	e.Fixed(s.index[:])
	e.Fixed(s.data[:])
	return e.Out()
}

func (s *Secrets) unmarshal(b []byte) error {
	d := wire.NewDecoder(b)
	d.Array(s.id[:])
	d.Array(s.index[:])
	d.Array(s.data[:])
	return d.Done()
}
