package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

// Reader gives back the blobs of one domain. Safe for concurrent use, each goroutine with a Scratch of its own.
type Reader struct {
	repo  *Repo
	label string
	books []book // one for each generation of the domain's keys, newest first

	mu       sync.Mutex
	sessions map[pack.SessionID]*pack.Key
	reloaded bool
}

// book is the index of one generation of a domain's keys.
type book struct {
	dom    *roles.Domain
	cache  *index.Cache
	src    source
	opener pack.Sealer
}

// located is where a blob lies, and in which book that stands.
type located struct {
	index.Location
	in *book
}

// Scratch is the memory of one goroutine that loads blobs.
type Scratch struct {
	pack   pack.Scratch
	sealed []byte
}

// NewReader opens a domain for reading and brings its index up to date.
func (r *Repo) NewReader(ctx context.Context, domain string) (*Reader, error) {
	return r.newReader(ctx, domain, nil, func(d *roles.Domain) (*index.Cache, error) { return r.openCache(d, false) })
}

// NewCheckReader opens a domain as the store has it, without the local cache. Shards that cannot be read are given to
// damaged and left out.
func (r *Repo) NewCheckReader(ctx context.Context, domain string, damaged func(*DamageError)) (*Reader, error) {
	return r.newReader(ctx, domain, damaged, func(*roles.Domain) (*index.Cache, error) { return index.OpenTemporary() })
}

func (r *Repo) newReader(ctx context.Context, domain string, damaged func(*DamageError), open func(*roles.Domain) (*index.Cache, error)) (*Reader, error) {
	all, err := r.generations(domain)
	if err != nil {
		return nil, err
	}
	rd := &Reader{repo: r, label: domain, sessions: make(map[pack.SessionID]*pack.Key)}
	for _, d := range slices.Backward(all) {
		cache, err := open(d)
		if err != nil {
			return nil, errors.Join(err, rd.Close())
		}
		rd.books = append(rd.books, book{dom: d, cache: cache, src: source{Repo: r, dom: d, damaged: damaged},
			opener: pack.Sealer{Codec: r.codec, Repository: r.id, Domain: domain, Hasher: d.Hasher}})
		b := &rd.books[len(rd.books)-1]
		if _, err := cache.Sync(ctx, b.src, domain); err != nil {
			return nil, errors.Join(err, rd.Close())
		}
		b.src.damaged = func(*DamageError) {} // told once; a later look for other holders goes on without them
	}
	return rd, nil
}

// Close releases the local index.
func (rd *Reader) Close() (err error) {
	for _, b := range rd.books {
		err = errors.Join(err, b.cache.Close())
	}
	rd.books = nil
	return err
}

// Locate finds a blob. When no shard names it, the shards are listed once more before the blob is called lost: another
// writer may have added them. The error for a lost blob is a *DamageError.
func (rd *Reader) Locate(ctx context.Context, id pack.ID) (index.Location, error) {
	at, err := rd.locate(ctx, id)
	return at.Location, err
}

func (rd *Reader) locate(ctx context.Context, id pack.ID) (located, error) {
	at, err := rd.lookup(id)
	if err != nil || at.in != nil {
		return at, err
	}
	if err := rd.reload(ctx); err != nil {
		return at, err
	}
	if at, err = rd.lookup(id); err != nil || at.in != nil {
		return at, err
	}
	return at, &DamageError{Object: indexPrefix + rd.label, What: "no shard names blob " + id.String()}
}

// lookup asks each book in turn; in is nil when none has the blob.
func (rd *Reader) lookup(id pack.ID) (located, error) {
	for i := range rd.books {
		loc, ok, err := rd.books[i].cache.Lookup(id)
		if err != nil || ok {
			return located{loc, &rd.books[i]}, err
		}
	}
	return located{}, nil
}

func (rd *Reader) reload(ctx context.Context) error {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if rd.reloaded {
		return nil
	}
	for _, b := range rd.books {
		if _, err := b.cache.Sync(ctx, b.src, rd.label); err != nil {
			return err
		}
	}
	rd.reloaded = true
	return nil
}

// Load returns the plaintext of a blob in dst's storage, authenticated. Errors for a blob that is lost or not as written
// are *DamageError and name the pack.
func (rd *Reader) Load(ctx context.Context, w *Scratch, dst []byte, ref pack.ID, want pack.Type) ([]byte, error) {
	loc, err := rd.locate(ctx, ref)
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
	key, err := rd.keyFor(ctx, loc)
	if err != nil {
		return nil, asDamage(name, err)
	}
	plain, err := loc.in.opener.Open(dst, &w.pack, key, loc.Type, ref, w.sealed, int(loc.Plain))
	if err != nil {
		return nil, &DamageError{Object: name, What: fmt.Sprintf("blob %s: %v", ref.Short(), err)}
	}
	return plain, nil
}

func (rd *Reader) keyFor(ctx context.Context, at located) (*pack.Key, error) {
	if indexed(at.Type) {
		return at.in.dom.Index, nil
	}
	return rd.sessionKey(ctx, at.Session)
}

func (rd *Reader) sessionKey(ctx context.Context, s pack.Session) (*pack.Key, error) {
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if k, ok := rd.sessions[s.ID]; ok {
		return k, nil
	}
	k, err := rd.repo.Key().OpenSession(rd.label, s, rd.repo.overlays(ctx, s.ID))
	if err != nil {
		return nil, err
	}
	rd.sessions[s.ID] = k
	return k, nil
}
