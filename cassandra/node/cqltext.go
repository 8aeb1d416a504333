package node

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// textsFor are the places to scan a row into. The driver gives a tuple element by element.
func textsFor(columns []gocql.ColumnInfo) []any {
	var all []any
	for _, c := range columns {
		t, tuple := c.TypeInfo.(gocql.TupleTypeInfo)
		if !tuple {
			all = append(all, &textOf{})
			continue
		}
		for range t.Elems {
			all = append(all, &textOf{nested: true})
		}
	}
	return all
}

// rowText is the row that was scanned, its tuples put together again.
func rowText(columns []gocql.ColumnInfo, all []any) []string {
	row := make([]string, len(columns))
	for i, c := range columns {
		n := 1
		if t, tuple := c.TypeInfo.(gocql.TupleTypeInfo); tuple {
			n = len(t.Elems)
		}
		var texts []string
		for _, v := range all[:n] {
			texts = append(texts, v.(*textOf).text)
		}
		all = all[n:]
		row[i] = strings.Join(texts, ", ")
		if _, tuple := c.TypeInfo.(gocql.TupleTypeInfo); tuple {
			row[i] = "(" + row[i] + ")"
		}
	}
	return row
}

// textOf takes a value that may stand inside of another.
type textOf struct {
	nested bool
	text   string
}

// UnmarshalCQL implements gocql.Unmarshaler.
func (e *textOf) UnmarshalCQL(info gocql.TypeInfo, data []byte) error {
	e.text = cqlText(info, data, e.nested)
	return nil
}

// cqlText is a value as [Node.Select] tells. What is not of its type's length is told by its bytes.
func cqlText(info gocql.TypeInfo, data []byte, nested bool) string {
	if data == nil {
		return "null"
	}
	switch t := info.(type) {
	case gocql.CollectionType:
		return collectionText(t, data)
	case gocql.TupleTypeInfo:
		return "(" + strings.Join(fieldTexts(t.Elems, data), ", ") + ")"
	case gocql.UDTTypeInfo:
		return udtText(t, data)
	}
	text, quoted := nativeText(info.Type(), data)
	if nested && quoted {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return text
}

// fixedSizes are the bytes of values of one length.
var fixedSizes = map[gocql.Type]int{
	gocql.TypeBoolean: 1, gocql.TypeTinyInt: 1, gocql.TypeSmallInt: 2, gocql.TypeInt: 4, gocql.TypeFloat: 4, gocql.TypeDate: 4,
	gocql.TypeBigInt: 8, gocql.TypeCounter: 8, gocql.TypeDouble: 8, gocql.TypeTimestamp: 8, gocql.TypeTime: 8,
	gocql.TypeUUID: 16, gocql.TypeTimeUUID: 16,
}

// nativeText is the text of a value of a type without parameters, and whether CQL would quote it.
func nativeText(t gocql.Type, data []byte) (text string, quoted bool) {
	switch t {
	case gocql.TypeVarchar, gocql.TypeText, gocql.TypeAscii:
		return string(data), true
	}
	if size, fixed := fixedSizes[t]; len(data) == 0 && t != gocql.TypeBlob {
		return "", false
	} else if fixed && len(data) != size {
		return fmt.Sprintf("0x%x", data), false
	}
	switch t {
	case gocql.TypeTimestamp, gocql.TypeDate, gocql.TypeTime:
		return timeText(t, data), true
	case gocql.TypeInet:
		if len(data) == net.IPv4len || len(data) == net.IPv6len {
			return net.IP(data).String(), true
		}
	}
	return plainText(t, data), false
}

// plainText is the text of what CQL never quotes. Unknown types are their bytes.
func plainText(t gocql.Type, data []byte) string {
	switch t {
	case gocql.TypeBoolean:
		return strconv.FormatBool(data[0] != 0)
	case gocql.TypeTinyInt, gocql.TypeSmallInt, gocql.TypeInt, gocql.TypeBigInt, gocql.TypeCounter, gocql.TypeVarint:
		return signed(data).String()
	case gocql.TypeFloat, gocql.TypeDouble:
		return floatText(t, data)
	case gocql.TypeDecimal:
		if len(data) > 4 {
			return decimalText(data)
		}
	case gocql.TypeUUID, gocql.TypeTimeUUID:
		return fmt.Sprintf("%x-%x-%x-%x-%x", data[:4], data[4:6], data[6:8], data[8:10], data[10:])
	case gocql.TypeDuration:
		var d gocql.Duration
		if gocql.Unmarshal(gocql.NewNativeType(4, t, ""), data, &d) == nil {
			return fmt.Sprintf("%dmo%dd%dns", d.Months, d.Days, d.Nanoseconds)
		}
	}
	return fmt.Sprintf("0x%x", data)
}

// signed is a big-endian number in two's complement of any length.
func signed(b []byte) *big.Int {
	v := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v
}

func floatText(t gocql.Type, data []byte) string {
	if t == gocql.TypeFloat {
		var f float32
		if gocql.Unmarshal(gocql.NewNativeType(4, t, ""), data, &f) == nil {
			return strconv.FormatFloat(float64(f), 'g', -1, 32)
		}
	}
	var f float64
	if gocql.Unmarshal(gocql.NewNativeType(4, t, ""), data, &f) == nil {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return fmt.Sprintf("0x%x", data)
}

// maxScale is the most digits behind the point that are written out; beyond them, and for a negative scale, an exponent is.
const maxScale = 1000

// decimalText is int32 scale · the number without its point.
func decimalText(data []byte) string {
	scale, v := int(int32(binary.BigEndian.Uint32(data))), signed(data[4:])
	switch {
	case scale == 0:
		return v.String()
	case scale < 0 || scale > maxScale:
		return fmt.Sprintf("%sE%+d", v, -scale)
	}
	digits := new(big.Int).Abs(v).String()
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	sign := ""
	if v.Sign() < 0 {
		sign = "-"
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

// timeText is a time of day, a day, or a moment with milliseconds.
func timeText(t gocql.Type, data []byte) string {
	switch t {
	case gocql.TypeDate: // days, 1970 in the middle
		return time.Unix((int64(binary.BigEndian.Uint32(data))-1<<31)*86400, 0).UTC().Format(time.DateOnly)
	case gocql.TypeTime: // nanoseconds since midnight
		return time.Unix(0, int64(binary.BigEndian.Uint64(data))).UTC().Format("15:04:05.000000000")
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(data))).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// next splits a value off a sequence of them, each behind an int32 of its length, which is negative for null.
func next(data []byte) (value, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	n := int(int32(binary.BigEndian.Uint32(data)))
	if data = data[4:]; n < 0 {
		return nil, data, true
	}
	if n > len(data) {
		return nil, nil, false
	}
	return data[:n:n], data[n:], true
}

// collectionText reads int32 n · values, of a map keys and values in turns.
func collectionText(t gocql.CollectionType, data []byte) string {
	if len(data) < 4 {
		return fmt.Sprintf("0x%x", data)
	}
	var texts []string
	for rest := data[4:]; len(rest) > 0; {
		key, after, ok := next(rest)
		value := key
		if ok && t.Type() == gocql.TypeMap {
			value, after, ok = next(after)
		}
		if !ok {
			return fmt.Sprintf("0x%x", data)
		}
		text := cqlText(t.Elem, value, true)
		if t.Type() == gocql.TypeMap {
			text = cqlText(t.Key, key, true) + ": " + text
		}
		texts, rest = append(texts, text), after
	}
	if t.Type() == gocql.TypeList {
		return "[" + strings.Join(texts, ", ") + "]"
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

// fieldTexts are the fields of a tuple. Those behind the end are null: a type may have grown.
func fieldTexts(types []gocql.TypeInfo, data []byte) []string {
	var texts []string
	for _, t := range types {
		value, rest, _ := next(data)
		texts, data = append(texts, cqlText(t, value, true)), rest
	}
	return texts
}

func udtText(t gocql.UDTTypeInfo, data []byte) string {
	var types []gocql.TypeInfo
	for _, e := range t.Elements {
		types = append(types, e.Type)
	}
	texts := fieldTexts(types, data)
	for i, e := range t.Elements {
		texts[i] = e.Name + ": " + texts[i]
	}
	return "{" + strings.Join(texts, ", ") + "}"
}
