package rows

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// jsonValue prints a stored value as sstabledump's JSON does: strings, json.Number,
// bool, nil, []any, map[string]any, and float32 and float64, which are to be compared
// as numbers. A type it does not know is an error.
func jsonValue(t Type, b []byte) (any, error) {
	if b == nil {
		return nil, nil
	}
	switch t.Class {
	case "ReversedType", "FrozenType", "PartitionerDefinedOrder":
		return jsonValue(t.Params[0], b)
	case "ListType", "SetType":
		return jsonList(t, b)
	case "MapType":
		return jsonMap(t, b)
	case "TupleType":
		return jsonTuple(t, b)
	case "UserType":
		return jsonUser(t, b)
	case "VectorType":
		return jsonVector(t, b)
	}
	if n, fixed := fixedLengths[t.Class]; !fixed || n > 0 && len(b) != n && len(b) != 0 {
		return nil, fmt.Errorf("value of %d bytes of type %v", len(b), t)
	}
	return jsonScalar(t.Class, b)
}

func jsonScalar(class string, b []byte) (any, error) {
	switch class {
	case "BytesType":
		return "0x" + hex.EncodeToString(b), nil
	case "EmptyType":
		return "", nil
	case "AsciiType", "UTF8Type":
		return string(b), nil
	}
	if len(b) == 0 {
		return "", nil
	}
	switch class {
	case "BooleanType":
		return b[0] != 0, nil
	case "FloatType":
		return notNaN(float64(math.Float32frombits(binary.BigEndian.Uint32(b))), 32), nil
	case "DoubleType":
		return notNaN(math.Float64frombits(binary.BigEndian.Uint64(b)), 64), nil
	case "CounterColumnType":
		// sstabledump takes the first bytes of the context for a number.
		b = b[:8]
		fallthrough
	case "ByteType", "ShortType", "Int32Type", "LongType", "IntegerType":
		return json.Number(signed(b).String()), nil
	case "DecimalType":
		return decimalText(b)
	}
	return scalarText(class, b)
}

func notNaN(v float64, bits int) any {
	switch {
	case math.IsNaN(v), math.IsInf(v, 0):
		return nil
	case bits == 32:
		return float32(v)
	}
	return v
}

func signed(b []byte) *big.Int {
	v := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v
}

// decimalText is BigDecimal.toString for scales that need no exponent.
func decimalText(b []byte) (any, error) {
	scale, digits := int(int32(binary.BigEndian.Uint32(b))), signed(b[4:]).String()
	if scale == 0 {
		return json.Number(digits), nil
	}
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	if exponent := len(digits) - 1 - scale; scale < 0 || exponent < -6 {
		if len(digits) > 1 {
			digits = digits[:1] + "." + digits[1:]
		}
		return json.Number(fmt.Sprintf("%s%sE%+d", sign, digits, exponent)), nil
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale+1-len(digits)) + digits
	}
	return json.Number(sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]), nil
}

func scalarText(class string, b []byte) (any, error) {
	switch class {
	case "UUIDType", "TimeUUIDType", "LexicalUUIDType", "LegacyTimeUUIDType":
		h := hex.EncodeToString(b)
		return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
	case "TimestampType", "DateType":
		ms := int64(binary.BigEndian.Uint64(b))
		return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000Z"), nil
	case "SimpleDateType":
		days := int64(binary.BigEndian.Uint32(b)) - 1<<31
		return time.Unix(days*86400, 0).UTC().Format(time.DateOnly), nil
	case "TimeType":
		return time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC().Format("15:04:05.000000000"), nil
	case "InetAddressType":
		return inetText(b)
	case "DurationType":
		return durationText(b)
	}
	return nil, fmt.Errorf("type %q is not known to this test", class)
}

// inetText is InetAddress.getHostAddress, which does not shorten zeros.
func inetText(b []byte) (any, error) {
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return nil, fmt.Errorf("address of %d bytes", len(b))
	}
	if a.Is4() {
		return a.String(), nil
	}
	var groups []string
	for i := 0; i < len(b); i += 2 {
		groups = append(groups, strconv.FormatUint(uint64(binary.BigEndian.Uint16(b[i:])), 16))
	}
	return strings.Join(groups, ":"), nil
}

// durationText prints three zig-zag vints: months, days and nanoseconds.
func durationText(b []byte) (any, error) {
	c := cursor{b: b}
	var v [3]int64
	for i := range v {
		u := c.vint()
		v[i] = int64(u>>1) ^ -int64(u&1)
	}
	if c.failed() || c.i != len(b) {
		return nil, fmt.Errorf("duration %x", b)
	}
	s := ""
	if v[0] < 0 || v[1] < 0 || v[2] < 0 {
		s, v = "-", [3]int64{-v[0], -v[1], -v[2]}
	}
	add := func(n *int64, unit int64, name string) {
		if *n >= unit {
			s += strconv.FormatInt(*n/unit, 10) + name
			*n %= unit
		}
	}
	add(&v[0], 12, "y")
	add(&v[0], 1, "mo")
	add(&v[1], 1, "d")
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}, {1, "ns"}} {
		add(&v[2], int64(u.unit), u.name)
	}
	return s, nil
}

// element reads a value of a frozen collection: a length of 4 bytes, negative for null.
func element(c *cursor) []byte {
	b := c.bytes(4)
	if b == nil {
		return nil
	}
	if n := int32(binary.BigEndian.Uint32(b)); n >= 0 {
		return c.bytes(int(n))
	}
	return nil
}

func collectionSize(c *cursor) int {
	if b := c.bytes(4); b != nil {
		return int(binary.BigEndian.Uint32(b))
	}
	return 0
}

func jsonList(t Type, b []byte) (any, error) {
	c := &cursor{b: b}
	list := []any{}
	for range collectionSize(c) {
		v, err := jsonValue(t.Params[0], element(c))
		if err != nil || c.failed() {
			return nil, fmt.Errorf("element of %v: %v", t, err)
		}
		list = append(list, v)
	}
	return list, nil
}

func jsonMap(t Type, b []byte) (any, error) {
	c := &cursor{b: b}
	m := map[string]any{}
	for range collectionSize(c) {
		k, err := jsonValue(t.Params[0], element(c))
		if err != nil {
			return nil, err
		}
		v, err := jsonValue(t.Params[1], element(c))
		if err != nil || c.failed() {
			return nil, fmt.Errorf("entry of %v: %v", t, err)
		}
		switch k.(type) {
		case string, json.Number, bool:
			m[fmt.Sprint(k)] = v
		default:
			return nil, fmt.Errorf("key %v of a map", k)
		}
	}
	return m, nil
}

func jsonTuple(t Type, b []byte) (any, error) {
	c := &cursor{b: b}
	list := []any{}
	for _, p := range t.Params {
		v, err := jsonValue(p, element(c))
		if err != nil || c.bad != "" {
			return nil, fmt.Errorf("field of %v: %v", t, err)
		}
		list = append(list, v)
	}
	return list, nil
}

func fieldName(p Type) string {
	name, _ := hex.DecodeString(p.Label)
	return string(name)
}

func jsonUser(t Type, b []byte) (any, error) {
	c := &cursor{b: b}
	m := map[string]any{}
	for _, p := range t.Params[2:] {
		v, err := jsonValue(p, element(c))
		if err != nil || c.bad != "" {
			return nil, fmt.Errorf("field of %v: %v", t, err)
		}
		m[fieldName(p)] = v
	}
	return m, nil
}

func jsonVector(t Type, b []byte) (any, error) {
	n, err := strconv.Atoi(t.Params[1].Class)
	if err != nil {
		return nil, err
	}
	length, err := t.Params[0].FixedLength()
	if err != nil {
		return nil, err
	}
	c := &cursor{b: b}
	list := []any{}
	for range n {
		v, err := jsonValue(t.Params[0], c.value(length))
		if err != nil || c.failed() {
			return nil, fmt.Errorf("element of %v: %v", t, err)
		}
		list = append(list, v)
	}
	return list, nil
}

// keyText prints a value as AbstractType.getString does, which is what sstabledump uses
// for partition keys and cell paths.
func keyText(t Type, b []byte) (string, error) {
	switch t.Class {
	case "FrozenType", "ReversedType":
		return keyText(t.Params[0], b)
	case "BytesType", "ListType", "SetType", "MapType":
		return hex.EncodeToString(b), nil
	case "TimestampType":
		v, err := jsonValue(t, b)
		return strings.Replace(fmt.Sprint(v), " ", "T", 1), err
	case "TupleType", "UserType", "VectorType", "FloatType", "DoubleType":
		return "", fmt.Errorf("key of type %q is not known to this test", t.Class)
	}
	v, err := jsonValue(t, b)
	return fmt.Sprint(v), err
}

// sameJSON compares what jsonValue made with what the JSON decoder found.
func sameJSON(mine, dump any) bool {
	switch m := mine.(type) {
	case float32:
		n, ok := dump.(json.Number)
		f, err := strconv.ParseFloat(string(n), 32)
		return ok && err == nil && float32(f) == m
	case float64:
		n, ok := dump.(json.Number)
		f, err := strconv.ParseFloat(string(n), 64)
		return ok && err == nil && f == m
	case []any:
		d, ok := dump.([]any)
		same := ok && len(d) == len(m)
		for i := 0; same && i < len(m); i++ {
			same = sameJSON(m[i], d[i])
		}
		return same
	case map[string]any:
		d, ok := dump.(map[string]any)
		same := ok && len(d) == len(m)
		for k, v := range m {
			same = same && sameJSON(v, d[k])
		}
		return same
	}
	return reflect.DeepEqual(mine, dump)
}
