package pack

import (
	"fmt"
	"slices"
)

// Scratch is the memory one goroutine needs to seal or open blobs; it grows to the largest blob met, at most 16 MiB.
type Scratch struct{ encoded, plain, lent []byte }

// Lend gives w the storage of the plaintext that is sealed next and not needed after: the one Seal that follows proves
// its work in there instead of in 8 MiB of its own, and forgets it.
func (w *Scratch) Lend(plain []byte) { w.lent = plain[:0] }

// room returns where a proof may be written: what was lent, once, else w's own memory grown to n bytes.
func (w *Scratch) room(n int) []byte {
	if lent := w.lent; lent != nil {
		w.lent = nil
		return lent
	}
	if cap(w.encoded) < n {
		w.encoded = make([]byte, 0, n)
	}
	return w.encoded[:0]
}

// Sealer turns plaintexts into sealed blobs of one session, and opens blobs of any session of its domain.
// Safe for concurrent use, each goroutine with a Scratch of its own.
type Sealer struct {
	Codec      *Codec
	Repository [16]byte
	Domain     string
	Hasher     *Hasher // nil for who holds no id key: then the seal alone, whose additional data holds the id, vouches
}

// Seal appends the sealed form of a blob to dst and proves, before anything is uploaded, that it opens to plain again:
// faulty memory and codec bugs have made unreadable backups elsewhere.
func (s *Sealer) Seal(dst []byte, w *Scratch, k *Key, t Type, id ID, plain []byte) ([]byte, error) {
	if len(plain) > MaxBlob {
		return nil, fmt.Errorf("seal blob: %d bytes over the limit of %d", len(plain), MaxBlob)
	}
	start := len(dst)
	dst = appendHeader(slices.Grow(dst, len(plain)+1+Overhead), k, ClassBlob)
	dst = s.Codec.Encode(dst, plain)
	sealed := sealInPlace(dst, start, k, BlobScope(s.Repository, s.Domain, t, id))
	if err := s.prove(w, k, t, id, sealed[start:], len(plain)); err != nil {
		return nil, fmt.Errorf("verify sealed blob %s: %w", id.Short(), err)
	}
	return sealed, nil
}

// prove opens a blob just sealed. What was not compressed is hashed where it lies, which saves a copy of 8 MiB.
func (s *Sealer) prove(w *Scratch, k *Key, t Type, id ID, sealed []byte, size int) error {
	encoded, err := Open(w.room(len(sealed)), k, ClassBlob, BlobScope(s.Repository, s.Domain, t, id), sealed)
	if err != nil {
		return err
	}
	if encoded[0] == codecRaw && len(encoded) == size+1 {
		return s.match(t, id, encoded[1:])
	}
	if w.plain, err = s.Codec.Decode(w.plain, encoded, size); err != nil {
		return err
	}
	return s.match(t, id, w.plain)
}

func (s *Sealer) match(t Type, id ID, plain []byte) error {
	if s.Hasher != nil && s.Hasher.ID(t, plain) != id {
		return fmt.Errorf("content does not match id %s: %w", id.Short(), ErrAuthentication)
	}
	return nil
}

// Open authenticates and decodes a sealed blob of size plaintext bytes into dst's storage and computes its id anew. The
// id check also commits to the key: one ciphertext cannot open under two keys to two contents.
func (s *Sealer) Open(dst []byte, w *Scratch, k *Key, t Type, id ID, sealed []byte, size int) ([]byte, error) {
	encoded, err := Open(w.encoded[:0], k, ClassBlob, BlobScope(s.Repository, s.Domain, t, id), sealed)
	if err != nil {
		return nil, err
	}
	w.encoded = encoded
	plain, err := s.Codec.Decode(dst, encoded, size)
	if err != nil {
		return nil, err
	}
	if err := s.match(t, id, plain); err != nil {
		return nil, err
	}
	return plain, nil
}
