package roles

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"

	"cbk/pack"
)

// signed puts the owner's signature behind fuzzed bytes, so that the fuzzer reaches what lies behind the signature.
func signed(v *vault, b []byte, message func([16]byte, []byte) []byte) []byte {
	return append(bytes.Clone(b), ed25519.Sign(v.owner.bundle.owner, message(v.id, b))...)
}

func unsigned(b []byte) []byte { return b[:len(b)-ed25519.SignatureSize] }

// FuzzTrust feeds what the owner would have signed to a log: it is refused, naming the statement, or folds to the same
// state in a log parsed from scratch.
func FuzzTrust(f *testing.F) {
	v := newVault(&testing.T{})
	_, id, objects, err := v.owner.ExportKey(RoleWriter, []string{"a", "b"})
	v.put(objects, err)
	before := v.statements()
	more := func(objects []Object, err error) { v.put(objects, err) }
	more(v.owner.SetSettings([]byte(`{"x":[1,"<>"]}`)))
	more(v.owner.RotateSeal("a"))
	more(v.owner.Revoke(id, []LastRoot{{"a", 3, pack.ID{4}}}))
	more(v.owner.RetireSeal(v.owner.trust.SealKeys()[1].ID))
	for _, s := range v.statements() {
		f.Add(unsigned(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		trust, err := ParseTrust(v.id, v.public(), before)
		if err != nil {
			t.Fatal(err)
		}
		raw := signed(v, b, statementMessage)
		was := folded(trust)
		err = trust.Append(raw)
		var damage *DamagedObjectError
		if err != nil && !errors.Is(err, pack.ErrNewer) && (!errors.As(err, &damage) || damage.Name != "trust/4") {
			t.Fatalf("refused with %v", err)
		}
		n, _ := trust.Head()
		if err != nil && (n != 3 || len(folded(trust)) != len(was)) {
			t.Fatal("a refused statement left its mark")
		}
		if err == nil {
			again, err := ParseTrust(v.id, v.public(), append(before, raw))
			if err != nil || len(folded(again)) != len(folded(trust)) {
				t.Fatalf("parsed from scratch: %v", err)
			}
		}
	})
}

// FuzzSlot opens what the owner would have signed as a slot: damage is named, and what is well-formed has one encoding.
func FuzzSlot(f *testing.F) {
	v := newVault(&testing.T{})
	recovery, _ := Recovery()
	for _, w := range []Wrapping{Passphrase([]byte("sesame"), cheap), KMS(f.Context(), kmsURL), recovery} {
		_, objects, err := v.owner.AddSlot(RoleReader, w)
		v.put(objects, err)
	}
	for _, name := range v.names() {
		if data := v.objects[name]; bytes.HasPrefix(data, slotMagic[:]) {
			f.Add(unsigned(data))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		raw := signed(v, b, slotMessage)
		s, err := decodeSlot(v.id, v.public(), raw)
		if err != nil {
			return
		}
		if !bytes.Equal(s.encode(v.id, v.owner.bundle.owner), raw) {
			t.Fatal("a slot has two encodings")
		}
		if cost, _, err := parseCost(s.params); err == nil && cost.Time*cost.Memory > cheap.Memory {
			return // within bounds, but slow
		}
		o := Object{KeyObjectName(raw), raw}
		for _, u := range []Unlock{WithPassphrase([]byte("sesame")), WithKMS(t.Context(), kmsURL)} {
			if self, err := u.openSlots(v.owner.trust, one(o)); err == nil && self.id() != s.key {
				t.Fatal("a slot opens to another key")
			}
		}
	})
}

// FuzzGrant opens what the owner would have sealed as a grant: it is refused or has one encoding.
func FuzzGrant(f *testing.F) {
	v := newVault(&testing.T{})
	add := func(role Role, domains ...string) {
		p := &Principal{Role: role, Domains: domains}
		b, err := v.owner.begin().bundleFor(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.marshal())
	}
	add(RoleOwner)
	add(RoleReader)
	add(RoleKeeper)
	add(RoleWriter, "a", "b")
	f.Fuzz(func(t *testing.T, plain []byte) {
		if len(plain) == 0 {
			return
		}
		role, ok := roleOf(plain[0])
		if !ok {
			return
		}
		b := &bundle{role: role}
		if err := b.unmarshal(plain); err != nil {
			return
		}
		if !bytes.Equal(b.marshal(), plain) {
			t.Fatal("a bundle has two encodings")
		}
		raw := signed(v, plain, grantMessage)
		if g, err := decodeGrant(v.owner.trust, raw); err == nil {
			t.Fatalf("a bundle in the clear is taken for a grant of %s", g.key)
		}
	})
}

// FuzzKeyFile reads any text: it is refused without showing it, or is the one text of its content.
func FuzzKeyFile(f *testing.F) {
	v := newVault(&testing.T{})
	for role, domains := range map[Role][]string{RoleOwner: nil, RoleReader: nil, RoleWriter: {"a", "node-1"}} {
		text, _, objects, err := v.owner.ExportKey(role, domains)
		v.put(objects, err)
		f.Add(text)
	}
	f.Add([]byte(keyFileFirst + "\n\n" + keyFileChecksum))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParseKeyFile(text)
		if err != nil {
			if !errors.Is(err, ErrKeyFile) {
				t.Fatal(err)
			}
			return
		}
		again, err := k.encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseKeyFile(again); err != nil || back.KeyID != k.KeyID {
			t.Fatalf("its own text is refused: %v", err)
		}
	})
}

// FuzzLoan reads what a lender would have signed: it is refused, or has one encoding and opens.
func FuzzLoan(f *testing.F) {
	l := newLent(&testing.T{})
	small, err := l.lender.Lend(tomorrow, Lending{"node-1": nil})
	if err != nil {
		f.Fatal(err)
	}
	for _, raw := range [][]byte{l.raw, small} {
		f.Add(raw[:len(raw)-SignatureSize])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		raw := append(bytes.Clone(body), l.lender.Sign(loanContext, body).Bytes()...)
		loan, err := ParseLoan(raw)
		if err != nil {
			if !errors.Is(err, ErrLoan) && !errors.Is(err, pack.ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(loan.encode(), body) {
			t.Fatal("a loan has two encodings")
		}
		k, err := Open(l.v.id, l.v.public(), l.v.owner.trust, l.v.keys(), WithLoan(loan, loan.NotAfter))
		if err != nil && !errors.Is(err, ErrWrongRepository) && !errors.Is(err, ErrRolledBack) {
			t.Fatal(err)
		}
		for _, label := range loan.Domains {
			if err == nil && !k.Sees(label) {
				t.Fatalf("domain %s is lent and cannot be seen", label)
			}
		}
	})
}
