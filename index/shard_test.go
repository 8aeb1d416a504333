package index_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"cbk/index"
	"cbk/pack"
	"cbk/pack/wire"
)

func TestAShardGivesBackItsPacks(t *testing.T) {
	for name, packs := range map[string][]pack.Info{
		"no packs":           nil,
		"one pack":           {onePack(1, 5)},
		"a pack of no blobs": {onePack(1, 0)},
		"several packs":      {onePack(1, 100), onePack(2, 3), onePack(3, 0), onePack(4, 99)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := index.DecodeShard(index.EncodeShard(packs))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(packs, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestAnyShardComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var packs []pack.Info
		for n := range rapid.IntRange(0, 6).Draw(t, "packs") {
			packs = append(packs, onePack(n, rapid.IntRange(0, 9).Draw(t, "blobs")))
		}
		got, err := index.DecodeShard(index.EncodeShard(packs))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(packs, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestNoByteOfAShardCanBeMissing(t *testing.T) {
	data := index.EncodeShard([]pack.Info{onePack(1, 5)})
	for i := range data {
		if _, err := index.DecodeShard(data[:i]); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := index.DecodeShard(append(data, 0)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a byte more: %v", err)
	}
}

// A writer of the domain can sign and seal anything; what it seals is still held to the grammar.
func TestHostileShardsAreRefused(t *testing.T) {
	list := func(packs int, rest ...byte) []byte { return append(binary.AppendUvarint(nil, uint64(packs)), rest...) }
	name := make([]byte, 32)
	for _, c := range []struct {
		name  string
		plain []byte
		want  string
	}{
		{"nothing", nil, "cut short"},
		{"too many packs", list(4097), "over its limit"},
		{"more packs than bytes", list(4096), "4096 items in 0 bytes"},
		{"bytes left over", list(0, 1), "left over"},
		{"a pack over the limit", list(1, append(name, 0x81, 0x80, 0x80, 0x80, 0x01, 0, 0)...), "over its limit"},
		{"a blob outside its pack", list(1, append(append(name, 10, 1), append(make([]byte, 17), append([]byte{1, 1},
			append(name, 5, 6, 1, 0)...)...)...)...), "outside its place"},
		{"a blob of a session that is not there", list(1, append(append(name, 10, 0, 1, 1), append(name, 0, 1, 1, 0)...)...), "session 0 of 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := index.DecodeShard(c.plain)
			if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v", err)
			}
		})
	}
}

func TestTheLargestShardStaysUnderItsLimit(t *testing.T) {
	var packs []pack.Info
	for n := range index.MaxShardEntries / pack.MaxEntries {
		packs = append(packs, onePack(n, pack.MaxEntries))
	}
	data := index.EncodeShard(packs)
	if len(data)+pack.Overhead > index.MaxShard {
		t.Errorf("%d bytes, %d may be", len(data), index.MaxShard)
	}
	if got, err := index.DecodeShard(data); err != nil || len(got) != len(packs) {
		t.Errorf("%d packs of %d: %v", len(got), len(packs), err)
	}
}

func TestAShardNameIsSequenceAndHash(t *testing.T) {
	data := []byte("shard")
	sum := sha256.Sum256(data)
	want := "index/node.1/0000000042-" + hex.EncodeToString(sum[:8])
	if got := index.ShardName("node.1", 42, data); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A name that does not parse back is a shard that no listing shows: its blobs would be lost with all reporting success.
func TestEveryShardNameParsesBack(t *testing.T) {
	for seq, want := range map[uint64]uint64{0: 0, 1: 1, 9_999_999_998: 9_999_999_998, 9_999_999_999: 9_999_999_999,
		10_000_000_000: 9_999_999_999, math.MaxUint64: 9_999_999_999} {
		name := index.ShardName("node", seq, nil)
		got, hash, ok := index.ParseShardName(strings.TrimPrefix(name, "index/node/"))
		if !ok || got != want || len(hash) != 16 {
			t.Errorf("sequence %d gives %s, read as %d, %q, %v", seq, name, got, hash, ok)
		}
	}
}

func TestStrangersAreNoShards(t *testing.T) {
	if seq, hash, ok := index.ParseShardName("0000000007-0123456789abcdef"); !ok || seq != 7 || hash != "0123456789abcdef" {
		t.Fatalf("a good name is read as %d, %q, %v", seq, hash, ok)
	}
	for _, s := range []string{"", "-", "7-0123456789abcdef", "0000000007", "0000000007-", "00000000007-0123456789abcdef",
		"0000000007-0123456789abcde", "0000000007-0123456789abcdef0", "0000000007-0123456789ABCDEF", "0000000007-0123456789abcdeg",
		"+000000007-0123456789abcdef", "-000000007-0123456789abcdef", "000000_007-0123456789abcdef", "0x00000007-0123456789abcdef",
		"0000000007-01234567-9abcdef", "0000000007-0123456789abcdef.tmp", ".000000007-0123456789abcdef", "0000000007 0123456789abcdef"} {
		if _, _, ok := index.ParseShardName(s); ok {
			t.Errorf("%q passes for a shard", s)
		}
	}
}
