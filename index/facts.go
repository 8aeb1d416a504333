package index

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// PutFact stores a value of at most 512 KiB under key. Facts are hints: losing one costs time, never truth.
func (c *Cache) PutFact(key, value []byte) error {
	err := c.db.Update(func(t *badger.Txn) error { return t.Set(factKey(key), value) })
	if err != nil {
		return fmt.Errorf("index cache: fact: %w", err)
	}
	return nil
}

// Fact returns the value stored under key, nil if there is none.
func (c *Cache) Fact(key []byte) ([]byte, error) {
	v, err := c.get(factKey(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("index cache: fact: %w", err)
	}
	return v, nil
}

// SweepFacts removes the facts under prefix whose value keep refuses.
func (c *Cache) SweepFacts(prefix []byte, keep func(value []byte) bool) error {
	w := c.db.NewWriteBatch()
	defer w.Cancel()
	err := c.db.View(func(t *badger.Txn) error {
		opt := badger.DefaultIteratorOptions
		opt.Prefix = factKey(prefix)
		it := t.NewIterator(opt)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			err := it.Item().Value(func(v []byte) error {
				if keep(v) {
					return nil
				}
				return w.Delete(it.Item().KeyCopy(nil))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("index cache: sweep facts: %w", err)
	}
	return nil
}

func factKey(key []byte) []byte { return append([]byte{'f'}, key...) }
