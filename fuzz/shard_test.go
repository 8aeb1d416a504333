package fuzz

import (
	"encoding/binary"
	"errors"
	"testing"

	"cbk/index"
	"cbk/pack"
	"cbk/pack/wire"
)

// FuzzShard decodes shards: a real one with a byte changed, arbitrary bytes, and a sealed shard of arbitrary plaintext.
func FuzzShard(f *testing.F) {
	r := realPack(f, 7)
	genuine := index.EncodeShard(r.index, repository, domainLabel, []pack.Info{r.info, r.info})
	scope := pack.Scope{Repository: repository, Domain: domainLabel, Name: "shard"}
	plain, err := pack.Open(nil, r.index, pack.ClassShard, scope, genuine)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(genuine, plain, uint32(0), byte(0))
	f.Add(genuine[:60], plain[:len(plain)-1], uint32(5), byte(1))
	f.Add([]byte(nil), binary.AppendUvarint(nil, 4096), uint32(100), byte(0x80))
	f.Add([]byte("cbk\x01"), append([]byte{1}, make([]byte, 40)...), uint32(39), byte(0xff))
	f.Fuzz(func(t *testing.T, data, plain []byte, at uint32, mask byte) {
		decode := func(b []byte) ([]pack.Info, error) {
			packs, err := index.DecodeShard(r.index, repository, domainLabel, b)
			if err != nil && !errors.Is(err, pack.ErrAuthentication) && !errors.Is(err, pack.ErrNewer) && !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("error %v", err)
			}
			return packs, err
		}
		decode(data)

		changed := append([]byte{}, genuine...)
		changed[int(at)%len(changed)] ^= mask
		if _, err := decode(changed); (err == nil) != (mask == 0) {
			t.Fatalf("a shard changed at %d by %x: %v", at, mask, err)
		}

		packs, err := decode(pack.Seal(nil, r.index, pack.ClassShard, scope, plain))
		if err != nil {
			return
		}
		for i := range packs {
			inBounds(t, &packs[i], int(packs[i].Size))
			comesBack(t, &packs[i], int(packs[i].Size))
		}
		if again, err := decode(index.EncodeShard(r.index, repository, domainLabel, packs)); err != nil || len(again) != len(packs) {
			t.Fatalf("%d packs encode to %d: %v", len(packs), len(again), err)
		}
	})
}
