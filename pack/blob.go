package pack

import "fmt"

// Scratch is the memory one goroutine needs to seal or open blobs; it grows to the largest blob met, about 16 MiB.
type Scratch struct{ encoded, plain []byte }

// Sealer turns plaintexts into sealed blobs of one session, and opens blobs of any session of its domain.
// Safe for concurrent use, each goroutine with a Scratch of its own.
type Sealer struct {
	Codec      *Codec
	Repository [16]byte
	Domain     string
	Hasher     *Hasher
}

// Seal appends the sealed form of a blob to dst and proves, before anything is uploaded, that it opens to plain again:
// faulty memory and codec bugs have made unreadable backups elsewhere.
func (s *Sealer) Seal(dst []byte, w *Scratch, k *Key, t Type, id ID, plain []byte) ([]byte, error) {
	w.encoded = s.Codec.Encode(w.encoded[:0], plain)
	sealed := Seal(dst, k, ClassBlob, BlobScope(s.Repository, s.Domain, t, id), w.encoded)
	proof, err := s.Open(w.plain, w, k, t, id, sealed[len(dst):], len(plain))
	if err != nil {
		return nil, fmt.Errorf("verify sealed blob %s: %w", id.Short(), err)
	}
	w.plain = proof
	return sealed, nil
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
	if s.Hasher.ID(t, plain) != id {
		return nil, fmt.Errorf("content does not match id %s: %w", id.Short(), ErrAuthentication)
	}
	return plain, nil
}
