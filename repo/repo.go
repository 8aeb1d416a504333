package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/keys"
	"cbk/repo/store"
)

// Repo is an open repository. Safe for concurrent use.
type Repo struct {
	cfg      Config
	id       [16]byte
	st       store.Store
	secrets  *keys.Secrets
	codec    *pack.Codec
	cacheDir string

	mu      sync.Mutex
	domains map[string]*keys.Domain
}

// Open opens the repository in st with a passphrase. cacheDir is where local indexes are kept; empty means that each
// reader builds a temporary one. Errors: ErrNoRepository, keys.ErrPassphrase, pack.ErrNewer, *DamageError.
func Open(ctx context.Context, st store.Store, passphrase []byte, cacheDir string) (*Repo, error) {
	raw, err := st.Get(ctx, configName, maxConfig)
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrNoRepository
	}
	if err != nil {
		return nil, asDamage(configName, err)
	}
	cfg, body, err := decodeConfig(raw)
	if err != nil {
		return nil, err
	}
	id, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	secrets, err := openSecrets(ctx, st, id, passphrase)
	if err != nil {
		return nil, err
	}
	if err := verifyConfig(raw, body, secrets); err != nil {
		return nil, err
	}
	codec, err := pack.NewCodec()
	if err != nil {
		return nil, err
	}
	return &Repo{cfg: *cfg, id: id, st: st, secrets: secrets, codec: codec, cacheDir: cacheDir,
		domains: make(map[string]*keys.Domain)}, nil
}

// ID returns the repository's identity, 32 hex digits.
func (r *Repo) ID() string { return r.cfg.Repository }

// Close releases the store.
func (r *Repo) Close() error { return r.st.Close() }

func (r *Repo) domain(label string) (*keys.Domain, error) {
	if err := CheckDomain(label); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, ok := r.domains[label]; ok {
		return d, nil
	}
	d, err := r.secrets.Domain(label)
	if err != nil {
		return nil, err
	}
	r.domains[label] = d
	return d, nil
}

// openCache opens a domain's local index. A reader falls back to a temporary one while a backup holds it.
func (r *Repo) openCache(domain string, writing bool) (*index.Cache, error) {
	if r.cacheDir == "" {
		return index.OpenTemporary()
	}
	c, err := index.Open(filepath.Join(r.cacheDir, r.cfg.Repository, domain))
	if errors.Is(err, index.ErrLocked) && !writing {
		return index.OpenTemporary()
	}
	return c, err
}

// source gives a domain's shards to a cache.
type source struct {
	*Repo
	// damaged, if set, is given shards that are not as written, and they are left out; otherwise they are errors.
	damaged func(*DamageError)
}

// ReadShard implements index.Source.
func (s source) ReadShard(ctx context.Context, name string) ([]pack.Info, error) {
	packs, err := s.readShard(ctx, name)
	var damage *DamageError
	if s.damaged != nil && errors.As(err, &damage) {
		s.damaged(damage)
		return nil, nil
	}
	return packs, err
}

// ListShards implements index.Source.
func (r *Repo) ListShards(ctx context.Context, domain string) (names []string, err error) {
	err = r.st.List(ctx, indexPrefix+domain+"/", func(i store.Info) error {
		if Classify(i.Name) == KindShard {
			names = append(names, i.Name)
		}
		return nil
	})
	return names, err
}

// readShard opens a shard. Errors for bytes that are not as written are *DamageError.
func (r *Repo) readShard(ctx context.Context, name string) ([]pack.Info, error) {
	d, err := r.domain(domainOf(name))
	if err != nil {
		return nil, err
	}
	data, err := r.st.Get(ctx, name, index.MaxShard)
	if err != nil {
		return nil, asDamage(name, err)
	}
	packs, err := index.DecodeShard(d.Index, r.id, d.Label, data)
	return packs, asDamage(name, err)
}

func isShort(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
