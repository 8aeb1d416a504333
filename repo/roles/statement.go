package roles

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cbk/pack"
)

// A statement is the object trust/<n>:
//
//	offset  size  field
//	0       4     magic "cbkT"
//	4       1     format version
//	5       4     length of the body, big-endian
//	9       n     body, JSON in canonical form
//	9+n     64    Ed25519 signature of the owner over "cbk trust\x00" ‖ repository id ‖ everything before it
//
// Canonical means: what encoding/json writes for the structures below. Each statement has one encoding, so no two
// readers can differ about what was signed.
const (
	// MaxStatement bounds a statement as read, in bytes.
	MaxStatement = 64 << 10
	// MaxStatements bounds a trust log: 180 keys exported, revoked and exported again every day for a year.
	MaxStatements = 65536

	statementHead    = 9
	statementVersion = 0
	trustContext     = "cbk trust\x00"
)

var statementMagic = [4]byte{'c', 'b', 'k', 'T'}

// frame is the body of every statement.
type frame struct {
	Number   uint64          `json:"n"`
	Previous digest          `json:"previous"` // SHA-256 of the object before; zeros in the first
	Kind     string          `json:"kind"`
	Body     json.RawMessage `json:"body"`
}

// body is what one kind of statement says, and how it changes the state.
type body interface {
	kind() string
	fold(t *Trust) error
}

func newBody(kind string) (body, error) {
	for _, b := range []body{&genesisBody{}, &sealKeyBody{}, &principalBody{}, &revokeBody{}, &generationBody{},
		&settingsBody{}, &retireBody{}} {
		if b.kind() == kind {
			return b, nil
		}
	}
	// The owner's signature was right, so this is no damage.
	return nil, fmt.Errorf("statement of kind %.40q: %w", kind, pack.ErrNewer)
}

type genesisBody struct {
	Repository keyBytes        `json:"repository"`
	Owner      keyBytes        `json:"owner"`
	Settings   json.RawMessage `json:"settings"`
}

type sealKeyBody struct {
	ID     SealKeyID `json:"id"`
	Domain string    `json:"domain"` // "" = every domain without one of its own
	Suite  int       `json:"suite"`
	Public keyBytes  `json:"public"`
}

type principalBody struct {
	ID      KeyID    `json:"id"`
	Role    Role     `json:"role"`
	Domains []string `json:"domains,omitempty"`
	Suite   int      `json:"suite"`
	Signing keyBytes `json:"signing"`
	Sealing keyBytes `json:"sealing"`
	Created string   `json:"created"` // RFC 3339, UTC, whole seconds
}

type revokeBody struct {
	ID   KeyID      `json:"id"`
	Last []lastBody `json:"last,omitempty"`
}

type lastBody struct {
	Domain   string `json:"domain"`
	Sequence uint64 `json:"sequence"`
	Root     digest `json:"root"`
}

type generationBody struct {
	Domain string `json:"domain"`
	Number uint32 `json:"number"`
}

type settingsBody struct {
	Settings json.RawMessage `json:"settings"`
}

type retireBody struct {
	ID SealKeyID `json:"id"`
}

func (*genesisBody) kind() string    { return "genesis" }
func (*sealKeyBody) kind() string    { return "seal-key" }
func (*principalBody) kind() string  { return "principal" }
func (*revokeBody) kind() string     { return "revoke" }
func (*generationBody) kind() string { return "generation" }
func (*settingsBody) kind() string   { return "settings" }
func (*retireBody) kind() string     { return "retire-seal" }

// keyBytes stand in JSON as base64, as encoding/json writes them.
type keyBytes = []byte

func encodeStatement(repo [16]byte, owner ed25519.PrivateKey, n uint64, previous [32]byte, b body) ([]byte, error) {
	inner, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode %s statement: %w", b.kind(), err)
	}
	text, err := json.Marshal(frame{n, previous, b.kind(), inner})
	if err != nil {
		return nil, fmt.Errorf("encode %s statement: %w", b.kind(), err)
	}
	if statementHead+len(text)+ed25519.SignatureSize > MaxStatement {
		return nil, fmt.Errorf("%s statement of %d bytes is over the limit of %d", b.kind(), len(text), MaxStatement)
	}
	out := append(append([]byte(nil), statementMagic[:]...), statementVersion)
	out = binary.BigEndian.AppendUint32(out, uint32(len(text)))
	out = append(out, text...)
	return append(out, ed25519.Sign(owner, statementMessage(repo, out))...), nil
}

func statementMessage(repo [16]byte, signed []byte) []byte {
	return bytes.Join([][]byte{[]byte(trustContext), repo[:], signed}, nil)
}

// decodeStatement checks everything that one statement shows by itself. The signature comes first: what the owner did
// not sign is not looked at, and a flipped version number is damage, not a newer format.
func decodeStatement(repo [16]byte, owner ed25519.PublicKey, raw []byte) (*frame, body, error) {
	if len(raw) < statementHead+ed25519.SignatureSize || len(raw) > MaxStatement || [4]byte(raw[:4]) != statementMagic {
		return nil, nil, fmt.Errorf("no trust statement in these %d bytes", len(raw))
	}
	signed, signature := raw[:len(raw)-ed25519.SignatureSize], raw[len(raw)-ed25519.SignatureSize:]
	if !ed25519.Verify(owner, statementMessage(repo, signed), signature) {
		return nil, nil, errors.New("not signed by the repository's owner")
	}
	if v := signed[4]; v > statementVersion {
		return nil, nil, fmt.Errorf("statement of version %d: %w", v, pack.ErrNewer)
	}
	if n := binary.BigEndian.Uint32(signed[5:]); int64(n) != int64(len(signed)-statementHead) {
		return nil, nil, errors.New("its length is wrong")
	}
	var f frame
	if err := decodeCanonical(signed[statementHead:], &f); err != nil {
		return nil, nil, err
	}
	b, err := newBody(f.Kind)
	if err != nil {
		return nil, nil, err
	}
	return &f, b, decodeCanonical(f.Body, b)
}

// decodeCanonical refuses JSON that encoding/json would have written otherwise: unknown, doubled or renamed fields,
// other number forms, white space.
func decodeCanonical(text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("its body is no such statement: %w", err)
	}
	again, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("its body is no such statement: %w", err)
	}
	if !bytes.Equal(text, again) {
		return errors.New("its body is not in canonical form")
	}
	return nil
}

// checkSettings makes sure that settings are one JSON object; what it says is the caller's business.
func checkSettings(s json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(s, &fields); err != nil || fields == nil {
		return errors.New("settings are no JSON object")
	}
	return nil
}

func formatTime(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || formatTime(t) != s {
		return t, fmt.Errorf("time %.40q is not RFC 3339 in UTC", s)
	}
	return t, nil
}
