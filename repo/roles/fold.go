package roles

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"cbk/pack"
)

// Folding checks a statement against the state before it and then changes the state: a statement that fails leaves no
// trace. The caller holds the lock.

const (
	// maxGeneration bounds the generations of a domain: a writer's grant carries 128 bytes for each.
	maxGeneration = 4096
	// maxSealKeys bounds the seal keys that are not retired: a reader's grant carries 41 bytes for each.
	maxSealKeys = 4096
)

func (b *genesisBody) fold(t *Trust) error {
	if !bytes.Equal(b.Repository, t.repository[:]) {
		return errors.New("it founds another repository")
	}
	if !bytes.Equal(b.Owner, t.owner) {
		return errors.New("it names another owner")
	}
	if err := checkSettings(b.Settings); err != nil {
		return err
	}
	t.settings = b.Settings
	return nil
}

func (b *settingsBody) fold(t *Trust) error {
	if err := checkSettings(b.Settings); err != nil {
		return err
	}
	t.settings = b.Settings
	return nil
}

func (b *sealKeyBody) fold(t *Trust) error {
	if err := checkSuite(b.Suite); err != nil {
		return err
	}
	if b.Domain != "" {
		if err := checkLabel(b.Domain); err != nil {
			return err
		}
	}
	public, err := parseSealing(b.Public)
	if err != nil {
		return err
	}
	live := 0
	for _, s := range t.seals {
		if !s.Retired {
			live++
		}
	}
	switch {
	case sealKeyID(public) != b.ID:
		return errors.New("seal key id does not belong to its key")
	case t.findSeal(b.ID) != nil:
		return fmt.Errorf("seal key %s is there already", b.ID)
	case live >= maxSealKeys:
		return fmt.Errorf("more than %d seal keys that are not retired", maxSealKeys)
	}
	t.seals = append(t.seals, &SealKey{ID: b.ID, Domain: b.Domain, Public: public})
	return nil
}

func checkSuite(n int) error {
	switch {
	case n > suite:
		return fmt.Errorf("cipher suite %d: %w", n, pack.ErrNewer)
	case n < suite:
		return fmt.Errorf("cipher suite %d", n)
	}
	return nil
}

func (b *principalBody) fold(t *Trust) error {
	if err := errors.Join(checkSuite(b.Suite), checkDomains(b.Role, b.Domains)); err != nil {
		return err
	}
	if len(b.Signing) != ed25519.PublicKeySize || len(b.Sealing) != hpkePublicSize {
		return fmt.Errorf("public keys of %d and %d bytes", len(b.Signing), len(b.Sealing))
	}
	created, err := parseTime(b.Created)
	if err != nil {
		return err
	}
	if principalID(b.Signing, b.Sealing) != b.ID {
		return errors.New("key id does not belong to its keys")
	}
	if _, ok := t.principals[b.ID]; ok {
		return fmt.Errorf("key %s is there already", b.ID)
	}
	p := &Principal{ID: b.ID, Role: b.Role, Domains: b.Domains, Signing: b.Signing, Sealing: b.Sealing, Created: created}
	t.principals[b.ID] = p
	t.order = append(t.order, p)
	return nil
}

// checkDomains checks that a writer, and no other role, has domains: sorted, each once.
func checkDomains(role Role, domains []string) error {
	switch {
	case role.code() == 0:
		return fmt.Errorf("role %.40q: %w", role, pack.ErrNewer)
	case role == RoleWriter && len(domains) == 0:
		return errors.New("writer of no domain")
	case role != RoleWriter && len(domains) > 0:
		return fmt.Errorf("%s bound to domains", role)
	case len(domains) > maxDomains:
		return fmt.Errorf("%d domains are over the limit of %d", len(domains), maxDomains)
	}
	for i, d := range domains {
		if err := checkLabel(d); err != nil {
			return err
		}
		if i > 0 && domains[i-1] >= d {
			return errors.New("domains are not sorted, each once")
		}
	}
	return nil
}

func (b *revokeBody) fold(t *Trust) error {
	p, ok := t.principals[b.ID]
	if !ok {
		return fmt.Errorf("key %s is not in the log", b.ID)
	}
	if _, dead := t.revoked[b.ID]; dead {
		return fmt.Errorf("key %s is revoked already", b.ID)
	}
	r := &Revocation{KeyID: b.ID, Statement: uint64(len(t.chain)) + 1, generations: map[string]uint32{}}
	for _, l := range b.Last {
		if err := checkLabel(l.Domain); err != nil {
			return err
		}
		if _, twice := r.In(l.Domain); twice || p.Role == RoleWriter && !slices.Contains(p.Domains, l.Domain) {
			return fmt.Errorf("last root of domain %s, which is listed twice or not the key's", l.Domain)
		}
		r.Last = append(r.Last, LastRoot{l.Domain, l.Sequence, pack.ID(l.Root)})
	}
	for _, d := range p.Domains {
		r.generations[d] = t.generation(d)
	}
	t.revoked[b.ID] = r
	return nil
}

func (b *generationBody) fold(t *Trust) error {
	if err := checkLabel(b.Domain); err != nil {
		return err
	}
	if next := t.generation(b.Domain) + 1; b.Number != next || next > maxGeneration {
		return fmt.Errorf("generation %d of domain %s where %d follows", b.Number, b.Domain, next)
	}
	t.generations[b.Domain] = b.Number
	return nil
}

func (b *retireBody) fold(t *Trust) error {
	s := t.findSeal(b.ID)
	if s == nil || s.Retired {
		return fmt.Errorf("seal key %s is not in the log or retired already", b.ID)
	}
	s.Retired = true
	if t.newestSeal("") == nil {
		s.Retired = false
		return errors.New("it retires the last general seal key")
	}
	return nil
}
