package roles

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"cbk/pack"
	"cbk/pack/wire"
)

// A loan is what somebody who reads everything lends to a machine for one restore. It is sent, never stored:
//
//	offset  size  field
//	0       4     magic "cbkL"
//	4       1     format version
//	5       1     suite
//	6       16    repository id
//	22      32    owner's public key
//	54      n     content
//	54+n    72    signature of the lender (Signature) over everything before it, in the context "loan"
//
// The content, in the grammar of package wire:
//
//	head      number of the newest trust statement the lender knows; its 32-byte SHA-256
//	notAfter  seconds since 1970, after which it is not opened any more
//	domains   count, sorted: label; 32 names key; count, generations from 1: 32 index key;
//	          count, sessions sorted: 16 session id, 32 data key
//
// There is no id and no chunker key in it: what a blob is called is in the additional data of its seal, so that who only
// reads need not compute names, and cannot try whether guessed content is there. The signature is what makes notAfter the
// lender's word and not the carrier's.
const (
	loanVersion = 0
	loanHead    = 54
	loanContext = "loan"

	// maxLoanSessions bounds the sessions of one loan: hourly backups of seven years, each of which left something.
	maxLoanSessions = 64 << 10

	// MaxLoan bounds a loan as read, in bytes: maxLoanSessions take 3 MiB.
	MaxLoan = 4 << 20

	// maxLoanTime bounds notAfter: the end of the year 9999, the last that RFC 3339 can print.
	maxLoanTime = 253402300799
)

var loanMagic = [4]byte{'c', 'b', 'k', 'L'}

// Lending is, by domain, the data keys of the sessions to lend.
type Lending map[string]map[pack.SessionID]*pack.Key

// Loan is a loan as read. It prints without its secrets.
type Loan struct {
	Repository [16]byte
	Owner      ed25519.PublicKey // what the repository's config has to name
	Lender     KeyID
	Domains    []string // sorted
	NotAfter   time.Time
	HeadNumber uint64 // newest statement of the trust log that the lender knew
	HeadHash   [32]byte

	domains   map[string][]domainKeys // index keys, and in the first generation the names key
	sessions  map[lentSession]*pack.Key
	signed    []byte
	signature Signature
}

// lentSession names a session together with its domain, as the sealed form of its key does.
type lentSession struct {
	domain string
	id     pack.SessionID
}

// Lend returns a loan: the data keys given, and the keys to the structure of their domains. It opens until notAfter, and
// ends earlier if the lender is revoked. The error matches ErrRole unless the key opens content of its own.
func (k *Keyring) Lend(notAfter time.Time, what Lending) ([]byte, error) {
	if !k.Role().opensContent() {
		return nil, fmt.Errorf("lend as %s: %w", k.Role(), ErrRole)
	}
	if len(what) == 0 || len(what) > maxDomains {
		return nil, fmt.Errorf("loan of %d domains, it takes 1 to %d", len(what), maxDomains)
	}
	if s := notAfter.Unix(); s < 0 || s > maxLoanTime {
		return nil, fmt.Errorf("loan until %s", notAfter)
	}
	l := &Loan{Repository: k.trust.repository, Owner: k.trust.owner, Domains: slices.Sorted(maps.Keys(what)),
		NotAfter: notAfter, domains: map[string][]domainKeys{}, sessions: map[lentSession]*pack.Key{}}
	l.HeadNumber, l.HeadHash = k.trust.Head()
	for _, label := range l.Domains {
		if err := l.lend(k, label, what[label]); err != nil {
			return nil, err
		}
	}
	if len(l.sessions) > maxLoanSessions {
		return nil, fmt.Errorf("loan of %d sessions, at most %d: lend for fewer tables at a time", len(l.sessions), maxLoanSessions)
	}
	body := l.encode()
	out := append(body, k.Sign(loanContext, body).Bytes()...)
	if len(out) > MaxLoan {
		clear(out)
		return nil, fmt.Errorf("loan of %d bytes, at most %d: lend for fewer tables at a time", len(out), MaxLoan)
	}
	return out, nil
}

// lend adds one domain.
func (l *Loan) lend(k *Keyring, label string, sessions map[pack.SessionID]*pack.Key) error {
	if err := checkLabel(label); err != nil {
		return err
	}
	for g := range k.trust.Generation(label) {
		keys, err := k.domainKeys(label, g+1)
		if err != nil {
			return err
		}
		l.domains[label] = append(l.domains[label], keys)
	}
	for id, key := range sessions {
		l.sessions[lentSession{label, id}] = key
	}
	return nil
}

func (l *Loan) encode() []byte {
	var e wire.Encoder
	e.Fixed(loanMagic[:])
	e.Byte(loanVersion)
	e.Byte(suite)
	e.Fixed(l.Repository[:])
	e.Fixed(l.Owner)
	e.Uvarint(l.HeadNumber)
	e.Fixed(l.HeadHash[:])
	e.Uvarint(uint64(l.NotAfter.Unix()))
	e.Count(len(l.Domains))
	for _, label := range l.Domains {
		l.encodeDomain(&e, label)
	}
	return e.Out()
}

func (l *Loan) encodeDomain(e *wire.Encoder, label string) {
	keys := l.domains[label]
	e.String(label)
	e.Fixed(keys[0].names[:])
	e.Count(len(keys))
	for i := range keys {
		e.Fixed(keys[i].index[:])
	}
	var ids []pack.SessionID
	for s := range l.sessions {
		if s.domain == label {
			ids = append(ids, s.id)
		}
	}
	slices.SortFunc(ids, compareSessions)
	e.Count(len(ids))
	for _, id := range ids {
		e.Fixed(id[:])
		e.Fixed(l.sessions[lentSession{label, id}].Secret[:])
	}
}

func compareSessions(a, b pack.SessionID) int { return bytes.Compare(a[:], b[:]) }

// ParseLoan reads a loan, whose signature Open checks. Errors match ErrLoan or pack.ErrNewer and never show content. It
// keeps raw.
func ParseLoan(raw []byte) (*Loan, error) {
	if len(raw) < loanHead+SignatureSize || len(raw) > MaxLoan || [4]byte(raw[:4]) != loanMagic {
		return nil, fmt.Errorf("no loan in these %d bytes: %w", len(raw), ErrLoan)
	}
	if raw[4] > loanVersion || raw[5] > suite {
		return nil, fmt.Errorf("loan of version %d, suite %d: %w", raw[4], raw[5], pack.ErrNewer)
	}
	l := &Loan{signed: raw[:len(raw)-SignatureSize], domains: map[string][]domainKeys{}, sessions: map[lentSession]*pack.Key{}}
	var err error
	if l.signature, err = ParseSignature(raw[len(l.signed):]); err != nil {
		return nil, fmt.Errorf("loan: %w: %w", err, ErrLoan)
	}
	l.Lender = l.signature.KeyID
	if raw[5] != suite || l.decode(wire.NewDecoder(l.signed[6:])) != nil {
		return nil, fmt.Errorf("its content is malformed: %w", ErrLoan)
	}
	return l, nil
}

func (l *Loan) decode(d *wire.Decoder) error {
	d.Array(l.Repository[:])
	l.Owner = bytes.Clone(d.Fixed(ed25519.PublicKeySize))
	l.HeadNumber = d.Uvarint(MaxStatements)
	d.Array(l.HeadHash[:])
	l.NotAfter = time.Unix(int64(d.Uvarint(maxLoanTime)), 0).UTC()
	const least = 2 + 32 + 1 + 32 + 1 // label, names key, one generation, no session
	for range d.Count(maxDomains, least) {
		if l.decodeDomain(d); d.Err() != nil {
			break
		}
	}
	if d.Err() == nil && len(l.Domains) == 0 {
		d.Invalid("loan of no domain")
	}
	return d.Done()
}

func (l *Loan) decodeDomain(d *wire.Decoder) {
	label := d.String(maxLabel)
	if n := len(l.Domains); d.Err() == nil && (checkLabel(label) != nil || n > 0 && l.Domains[n-1] >= label) {
		d.Invalid("domains are not sorted labels, each once")
	}
	var names [32]byte
	d.Array(names[:])
	keys := make([]domainKeys, d.Count(maxGeneration, 32))
	for i := range keys {
		d.Array(keys[i].index[:])
	}
	if len(keys) == 0 {
		d.Invalid("domain without keys")
		return
	}
	keys[0].names = names
	l.Domains, l.domains[label] = append(l.Domains, label), keys
	var last pack.SessionID
	for i := range d.Count(maxLoanSessions-len(l.sessions), len(last)+32) {
		var id pack.SessionID
		d.Array(id[:])
		if i > 0 && compareSessions(last, id) >= 0 {
			d.Invalid("sessions are not sorted, each once")
		}
		key := &pack.Key{ID: [8]byte(id[:8])}
		d.Array(key.Secret[:])
		l.sessions[lentSession{label, id}], last = key, id
	}
}

// WithLoan opens with a loan, unless now is after its end. A restore under way is not asked again.
func WithLoan(l *Loan, now time.Time) Unlock { return Unlock{loan: l, now: now} }

// open checks the loan and makes a keyring of it.
func (l *Loan) open(t *Trust, now time.Time) (*Keyring, error) {
	if now.After(l.NotAfter) {
		return nil, fmt.Errorf("loan of key %s until %s: %w", l.Lender, l.NotAfter.Format(time.RFC3339), ErrExpired)
	}
	return l.keyring(t)
}

// keyring judges the loan by a trust log: that log must cover the one the lender knew, and the lender must still be one.
func (l *Loan) keyring(t *Trust) (*Keyring, error) {
	if l.Repository != t.repository || !l.Owner.Equal(t.owner) {
		return nil, fmt.Errorf("loan of key %s: %w", l.Lender, ErrWrongRepository)
	}
	if err := t.Covers(l.HeadNumber, l.HeadHash); err != nil {
		return nil, err
	}
	err := t.Verify(l.signature, loanContext, l.signed, May("", RoleOwner, RoleReader))
	switch {
	case errors.Is(err, ErrRevoked):
		return nil, fmt.Errorf("loan of a key that ended: %w", err)
	case err != nil:
		return nil, fmt.Errorf("loan: %w: %w", err, ErrLoan)
	}
	p := &Principal{Role: RoleBorrower, Domains: l.Domains}
	return &Keyring{trust: t, principal: p, bundle: &bundle{role: RoleBorrower, domains: l.domains, labels: l.Domains}, loan: l}, nil
}

// session returns a copy of a lent data key.
func (l *Loan) session(domain string, id pack.SessionID) (*pack.Key, error) {
	lent, ok := l.sessions[lentSession{domain, id}]
	if !ok {
		return nil, fmt.Errorf("session %x of domain %s: %w", id[:4], domain, ErrNotLent)
	}
	key := *lent
	return &key, nil
}
