package roles

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"cbk/pack"
)

// Domain is what the holder of a key may use of one generation of a domain's keys.
type Domain struct {
	Label      string
	Generation uint32          // from 1
	Hasher     *pack.Hasher    // names blobs; nil for a keeper or borrower, who hold no id key
	Polynomial pack.Polynomial // cuts chunks; 0 for a keeper or borrower
	Index      *pack.Key       // of tails, shards, and what is listed of roots

	names [32]byte // of generation 1, whatever Generation is
}

// SnapshotID is the name of the root of a backup name's n-th attempt (from 0). It is always made under the name key of
// generation 1, so that the same name lands on the same object after a revocation too, and the store itself finds a
// duplicate.
func (d *Domain) SnapshotID(name string, attempt uint32) pack.ID {
	mac := hmac.New(sha256.New, d.names[:])
	fmt.Fprintf(mac, "%d\x00%s", attempt, name)
	return pack.ID(mac.Sum(nil))
}

// domainKeys are the keys of one domain and generation. A keeper lacks id and chunker; a borrower lacks names too, but
// those of generation 1.
type domainKeys struct {
	id, chunker, index, names [32]byte
}

// fields are the keys in the order of a grant.
func (k *domainKeys) fields() []*[32]byte { return []*[32]byte{&k.id, &k.chunker, &k.index, &k.names} }

// rootSecrets are what the keys of all domains derive from. A keeper's id is nil.
type rootSecrets struct {
	id, index *[32]byte
}

func (s *rootSecrets) keys(repo [16]byte, label string, generation uint32) (k domainKeys, err error) {
	for _, d := range []struct {
		dst     *[32]byte
		secret  *[32]byte
		purpose string
	}{{&k.id, s.id, "id"}, {&k.chunker, s.id, "chunker"}, {&k.index, s.index, "index"}, {&k.names, s.index, "names"}} {
		if d.secret == nil {
			continue
		}
		if *d.dst, err = derive(repo, d.secret, d.purpose, label, generation); err != nil {
			return k, err
		}
	}
	return k, nil
}

// derive binds a key to the repository, what it is for, the domain and the generation: a stolen writer can neither test
// content of another domain nor forge its shards.
func derive(repo [16]byte, secret *[32]byte, purpose, domain string, generation uint32) (out [32]byte, err error) {
	info := fmt.Sprintf("cbk/0\x00%s\x00%s\x00%d", purpose, domain, generation)
	b, err := hkdf.Key(sha256.New, secret[:], repo[:], info, len(out))
	if err != nil {
		return out, fmt.Errorf("derive %s key: %w", purpose, err)
	}
	return [32]byte(b), nil
}

// newDomain makes the usable form of keys; full is false where id and chunker keys are missing.
func newDomain(label string, generation uint32, k, first *domainKeys, full bool) (*Domain, error) {
	d := &Domain{Label: label, Generation: generation, names: first.names, Index: indexKey(k.index)}
	if !full {
		return d, nil
	}
	var err error
	d.Hasher = pack.NewHasher(k.id)
	d.Polynomial, err = pack.DerivePolynomial(k.chunker)
	return d, err
}

func indexKey(secret [32]byte) *pack.Key {
	return &pack.Key{ID: shortHash("cbk key id\x00", secret[:]), Secret: secret}
}
