package roles

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"cbk/pack"
)

// maxTries bounds the slots one unlock works through: with default costs about ten seconds.
const maxTries = 64

// Unlock is what somebody has to open a repository with. It prints without its secrets.
type Unlock struct {
	kind slotKind
	file *KeyFile
	loan *Loan
	now  time.Time // when the loan is opened
	// secret returns what the params of a slot yield; nil if the slot is for something else.
	secret func(params []byte) (*slotSecret, error)
}

// WithPassphrase opens the slots of a passphrase.
func WithPassphrase(passphrase []byte) Unlock {
	spent := uint32(0) // KiB
	return Unlock{kind: slotPassphrase, secret: func(params []byte) (*slotSecret, error) {
		cost, salt, err := parseCost(params)
		if err != nil {
			return nil, &paramsError{err}
		}
		if spent += cost.Time * cost.Memory; spent > maxAllWork {
			spent = maxAllWork
			return nil, errCostly
		}
		return stretch(passphrase, salt, cost), nil
	}}
}

// WithKMS opens slots made with the same URL. A slot's own URL is never called unless it is equal: a hostile store must
// not be able to say to whom credentials are shown.
func WithKMS(ctx context.Context, url string) Unlock {
	return Unlock{kind: slotKMS, secret: func(params []byte) (*slotSecret, error) {
		named, cipher, err := parseKMS(params)
		if err != nil {
			return nil, &paramsError{err}
		}
		if named != publicURL(url) {
			return nil, nil
		}
		key, err := kmsDecrypt(ctx, url, cipher)
		if err != nil {
			return nil, err
		}
		defer clear(key)
		return expand(key, nil, slotKMS)
	}}
}

// WithRecovery opens the slot of a recovery secret, typed in any case, with or without its hyphens. The error matches
// ErrTypo.
func WithRecovery(typed string) (Unlock, error) {
	secret, err := parseRecovery(typed)
	if err != nil {
		return Unlock{}, err
	}
	return Unlock{kind: slotRecovery, secret: func(params []byte) (*slotSecret, error) {
		salt, err := parseSalt(params)
		if err != nil {
			return nil, &paramsError{err}
		}
		return expand(secret, salt, slotRecovery)
	}}, nil
}

// WithKeyFile opens with a key file, without any slot.
func WithKeyFile(f *KeyFile) Unlock { return Unlock{file: f} }

// errCostly ends an unlock whose slots together ask for more work than their opener should have to do.
var errCostly = errors.New("the slots ask for too much key derivation")

// paramsError means that a slot's params are at fault, not what it is opened with.
type paramsError struct{ error }

// Open opens a repository for one holder of keys. owner is the key that the repository's config names and has signed;
// objects yields the objects under keys/ and is ranged over twice. It may yield fewer than there are, or some from a
// cache first: reading ends at a grant that carries all the trust log knows of.
//
// Errors: ErrNoFit, ErrRevoked, ErrNoGrant, ErrWrongRepository, ErrRolledBack (a key file or loan had seen a longer log),
// ErrLoan, ErrExpired, *DamagedObjectError, or what objects yielded.
func Open(repository [16]byte, owner ed25519.PublicKey, t *Trust, objects iter.Seq2[Object, error], u Unlock) (*Keyring, error) {
	if t.repository != repository || !t.owner.Equal(owner) {
		return nil, fmt.Errorf("trust log: %w", ErrWrongRepository)
	}
	if u.loan != nil {
		return u.loan.open(t, u.now)
	}
	var self *identity
	var err error
	if u.file != nil {
		self, err = u.file.fits(t)
	} else {
		self, err = u.openSlots(t, objects)
	}
	if err != nil {
		return nil, err
	}
	return newKeyring(t, self, objects)
}

// Renew opens the same key again with a newer trust log and the key objects of that time, so without asking for a
// secret again. Errors are those of Open.
func (k *Keyring) Renew(t *Trust, objects iter.Seq2[Object, error]) (*Keyring, error) {
	if t.repository != k.trust.repository || !t.owner.Equal(k.trust.owner) {
		return nil, fmt.Errorf("trust log: %w", ErrWrongRepository)
	}
	if err := t.Covers(k.trust.Head()); err != nil {
		return nil, err
	}
	if k.loan != nil {
		return k.loan.keyring(t)
	}
	return newKeyring(t, k.self, objects)
}

func newKeyring(t *Trust, self *identity, objects iter.Seq2[Object, error]) (*Keyring, error) {
	id := self.id()
	p, ok := t.Principal(id)
	if !ok || !p.Signing.Equal(self.public()) || !bytes.Equal(p.Sealing, self.sealing.PublicKey().Bytes()) {
		return nil, fmt.Errorf("key %s is not in the trust log: %w", id, ErrNoFit)
	}
	if _, dead := t.Revoked(id); dead {
		return nil, fmt.Errorf("key %s: %w", id, ErrRevoked)
	}
	b, err := findGrant(t, self, p, objects)
	if err != nil {
		return nil, err
	}
	return &Keyring{trust: t, principal: p, self: self, bundle: b}, nil
}

// fits checks that a key file belongs to the repository and has seen no newer trust log.
func (k *KeyFile) fits(t *Trust) (*identity, error) {
	if k.Repository != t.repository || !k.Owner.Equal(t.owner) {
		return nil, fmt.Errorf("key file of %s %s: %w", k.Role, k.KeyID, ErrWrongRepository)
	}
	if err := t.Covers(k.HeadNumber, k.HeadHash); err != nil {
		return nil, err
	}
	if p, ok := t.Principal(k.KeyID); ok && (p.Role != k.Role || !slices.Equal(p.Domains, k.Domains)) {
		return nil, fmt.Errorf("key file says %s, the trust log %s: %w", k.Role, p.Role, ErrNoFit)
	}
	return k.self, nil
}

// openSlots returns the keys in the first slot that opens and is not a revoked key's. Without one it tells of damage or
// trouble met on the way too, because that may be why.
func (u Unlock) openSlots(t *Trust, objects iter.Seq2[Object, error]) (*identity, error) {
	refusal := ErrNoFit
	var met trouble
	tries := 0
	for o, err := range objects {
		if err != nil {
			return nil, fmt.Errorf("read key objects: %w", err)
		}
		s, err := readSlot(t, o)
		if s == nil || s.kind != u.kind {
			met.note(err)
			continue
		}
		if tries++; tries > maxTries {
			return nil, fmt.Errorf("none of %d slots opens, and there are more: %w", maxTries, met.join(refusal))
		}
		self, err := u.try(t, o.Name, s)
		if err == nil {
			return self, nil
		}
		if errors.Is(err, ErrRevoked) {
			refusal = err
		} else if !errors.Is(err, ErrNoFit) {
			met.note(err)
		}
	}
	return nil, met.join(refusal)
}

// trouble keeps the first errors met on the way to something: a hostile store may have any number of damaged objects.
type trouble []error

const maxTrouble = 8

func (t *trouble) note(err error) {
	if err != nil && len(*t) < maxTrouble {
		*t = append(*t, err)
	}
}

// join returns nil if there was neither a first error nor trouble.
func (t trouble) join(first error) error { return errors.Join(append([]error{first}, t...)...) }

// readSlot returns nil for what is no slot of a key in the trust log: an act under way, or given up, leaves such.
func readSlot(t *Trust, o Object) (*slot, error) {
	if err := checkName(o); err != nil || !bytes.HasPrefix(o.Data, slotMagic[:]) {
		return nil, err
	}
	s, err := decodeSlot(t.repository, t.owner, o.Data)
	if err != nil {
		return nil, damaged(o.Name, err)
	}
	if _, ok := t.Principal(s.key); !ok {
		return nil, nil
	}
	return s, nil
}

func (u Unlock) try(t *Trust, name string, s *slot) (*identity, error) {
	secret, err := u.secret(s.params)
	var params *paramsError
	switch {
	case errors.As(err, &params):
		return nil, damaged(name, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case secret == nil:
		return nil, ErrNoFit
	}
	defer clear(secret[:])
	self, err := s.open(t.repository, t.owner, secret)
	if err != nil && !errors.Is(err, ErrNoFit) {
		return nil, damaged(name, err)
	}
	if _, dead := t.Revoked(s.key); dead && err == nil {
		return nil, fmt.Errorf("key %s: %w", s.key, ErrRevoked)
	}
	return self, err
}

func checkName(o Object) error {
	if KeyObjectName(o.Data) != o.Name {
		return &DamagedObjectError{o.Name, "its bytes do not match its name"}
	}
	return nil
}

// damaged names the object of an error; a newer format is no damage.
func damaged(name string, err error) error {
	if errors.Is(err, pack.ErrNewer) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return &DamagedObjectError{name, err.Error()}
}

// findGrant returns the content of the newest grant that is valid for p. Damage met on the way counts only where it may
// be the reason for what is missing.
func findGrant(t *Trust, self *identity, p *Principal, objects iter.Seq2[Object, error]) (*bundle, error) {
	var best *bundle
	var number uint64
	var met trouble
	for o, err := range objects {
		if err != nil {
			return nil, fmt.Errorf("read key objects: %w", err)
		}
		g, err := readGrant(t, o, p.ID)
		if g == nil || best != nil && g.number <= number {
			met.note(err)
			continue
		}
		b, err := g.open(t, self, p)
		if err != nil {
			met.note(damaged(o.Name, err))
			continue
		}
		best, number = b, g.number
		if best.exact(t, p) {
			return best, nil
		}
	}
	switch {
	case best == nil:
		return nil, met.join(fmt.Errorf("key %s: %w", p.ID, ErrNoGrant))
	case len(met) > 0 && best.lacks(t, p) != "":
		return nil, met.join(nil)
	}
	return best, nil
}

// readGrant returns nil for what is no grant of key, or one whose statement is not part of the log. The signatures of
// the grants of others are not checked: there may be hundreds.
func readGrant(t *Trust, o Object, key KeyID) (*grant, error) {
	if err := checkName(o); err != nil || !grantOf(o.Data, key) {
		return nil, err
	}
	return verifyGrant(t, o)
}

func verifyGrant(t *Trust, o Object) (*grant, error) {
	g, err := decodeGrant(t, o.Data)
	if err != nil {
		return nil, damaged(o.Name, err)
	}
	if !g.holds(t) {
		return nil, nil
	}
	return g, nil
}
