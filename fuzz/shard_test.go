package fuzz

import (
	"encoding/binary"
	"errors"
	"testing"

	"cbk/index"
	"cbk/pack"
	"cbk/pack/wire"
)

// FuzzShard reads the content of shards: a real one with a byte changed, and arbitrary bytes.
func FuzzShard(f *testing.F) {
	r := realPack(f, 7)
	genuine := index.EncodeShard([]pack.Info{r.info, r.info})
	f.Add(genuine, uint32(0), byte(0))
	f.Add(genuine[:len(genuine)-1], uint32(5), byte(1))
	f.Add(binary.AppendUvarint(nil, 4096), uint32(100), byte(0x80))
	f.Add(append([]byte{1}, make([]byte, 40)...), uint32(39), byte(0xff))
	f.Fuzz(func(t *testing.T, data []byte, at uint32, mask byte) {
		altered := append([]byte{}, genuine...)
		altered[int(at)%len(altered)] ^= mask
		for _, b := range [][]byte{data, altered} {
			packs, err := index.DecodeShard(b)
			if err != nil {
				if !errors.Is(err, wire.ErrMalformed) {
					t.Fatalf("error %v", err)
				}
				continue
			}
			for i := range packs {
				inBounds(t, &packs[i], int(packs[i].Size))
				comesBack(t, &packs[i], int(packs[i].Size))
			}
			if again, err := index.DecodeShard(index.EncodeShard(packs)); err != nil || len(again) != len(packs) {
				t.Fatalf("%d packs encode to %d: %v", len(packs), len(again), err)
			}
		}
	})
}
