package repo

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"cbk/pack"
	"cbk/repo/roles"
)

// IDSet is a set of blobs. It holds 8 bytes of each id, 80 MiB for ten million. Ids are spread evenly: that one of ten
// million blobs is taken for another has a chance of one in 180,000, and lends a session too many. The zero value is
// empty.
type IDSet struct {
	ids    []uint64
	sorted bool
}

// Add puts a blob into the set.
func (s *IDSet) Add(id pack.ID) { s.ids, s.sorted = append(s.ids, short(id)), false }

func (s *IDSet) sort() {
	if !s.sorted {
		slices.Sort(s.ids)
		s.ids, s.sorted = slices.Compact(s.ids), true
	}
}

// has asks a set that is sorted.
func (s *IDSet) has(id pack.ID) bool {
	_, ok := slices.BinarySearch(s.ids, short(id))
	return ok
}

func short(id pack.ID) uint64 { return binary.BigEndian.Uint64(id[:]) }

// SessionKeys opens the key of every session in which one of the blobs lies, at any of its holders: whichever of them
// garbage collection leaves, whoever has these keys opens it. Sessions whose key nobody can open any more, or that is
// damaged wherever it stands, are left out: a blob that lies in no other is lost to a restore in any case.
func (rd *Reader) SessionKeys(ctx context.Context, blobs *IDSet) (map[pack.SessionID]*pack.Key, error) {
	blobs.sort()
	o := &opening{rd: rd, keys: make(map[pack.SessionID]*pack.Key), failed: make(map[[32]byte]bool)}
	for range maxRetries {
		moved, err := rd.eachPack(ctx, func(p *pack.Info, _ *book) error { return o.pack(ctx, p, blobs) })
		if err != nil || !moved {
			return o.keys, err
		}
	}
	return nil, fmt.Errorf("shards of %s vanish as they are read, %d times in a row: try again later", rd.label, maxRetries)
}

// opening collects session keys.
type opening struct {
	rd     *Reader
	keys   map[pack.SessionID]*pack.Key
	failed map[[32]byte]bool // sealed forms that do not open, by their hash
}

// pack opens the sessions of the blobs that a pack holds of a set.
func (o *opening) pack(ctx context.Context, p *pack.Info, blobs *IDSet) error {
	wanted := make(map[pack.SessionID]bool)
	for i := range p.Entries {
		if e := &p.Entries[i]; !indexed(e.Type) && o.keys[e.Session] == nil && blobs.has(e.ID) {
			wanted[e.Session] = true
		}
	}
	for _, s := range p.Sessions {
		if !wanted[s.ID] {
			continue
		}
		if err := o.session(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (o *opening) session(ctx context.Context, s pack.Session) error {
	form := sha256.Sum256(append(s.ID[:], s.Sealed...))
	if o.failed[form] {
		return nil
	}
	var broken error // of the store: it says nothing about the key
	overlays := o.rd.repo.overlays(ctx, s.ID)
	key, err := o.rd.repo.Key().OpenSession(o.rd.label, s, func(to roles.SealKeyID) ([]byte, error) {
		sealed, err := overlays(to)
		if err != nil && !isDamage(err) {
			broken = err
		}
		return sealed, err
	})
	switch {
	case err == nil:
		o.keys[s.ID] = key
	case broken != nil:
		return broken
	case errors.Is(err, roles.ErrNoSealKey), isDamage(asDamage(o.rd.label, err)):
		o.failed[form] = true
	default:
		return err
	}
	return nil
}
