package roles

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cbk/pack"
)

// changes are an object with each of its bytes flipped in turn, and cut to lengths of all kinds.
func changes(data []byte) (out [][]byte) {
	for i := range data {
		for _, bit := range []byte{0x01, 0x80} {
			c := bytes.Clone(data)
			c[i] ^= bit
			out = append(out, c)
		}
	}
	for _, n := range []int{0, 1, 3, 4, 5, 8, 9, 53, 54, 64, 72, 73, len(data) / 2, len(data) - 64, len(data) - 1} {
		out = append(out, bytes.Clone(data[:min(n, len(data)-1)]))
	}
	return append(out, append(bytes.Clone(data), 0))
}

func TestEveryChangedStatementIsNamed(t *testing.T) {
	v := newVault(t)
	v.put(v.owner.SetSettings([]byte(`{}`)))
	all := v.statements()
	trust, err := ParseTrust(v.id, v.public(), all[:2])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes(all[2]) {
		wantDamage(t, "a changed statement", "trust/3", trust.Append(c))
	}
	if n, _ := trust.Head(); n != 2 {
		t.Errorf("%d statements", n)
	}
	if err := trust.Append(all[2]); err != nil {
		t.Error(err)
	}
}

// Every change is tried twice: under the old name, as a store damages objects, and under the name that fits the changed
// bytes, as a hostile one replaces them.
func TestEveryChangedSlotIsNamed(t *testing.T) {
	v := newVault(t)
	id := v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap))
	slots, _ := objectsOf(v, id)
	trust, u := v.trust(), WithPassphrase([]byte("sesame"))
	for _, c := range changes(v.objects[slots[0]]) {
		self, err := u.openSlots(trust, one(Object{slots[0], c}))
		wantDamage(t, "a changed slot", slots[0], err)
		if self != nil {
			t.Fatal("it opens")
		}
		if self, err := u.openSlots(trust, one(Object{KeyObjectName(c), c})); self != nil || err == nil {
			t.Fatal("a replaced slot opens")
		} else if bytes.HasPrefix(c, slotMagic[:]) {
			wantDamage(t, "a replaced slot", KeyObjectName(c), err)
		}
	}
}

func TestEveryChangedGrantIsNamed(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleReader)
	_, grants := objectsOf(v, f.KeyID)
	trust := v.trust()
	p, _ := trust.Principal(f.KeyID)
	for _, c := range changes(v.objects[grants[0]]) {
		b, err := findGrant(trust, f.self, p, one(Object{grants[0], c}))
		wantDamage(t, "a changed grant", grants[0], err)
		if b != nil {
			t.Fatal("it opens")
		}
		if b, err := findGrant(trust, f.self, p, one(Object{KeyObjectName(c), c})); b != nil || !errors.Is(err, ErrNoGrant) {
			t.Fatal("a replaced grant opens")
		} else if grantOf(c, f.KeyID) {
			wantDamage(t, "a replaced grant", KeyObjectName(c), err)
		}
	}
}

func TestEveryChangedKeyFileIsRefused(t *testing.T) {
	v := newVault(t)
	text := exported(t, v, RoleWriter, "a")
	for _, c := range changes(text) {
		if bytes.Equal(append(c, '\n'), text) {
			continue // only the last line end is gone
		}
		if _, err := ParseKeyFile(c); !errors.Is(err, ErrKeyFile) {
			t.Fatalf("%v for\n%q", err, c)
		}
	}
}

func TestEveryChangedSealedSessionIsRefused(t *testing.T) {
	v := newVault(t)
	k := v.open(WithKeyFile(v.export(RoleOwner)))
	_, s := session(t, k, "a")
	for _, c := range changes(s.Sealed) {
		_, err := k.OpenSession("a", pack.Session{ID: s.ID, Sealed: c}, nil)
		if !errors.Is(err, pack.ErrAuthentication) && !errors.Is(err, ErrNoSealKey) {
			t.Fatalf("changed sealed key: %v", err)
		}
	}
}

func TestDamageNextToWhatIsNeededDoesNoHarm(t *testing.T) {
	v := newVault(t)
	v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap))
	other := v.slot(RoleReader, Passphrase([]byte("other"), cheap))
	slots, grants := objectsOf(v, other)
	v.objects[slots[0]][40] ^= 1
	v.objects[grants[0]][40] ^= 1
	v.open(WithPassphrase([]byte("sesame")))
	_, err := v.tryOpen(WithPassphrase([]byte("other")))
	if !errors.Is(err, ErrNoFit) || !strings.Contains(err.Error(), slots[0]+" is damaged") {
		t.Errorf("the error does not say that nothing opened and why: %v", err)
	}
	for name := range v.objects {
		if strings.HasPrefix(name, keysPrefix) {
			v.objects[name] = nil
		}
	}
	for i := range 100 {
		v.objects[fmt.Sprint(keysPrefix, i)] = nil
	}
	if _, err := v.tryOpen(WithPassphrase([]byte("other"))); strings.Count(err.Error(), "damaged") != maxTrouble {
		t.Errorf("a store full of damage is told as\n%v", err)
	}
}

func TestAnOlderGrantDoesNotHideThatTheNewestIsDamaged(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleReader)
	_, before := objectsOf(v, f.KeyID)
	v.put(v.owner.RotateSeal(""))
	_, after := objectsOf(v, f.KeyID)
	for _, name := range after {
		if name != before[0] {
			v.objects[name][100] ^= 1
			_, err := v.tryOpen(WithKeyFile(f))
			wantDamage(t, "an intact older grant", name, err)
		}
	}
}

// asGrant signs a grant as anybody.
func asGrant(t *testing.T, v *vault, signer ed25519.PrivateKey, p *Principal, b *bundle) Object {
	t.Helper()
	data, err := encodeGrant(v.trust(), signer, p, b)
	if err != nil {
		t.Fatal(err)
	}
	return Object{KeyObjectName(data), data}
}

func TestGrantsOfOthersAreRefused(t *testing.T) {
	v := newVault(t)
	thief, f := v.export(RoleWriter, "a"), v.export(RoleReader)
	trust, owner := v.trust(), v.owner.bundle.owner
	p, _ := trust.Principal(f.KeyID)
	good := &bundle{role: RoleReader, secrets: v.owner.bundle.secrets, seals: v.owner.bundle.seals}
	if _, err := findGrant(trust, f.self, p, one(asGrant(t, v, owner, p, good))); err != nil {
		t.Fatal(err)
	}
	forged := asGrant(t, v, thief.self.signing, p, good)
	_, err := findGrant(trust, f.self, p, one(forged))
	wantDamage(t, "signed by a writer", forged.Name, err)
	foreign := *p
	foreign.Sealing = thief.self.sealing.PublicKey().Bytes()
	sealedElse := asGrant(t, v, owner, &foreign, good)
	_, err = findGrant(trust, f.self, p, one(sealedElse))
	wantDamage(t, "sealed to another key", sealedElse.Name, err)
	promoted := *good
	promoted.role, promoted.owner = RoleOwner, owner
	otherRole := asGrant(t, v, owner, p, &promoted)
	_, err = findGrant(trust, f.self, p, one(otherRole))
	wantDamage(t, "for another role", otherRole.Name, err)
}

func TestOddBundlesAreRefused(t *testing.T) {
	writer := func(rest ...byte) []byte { return append([]byte{RoleWriter.code()}, rest...) }
	twice := append([]byte{2, 1, 'a', 1}, make([]byte, 128)...)
	twice = append(append(twice, 1, 'a', 1), make([]byte, 128)...)
	for name, c := range map[string]struct {
		role  Role
		plain []byte
	}{
		"nothing":                 {RoleWriter, nil},
		"another role":            {RoleKeeper, writer()},
		"keys cut short":          {RoleWriter, writer(append([]byte{1, 1, 'a', 1}, make([]byte, 127)...)...)},
		"a domain twice":          {RoleWriter, writer(twice...)},
		"a domain without keys":   {RoleWriter, writer(append([]byte{1, 1, 'a', 0}, make([]byte, 128)...)...)},
		"a million domains":       {RoleWriter, writer(0xff, 0xff, 0x3f)},
		"a million generations":   {RoleWriter, writer(append([]byte{1, 1, 'a', 0xff, 0xff, 0x3f}, make([]byte, 128)...)...)},
		"a label that never ends": {RoleWriter, writer(append([]byte{1, 0xff, 0x7f}, make([]byte, 200)...)...)},
		"more behind it":          {RoleKeeper, append([]byte{RoleKeeper.code()}, make([]byte, 33)...)},
		"a million seal keys":     {RoleReader, append(append([]byte{RoleReader.code()}, make([]byte, 64)...), 0xff, 0xff, 0x3f)},
		"no owner's key":          {RoleOwner, []byte{RoleOwner.code()}},
	} {
		if err := (&bundle{role: c.role}).unmarshal(c.plain); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestVersionsToComeAreToldFromDamage(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleReader)
	id := v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap))
	_, grants := objectsOf(v, f.KeyID)
	slots, _ := objectsOf(v, id)
	trust, owner := v.trust(), v.owner.bundle.owner
	later := func(data []byte, at int, value byte, message func([16]byte, []byte) []byte) Object {
		c := bytes.Clone(data[:len(data)-ed25519.SignatureSize])
		c[at] = value
		c = append(c, ed25519.Sign(owner, message(v.id, c))...)
		return Object{KeyObjectName(c), c}
	}
	p, _ := trust.Principal(f.KeyID)
	for _, at := range []int{4, 5} {
		_, err := findGrant(trust, f.self, p, one(later(v.objects[grants[0]], at, 9, grantMessage)))
		if !errors.Is(err, pack.ErrNewer) {
			t.Errorf("grant, byte %d: %v", at, err)
		}
	}
	for _, at := range []int{4, 5, 6} {
		_, err := WithPassphrase([]byte("sesame")).openSlots(trust, one(later(v.objects[slots[0]], at, 9, slotMessage)))
		if !errors.Is(err, pack.ErrNewer) {
			t.Errorf("slot, byte %d: %v", at, err)
		}
	}
	if s := slotKind(9).String(); s != "kind 9" {
		t.Errorf("a kind to come is called %q", s)
	}
}
