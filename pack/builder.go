package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"cbk/pack/wire"
)

// Builder collects sealed blobs into one pack in memory. Not safe for concurrent use.
type Builder struct {
	buf      []byte
	target   int
	entries  []Entry
	sessions []Session
}

// NewBuilder returns an empty pack in the memory given, whose capacity is the size that packs are filled to.
func NewBuilder(mem []byte) *Builder { return &Builder{buf: mem[:0], target: cap(mem)} }

// Len returns the bytes of the blobs added.
func (b *Builder) Len() int { return len(b.buf) }

// Empty reports whether no blob has been added.
func (b *Builder) Empty() bool { return len(b.entries) == 0 }

// Fits reports whether a sealed blob of n bytes still fits beside the tail. The first blob always fits.
func (b *Builder) Fits(n int) bool {
	return b.Empty() || len(b.entries) < MaxEntries && b.sizeWith(n) <= b.target
}

// Admits reports whether blobs of a session may be added: the tail of a pack names at most maxSessions.
func (b *Builder) Admits(id SessionID) bool {
	return len(b.sessions) < maxSessions || slices.ContainsFunc(b.sessions, func(s Session) bool { return s.ID == id })
}

func (b *Builder) sizeWith(n int) int {
	tail := (len(b.entries)+1)*50 + 2*maxSealedKey
	return len(b.buf) + n + tail
}

// Add appends a sealed blob of session s whose plaintext has plain bytes.
func (b *Builder) Add(t Type, id ID, sealed []byte, plain int, s Session) {
	b.entries = append(b.entries, Entry{Type: t, ID: id, Offset: uint32(len(b.buf)), Stored: uint32(len(sealed)),
		Plain: uint32(plain), Session: s.ID})
	b.buf = append(b.buf, sealed...)
	for _, have := range b.sessions {
		if have.ID == s.ID {
			return
		}
	}
	b.sessions = append(b.sessions, s)
}

// Absorb moves the blobs of o into b and empties o, if all fit in b; otherwise it does nothing and returns false.
func (b *Builder) Absorb(o *Builder) bool {
	n := len(b.entries) + len(o.entries)
	if n > MaxEntries || len(b.buf)+len(o.buf)+n*50+2*maxSealedKey > b.target {
		return false
	}
	session := make(map[SessionID]Session)
	for _, s := range o.sessions {
		session[s.ID] = s
	}
	for _, e := range o.entries {
		b.Add(e.Type, e.ID, o.buf[e.Offset:e.Offset+e.Stored], int(e.Plain), session[e.Session])
	}
	o.Reset()
	return true
}

// Reset empties b and keeps its memory.
func (b *Builder) Reset() { b.buf, b.entries, b.sessions = b.buf[:0], nil, nil }

// Finish pads the pack, seals its tail under the index key and returns the object's bytes, valid until Reset, with what
// a shard has to hold about it.
func (b *Builder) Finish(index *Key, s Scope) ([]byte, Info) {
	var e wire.Encoder
	AppendInfo(&e, b.sessions, b.entries)
	size := len(b.buf) + Overhead + sha256.Size + len(e.Out()) + footerSize
	b.buf = append(b.buf, make([]byte, int(Padme(uint64(size)))-size)...)
	// One pass over the pack gives both hashes: of all before the tail, and of all.
	sum, body := sha256.New(), len(b.buf)
	sum.Write(b.buf)
	b.buf = Seal(b.buf, index, ClassTail, s, append(sum.Sum(nil), e.Out()...))
	b.buf = binary.BigEndian.AppendUint32(b.buf, uint32(len(b.buf)-body))
	b.buf = append(b.buf, packMagic[:]...)
	sum.Write(b.buf[body:])
	return b.buf, Info{Name: ID(sum.Sum(nil)), Size: uint32(len(b.buf)), Sessions: b.sessions, Entries: b.entries}
}
