package roles

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack/wire"
)

func exported(t *testing.T, v *vault, role Role, domains ...string) []byte {
	t.Helper()
	text, _, objects, err := v.owner.ExportKey(role, domains)
	v.put(objects, err)
	return text
}

func TestAKeyFileSaysWhoItIsAndWhereItBelongs(t *testing.T) {
	v := newVault(t)
	text := exported(t, v, RoleWriter, "b", "a")
	f, err := ParseKeyFile(text)
	if err != nil {
		t.Fatal(err)
	}
	n, hash := v.trust().Head()
	if f.Repository != v.id || !f.Owner.Equal(v.public()) || f.Role != RoleWriter || f.HeadNumber != n || f.HeadHash != hash {
		t.Errorf("key file %+v", f)
	}
	if d := cmp.Diff([]string{"a", "b"}, f.Domains); d != "" {
		t.Error(d)
	}
	lines := strings.Split(string(text), "\n")
	if lines[0] != "cbk key 0" || !strings.HasPrefix(lines[len(lines)-2], "sha256 ") || lines[len(lines)-1] != "" {
		t.Errorf("key file has the form\n%s", text)
	}
	for _, l := range lines {
		if len(l) > keyFileColumns {
			t.Errorf("line of %d characters", len(l))
		}
	}
	again, err := f.encode()
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("key file does not survive its reading: %v", err)
	}
}

func TestAKeyFileSurvivesEditors(t *testing.T) {
	v := newVault(t)
	text := string(exported(t, v, RoleReader))
	for name, edited := range map[string]string{
		"line ends of another system": strings.ReplaceAll(text, "\n", "\r\n"),
		"no last line end":            strings.TrimSuffix(text, "\n"),
	} {
		if _, err := ParseKeyFile([]byte(edited)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADamagedKeyFileSaysWhatIsWrong(t *testing.T) {
	v := newVault(t)
	text := string(exported(t, v, RoleWriter, "a"))
	lines := strings.SplitAfter(text, "\n")
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "start"},
		"another file":        {"-----BEGIN OPENSSH PRIVATE KEY-----\n", "start"},
		"a later version":     {strings.Replace(text, "key 0", "key 1", 1), "version"},
		"only the first line": {lines[0], "start"},
		"a lost last line":    {strings.Join(lines[:len(lines)-2], ""), "cut short"},
		"a lost middle line":  {lines[0] + strings.Join(lines[2:], ""), "checksum"},
		"lines exchanged":     {lines[0] + lines[2] + lines[1] + strings.Join(lines[3:], ""), "checksum"},
		"a letter too much":   {strings.Replace(text, lines[1], "A"+lines[1], 1), "base64"},
		"too much of it":      {text + strings.Repeat("x", MaxKeyFile), "limit"},
	} {
		_, err := ParseKeyFile([]byte(c.text))
		if !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something about %q", name, err, c.want)
		}
	}
}

// bodyOf is what stands in the base64 of a key file.
func bodyOf(t *testing.T, text []byte) []byte {
	t.Helper()
	lines := strings.Split(string(text), "\n")
	body, err := base64.StdEncoding.DecodeString(strings.Join(lines[1:len(lines)-2], ""))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestAKeyFileWithACorrectChecksumIsStillChecked(t *testing.T) {
	v := newVault(t)
	body := bodyOf(t, exported(t, v, RoleReader))
	if _, err := ParseKeyFile(armour(body)); err != nil {
		t.Fatal(err)
	}
	with := func(at int, b byte) []byte {
		out := bytes.Clone(body)
		out[at] = b
		return out
	}
	identityAt := 16 + 1 + 1 + 8 + 32 + 1
	for name, changed := range map[string][]byte{
		"role 0":                 with(16, 0),
		"role 9":                 with(16, 9),
		"a writer of no domain":  with(16, RoleWriter.code()),
		"a million domains":      append(append(bytes.Clone(body[:17]), 0xff, 0xff, 0x3f), body[18:]...),
		"another key id":         with(18, body[18]+1),
		"another signing key":    with(identityAt, body[identityAt]+1),
		"another hpke key":       with(identityAt+40, body[identityAt+40]+1),
		"no private keys":        with(identityAt-1, 0),
		"a byte too much":        append(bytes.Clone(body), 0),
		"a byte too few":         body[:len(body)-1],
		"an empty body":          nil,
		"a head out of all logs": append(append(bytes.Clone(body[:len(body)-33]), 0xff, 0xff, 0x7f), body[len(body)-32:]...),
	} {
		if f, err := ParseKeyFile(armour(changed)); !errors.Is(err, ErrKeyFile) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}

func TestErrorsOfKeyFilesShowNoContent(t *testing.T) {
	v := newVault(t)
	text := exported(t, v, RoleOwner)
	secret := strings.Split(string(text), "\n")[2]
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		if _, err := ParseKeyFile(changed); err == nil || strings.Contains(err.Error(), secret[:8]) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

func TestAKeyFileOpensItsOwnRepositoryOnly(t *testing.T) {
	v, other := newVault(t), newVault(t)
	f := v.export(RoleWriter, "a")
	if _, err := Open(other.id, other.public(), other.trust(), other.keys(), WithKeyFile(f)); !errors.Is(err, ErrWrongRepository) {
		t.Errorf("repository of another owner: %v", err)
	}
	if _, err := Open([16]byte{9}, v.public(), v.trust(), v.keys(), WithKeyFile(f)); !errors.Is(err, ErrWrongRepository) {
		t.Errorf("a config that names another repository than the log: %v", err)
	}
	moved := *f
	moved.Repository[0]++
	if _, err := v.tryOpen(WithKeyFile(&moved)); !errors.Is(err, ErrWrongRepository) {
		t.Errorf("a file of another repository: %v", err)
	}
	lying := *f
	lying.Role, lying.Domains = RoleReader, nil
	if _, err := v.tryOpen(WithKeyFile(&lying)); !errors.Is(err, ErrNoFit) {
		t.Errorf("a file that claims another role: %v", err)
	}
	wider := *f
	wider.Domains = []string{"a", "b"}
	if _, err := v.tryOpen(WithKeyFile(&wider)); !errors.Is(err, ErrNoFit) {
		t.Errorf("a file that claims more domains: %v", err)
	}
	text, _, _, err := v.owner.ExportKey(RoleReader, nil) // its objects are not written
	if err != nil {
		t.Fatal(err)
	}
	absent, err := ParseKeyFile(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.tryOpen(WithKeyFile(absent)); !errors.Is(err, ErrRolledBack) {
		t.Errorf("a file whose statement is not in the log: %v", err)
	}
}

// The bytes of a key file are fixed for ever.
func TestAKeyFileHasTheseBytes(t *testing.T) {
	self, err := parseIdentity(bytes.Repeat([]byte{5}, identitySize))
	if err != nil {
		t.Fatal(err)
	}
	f := &KeyFile{Repository: [16]byte{1}, Owner: bytes.Repeat([]byte{2}, 32), Role: RoleWriter,
		Domains: []string{"node-1"}, KeyID: self.id(), HeadNumber: 300, HeadHash: [32]byte{3}, self: self}
	text, err := f.encode()
	if err != nil {
		t.Fatal(err)
	}
	var e wire.Encoder
	e.Fixed(append([]byte{1}, make([]byte, 15)...))
	e.Fixed([]byte{2, 1, 6})
	e.Fixed([]byte("node-1"))
	id := f.KeyID
	e.Fixed(id[:])
	e.Fixed(bytes.Repeat([]byte{2}, 32))
	e.Fixed([]byte{64})
	e.Fixed(bytes.Repeat([]byte{5}, 64))
	e.Fixed([]byte{0xac, 0x02, 3})
	e.Fixed(make([]byte, 31))
	want := "cbk key 0\n"
	line := base64.StdEncoding.EncodeToString(e.Out())
	for ; len(line) > 76; line = line[76:] {
		want += line[:76] + "\n"
	}
	want += line + "\n" + fmt.Sprintf("sha256 %x\n", sha256.Sum256(e.Out()))
	if d := cmp.Diff(want, string(text)); d != "" {
		t.Error(d)
	}
	if id.String() != "46a58ee0a3bb3002" {
		t.Errorf("key id %s", id)
	}
}
