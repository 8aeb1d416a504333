package table

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"reflect"
	"slices"
	"time"

	"cbk/cassandra/sstable/rows"
)

// scalar is a type whose values have a fixed number of bytes, or any number where there is none.
type scalar struct {
	length int
	goType reflect.Type
	decode func(b []byte) any
}

var bigEndian = binary.BigEndian

func timestamp(b []byte) any { return time.UnixMilli(int64(bigEndian.Uint64(b))).UTC() }
func text(b []byte) any      { return string(b) }
func uuid(b []byte) any      { return [16]byte(b) }

// scalars are the classes whose values are more than their bytes.
var scalars = map[string]scalar{
	"UTF8Type":           {0, reflect.TypeFor[string](), text},
	"AsciiType":          {0, reflect.TypeFor[string](), text},
	"BooleanType":        {1, reflect.TypeFor[bool](), func(b []byte) any { return b[0] != 0 }},
	"ByteType":           {1, reflect.TypeFor[int](), func(b []byte) any { return int(int8(b[0])) }},
	"ShortType":          {2, reflect.TypeFor[int](), func(b []byte) any { return int(int16(bigEndian.Uint16(b))) }},
	"Int32Type":          {4, reflect.TypeFor[int](), func(b []byte) any { return int(int32(bigEndian.Uint32(b))) }},
	"LongType":           {8, reflect.TypeFor[int64](), func(b []byte) any { return int64(bigEndian.Uint64(b)) }},
	"FloatType":          {4, reflect.TypeFor[float64](), func(b []byte) any { return float64(math.Float32frombits(bigEndian.Uint32(b))) }},
	"DoubleType":         {8, reflect.TypeFor[float64](), func(b []byte) any { return math.Float64frombits(bigEndian.Uint64(b)) }},
	"TimestampType":      {8, reflect.TypeFor[time.Time](), timestamp},
	"DateType":           {8, reflect.TypeFor[time.Time](), timestamp},
	"UUIDType":           {16, reflect.TypeFor[[16]byte](), uuid},
	"TimeUUIDType":       {16, reflect.TypeFor[[16]byte](), uuid},
	"LegacyTimeUUIDType": {16, reflect.TypeFor[[16]byte](), uuid},
	"LexicalUUIDType":    {16, reflect.TypeFor[[16]byte](), uuid},
	"InetAddressType":    {0, reflect.TypeFor[net.IP](), func(b []byte) any { return net.IP(slices.Clone(b)) }},
}

// unwrap takes off what changes the order or the shape of a type but not its values.
func unwrap(kind rows.Type) rows.Type {
	for (kind.Class == "ReversedType" || kind.Class == "FrozenType") && len(kind.Params) == 1 {
		kind = kind.Params[0]
	}
	return kind
}

// isList and isMap tell the collections.
func isList(kind rows.Type) bool {
	return (kind.Class == "ListType" || kind.Class == "SetType") && len(kind.Params) == 1
}

func isMap(kind rows.Type) bool { return kind.Class == "MapType" && len(kind.Params) == 2 }

// goType is the type of the values that decode gives.
func goType(kind rows.Type) reflect.Type {
	kind = unwrap(kind)
	s, known := scalars[kind.Class]
	switch {
	case known:
		return s.goType
	case isList(kind):
		return reflect.SliceOf(goType(kind.Params[0]))
	case isMap(kind):
		return reflect.MapOf(reflect.TypeFor[string](), goType(kind.Params[1]))
	}
	return reflect.TypeFor[[]byte]()
}

// decode returns a value as Row tells, nil for null. Types other than text take no bytes for null.
func decode(kind rows.Type, b []byte) (any, error) {
	kind = unwrap(kind)
	s, known := scalars[kind.Class]
	switch {
	case b == nil:
		return nil, nil
	case known && s.goType.Kind() == reflect.String:
		return s.decode(b), nil
	case known && len(b) == 0:
		return nil, nil
	case kind.Class == "InetAddressType" && len(b) != net.IPv4len && len(b) != net.IPv6len,
		known && s.length > 0 && len(b) != s.length:
		return nil, fmt.Errorf("%d bytes of class %s: %w", len(b), kind.Class, rows.ErrFormat)
	case known:
		return s.decode(b), nil
	case isList(kind):
		return decodeList(kind, b)
	case isMap(kind):
		return decodeMap(kind, b)
	}
	return append([]byte{}, b...), nil
}

// elements splits a frozen collection: int32 n · n times as many values, each behind an int32 with its length.
func elements(b []byte, each int) ([][]byte, error) {
	damaged := fmt.Errorf("frozen collection: %w", rows.ErrFormat)
	if len(b) < 4 {
		return nil, damaged
	}
	n := uint64(bigEndian.Uint32(b)) * uint64(each)
	b = b[4:]
	if n > uint64(len(b)/4) {
		return nil, damaged
	}
	all := make([][]byte, n)
	for i := range all {
		if len(b) < 4 || uint64(bigEndian.Uint32(b)) > uint64(len(b)-4) {
			return nil, damaged
		}
		end := 4 + int(bigEndian.Uint32(b))
		all[i], b = b[4:end:end], b[end:]
	}
	if len(b) > 0 {
		return nil, damaged
	}
	return all, nil
}

func decodeList(kind rows.Type, b []byte) (any, error) {
	all, err := elements(b, 1)
	if err != nil {
		return nil, err
	}
	return list(kind, all)
}

// list makes a slice of stored values.
func list(kind rows.Type, stored [][]byte) (any, error) {
	of := goType(kind)
	out := reflect.MakeSlice(of, len(stored), len(stored))
	for i, b := range stored {
		v, err := element(kind.Params[0], of.Elem(), b)
		if err != nil {
			return nil, err
		}
		out.Index(i).Set(v)
	}
	return out.Interface(), nil
}

func decodeMap(kind rows.Type, b []byte) (any, error) {
	all, err := elements(b, 2)
	if err != nil {
		return nil, err
	}
	of := goType(kind)
	out := reflect.MakeMap(of)
	for i := 0; i < len(all); i += 2 {
		v, err := element(kind.Params[1], of.Elem(), all[i+1])
		if err != nil {
			return nil, err
		}
		out.SetMapIndex(reflect.ValueOf(string(all[i])), v)
	}
	return out.Interface(), nil
}

// element decodes a value inside of a collection, where null is the zero value.
func element(kind rows.Type, of reflect.Type, b []byte) (reflect.Value, error) {
	v, err := decode(kind, b)
	if err != nil || v == nil {
		return reflect.Zero(of), err
	}
	return reflect.ValueOf(v), nil
}

// collection makes a value of the cells of a complex column, nil where none is live.
func (c *column) collection(active rows.DeletionTime, now int64) (any, error) {
	var paths []string
	for path, one := range c.cells {
		if one.live(active, now) {
			paths = append(paths, path)
		}
	}
	switch {
	case len(paths) == 0:
		return nil, nil
	case isMap(c.kind):
		return c.pairs(paths)
	case isList(c.kind):
		return c.entries(paths)
	}
	return nil, fmt.Errorf("cells of class %s: %w", c.kind.Class, ErrUnsupported)
}

func (c *column) pairs(paths []string) (any, error) {
	of := goType(c.kind)
	out := reflect.MakeMap(of)
	for _, path := range paths {
		v, err := element(c.kind.Params[1], of.Elem(), c.cells[path].value)
		if err != nil {
			return nil, err
		}
		out.SetMapIndex(reflect.ValueOf(path), v)
	}
	return out.Interface(), nil
}

// entries puts the entries of a list, whose paths are time UUIDs, or of a set, which are its paths, in order.
func (c *column) entries(paths []string) (any, error) {
	order := rows.Type{Class: "TimeUUIDType"}
	if c.kind.Class == "SetType" {
		order = c.kind.Params[0]
	}
	var bad error
	slices.SortFunc(paths, func(a, b string) int {
		n, err := compare(order, []byte(a), []byte(b))
		if err != nil {
			bad = err
		}
		return n
	})
	if bad != nil {
		return nil, bad
	}
	stored := make([][]byte, len(paths))
	for i, path := range paths {
		stored[i] = []byte(path)
		if c.kind.Class == "ListType" {
			stored[i] = c.cells[path].value
		}
	}
	return list(c.kind, stored)
}
