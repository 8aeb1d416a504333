package prove

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/sstable/rows"
)

func unhex(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const marshal = "org.apache.cassandra.db.marshal."

func TestKeysAreSplitIntoTheirColumns(t *testing.T) {
	both := marshal + "CompositeType(" + marshal + "Int32Type," + marshal + "UTF8Type)"
	tests := []struct {
		what, class, key string
		parts            []string
		literal          string
	}{
		{"one column", marshal + "LongType", "ffffffffffffffff", []string{"ffffffffffffffff"}, "-1"},
		{"two columns", both, "0004 00000007 00" + "0003 612762 00", []string{"00000007", "612762"}, "7, 'a''b'"},
		{"an empty column", both, "0004 00000007 00" + "0000 00", []string{"00000007", ""}, "7, ''"},
		{"a uuid", marshal + "TimeUUIDType", "000102030405060708090a0b0c0d0e0f", []string{"000102030405060708090a0b0c0d0e0f"}, "00010203-0405-0607-0809-0a0b0c0d0e0f"},
		{"a text that a terminal would obey", marshal + "UTF8Type", "1b5b", []string{"1b5b"}, "0x1b5b"},
		{"bytes that are no text", marshal + "UTF8Type", "ff", []string{"ff"}, "0xff"},
		{"a type without numbers of its own", marshal + "DecimalType", "0102", []string{"0102"}, "0x0102"},
		{"an int of another length", marshal + "Int32Type", "0102", []string{"0102"}, "0x0102"},
		{"a long blob", marshal + "BytesType", strings.Repeat("ab", 100), []string{strings.Repeat("ab", 100)}, "0x" + strings.Repeat("ab", 80) + "..."},
	}
	for _, tt := range tests {
		parts, literal, err := splitKey(tt.class, unhex(t, tt.key))
		var got []string
		for _, p := range parts {
			got = append(got, hex.EncodeToString(p))
		}
		if diff := cmp.Diff(tt.parts, got); err != nil || diff != "" || literal != tt.literal {
			t.Errorf("%s: %s, error %v (-want +got):\n%s", tt.what, literal, err, diff)
		}
	}
	for _, key := range []string{"00", "0004 000000", "0004 00000007", "0004 00000007 00", "0001 61 00 0001 61 00 0001 61 00"} {
		if parts, _, err := splitKey(both, unhex(t, key)); !errors.Is(err, rows.ErrFormat) {
			t.Errorf("key %s: %x, error %v", key, parts, err)
		}
	}
	if _, _, err := splitKey("(", nil); err == nil {
		t.Error("a class of no name")
	}
}

func TestFewReasonsAreToldAndNoneTwice(t *testing.T) {
	var s Stats
	for i := range 20 {
		s.undecided(fmt.Errorf("reason %d", i/2))
	}
	if diff := cmp.Diff([]string{"reason 0", "reason 1", "reason 2"}, s.Reasons); s.Undecided != 20 || diff != "" {
		t.Errorf("%d undecided (-want +got):\n%s", s.Undecided, diff)
	}
}

func TestFewFailuresAndNotesAreTold(t *testing.T) {
	var r TableReport
	for i := range 50 {
		r.fail("failure %d", i)
		r.note("note %d", i)
	}
	if r.Failed != 50 || len(r.Failures) != maxNotes || len(r.Notes) != maxNotes {
		t.Errorf("%d failures, %d told, %d notes", r.Failed, len(r.Failures), len(r.Notes))
	}
}

func TestStreamsMeetAtTheFirstPartition(t *testing.T) {
	at := func(token int64, key string) *stream { return &stream{token: token, key: []byte(key)} }
	tests := []struct {
		what string
		open []*stream
		want []int // positions in open
	}{
		{"one", []*stream{at(5, "a")}, []int{0}},
		{"the lower token", []*stream{at(5, "a"), at(-5, "b")}, []int{1}},
		{"the same partition", []*stream{at(5, "a"), at(4, "b"), at(4, "b"), at(6, "c")}, []int{1, 2}},
		{"two keys of one token", []*stream{at(4, "b"), at(4, "a"), at(4, "b")}, []int{1}},
	}
	for _, tt := range tests {
		got := first(tt.open)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %d streams", tt.what, len(got))
			continue
		}
		for i, want := range tt.want {
			if got[i] != tt.open[want] {
				t.Errorf("%s: stream %d is another", tt.what, i)
			}
		}
	}
}

func TestLongAnswersAreCut(t *testing.T) {
	if got := rowText([]string{strings.Repeat("x", 1000)}); len(got) != maxText+3 {
		t.Errorf("%d bytes", len(got))
	}
	if got := rowText([]string{"a\x1b[31m", "b"}); got != "[a?[31m, b]" {
		t.Errorf("%q", got)
	}
}
