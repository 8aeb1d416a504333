package repo

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/repo/roles"
)

// The config object makes a place a repository and names its owner. It never changes:
//
//	offset  size  field
//	0       4     magic "cbkC"
//	4       2     format version, big-endian
//	6       2     the oldest format version whose readers understand the repository, big-endian
//	8       4     length n of the identity, big-endian
//	12      n     identity: JSON {"repository": 32 hex digits, "suite": 1, "owner": 64 hex digits, "requires": [features]}
//	12+n    64    Ed25519 signature by the owner named in it
//
// The signature tells damage from a newer version; that the owner is the right one is known from a key file, or from a
// slot, which opens under no other owner's key.
const (
	formatVersion = 0
	maxConfig     = 64 << 10
	configHead    = 12
)

var configMagic = []byte("cbkC")

// identity is what the config says.
type identity struct {
	Repository string   `json:"repository"`
	Suite      int      `json:"suite"`
	Owner      string   `json:"owner"`
	Requires   []string `json:"requires"` // features without which a program must leave the repository alone

	id    [16]byte
	owner ed25519.PublicKey
}

func newIdentity(id [16]byte, owner ed25519.PublicKey) *identity {
	return &identity{Repository: hex.EncodeToString(id[:]), Suite: 1, Owner: hex.EncodeToString(owner), Requires: []string{},
		id: id, owner: owner}
}

func encodeConfig(c *identity, o *roles.Owner) ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	b := binary.BigEndian.AppendUint16(bytes.Clone(configMagic), formatVersion)
	b = binary.BigEndian.AppendUint16(b, formatVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
	b = append(b, text...)
	sig := o.SignConfig(b)
	return append(b, sig[:]...), nil
}

// decodeConfig reads a config. Errors are *DamageError or match pack.ErrNewer.
func decodeConfig(b []byte) (*identity, error) {
	c, err := parseConfig(b)
	if err != nil && !errors.Is(err, pack.ErrNewer) {
		return nil, &DamageError{Object: configName, What: err.Error()}
	}
	return c, err
}

func parseConfig(b []byte) (*identity, error) {
	if len(b) < configHead+ed25519.SignatureSize || !bytes.Equal(b[:4], configMagic) {
		return nil, errors.New("it does not start like the config of a cbk repository")
	}
	signed := b[:len(b)-ed25519.SignatureSize]
	if n := binary.BigEndian.Uint32(b[8:]); int64(n) != int64(len(signed)-configHead) {
		return nil, errors.New("its length is wrong")
	}
	c := &identity{}
	if err := json.Unmarshal(signed[configHead:], c); err != nil {
		return nil, err
	}
	if err := c.parse(); err != nil {
		return nil, err
	}
	// The signature comes before all that a newer version may have changed: a flipped number is damage, not a newer cbk.
	if err := roles.VerifyConfig(c.id, c.owner, signed, [ed25519.SignatureSize]byte(b[len(signed):])); err != nil {
		return nil, err
	}
	if v := binary.BigEndian.Uint16(b[6:]); v > formatVersion {
		return nil, fmt.Errorf("repository for readers of format version %d: %w", v, pack.ErrNewer)
	}
	if c.Suite != 1 || len(c.Requires) > 0 {
		return nil, fmt.Errorf("repository of suite %d that requires %.80q: %w", c.Suite, c.Requires, pack.ErrNewer)
	}
	return c, nil
}

func (c *identity) parse() error {
	id, err := hex.DecodeString(c.Repository)
	if err != nil || len(id) != len(c.id) {
		return fmt.Errorf("repository id %.40q", c.Repository)
	}
	owner, err := hex.DecodeString(c.Owner)
	if err != nil || len(owner) != ed25519.PublicKeySize {
		return fmt.Errorf("owner's key %.80q", c.Owner)
	}
	c.id, c.owner = [16]byte(id), owner
	return nil
}
