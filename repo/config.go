package repo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"cbk/pack"
	"cbk/repo/keys"
	"cbk/repo/store"
)

// The config object says how the repository is built:
//
//	offset  size  field
//	0       4     magic "cbkC"
//	4       2     format version, big-endian
//	6       4     length n of the settings, big-endian
//	10      n     settings, JSON
//	10+n    32    SHA-256 of all before it: tells damage from a wrong key
//	42+n    32    HMAC-SHA256 of all before it under a key derived from the index secret: tells tampering
const (
	formatVersion = 0
	maxConfig     = 64 << 10
	configHead    = 10
	maxSlots      = 64
)

var configMagic = []byte("cbkC")

// Config are the settings of a repository, fixed by init.
type Config struct {
	Repository string     `json:"repository"`
	Suite      int        `json:"suite"`
	PackSize   int        `json:"pack_size"`
	DataChunks pack.Sizes `json:"data_chunks"`
	MetaChunks pack.Sizes `json:"other_chunks"`
}

// DefaultPackSize is a compromise: at 64 MiB a petabyte costs $75 of PUT requests on S3, at 16 MiB $298, and three
// buffers of it still fit in 300 MiB of memory.
const DefaultPackSize = 64 << 20

// DefaultConfig returns the settings of a new repository without its identity.
func DefaultConfig() Config {
	return Config{Suite: 1, PackSize: DefaultPackSize, DataChunks: pack.DataSizes, MetaChunks: pack.OtherSizes}
}

func (c *Config) check() (id [16]byte, err error) {
	raw, err := hex.DecodeString(c.Repository)
	if err != nil || len(raw) != 16 {
		return id, fmt.Errorf("repository id %q", c.Repository)
	}
	if c.Suite != 1 {
		return id, fmt.Errorf("cipher suite %d: %w", c.Suite, pack.ErrNewer)
	}
	if c.PackSize < 1<<20 || c.PackSize > pack.MaxPack/2 {
		return id, fmt.Errorf("pack size %d is not between 1 MiB and 128 MiB", c.PackSize)
	}
	return [16]byte(raw), errors.Join(c.DataChunks.Check(), c.MetaChunks.Check())
}

func encodeConfig(c *Config, s *keys.Secrets) ([]byte, error) {
	settings, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	b := binary.BigEndian.AppendUint16(bytes.Clone(configMagic), formatVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(settings)))
	b = append(b, settings...)
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	mac, err := s.ConfigMAC(b)
	return append(b, mac[:]...), err
}

// decodeConfig reads the settings; body is what the MAC at the end covers.
func decodeConfig(b []byte) (c *Config, body []byte, err error) {
	damage := func(what string) error { return &DamageError{Object: configName, What: what} }
	if len(b) < configHead+64 || !bytes.Equal(b[:4], configMagic) {
		return nil, nil, damage("it does not start like the config of a cbk repository")
	}
	n := int64(binary.BigEndian.Uint32(b[6:]))
	if n != int64(len(b)-configHead-64) {
		return nil, nil, damage("its length is wrong")
	}
	settings := b[configHead : configHead+n]
	if sum := sha256.Sum256(b[:configHead+n]); !bytes.Equal(sum[:], b[configHead+n:configHead+n+32]) {
		return nil, nil, damage("its checksum is wrong")
	}
	// The checksum comes first: a flipped version number is damage, not a newer cbk.
	if v := binary.BigEndian.Uint16(b[4:]); v > formatVersion {
		return nil, nil, fmt.Errorf("repository of format version %d: %w", v, pack.ErrNewer)
	}
	c = &Config{}
	if err := json.Unmarshal(settings, c); err != nil {
		return nil, nil, damage(err.Error())
	}
	return c, b[:configHead+n+32], nil
}

// Init makes a repository in an empty place. The config is written last: without it there is no repository.
func Init(ctx context.Context, st store.Store, passphrase []byte, cost keys.Cost, cfg Config) error {
	_, err := st.Stat(ctx, configName)
	if err == nil {
		return ErrRepositoryExists
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var id [16]byte
	rand.Read(id[:])
	cfg.Repository = hex.EncodeToString(id[:])
	if _, err := cfg.check(); err != nil {
		return err
	}
	secrets := keys.New(id)
	slot, err := secrets.Slot(passphrase, cost)
	if err != nil {
		return err
	}
	config, err := encodeConfig(&cfg, secrets)
	if err != nil {
		return err
	}
	if err := st.Create(ctx, slotPrefix+pack.ID(sha256.Sum256(slot)).String(), slot); err != nil {
		return err
	}
	if err := st.Create(ctx, configName, config); errors.Is(err, store.ErrExists) {
		return ErrRepositoryExists
	} else if err != nil {
		return err
	}
	return nil
}

// openSecrets tries the slots of a repository one by one. A slot whose bytes do not match its name is damage, and is
// reported as such only if no other slot opens.
func openSecrets(ctx context.Context, st store.Store, id [16]byte, passphrase []byte) (*keys.Secrets, error) {
	var names []string
	err := st.List(ctx, slotPrefix, func(i store.Info) error {
		if Classify(i.Name) == KindSlot && len(names) < maxSlots {
			names = append(names, i.Name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list key slots: %w", err)
	}
	last := error(&DamageError{Object: slotPrefix, What: "no key slot is left"})
	for i, name := range names {
		secrets, err := openSlot(ctx, st, name, id, passphrase)
		if err == nil {
			return secrets, nil
		}
		// That another slot does not fit says nothing about one that could not be tried.
		if i == 0 || !KeyMismatch(err) {
			last = err
		}
	}
	return nil, last
}

func openSlot(ctx context.Context, st store.Store, name string, id [16]byte, passphrase []byte) (*keys.Secrets, error) {
	slot, err := st.Get(ctx, name, keys.MaxSlot)
	if err != nil {
		return nil, asDamage(name, err)
	}
	if pack.ID(sha256.Sum256(slot)).String() != name[len(slotPrefix):] {
		return nil, &DamageError{Object: name, What: "its bytes do not match its name"}
	}
	secrets, err := keys.OpenSlot(slot, id, passphrase)
	return secrets, asDamage(name, err)
}

func verifyConfig(config, body []byte, s *keys.Secrets) error {
	mac, err := s.ConfigMAC(body)
	if err != nil {
		return err
	}
	if !hmac.Equal(mac[:], config[len(body):]) {
		return &DamageError{Object: configName, What: "its authentication code is wrong"}
	}
	return nil
}
