package lookup

import (
	"bytes"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// nodeAt is a node of some bytes in hexadecimal digits, at a position that no distance reaches back behind.
func nodeAt(t *testing.T, position int64, digits string) node {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return node{position, append(b, make([]byte, maxNode-len(b))...)}
}

// The layouts are those of TrieNode in Cassandra 5.0: byte by byte, with the distances of the children.
func TestNodesOfEveryKindLeadToTheirChildren(t *testing.T) {
	const at = 1 << 40
	tests := []struct {
		what, digits string
		want         map[byte]int64 // distances by transition
	}{
		{"a leaf", "08 aa 05", nil},
		{"one child, 4 bits", "1f 61", map[byte]int64{0x61: 0x0f}},
		{"one child, 8 bits", "20 61 fe", map[byte]int64{0x61: 0xfe}},
		{"one child, 12 bits", "3f ff 61", map[byte]int64{0x61: 0xfff}},
		{"one child, 16 bits", "40 61 ff fe", map[byte]int64{0x61: 0xfffe}},
		{"few children, 8 bits", "50 02 61 7a 01 02", map[byte]int64{0x61: 1, 0x7a: 2}},
		{"few children, 12 bits", "60 03 61 62 63 123 456 789 0", map[byte]int64{0x61: 0x123, 0x62: 0x456, 0x63: 0x789}},
		{"few children, 16 bits", "70 02 00 ff 0102 0304", map[byte]int64{0x00: 0x102, 0xff: 0x304}},
		{"few children, 24 bits", "80 02 61 62 010203 040506", map[byte]int64{0x61: 0x10203, 0x62: 0x40506}},
		{"few children, 40 bits", "90 02 61 62 0102030405 0000000001", map[byte]int64{0x61: 0x102030405, 0x62: 1}},
		{"many children, 12 bits", "a0 61 02 123 000 456 0", map[byte]int64{0x61: 0x123, 0x63: 0x456}},
		{"many children, 16 bits", "b0 61 01 0102 0304", map[byte]int64{0x61: 0x102, 0x62: 0x304}},
		{"many children, 24 bits", "c0 61 02 010203 000000 040506", map[byte]int64{0x61: 0x10203, 0x63: 0x40506}},
		{"many children, 32 bits", "d0 fe 01 01020304 05060708", map[byte]int64{0xfe: 0x1020304, 0xff: 0x5060708}},
		{"many children, 40 bits", "e0 00 01 0102030405 0607080900", map[byte]int64{0x00: 0x102030405, 0x01: 0x607080900}},
		{"many children, 64 bits", "f0 61 01 0000000000000001 0000000102030405", map[byte]int64{0x61: 1, 0x62: 0x102030405}},
	}
	for _, tt := range tests {
		n := nodeAt(t, at, tt.digits)
		for transition := range 256 {
			want := int64(none)
			if distance, there := tt.want[byte(transition)]; there {
				want = at - distance
			}
			if got := n.step(byte(transition)); got != want {
				t.Errorf("%s: transition %02x leads to %d, not %d", tt.what, transition, got, want)
			}
		}
	}
}

func TestDistancesBehindTheBeginningLeadNowhere(t *testing.T) {
	for digits, want := range map[string]int64{"20 61 05": 0, "20 61 06": none, "20 61 00": none, "f0 61 00 ffffffffffffffff": none} {
		if got := nodeAt(t, 5, digits).step(0x61); got != want {
			t.Errorf("%s: %d, not %d", digits, got, want)
		}
	}
}

func TestLeavesHaveSignedPositions(t *testing.T) {
	for digits, want := range map[string]int64{
		"08 aa 05": 5, "08 aa ff": -1, "09 aa 8000": -32768, "0a aa 7fffff": 0x7fffff, "0f aa 7fffffffffffffff": 1<<63 - 1, "0f aa 8000000000000000": -1 << 63,
	} {
		if got, ok := nodeAt(t, 0, digits).payload(); !ok || got != want {
			t.Errorf("%s: %d, %v", digits, got, ok)
		}
	}
	for _, digits := range []string{"00", "07 05", "28 61 05 aa 01"} {
		if got, ok := nodeAt(t, 0, digits).payload(); ok {
			t.Errorf("%s: %d", digits, got)
		}
	}
}

func TestVintsAreRead(t *testing.T) {
	for digits, want := range map[string]int64{"00": 0, "7f": 127, "8080": 128, "c10000": 0x10000, "fe01020304050607": 0x1020304050607, "ff7fffffffffffffff": 1<<63 - 1} {
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readVint(bytes.NewReader(b)); err != nil || got != want {
			t.Errorf("%s: %d, error %v", digits, got, err)
		}
		if got, err := readVint(bytes.NewReader(b[:len(b)-1])); err == nil {
			t.Errorf("%s cut short: %d", digits, got)
		}
	}
}

// FuzzTrie walks tries that anyone may have made, over rows and data that are no better.
func FuzzTrie(f *testing.F) {
	for _, fixture := range cassandratest.Fixtures(f, "5.0.6", "da") {
		if fixture.How != "compaction" || fixture.Table != "wide" && fixture.Table != "no_clustering" {
			continue
		}
		partitions, err := os.ReadFile(fixture.Component(sstable.Partitions))
		if err != nil {
			f.Fatal(err)
		}
		rows, err := os.ReadFile(fixture.Component(sstable.Rows))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(partitions, rows, uint64(7))
	}
	f.Fuzz(func(t *testing.T, partitions, rows []byte, seed uint64) {
		footer, err := sstable.ReadPartitionsFooter(bytes.NewReader(partitions), int64(len(partitions)))
		if err != nil {
			return
		}
		x := &trie{
			file: bytes.NewReader(partitions), footer: footer,
			rows: io.NewSectionReader(bytes.NewReader(rows), 0, int64(len(rows))),
			data: &plain{data: bytes.NewReader(rows), size: int64(len(rows)), length: int64(len(rows))},
		}
		key, err := x.random(rand.New(rand.NewPCG(seed, seed)))
		if err != nil {
			key = rows
		}
		if at, ok, err := x.find(key); ok && err != nil {
			t.Errorf("found at %d with an error: %v", at, err)
		}
	})
}
