package repo

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"

	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// The heads that this machine has read are kept in <state>/cache/<repository>/heads: roots never change, so that a listing
// of thousands of backups reads only what is new. What is there and what is not, the store alone says: a head counts for an
// object that is listed with the size and time of the one that was read. The file may be deleted at any moment. In the
// grammar of package wire:
//
//	SHA-256     32 bytes, of all that follows
//	magic       4 bytes "cbkh", version 1 byte: 1
//	repository  string: its id
//	count       domains, for each:
//	  domain    string
//	  count     heads, in ascending order of their ids, for each:
//	    id      32 bytes, of the snapshot
//	    size    bytes of the object
//	    time    of the store, nanoseconds since 1970, signed
//	    author  8-byte key id
//	    plain   byte string: the head as its author signed it; empty for an abort record
const (
	maxHeads        = 1 << 24
	maxHeadsFile    = 8 << 30
	minHead         = 32 + 1 + 1 + 8 + 1
	minHeadDomain   = 2 + 1
	headsVersion    = 1
	maxRepositoryID = 64
)

var headsMagic = []byte{'c', 'b', 'k', 'h', headsVersion}

// cachedHead is what was read of one root.
type cachedHead struct {
	id     pack.ID
	size   int64
	time   int64
	author roles.KeyID
	plain  []byte // empty for an abort record
	used   bool   // the listing met it
}

// headCache holds what was known before a listing, and what the listing read. Its methods but keep may be called side by
// side, for different roots.
type headCache struct {
	file       string // "": none is kept
	repository string
	before     map[string][]cachedHead // by domain, in the order of their ids

	mu    sync.Mutex
	added map[string][]cachedHead
}

// openHeadCache reads the cache. One that cannot be read is empty: it costs a listing time and nothing else.
func (r *Repo) openHeadCache() *headCache {
	c := &headCache{repository: r.ID(), added: make(map[string][]cachedHead)}
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
	if known, err := decodeHeads(data[sha256.Size:], c.repository); err == nil {
		c.before = known
	}
	return c
}

// decodeHeads reads the cache of a repository. What it returns points into b.
func decodeHeads(b []byte, repository string) (map[string][]cachedHead, error) {
	d := wire.NewDecoder(b)
	if magic := d.Fixed(len(headsMagic)); !bytes.Equal(magic, headsMagic) || d.String(maxRepositoryID) != repository {
		d.Invalid("not the heads of this repository")
	}
	known := make(map[string][]cachedHead)
	for range d.Count(maxHeads, minHeadDomain) {
		domain := d.String(maxDomain)
		heads := make([]cachedHead, d.Count(maxHeads, minHead))
		for i := range heads {
			h := &heads[i]
			d.Array(h.id[:])
			h.size, h.time = int64(d.Uvarint(1<<62)), d.Varint()
			d.Array(h.author[:])
			h.plain = d.Bytes(maxRootHead)
		}
		known[domain] = heads
	}
	return known, d.Done()
}

func (h *cachedHead) compare(id pack.ID) int { return bytes.Compare(h.id[:], id[:]) }

// find returns what is known of a listed object, nil if that is not the one that was read.
func (c *headCache) find(at Place, i store.Info) *cachedHead {
	heads := c.before[at.Domain]
	n, ok := sort.Find(len(heads), func(n int) int { return -heads[n].compare(at.ID) }) // copies nothing that others mark
	if !ok || heads[n].size != i.Size || heads[n].time != i.ModTime.UnixNano() {
		return nil
	}
	return &heads[n]
}

// add notes what was read of an object.
func (c *headCache) add(at Place, i store.Info, h *cachedHead) {
	h.id, h.size, h.time = at.ID, i.Size, i.ModTime.UnixNano()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.added[at.Domain] = append(c.added[at.Domain], *h)
}

// keep writes what the listing met, if that differs from what was known. Of two listings the later one stays. One that
// cannot be written costs the next listing time and this one nothing.
func (c *headCache) keep() {
	if c.file == "" {
		return
	}
	stale := len(c.added) > 0
	met := c.added
	for domain, heads := range c.before {
		for i := range heads {
			if heads[i].used {
				met[domain] = append(met[domain], heads[i])
			} else {
				stale = true
			}
		}
	}
	if stale {
		_ = replaceFile(c.file, encodeHeads(met, c.repository))
	}
}

func encodeHeads(met map[string][]cachedHead, repository string) []byte {
	var e wire.Encoder
	e.Fixed(make([]byte, sha256.Size))
	e.Fixed(headsMagic)
	e.String(repository)
	e.Count(len(met))
	for domain, heads := range met {
		slices.SortFunc(heads, func(x, y cachedHead) int { return x.compare(y.id) })
		e.String(domain)
		e.Count(len(heads))
		for i := range heads {
			h := &heads[i]
			e.Fixed(h.id[:])
			e.Uvarint(uint64(h.size))
			e.Varint(h.time)
			e.Fixed(h.author[:])
			e.Bytes(h.plain)
		}
	}
	sum := sha256.Sum256(e.Out()[sha256.Size:])
	copy(e.Out(), sum[:])
	return e.Out()
}
