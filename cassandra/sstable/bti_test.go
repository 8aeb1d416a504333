package sstable

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// partitions lays out a Partitions.db with a trie of so many bytes.
func partitions(trie int, first, last string, count, root int64) []byte {
	b := make([]byte, trie)
	for _, key := range []string{first, last} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
	}
	for _, n := range []int64{int64(trie), count, root} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

func TestReadPartitionsFooter(t *testing.T) {
	long := strings.Repeat("k", math.MaxUint16)
	for what, want := range map[string]PartitionsFooter{
		"two keys":          {FirstKey: []byte("first"), LastKey: []byte("last"), KeyCount: 300, Root: 90},
		"one key":           {FirstKey: []byte("k"), LastKey: []byte("k"), KeyCount: 1, Root: 0},
		"no keys":           {FirstKey: []byte{}, LastKey: []byte{}},
		"the longest keys":  {FirstKey: []byte(long), LastKey: []byte(long), KeyCount: math.MaxInt64, Root: 100},
		"the shortest keys": {FirstKey: []byte{}, LastKey: []byte{0}, KeyCount: 2, Root: 100},
	} {
		t.Run(what, func(t *testing.T) {
			for _, trie := range []int{100, 300000} {
				b := partitions(trie, string(want.FirstKey), string(want.LastKey), want.KeyCount, want.Root)
				got, err := ReadPartitionsFooter(bytes.NewReader(b), int64(len(b)))
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("behind %d bytes: %v (-want +got):\n%s", trie, err, diff)
				}
			}
		})
	}
}

func TestReadPartitionsFooterRefusesWhatDoesNotHoldTogether(t *testing.T) {
	at := func(b []byte, from int, n int64) []byte {
		b = bytes.Clone(b)
		binary.BigEndian.PutUint64(b[len(b)-from:], uint64(n))
		return b
	}
	good := partitions(100, "first", "last", 3, 90)
	for what, b := range map[string][]byte{
		"nothing":                     nil,
		"less than the numbers":       good[len(good)-23:],
		"keys below the file":         at(good, 24, -1),
		"keys within the trie":        at(good, 24, 99),
		"keys behind their start":     at(good, 24, 101),
		"keys behind the file":        at(good, 24, int64(len(good))),
		"keys far away":               at(good, 24, math.MaxInt64),
		"a count below zero":          at(good, 16, -1),
		"a root below zero":           at(good, 8, -1),
		"a root behind the trie":      at(good, 8, 101),
		"a key longer than its place": bytes.Replace(good, []byte("\x00\x04last"), []byte("\x00\x05last"), 1),
	} {
		if got, err := ReadPartitionsFooter(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s gives %+v", what, got)
		}
	}
	if got, err := ReadPartitionsFooter(bytes.NewReader(good), int64(len(good))+1); err == nil {
		t.Errorf("a file shorter than told gives %+v", got)
	}
}

func FuzzPartitionsFooter(f *testing.F) {
	f.Add(partitions(40, "first", "last", 3, 30))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ReadPartitionsFooter(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		trie := len(b) - 28 - len(got.FirstKey) - len(got.LastKey)
		back := partitions(trie, string(got.FirstKey), string(got.LastKey), got.KeyCount, got.Root)
		if trie < 0 || !bytes.Equal(back[trie:], b[trie:]) {
			t.Errorf("%x became %x", b, back)
		}
	})
}
