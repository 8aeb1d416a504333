package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"cbk/pack"
)

// The keys of the cache, by first byte:
//
//	b <32 id>           a blob: pack number (4), offset (4), stored (4), plain (4), type (1), session number (4)
//	p <4 pack number>   pack name (32), size (4)
//	P <32 pack name>    pack number (4)
//	s <4 number>        session id (16), sealed key
//	S <16 session id>   session number (4)
//	h <shard base name> nothing: this shard is loaded
//	f <any>             facts, owned by whoever backs files up
//	v                   layout version (1)
//
// Numbers stand in for names because a blob's entry is what there are millions of: 33 + 21 bytes.
const (
	cacheVersion = 1
	blobValue    = 4*5 + 1
)

// ErrLocked is matched when another process holds the cache.
var ErrLocked = errors.New("in use by another process")

// Location says where a blob lies and what opens it.
type Location struct {
	Type     pack.Type
	Pack     pack.ID
	PackSize uint32
	Offset   uint32
	Stored   uint32
	Plain    uint32
	Session  pack.Session
}

// Cache is the local index of one domain. Safe for concurrent use.
type Cache struct {
	db  *badger.DB
	dir string // removed on Close when temporary
	tmp bool

	guard    guard
	packs    numbers[pack.ID]
	sessions numbers[pack.SessionID]
}

// Open opens or creates the cache in dir. A cache of another layout, or one that badger cannot open, is emptied: it is
// only a cache. The error matches ErrLocked while another process has it open.
func Open(dir string) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	g, died, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	c, err := openGuarded(dir, g, died)
	if err != nil {
		return nil, errors.Join(err, g.release())
	}
	c.guard = g
	return c, nil
}

func openGuarded(dir string, g guard, died bool) (*Cache, error) {
	if err := g.opening(); err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	var c *Cache
	err := errors.New("the last opening did not end")
	if !died {
		c, err = open(dir)
	}
	if err != nil {
		if c, err = reopen(dir); err != nil {
			return nil, err
		}
	}
	if err := g.opened(); err != nil {
		return nil, errors.Join(fmt.Errorf("index cache: %w", err), c.Close())
	}
	return c, nil
}

// reopen opens dir after removing all that is in it.
func reopen(dir string) (*Cache, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("empty index cache: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	return open(dir)
}

// OpenTemporary creates a cache that is removed by Close: for commands that must see the store and nothing else.
func OpenTemporary() (*Cache, error) {
	dir, err := os.MkdirTemp("", "cbk-index-")
	if err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	c, err := open(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c.tmp = true
	return c, nil
}

func open(dir string) (*Cache, error) {
	// A node's memory belongs to Cassandra: badger's own defaults would take some 500 MiB. Ids hardly compress, and what
	// compresses would cost 100 MiB of buffers in the background.
	opt := badger.DefaultOptions(dir).WithLogger(nil).WithMemTableSize(4 << 20).WithNumMemtables(2).
		WithBlockCacheSize(4 << 20).WithIndexCacheSize(4 << 20).WithValueLogFileSize(64 << 20).WithValueThreshold(512 << 10).
		WithNumCompactors(2).WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(6).WithBaseTableSize(2 << 20).
		WithCompression(options.None).WithDetectConflicts(false).WithMetricsEnabled(false)
	opt.TableSizeMultiplier = 1 // a compaction builds several tables at a time in memory
	db, err := badger.Open(opt)
	if err != nil {
		return nil, fmt.Errorf("index cache %s: %w", dir, err)
	}
	c := &Cache{db: db, dir: dir}
	if err := c.checkVersion(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
}

func (c *Cache) checkVersion() error {
	v, err := c.get([]byte{'v'})
	switch {
	case err == nil && len(v) == 1 && v[0] == cacheVersion:
		return c.loadNumbers()
	case err == nil || errors.Is(err, badger.ErrKeyNotFound):
		return c.Reset()
	}
	return err
}

// Forget empties the cache of all that shards said. Facts stay: whoever uses them asks for each blob again.
func (c *Cache) Forget() error {
	if err := c.db.DropPrefix([]byte("b"), []byte("p"), []byte("P"), []byte("s"), []byte("S"), []byte("h")); err != nil {
		return fmt.Errorf("empty index cache: %w", err)
	}
	c.packs.clear()
	c.sessions.clear()
	return nil
}

// Reset empties the cache, facts included.
func (c *Cache) Reset() error {
	if err := c.db.DropAll(); err != nil {
		return fmt.Errorf("empty index cache: %w", err)
	}
	c.packs.clear()
	c.sessions.clear()
	return c.db.Update(func(t *badger.Txn) error { return t.Set([]byte{'v'}, []byte{cacheVersion}) })
}

// Close releases the cache and removes it if it is temporary.
func (c *Cache) Close() error {
	err := errors.Join(c.db.Close(), c.guard.release())
	if c.tmp {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

func (c *Cache) get(key []byte) (value []byte, err error) {
	err = c.db.View(func(t *badger.Txn) error {
		item, err := t.Get(key)
		if err != nil {
			return err
		}
		value, err = item.ValueCopy(nil)
		return err
	})
	return value, err
}

// Lookup finds a blob; ok is false when no loaded shard names it.
func (c *Cache) Lookup(id pack.ID) (loc Location, ok bool, err error) {
	v, err := c.entry(id)
	if v == nil || err != nil {
		return loc, false, err
	}
	loc = Location{Offset: binary.BigEndian.Uint32(v[4:]), Stored: binary.BigEndian.Uint32(v[8:]),
		Plain: binary.BigEndian.Uint32(v[12:]), Type: pack.Type(v[16])}
	if loc.Pack, loc.PackSize, err = c.pack(binary.BigEndian.Uint32(v)); err != nil {
		return loc, false, err
	}
	loc.Session, err = c.session(binary.BigEndian.Uint32(v[17:]))
	return loc, err == nil, err
}

// Holder returns the pack that holds a blob; ok is false when no loaded shard names it.
func (c *Cache) Holder(id pack.ID) (holder pack.ID, ok bool, err error) {
	v, err := c.entry(id)
	if v == nil || err != nil {
		return holder, false, err
	}
	holder, ok = c.packs.name(binary.BigEndian.Uint32(v))
	return holder, ok, nil
}

// entry returns what is stored about a blob, nil if nothing is.
func (c *Cache) entry(id pack.ID) ([]byte, error) {
	v, err := c.get(blobKey(id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err == nil && len(v) != blobValue {
		err = fmt.Errorf("entry of %d bytes", len(v))
	}
	if err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	return v, nil
}

func blobKey(id pack.ID) []byte { return append([]byte{'b'}, id[:]...) }

// Add records the contents of a shard that is in the store.
func (c *Cache) Add(shard string, packs []pack.Info) error {
	w := c.db.NewWriteBatch()
	defer w.Cancel()
	for i := range packs {
		if err := c.addPack(w, &packs[i]); err != nil {
			return fmt.Errorf("index cache: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("index cache: %w", err)
	}
	// The mark comes after the entries are written: a crash in between loads the shard once more.
	return c.db.Update(func(t *badger.Txn) error { return t.Set(append([]byte{'h'}, shard...), nil) })
}

func (c *Cache) addPack(w *badger.WriteBatch, p *pack.Info) error {
	np, err := c.numberPack(w, p)
	if err != nil {
		return err
	}
	ns := make(map[pack.SessionID]uint32, len(p.Sessions))
	for _, s := range p.Sessions {
		if ns[s.ID], err = c.numberSession(w, s); err != nil {
			return err
		}
	}
	for _, e := range p.Entries {
		v := make([]byte, 0, blobValue)
		for _, n := range []uint32{np, e.Offset, e.Stored, e.Plain} {
			v = binary.BigEndian.AppendUint32(v, n)
		}
		v = append(v, byte(e.Type))
		v = binary.BigEndian.AppendUint32(v, ns[e.Session])
		if err := w.Set(blobKey(e.ID), v); err != nil {
			return err
		}
	}
	return nil
}

// Shards returns the base names of the shards loaded.
func (c *Cache) Shards() (map[string]bool, error) {
	names := make(map[string]bool)
	err := c.keys([]byte{'h'}, func(key []byte) { names[string(key)] = true })
	return names, err
}

// keys calls fn for every key under the one-byte prefix, without that byte.
func (c *Cache) keys(prefix []byte, fn func(key []byte)) error {
	return c.db.View(func(t *badger.Txn) error {
		opt := badger.DefaultIteratorOptions
		opt.PrefetchValues, opt.Prefix = false, prefix
		it := t.NewIterator(opt)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			fn(it.Item().KeyCopy(nil)[1:])
		}
		return nil
	})
}
