package roles

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"cbk/pack"
)

// Trust is a trust log, verified and folded into what holds after its last statement. Safe for concurrent use; a lookup
// sees all of a statement or nothing of it.
type Trust struct {
	repository [16]byte
	owner      ed25519.PublicKey

	mu          sync.RWMutex
	chain       [][32]byte // SHA-256 of each statement
	settings    json.RawMessage
	seals       []*SealKey // in the order of their statements
	order       []*Principal
	principals  map[KeyID]*Principal
	revoked     map[KeyID]*Revocation
	generations map[string]uint32
}

// Principal is one holder of keys: a slot or a key file. It is not changed after its statement.
type Principal struct {
	ID      KeyID
	Role    Role
	Domains []string // of a writer; nil for the other roles, which are not bound to domains
	Signing ed25519.PublicKey
	Sealing []byte // HPKE public key; parsing it costs more than all else about a statement, and only grants need it
	Created time.Time
}

// Writes reports whether the principal may back up the domain.
func (p *Principal) Writes(domain string) bool {
	return p.Role == RoleOwner || p.Role == RoleWriter && slices.Contains(p.Domains, domain)
}

// SealKey is a key pair to which session keys are sealed.
type SealKey struct {
	ID      SealKeyID
	Domain  string // "" = every domain without one of its own
	Public  hpke.PublicKey
	Retired bool // its private half is to be destroyed; nothing is sealed to it any more
}

// Revocation says which objects of a revoked key still count.
type Revocation struct {
	KeyID     KeyID
	Statement uint64 // its number in the trust log
	Last      []LastRoot

	generations map[string]uint32 // of the key's domains at that time
}

// LastRoot is the last root of a revoked key that counts in one domain.
type LastRoot struct {
	Domain   string
	Sequence uint64
	Root     pack.ID // SHA-256 of the root object
}

// In returns the last root that counts in a domain; without one, nothing of that key counts there.
func (r *Revocation) In(domain string) (LastRoot, bool) {
	for _, l := range r.Last {
		if l.Domain == domain {
			return l, true
		}
	}
	return LastRoot{}, false
}

// NewTrust returns the empty log of a repository, for Append to fill. owner is the key the repository's config names.
func NewTrust(repository [16]byte, owner ed25519.PublicKey) *Trust {
	return &Trust{repository: repository, owner: owner, principals: map[KeyID]*Principal{},
		revoked: map[KeyID]*Revocation{}, generations: map[string]uint32{}}
}

// ParseTrust verifies and folds a whole log, statement 1 first. Errors are those of Append.
func ParseTrust(repository [16]byte, owner ed25519.PublicKey, statements [][]byte) (*Trust, error) {
	t := NewTrust(repository, owner)
	for _, s := range statements {
		if err := t.Append(s); err != nil {
			return nil, err
		}
	}
	if len(statements) == 0 {
		return nil, &DamagedObjectError{TrustName(1), "the trust log is empty"}
	}
	return t, nil
}

// Append verifies one more statement and folds it in. After an error the log is as before. Errors are a
// *DamagedObjectError or match pack.ErrNewer.
func (t *Trust) Append(statement []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := uint64(len(t.chain)) + 1
	err := t.append(n, statement)
	if err != nil && !errors.Is(err, pack.ErrNewer) {
		return &DamagedObjectError{TrustName(n), err.Error()}
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", TrustName(n), err)
	}
	return nil
}

func (t *Trust) append(n uint64, statement []byte) error {
	if len(t.owner) != ed25519.PublicKeySize {
		return errors.New("owner's public key has a wrong length")
	}
	if n > MaxStatements {
		return fmt.Errorf("more than %d statements", MaxStatements)
	}
	f, b, err := decodeStatement(t.repository, t.owner, statement)
	switch {
	case err != nil:
		return err
	case f.Number != n:
		return fmt.Errorf("it is statement %d", f.Number)
	case f.Previous != t.hash(n-1):
		return errors.New("it does not follow the statement before")
	case (f.Kind == (*genesisBody)(nil).kind()) != (n == 1):
		return errors.New("a log has one genesis, its first statement")
	}
	if err := b.fold(t); err != nil {
		return err
	}
	t.chain = append(t.chain, sha256.Sum256(statement))
	return nil
}

// hash returns the hash of statement n, zeros for n = 0.
func (t *Trust) hash(n uint64) digest {
	if n == 0 {
		return digest{}
	}
	return t.chain[n-1]
}

func (t *Trust) clone() *Trust {
	t.mu.RLock()
	defer t.mu.RUnlock()
	c := NewTrust(t.repository, t.owner)
	c.chain, c.settings, c.order = slices.Clone(t.chain), t.settings, slices.Clone(t.order)
	c.principals, c.revoked, c.generations = maps.Clone(t.principals), maps.Clone(t.revoked), maps.Clone(t.generations)
	for _, s := range t.seals {
		own := *s // its Retired may change
		c.seals = append(c.seals, &own)
	}
	return c
}

// Repository returns the id of the repository.
func (t *Trust) Repository() [16]byte { return t.repository }

// Owner returns the key that signs the log.
func (t *Trust) Owner() ed25519.PublicKey { return bytes.Clone(t.owner) }

// Head returns the number and the SHA-256 of the newest statement: what a key file or a state directory pins.
func (t *Trust) Head() (n uint64, hash [32]byte) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n = uint64(len(t.chain))
	return n, t.hash(n)
}

// Covers checks that a head seen before is part of this log. The error matches ErrRolledBack. n = 0 is part of any.
func (t *Trust) Covers(n uint64, hash [32]byte) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if have := uint64(len(t.chain)); n > have {
		return fmt.Errorf("%d statements where %d were seen before: %w", have, n, ErrRolledBack)
	}
	if n > 0 && t.chain[n-1] != hash {
		return fmt.Errorf("%s is not the one seen before: %w", TrustName(n), ErrRolledBack)
	}
	return nil
}

// SealKey returns the key to which a session of the domain is sealed: the newest of the domain's own that is not
// retired, else the newest general one. The error matches ErrNoSealKey.
func (t *Trust) SealKey(domain string) (SealKeyID, hpke.PublicKey, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.newestSeal(domain)
	if s == nil {
		s = t.newestSeal("")
	}
	if s == nil {
		return SealKeyID{}, nil, fmt.Errorf("trust log offers no seal key: %w", ErrNoSealKey)
	}
	return s.ID, s.Public, nil
}

func (t *Trust) newestSeal(domain string) *SealKey {
	for _, s := range slices.Backward(t.seals) {
		if s.Domain == domain && !s.Retired {
			return s
		}
	}
	return nil
}

func (t *Trust) findSeal(id SealKeyID) *SealKey {
	for _, s := range t.seals {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// SealKeys returns all seal keys, oldest first, retired ones too.
func (t *Trust) SealKeys() []SealKey {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]SealKey, 0, len(t.seals))
	for _, s := range t.seals {
		out = append(out, *s)
	}
	return out
}

// Principal looks a holder of keys up, revoked or not.
func (t *Trust) Principal(id KeyID) (*Principal, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p, ok := t.principals[id]
	return p, ok
}

// Principals yields all holders of keys in the order of their statements, revoked ones too.
func (t *Trust) Principals() iter.Seq[*Principal] {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Values(slices.Clone(t.order))
}

// live yields the principals that are not revoked.
func (t *Trust) live() iter.Seq[*Principal] {
	return func(yield func(*Principal) bool) {
		for p := range t.Principals() {
			if _, dead := t.Revoked(p.ID); !dead && !yield(p) {
				return
			}
		}
	}
}

// Revoked returns the revocation of a key, if there is one.
func (t *Trust) Revoked(id KeyID) (*Revocation, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r, ok := t.revoked[id]
	return r, ok
}

// Generation returns the key generation in which a domain is written; generations count from 1.
func (t *Trust) Generation(domain string) uint32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.generation(domain)
}

func (t *Trust) generation(domain string) uint32 { return max(1, t.generations[domain]) }

// Settings returns the newest settings, a JSON object.
func (t *Trust) Settings() json.RawMessage {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return bytes.Clone(t.settings)
}
