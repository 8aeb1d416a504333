package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The table has three partitions of 3000 rows, each some 280 KB.
func TestIndexOfWidePartitions(t *testing.T) {
	for _, tt := range []struct {
		version string
		want    []string
	}{
		{"nb", []string{"00000001 0 161 18 5", "00000000 279153 159 18 5", "00000002 558185 161 18 5"}},
		{"oa", []string{"00000001 0 149 7 5", "00000000 279158 148 7 5", "00000002 558194 149 7 5"}},
	} {
		t.Run(tt.version, func(t *testing.T) {
			x, err := NewIndexReader(bytes.NewReader(readFile(t, tt.version+"-wide-Index.db")), tt.version)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for {
				e, err := x.Next()
				if err == io.EOF {
					break
				}
				if err != nil || e.Deletion != NoDeletion {
					t.Fatalf("%+v, %v", e, err)
				}
				got = append(got, fmt.Sprintf("%x %d %d %d %d", e.Key, e.Position, e.PromotedSize, e.HeaderLength, e.Blocks))
				// The second is passed over by Next.
				if len(got) != 2 {
					checkBlocks(t, x.Promoted(), tt.version)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// checkBlocks holds five blocks of 64 KiB against each other: each begins where
// the one before it ends.
func checkBlocks(t *testing.T, r io.Reader, version string) {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := SplitPromoted(b, version)
	if err != nil || len(blocks) != 5 {
		t.Fatalf("%d blocks, %v", len(blocks), err)
	}
	next := uint64(0)
	for i, block := range blocks {
		c := cursor{b: block}
		for range 2 { // a clustering of one bigint: kind, header, value
			if kind, bits, value := c.byte(), c.vint(), c.int64(); kind != 4 || bits != 0 || value < 0 || value > 8999 {
				t.Errorf("block %d has a bound of kind %d, %d, %d", i, kind, bits, value)
			}
		}
		start, zigzag := c.vint(), c.vint()
		if open := c.bool(); open || c.err != nil || len(c.b) != 0 || (i > 0 && start != next) {
			t.Errorf("block %d starts at %d, not %d; %v, %d bytes left", i, start, next, c.err, len(c.b))
		}
		next = start + uint64(65536+int64(zigzag>>1)^-int64(zigzag&1))
	}
}

func TestIndexEntries(t *testing.T) {
	key64k := strings.Repeat("k", math.MaxUint16)
	tests := []struct {
		what, version, file string
		want                []IndexEntry
	}{
		{"no partition", "nb", "", nil},
		{"small partitions", "me", "\x00\x01a\x00\x00" + "\x00\x00\x80\xff\x00", []IndexEntry{{Key: []byte("a")}, {Key: []byte{}, Position: 255}}},
		{"the longest key", "oa", "\xff\xff" + key64k + "\x05\x00", []IndexEntry{{Key: []byte(key64k), Position: 5}}},
		{"a deleted partition before oa", "nb", "\x00\x01a\x00\x16" + "\x12" + "\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x08" + "\x01" + "x" + "\x00\x00\x00\x00" + "pad",
			[]IndexEntry{{Key: []byte("a"), PromotedSize: 22, HeaderLength: 18, Deletion: Deletion{MarkedAt: 8, LocalDeletionTime: 7}, Blocks: 1}}},
		{"a live partition before oa", "ma", "\x00\x01a\x00\x16" + "\x12" + "\x7f\xff\xff\xff\x80\x00\x00\x00\x00\x00\x00\x00" + "\x01" + "x" + "\x00\x00\x00\x00" + "pad",
			[]IndexEntry{{Key: []byte("a"), PromotedSize: 22, HeaderLength: 18, Deletion: NoDeletion, Blocks: 1}}},
		{"a deleted partition since oa", "oa", "\x00\x01a\x00\x16" + "\x12" + "\x00\x00\x00\x00\x00\x00\x00\x08\xff\xff\xff\xf0" + "\x01" + "x" + "\x00\x00\x00\x00" + "pad",
			[]IndexEntry{{Key: []byte("a"), PromotedSize: 22, HeaderLength: 18, Deletion: Deletion{MarkedAt: 8, LocalDeletionTime: math.MaxUint32 - 15}, Blocks: 1}}},
		{"2.2", "la", "\x00\x01a" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x02" + "zz" + "\x00\x01b" + "\x00\x00\x00\x00\x00\x00\x01\x00" + "\x00\x00\x00\x00",
			[]IndexEntry{{Key: []byte("a"), PromotedSize: 2}, {Key: []byte("b"), Position: 256}}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := readIndex(tt.file, tt.version)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			first, last, count, err := KeyRange(strings.NewReader(tt.file), tt.version)
			if err != nil || count != int64(len(tt.want)) {
				t.Fatalf("%d keys, %v", count, err)
			}
			if count > 0 && (!bytes.Equal(first, tt.want[0].Key) || !bytes.Equal(last, tt.want[count-1].Key)) {
				t.Errorf("keys from %q to %q", first, last)
			}
			for n := 1; n < min(len(tt.file), 64); n++ {
				if got, err := readIndex(tt.file[:n], tt.version); err == nil && len(got) == len(tt.want) {
					t.Errorf("no error where it is cut after %d bytes", n)
				}
			}
		})
	}
}

func readIndex(file, version string) (all []IndexEntry, err error) {
	x, err := NewIndexReader(strings.NewReader(file), version)
	if err != nil {
		return nil, err
	}
	for {
		e, err := x.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		e.Key = bytes.Clone(e.Key)
		all = append(all, e)
	}
}

func TestIndexRefusesWhatNoWriterMakes(t *testing.T) {
	for what, file := range map[string]string{
		"a position twice":                   "\x00\x01a\x05\x00\x00\x01b\x05\x00",
		"positions turned round":             "\x00\x01a\x05\x00\x00\x01b\x04\x00",
		"a position below zero":              "\x00\x01a\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00",
		"a promoted index of 4 GiB":          "\x00\x01a\x00\xf0\xff\xff\xff\xff" + strings.Repeat("x", 99),
		"a promoted index that is cut":       "\x00\x01a\x00\x40\x12\x80\x01" + strings.Repeat("x", 40),
		"a promoted index cut at its start":  "\x00\x01a\x00\x40\x12",
		"more blocks than bytes":             "\x00\x01a\x00\x14\x12\x80\xff" + strings.Repeat("x", 17),
		"a deletion of an unknown kind":      "\x00\x01a\x00\x14\x12\x81\x01" + strings.Repeat("x", 17),
		"a promoted index too small for one": "\x00\x01a\x00\x01\x12",
		"a header below zero":                "\x00\x01a\x00\x20" + strings.Repeat("\xff", 9) + "\x80\x01" + strings.Repeat("x", 30),
	} {
		if got, err := readIndex(file, "oa"); err == nil {
			t.Errorf("%s gives %+v", what, got)
		}
	}
	for _, version := range []string{"da", "ea", "zz", ""} {
		if _, err := readIndex("", version); !errors.Is(err, ErrUnsupportedVersion) {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestSplitPromotedRefusesWhatDoesNotHoldTogether(t *testing.T) {
	const head = "\x07\x80"
	for what, file := range map[string]string{
		"nothing":                   "",
		"no block":                  head + "\x00",
		"no room for the starts":    head + "\x02" + "abcd\x00\x00\x00\x00",
		"a first block further on":  head + "\x01" + "abcdefgh\x00\x00\x00\x01",
		"an empty block":            head + "\x02" + "abcdefgh\x00\x00\x00\x00\x00\x00\x00\x00",
		"a block behind the others": head + "\x02" + "abcdefgh\x00\x00\x00\x00\x00\x00\x00\x09",
	} {
		if got, err := SplitPromoted([]byte(file), "oa"); err == nil {
			t.Errorf("%s gives %q", what, got)
		}
	}
	got, err := SplitPromoted([]byte(head+"\x02"+"abcdefgh\x00\x00\x00\x00\x00\x00\x00\x03"), "da")
	if diff := cmp.Diff([][]byte{[]byte("abc"), []byte("defgh")}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := SplitPromoted([]byte(head), "la"); !errors.Is(err, ErrUnsupportedVersion) {
		t.Errorf("2.2: %v", err)
	}
}

func FuzzIndex(f *testing.F) {
	for _, version := range []string{"nb", "oa"} {
		f.Add(version, readFile(f, version+"-wide-Index.db"))
	}
	f.Fuzz(func(t *testing.T, version string, file []byte) {
		x, err := NewIndexReader(bytes.NewReader(file), version)
		if err != nil {
			return
		}
		for n := int64(0); ; {
			e, err := x.Next()
			if err != nil {
				break
			}
			promoted, err := io.ReadAll(x.Promoted())
			if n += int64(2 + len(e.Key) + len(promoted)); n > int64(len(file)) {
				t.Fatalf("more bytes than the file has: %+v", e)
			}
			if err != nil || int64(len(promoted)) != e.PromotedSize {
				continue
			}
			if blocks, err := SplitPromoted(promoted, version); err == nil && len(blocks) != e.Blocks {
				t.Errorf("%d blocks of %d", len(blocks), e.Blocks)
			}
		}
	})
}
