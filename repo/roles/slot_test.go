package roles

import (
	"encoding/base64"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/pack/wire"
)

const (
	kmsURL   = "base64key://smGbjm71Nxd1Ig5FS0wj9SlbzAIrnolCz9bQQ6uAhl4="
	otherKMS = "base64key://AGGbjm71Nxd1Ig5FS0wj9SlbzAIrnolCz9bQQ6uAhl4="
)

func TestEveryKindOfSlotOpensWithItsSecretOnly(t *testing.T) {
	v := newVault(t)
	recovery, printed := Recovery()
	_, foreign := Recovery()
	want := map[string]KeyID{
		"passphrase": v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap)),
		"KMS":        v.slot(RoleReader, KMS(t.Context(), kmsURL)),
		"recovery":   v.slot(RoleOwner, recovery),
	}
	typed := func(s string) Unlock {
		u, err := WithRecovery(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for kind, u := range map[string]Unlock{"passphrase": WithPassphrase([]byte("sesame")),
		"KMS": WithKMS(t.Context(), kmsURL), "recovery": typed(printed)} {
		if k := v.open(u); k.KeyID() != want[kind] {
			t.Errorf("%s opens key %s, want %s", kind, k.KeyID(), want[kind])
		}
	}
	for name, u := range map[string]Unlock{
		"another passphrase":      WithPassphrase([]byte("Sesame")),
		"an empty passphrase":     WithPassphrase(nil),
		"another KMS key":         WithKMS(t.Context(), otherKMS),
		"another KMS":             WithKMS(t.Context(), "awskms:///alias/x"),
		"another recovery secret": typed(foreign),
	} {
		if _, err := v.tryOpen(u); !errors.Is(err, ErrNoFit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASlotTellsNothingOfTheKMSKeyInItsURL(t *testing.T) {
	v := newVault(t)
	v.slot(RoleOwner, KMS(t.Context(), kmsURL))
	secret := strings.TrimPrefix(kmsURL, "base64key://")
	raw, err := base64.URLEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range v.objects {
		if strings.Contains(string(data), secret) || strings.Contains(string(data), string(raw)) {
			t.Errorf("%s holds the key", name)
		}
	}
	if publicURL("awskms:///alias/x?region=eu") != "awskms:///alias/x?region=eu" {
		t.Error("the URL of a service is not kept")
	}
}

// The store says which slots there are: it must not be able to have the opener call a service of its choice.
func TestASlotsOwnURLIsNeverCalled(t *testing.T) {
	v := newVault(t)
	var params wire.Encoder
	params.String("azurekeyvault://evil.vault.example/keys/x")
	params.Bytes([]byte("cipher"))
	secret, err := WithKMS(t.Context(), kmsURL).secret(params.Out())
	if secret != nil || err != nil {
		t.Errorf("a slot for another URL gives %v", err)
	}
	v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap))
	if _, err := v.tryOpen(WithKMS(t.Context(), kmsURL)); !errors.Is(err, ErrNoFit) {
		t.Errorf("no KMS slot: %v", err)
	}
}

func TestSlotsThatCouldNotBeOpenedAgainAreNotMade(t *testing.T) {
	v := newVault(t)
	for name, w := range map[string]Wrapping{
		"an empty passphrase":    Passphrase(nil, cheap),
		"no cost":                Passphrase([]byte("x"), Cost{}),
		"too many passes":        Passphrase([]byte("x"), Cost{Time: maxTime + 1, Memory: 64, Threads: 1}),
		"too much memory":        Passphrase([]byte("x"), Cost{Time: 1, Memory: maxMemory + 1, Threads: 1}),
		"too many threads":       Passphrase([]byte("x"), Cost{Time: 1, Memory: 4096, Threads: maxThreads + 1}),
		"too much work":          Passphrase([]byte("x"), Cost{Time: maxTime, Memory: maxMemory, Threads: 4}),
		"an overflowing cost":    Passphrase([]byte("x"), Cost{Time: math.MaxUint32, Memory: math.MaxUint32, Threads: 1}),
		"an unknown scheme":      KMS(t.Context(), "carrier-pigeon://coop"),
		"no scheme":              KMS(t.Context(), "alias"),
		"a KMS URL without key":  KMS(t.Context(), "base64key://"),
		"an overlong KMS URL":    KMS(t.Context(), "awskms:///"+strings.Repeat("x", maxURL)),
		"a KMS key of two bytes": KMS(t.Context(), "base64key://AAA="),
		"no wrapping":            {},
	} {
		if _, objects, err := v.owner.AddSlot(RoleOwner, w); err == nil {
			t.Errorf("%s: %d objects", name, len(objects))
		} else if strings.Contains(err.Error(), "smGb") {
			t.Errorf("%s: the error tells the key: %v", name, err)
		}
	}
	if n, _ := v.owner.Trust().Head(); n != 2 {
		t.Errorf("refused acts left %d statements", n)
	}
}

func TestTheDefaultCostIsWithinWhatIsAccepted(t *testing.T) {
	if err := DefaultCost.check(); err != nil {
		t.Error(err)
	}
	most := Cost{Time: 4, Memory: maxMemory, Threads: 4}
	if err := most.check(); err != nil {
		t.Error(err)
	}
}

// resealed is a slot as the owner would have signed it, with the params of somebody who means harm.
func resealed(v *vault, s *slot) Object {
	data := s.encode(v.id, v.owner.bundle.owner)
	return Object{KeyObjectName(data), data}
}

func TestHostileParamsAreRefusedBeforeTheyCost(t *testing.T) {
	v := newVault(t)
	id := v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap))
	cost := func(numbers ...uint64) []byte {
		var e wire.Encoder
		for _, n := range numbers {
			e.Uvarint(n)
		}
		e.Fixed(make([]byte, saltSize))
		return e.Out()
	}
	for name, params := range map[string][]byte{
		"16 passes over 256 MiB":   cost(16, maxMemory, 4),
		"a tebibyte":               cost(1, 1<<30, 4),
		"a billion passes":         cost(1<<30, 64, 1),
		"no passes":                cost(0, 64, 1),
		"no threads":               cost(1, 64, 0),
		"300 threads":              cost(1, 1<<16, 300),
		"less memory than threads": cost(1, 8, 2),
		"no params":                nil,
		"params and more":          append(cost(1, 64, 1), 0),
		"a salt cut short":         cost(1, 64, 1)[:10],
		"an endless number":        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		o := resealed(v, &slot{slotPassphrase, id, params, make([]byte, commitSize), []byte("sealed")})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := WithPassphrase([]byte("sesame")).openSlots(v.trust(), one(o))
		runtime.ReadMemStats(&after)
		wantDamage(t, name, o.Name, err)
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s: refused after %d bytes", name, n)
		}
	}
	for name, c := range map[string]struct {
		kind   slotKind
		params []byte
		u      Unlock
	}{
		"a KMS slot without params":     {slotKMS, nil, WithKMS(t.Context(), kmsURL)},
		"a KMS URL that never ends":     {slotKMS, []byte{0xff, 0xff, 0x7f}, WithKMS(t.Context(), kmsURL)},
		"a recovery slot with no salt":  {slotRecovery, nil, mustRecover(t)},
		"a recovery slot with too much": {slotRecovery, make([]byte, saltSize+1), mustRecover(t)},
	} {
		o := resealed(v, &slot{c.kind, id, c.params, make([]byte, commitSize), []byte("sealed")})
		_, err := c.u.openSlots(v.trust(), one(o))
		wantDamage(t, name, o.Name, err)
	}
}

func mustRecover(t *testing.T) Unlock {
	_, printed := Recovery()
	u, err := WithRecovery(printed)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func one(objects ...Object) func(func(Object, error) bool) {
	return func(yield func(Object, error) bool) {
		for _, o := range objects {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func TestAnOpenerTriesABoundedNumberOfSlots(t *testing.T) {
	v := newVault(t)
	for range maxTries + 1 {
		v.slot(RoleReader, Passphrase([]byte("other"), cheap))
	}
	tries := 0
	u := WithPassphrase([]byte("sesame"))
	stretch := u.secret
	u.secret = func(params []byte) (*slotSecret, error) { tries++; return stretch(params) }
	if _, err := v.tryOpen(u); !errors.Is(err, ErrNoFit) || tries != maxTries {
		t.Errorf("%d tries: %v", tries, err)
	}
}

func TestSlotsOfRevokedAndUnknownKeysOpenNothing(t *testing.T) {
	v := newVault(t)
	v.slot(RoleOwner, Passphrase([]byte("kept"), cheap))
	revoked := v.slot(RoleReader, Passphrase([]byte("sesame"), cheap))
	v.put(v.owner.Revoke(revoked, nil))
	if _, err := v.tryOpen(WithPassphrase([]byte("sesame"))); !errors.Is(err, ErrRevoked) {
		t.Errorf("slot of a revoked key: %v", err)
	}
	again := v.slot(RoleReader, Passphrase([]byte("sesame"), cheap))
	dead, _ := objectsOf(v, revoked)
	live, _ := objectsOf(v, again)
	both := one(Object{dead[0], v.objects[dead[0]]}, Object{live[0], v.objects[live[0]]})
	if self, err := WithPassphrase([]byte("sesame")).openSlots(v.trust(), both); err != nil || self.id() != again {
		t.Errorf("behind a revoked key's slot the passphrase opens nothing: %v", err)
	}
	_, objects, err := v.owner.AddSlot(RoleReader, Passphrase([]byte("aborted"), cheap))
	if err != nil {
		t.Fatal(err)
	}
	v.put(objects[:len(objects)-1], nil) // without its statement
	if _, err := v.tryOpen(WithPassphrase([]byte("aborted"))); !errors.Is(err, ErrNoFit) {
		t.Errorf("slot of a key that is not in the log: %v", err)
	}
}

func TestASlotIsBoundToItsPlace(t *testing.T) {
	v := newVault(t)
	id, other := v.slot(RoleOwner, Passphrase([]byte("sesame"), cheap)), v.slot(RoleReader, Passphrase([]byte("x"), cheap))
	var mine *slot
	for _, name := range v.names() {
		if s, _ := readSlot(v.trust(), Object{name, v.objects[name]}); s != nil && s.key == id {
			mine = s
		}
	}
	for name, change := range map[string]func(*slot){
		"another key id":     func(s *slot) { s.key = other },
		"another commitment": func(s *slot) { s.commitment = make([]byte, commitSize) },
		"other sealed bytes": func(s *slot) { s.sealed = append([]byte(nil), s.sealed[:len(s.sealed)-1]...) },
	} {
		changed := *mine
		change(&changed)
		if _, err := WithPassphrase([]byte("sesame")).openSlots(v.trust(), one(resealed(v, &changed))); err == nil {
			t.Errorf("%s: the slot opens", name)
		}
	}
	if _, err := WithPassphrase([]byte("sesame")).openSlots(v.trust(), one(resealed(v, mine))); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	secret, err := WithPassphrase([]byte("sesame")).secret(mine.params)
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := swapped.marshal()
	if err != nil {
		t.Fatal(err)
	}
	changed := *mine
	changed.sealed = pack.Seal(nil, secret.key(), pack.ClassSlot, changed.scope(v.id, v.public()), plain)
	if _, err := changed.open(v.id, v.public(), secret); err == nil {
		t.Error("a slot opens to keys of another id")
	}
	stranger := newVault(t)
	if _, err := mine.open(v.id, stranger.public(), secret); err == nil {
		t.Error("a slot opens for another owner")
	}
	if _, err := mine.open([16]byte{9}, v.public(), secret); err == nil {
		t.Error("a slot opens in another repository")
	}
}

func TestARecoverySecretIsReadAsPeopleTypeIt(t *testing.T) {
	secret := []byte("\x00\x01I\x10O\x20secret-of-20b\xff")
	printed := printRecovery(secret)
	if n := len(strings.Split(printed, "-")); n != 9 || len(printed) != 9*4+8 || strings.ContainsAny(printed, "ILOU") {
		t.Fatalf("printed as %s", printed)
	}
	for name, typed := range map[string]string{
		"as printed":          printed,
		"lower case":          strings.ToLower(printed),
		"spaces":              " " + strings.ReplaceAll(printed, "-", " ") + "\n",
		"nothing between":     strings.ReplaceAll(printed, "-", ""),
		"O for 0":             strings.ReplaceAll(printed, "0", "O"),
		"o for 0":             strings.ReplaceAll(printed, "0", "o"),
		"I for 1":             strings.ReplaceAll(printed, "1", "I"),
		"l for 1":             strings.ReplaceAll(printed, "1", "l"),
		"groups of its own":   printed[:3] + "-" + printed[3:7] + " " + printed[7:],
		"a line break inside": strings.Replace(printed, "-", "\r\n\t", 1),
	} {
		got, err := parseRecovery(typed)
		if d := cmp.Diff(secret, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
}

func TestOneWrongCharacterOfARecoverySecretIsToldAsATypo(t *testing.T) {
	secret := []byte("\x00\x01I\x10O\x20secret-of-20b\xff")
	printed := printRecovery(secret)
	for i := range printed {
		for _, c := range "0123456789ABCDEFGHJKMNPQRSTVWXYZU?*é" {
			typed := printed[:i] + string(c) + printed[i+1:]
			if printed[i] == '-' || typed == printed {
				continue
			}
			if _, err := WithRecovery(typed); !errors.Is(err, ErrTypo) || strings.Contains(err.Error(), printed[:4]) {
				t.Errorf("%q at %d: %v", c, i, err)
			}
		}
	}
	for name, typed := range map[string]string{
		"nothing":              "",
		"a character missing":  printed[1:],
		"a character too much": printed + "0",
		"a group missing":      printed[5:],
		"groups exchanged":     printed[5:10] + printed[:5] + printed[10:],
		"a novel":              strings.Repeat(printed, 1000),
	} {
		if _, err := WithRecovery(typed); !errors.Is(err, ErrTypo) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTwoSlotsOfOneSecretShareNoBytesThatTell(t *testing.T) {
	v := newVault(t)
	w, _ := Recovery()
	v.slot(RoleOwner, w)
	v.slot(RoleOwner, w)
	var commitments []string
	for _, name := range v.names() {
		if s, _ := readSlot(v.trust(), Object{name, v.objects[name]}); s != nil {
			commitments = append(commitments, string(s.commitment))
		}
	}
	if len(commitments) != 2 || commitments[0] == commitments[1] {
		t.Error("two slots of one secret have one commitment")
	}
}
