package repo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/keys"
)

// Reader gives back the blobs of one domain. Safe for concurrent use, each goroutine with a Scratch of its own.
type Reader struct {
	repo   *Repo
	dom    *keys.Domain
	cache  *index.Cache
	src    source
	opener pack.Sealer

	mu       sync.Mutex
	sessions map[pack.SessionID]*pack.Key
	reloaded bool
}

// Scratch is the memory of one goroutine that loads blobs.
type Scratch struct {
	pack   pack.Scratch
	sealed []byte
}

// NewReader opens a domain for reading and brings its index up to date.
func (r *Repo) NewReader(ctx context.Context, domain string) (*Reader, error) {
	return r.newReader(ctx, source{Repo: r}, domain, func() (*index.Cache, error) { return r.openCache(domain, false) })
}

// NewCheckReader opens a domain as the store has it, without the local cache. Shards that cannot be read are given to
// damaged and left out.
func (r *Repo) NewCheckReader(ctx context.Context, domain string, damaged func(*DamageError)) (*Reader, error) {
	return r.newReader(ctx, source{Repo: r, damaged: damaged}, domain, index.OpenTemporary)
}

func (r *Repo) newReader(ctx context.Context, src source, domain string, open func() (*index.Cache, error)) (*Reader, error) {
	d, err := r.domain(domain)
	if err != nil {
		return nil, err
	}
	cache, err := open()
	if err != nil {
		return nil, err
	}
	if _, err := cache.Sync(ctx, src, domain); err != nil {
		return nil, errors.Join(err, cache.Close())
	}
	src.damaged = func(*DamageError) {} // told once; a later look for other holders goes on without them
	return &Reader{repo: r, dom: d, cache: cache, src: src, sessions: make(map[pack.SessionID]*pack.Key),
		opener: pack.Sealer{Codec: r.codec, Repository: r.id, Domain: domain, Hasher: d.Hasher}}, nil
}

// Close releases the local index.
func (rd *Reader) Close() error { return rd.cache.Close() }

// Locate finds a blob. When no shard names it, the shards are listed once more before the blob is called lost: another
// writer may have added them. The error for a lost blob is a *DamageError.
func (rd *Reader) Locate(ctx context.Context, id pack.ID) (index.Location, error) {
	loc, ok, err := rd.cache.Lookup(id)
	if err != nil || ok {
		return loc, err
	}
	if err := rd.reload(ctx); err != nil {
		return loc, err
	}
	if loc, ok, err = rd.cache.Lookup(id); err != nil || ok {
		return loc, err
	}
	return loc, &DamageError{Object: indexPrefix + rd.dom.Label, What: "no shard names blob " + id.String()}
}

func (rd *Reader) reload(ctx context.Context) error {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if rd.reloaded {
		return nil
	}
	_, err := rd.cache.Sync(ctx, rd.src, rd.dom.Label)
	rd.reloaded = err == nil
	return err
}

// Load returns the plaintext of a blob in dst's storage, authenticated. Errors for a blob that is lost or not as written
// are *DamageError and name the pack.
func (rd *Reader) Load(ctx context.Context, w *Scratch, dst []byte, ref pack.ID, want pack.Type) ([]byte, error) {
	loc, err := rd.Locate(ctx, ref)
	if err != nil {
		return nil, err
	}
	name := PackName(loc.Pack)
	if loc.Type != want {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("blob %s is of type %d, %d belongs there", ref.Short(), loc.Type, want)}
	}
	if cap(w.sealed) < int(loc.Stored) {
		w.sealed = make([]byte, loc.Stored)
	}
	w.sealed = w.sealed[:loc.Stored]
	if err := rd.repo.st.ReadAt(ctx, name, int64(loc.Offset), w.sealed); err != nil {
		return nil, asDamage(name, err)
	}
	key, err := rd.keyFor(loc.Type, loc.Session)
	if err != nil {
		return nil, asDamage(name, err)
	}
	plain, err := rd.opener.Open(dst, &w.pack, key, loc.Type, ref, w.sealed, int(loc.Plain))
	if err != nil {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("blob %s: %v", ref.Short(), err)}
	}
	return plain, nil
}

func (rd *Reader) keyFor(t pack.Type, s pack.Session) (*pack.Key, error) {
	if indexed(t) {
		return rd.dom.Index, nil
	}
	return rd.sessionKey(s)
}

func (rd *Reader) sessionKey(s pack.Session) (*pack.Key, error) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if k, ok := rd.sessions[s.ID]; ok {
		return k, nil
	}
	k, err := rd.repo.secrets.OpenSession(rd.dom.Label, s)
	if err != nil {
		return nil, err
	}
	rd.sessions[s.ID] = k
	return k, nil
}
