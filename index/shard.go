package index

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"cbk/pack"
	"cbk/pack/wire"
)

// The content of a shard, in the grammar of package wire; package repo signs and seals it:
//
//	count, packs   32-byte pack name; pack size; then sessions and entries as in a pack's tail
const (
	// MaxShard bounds a shard as read. A session closes a shard after 16 packs or MaxShardEntries blobs.
	MaxShard = 32 << 20
	// MaxShardEntries keeps a shard well under MaxShard: an entry takes at most 50 bytes.
	MaxShardEntries = 256 << 10

	maxShardPacks = 4096
	minPackSize   = 32 + 1 + 1 + 1

	// maxSequence is the largest number of ten digits. Shards after it share it, told apart by their hashes: an order is
	// lost, while an eleventh digit would make a name that no listing takes for a shard.
	maxSequence = 9_999_999_999
)

// Names of shards: a decimal sequence of ten digits, so that LIST gives them in order of writing, and the first 8 bytes
// of the SHA-256 of the object, so that two writers never collide.

// ShardName returns the object name of a shard of a domain.
func ShardName(domain string, seq uint64, data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("index/%s/%010d-%s", domain, min(seq, maxSequence), hex.EncodeToString(sum[:8]))
}

// ParseShardName splits the last part of a shard's name; ok is false for a stranger.
func ParseShardName(base string) (seq uint64, hash string, ok bool) {
	digits, hash, found := strings.Cut(base, "-")
	if !found || len(digits) != 10 || len(hash) != 16 || strings.Trim(hash, "0123456789abcdef") != "" {
		return 0, "", false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, hash, err == nil
}

// EncodeShard returns the content of a shard.
func EncodeShard(packs []pack.Info) []byte {
	var e wire.Encoder
	e.Count(len(packs))
	for _, p := range packs {
		e.Fixed(p.Name[:])
		e.Uvarint(uint64(p.Size))
		pack.AppendInfo(&e, p.Sessions, p.Entries)
	}
	return e.Out()
}

// DecodeShard reads what EncodeShard returned. Errors match wire.ErrMalformed.
func DecodeShard(content []byte) ([]pack.Info, error) {
	d := wire.NewDecoder(content)
	packs := make([]pack.Info, 0, 16)
	for range d.Count(maxShardPacks, minPackSize) {
		var p pack.Info
		d.Array(p.Name[:])
		p.Size = uint32(d.Uvarint(pack.MaxPack))
		p.Sessions, p.Entries = pack.DecodeInfo(d, p.Size)
		packs = append(packs, p)
	}
	return packs, d.Done()
}
