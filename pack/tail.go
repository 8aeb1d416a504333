package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"cbk/pack/wire"
)

// A pack is one object:
//
//	blob*           sealed blobs, one after another
//	zeros           padding, so that the whole has a PADMÉ size
//	tail            sealed under the domain's index key (class ClassTail)
//	tail length     4 bytes, big-endian: of the sealed tail
//	magic           4 bytes "cbkP"
//
// The plaintext of the tail, in the grammar of package wire:
//
//	content          32 bytes: SHA-256 of all before the tail, so that a tail on other bytes is none
//	count, sessions  16-byte session id; byte string: sealed session key
//	count, entries   type byte; 32-byte id; offset; stored; plain; number of the session in the list above
const (
	footerSize = 8
	// MaxTail bounds a sealed tail as read: MaxEntries entries of at most 50 bytes.
	MaxTail = 4 << 20
	// MaxEntries bounds the blobs of one pack.
	MaxEntries = 64 << 10
	// MaxPack bounds a pack as read. Packs are written at 64 MiB; four times that leaves room for larger settings.
	MaxPack = 256 << 20

	maxSessions     = 16
	maxSealedKey    = 4 << 10
	minEntrySize    = 1 + 32 + 4
	minSessionSize  = 16 + 1
	maxStoredLength = MaxBlob + 1 + Overhead
)

var packMagic = [4]byte{'c', 'b', 'k', 'P'}

// SessionID names one write session; its first 8 bytes are the key id in the headers of the session's blobs.
type SessionID [16]byte

// Session is a write session's data key as it is stored: sealed, so that only readers can open it.
type Session struct {
	ID     SessionID
	Sealed []byte
}

// Entry says where one blob lies in a pack. Offsets and lengths are in bytes; Stored counts the sealed form.
type Entry struct {
	Type    Type
	ID      ID
	Offset  uint32
	Stored  uint32
	Plain   uint32
	Session SessionID
}

// Info describes one stored pack: what a shard holds about it.
type Info struct {
	Name     ID
	Size     uint32
	Sessions []Session
	Entries  []Entry
}

// AppendInfo writes sessions and entries in the tail's grammar.
func AppendInfo(e *wire.Encoder, sessions []Session, entries []Entry) {
	number := make(map[SessionID]uint64, len(sessions))
	e.Count(len(sessions))
	for i, s := range sessions {
		number[s.ID] = uint64(i)
		e.Fixed(s.ID[:])
		e.Bytes(s.Sealed)
	}
	e.Count(len(entries))
	for _, n := range entries {
		e.Byte(byte(n.Type))
		e.Fixed(n.ID[:])
		e.Uvarint(uint64(n.Offset))
		e.Uvarint(uint64(n.Stored))
		e.Uvarint(uint64(n.Plain))
		e.Uvarint(number[n.Session])
	}
}

// DecodeInfo reads what AppendInfo wrote for a pack of size bytes and checks that every blob lies inside it and none
// overlaps another.
func DecodeInfo(d *wire.Decoder, size uint32) (sessions []Session, entries []Entry) {
	for range d.Count(maxSessions, minSessionSize) {
		var s Session
		d.Array(s.ID[:])
		s.Sealed = append([]byte(nil), d.Bytes(maxSealedKey)...)
		sessions = append(sessions, s)
	}
	n := d.Count(MaxEntries, minEntrySize)
	entries = make([]Entry, 0, n)
	end := uint64(0)
	for range n {
		e := decodeEntry(d, sessions)
		if uint64(e.Offset) < end || uint64(e.Offset)+uint64(e.Stored) > uint64(size) {
			d.Invalid("blob at %d+%d outside its place in a pack of %d", e.Offset, e.Stored, size)
		}
		if d.Err() != nil {
			return nil, nil
		}
		end = uint64(e.Offset) + uint64(e.Stored)
		entries = append(entries, e)
	}
	return sessions, entries
}

func decodeEntry(d *wire.Decoder, sessions []Session) (e Entry) {
	e.Type = Type(d.Byte())
	d.Array(e.ID[:])
	e.Offset = uint32(d.Uvarint(MaxPack))
	e.Stored = uint32(d.Uvarint(maxStoredLength))
	e.Plain = uint32(d.Uvarint(MaxBlob))
	s := d.Uvarint(maxSessions)
	switch {
	case d.Err() != nil:
	case !e.Type.Valid():
		d.Invalid("blob type %d", e.Type)
	case s >= uint64(len(sessions)):
		d.Invalid("session %d of %d", s, len(sessions))
	default:
		e.Session = sessions[s].ID
	}
	return e
}

// TailScope returns the scope under which a domain's pack tails are sealed.
func TailScope(repository [16]byte, domain string) Scope {
	return Scope{Repository: repository, Domain: domain, Name: "tail"}
}

// TailRange returns where the sealed tail of a pack of size bytes lies, from the pack's last 8 bytes.
func TailRange(footer [footerSize]byte, size int64) (offset, length int64, err error) {
	length = int64(binary.BigEndian.Uint32(footer[:4]))
	if [4]byte(footer[4:]) != packMagic || length > MaxTail || length > size-footerSize {
		return 0, 0, fmt.Errorf("pack footer %x: %w", footer, wire.ErrMalformed)
	}
	return size - footerSize - length, length, nil
}

// OpenPack reads the tail of a whole pack held in memory, whose bytes must be those the tail was made for. The blobs
// themselves are not opened.
func OpenPack(data []byte, index *Key, s Scope) (*Info, error) {
	if len(data) < footerSize || len(data) > MaxPack {
		return nil, fmt.Errorf("pack of %d bytes: %w", len(data), wire.ErrMalformed)
	}
	off, n, err := TailRange([footerSize]byte(data[len(data)-footerSize:]), int64(len(data)))
	if err != nil {
		return nil, err
	}
	plain, err := Open(nil, index, ClassTail, s, data[off:off+n])
	if err != nil {
		return nil, fmt.Errorf("pack tail: %w", err)
	}
	d := wire.NewDecoder(plain)
	var content ID
	d.Array(content[:])
	if d.Err() == nil && sha256.Sum256(data[:off]) != content {
		return nil, fmt.Errorf("pack tail: made for other content: %w", ErrAuthentication)
	}
	info := &Info{Size: uint32(len(data))}
	info.Sessions, info.Entries = DecodeInfo(d, uint32(off))
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("pack tail: %w", err)
	}
	return info, nil
}

// Name returns the name of a pack: the SHA-256 of its bytes.
func Name(data []byte) ID { return sha256.Sum256(data) }

// TailKey returns the id of the key that a whole pack's tail is sealed under: which domain, and which generation of its
// keys, wrote it. Errors match wire.ErrMalformed, ErrAuthentication or ErrNewer.
func TailKey(data []byte) (id [8]byte, err error) {
	if len(data) < footerSize {
		return id, fmt.Errorf("pack of %d bytes: %w", len(data), wire.ErrMalformed)
	}
	off, n, err := TailRange([footerSize]byte(data[len(data)-footerSize:]), int64(len(data)))
	if err != nil {
		return id, err
	}
	return KeyID(data[off:off+n], ClassTail)
}
