package repo

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"

	"cbk/pack/wire"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// The heads that this machine has read are kept in <state>/cache/<repository>/heads: roots never change, so that a listing
// of thousands of backups reads only what is new. The file may be deleted at any moment. In the grammar of package wire:
//
//	SHA-256    32 bytes, of all that follows
//	count      then for each head:
//	name       of the root
//	size       bytes of the object
//	time       of the store, nanoseconds since 1970, signed
//	author     8-byte key id
//	plain      byte string: the head as its author signed it; empty for an abort record
const (
	maxHeads     = 1 << 24
	maxHeadsFile = 8 << 30
	minHead      = 1 + 1 + 1 + 8 + 1
)

// cachedHead is what was read of one root.
type cachedHead struct {
	size   int64
	time   int64
	author roles.KeyID
	plain  []byte // nil for an abort record
}

// headCache holds what was known before a listing, and what of it the listing met again.
type headCache struct {
	file   string // "": none is kept
	before map[string]cachedHead
	used   map[string]cachedHead
	fresh  bool // something came that was not known
}

// openHeadCache reads the cache. One that cannot be read is empty: it costs a listing time and nothing else.
func (r *Repo) openHeadCache() *headCache {
	c := &headCache{before: make(map[string]cachedHead), used: make(map[string]cachedHead)}
	if r.stateDir == "" || r.within != "" {
		return c
	}
	c.file = filepath.Join(r.stateDir, "cache", r.ID(), "heads")
	if i, err := os.Stat(c.file); err != nil || i.Size() > maxHeadsFile {
		return c
	}
	data, err := os.ReadFile(c.file)
	if err != nil || len(data) < sha256.Size {
		return c
	}
	if sum := sha256.Sum256(data[sha256.Size:]); !bytes.Equal(sum[:], data[:sha256.Size]) {
		return c
	}
	if known, err := decodeHeads(data[sha256.Size:]); err == nil {
		c.before = known
	}
	return c
}

func decodeHeads(b []byte) (map[string]cachedHead, error) {
	d := wire.NewDecoder(b)
	n := d.Count(maxHeads, minHead)
	known := make(map[string]cachedHead, n)
	for range n {
		name := d.String(maxRootName)
		h := cachedHead{size: int64(d.Uvarint(1 << 62)), time: d.Varint()}
		d.Array(h.author[:])
		if p := d.Bytes(maxRootHead); len(p) > 0 {
			h.plain = p
		}
		known[name] = h
	}
	return known, d.Done()
}

// find returns what is known of an object, if it is the one that was read.
func (c *headCache) find(i store.Info) (cachedHead, bool) {
	h, ok := c.before[i.Name]
	return h, ok && h.size == i.Size && h.time == i.ModTime.UnixNano()
}

// use notes that an object is there.
func (c *headCache) use(i store.Info, h cachedHead) {
	h.size, h.time = i.Size, i.ModTime.UnixNano()
	if _, known := c.find(i); !known {
		c.fresh = true
	}
	c.used[i.Name] = h
}

// keep writes what the listing met, if that differs from what was known. Of two listings the later one stays. One that
// cannot be written costs the next listing time and this one nothing.
func (c *headCache) keep() {
	if c.file == "" || !c.fresh && len(c.used) == len(c.before) {
		return
	}
	var e wire.Encoder
	e.Fixed(make([]byte, sha256.Size))
	e.Count(len(c.used))
	for name, h := range c.used {
		e.String(name)
		e.Uvarint(uint64(h.size))
		e.Varint(h.time)
		e.Fixed(h.author[:])
		e.Bytes(h.plain)
	}
	sum := sha256.Sum256(e.Out()[sha256.Size:])
	copy(e.Out(), sum[:])
	_ = replaceFile(c.file, e.Out())
}
