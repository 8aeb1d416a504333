package repo_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/keys"
	"cbk/repo/store"
)

func tryOpen(ctx context.Context, st store.Store, passphrase string) error {
	_, err := repo.Open(ctx, st, []byte(passphrase), "")
	return err
}

func TestInitMakesARepositoryThatOpens(t *testing.T) {
	r, st := newRepo(t)
	if len(r.ID()) != 32 {
		t.Errorf("id %q", r.ID())
	}
	if got := len(objects(t, st, "")); got != 2 {
		t.Errorf("%d objects in a fresh repository", got)
	}
	if again := openRepo(t, st, ""); again.ID() != r.ID() {
		t.Errorf("opened as %s and %s", r.ID(), again.ID())
	}
	if other, _ := newRepo(t); other.ID() == r.ID() {
		t.Error("two repositories have one id")
	}
}

func TestInitTwiceIsRefused(t *testing.T) {
	_, st := newRepo(t)
	before := objects(t, st, "")
	err := repo.Init(t.Context(), st, []byte("another"), cheap, smallConfig())
	if !errors.Is(err, repo.ErrRepositoryExists) {
		t.Errorf("error %v", err)
	}
	if after := objects(t, st, ""); len(after) != len(before) {
		t.Errorf("%v became %v", before, after)
	}
	if err := tryOpen(t.Context(), st, passphrase); err != nil {
		t.Errorf("it no longer opens: %v", err)
	}
}

func TestOfTwoInitsAtOnceOneWins(t *testing.T) {
	st := memory(t)
	results := make(chan error, 4)
	for _, pass := range []string{"a", "b", "c", "d"} {
		go func() { results <- repo.Init(t.Context(), st, []byte(pass), cheap, smallConfig()) }()
	}
	won := 0
	for range cap(results) {
		if err := <-results; err == nil {
			won++
		} else if !errors.Is(err, repo.ErrRepositoryExists) {
			t.Errorf("error %v", err)
		}
	}
	opened := 0
	for _, pass := range []string{"a", "b", "c", "d"} {
		if tryOpen(t.Context(), st, pass) == nil {
			opened++
		}
	}
	if won != 1 || opened != 1 {
		t.Errorf("%d won, %d passphrases open it", won, opened)
	}
}

func TestAnEmptyPlaceIsNoRepository(t *testing.T) {
	st := memory(t)
	if err := st.Create(t.Context(), "README", []byte("nothing here")); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t.Context(), st, passphrase); !errors.Is(err, repo.ErrNoRepository) {
		t.Errorf("error %v", err)
	}
}

func TestAWrongPassphraseIsToldFromDamage(t *testing.T) {
	_, st := newRepo(t)
	err := tryOpen(t.Context(), st, "wrong")
	if !repo.KeyMismatch(err) || errors.As(err, new(*repo.DamageError)) {
		t.Errorf("error %v", err)
	}
}

func TestSettingsOutOfRangeMakeNoRepository(t *testing.T) {
	for name, change := range map[string]func(*repo.Config){
		"packs too small":       func(c *repo.Config) { c.PackSize = 1<<20 - 1 },
		"packs too large":       func(c *repo.Config) { c.PackSize = pack.MaxPack/2 + 1 },
		"another suite":         func(c *repo.Config) { c.Suite = 2 },
		"data chunks too large": func(c *repo.Config) { c.DataChunks.Max = pack.MaxBlob + 1 },
		"other chunks of zero":  func(c *repo.Config) { c.MetaChunks = pack.Sizes{} },
	} {
		st, cfg := memory(t), smallConfig()
		change(&cfg)
		if err := repo.Init(t.Context(), st, []byte(passphrase), cheap, cfg); err == nil {
			t.Errorf("%s: made", name)
		}
		if left := objects(t, st, ""); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	if err := repo.Init(t.Context(), memory(t), nil, cheap, smallConfig()); err == nil {
		t.Error("made without a passphrase")
	}
}

// resum gives a changed config the checksum that fits, as anybody can.
func resum(b []byte) []byte {
	b = bytes.Clone(b)
	sum := sha256.Sum256(b[:len(b)-64])
	copy(b[len(b)-64:], sum[:])
	return b
}

func edit(config []byte, from, to string) []byte {
	if len(from) != len(to) || !bytes.Contains(config, []byte(from)) {
		panic("the edit must fit the config: " + from)
	}
	return resum(bytes.Replace(config, []byte(from), []byte(to), 1))
}

func TestAChangedConfigIsNotBelieved(t *testing.T) {
	_, st := newRepo(t)
	name, config := only(t, st, "config")
	newer := bytes.Clone(config)
	binary.BigEndian.PutUint16(newer[4:], 1)
	damaged := func(t *testing.T, err error) { mustDamage(t, err, "config") }
	isNewer := func(t *testing.T, err error) {
		if !errors.Is(err, pack.ErrNewer) || errors.As(err, new(*repo.DamageError)) {
			t.Fatalf("error %v", err)
		}
	}
	refused := func(t *testing.T, err error) {
		if err == nil {
			t.Fatal("it opens")
		}
	}
	for _, c := range []struct {
		name   string
		config []byte
		want   func(*testing.T, error)
	}{
		{"a newer version", resum(newer), isNewer},
		{"a newer version that is a flipped bit", newer, damaged},
		{"a suite of the future", edit(config, `"suite":1`, `"suite":2`), isNewer},
		{"another pack size", edit(config, `"pack_size":1048576`, `"pack_size":1048577`), damaged},
		{"a pack size out of range", edit(config, `"pack_size":1048576`, `"pack_size":9048576000`[:19]), refused},
		{"another repository id", edit(config, string(config[26:36]), "0000000000"), refused},
		{"an id that is no hex", edit(config, string(config[26:36]), "zzzzzzzzzz"), refused},
		{"settings that are no JSON", edit(config, `{`, `[`), damaged},
		{"another magic", resum(append([]byte("cbkD"), config[4:]...)), damaged},
		{"a length that lies", resum(append(append(bytes.Clone(config[:9]), config[9]+1), config[10:]...)), damaged},
		{"nothing", []byte{}, damaged},
		{"more than a config can be", make([]byte, 64<<10+1), damaged},
		{"itself", config, func(t *testing.T, err error) {
			if err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			replace(t, st, name, c.config)
			c.want(t, tryOpen(t.Context(), st, passphrase))
		})
	}
}

// foreign adds a well-formed slot that the passphrase does not open, before or after the repository's own.
func foreign(t *testing.T, st store.Store, before bool) string {
	t.Helper()
	own, _ := only(t, st, "keys/")
	for {
		slot, err := keys.New([16]byte{1}).Slot([]byte("somebody else's"), cheap)
		if err != nil {
			t.Fatal(err)
		}
		name := "keys/" + pack.ID(sha256.Sum256(slot)).String()
		if name < own == before {
			if err := st.Create(t.Context(), name, slot); err != nil {
				t.Fatal(err)
			}
			return name
		}
	}
}

func TestAForeignSlotHidesNeitherTheOwnNorItsDamage(t *testing.T) {
	for order, before := range map[string]bool{"before": true, "after": false} {
		t.Run("a foreign slot "+order+" the own", func(t *testing.T) {
			_, st := newRepo(t)
			own, data := only(t, st, "keys/")
			foreign(t, st, before)
			if err := tryOpen(t.Context(), st, passphrase); err != nil {
				t.Errorf("it does not open: %v", err)
			}
			if err := tryOpen(t.Context(), st, "wrong"); !repo.KeyMismatch(err) {
				t.Errorf("a wrong passphrase: %v", err)
			}
			replace(t, st, own, flip(data, 20))
			mustDamage(t, tryOpen(t.Context(), st, passphrase), own)
			replace(t, st, own, make([]byte, keys.MaxSlot+1))
			mustDamage(t, tryOpen(t.Context(), st, passphrase), own)
			offline := &altered{Store: st, name: own, err: errors.New("offline")}
			if err := tryOpen(t.Context(), offline, passphrase); err == nil || !strings.Contains(err.Error(), "offline") {
				t.Errorf("a slot that could not be read: %v", err)
			}
		})
	}
}

func TestARepositoryWithoutSlotsSaysSo(t *testing.T) {
	_, st := newRepo(t)
	own, data := only(t, st, "keys/")
	replace(t, st, own, nil)
	if err := st.Create(t.Context(), "keys/tmp", data); err != nil {
		t.Fatal(err)
	}
	err := tryOpen(t.Context(), st, passphrase)
	mustDamage(t, err, "keys/")
	if !strings.Contains(err.Error(), "no key slot is left") {
		t.Errorf("error %v", err)
	}
}
