package table

import (
	"bytes"
	"cmp"
	"fmt"

	"cbk/cassandra/sstable/rows"
)

// within tells whether a clustering lies in a range.
func (t *Table) within(s span, clustering [][]byte) (bool, error) {
	from, err := t.side(clustering, s.from)
	if err != nil || from < 0 {
		return false, err
	}
	to, err := t.side(clustering, s.to)
	return to < 0, err
}

// side is negative where a clustering lies before a bound, and positive behind it.
func (t *Table) side(clustering [][]byte, b bound) (int, error) {
	for i, v := range b.values {
		n, err := compare(t.clustering[i], clustering[i], v)
		if err != nil || n != 0 {
			return n, err
		}
	}
	if b.after {
		return -1, nil
	}
	return 1, nil
}

// Classes by how Cassandra puts their values in order.
var (
	byBytes = map[string]bool{
		"AsciiType": true, "BooleanType": true, "BytesType": true, "InetAddressType": true, "SimpleDateType": true,
		"LexicalUUIDType": true, "UTF8Type": true,
	}
	bySign = map[string]bool{
		"ByteType": true, "ShortType": true, "Int32Type": true, "LongType": true, "TimestampType": true, "TimeType": true,
	}
)

// compare puts two stored values in the order of their type. Null comes first, then what is empty. Types whose order is
// not known give [ErrUnsupported], but for equal values.
func compare(kind rows.Type, a, b []byte) (int, error) {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(there(a), there(b)), nil
	case bytes.Equal(a, b):
		return 0, nil
	}
	switch {
	case kind.Class == "ReversedType" && len(kind.Params) == 1:
		n, err := compare(kind.Params[0], a, b)
		return -n, err
	case kind.Class == "FrozenType" && len(kind.Params) == 1:
		return compare(kind.Params[0], a, b)
	case byBytes[kind.Class]:
		return bytes.Compare(a, b), nil
	case isList(kind):
		return compareLists(kind.Params[0], a, b)
	}
	s, known := scalars[kind.Class]
	length := s.length
	if kind.Class == "TimeType" {
		known, length = true, 8
	}
	switch {
	case !known:
		return 0, fmt.Errorf("order of class %s: %w", kind.Class, ErrUnsupported)
	case len(a) == 0 || len(b) == 0:
		return cmp.Compare(len(a), len(b)), nil
	case len(a) != length || len(b) != length:
		return 0, fmt.Errorf("%d and %d bytes of class %s: %w", len(a), len(b), kind.Class, rows.ErrFormat)
	case bySign[kind.Class]:
		return compareSigned(a, b), nil
	}
	return compareOther(kind, a, b)
}

func there(b []byte) int {
	if b == nil {
		return 0
	}
	return 1
}

// compareSigned puts big-endian numbers of the same length in order: of the bytes, the first has the sign.
func compareSigned(a, b []byte) int {
	return cmp.Or(cmp.Compare(int8(a[0]), int8(b[0])), bytes.Compare(a, b))
}

func compareOther(kind rows.Type, a, b []byte) (int, error) {
	switch kind.Class {
	case "UUIDType":
		return compareUUIDs(a, b), nil
	case "TimeUUIDType", "LegacyTimeUUIDType":
		return compareTimeUUIDs(a, b), nil
	case "FloatType", "DoubleType":
		return cmp.Compare(scalars[kind.Class].decode(a).(float64), scalars[kind.Class].decode(b).(float64)), nil
	}
	return 0, fmt.Errorf("order of class %s: %w", kind.Class, ErrUnsupported)
}

// compareUUIDs goes by version, then by time where they have one, then by bytes (UUIDType.compareCustom).
func compareUUIDs(a, b []byte) int {
	version := cmp.Compare(a[6]>>4, b[6]>>4)
	if version == 0 && a[6]>>4 == 1 {
		return cmp.Or(cmp.Compare(uuidTime(a), uuidTime(b)), bytes.Compare(a[8:], b[8:]))
	}
	return cmp.Or(version, bytes.Compare(a, b))
}

// compareTimeUUIDs goes by time, then by the other bytes, which count as signed (TimeUUIDType.compareCustom).
func compareTimeUUIDs(a, b []byte) int {
	n := cmp.Compare(uuidTime(a), uuidTime(b))
	for i := 8; i < 16 && n == 0; i++ {
		n = cmp.Compare(int8(a[i]), int8(b[i]))
	}
	return n
}

// uuidTime is the 60 bits of the time in a UUID of version 1: time low 4, mid 2, version and high 2.
func uuidTime(b []byte) uint64 {
	return uint64(bigEndian.Uint16(b[6:])&0x0fff)<<48 | uint64(bigEndian.Uint16(b[4:]))<<32 | uint64(bigEndian.Uint32(b))
}

func compareLists(kind rows.Type, a, b []byte) (int, error) {
	as, err := elements(a, 1)
	if err != nil {
		return 0, err
	}
	bs, err := elements(b, 1)
	if err != nil {
		return 0, err
	}
	for i := range min(len(as), len(bs)) {
		if n, err := compare(kind, as[i], bs[i]); err != nil || n != 0 {
			return n, err
		}
	}
	return cmp.Compare(len(as), len(bs)), nil
}
