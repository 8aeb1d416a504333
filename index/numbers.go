package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"cbk/pack"
)

// numbers hands out small numbers for long names and remembers the next free one. Packs are few (one per 64 MiB), so
// lookups by number are kept in memory.
type numbers[N comparable] struct {
	mu       sync.Mutex
	byName   map[N]uint32
	byNumber map[uint32]N
	next     uint32
}

func (n *numbers[N]) clear() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byName, n.byNumber, n.next = map[N]uint32{}, map[uint32]N{}, 0
}

// assign returns the number of name; added is true the first time.
func (n *numbers[N]) assign(name N) (number uint32, added bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number, ok := n.byName[name]; ok {
		return number, false
	}
	n.set(name, n.next)
	return n.next - 1, true
}

func (n *numbers[N]) set(name N, number uint32) {
	n.byName[name], n.byNumber[number] = number, name
	n.next = max(n.next, number+1)
}

// name returns what a number stands for.
func (n *numbers[N]) name(number uint32) (N, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.byNumber[number]
	return name, ok
}

func numberKey(prefix byte, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{prefix}, n) }

// loadNumbers fills the two tables from the database: 16 packs a GiB, so a few MiB for a large node.
func (c *Cache) loadNumbers() error {
	c.packs.clear()
	c.sessions.clear()
	return c.db.View(func(t *badger.Txn) error {
		it := t.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for _, prefix := range []byte{'P', 'S'} {
			p := []byte{prefix}
			for it.Seek(p); it.ValidForPrefix(p); it.Next() {
				key := it.Item().Key()[1:]
				v, err := it.Item().ValueCopy(nil)
				if err == nil && len(v) != 4 {
					err = fmt.Errorf("number of %d bytes", len(v))
				}
				if err != nil {
					return fmt.Errorf("index cache: %w", err)
				}
				if prefix == 'P' {
					c.packs.set(pack.ID(key), binary.BigEndian.Uint32(v))
				} else {
					c.sessions.set(pack.SessionID(key), binary.BigEndian.Uint32(v))
				}
			}
		}
		return nil
	})
}

func (c *Cache) numberPack(w *badger.WriteBatch, p *pack.Info) (uint32, error) {
	n, added := c.packs.assign(p.Name)
	if !added {
		return n, nil
	}
	v := binary.BigEndian.AppendUint32(append([]byte(nil), p.Name[:]...), p.Size)
	return n, errors.Join(
		w.Set(numberKey('p', n), v),
		w.Set(append([]byte{'P'}, p.Name[:]...), binary.BigEndian.AppendUint32(nil, n)))
}

func (c *Cache) numberSession(w *badger.WriteBatch, s pack.Session) (uint32, error) {
	n, added := c.sessions.assign(s.ID)
	if !added {
		return n, nil
	}
	return n, errors.Join(
		w.Set(numberKey('s', n), append(append([]byte(nil), s.ID[:]...), s.Sealed...)),
		w.Set(append([]byte{'S'}, s.ID[:]...), binary.BigEndian.AppendUint32(nil, n)))
}

func (c *Cache) pack(n uint32) (id pack.ID, size uint32, err error) {
	v, err := c.get(numberKey('p', n))
	if err == nil && len(v) != 36 {
		err = fmt.Errorf("%d bytes", len(v))
	}
	if err != nil {
		return id, 0, fmt.Errorf("index cache: pack %d: %w", n, err)
	}
	return pack.ID(v[:32]), binary.BigEndian.Uint32(v[32:]), nil
}

func (c *Cache) session(n uint32) (pack.Session, error) {
	v, err := c.get(numberKey('s', n))
	if err == nil && len(v) < 16 {
		err = fmt.Errorf("%d bytes", len(v))
	}
	if err != nil {
		return pack.Session{}, fmt.Errorf("index cache: session %d: %w", n, err)
	}
	return pack.Session{ID: pack.SessionID(v[:16]), Sealed: v[16:]}, nil
}

// Sessions returns the write sessions that loaded shards name.
func (c *Cache) Sessions() ([]pack.Session, error) {
	var out []pack.Session
	for n := range c.sessions.count() {
		s, err := c.session(n)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (n *numbers[N]) count() uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.next
}
