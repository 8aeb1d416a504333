package roles

import (
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/pack/wire"
)

// A grant is an object keys/<sha256> that tells one principal what it may know:
//
//	offset  size  field
//	0       4     magic "cbkG"
//	4       1     format version
//	5       1     suite
//	6       8     key id of the principal
//	14      8     number of the trust statement after which it holds, big-endian
//	22      32    SHA-256 of that statement
//	54      n     HPKE to the principal's public key, info "cbk grant\x00" ‖ suite ‖ repository id ‖ key id ‖ number
//	54+n    64    Ed25519 signature of the owner over "cbk grant\x00" ‖ repository id ‖ everything before it
//
// Grants are written before the statements they belong to, so that nothing is ever sealed to a key that nobody was
// given. The hash makes the grants of an act that never came about void, even if another act took its number.
const (
	grantVersion = 0
	grantHead    = 54
	grantContext = "cbk grant\x00"

	// MaxGrant bounds a grant as read, in bytes: a writer of 256 domains with 30 generations each, or a reader of 4096
	// seal keys.
	MaxGrant = 1 << 20
)

var grantMagic = [4]byte{'c', 'b', 'k', 'G'}

type grant struct {
	key    KeyID
	number uint64
	hash   [32]byte
	sealed []byte
}

// grantOf reports whether bytes claim to be a grant of key.
func grantOf(raw []byte, key KeyID) bool {
	return len(raw) >= grantHead && [4]byte(raw[:4]) == grantMagic && KeyID(raw[6:14]) == key
}

func grantInfo(repo [16]byte, key KeyID, number uint64) []byte {
	info := append([]byte(grantContext), suite)
	info = append(info, repo[:]...)
	info = append(info, key[:]...)
	return binary.BigEndian.AppendUint64(info, number)
}

func grantMessage(repo [16]byte, signed []byte) []byte {
	return append(append([]byte(grantContext), repo[:]...), signed...)
}

func encodeGrant(t *Trust, owner ed25519.PrivateKey, p *Principal, b *bundle) ([]byte, error) {
	plain := b.marshal()
	defer clear(plain)
	public, err := parseSealing(p.Sealing)
	if err != nil {
		return nil, fmt.Errorf("grant of key %s: %w", p.ID, err)
	}
	n, hash := t.Head()
	sealed, err := sealTo(public, grantInfo(t.repository, p.ID, n), plain)
	if err != nil {
		return nil, fmt.Errorf("seal grant of key %s: %w", p.ID, err)
	}
	out := append(append([]byte(nil), grantMagic[:]...), grantVersion, suite)
	out = append(out, p.ID[:]...)
	out = binary.BigEndian.AppendUint64(out, n)
	out = append(out, hash[:]...)
	out = append(out, sealed...)
	out = append(out, ed25519.Sign(owner, grantMessage(t.repository, out))...)
	if len(out) > MaxGrant {
		return nil, fmt.Errorf("grant of key %s of %d bytes is over the limit of %d", p.ID, len(out), MaxGrant)
	}
	return out, nil
}

// decodeGrant checks the owner's signature before anything else is looked at.
func decodeGrant(t *Trust, raw []byte) (*grant, error) {
	if len(raw) < grantHead+hpkeOverhead+ed25519.SignatureSize || len(raw) > MaxGrant || [4]byte(raw[:4]) != grantMagic {
		return nil, fmt.Errorf("no grant in these %d bytes", len(raw))
	}
	signed, signature := raw[:len(raw)-ed25519.SignatureSize], raw[len(raw)-ed25519.SignatureSize:]
	if !ed25519.Verify(t.owner, grantMessage(t.repository, signed), signature) {
		return nil, errors.New("not signed by the repository's owner")
	}
	if signed[4] > grantVersion || signed[5] > suite {
		return nil, fmt.Errorf("grant of version %d, suite %d: %w", signed[4], signed[5], pack.ErrNewer)
	}
	return &grant{key: KeyID(signed[6:14]), number: binary.BigEndian.Uint64(signed[14:]), hash: [32]byte(signed[22:54]),
		sealed: signed[grantHead:]}, nil
}

// holds reports whether the statement of the grant is part of the log.
func (g *grant) holds(t *Trust) bool { return t.Covers(g.number, g.hash) == nil }

func (g *grant) open(t *Trust, self *identity, p *Principal) (*bundle, error) {
	plain, err := openWith(self.sealing, grantInfo(t.repository, g.key, g.number), g.sealed)
	if err != nil {
		return nil, errors.New("it does not open with the key it was made for")
	}
	defer clear(plain)
	b := &bundle{role: p.Role}
	if err := b.unmarshal(plain); err != nil {
		return nil, err
	}
	return b, nil
}

// bundle is the content of a grant, in the grammar of package wire:
//
//	role     1 byte
//	owner    32 signing seed; 32 id secret; 32 index secret; seals
//	reader   32 id secret; 32 index secret; seals
//	keeper   32 index secret
//	writer   count, domains: label; count, generations from 1: 32 id, 32 chunker, 32 index, 32 names
//	seals    count: 8 seal key id, 32 private key
type bundle struct {
	role    Role
	owner   ed25519.PrivateKey
	secrets rootSecrets
	seals   []sealPrivate
	domains map[string][]domainKeys
	labels  []string // of domains, sorted
}

type sealPrivate struct {
	id      SealKeyID
	private [hpkePrivateSize]byte
}

func (s *sealPrivate) key() (hpke.PrivateKey, error) {
	k, err := kem().NewPrivateKey(s.private[:])
	if err != nil {
		return nil, fmt.Errorf("seal key %s is no valid private key", s.id)
	}
	return k, nil
}

func (b *bundle) marshal() []byte {
	var e wire.Encoder
	e.Byte(b.role.code())
	if b.role == RoleOwner {
		e.Fixed(b.owner.Seed())
	}
	if b.role.opensContent() {
		e.Fixed(b.secrets.id[:])
	}
	if b.role != RoleWriter {
		e.Fixed(b.secrets.index[:])
	} else {
		b.marshalDomains(&e)
	}
	if b.role.opensContent() {
		e.Count(len(b.seals))
		for _, s := range b.seals {
			e.Fixed(s.id[:])
			e.Fixed(s.private[:])
		}
	}
	return e.Out()
}

func (b *bundle) marshalDomains(e *wire.Encoder) {
	e.Count(len(b.labels))
	for _, l := range b.labels {
		e.String(l)
		e.Count(len(b.domains[l]))
		for _, k := range b.domains[l] {
			for _, f := range k.fields() {
				e.Fixed(f[:])
			}
		}
	}
}

func (b *bundle) unmarshal(plain []byte) error {
	d := wire.NewDecoder(plain)
	if code := d.Byte(); code != b.role.code() {
		d.Invalid("grant for another role than %s", b.role)
	}
	if b.role == RoleOwner {
		if seed := d.Fixed(seedSize); seed != nil {
			b.owner = ed25519.NewKeyFromSeed(seed)
		}
	}
	if b.role.opensContent() {
		b.secrets.id = new([32]byte)
		d.Array(b.secrets.id[:])
	}
	if b.role != RoleWriter {
		b.secrets.index = new([32]byte)
		d.Array(b.secrets.index[:])
	} else {
		b.unmarshalDomains(d)
	}
	if b.role.opensContent() {
		for range d.Count(maxSealKeys, 8+hpkePrivateSize) {
			var s sealPrivate
			d.Array(s.id[:])
			d.Array(s.private[:])
			b.seals = append(b.seals, s)
		}
	}
	return d.Done()
}

func (b *bundle) unmarshalDomains(d *wire.Decoder) {
	const keysSize = 4 * 32
	b.domains = map[string][]domainKeys{}
	for range d.Count(maxDomains, 2+keysSize) {
		label := d.String(maxLabel)
		n := d.Count(maxGeneration, keysSize)
		if _, twice := b.domains[label]; twice || n == 0 {
			d.Invalid("domain without keys, or twice")
		}
		if d.Err() != nil {
			return
		}
		generations := make([]domainKeys, n)
		for i := range generations {
			for _, f := range generations[i].fields() {
				d.Array(f[:])
			}
		}
		b.labels, b.domains[label] = append(b.labels, label), generations
	}
}

func (b *bundle) seal(id SealKeyID) *sealPrivate {
	for i := range b.seals {
		if b.seals[i].id == id {
			return &b.seals[i]
		}
	}
	return nil
}

// lacks says what the trust log has that the bundle does not carry; "" if nothing.
func (b *bundle) lacks(t *Trust, p *Principal) string {
	if b.role.opensContent() {
		for _, s := range t.SealKeys() {
			if !s.Retired && b.seal(s.ID) == nil {
				return "seal key " + s.ID.String()
			}
		}
	}
	for _, label := range p.Domains {
		if have, want := len(b.domains[label]), t.Generation(label); uint64(have) < uint64(want) {
			return fmt.Sprintf("generation %d of domain %s", want, label)
		}
	}
	return ""
}

// exact reports whether the bundle carries what the trust log says and nothing that was retired, so that no newer grant
// can say anything else.
func (b *bundle) exact(t *Trust, p *Principal) bool {
	live := 0
	for _, s := range t.SealKeys() {
		if !s.Retired {
			live++
		}
	}
	return b.lacks(t, p) == "" && (!b.role.opensContent() || len(b.seals) == live)
}
