package keys_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo/keys"
)

func domain(t testing.TB, s *keys.Secrets, label string) *keys.Domain {
	t.Helper()
	d, err := s.Domain(label)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// secretsOf returns everything a domain's keys give, by purpose.
func secretsOf(d *keys.Domain) map[string]string {
	return map[string]string{
		"blob ids":     d.Hasher.ID(pack.Data, []byte("content")).String(),
		"cuts":         d.Polynomial.String(),
		"index key":    hex.EncodeToString(d.Index.Secret[:]),
		"index key id": hex.EncodeToString(d.Index.ID[:]),
		"snapshot ids": d.SnapshotID("daily", 0).String(),
	}
}

func TestADomainsKeysAreAlwaysTheSame(t *testing.T) {
	s := keys.New(repository)
	if diff := cmp.Diff(secretsOf(domain(t, s, "node-1")), secretsOf(domain(t, s, "node-1"))); diff != "" {
		t.Error(diff)
	}
}

func TestNoKeyIsSharedBetweenDomainsOrRepositories(t *testing.T) {
	s := keys.New(repository)
	seen := make(map[string]string)
	for i, d := range []*keys.Domain{domain(t, s, "node-1"), domain(t, s, "node-2"), domain(t, s, "node-11"), domain(t, s, ""),
		domain(t, keys.New(repository), "node-1"), domain(t, keys.New([16]byte{1}), "node-1")} {
		for purpose, value := range secretsOf(d) {
			what := fmt.Sprintf("%s of domain %d (%s)", purpose, i, d.Label)
			if other, ok := seen[value]; ok {
				t.Errorf("%s and %s are one", other, what)
			}
			seen[value] = what
		}
	}
}

func TestTheConfigMACDependsOnSecretsAndBytes(t *testing.T) {
	a, b := keys.New(repository), keys.New(repository)
	seen := make(map[[32]byte]bool)
	for _, s := range []*keys.Secrets{a, b} {
		for _, config := range []string{"", "one", "two"} {
			mac, err := s.ConfigMAC([]byte(config))
			if again, _ := s.ConfigMAC([]byte(config)); err != nil || again != mac {
				t.Errorf("one config has two codes: %v", err)
			}
			seen[mac] = true
		}
	}
	if len(seen) != 6 {
		t.Errorf("6 configs have %d codes", len(seen))
	}
}

func TestASnapshotIDIsOneNameAndAttempt(t *testing.T) {
	s := keys.New(repository)
	d := domain(t, s, "node-1")
	if d.SnapshotID("daily", 3) != domain(t, s, "node-1").SnapshotID("daily", 3) {
		t.Error("one name lands on two objects")
	}
	seen := make(map[pack.ID]string)
	for _, dom := range []*keys.Domain{d, domain(t, s, "node-2")} {
		for _, name := range []string{"", "daily", "daily ", "Daily", "0\x00daily", "\x00daily", "1", "1\x00", strings.Repeat("n", 5000)} {
			for _, attempt := range []uint32{0, 1, 10, 1<<32 - 1} {
				id, what := dom.SnapshotID(name, attempt), fmt.Sprintf("%s %q %d", dom.Label, name, attempt)
				if other, ok := seen[id]; ok {
					t.Errorf("%s and %s are one object", other, what)
				}
				seen[id] = what
			}
		}
	}
}

func TestASessionKeyOpensUnderItsDomainAndID(t *testing.T) {
	s := keys.New(repository)
	key, sess, err := s.NewSession("node-1")
	if err != nil {
		t.Fatal(err)
	}
	if key.ID != [8]byte(sess.ID[:8]) {
		t.Errorf("key id %x of session %x", key.ID, sess.ID)
	}
	got, err := s.OpenSession("node-1", sess)
	if err != nil || *got != *key {
		t.Fatalf("it opens to another key: %v", err)
	}
	moved, cut, flipped := sess, sess, sess
	moved.ID[15]++
	cut.Sealed = sess.Sealed[:len(sess.Sealed)-1]
	flipped.Sealed = append([]byte{}, sess.Sealed...)
	flipped.Sealed[len(flipped.Sealed)-20] ^= 1
	for name, open := range map[string]func() (*pack.Key, error){
		"another domain":     func() (*pack.Key, error) { return s.OpenSession("node-2", sess) },
		"another id":         func() (*pack.Key, error) { return s.OpenSession("node-1", moved) },
		"cut short":          func() (*pack.Key, error) { return s.OpenSession("node-1", cut) },
		"flipped":            func() (*pack.Key, error) { return s.OpenSession("node-1", flipped) },
		"no bytes":           func() (*pack.Key, error) { return s.OpenSession("node-1", pack.Session{ID: sess.ID}) },
		"another's secrets":  func() (*pack.Key, error) { return keys.New(repository).OpenSession("node-1", sess) },
		"another repository": func() (*pack.Key, error) { return keys.New([16]byte{}).OpenSession("node-1", sess) },
	} {
		if k, err := open(); k != nil || !errors.Is(err, pack.ErrAuthentication) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEverySessionHasItsOwnKey(t *testing.T) {
	s := keys.New(repository)
	ids, secrets := make(map[pack.SessionID]bool), make(map[[32]byte]bool)
	for range 100 {
		key, sess, err := s.NewSession("node-1")
		if err != nil {
			t.Fatal(err)
		}
		ids[sess.ID], secrets[key.Secret] = true, true
	}
	if len(ids) != 100 || len(secrets) != 100 {
		t.Errorf("100 sessions have %d ids and %d keys", len(ids), len(secrets))
	}
}

// A slot of passphrase "golden" and what its secrets give: were a derivation to change, every repository would be lost.
const goldenSlot = `
	63626b53010108016461657e82e74f470384f4bf238ac6b2e2c31bc1f2e5047e21de576c2b8048c1616c2d57fdd147f0
	4a60f77971704e37970163626b0100010500000000000000002d332d7001d970e4e0d68d648f2146316fa01125053f27
	86b522cb7b9896be6fb9576a0b35d4f319f13d014d5aa40b294ade2adb7ac326e23ea672722912a033b7e3c714d3bc26
	79fb40b213a5ed956e3415ffcc3d8c7593df39999357b4ce3d1bbf0a089bc6ea7bf2a613505a02ca765b2db169e7e240
	0744f77f28236d5037b1bc4635f64592b8`

var goldenValues = map[string]string{
	"blob id":     "23cc1c3a8d6f59a2d7fdb6c34711a3ed5048628d0e20678600a0c026329df7c5",
	"config mac":  "b9d34c9cd9336b785de1f7aaae9d3cdac62587bb387e37fb9554b2b2a9ba9e84",
	"index id":    "c254944a",
	"index key":   "d6c8f158438b68772dc8dd834415213c7b34113e4d8a279bd4935d9fbab7c1cf",
	"polynomial":  "0x20b666add06409",
	"snapshot id": "da9b14c398a3e136b0231103759b4b528ab0dcde9e8dab50a2b48a6ce30ea330",
}

func TestTheSecretsOfAKnownSlotStay(t *testing.T) {
	slot, err := hex.DecodeString(strings.Join(strings.Fields(goldenSlot), ""))
	if err != nil {
		t.Fatal(err)
	}
	s, err := keys.OpenSlot(slot, repository, []byte("golden"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(goldenValues, fingerprint(t, s)); diff != "" {
		t.Error(diff)
	}
}
