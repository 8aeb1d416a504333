package keys_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/keys"
)

var (
	repository = [16]byte{'r', 'e', 'p', 'o', 's', 'i', 't', 'o', 'r', 'y', ' ', 'o', 'n', 'e', '.', '.'}
	// cheap keeps the tests fast: the least that argon2id takes.
	cheap = keys.Cost{Time: 1, Memory: 8, Threads: 1}
)

func newSlot(t testing.TB, s *keys.Secrets, passphrase string) []byte {
	t.Helper()
	slot, err := s.Slot([]byte(passphrase), cheap)
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

// fingerprint is what the outside can see of secrets: keys derived from each of the three.
func fingerprint(t testing.TB, s *keys.Secrets) map[string]string {
	t.Helper()
	d, err := s.Domain("node-1")
	if err != nil {
		t.Fatal(err)
	}
	mac, err := s.ConfigMAC([]byte("config"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"blob id":     d.Hasher.ID(pack.Data, []byte("content")).String(),
		"polynomial":  d.Polynomial.String(),
		"index key":   pack.ID(d.Index.Secret).String(),
		"index id":    pack.ID(append(d.Index.ID[:], make([]byte, 24)...)).Short(),
		"snapshot id": d.SnapshotID("daily", 0).String(),
		"config mac":  pack.ID(mac).String(),
	}
}

func TestASlotGivesBackTheSecrets(t *testing.T) {
	s := keys.New(repository)
	for _, passphrase := range []string{"correct horse", "x", "with\x00zero", strings.Repeat("long", 1000)} {
		got, err := keys.OpenSlot(newSlot(t, s, passphrase), repository, []byte(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fingerprint(t, s), fingerprint(t, got)); diff != "" {
			t.Errorf("passphrase of %d bytes: %s", len(passphrase), diff)
		}
		key, sess, err := s.NewSession("node-1")
		if err != nil {
			t.Fatal(err)
		}
		if again, err := got.OpenSession("node-1", sess); err != nil || *again != *key {
			t.Errorf("a session of the secrets does not open with those of the slot: %v", err)
		}
	}
}

func TestTwoSlotsOfOnePassphraseDiffer(t *testing.T) {
	s := keys.New(repository)
	a, b := newSlot(t, s, "p"), newSlot(t, s, "p")
	if bytes.Equal(a[8:24], b[8:24]) || bytes.Equal(a[24:56], b[24:56]) {
		t.Error("two slots share salt or commitment")
	}
	if len(a) != len(b) || len(a) > keys.MaxSlot {
		t.Errorf("slots of %d and %d bytes", len(a), len(b))
	}
}

func TestAnotherPassphraseDoesNotFit(t *testing.T) {
	slot := newSlot(t, keys.New(repository), "correct horse")
	for _, wrong := range []string{"", "correct horse ", "Correct horse", "correct hors", "correct horse\x00", "correct horse\n"} {
		if s, err := keys.OpenSlot(slot, repository, []byte(wrong)); s != nil || !errors.Is(err, keys.ErrPassphrase) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestASlotNeedsAPassphrase(t *testing.T) {
	for _, none := range [][]byte{nil, {}} {
		if slot, err := keys.New(repository).Slot(none, cheap); slot != nil || err == nil {
			t.Error("secrets were wrapped under nothing")
		}
	}
}

func TestASlotBelongsToItsRepository(t *testing.T) {
	slot := newSlot(t, keys.New(repository), "p")
	if _, err := keys.OpenSlot(slot, [16]byte{1}, []byte("p")); !errors.Is(err, pack.ErrAuthentication) {
		t.Errorf("error %v", err)
	}
}

// rawSlot writes a slot with the costs given and everything else well-formed.
func rawSlot(magic string, kind byte, time, memory, threads uint64, sealed []byte) []byte {
	var e wire.Encoder
	e.Fixed([]byte(magic))
	e.Byte(kind)
	e.Uvarint(time)
	e.Uvarint(memory)
	e.Uvarint(threads)
	e.Fixed(make([]byte, 16+32))
	e.Bytes(sealed)
	return e.Out()
}

// The price of opening is asked for by bytes that nobody has authenticated yet.
func TestHostileSlotsAreRefusedBeforeTheyCostAnything(t *testing.T) {
	for _, c := range []struct {
		name string
		slot []byte
		want string
	}{
		{"4 GiB of memory", rawSlot("cbkS", 1, 1, 4<<20, 1, nil), "over its limit"},
		{"one KiB over the limit", rawSlot("cbkS", 1, 1, 256<<10+1, 1, nil), "over its limit"},
		{"memory beyond 32 bits", rawSlot("cbkS", 1, 1, 1<<32+8, 1, nil), "over its limit"},
		{"a million passes", rawSlot("cbkS", 1, 1_000_000, 256<<10, 1, nil), "over its limit"},
		{"one pass over the limit", rawSlot("cbkS", 1, 17, 256<<10, 1, nil), "over its limit"},
		{"one thread over the limit", rawSlot("cbkS", 1, 16, 256<<10, 17, nil), "over its limit"},
		{"257 threads", rawSlot("cbkS", 1, 16, 256<<10, 257, nil), "over its limit"},
		{"no pass", rawSlot("cbkS", 1, 0, 256<<10, 1, nil), "no cost"},
		{"no thread", rawSlot("cbkS", 1, 1, 256<<10, 0, nil), "no cost"},
		{"another magic", rawSlot("cbkP", 1, 16, 256<<10, 1, nil), "no passphrase slot"},
		{"another kind", rawSlot("cbkS", 2, 16, 256<<10, 1, nil), "no passphrase slot"},
		{"sealed bytes over the limit", rawSlot("cbkS", 1, 16, 256<<10, 1, make([]byte, keys.MaxSlot+1)), "over its limit"},
		{"bytes left over", append(rawSlot("cbkS", 1, 16, 256<<10, 1, nil), 0), "left over"},
		{"no bytes", nil, "left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s, err := keys.OpenSlot(c.slot, repository, []byte("p"))
			runtime.ReadMemStats(&after)
			if s != nil || !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v", err)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Fatalf("%d bytes allocated", got)
			}
		})
	}
}

func TestDamagedSlotsAreRefused(t *testing.T) {
	slot := newSlot(t, keys.New(repository), "p")
	refused := func(what string, at int, b []byte) {
		s, err := keys.OpenSlot(b, repository, []byte("p"))
		known := errors.Is(err, keys.ErrPassphrase) || errors.Is(err, wire.ErrMalformed) ||
			errors.Is(err, pack.ErrAuthentication) || errors.Is(err, pack.ErrNewer)
		if s != nil || !known {
			t.Errorf("%s at %d: %v", what, at, err)
		}
	}
	for i := range slot {
		refused("cut", i, slot[:i])
		for _, mask := range []byte{0x01, 0x80} {
			bad := bytes.Clone(slot)
			bad[i] ^= mask
			refused("flipped", i, bad)
		}
	}
}

// The commitment says which passphrase a slot was made for before the cipher is asked, which cannot tell.
func TestAForgedCommitmentDoesNotOpen(t *testing.T) {
	a, b := newSlot(t, keys.New(repository), "one"), newSlot(t, keys.New(repository), "two")
	mixed := append(bytes.Clone(a[:56]), b[56:]...)
	if _, err := keys.OpenSlot(mixed, repository, []byte("one")); !errors.Is(err, pack.ErrAuthentication) {
		t.Errorf("one's head, two's secrets, passphrase one: %v", err)
	}
	if _, err := keys.OpenSlot(mixed, repository, []byte("two")); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("one's head, two's secrets, passphrase two: %v", err)
	}
}

func TestASlotIsLaidOutAsDocumented(t *testing.T) {
	slot := newSlot(t, keys.New(repository), "p")
	if diff := cmp.Diff([]byte{'c', 'b', 'k', 'S', 1, 1, 8, 1}, slot[:8]); diff != "" {
		t.Error(diff)
	}
	sealed := slot[8+16+32+2:]
	if got := 3*32 + pack.Overhead; len(sealed) != got || int(slot[56])&0x7f|int(slot[57])<<7 != got {
		t.Errorf("%d sealed bytes, want %d", len(sealed), got)
	}
	if _, err := pack.KeyID(sealed, pack.ClassSlot); err != nil {
		t.Error(err)
	}
}

func TestTheDefaultCostCanBeReadBack(t *testing.T) {
	slot, err := keys.New(repository).Slot([]byte("p"), keys.DefaultCost)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.OpenSlot(slot, repository, []byte("p")); err != nil {
		t.Error(err)
	}
}
