package roles

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"cbk/pack/wire"
)

// A key file is text:
//
//	cbk key 0
//	base64, at most 76 characters a line
//	sha256 <64 hex digits>: of the bytes the base64 stands for
//
// The bytes, in the grammar of package wire: 16 repository id; role byte; count, domains; 8 key id; 32 owner's public
// key; byte string: private keys (identity); number of the newest trust statement and its 32-byte SHA-256.
const (
	keyFileFirst    = "cbk key 0"
	keyFileFamily   = "cbk key "
	keyFileChecksum = "sha256 "
	keyFileColumns  = 76

	// MaxKeyFile bounds a key file as read, in bytes: 256 labels of 64 bytes are 22 KiB of base64.
	MaxKeyFile = 32 << 10
)

// KeyFile is a principal in a file of its own: who it is, and where it belongs. It prints without its secrets.
type KeyFile struct {
	Repository [16]byte
	Owner      ed25519.PublicKey // what the repository's config has to name
	Role       Role
	Domains    []string // of a writer, sorted
	KeyID      KeyID
	HeadNumber uint64 // newest statement of the trust log at the export
	HeadHash   [32]byte

	self *identity
}

func (k *KeyFile) encode() ([]byte, error) {
	private, err := k.self.marshal()
	if err != nil {
		return nil, err
	}
	defer clear(private)
	var e wire.Encoder
	e.Fixed(k.Repository[:])
	e.Byte(k.Role.code())
	e.Count(len(k.Domains))
	for _, d := range k.Domains {
		e.String(d)
	}
	e.Fixed(k.KeyID[:])
	e.Fixed(k.Owner)
	e.Bytes(private)
	e.Uvarint(k.HeadNumber)
	e.Fixed(k.HeadHash[:])
	return armour(e.Out()), nil
}

func armour(body []byte) []byte {
	var out bytes.Buffer
	out.WriteString(keyFileFirst + "\n")
	text := base64.StdEncoding.EncodeToString(body)
	for len(text) > 0 {
		n := min(keyFileColumns, len(text))
		out.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	fmt.Fprintf(&out, "%s%x\n", keyFileChecksum, sha256.Sum256(body))
	return out.Bytes()
}

// ParseKeyFile reads a key file. Errors match ErrKeyFile, say what is wrong and never show content.
func ParseKeyFile(text []byte) (*KeyFile, error) {
	body, err := unarmour(text)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	d := wire.NewDecoder(body)
	k := &KeyFile{}
	d.Array(k.Repository[:])
	role, known := roleOf(d.Byte())
	if !known {
		d.Invalid("role")
	}
	k.Role = role
	for range d.Count(maxDomains, 2) {
		k.Domains = append(k.Domains, d.String(maxLabel))
	}
	d.Array(k.KeyID[:])
	k.Owner = bytes.Clone(d.Fixed(ed25519.PublicKeySize))
	private := d.Bytes(identitySize)
	k.HeadNumber = d.Uvarint(MaxStatements)
	d.Array(k.HeadHash[:])
	if d.Done() != nil || checkDomains(k.Role, k.Domains) != nil {
		return nil, fmt.Errorf("its content is malformed: %w", ErrKeyFile)
	}
	if k.self, err = parseIdentity(private); err != nil || k.self.id() != k.KeyID {
		return nil, fmt.Errorf("its private keys do not belong to its key id: %w", ErrKeyFile)
	}
	return k, nil
}

func unarmour(text []byte) ([]byte, error) {
	if len(text) > MaxKeyFile {
		return nil, fmt.Errorf("%d bytes are over the limit of %d: %w", len(text), MaxKeyFile, ErrKeyFile)
	}
	plain := strings.ReplaceAll(string(text), "\r\n", "\n") // editors of other systems
	lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
	if lines[0] != keyFileFirst && strings.HasPrefix(lines[0], keyFileFamily) {
		return nil, fmt.Errorf("its first line is of another version: %w", ErrKeyFile)
	}
	if lines[0] != keyFileFirst || len(lines) < 3 {
		return nil, fmt.Errorf("it does not start with %q and have at least three lines: %w", keyFileFirst, ErrKeyFile)
	}
	sum, ok := strings.CutPrefix(lines[len(lines)-1], keyFileChecksum)
	if !ok {
		return nil, fmt.Errorf("its last line is no checksum, perhaps it was cut short: %w", ErrKeyFile)
	}
	body, err := base64.StdEncoding.Strict().DecodeString(strings.Join(lines[1:len(lines)-1], ""))
	if err != nil {
		return nil, fmt.Errorf("it is not base64 between first and last line: %w", ErrKeyFile)
	}
	if want := sha256.Sum256(body); sum != hex.EncodeToString(want[:]) {
		return nil, fmt.Errorf("its checksum is wrong: %w", ErrKeyFile)
	}
	return body, nil
}
