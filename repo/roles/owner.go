package roles

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Owner acts for the owner of a repository. Each act returns the objects that make it true, to be created in this order
// and only where they are absent; the trust statements come last, so that an act cut short has changed nothing. If a
// statement's name is taken, somebody else has acted: read the trust log and the key objects again, Renew the keyring,
// open a new Owner and repeat the act. After an act the Owner counts on its objects being written, so that the next act
// may follow; after an error it is as before. Not safe for concurrent use. It prints without its secrets.
type Owner struct {
	// Now dates keys; time.Now unless replaced.
	Now func() time.Time

	trust  *Trust
	bundle *bundle
}

// Create founds a repository: genesis and the first seal key. settings is a JSON object. AddSlot or ExportKey must
// follow before the Owner is let go, or nobody ever opens the repository.
func Create(repository [16]byte, settings json.RawMessage) (*Owner, []Object, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("draw owner's key: %w", err)
	}
	b := &bundle{role: RoleOwner, owner: private, secrets: rootSecrets{new([32]byte), new([32]byte)}}
	rand.Read(b.secrets.id[:])
	rand.Read(b.secrets.index[:])
	o := &Owner{Now: time.Now, trust: NewTrust(repository, public), bundle: b}
	a := o.begin()
	a.state(&genesisBody{repository[:], public, settings})
	a.drawSeal("")
	objects, err := a.finish()
	if err != nil {
		return nil, nil, err
	}
	return o, objects, nil
}

// OpenOwner returns the acts of an opened owner. Errors match ErrRole, or ErrStale where its grant lacks keys: acting
// without them would take them from others.
func OpenOwner(k *Keyring) (*Owner, error) {
	if k.Role() != RoleOwner {
		return nil, fmt.Errorf("act as owner with the key of a %s: %w", k.Role(), ErrRole)
	}
	if !k.bundle.owner.Public().(ed25519.PublicKey).Equal(k.trust.owner) {
		return nil, fmt.Errorf("owner's key in the grant: %w", ErrWrongRepository)
	}
	o := &Owner{Now: time.Now, trust: k.trust.clone(), bundle: k.bundle}
	if lacks := k.bundle.lacks(o.trust, k.principal); lacks != "" {
		return nil, fmt.Errorf("%s: %w", lacks, ErrStale)
	}
	return o, nil
}

// Trust returns the trust log as the acts so far make it.
func (o *Owner) Trust() *Trust { return o.trust }

// SignConfig signs a repository's config, which stands outside the trust log because it names the owner's public key.
// VerifyConfig checks it.
func (o *Owner) SignConfig(config []byte) [ed25519.SignatureSize]byte {
	return [ed25519.SignatureSize]byte(ed25519.Sign(o.bundle.owner, configMessage(o.trust.repository, config)))
}

// VerifyConfig checks what SignConfig returned. The error matches ErrBadSignature.
func VerifyConfig(repository [16]byte, owner ed25519.PublicKey, config []byte, sig [ed25519.SignatureSize]byte) error {
	if len(owner) != ed25519.PublicKeySize || !ed25519.Verify(owner, configMessage(repository, config), sig[:]) {
		return fmt.Errorf("config: %w", ErrBadSignature)
	}
	return nil
}

func configMessage(repo [16]byte, config []byte) []byte {
	return append(append([]byte("cbk config\x00"), repo[:]...), config...)
}

// AddSlot makes an owner, keeper or reader whose keys open by w. Writers get key files: a slot would put the keys of
// all nodes within reach of one node's secret.
func (o *Owner) AddSlot(role Role, w Wrapping) (KeyID, []Object, error) {
	if role == RoleWriter {
		return KeyID{}, nil, fmt.Errorf("slot for a writer: %w", ErrRole)
	}
	a := o.begin()
	p, self := a.enroll(role, nil)
	a.grant(func(x *Principal) bool { return x == p })
	if a.err == nil {
		var data []byte
		data, a.err = sealSlot(a.trust.repository, a.bundle.owner, self, w)
		a.keys = append(a.keys, Object{KeyObjectName(data), data})
	}
	objects, err := a.finish()
	if err != nil {
		return KeyID{}, nil, err
	}
	return p.ID, objects, nil
}

// ExportKey makes a principal whose private keys leave in a file, to be kept as secret as a passphrase. domains are a
// writer's, at least one; the other roles have none.
func (o *Owner) ExportKey(role Role, domains []string) ([]byte, KeyID, []Object, error) {
	a := o.begin()
	p, self := a.enroll(role, slices.Sorted(slices.Values(domains)))
	a.grant(func(x *Principal) bool { return x == p })
	if a.err != nil {
		return nil, KeyID{}, nil, a.err
	}
	n, hash := a.trust.Head()
	f := &KeyFile{Repository: a.trust.repository, Owner: a.trust.owner, Role: role, Domains: p.Domains, KeyID: p.ID,
		HeadNumber: n, HeadHash: hash, self: self}
	text, err := f.encode()
	if err != nil {
		return nil, KeyID{}, nil, err
	}
	objects, err := a.finish()
	return text, p.ID, objects, err
}

// RotateSeal draws a seal key for new sessions of all domains ("") or of one, and gives it to every owner and reader.
// Sessions sealed before open as before; Reseal them and RetireSeal the old key to make it worthless.
func (o *Owner) RotateSeal(domain string) ([]Object, error) {
	a := o.begin()
	a.drawSeal(domain)
	a.grant(func(p *Principal) bool { return p.Role.opensContent() })
	return a.finish()
}

// RetireSeal takes a seal key out of use: nothing is sealed to it, and the grants returned lack its private half. Once
// the older grants are gone from the store (Superseded names them), sessions sealed to it alone cannot be read by
// anybody. The last general seal key cannot be retired.
func (o *Owner) RetireSeal(id SealKeyID) ([]Object, error) {
	a := o.begin()
	a.state(&retireBody{id})
	a.bundle.seals = slices.DeleteFunc(a.bundle.seals, func(s sealPrivate) bool { return s.id == id })
	a.grant(func(p *Principal) bool { return p.Role.opensContent() })
	return a.finish()
}

// Revoke ends a key; last names, per domain, its last root that counts. The domains of a writer get a new generation,
// which the other writers of these domains are given. A revoked owner, reader or keeper still knows the secrets from
// which all generations derive, and the seal keys of its time: RotateSeal keeps what comes later from it.
//
// If the writing of an earlier Revoke ended between its statements, the same call writes the rest. The error matches
// ErrRevoked if nothing is left to do, ErrLast for the last owner.
func (o *Owner) Revoke(id KeyID, last []LastRoot) ([]Object, error) {
	a := o.begin()
	p, known := a.trust.Principal(id)
	if !known {
		return nil, fmt.Errorf("key %s is not in the trust log: %w", id, ErrUnknownSigner)
	}
	if _, done := a.trust.Revoked(id); !done {
		if p.Role == RoleOwner && a.owners() < 2 {
			return nil, fmt.Errorf("revoke owner %s: %w", id, ErrLast)
		}
		a.state(revocation(id, last))
	} else if len(a.trust.outdated(id)) == 0 {
		return nil, fmt.Errorf("key %s: %w", id, ErrRevoked)
	}
	if a.err == nil {
		for _, d := range a.trust.outdated(id) {
			a.state(&generationBody{d, a.trust.Generation(d) + 1})
		}
	}
	a.grant(func(x *Principal) bool {
		return slices.ContainsFunc(x.Domains, func(d string) bool { return slices.Contains(p.Domains, d) })
	})
	return a.finish()
}

func revocation(id KeyID, last []LastRoot) *revokeBody {
	b := &revokeBody{ID: id}
	for _, l := range last {
		b.Last = append(b.Last, lastBody{l.Domain, l.Sequence, digest(l.Root)})
	}
	return b
}

// outdated returns the domains still in the generation that a revoked key knows.
func (t *Trust) outdated(id KeyID) (domains []string) {
	r, dead := t.Revoked(id)
	if !dead {
		return nil
	}
	for _, d := range slices.Sorted(maps.Keys(r.generations)) {
		if t.Generation(d) == r.generations[d] {
			domains = append(domains, d)
		}
	}
	return domains
}

// SetSettings replaces the settings by another JSON object.
func (o *Owner) SetSettings(settings json.RawMessage) ([]Object, error) {
	a := o.begin()
	a.state(&settingsBody{settings})
	return a.finish()
}

// Regrant makes fresh grants for every principal that is not revoked, in case grants were lost. There is no statement.
func (o *Owner) Regrant() ([]Object, error) {
	a := o.begin()
	a.grant(func(*Principal) bool { return true })
	return a.finish()
}

// act collects the objects of one act on copies of the owner's state. Its first error sticks and ends it.
type act struct {
	owner      *Owner
	trust      *Trust
	bundle     *bundle
	keys       []Object // slots and grants
	statements []Object
	err        error
}

func (o *Owner) begin() *act {
	b := *o.bundle
	b.seals = slices.Clone(b.seals)
	return &act{owner: o, trust: o.trust.clone(), bundle: &b}
}

// finish makes the act the owner's state, unless it failed.
func (a *act) finish() ([]Object, error) {
	if a.err != nil {
		return nil, a.err
	}
	a.owner.trust, a.owner.bundle = a.trust, a.bundle
	return append(a.keys, a.statements...), nil
}

func (a *act) state(b body) {
	if a.err != nil {
		return
	}
	n, previous := a.trust.Head()
	data, err := encodeStatement(a.trust.repository, a.bundle.owner, n+1, previous, b)
	if err == nil {
		err = a.trust.Append(data)
	}
	var bad *DamagedObjectError
	if errors.As(err, &bad) { // the caller asked for something that makes no sense; nothing is damaged
		err = fmt.Errorf("%s statement: %s", b.kind(), bad.What)
	}
	a.statements, a.err = append(a.statements, Object{TrustName(n + 1), data}), err
}

func (a *act) drawSeal(domain string) {
	if a.err != nil {
		return
	}
	private, err := kem().GenerateKey()
	if err != nil {
		a.err = fmt.Errorf("draw seal key: %w", err)
		return
	}
	raw, err := private.Bytes()
	if err != nil {
		a.err = fmt.Errorf("encode seal key: %w", err)
		return
	}
	defer clear(raw)
	id := sealKeyID(private.PublicKey())
	a.bundle.seals = append(a.bundle.seals, sealPrivate{id, [hpkePrivateSize]byte(raw)})
	a.state(&sealKeyBody{id, domain, suite, private.PublicKey().Bytes()})
}

func (a *act) enroll(role Role, domains []string) (*Principal, *identity) {
	self, err := newIdentity()
	if err != nil {
		a.err = err
		return nil, nil
	}
	a.state(&principalBody{self.id(), role, domains, suite, self.public(), self.sealing.PublicKey().Bytes(),
		formatTime(a.owner.Now())})
	p, _ := a.trust.Principal(self.id())
	return p, self
}

// grant makes grants at the end of the trust log for the chosen principals that are not revoked. No statement may
// follow in the same act.
func (a *act) grant(chosen func(*Principal) bool) {
	for p := range a.trust.live() {
		if a.err != nil {
			return
		}
		if !chosen(p) {
			continue
		}
		b, err := a.bundleFor(p)
		if err != nil {
			a.err = err
			return
		}
		data, err := encodeGrant(a.trust, a.bundle.owner, p, b)
		a.keys, a.err = append(a.keys, Object{KeyObjectName(data), data}), err
	}
}

// bundleFor returns what the role of p may know.
func (a *act) bundleFor(p *Principal) (*bundle, error) {
	b := &bundle{role: p.Role}
	switch p.Role {
	case RoleOwner:
		*b = *a.bundle
	case RoleReader:
		b.secrets, b.seals = a.bundle.secrets, a.bundle.seals
	case RoleKeeper:
		b.secrets.index = a.bundle.secrets.index
	case RoleWriter:
		b.labels, b.domains = p.Domains, map[string][]domainKeys{}
		for _, label := range p.Domains {
			for g := range a.trust.Generation(label) {
				k, err := a.bundle.secrets.keys(a.trust.repository, label, g+1)
				if err != nil {
					return nil, err
				}
				b.domains[label] = append(b.domains[label], k)
			}
		}
	}
	return b, nil
}

func (a *act) owners() (n int) {
	for p := range a.trust.live() {
		if p.Role == RoleOwner {
			n++
		}
	}
	return n
}
