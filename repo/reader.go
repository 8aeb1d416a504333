package repo

import (
	"context"
	"errors"
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

	// shards is held for writing while the shards are reloaded, which empties the cache in between. It guards the next two.
	shards   sync.RWMutex
	reloaded bool
	unread   []*DamageError // shards that could not be read

	mu       sync.Mutex
	sessions map[pack.SessionID]*pack.Key
	gone     map[pack.ID]bool // packs that are not there
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

// NewReader opens a domain for reading and brings its index up to date. Shards that are damaged are left out; they are
// named when a blob is not found.
func (r *Repo) NewReader(ctx context.Context, domain string) (*Reader, error) {
	return r.newReader(ctx, domain, func(*DamageError) {}, func(d *roles.Domain) (*index.Cache, error) { return r.openCache(d, false) })
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
	rd := &Reader{repo: r, label: domain, sessions: make(map[pack.SessionID]*pack.Key), gone: make(map[pack.ID]bool)}
	for _, d := range slices.Backward(all) {
		cache, err := open(d)
		if err != nil {
			return nil, errors.Join(err, rd.Close())
		}
		rd.books = append(rd.books, book{dom: d, cache: cache, src: source{Repo: r, dom: d},
			opener: pack.Sealer{Codec: r.codec, Repository: r.id, Domain: domain, Hasher: d.Hasher}})
	}
	if err := rd.sync(ctx, damaged); err != nil {
		return nil, errors.Join(err, rd.Close())
	}
	return rd, nil
}

// sync brings all books in step with the store. damaged is told of shards that cannot be read, each once.
func (rd *Reader) sync(ctx context.Context, damaged func(*DamageError)) error {
	rd.unread = nil
	for i := range rd.books {
		b := &rd.books[i]
		b.src.damaged = func(d *DamageError) {
			if !slices.ContainsFunc(rd.unread, func(o *DamageError) bool { return o.Object == d.Object }) {
				rd.unread = append(rd.unread, d)
				damaged(d)
			}
		}
		if _, err := b.src.sync(ctx, b.cache); err != nil {
			return err
		}
	}
	return nil
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
	loc, ok, err := rd.lookup(id)
	if err != nil || ok {
		return loc.Location, err
	}
	if err := rd.reload(ctx); err != nil {
		return loc.Location, err
	}
	if loc, ok, err = rd.lookup(id); err != nil || ok {
		return loc.Location, err
	}
	return loc.Location, rd.lost(id)
}

// Load returns the plaintext of one blob in dst's storage, authenticated: for what stands alone, as Fetch is for what
// comes in numbers. Errors for a blob that is lost, or not as written at any of its holders, are *DamageError and name
// the pack.
func (rd *Reader) Load(ctx context.Context, w *Scratch, dst []byte, ref pack.ID, want pack.Type) ([]byte, error) {
	alone := []item{{want: Want{ID: ref, Type: want}}}
	it := &alone[0]
	if err := rd.place(it); err != nil {
		return nil, err
	}
	for {
		if rd.astray(it) {
			if err := rd.heal(ctx, alone); err != nil {
				return nil, err
			}
		}
		if it.err != nil {
			return nil, it.err
		}
		plain, err := rd.read(ctx, w, dst, &it.loc, it.want)
		if isMissing(err) {
			rd.lose(it.loc.Pack)
			continue
		}
		if err = asDamage(rd.repo.packName(it.loc.Pack), err); !another(err) {
			return plain, err
		}
		others, failed := rd.holders(ctx, map[pack.ID]bool{ref: true})
		if failed != nil {
			return nil, failed
		}
		return rd.readAny(ctx, w, dst, others[ref], it.want, err)
	}
}

func (rd *Reader) keyFor(ctx context.Context, at *located) (*pack.Key, error) {
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
