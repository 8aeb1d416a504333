package roles

import (
	"fmt"
	"slices"
)

// Keyring is an opened principal: what its role lets it do, and nothing else. Safe for concurrent use. It prints
// without its secrets.
type Keyring struct {
	trust     *Trust
	principal *Principal
	self      *identity // nil for a borrower
	bundle    *bundle
	loan      *Loan // of a borrower
}

// Repository returns the id of the repository.
func (k *Keyring) Repository() [16]byte { return k.trust.repository }

// Role returns what the key may do.
func (k *Keyring) Role() Role { return k.principal.Role }

// KeyID returns the id under which the key signs; zeros for a borrower.
func (k *Keyring) KeyID() KeyID { return k.principal.ID }

// Trust returns the trust log the keyring was opened with; statements appended to it count for the keyring at once.
func (k *Keyring) Trust() *Trust { return k.trust }

// Domains returns the labels of a writer or borrower, sorted; nil for the other roles, which are not bound to domains.
func (k *Keyring) Domains() []string { return slices.Clone(k.principal.Domains) }

// Sees reports whether the key can see a domain, or the Whole, at all.
func (k *Keyring) Sees(label string) bool {
	return !k.Bound() || slices.Contains(k.principal.Domains, label)
}

// Bound reports whether the key sees no more than its Domains.
func (k *Keyring) Bound() bool { return k.bundle.domains != nil }

// Domain returns the newest generation of a domain's keys, in about 3 ms: finding a polynomial takes that. The error
// matches ErrRole for a writer or borrower of other domains, and ErrStale if the trust log has a generation that the
// newest grant, or the loan, lacks.
func (k *Keyring) Domain(label string) (*Domain, error) {
	return k.domain(label, k.trust.Generation(label))
}

// Generations returns all generations of a domain's keys, oldest first. Errors are those of Domain.
func (k *Keyring) Generations(label string) ([]*Domain, error) {
	var out []*Domain
	for g := range k.trust.Generation(label) {
		d, err := k.domain(label, g+1)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Whole stands in place of a domain in what is said about the repository as a whole. It is the label of none.
const Whole = "*"

// Whole returns the index key of the repository as a whole. It has one generation: whoever holds the index secret once can
// derive every later one. The error matches ErrRole for a writer or borrower.
func (k *Keyring) Whole() (*Domain, error) {
	if k.Bound() {
		return nil, fmt.Errorf("a %s sees its own domains only: %w", k.Role(), ErrRole)
	}
	key, err := derive(k.trust.repository, k.bundle.secrets.index, "index", Whole, 1)
	if err != nil {
		return nil, err
	}
	return &Domain{Label: Whole, Generation: 1, Index: indexKey(key)}, nil
}

func (k *Keyring) domain(label string, generation uint32) (*Domain, error) {
	if err := checkLabel(label); err != nil {
		return nil, err
	}
	newest, err := k.domainKeys(label, generation)
	if err != nil {
		return nil, err
	}
	first, err := k.domainKeys(label, 1)
	if err != nil {
		return nil, err
	}
	return newDomain(label, generation, &newest, &first, k.Role().namesContent())
}

func (k *Keyring) domainKeys(label string, generation uint32) (domainKeys, error) {
	if !k.Bound() {
		return k.bundle.secrets.keys(k.trust.repository, label, generation)
	}
	held, ok := k.bundle.domains[label]
	if !ok {
		return domainKeys{}, fmt.Errorf("domain %s is none of this %s's: %w", label, k.Role(), ErrRole)
	}
	if uint64(generation) > uint64(len(held)) {
		return domainKeys{}, fmt.Errorf("generation %d of domain %s: %w", generation, label, ErrStale)
	}
	return held[generation-1], nil
}
