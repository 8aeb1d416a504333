package node

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/gocql/gocql"
)

func native(t gocql.Type) gocql.TypeInfo { return gocql.NewNativeType(4, t, "") }

var (
	someTuple = gocql.TupleTypeInfo{NativeType: gocql.NewNativeType(4, gocql.TypeTuple, ""), Elems: []gocql.TypeInfo{native(gocql.TypeInt), native(gocql.TypeText)}}
	someUser  = gocql.UDTTypeInfo{NativeType: gocql.NewNativeType(4, gocql.TypeUDT, ""), Elements: []gocql.UDTField{
		{Name: "street", Type: native(gocql.TypeText)}, {Name: "code", Type: native(gocql.TypeInt)},
	}}
)

func collection(t gocql.Type, key, elem gocql.Type) gocql.TypeInfo {
	return gocql.CollectionType{NativeType: gocql.NewNativeType(4, t, ""), Key: native(key), Elem: native(elem)}
}

func TestValuesAreWrittenAsText(t *testing.T) {
	tests := []struct {
		what string
		info gocql.TypeInfo
		hex  string
		want string
	}{
		{"a text", native(gocql.TypeText), hex.EncodeToString([]byte("it's")), "it's"},
		{"an empty text", native(gocql.TypeVarchar), "", ""},
		{"an int", native(gocql.TypeInt), "ffffffff", "-1"},
		{"an int without bytes", native(gocql.TypeInt), "", ""},
		{"an int of three bytes", native(gocql.TypeInt), "010203", "0x010203"},
		{"a tinyint", native(gocql.TypeTinyInt), "80", "-128"},
		{"a bigint", native(gocql.TypeBigInt), "7fffffffffffffff", "9223372036854775807"},
		{"a counter", native(gocql.TypeCounter), "0000000000000007", "7"},
		{"a varint", native(gocql.TypeVarint), "ff00", "-256"},
		{"a decimal", native(gocql.TypeDecimal), "00000002" + "ff85", "-1.23"},
		{"a decimal below one", native(gocql.TypeDecimal), "00000004" + "7b", "0.0123"},
		{"a decimal with an exponent", native(gocql.TypeDecimal), "fffffffd" + "7b", "123E+3"},
		{"a decimal of a scale beyond use", native(gocql.TypeDecimal), "7fffffff" + "01", "1E-2147483647"},
		{"a decimal cut short", native(gocql.TypeDecimal), "0000", "0x0000"},
		{"a boolean", native(gocql.TypeBoolean), "01", "true"},
		{"a float", native(gocql.TypeFloat), "3dcccccd", "0.1"},
		{"a double", native(gocql.TypeDouble), "3fb999999999999a", "0.1"},
		{"a blob", native(gocql.TypeBlob), "00ff", "0x00ff"},
		{"an empty blob", native(gocql.TypeBlob), "", "0x"},
		{"a uuid", native(gocql.TypeUUID), "000102030405060708090a0b0c0d0e0f", "00010203-0405-0607-0809-0a0b0c0d0e0f"},
		{"an address", native(gocql.TypeInet), "7f000001", "127.0.0.1"},
		{"an address of five bytes", native(gocql.TypeInet), "7f00000101", "0x7f00000101"},
		{"a timestamp", native(gocql.TypeTimestamp), "0000018cc251f400", "2024-01-01T00:00:00.000Z"},
		{"a date", native(gocql.TypeDate), "80000001", "1970-01-02"},
		{"a time", native(gocql.TypeTime), "000000000000000b", "00:00:00.000000011"},
		{"a duration", native(gocql.TypeDuration), "020406", "1mo2d3ns"},
		{"a type of no name", gocql.NewNativeType(4, gocql.TypeCustom, "x"), "0102", "0x0102"},
		{"a list", collection(gocql.TypeList, 0, gocql.TypeInt), "00000002" + "00000004" + "00000001" + "ffffffff", "[1, null]"},
		{"a set of texts", collection(gocql.TypeSet, 0, gocql.TypeText), "00000001" + "00000003" + "612762", "{'a''b'}"},
		{"a map", collection(gocql.TypeMap, gocql.TypeText, gocql.TypeInt), "00000001" + "00000001" + "61" + "00000004" + "00000005", "{'a': 5}"},
		{"a map cut short", collection(gocql.TypeMap, gocql.TypeText, gocql.TypeInt), "00000001" + "00000001" + "61", "0x000000010000000161"},
		{"a list longer than its bytes", collection(gocql.TypeList, 0, gocql.TypeInt), "00000001" + "7fffffff", "0x000000017fffffff"},
		{"a tuple that has grown", someTuple, "00000004" + "00000001", "(1, null)"},
		{"a user type", someUser, "00000001" + "61" + "00000004" + "00000007", "{street: 'a', code: 7}"},
	}
	for _, tt := range tests {
		data, err := hex.DecodeString(tt.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := cqlText(tt.info, data, false); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
		if got := cqlText(tt.info, nil, true); got != "null" {
			t.Errorf("%s: null is %q", tt.what, got)
		}
	}
}

func FuzzValuesOfAnyBytesHaveAText(f *testing.F) {
	f.Add(uint8(gocql.TypeMap), []byte{0, 0, 0, 1, 0, 0, 0, 0})
	f.Add(uint8(gocql.TypeDecimal), []byte{0, 0, 0, 1, 5})
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		for _, info := range []gocql.TypeInfo{
			native(gocql.Type(kind)), someTuple, someUser, collection(gocql.TypeMap, gocql.Type(kind), gocql.TypeDecimal),
		} {
			if text := cqlText(info, data, true); len(text) > 2*maxScale+100*len(data)+100 {
				t.Errorf("%d bytes of text of %d", len(text), len(data))
			}
			if strings.Contains(cqlText(info, data, true), "%!") {
				t.Error("a text of no value")
			}
		}
	})
}
