package roles

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
)

// forge signs body as statement n behind previous, well-formed in every other respect.
func forge(t *testing.T, v *vault, signer ed25519.PrivateKey, n uint64, previous [32]byte, b body) []byte {
	t.Helper()
	raw, err := encodeStatement(v.id, signer, n, previous, b)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// next is what the owner would sign as the next statement, however senseless.
func next(t *testing.T, v *vault, b body) []byte {
	t.Helper()
	n, hash := v.owner.trust.Head()
	return forge(t, v, v.owner.bundle.owner, n+1, hash, b)
}

// sign frames any text as a statement of the owner.
func sign(v *vault, version byte, text string) []byte {
	out := append(append([]byte(nil), statementMagic[:]...), version)
	out = binary.BigEndian.AppendUint32(out, uint32(len(text)))
	out = append(out, text...)
	return append(out, ed25519.Sign(v.owner.bundle.owner, statementMessage(v.id, out))...)
}

func wantDamage(t *testing.T, what, object string, err error) {
	t.Helper()
	var d *DamagedObjectError
	if !errors.As(err, &d) || d.Name != object {
		t.Errorf("%s: %v, want damage of %s", what, err, object)
	}
}

func TestTheLogFoldsToWhatItsStatementsSay(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleWriter, "b", "a")
	v.put(v.owner.SetSettings(json.RawMessage(`{ "pack": 128 }`)))
	v.put(v.owner.Revoke(f.KeyID, nil))
	trust := v.trust()
	p, ok := trust.Principal(f.KeyID)
	if !ok || p.Role != RoleWriter || !p.Signing.Equal(f.self.public()) {
		t.Fatalf("principal %+v", p)
	}
	if d := cmp.Diff([]string{"a", "b"}, p.Domains); d != "" {
		t.Error(d)
	}
	if want := time.Date(2031, 5, 6, 6, 8, 9, 0, time.UTC); !p.Created.Equal(want) {
		t.Errorf("created %s", p.Created)
	}
	if !p.Writes("a") || p.Writes("c") {
		t.Error("the writer writes other domains")
	}
	if string(trust.Settings()) != `{"pack":128}` {
		t.Errorf("settings %s", trust.Settings())
	}
	if trust.Generation("a") != 2 || trust.Generation("b") != 2 || trust.Generation("c") != 1 {
		t.Error("generations are wrong")
	}
	if trust.Repository() != v.id || !trust.Owner().Equal(v.public()) {
		t.Error("repository or owner is wrong")
	}
	if _, ok := trust.Principal(KeyID{}); ok {
		t.Error("a principal nobody made")
	}
	if n := len(slices.Collect(trust.Principals())); n != 1 {
		t.Errorf("%d principals", n)
	}
	if n, _ := trust.Head(); n != 7 || len(v.statements()) != 7 {
		t.Errorf("%d statements", n)
	}
}

func TestAnEmptyLogTrustsNobody(t *testing.T) {
	v := newVault(t)
	_, err := ParseTrust(v.id, v.public(), nil)
	wantDamage(t, "no statement", "trust/1", err)
	empty := NewTrust(v.id, v.public())
	if _, _, err := empty.SealKey("a"); !errors.Is(err, ErrNoSealKey) {
		t.Errorf("seal key of an empty log: %v", err)
	}
	if n, hash := empty.Head(); n != 0 || hash != [32]byte{} {
		t.Error("an empty log has a head")
	}
	wantDamage(t, "an owner without a key", "trust/1", NewTrust(v.id, nil).Append(v.statements()[0]))
}

func TestOnlyTheOwnersChainIsAccepted(t *testing.T) {
	v := newVault(t)
	writer := v.export(RoleWriter, "a")
	all := v.statements()
	n, hash := v.owner.trust.Head()
	seal, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	public := seal.sealing.PublicKey()
	thief := &sealKeyBody{sealKeyID(public), "", suite, public.Bytes()}
	genesis := &genesisBody{v.id[:], v.public(), json.RawMessage(`{}`)}
	other := newVault(t)
	for name, c := range map[string]struct {
		log [][]byte
		bad string
	}{
		"a seal key signed by a writer": {append(slices.Clone(all), forge(t, v, writer.self.signing, n+1, hash, thief)), "trust/4"},
		"a statement left out":          {[][]byte{all[0], all[2]}, "trust/2"},
		"two statements exchanged":      {[][]byte{all[0], all[2], all[1]}, "trust/2"},
		"a statement twice":             {[][]byte{all[0], all[1], all[1]}, "trust/3"},
		"no genesis":                    {all[1:], "trust/1"},
		"a second genesis":              {append(slices.Clone(all), next(t, v, genesis)), "trust/4"},
		"a wrong number":                {append(slices.Clone(all), forge(t, v, v.owner.bundle.owner, n+2, hash, thief)), "trust/4"},
		"a wrong predecessor":           {append(slices.Clone(all), forge(t, v, v.owner.bundle.owner, n+1, [32]byte{1}, thief)), "trust/4"},
		"another owner's log":           {other.statements(), "trust/1"},
	} {
		_, err := ParseTrust(v.id, v.public(), c.log)
		wantDamage(t, name, c.bad, err)
	}
	if _, err := ParseTrust([16]byte{7}, v.public(), all); err == nil {
		t.Error("a log is accepted for another repository")
	}
}

func TestSenselessStatementsOfTheOwnerAreRefused(t *testing.T) {
	v := newVault(t)
	f := v.export(RoleWriter, "a")
	p, _ := v.trust().Principal(f.KeyID)
	seal := v.trust().SealKeys()[0]
	id, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	pub := id.sealing.PublicKey().Bytes()
	principal := func(change func(*principalBody)) *principalBody {
		b := &principalBody{id.id(), RoleReader, nil, suite, id.public(), pub, "2031-05-06T07:08:09Z"}
		change(b)
		return b
	}
	if err := v.trust().Append(next(t, v, principal(func(*principalBody) {}))); err != nil {
		t.Fatalf("the unchanged statement: %v", err)
	}
	for name, b := range map[string]body{
		"a seal key there already":        &sealKeyBody{seal.ID, "", suite, seal.Public.Bytes()},
		"a seal key under another id":     &sealKeyBody{SealKeyID{1}, "", suite, pub},
		"a seal key cut short":            &sealKeyBody{SealKeyID{1}, "", suite, pub[1:]},
		"a seal key of no suite":          &sealKeyBody{sealKeyID(id.sealing.PublicKey()), "", 0, pub},
		"a seal key of a wrong label":     &sealKeyBody{sealKeyID(id.sealing.PublicKey()), "A", suite, pub},
		"a principal there already":       &principalBody{p.ID, p.Role, p.Domains, suite, p.Signing, p.Sealing, "2031-05-06T07:08:09Z"},
		"a principal under another id":    principal(func(b *principalBody) { b.ID[0]++ }),
		"a principal without signing key": principal(func(b *principalBody) { b.Signing = nil }),
		"a principal with half a key":     principal(func(b *principalBody) { b.Sealing = pub[:600] }),
		"a reader with domains":           principal(func(b *principalBody) { b.Domains = []string{"a"} }),
		"a writer without":                principal(func(b *principalBody) { b.Role = RoleWriter }),
		"unsorted domains":                principal(func(b *principalBody) { b.Role, b.Domains = RoleWriter, []string{"b", "a"} }),
		"a local time":                    principal(func(b *principalBody) { b.Created = "2031-05-06T07:08:09+01:00" }),
		"parts of seconds":                principal(func(b *principalBody) { b.Created = "2031-05-06T07:08:09.5Z" }),
		"a revocation of nobody":          &revokeBody{ID: KeyID{1}},
		"a generation left out":           &generationBody{"a", 3},
		"a generation again":              &generationBody{"a", 1},
		"a generation of no domain":       &generationBody{"", 2},
		"settings that are a list":        &settingsBody{json.RawMessage(`[]`)},
		"settings that are null":          &settingsBody{json.RawMessage(`null`)},
		"retiring an unknown seal key":    &retireBody{SealKeyID{1}},
		"retiring the last seal key":      &retireBody{seal.ID},
	} {
		trust := v.trust()
		wantDamage(t, name, "trust/4", trust.Append(next(t, v, b)))
		if n, _ := trust.Head(); n != 3 {
			t.Errorf("%s: the refused statement counts", name)
		}
	}
	later := principal(func(b *principalBody) { b.Role = "auditor" })
	if err := v.trust().Append(next(t, v, later)); !errors.Is(err, pack.ErrNewer) {
		t.Errorf("a role of a later version: %v", err)
	}
	later = principal(func(b *principalBody) { b.Suite = 2 })
	if err := v.trust().Append(next(t, v, later)); !errors.Is(err, pack.ErrNewer) {
		t.Errorf("a suite of a later version: %v", err)
	}
}

func TestOnlyOneSpellingOfAStatementIsAccepted(t *testing.T) {
	v := newVault(t)
	_, hash := v.owner.trust.Head()
	frame := fmt.Sprintf(`{"n":3,"previous":"%x","kind":"settings","body":{"settings":{"pack":1}}}`, hash)
	if err := v.trust().Append(sign(v, 0, frame)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"white space":            {`"n":3`, `"n": 3`},
		"another number form":    {`"n":3`, `"n":3e0`},
		"a field twice":          {`"n":3`, `"n":2,"n":3`},
		"another case":           {`"n":3`, `"N":3`},
		"an unknown field":       {`"n":3`, `"n":3,"x":1`},
		"another order":          {`"kind":"settings","body":{"settings":{"pack":1}}`, `"body":{"settings":{"pack":1}},"kind":"settings"`},
		"capital hex digits":     {fmt.Sprintf("%x", hash), strings.ToUpper(hex.EncodeToString(hash[:]))},
		"an inner unknown field": {`{"settings":`, `{"x":0,"settings":`},
		"an escaped letter":      {`"settings","body"`, `"settin\u0067s","body"`},
		"text behind it":         {`{"pack":1}}}`, `{"pack":1}}} `},
		"an object cut short":    {`{"pack":1}}}`, `{"pack":1}}`},
		"nothing":                {frame, ``},
	} {
		text := strings.Replace(frame, change[0], change[1], 1)
		if text == frame {
			t.Fatalf("%s: no change", name)
		}
		wantDamage(t, name, "trust/3", v.trust().Append(sign(v, 0, text)))
	}
	if err := v.trust().Append(sign(v, 1, frame)); !errors.Is(err, pack.ErrNewer) {
		t.Errorf("a later version: %v", err)
	}
	strange := strings.Replace(frame, `"kind":"settings"`, `"kind":"quorum"`, 1)
	if err := v.trust().Append(sign(v, 0, strange)); !errors.Is(err, pack.ErrNewer) {
		t.Errorf("a kind of a later version: %v", err)
	}
}

func TestAStatementIsBounded(t *testing.T) {
	v := newVault(t)
	large := json.RawMessage(`{"a":"` + strings.Repeat("x", MaxStatement) + `"}`)
	if _, err := v.owner.SetSettings(large); err == nil {
		t.Error("settings over the bound are signed")
	}
	if _, _, err := Create(v.id, large); err == nil {
		t.Error("a repository is founded with them")
	}
	_, hash := v.owner.trust.Head()
	frame := fmt.Sprintf(`{"n":3,"previous":"%x","kind":"settings","body":{"settings":%s}}`, hash, large)
	wantDamage(t, "a signed one over the bound", "trust/3", v.trust().Append(sign(v, 0, frame)))
	deep := fmt.Sprintf(`{"n":3,"previous":"%x","kind":"settings","body":{"settings":{"a":%s%s}}}`, hash,
		strings.Repeat("[", 30000), strings.Repeat("]", 30000))
	wantDamage(t, "a deep one", "trust/3", v.trust().Append(sign(v, 0, deep)))
	full := v.trust()
	full.chain = append(full.chain, make([][32]byte, MaxStatements-len(full.chain))...)
	wantDamage(t, "one too many", TrustName(MaxStatements+1), full.Append(next(t, v, &settingsBody{json.RawMessage(`{}`)})))
}

func TestBadSettingsFoundNoRepository(t *testing.T) {
	for _, settings := range []string{``, `null`, `[]`, `1`, `{`, `"x"`} {
		if _, objects, err := Create([16]byte{1}, json.RawMessage(settings)); err == nil {
			t.Errorf("settings %q: %d objects", settings, len(objects))
		}
	}
}

func TestALogSeenBeforeCannotBeShortenedOrExchanged(t *testing.T) {
	v := newVault(t)
	short := v.trust()
	n2, h2 := short.Head()
	writer := v.export(RoleWriter, "a")
	long := v.trust()
	n3, h3 := long.Head()
	if err := errors.Join(long.Covers(0, [32]byte{}), long.Covers(n2, h2), long.Covers(n3, h3)); err != nil {
		t.Errorf("a log that grew: %v", err)
	}
	if err := short.Covers(n3, h3); !errors.Is(err, ErrRolledBack) {
		t.Errorf("a shorter log: %v", err)
	}
	if err := long.Covers(n3, h2); !errors.Is(err, ErrRolledBack) {
		t.Errorf("another log: %v", err)
	}
	if _, err := Open(v.id, v.public(), short, v.keys(), WithKeyFile(writer)); !errors.Is(err, ErrRolledBack) {
		t.Errorf("a key file opens with a log older than its export: %v", err)
	}
}

func TestGenerationsAndSealKeysAreBounded(t *testing.T) {
	v := newVault(t)
	full := v.trust()
	full.generations["a"] = maxGeneration
	wantDamage(t, "a generation too many", "trust/3", full.Append(next(t, v, &generationBody{"a", maxGeneration + 1})))
	id, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	public := id.sealing.PublicKey()
	full.seals = append(full.seals, slices.Repeat([]*SealKey{{Domain: "x"}}, maxSealKeys-1)...)
	last := next(t, v, &sealKeyBody{sealKeyID(public), "", suite, public.Bytes()})
	wantDamage(t, "a seal key too many", "trust/3", full.Append(last))
	full.seals[1] = &SealKey{Retired: true}
	if err := full.Append(last); err != nil {
		t.Errorf("with one retired: %v", err)
	}
}

// The bytes of a statement are fixed for ever: the genesis of a known owner, its signature included.
func TestAStatementHasTheseBytes(t *testing.T) {
	repo, owner := [16]byte{15: 7}, ed25519.NewKeyFromSeed(make([]byte, 32))
	public := owner.Public().(ed25519.PublicKey)
	raw, err := encodeStatement(repo, owner, 1, [32]byte{}, &genesisBody{repo[:], public, json.RawMessage(`{"pack":64}`)})
	if err != nil {
		t.Fatal(err)
	}
	text := `{"n":1,"previous":"0000000000000000000000000000000000000000000000000000000000000000","kind":"genesis",` +
		`"body":{"repository":"AAAAAAAAAAAAAAAAAAAABw==","owner":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=",` +
		`"settings":{"pack":64}}}`
	want := append([]byte("cbkT\x00\x00\x00\x00"), byte(len(text)))
	want = append(want, text...)
	signed := append([]byte("cbk trust\x00"), repo[:]...)
	want = append(want, ed25519.Sign(owner, append(signed, want...))...)
	if !bytes.Equal(raw, want) {
		t.Errorf("genesis is\n%q\nwant\n%q", raw, want)
	}
	if _, err := ParseTrust(repo, public, [][]byte{raw}); err != nil {
		t.Error(err)
	}
}

func TestALogMayGrowWhileItIsAsked(t *testing.T) {
	v := newVault(t)
	v.export(RoleWriter, "a")
	all := v.statements()
	trust := NewTrust(v.id, v.public())
	done := make(chan error)
	go func() {
		var err error
		for _, s := range all {
			err = errors.Join(err, trust.Append(s))
		}
		done <- err
	}()
	for len(slices.Collect(trust.Principals())) == 0 {
		trust.SealKey("a")
		trust.Generation("a")
		trust.Settings()
		trust.Head()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
