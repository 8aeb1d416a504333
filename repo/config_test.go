package repo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/repo/store/storefault"
)

func tryOpen(ctx context.Context, st store.Store, passphrase string) error {
	_, err := repo.Open(ctx, st, roles.WithPassphrase([]byte(passphrase)), "")
	return err
}

func TestInitMakesARepositoryThatOpens(t *testing.T) {
	r, st := newRepo(t)
	if len(r.ID()) != 32 {
		t.Errorf("id %q", r.ID())
	}
	// Config, genesis, seal key and owner in the trust log, the owner's slot and grant.
	if got := len(objects(t, st, "")); got != 6 {
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
	err := repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte("another"), cheap))
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
		go func() { results <- repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte(pass), cheap)) }()
	}
	won := 0
	for range cap(results) {
		if err := <-results; err == nil {
			won++
		} else if !errors.Is(err, repo.ErrRepositoryExists) && !errors.Is(err, repo.ErrUnfinishedInit) {
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
	for name, change := range map[string]func(*repo.Settings){
		"packs too small":       func(c *repo.Settings) { c.PackSize = 1<<20 - 1 },
		"packs too large":       func(c *repo.Settings) { c.PackSize = pack.MaxPack/2 + 1 },
		"data chunks too large": func(c *repo.Settings) { c.DataChunks.Max = pack.MaxBlob + 1 },
		"other chunks of zero":  func(c *repo.Settings) { c.MetaChunks = pack.Sizes{} },
	} {
		st, cfg := memory(t), smallSettings()
		change(&cfg)
		if err := repo.Init(t.Context(), st, cfg, roles.Passphrase([]byte(passphrase), cheap)); err == nil {
			t.Errorf("%s: made", name)
		}
		if left := objects(t, st, ""); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	if err := repo.Init(t.Context(), memory(t), smallSettings()); err == nil {
		t.Error("made without a slot")
	}
}

// forged returns a config like the one in st, changed, and signed by another owner.
func forged(t *testing.T, config []byte, change func(text string) string) []byte {
	t.Helper()
	owner, _, err := roles.Create([16]byte(hexID(t, config)), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return forgedBy(owner, config, change)
}

func forgedBy(owner *roles.Owner, config []byte, change func(text string) string) []byte {
	text := string(config[12 : len(config)-64])
	at := strings.Index(text, `"owner":"`) + len(`"owner":"`)
	text = change(text[:at] + hex.EncodeToString(owner.Trust().Owner()) + text[at+64:])
	b := append(bytes.Clone(config[:8]), binary.BigEndian.AppendUint32(nil, uint32(len(text)))...)
	b = append(b, text...)
	sig := owner.SignConfig(b)
	return append(b, sig[:]...)
}

func hexID(t *testing.T, config []byte) []byte {
	t.Helper()
	at := bytes.Index(config, []byte(`"repository":"`)) + len(`"repository":"`)
	id, err := hex.DecodeString(string(config[at : at+32]))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func same(text string) string { return text }

func swap(from, to string) func(string) string {
	return func(text string) string { return strings.Replace(text, from, to, 1) }
}

func TestAChangedConfigIsNotBelieved(t *testing.T) {
	_, st := newRepo(t)
	name, config := only(t, st, "config")
	newer := bytes.Clone(config)
	binary.BigEndian.PutUint16(newer[6:], 1)
	newerSigned := forged(t, newer, same)
	damaged := func(t *testing.T, err error) { mustDamage(t, err, "config") }
	isNewer := func(t *testing.T, err error) {
		if !errors.Is(err, pack.ErrNewer) || errors.As(err, new(*repo.DamageError)) {
			t.Fatalf("error %v", err)
		}
	}
	for _, c := range []struct {
		name   string
		config []byte
		want   func(*testing.T, error)
	}{
		{"a newer version", newerSigned, isNewer},
		{"a newer version that is a flipped bit", newer, damaged},
		{"a suite of the future", forged(t, config, swap(`"suite":1`, `"suite":2`)), isNewer},
		{"a feature of the future", forged(t, config, swap(`"requires":[]`, `"requires":["x"]`)), isNewer},
		{"a repository id that is no hex", forged(t, config, swap(`"repository":"`, `"repository":"z`)), damaged},
		{"an owner that is no key", forged(t, config, swap(`"owner":"`, `"owner":"00`)), damaged},
		{"an identity that is no JSON", forged(t, config, swap("{", "[")), damaged},
		{"another magic", append([]byte("cbkD"), config[4:]...), damaged},
		{"a length that lies", append(append(bytes.Clone(config[:11]), config[11]+1), config[12:]...), damaged},
		{"another owner", forged(t, config, same), func(t *testing.T, err error) { mustDamage(t, err, "trust/1") }},
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
	for i := range config {
		replace(t, st, name, flip(config, i))
		if err := tryOpen(t.Context(), st, passphrase); err == nil {
			t.Errorf("a flip at %d goes unnoticed", i)
		} else {
			mustDamage(t, err, "config")
		}
	}
}

// slotOf returns the one slot of a fresh repository.
func slotOf(t *testing.T, st store.Store) (name string, data []byte) {
	t.Helper()
	for _, name := range objects(t, st, "keys/") {
		data, err := st.Get(t.Context(), name, roles.MaxGrant)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(data, []byte("cbkS")) {
			return name, data
		}
	}
	t.Fatal("no slot")
	return "", nil
}

func TestAForeignSlotHidesNeitherTheOwnNorItsDamage(t *testing.T) {
	_, st := newRepo(t)
	_, other := newRepo(t)
	for _, name := range objects(t, other, "keys/") {
		data, err := other.Get(t.Context(), name, roles.MaxGrant)
		if err == nil {
			err = st.Create(t.Context(), name, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	strange, _ := slotOf(t, other)
	own, data := "", []byte(nil)
	for _, name := range objects(t, st, "keys/") {
		if b, _ := st.Get(t.Context(), name, roles.MaxGrant); bytes.HasPrefix(b, []byte("cbkS")) && name != strange {
			own, data = name, b
		}
	}
	if err := tryOpen(t.Context(), st, passphrase); err != nil {
		t.Errorf("it does not open: %v", err)
	}
	if err := tryOpen(t.Context(), st, "wrong"); !repo.KeyMismatch(err) {
		t.Errorf("a wrong passphrase: %v", err)
	}
	replace(t, st, own, flip(data, 60))
	if err := tryOpen(t.Context(), st, passphrase); err == nil || !strings.Contains(err.Error(), own) {
		t.Errorf("a damaged slot: %v", err)
	}
	replace(t, st, own, make([]byte, roles.MaxSlot+1))
	if err := tryOpen(t.Context(), st, passphrase); err == nil {
		t.Error("a slot of zeros opens")
	}
	offline := &altered{Store: st, name: own, err: errors.New("offline")}
	if err := tryOpen(t.Context(), offline, passphrase); err == nil || !strings.Contains(err.Error(), "offline") {
		t.Errorf("a slot that could not be read: %v", err)
	}
}

func TestARepositoryWithoutSlotsDoesNotOpen(t *testing.T) {
	_, st := newRepo(t)
	own, data := slotOf(t, st)
	replace(t, st, own, nil)
	if err := st.Create(t.Context(), "keys/tmp", data); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t.Context(), st, passphrase); !repo.KeyMismatch(err) {
		t.Errorf("error %v", err)
	}
}

func TestAnUnfinishedInitIsToldAndCanBeDiscarded(t *testing.T) {
	st := memory(t)
	_, broken := faulty(st, storefault.Fault{At: 4, Mode: storefault.Crash})
	if err := repo.Init(t.Context(), broken, smallSettings(), roles.Passphrase([]byte("first"), cheap)); err == nil {
		t.Fatal("it succeeds")
	}
	again := func() error {
		return repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte("second"), cheap))
	}
	if err := again(); !errors.Is(err, repo.ErrUnfinishedInit) {
		t.Fatalf("error %v", err)
	}
	if err := repo.DiscardUnfinishedInit(t.Context(), st); err != nil {
		t.Fatal(err)
	}
	if left := objects(t, st, ""); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if err := errors.Join(again(), tryOpen(t.Context(), st, "second")); err != nil {
		t.Fatal(err)
	}
	if err := repo.DiscardUnfinishedInit(t.Context(), st); !errors.Is(err, repo.ErrRepositoryExists) {
		t.Errorf("a repository is discarded: %v", err)
	}
}
