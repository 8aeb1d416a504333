package table

import (
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/sstable/rows"
)

func class(t *testing.T, name string) rows.Type {
	t.Helper()
	kind, err := rows.ParseType(name)
	if err != nil {
		t.Fatal(err)
	}
	return kind
}

// stored reads hexadecimal digits with blanks between.
func stored(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestValuesHaveTheirTypes(t *testing.T) {
	tests := []struct {
		class, stored string
		want          any
	}{
		{"UTF8Type", "c3a9", "é"},
		{"UTF8Type", "", ""},
		{"AsciiType", "61", "a"},
		{"BooleanType", "01", true},
		{"BooleanType", "", nil},
		{"ByteType", "ff", -1},
		{"ShortType", "8000", -32768},
		{"Int32Type", "fffffffe", -2},
		{"Int32Type", "", nil},
		{"LongType", "8000000000000000", int64(-1 << 63)},
		{"FloatType", "3f000000", 0.5},
		{"DoubleType", "bfe0000000000000", -0.5},
		{"TimestampType", "00000000000005dd", time.Unix(1, 501e6).UTC()},
		{"InetAddressType", "7f000001", net.IP{127, 0, 0, 1}},
		{"UUIDType", "00112233445566778899aabbccddeeff", [16]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}},
		{"BytesType", "", []byte{}},
		{"IntegerType", "00ff", []byte{0, 0xff}},
		{"ReversedType(UTF8Type)", "61", "a"},
		{"FrozenType(ListType(UTF8Type))", "00000002 00000001 61 00000000", []string{"a", ""}},
		{"FrozenType(ListType(UTF8Type))", "00000000", []string{}},
		{"FrozenType(SetType(Int32Type))", "00000001 00000004 00000007", []int{7}},
		{"FrozenType(MapType(UTF8Type,UTF8Type))", "00000001 00000001 61 00000001 62", map[string]string{"a": "b"}},
		{"FrozenType(MapType(UTF8Type,FrozenType(MapType(UTF8Type,BytesType))))", "00000001 00000001 61 0000000e 00000001 00000001 62 00000001 63",
			map[string]map[string][]byte{"a": {"b": []byte("c")}}},
	}
	for _, tt := range tests {
		got, err := decode(class(t, tt.class), stored(t, tt.stored))
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s of %q: %v (-want +got):\n%s", tt.class, tt.stored, err, diff)
		}
	}
}

func TestValuesOfAWrongLengthAreRefused(t *testing.T) {
	for _, tt := range []struct{ class, stored string }{
		{"Int32Type", "00"}, {"LongType", "00000000"}, {"UUIDType", "0011"}, {"InetAddressType", "7f0000"}, {"BooleanType", "0000"},
		{"ListType(UTF8Type)", ""}, {"ListType(UTF8Type)", "00000001"}, {"ListType(UTF8Type)", "7fffffff"}, {"ListType(UTF8Type)", "ffffffff"},
		{"ListType(UTF8Type)", "00000001 00000002 61"}, {"ListType(UTF8Type)", "00000001 ffffffff"}, {"ListType(UTF8Type)", "00000000 61"},
		{"ListType(Int32Type)", "00000001 00000001 61"}, {"MapType(UTF8Type,UTF8Type)", "00000001 00000001 61"},
		{"MapType(UTF8Type,Int32Type)", "00000001 00000001 61 00000001 61"},
	} {
		if got, err := decode(class(t, tt.class), stored(t, tt.stored)); !errors.Is(err, rows.ErrFormat) {
			t.Errorf("%s of %q is %v, %v", tt.class, tt.stored, got, err)
		}
	}
}

func TestValuesStandInCassandrasOrder(t *testing.T) {
	tests := []struct {
		class  string
		values []string // ascending
	}{
		{"UTF8Type", []string{"", "61", "6161", "62", "ff"}},
		{"Int32Type", []string{"", "80000000", "ffffffff", "00000000", "7fffffff"}},
		{"TimeType", []string{"0000000000000000", "0000000000000001"}},
		{"ReversedType(Int32Type)", []string{"00000001", "00000000", "ffffffff"}},
		{"BooleanType", []string{"00", "01"}},
		{"DoubleType", []string{"bff0000000000000", "0000000000000000", "3ff0000000000000"}},
		// Random UUIDs come behind those of a time, which go by it.
		{"UUIDType", []string{"ffffffff000010008000000000000000", "00000000000110008000000000000000", "00000000000110009000000000000000", "00000000000040008000000000000000"}},
		{"TimeUUIDType", []string{"ffffffff000010008000000000000000", "00000000000110008000000000000000", "00000000000110000000000000000000"}},
		{"FrozenType(ListType(UTF8Type))", []string{"00000000", "00000001 00000001 61", "00000002 00000001 61 00000001 61", "00000001 00000001 62"}},
	}
	for _, tt := range tests {
		kind := class(t, tt.class)
		for i, a := range tt.values {
			for j, b := range tt.values {
				n, err := compare(kind, stored(t, a), stored(t, b))
				if err != nil || (n < 0) != (i < j) || (n > 0) != (i > j) {
					t.Errorf("%s: %q against %q: %d, %v", tt.class, a, b, n, err)
				}
			}
		}
	}
}

func TestNullStandsBeforeWhatIsEmpty(t *testing.T) {
	kind := class(t, "UTF8Type")
	for _, tt := range []struct {
		a, b []byte
		want int
	}{{nil, []byte{}, -1}, {[]byte{}, nil, 1}, {nil, nil, 0}, {nil, []byte("a"), -1}} {
		if n, err := compare(kind, tt.a, tt.b); n != tt.want || err != nil {
			t.Errorf("%v against %v: %d, %v", tt.a, tt.b, n, err)
		}
	}
}

func TestAnOrderThatIsNotKnownIsNotGuessed(t *testing.T) {
	for _, name := range []string{"DecimalType", "TupleType(UTF8Type,UTF8Type)", "DurationType"} {
		kind := class(t, name)
		if _, err := compare(kind, []byte("a"), []byte("b")); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
		if n, err := compare(kind, []byte("a"), []byte("a")); n != 0 || err != nil {
			t.Errorf("%s: equal values: %d, %v", name, n, err)
		}
	}
}

func TestAPartitionKeyOfSeveralColumnsIsSplit(t *testing.T) {
	tab := New(Keys{Partition: []string{"a", "b"}}, time.Unix(0, 0), false)
	tab.key = []rows.Type{class(t, "UTF8Type"), class(t, "Int32Type")}
	got, err := tab.keyValues(stored(t, "0001 61 00 0004 00000007 00"))
	if diff := cmp.Diff(Row{"a": "a", "b": 7}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, damaged := range []string{"", "0001 61", "0001 61 00", "0001 61 00 0004 00000007", "0001 61 00 0004 00000007 00 00"} {
		if got, err := tab.keyValues(stored(t, damaged)); !errors.Is(err, rows.ErrFormat) {
			t.Errorf("%q is %v, %v", damaged, got, err)
		}
	}
}
