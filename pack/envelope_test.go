package pack_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
	"pgregory.net/rapid"

	"cbk/pack"
)

var testScope = pack.Scope{Repository: [16]byte{1, 2, 3}, Domain: "node-1", Name: "snapshots/node-1/x"}

func TestSealedBytesOpenToThePlaintext(t *testing.T) {
	key := testKey("k")
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(t, "plain")
		before := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "before")
		sealed := pack.Seal(bytes.Clone(before), key, pack.ClassRoot, testScope, plain)
		if len(sealed) != len(before)+len(plain)+pack.Overhead || !bytes.HasPrefix(sealed, before) {
			t.Fatalf("%d bytes sealed behind %d became %d", len(plain), len(before), len(sealed))
		}
		got, err := pack.Open(bytes.Clone(before), key, pack.ClassRoot, testScope, sealed[len(before):])
		if err != nil || !bytes.Equal(got, append(before, plain...)) {
			t.Fatalf("opened to %x: %v", got, err)
		}
	})
}

// The layout of the header, and that what follows is plain XChaCha20-Poly1305 over the documented additional data.
func TestTheHeaderIsLaidOutAsDocumented(t *testing.T) {
	key := testKey("k")
	sealed := pack.Seal(nil, key, pack.ClassTail, testScope, []byte("plain"))
	want := "63626b01" + "00" + "01" + "02" + hex.EncodeToString(key.ID[:])
	if got := hex.EncodeToString(sealed[:15]); got != want {
		t.Errorf("header starts %s, want %s", got, want)
	}
	aad := bytes.Clone(sealed[:39])
	aad = append(aad, testScope.Repository[:]...)
	aad = append(aad, byte(len(testScope.Domain)))
	aad = append(aad, testScope.Domain...)
	aad = append(aad, byte(len(testScope.Name)))
	aad = append(aad, testScope.Name...)
	aead, err := chacha20poly1305.NewX(key.Secret[:])
	if err != nil {
		t.Fatal(err)
	}
	plain, err := aead.Open(nil, sealed[15:39], sealed[39:], aad)
	if err != nil || string(plain) != "plain" {
		t.Errorf("opened by hand to %q: %v", plain, err)
	}
}

func TestAFlippedBitAnywhereDoesNotOpen(t *testing.T) {
	key := testKey("k")
	sealed := pack.Seal(nil, key, pack.ClassRoot, testScope, []byte("content"))
	fields := []struct {
		name     string
		from, to int
	}{{"magic", 0, 4}, {"version", 4, 5}, {"suite", 5, 6}, {"class", 6, 7}, {"key id", 7, 15}, {"nonce", 15, 39},
		{"ciphertext", 39, len(sealed) - 16}, {"tag", len(sealed) - 16, len(sealed)}}
	for _, f := range fields {
		t.Run(f.name, func(t *testing.T) {
			for bit := f.from * 8; bit < f.to*8; bit++ {
				bad := bytes.Clone(sealed)
				bad[bit/8] ^= 1 << (bit % 8)
				plain, err := pack.Open(nil, key, pack.ClassRoot, testScope, bad)
				if plain != nil || !errors.Is(err, pack.ErrAuthentication) && !errors.Is(err, pack.ErrNewer) {
					t.Errorf("bit %d of byte %d: opened to %q, %v", bit%8, bit/8, plain, err)
				}
			}
		})
	}
}

func TestTruncatedOrLongerBytesDoNotOpen(t *testing.T) {
	key := testKey("k")
	sealed := pack.Seal(nil, key, pack.ClassRoot, testScope, []byte("content"))
	for n := range sealed {
		if _, err := pack.Open(nil, key, pack.ClassRoot, testScope, sealed[:n]); !errors.Is(err, pack.ErrAuthentication) {
			t.Errorf("%d of %d bytes: %v", n, len(sealed), err)
		}
	}
	if _, err := pack.Open(nil, key, pack.ClassRoot, testScope, append(sealed, 0)); !errors.Is(err, pack.ErrAuthentication) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestSealedBytesBelongToOnePlace(t *testing.T) {
	key := testKey("k")
	sealed := pack.Seal(nil, key, pack.ClassRoot, testScope, []byte("content"))
	same := testKey("other")
	same.ID = key.ID
	for _, c := range []struct {
		name  string
		key   *pack.Key
		class pack.Class
		scope pack.Scope
	}{
		{"another repository", key, pack.ClassRoot, pack.Scope{Repository: [16]byte{9}, Domain: testScope.Domain, Name: testScope.Name}},
		{"another domain", key, pack.ClassRoot, pack.Scope{Repository: testScope.Repository, Domain: "node-2", Name: testScope.Name}},
		{"another name", key, pack.ClassRoot, pack.Scope{Repository: testScope.Repository, Domain: testScope.Domain, Name: "y"}},
		{"a letter moved from the domain to the name", key, pack.ClassRoot, pack.Scope{Repository: testScope.Repository,
			Domain: "node-", Name: "1" + testScope.Name}},
		{"another class", key, pack.ClassShard, testScope},
		{"another key", testKey("other"), pack.ClassRoot, testScope},
		{"another key that claims the same id", same, pack.ClassRoot, testScope},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := pack.Open(nil, c.key, c.class, c.scope, sealed); !errors.Is(err, pack.ErrAuthentication) {
				t.Fatalf("error %v", err)
			}
		})
	}
}

func TestTheScopeOfABlobIsItsTypeAndID(t *testing.T) {
	id := pack.NewHasher(secret("id")).ID(pack.Data, []byte("x"))
	seen := make(map[string]string)
	for _, typ := range []pack.Type{pack.Data, pack.Refs} {
		for _, i := range []pack.ID{{}, id} {
			s := pack.BlobScope([16]byte{1}, "node", typ, i)
			if len(s.Name) != 33 || s.Name[0] != byte(typ) || s.Name[1:] != string(i[:]) {
				t.Errorf("scope of type %d, id %s: %q", typ, i, s.Name)
			}
			seen[s.Name] = i.String()
		}
	}
	if len(seen) != 4 {
		t.Errorf("4 blobs have %d scopes", len(seen))
	}
}

func TestTwoSealsOfOnePlaintextDiffer(t *testing.T) {
	key := testKey("k")
	nonces, bodies := make(map[string]bool), make(map[string]bool)
	const n = 1000
	for range n {
		sealed := pack.Seal(nil, key, pack.ClassBlob, testScope, []byte("same"))
		nonces[string(sealed[15:39])], bodies[string(sealed[39:])] = true, true
	}
	if len(nonces) != n || len(bodies) != n {
		t.Errorf("%d seals have %d nonces and %d ciphertexts", n, len(nonces), len(bodies))
	}
}

func TestANewerFormatIsToldFromDamage(t *testing.T) {
	sealed := pack.Seal(nil, testKey("k"), pack.ClassBlob, testScope, nil)
	for field, at := range map[string]int{"version": 4, "suite": 5} {
		t.Run(field, func(t *testing.T) {
			bad := bytes.Clone(sealed)
			bad[at]++
			if _, err := pack.KeyID(bad, pack.ClassBlob); !errors.Is(err, pack.ErrNewer) {
				t.Fatalf("error %v", err)
			}
		})
	}
}

func TestTheHeaderNamesTheKey(t *testing.T) {
	for i := range 3 {
		key := testKey(fmt.Sprint(i))
		id, err := pack.KeyID(pack.Seal(nil, key, pack.ClassBlob, testScope, nil), pack.ClassBlob)
		if err != nil || id != key.ID {
			t.Errorf("sealed under %x, header says %x: %v", key.ID, id, err)
		}
	}
	if _, err := pack.KeyID(make([]byte, pack.Overhead), pack.ClassBlob); !errors.Is(err, pack.ErrAuthentication) {
		t.Errorf("zeros have a key id: %v", err)
	}
}
