package sstable

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// PartitionsFooter is the end of Partitions.db, the trie of the bti format.
type PartitionsFooter struct {
	FirstKey, LastKey []byte
	KeyCount          int64
	Root              int64 // where the trie's root is in the file
}

// partitionsTail is two keys of the longest kind and the three numbers behind them.
const partitionsTail = 2*(2+math.MaxUint16) + 3*8

// ReadPartitionsFooter reads the end of a Partitions.db of size bytes, and at most
// 128 KiB of it:
//
//	trie · uint16 length · first key · uint16 length · last key
//	· int64 where the first key is · int64 keys · int64 root
func ReadPartitionsFooter(r io.ReaderAt, size int64) (PartitionsFooter, error) {
	var f PartitionsFooter
	n := min(size, partitionsTail)
	if n < 3*8 {
		return f, fmt.Errorf("partition index of %d bytes", size)
	}
	tail := make([]byte, n)
	if k, err := r.ReadAt(tail, size-n); k < len(tail) {
		return f, fmt.Errorf("partition index: %w", unexpected(err))
	}
	numbers := tail[n-3*8:]
	keys := int64(binary.BigEndian.Uint64(numbers))
	f.KeyCount, f.Root = int64(binary.BigEndian.Uint64(numbers[8:])), int64(binary.BigEndian.Uint64(numbers[16:]))
	if keys < size-n || keys > size-3*8 || f.KeyCount < 0 || f.Root < 0 || f.Root > keys {
		return f, fmt.Errorf("partition index of %d bytes: first key at %d, %d keys, root at %d", size, keys, f.KeyCount, f.Root)
	}
	c := cursor{b: tail[keys-(size-n) : n-3*8]}
	f.FirstKey, f.LastKey = c.shortBytes(), c.shortBytes()
	if c.err == nil && len(c.b) > 0 {
		c.err = ErrTrailing
	}
	if c.err != nil {
		return f, fmt.Errorf("keys of the partition index: %w", c.err)
	}
	return f, nil
}
