package roles

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"cbk/pack"
)

// secretsOf are byte strings that must never be printed, from every place a secret can hide in.
func secretsOf(t *testing.T, v *vault, k *Keyring, f *KeyFile, d *Domain, printed string) map[string][]byte {
	t.Helper()
	hpke, err := f.self.sealing.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	recovery, err := parseRecovery(printed)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"owner's seed":     v.owner.bundle.owner.Seed(),
		"id secret":        v.owner.bundle.secrets.id[:],
		"index secret":     v.owner.bundle.secrets.index[:],
		"seal private key": k.bundle.seals[0].private[:],
		"signing seed":     f.self.signing.Seed(),
		"hpke private key": hpke,
		"index key":        d.Index.Secret[:],
		"name key":         d.names[:],
		"polynomial":       []byte(fmt.Sprint(uint64(d.Polynomial))),
		"passphrase":       []byte("sesame-open"),
		"recovery secret":  recovery,
		"printed recovery": []byte(printed),
	}
}

// spellings are the forms in which fmt could print bytes.
func spellings(b []byte) []string {
	list := fmt.Sprint(b)
	return []string{string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), list[1 : len(list)-1],
		base64.StdEncoding.EncodeToString(b), fmt.Sprintf("%#v", b)[len("[]byte{"):]}
}

func TestNoTypePrintsItsSecrets(t *testing.T) {
	v := newVault(t)
	v.slot(RoleOwner, Passphrase([]byte("sesame-open"), cheap))
	f := v.export(RoleOwner)
	k := v.open(WithKeyFile(f))
	d, err := k.Domain("node-1")
	if err != nil {
		t.Fatal(err)
	}
	w, printed := Recovery()
	u, err := WithRecovery(printed)
	if err != nil {
		t.Fatal(err)
	}
	trust := v.trust()
	p, _ := trust.Principal(f.KeyID)
	things := []any{k, *k, f, *f, d, *d, v.owner, *v.owner, w, &w, u, &u, Passphrase([]byte("sesame-open"), cheap),
		WithPassphrase([]byte("sesame-open")), WithKeyFile(f), KMS(t.Context(), kmsURL), WithKMS(t.Context(), kmsURL),
		trust, p, *p, trust.SealKeys(), k.Sign("x", nil), cheap, k.KeyID(), Keyring{}, Revocation{}, LastRoot{},
		RoleOwner, &DamagedObjectError{"a", "b"}, SealKeyID{}, []*Domain{d}, map[string]*Keyring{"a": k},
		struct{ D Domain }{*d}, struct{ K *KeyFile }{f}, Object{"keys/x", []byte("sealed")}}
	session := &pack.Key{Secret: [32]byte(bytes.Repeat([]byte{201, 'y', 77, 3}, 8))}
	raw, err := k.Lend(today, Lending{"node-1": {pack.SessionID{1}: session}})
	if err != nil {
		t.Fatal(err)
	}
	loan := parsed(t, raw)
	borrower := v.open(WithLoan(loan, today))
	things = append(things, loan, *loan, borrower, *borrower, WithLoan(loan, today), struct{ L *Loan }{loan})
	secrets := secretsOf(t, v, k, f, d, printed)
	secrets["session key"] = session.Secret[:]
	secrets["KMS key"] = []byte(strings.TrimPrefix(kmsURL, "base64key://"))
	for _, thing := range things {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
			text := fmt.Sprintf(verb, thing)
			for name, secret := range secrets {
				for _, s := range spellings(secret) {
					if strings.Contains(text, s) {
						t.Errorf("%s of %s shows the %s", verb, reflect.TypeOf(thing), name)
					}
				}
			}
		}
	}
}

// The test above would prove nothing if it could not find a secret.
func TestASecretWouldBeFoundInItsSpellings(t *testing.T) {
	secret := bytes.Repeat([]byte{200, 'x', 7}, 5)
	for _, verb := range []string{"%v", "%+v", "%s", "%x", "%X", "%d", "%#v"} {
		text := fmt.Sprintf(verb, struct{ a []byte }{secret})
		found := false
		for _, s := range spellings(secret) {
			found = found || strings.Contains(text, s)
		}
		if !found {
			t.Errorf("%s: %s", verb, text)
		}
	}
}

func TestDescriptionsSayWhatAThingIs(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleWriter, "node-1")
	k := v.open(WithKeyFile(f))
	d, err := k.Domain("node-1")
	if err != nil {
		t.Fatal(err)
	}
	w, _ := Recovery()
	for _, c := range []struct{ got, want string }{
		{fmt.Sprint(k), "keyring of writer " + f.KeyID.String()},
		{fmt.Sprint(f), "key file of writer " + f.KeyID.String()},
		{fmt.Sprint(d), "domain node-1 generation 1"},
		{fmt.Sprint(&Loan{NotAfter: today}), "loan of key 0000000000000000 until 2031-05-06T12:00:00Z"},
		{fmt.Sprint(WithLoan(&Loan{NotAfter: today}, today)), "loan of key 0000000000000000 until 2031-05-06T12:00:00Z unlock"},
		{fmt.Sprint(Keyring{principal: &Principal{}, loan: &Loan{NotAfter: today}}), "keyring of loan of key 0000000000000000 until 2031-05-06T12:00:00Z"},
		{fmt.Sprint(v.owner), "owner's keys"},
		{fmt.Sprint(w), "recovery secret wrapping"},
		{fmt.Sprint(WithPassphrase(nil)), "passphrase unlock"},
		{fmt.Sprint(WithKMS(t.Context(), "")), "KMS unlock"},
		{fmt.Sprint(WithKeyFile(f)), "key file unlock"},
		{(&DamagedObjectError{"keys/1", "its bytes do not match its name"}).Error(),
			"keys/1 is damaged: its bytes do not match its name"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
