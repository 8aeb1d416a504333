package pack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// ID is 32 bytes that name content: a blob by a keyed hash of its plaintext, an object by the SHA-256 of its bytes.
type ID [32]byte

// String returns the 64 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first 8 hex digits, for messages.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// ParseID reads 64 lower-case hex digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 64 {
		return id, fmt.Errorf("id of %d digits, 64 wanted", len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil || strings.ContainsAny(s, "ABCDEF") {
		return ID{}, fmt.Errorf("id %q is not lower-case hex", s)
	}
	return id, nil
}

// Type says what a blob holds. It is part of the blob's identity: equal bytes of two types are two blobs.
type Type byte

// The blob types. Rows is reserved for a recipe that stores rows once.
const (
	Data        Type = 1
	Recipe      Type = 2
	Description Type = 3
	Refs        Type = 4
	Ring        Type = 5
	Rows        Type = 6
)

// Valid reports whether t is a type this version writes or reserves.
func (t Type) Valid() bool { return t >= Data && t <= Rows }

// Hasher computes blob ids under one domain's id key: HMAC-SHA256(key, type ‖ plaintext). Keyed, so that a holder of the
// store cannot test whether known content is in it. Safe for concurrent use.
type Hasher struct{ pool sync.Pool }

// NewHasher returns a Hasher for the 32-byte id key.
func NewHasher(key [32]byte) *Hasher {
	return &Hasher{pool: sync.Pool{New: func() any { return hmac.New(sha256.New, key[:]) }}}
}

// ID returns the id of a blob.
func (h *Hasher) ID(t Type, plain []byte) (id ID) {
	mac := h.pool.Get().(hash.Hash)
	defer h.pool.Put(mac)
	mac.Reset()
	mac.Write([]byte{byte(t)})
	mac.Write(plain)
	mac.Sum(id[:0])
	return id
}
