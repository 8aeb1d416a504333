package docs

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// The sections from blobs to roots. The one before, on content and chunks, is for writers: a reader cuts nothing.

const typeData, typeRecipe, typeDescription, typeRefs, typeRing = 1, 2, 3, 4, 5

// library is the index of a domain: of the repository, or of one full copy.
type library struct {
	*second
	objects map[string][]byte // of the repository or the copy
	domain  string
	blobs   map[hash]place
	read    map[hash]bool // blobs that were asked for
}

// place says where a blob lies.
type place struct {
	entry
	session    session
	pack       []byte
	generation int // of keys, in which the shard that names it was written
}

type session struct{ id, sealed []byte }

type entry struct {
	typ                   byte
	id                    hash
	offset, stored, plain uint64
	session               uint64
}

func (s *second) openLibrary(objects map[string][]byte, domain string) *library {
	l := &library{second: s, objects: objects, domain: domain, blobs: make(map[hash]place), read: make(map[hash]bool)}
	for name, shard := range objects {
		if strings.HasPrefix(name, "index/"+domain+"/") {
			l.readShard(name, shard)
		}
	}
	return l
}

// Blob

func (l *library) blob(typ byte, id hash) []byte {
	p, ok := l.blobs[id]
	demand(ok, "no shard names the blob %x", id)
	l.read[id] = true
	keyFor := func(of keyID) []byte {
		if typ == typeRefs || typ == typeRing {
			index, _ := l.generation(l.domain, of)
			return index
		}
		demand(of == keyID(p.session.id), "key of blob %x", id)
		return l.sessionKey(l.objects, l.domain, p.session.id, p.session.sealed)
	}
	sealed := p.pack[p.offset : p.offset+p.stored]
	plain := decompress(l.open(sealed, classBlob, l.domain, string(join([]byte{typ}, id[:])), keyFor), p.plain)
	mac := hmac.New(sha256.New, l.derive(l.idSecret, "id", l.domain, p.generation))
	mac.Write(join([]byte{typ}, plain))
	demand(bytes.Equal(mac.Sum(nil), id[:]), "id of blob %x", id)
	return plain
}

func decompress(b []byte, plain uint64) []byte {
	c := cursor{b}
	codec := c.byte()
	demand(codec <= 1, "codec %d", codec)
	if codec == 1 {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderConcurrency(1))
		if err == nil {
			c.left, err = d.DecodeAll(c.left, make([]byte, 0, plain))
			d.Close()
		}
		demand(err == nil, "zstd: %v", err)
	}
	demand(uint64(len(c.left)) == plain, "length of a blob")
	return c.left
}

// Pack

// readInfo reads what a tail and a shard say of a pack of this size.
func (c *cursor) readInfo(size uint64) (sessions []session, entries []entry) {
	c.each(16, func() { sessions = append(sessions, session{c.take(16), c.bytes(4 << 10)}) })
	end := uint64(0)
	c.each(1<<16, func() {
		e := entry{c.byte(), c.hash(), c.number(size), c.number(8<<20 + 56), c.number(8 << 20), c.number(16)}
		demand(e.offset >= end && e.offset+e.stored <= size && e.session < uint64(len(sessions)), "an entry of a pack")
		end = e.offset + e.stored
		entries = append(entries, e)
	})
	return sessions, entries
}

// readTail checks a pack against its own tail, and returns what that names.
func (s *second) readTail(pack []byte, domain string) []entry {
	e := bits.Len(uint(len(pack))) - 1
	demand(len(pack)%(1<<(e-bits.Len(uint(e)))) == 0, "%d bytes are no PADMÉ size", len(pack))
	end := len(pack) - 8
	demand(end > 0 && string(pack[end+4:]) == "cbkP", "magic of a pack")
	start := end - int(binary.BigEndian.Uint32(pack[end:]))
	demand(start >= 0, "length of a tail")
	plain, _ := s.openIndexed(pack[start:end], classTail, domain, "tail")
	c := cursor{plain}
	demand(c.hash() == hash(sum(pack[:start])), "the tail is of another pack")
	_, entries := c.readInfo(uint64(start))
	c.end()
	return entries
}

// Shard

func (l *library) readShard(name string, object []byte) {
	demand(strings.HasSuffix(name, fmt.Sprintf("-%x", sum(object)[:8])), "%s has another hash", name)
	body, _, generation := l.openSigned(object, classShard, l.domain, "shard")
	c := cursor{body}
	c.each(4096, func() {
		id, size := c.hash(), c.number(256<<20)
		sessions, entries := c.readInfo(size)
		pack := l.objects[fmt.Sprintf("packs/%x/%x", id[:1], id)]
		if pack == nil {
			return // another may hold what is needed of it
		}
		demand(uint64(len(pack)) == size && bytes.Equal(sum(pack), id[:]), "pack %x", id)
		for _, e := range entries {
			l.blobs[e.id] = place{e, sessions[e.session], pack, generation}
		}
	})
	c.end()
}

// Root

type root struct {
	name, domain, id   string
	hash               hash
	author             keyID
	flags              byte
	catalogue          struct{ Kind, Backup, Mode string }
	ring               hash
	refs, descriptions []hash
}

// rootID is the snapshot id of an attempt at a backup name.
func (s *second) rootID(domain, backup string, attempt int) string {
	mac := hmac.New(sha256.New, s.derive(s.indexSecret, "names", domain, 1))
	fmt.Fprintf(mac, "%d\x00%s", attempt, backup)
	return hex.EncodeToString(mac.Sum(nil))
}

// isRecord tells an abort record from a root.
func isRecord(object []byte) bool { return bytes.HasPrefix(object, []byte("cbk\x01")) }

// find returns the root of a backup, nil if there is none.
func (s *second) find(domain, backup string) *root {
	for attempt := 0; ; attempt++ {
		id := s.rootID(domain, backup, attempt)
		name := "snapshots/" + domain + "/" + id
		if s.objects["deleted/"+domain+"/"+id] == nil && !isRecord(s.objects[name]) {
			return s.roots[name]
		}
	}
}

// readChains reads all roots and deletion records: no root may be gone without a record.
func (s *second) readChains() {
	for name, object := range s.objects {
		kind, rest, _ := strings.Cut(name, "/")
		domain, id, _ := strings.Cut(rest, "/")
		switch {
		case kind == "deleted":
			s.readDeletion(domain, id)
		case kind == "snapshots" && !isRecord(object):
			s.roots[name] = s.readRoot(domain, id, object)
		}
	}
	for of, previous := range s.before {
		_, there := s.before[previous]
		demand(there || previous == hash{}, "the root before %x was taken away", of)
	}
}

func (s *second) readRoot(domain, id string, object []byte) *root {
	r := &root{name: "snapshots/" + domain + "/" + id, domain: domain, id: id, hash: hash(sum(object))}
	c := cursor{object}
	c.magic("cbkR")
	n := binary.BigEndian.Uint32(c.take(4))
	demand(n <= 12<<10, "head of %s", r.name)
	head, author, _ := s.openSigned(c.take(int(n)), classHead, domain, r.name)
	sealed := c.left
	c, r.author = cursor{head}, author
	sequence := c.number(mostNumber)
	s.before[r.hash] = c.hash()
	demand((sequence == 1) == (s.before[r.hash] == hash{}), "chain of %s", r.name)
	demand(c.hash() == hash(sum(sealed)), "body of %s", r.name)
	r.flags = c.byte()
	place := func() { c.bytes(64); c.hash() }
	c.each(1, place)  // its main root
	c.each(32, place) // its parts
	decodeJSON(c.bytes(8<<10), &r.catalogue)
	r.ring = c.hash()
	c.end()
	body, _ := s.openIndexed(sealed, classBody, domain, r.name)
	c = cursor{body}
	c.each(131072, func() { r.refs = append(r.refs, c.hash()) })
	c.each(65536, func() { r.descriptions = append(r.descriptions, c.hash()) })
	c.end()
	return r
}

// counts follows the chain of a revoked key back from its last root that counts.
func (s *second) counts(r *root) bool {
	last, revoked := s.ended[r.author]
	if !revoked {
		return true
	}
	for at := last[r.domain]; at != (hash{}); at = s.before[at] {
		if at == r.hash {
			return true
		}
	}
	return false
}

func (l *library) refs(r *root) map[hash]bool {
	all := make(map[hash]bool)
	for _, segment := range r.refs {
		c := cursor{l.blob(typeRefs, segment)}
		demand(c.byte() == 1, "version of a reference segment")
		c.each(1<<16, func() { all[c.hash()] = true })
		c.end()
	}
	return all
}

// readAbort returns the reason of an abort record.
func (s *second) readAbort(domain, id string) string {
	name := "snapshots/" + domain + "/" + id
	body, _, _ := s.openSigned(s.objects[name], classAbort, domain, name)
	return string(body)
}

type deletion struct {
	root   hash
	author keyID
	why    []byte
}

func (s *second) readDeletion(domain, id string) (d deletion) {
	name := "deleted/" + domain + "/" + id
	body, _, _ := s.openSigned(s.objects[name], classRecord, domain, name)
	c := cursor{body}
	d.root, d.author = c.hash(), c.keyID()
	c.number(mostNumber)
	s.before[d.root] = c.hash()
	d.why = c.bytes(64 << 10)
	c.end()
	return d
}

type condemned struct {
	gone  bool
	time  uint64
	packs []hash
}

func (s *second) readTombstone(domain, number string) (groups []condemned) {
	name := "gc/" + domain + "/" + number
	body, _, _ := s.openSigned(s.objects[name], classTombstone, domain, name)
	c := cursor{body}
	c.each(1<<20, func() {
		g := condemned{gone: c.byte() == 1, time: c.number(mostNumber)}
		c.each(1<<32, func() { g.packs = append(g.packs, c.hash()) })
		groups = append(groups, g)
	})
	c.end()
	return groups
}

// readChain reads the audit records of a key, the first one first, and returns the commands.
func (s *second) readChain(key string) (commands []string) {
	var id keyID
	copy(id[:], fromHex(key, len(id)))
	p, domain := s.principals[id], "*"
	if p.role == "writer" {
		domain = p.domains[0]
	}
	before := make([]byte, 32)
	for {
		name := fmt.Sprintf("audit/%s/%d", key, len(commands)+1)
		object := s.objects[name]
		if object == nil {
			return commands
		}
		body, _, _ := s.openSigned(object, classRecord, domain, name)
		c := cursor{body}
		demand(bytes.Equal(c.take(32), before), "%s does not follow", name)
		var entry struct{ Command string }
		decodeJSON(c.bytes(256<<10), &entry)
		c.end()
		commands, before = append(commands, entry.Command), sum(object)
	}
}

// readRecord reads a hold or the result of a check.
func (s *second) readRecord(kind string, object []byte) string {
	body, _, _ := s.openSigned(object, classRecord, "*", kind)
	return string(body)
}
