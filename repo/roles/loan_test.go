package roles

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/pack/wire"
)

var (
	today    = time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)
	tomorrow = today.Add(24 * time.Hour)
)

// lent is a loan of one session each of the domains "a" and "b", and who lent it.
type lent struct {
	v        *vault
	lender   *Keyring
	writer   *Keyring
	what     Lending
	sessions map[string]pack.Session
	raw      []byte
}

func newLent(t *testing.T) *lent {
	t.Helper()
	v := newVault(t)
	l := &lent{v: v, writer: v.open(WithKeyFile(v.export(RoleWriter, "a", "b", "c"))), what: Lending{}, sessions: map[string]pack.Session{}}
	gone := v.export(RoleWriter, "a")
	v.put(v.owner.Revoke(gone.KeyID, nil)) // domain a is in generation 2
	for _, label := range []string{"a", "b"} {
		key, s := session(t, l.writer, label)
		l.what[label], l.sessions[label] = map[pack.SessionID]*pack.Key{s.ID: key}, s
	}
	l.lender = v.open(WithKeyFile(v.export(RoleReader)))
	l.raw = l.lend(t)
	return l
}

func (l *lent) lend(t *testing.T) []byte {
	t.Helper()
	raw, err := l.lender.Lend(tomorrow, l.what)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func parsed(t testing.TB, raw []byte) *Loan {
	t.Helper()
	l, err := ParseLoan(bytes.Clone(raw))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lent) borrow(t *testing.T) *Keyring {
	t.Helper()
	return l.v.open(WithLoan(parsed(t, l.raw), today))
}

func TestALoanOpensTheSessionsLentAndNoOthers(t *testing.T) {
	l := newLent(t)
	k := l.borrow(t)
	for label, s := range l.sessions {
		if !reads(t, k, label, s, l.what[label][s.ID]) {
			t.Errorf("the session lent of domain %s does not open", label)
		}
	}
	_, other := session(t, l.writer, "a")
	overlays := func(SealKeyID) ([]byte, error) { t.Error("a borrower asks for an overlay"); return nil, nil }
	for name, c := range map[string]struct {
		domain string
		s      pack.Session
	}{
		"another session":              {"a", other},
		"a session of another domain":  {"b", l.sessions["a"]},
		"a domain of which is nothing": {"c", l.sessions["a"]},
	} {
		if key, err := k.OpenSession(c.domain, c.s, overlays); !errors.Is(err, ErrNotLent) || key != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABorrowerDoesNothingButRead(t *testing.T) {
	v := newVault(t)
	all := deeds(t, v)
	lender := v.open(WithKeyFile(v.export(RoleReader)))
	raw, err := lender.Lend(tomorrow, Lending{"own": nil})
	if err != nil {
		t.Fatal(err)
	}
	k := v.open(WithLoan(parsed(t, raw), today))
	for deed, do := range all {
		want := ErrRole
		switch deed {
		case "own keys", "own generations":
			want = nil
		case "open":
			want = ErrNotLent
		}
		if err := do(k); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", deed, err, want)
		}
	}
	if _, err := k.Whole(); !errors.Is(err, ErrRole) {
		t.Errorf("the keys of the whole: %v", err)
	}
	if _, err := k.Lend(tomorrow, Lending{"own": nil}); !errors.Is(err, ErrRole) {
		t.Errorf("a borrower lends: %v", err)
	}
	sig := k.Sign("root", []byte("x"))
	if err := v.trust().Verify(sig, "root", []byte("x"), May("own", RoleOwner, RoleReader, RoleWriter)); !errors.Is(err, ErrUnknownSigner) {
		t.Errorf("a borrower's signature: %v", err)
	}
	if k.Role() != RoleBorrower || k.KeyID() != (KeyID{}) || !slices.Equal(k.Domains(), []string{"own"}) || !k.Bound() ||
		!k.Sees("own") || k.Sees("foreign") || k.Sees(Whole) {
		t.Errorf("%v of domains %v", k, k.Domains())
	}
}

// The keys of a domain's structure come with a loan, in all generations. Those that name content do not.
func TestABorrowerCannotNameContent(t *testing.T) {
	l := newLent(t)
	k := l.borrow(t)
	for label, generations := range map[string]int{"a": 2, "b": 1} {
		mine, err := k.Generations(label)
		if err != nil || len(mine) != generations {
			t.Fatalf("%d generations of %s: %v", len(mine), label, err)
		}
		whole, err := l.lender.Generations(label)
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range mine {
			if *d.Index != *whole[i].Index || d.Generation != whole[i].Generation || d.SnapshotID("x", 3) != whole[i].SnapshotID("x", 3) {
				t.Errorf("domain %s: its keys are not those of the lender", d)
			}
			if d.Hasher != nil || d.Polynomial != 0 {
				t.Errorf("%s names content", d)
			}
		}
	}
	for label := range l.what {
		for g := range uint32(2) {
			secret, err := l.lender.domainKeys(label, g+1)
			if err != nil {
				t.Fatal(err)
			}
			for name, key := range map[string][32]byte{"id": secret.id, "chunker": secret.chunker} {
				if bytes.Contains(l.raw, key[:]) {
					t.Errorf("the %s key of domain %s is in the loan", name, label)
				}
			}
		}
	}
	for name, secret := range map[string][]byte{"id secret": l.lender.bundle.secrets.id[:], "index secret": l.lender.bundle.secrets.index[:],
		"seal key": l.lender.bundle.seals[0].private[:], "lender's key": l.lender.self.signing.Seed()} {
		if bytes.Contains(l.raw, secret) {
			t.Errorf("the %s is in the loan", name)
		}
	}
}

func TestALoanSaysWhereItBelongsAndWhoLentIt(t *testing.T) {
	l := newLent(t)
	got := parsed(t, l.raw)
	n, hash := l.v.trust().Head()
	if got.Repository != l.v.id || !got.Owner.Equal(l.v.public()) || got.Lender != l.lender.KeyID() || got.HeadNumber != n || got.HeadHash != hash {
		t.Errorf("%+v", got)
	}
	if d := cmp.Diff([]string{"a", "b"}, got.Domains); d != "" || !got.NotAfter.Equal(tomorrow) {
		t.Errorf("until %s, domains %s", got.NotAfter, d)
	}
}

func TestALoanIsRefused(t *testing.T) {
	l := newLent(t)
	other := newLent(t)
	old := l.v.trust()
	young := l.v.export(RoleReader) // a statement that the older log lacks
	after, err := l.v.open(WithKeyFile(young)).Lend(tomorrow, l.what)
	if err != nil {
		t.Fatal(err)
	}
	open := func(v *vault, trust *Trust, raw []byte, now time.Time) error {
		_, err := Open(v.id, v.public(), trust, v.keys(), WithLoan(parsed(t, raw), now))
		return err
	}
	ended := l.v.export(RoleReader)
	fromEnded, err := l.v.open(WithKeyFile(ended)).Lend(tomorrow, l.what)
	if err != nil {
		t.Fatal(err)
	}
	l.v.put(l.v.owner.Revoke(ended.KeyID, nil))
	for name, c := range map[string]struct{ got, want error }{
		"at its last second":            {open(l.v, l.v.trust(), l.raw, tomorrow), nil},
		"a second later":                {open(l.v, l.v.trust(), l.raw, tomorrow.Add(time.Second)), ErrExpired},
		"in another repository":         {open(other.v, other.v.trust(), l.raw, today), ErrWrongRepository},
		"by an older trust log":         {open(l.v, old, after, today), ErrRolledBack},
		"of a key that was revoked":     {open(l.v, l.v.trust(), fromEnded, today), ErrRevoked},
		"signed by a writer":            {open(l.v, l.v.trust(), l.signedBy(l.writer), today), ErrLoan},
		"signed by a borrower":          {open(l.v, l.v.trust(), l.signedBy(l.borrow(t)), today), ErrLoan},
		"signed by another lender":      {open(l.v, l.v.trust(), l.signedBy(other.lender), today), ErrLoan},
		"signed by whom nothing was of": {open(l.v, l.v.trust(), l.signedBy(l.lender), today), nil},
	} {
		if !errors.Is(c.got, c.want) || c.want == nil && c.got != nil {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

// signedBy puts another signature under the loan.
func (l *lent) signedBy(k *Keyring) []byte {
	body := bytes.Clone(l.raw[:len(l.raw)-SignatureSize])
	return append(body, k.Sign(loanContext, body).Bytes()...)
}

func TestNoByteOfALoanCanBeChanged(t *testing.T) {
	l := newLent(t)
	trust := l.v.trust()
	try := func(raw []byte) error {
		loan, err := ParseLoan(raw)
		if err == nil {
			_, err = Open(l.v.id, l.v.public(), trust, l.v.keys(), WithLoan(loan, today))
		}
		return err
	}
	if err := try(bytes.Clone(l.raw)); err != nil {
		t.Fatal(err)
	}
	for i := range l.raw {
		changed := bytes.Clone(l.raw)
		changed[i] ^= 1
		err := try(changed)
		if err == nil {
			t.Fatalf("byte %d changed: it opens", i)
		}
		if text := err.Error(); bytes.Contains([]byte(text), []byte(hex.EncodeToString(l.what["a"][l.sessions["a"].ID].Secret[:8]))) {
			t.Fatalf("byte %d changed: %s", i, text)
		}
	}
	for n := range l.raw {
		if err := try(bytes.Clone(l.raw[:n])); !errors.Is(err, ErrLoan) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if err := try(append(bytes.Clone(l.raw), 0)); !errors.Is(err, ErrLoan) {
		t.Fatalf("a byte longer: %v", err)
	}
	if _, err := ParseLoan(make([]byte, MaxLoan+1)); !errors.Is(err, ErrLoan) {
		t.Errorf("too large: %v", err)
	}
	newer := bytes.Clone(l.raw)
	newer[4]++
	if err := try(newer); !errors.Is(err, pack.ErrNewer) {
		t.Errorf("a later version: %v", err)
	}
}

func TestWhatALenderSignsIsStillBounded(t *testing.T) {
	key := func(b byte) *pack.Key { return &pack.Key{Secret: [32]byte{b}} }
	good := func() *Loan {
		return &Loan{Owner: make([]byte, 32), Domains: []string{"a", "b"}, NotAfter: today,
			domains:  map[string][]domainKeys{"a": make([]domainKeys, 1), "b": make([]domainKeys, 2)},
			sessions: map[lentSession]*pack.Key{{"a", pack.SessionID{1}}: key(1), {"a", pack.SessionID{2}}: key(2)}}
	}
	parse := func(body []byte) error {
		_, err := ParseLoan(append(body, make([]byte, SignatureSize)...))
		return err
	}
	if err := parse(good().encode()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Loan){
		"no domain":                  func(l *Loan) { l.Domains = nil },
		"domains not sorted":         func(l *Loan) { l.Domains = []string{"b", "a"} },
		"a domain twice":             func(l *Loan) { l.Domains = []string{"a", "a"} },
		"a label that is none":       func(l *Loan) { l.Domains = []string{"A"}; l.domains["A"] = l.domains["a"] },
		"a head out of all logs":     func(l *Loan) { l.HeadNumber = MaxStatements + 1 },
		"a time that cannot be said": func(l *Loan) { l.NotAfter = time.Unix(maxLoanTime+1, 0) },
	} {
		l := good()
		spoil(l)
		if err := parse(l.encode()); !errors.Is(err, ErrLoan) {
			t.Errorf("%s: %v", name, err)
		}
	}
	body := good().encode()
	one, two := sessionBytes(1), sessionBytes(2)
	keys := append([]byte{2}, make([]byte, 2*32+1)...) // the end of domain b: two generations, no session
	for name, changed := range map[string][]byte{
		"sessions not sorted":   bytes.Replace(body, slices.Concat(one, two), slices.Concat(two, one), 1),
		"a session twice":       bytes.Replace(body, two, one, 1),
		"a domain without keys": append(bytes.TrimSuffix(bytes.Clone(body), keys), 0, 0),
		"suite 0":               append(append(bytes.Clone(body[:5]), 0), body[6:]...),
	} {
		if bytes.Equal(changed, body) {
			t.Errorf("%s: nothing was changed", name)
		}
		if err := parse(changed); !errors.Is(err, ErrLoan) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sessionBytes are the id and key of a session as they stand in a loan.
func sessionBytes(b byte) []byte {
	out := make([]byte, 16+32)
	out[0], out[16] = b, b
	return out
}

func TestOnlyWhoReadsEverythingLends(t *testing.T) {
	l := newLent(t)
	for role, domains := range map[Role][]string{RoleWriter: {"a"}, RoleKeeper: nil} {
		if _, err := l.v.open(WithKeyFile(l.v.export(role, domains...))).Lend(tomorrow, l.what); !errors.Is(err, ErrRole) {
			t.Errorf("a %s lends: %v", role, err)
		}
	}
	if _, err := l.v.open(WithKeyFile(l.v.export(RoleOwner))).Lend(tomorrow, l.what); err != nil {
		t.Errorf("an owner: %v", err)
	}
	many := map[pack.SessionID]*pack.Key{}
	for i := range maxLoanSessions + 1 {
		many[pack.SessionID{byte(i), byte(i >> 8), byte(i >> 16)}] = &pack.Key{}
	}
	domains := Lending{}
	for i := range maxDomains + 1 {
		domains[fmt.Sprint(i)] = nil
	}
	for name, c := range map[string]struct {
		until time.Time
		what  Lending
	}{
		"nothing":               {tomorrow, nil},
		"too many domains":      {tomorrow, domains},
		"no label of a domain":  {tomorrow, Lending{"A": nil}},
		"too many sessions":     {tomorrow, Lending{"a": many}},
		"a time before all":     {time.Unix(-1, 0), l.what},
		"a time after all time": {time.Unix(maxLoanTime+1, 0), l.what},
	} {
		if raw, err := l.lender.Lend(c.until, c.what); err == nil || raw != nil {
			t.Errorf("%s: %d bytes", name, len(raw))
		}
	}
	delete(many, pack.SessionID{})
	raw, err := l.lender.Lend(tomorrow, Lending{"a": many})
	if err != nil || len(parsed(t, raw).sessions) != maxLoanSessions {
		t.Errorf("as many sessions as there may be: %v", err)
	}
}

func TestALoanLivesOnlyAsLongAsTheTrustLogLetsIt(t *testing.T) {
	l := newLent(t)
	k := l.borrow(t)
	before := l.v.trust()
	l.v.put(l.v.owner.SetSettings([]byte(`{}`)))
	more, err := k.Renew(l.v.trust(), l.v.keys())
	if err != nil || !reads(t, more, "a", l.sessions["a"], l.what["a"][l.sessions["a"].ID]) {
		t.Fatalf("after a statement that has nothing to do with it: %v", err)
	}
	if _, err := more.Renew(before, l.v.keys()); !errors.Is(err, ErrRolledBack) {
		t.Errorf("an older log: %v", err)
	}
	l.v.put(l.v.owner.Revoke(l.writer.KeyID(), nil))
	if more, err = k.Renew(l.v.trust(), l.v.keys()); err != nil {
		t.Fatal(err)
	}
	if _, err := more.Domain("b"); !errors.Is(err, ErrStale) {
		t.Errorf("a generation younger than the loan: %v", err)
	}
	l.v.put(l.v.owner.Revoke(l.lender.KeyID(), nil))
	if _, err := k.Renew(l.v.trust(), l.v.keys()); !errors.Is(err, ErrRevoked) {
		t.Errorf("the lender was revoked: %v", err)
	}
}

// What a borrower does with a key stays its own: the next one gets it whole.
func TestAKeyThatIsClearedStaysInTheLoan(t *testing.T) {
	l := newLent(t)
	k := l.borrow(t)
	s := l.sessions["b"]
	key, err := k.OpenSession("b", s, nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(key.Secret[:])
	if !reads(t, k, "b", s, l.what["b"][s.ID]) {
		t.Error("it opens no more")
	}
}

func TestALoanHasTheseBytes(t *testing.T) {
	l := &Loan{Repository: [16]byte{1}, Owner: bytes.Repeat([]byte{2}, 32), Domains: []string{"node-1"}, NotAfter: time.Unix(300, 0),
		HeadNumber: 4, HeadHash: [32]byte{5},
		domains:  map[string][]domainKeys{"node-1": {{index: [32]byte{6}, names: [32]byte{7}, id: [32]byte{8}, chunker: [32]byte{9}}, {index: [32]byte{10}}}},
		sessions: map[lentSession]*pack.Key{{"node-1", pack.SessionID{12}}: {Secret: [32]byte{13}}, {"node-1", pack.SessionID{11}}: {Secret: [32]byte{14}}}}
	pad := func(b byte, n int) []byte { return append([]byte{b}, make([]byte, n-1)...) }
	var e wire.Encoder
	e.Fixed([]byte{'c', 'b', 'k', 'L', 0, 1})
	e.Fixed(pad(1, 16))
	e.Fixed(bytes.Repeat([]byte{2}, 32))
	e.Fixed([]byte{4})
	e.Fixed(pad(5, 32))
	e.Fixed([]byte{0xac, 0x02, 1, 6})
	e.Fixed([]byte("node-1"))
	e.Fixed(pad(7, 32))
	e.Fixed([]byte{2})
	e.Fixed(pad(6, 32))
	e.Fixed(pad(10, 32))
	e.Fixed([]byte{2})
	e.Fixed(pad(11, 16))
	e.Fixed(pad(14, 32))
	e.Fixed(pad(12, 16))
	e.Fixed(pad(13, 32))
	if d := cmp.Diff(hex.Dump(e.Out()), hex.Dump(l.encode())); d != "" {
		t.Error(d)
	}
}
