package sstable

import (
	"crypto/md5"
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
)

// Multipliers of MurmurHash3 x64 128.
const (
	murmur1 = 0x87c37b91114253d5
	murmur2 = 0x4cf5ad432745937f
)

// Token is the Murmur3Partitioner's token of a partition key in its serialized
// form: the first half of MurmurHash3 x64 128 with seed 0. Cassandra's hash takes
// the bytes behind the last block of 16 as signed, so it is no standard one. The
// lowest number stands for no token, and only the empty key has it.
func Token(key []byte) int64 {
	if len(key) == 0 {
		return math.MinInt64
	}
	var h1, h2 uint64
	tail := key
	for ; len(tail) >= 16; tail = tail[16:] {
		h1 ^= murmurFirst(binary.LittleEndian.Uint64(tail))
		h1 = (bits.RotateLeft64(h1, 27)+h2)*5 + 0x52dce729
		h2 ^= murmurSecond(binary.LittleEndian.Uint64(tail[8:]))
		h2 = (bits.RotateLeft64(h2, 31)+h1)*5 + 0x38495ab5
	}
	// A signed byte brings ones into all bits above its own.
	var k [2]uint64
	for i, b := range tail {
		k[i/8] ^= uint64(int8(b)) << (i % 8 * 8)
	}
	h1 ^= murmurFirst(k[0])
	h2 ^= murmurSecond(k[1])

	h1 ^= uint64(len(key))
	h2 ^= uint64(len(key))
	h1 += h2
	h2 += h1
	if token := int64(murmurMix(h1) + murmurMix(h2)); token != math.MinInt64 {
		return token
	}
	return math.MaxInt64
}

func murmurFirst(k uint64) uint64  { return bits.RotateLeft64(k*murmur1, 31) * murmur2 }
func murmurSecond(k uint64) uint64 { return bits.RotateLeft64(k*murmur2, 33) * murmur1 }

func murmurMix(k uint64) uint64 {
	k = (k ^ k>>33) * 0xff51afd7ed558ccd
	k = (k ^ k>>33) * 0xc4ceb9fe1a85ec53
	return k ^ k>>33
}

// RandomToken is the RandomPartitioner's token of a key: the absolute value of its
// MD5 as a signed number, and -1 for the empty key.
func RandomToken(key []byte) *big.Int {
	if len(key) == 0 {
		return big.NewInt(-1)
	}
	sum := md5.Sum(key)
	token := new(big.Int).SetBytes(sum[:])
	if sum[0] >= 0x80 {
		token.Sub(new(big.Int).Lsh(big.NewInt(1), 128), token)
	}
	return token
}
