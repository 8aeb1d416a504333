package roles

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deeds are everything a keyring can be asked to do, in the domains "own" (a writer's) and "foreign".
func deeds(t *testing.T, v *vault) map[string]func(*Keyring) error {
	writer := v.open(WithKeyFile(v.export(RoleWriter, "foreign", "own")))
	_, sealed := session(t, writer, "own")
	seal, _, err := v.trust().SealKey("own")
	if err != nil {
		t.Fatal(err)
	}
	ignore := func(_ any, err error) error { return err }
	return map[string]func(*Keyring) error{
		"own keys":            func(k *Keyring) error { return ignore(k.Domain("own")) },
		"own generations":     func(k *Keyring) error { return ignore(k.Generations("own")) },
		"own session":         func(k *Keyring) error { _, _, err := k.NewSession("own"); return err },
		"foreign keys":        func(k *Keyring) error { return ignore(k.Domain("foreign")) },
		"foreign generations": func(k *Keyring) error { return ignore(k.Generations("foreign")) },
		"foreign session":     func(k *Keyring) error { _, _, err := k.NewSession("foreign"); return err },
		"open":                func(k *Keyring) error { return ignore(k.OpenSession("own", sealed, nil)) },
		"reseal":              func(k *Keyring) error { return ignore(k.Reseal("own", sealed, seal)) },
		"act as owner":        func(k *Keyring) error { return ignore(OpenOwner(k)) },
		"name content": func(k *Keyring) error {
			d, err := k.Domain("own")
			if err == nil && (d.Hasher == nil || d.Polynomial == 0) {
				err = ErrRole
			}
			return err
		},
	}
}

func TestEachRoleDoesItsOwnAndNothingElse(t *testing.T) {
	v := newVault(t)
	all := deeds(t, v)
	v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap))
	for _, c := range []struct {
		role    Role
		domains []string
		may     []string
	}{
		{RoleOwner, nil, []string{"own keys", "own generations", "own session", "foreign keys", "foreign generations",
			"foreign session", "open", "reseal", "act as owner", "name content"}},
		{RoleReader, nil, []string{"own keys", "own generations", "foreign keys", "foreign generations", "open", "reseal",
			"name content"}},
		{RoleKeeper, nil, []string{"own keys", "own generations", "foreign keys", "foreign generations"}},
		{RoleWriter, []string{"own"}, []string{"own keys", "own generations", "own session", "name content"}},
	} {
		t.Run(string(c.role), func(t *testing.T) {
			k := v.open(WithKeyFile(v.export(c.role, c.domains...)))
			may := map[string]bool{}
			for _, deed := range c.may {
				may[deed] = true
			}
			for deed, do := range all {
				err := do(k)
				if may[deed] && err != nil {
					t.Errorf("%s: %v", deed, err)
				}
				if !may[deed] && !errors.Is(err, ErrRole) {
					t.Errorf("%s is allowed: %v", deed, err)
				}
			}
		})
	}
}

// What a role must not do it must not be able to do either: its grant simply lacks the bytes.
func TestAGrantCarriesNothingItsRoleHasNoUseFor(t *testing.T) {
	v := newVault(t)
	for _, c := range []struct {
		role                    Role
		domains                 []string
		owner, id, index, seals bool
		labels                  []string
	}{
		{role: RoleOwner, owner: true, id: true, index: true, seals: true},
		{role: RoleReader, id: true, index: true, seals: true},
		{role: RoleKeeper, index: true},
		{role: RoleWriter, domains: []string{"b", "a"}, labels: []string{"a", "b"}},
	} {
		b := v.open(WithKeyFile(v.export(c.role, c.domains...))).bundle
		got := []any{b.owner != nil, b.secrets.id != nil, b.secrets.index != nil, len(b.seals) > 0, b.labels}
		want := []any{c.owner, c.id, c.index, c.seals, c.labels}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s holds (-want +got):\n%s", c.role, d)
		}
	}
}

func TestAKeyringSaysWhoseItIs(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleWriter, "b", "a")
	k := v.open(WithKeyFile(f))
	if k.Repository() != v.id || k.Role() != RoleWriter || k.KeyID() != f.KeyID {
		t.Errorf("keyring of %x, %s", k.Repository(), k)
	}
	if d := cmp.Diff([]string{"a", "b"}, k.Domains()); d != "" {
		t.Error(d)
	}
	if v.open(WithKeyFile(v.export(RoleReader))).Domains() != nil {
		t.Error("a reader is bound to domains")
	}
	if n, _ := k.Trust().Head(); n != 3 {
		t.Errorf("%d statements", n)
	}
}

func TestOddRolesDomainsAndLabelsAreRefused(t *testing.T) {
	v := newVault(t)
	long := make([]byte, maxLabel+1)
	for i := range long {
		long[i] = 'a'
	}
	for name, c := range map[string]struct {
		role    Role
		domains []string
	}{
		"a writer without a domain":     {RoleWriter, nil},
		"a reader with a domain":        {RoleReader, []string{"a"}},
		"an unknown role":               {"king", nil},
		"no role":                       {"", nil},
		"the same domain twice":         {RoleWriter, []string{"a", "b", "a"}},
		"an empty label":                {RoleWriter, []string{""}},
		"a label with a slash":          {RoleWriter, []string{"a/b"}},
		"a label with a capital letter": {RoleWriter, []string{"Node"}},
		"a label that climbs":           {RoleWriter, []string{"a..b"}},
		"a label with a leading dot":    {RoleWriter, []string{".a"}},
		"a label that is too long":      {RoleWriter, []string{string(long)}},
		"too many domains":              {RoleWriter, manyLabels(maxDomains + 1)},
	} {
		if _, _, objects, err := v.owner.ExportKey(c.role, c.domains); err == nil {
			t.Errorf("%s: exported with %d objects", name, len(objects))
		}
	}
	if n, _ := v.owner.Trust().Head(); n != 2 {
		t.Errorf("refused acts left %d statements", n)
	}
	owner := v.open(WithKeyFile(v.export(RoleOwner)))
	for _, label := range []string{"", "a/b", "..", string(long)} {
		if _, err := owner.Domain(label); err == nil {
			t.Errorf("keys of domain %q", label)
		}
		if _, _, err := owner.NewSession(label); err == nil {
			t.Errorf("session of domain %q", label)
		}
	}
	if _, _, err := v.owner.AddSlot(RoleWriter, Passphrase([]byte("x"), cheap)); !errors.Is(err, ErrRole) {
		t.Errorf("slot of a writer: %v", err)
	}
}

func manyLabels(n int) []string {
	var out []string
	for i := range n {
		out = append(out, "node-"+string([]byte{'a' + byte(i/26/26), 'a' + byte(i/26%26), 'a' + byte(i%26)}))
	}
	return out
}

func TestTheLargestWriterFits(t *testing.T) {
	v := newVault(t)
	k := v.open(WithKeyFile(v.export(RoleWriter, manyLabels(maxDomains)...)))
	if len(k.Domains()) != maxDomains {
		t.Fatalf("%d domains", len(k.Domains()))
	}
	if _, err := k.Domain(k.Domains()[maxDomains-1]); err != nil {
		t.Error(err)
	}
}

func TestSignaturesAreJudgedByRoleDomainAndRepository(t *testing.T) {
	v := newVault(t)
	writer, keeper := v.open(WithKeyFile(v.export(RoleWriter, "a"))), v.open(WithKeyFile(v.export(RoleKeeper)))
	trust, message := v.trust(), []byte("root bytes")
	sig := writer.Sign("root", message)
	forged := sig
	forged.KeyID = keeper.KeyID()
	unknown := sig
	unknown.KeyID[0]++
	flipped := sig
	flipped.Sig[5] ^= 1
	anyone := func(*Principal) error { return nil }
	for name, c := range map[string]struct {
		sig     Signature
		context string
		message string
		need    func(*Principal) error
		want    error
	}{
		"its own domain":              {sig, "root", "root bytes", May("a", RoleWriter), nil},
		"another domain":              {sig, "root", "root bytes", May("b", RoleWriter, RoleOwner), ErrRole},
		"another role":                {sig, "root", "root bytes", May("a", RoleKeeper), ErrRole},
		"a keeper is of every domain": {keeper.Sign("shard", message), "shard", "root bytes", May("z", RoleKeeper), nil},
		"another context":             {sig, "shard", "root bytes", anyone, ErrBadSignature},
		"context and message moved":   {sig, "roo", "troot bytes", anyone, ErrBadSignature},
		"another message":             {sig, "root", "root byte", anyone, ErrBadSignature},
		"another signer's id":         {forged, "root", "root bytes", anyone, ErrBadSignature},
		"a signer not in the log":     {unknown, "root", "root bytes", anyone, ErrUnknownSigner},
		"a flipped bit":               {flipped, "root", "root bytes", anyone, ErrBadSignature},
	} {
		if err := trust.Verify(c.sig, c.context, []byte(c.message), c.need); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	back, err := ParseSignature(sig.Bytes())
	if err != nil || back != sig || len(sig.Bytes()) != SignatureSize {
		t.Errorf("signature does not survive its encoding: %v", err)
	}
	for _, n := range []int{0, SignatureSize - 1, SignatureSize + 1} {
		if _, err := ParseSignature(make([]byte, n)); err == nil {
			t.Errorf("signature of %d bytes", n)
		}
	}
}

func TestIDsAreReadAsTheyAreWritten(t *testing.T) {
	id, err := ParseKeyID("00ff10a1b2c3d4e5")
	if err != nil || id.String() != "00ff10a1b2c3d4e5" {
		t.Errorf("%s, %v", id, err)
	}
	seal, err := ParseSealKeyID("00ff10a1b2c3d4e5")
	if err != nil || seal.String() != "00ff10a1b2c3d4e5" {
		t.Errorf("%s, %v", seal, err)
	}
	for _, bad := range []string{"", "00ff", "00ff10a1b2c3d4e500", "zzff10a1b2c3d4e5"} {
		if _, err := ParseKeyID(bad); err == nil {
			t.Errorf("key id %q", bad)
		}
		if _, err := ParseSealKeyID(bad); err == nil {
			t.Errorf("seal key id %q", bad)
		}
	}
}

func TestTheConfigIsSignedByTheOwnerOfThisRepository(t *testing.T) {
	v := newVault(t)
	config := []byte("config")
	sig := v.owner.SignConfig(config)
	if err := VerifyConfig(v.id, v.public(), config, sig); err != nil {
		t.Error(err)
	}
	other := newVault(t)
	for name, err := range map[string]error{
		"another repository": VerifyConfig([16]byte{9}, v.public(), config, sig),
		"another owner":      VerifyConfig(v.id, other.public(), config, sig),
		"other bytes":        VerifyConfig(v.id, v.public(), []byte("confiG"), sig),
		"no key":             VerifyConfig(v.id, nil, config, sig),
	} {
		if !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
