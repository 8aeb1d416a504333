package pack_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"

	"cbk/pack"
)

func TestAnIDIsTheHMACOfTypeAndPlaintext(t *testing.T) {
	key := secret("id")
	for _, plain := range []string{"", "x", strings.Repeat("long ", 100_000)} {
		mac := hmac.New(sha256.New, key[:])
		mac.Write([]byte{byte(pack.Recipe)})
		mac.Write([]byte(plain))
		if got := pack.NewHasher(key).ID(pack.Recipe, []byte(plain)); got != pack.ID(mac.Sum(nil)) {
			t.Errorf("id of %d bytes is %s", len(plain), got)
		}
	}
}

func TestIDsDifferByTypeKeyAndContent(t *testing.T) {
	seen := make(map[pack.ID]string)
	for _, key := range []string{"one", "two"} {
		h := pack.NewHasher(secret(key))
		for typ := pack.Data; typ <= pack.Rows; typ++ {
			for _, plain := range []string{"", "a", "b", "\x01a"} {
				id, what := h.ID(typ, []byte(plain)), key+" "+string('0'+rune(typ))+" "+plain
				if other, ok := seen[id]; ok {
					t.Errorf("%q and %q have one id", other, what)
				}
				seen[id] = what
			}
		}
	}
}

func TestAHasherServesManyGoroutines(t *testing.T) {
	h := pack.NewHasher(secret("id"))
	want := make([]pack.ID, 50)
	for i := range want {
		want[i] = h.ID(pack.Data, noise(i, 1000))
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for i := range want {
				if got := h.ID(pack.Data, noise(i, 1000)); got != want[i] {
					t.Errorf("content %d: %s, alone %s", i, got, want[i])
				}
			}
		})
	}
	wait.Wait()
}

func TestIDsAreParsedOnlyFromLowerCaseHex(t *testing.T) {
	good := pack.NewHasher(secret("id")).ID(pack.Data, nil)
	if got, err := pack.ParseID(good.String()); err != nil || got != good {
		t.Fatalf("%s comes back as %s: %v", good, got, err)
	}
	if good.Short() != good.String()[:8] {
		t.Errorf("short form %s of %s", good.Short(), good)
	}
	for name, s := range map[string]string{
		"nothing":        "",
		"a digit short":  good.String()[1:],
		"a digit more":   good.String() + "0",
		"upper case":     strings.Repeat("AB", 32),
		"not hex":        strings.Repeat("g", 64),
		"half not hex":   strings.Repeat("0", 63) + "x",
		"two-byte runes": strings.Repeat("é", 32),
	} {
		if id, err := pack.ParseID(s); err == nil || id != (pack.ID{}) {
			t.Errorf("%s: %q was read as %s", name, s, id)
		}
	}
}

func TestOnlyTheSixTypesAreValid(t *testing.T) {
	for i := range 256 {
		if got, want := pack.Type(i).Valid(), i >= 1 && i <= 6; got != want {
			t.Errorf("type %d valid: %v", i, got)
		}
	}
}
