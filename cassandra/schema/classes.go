package schema

import (
	"encoding/hex"
	"errors"
	"strings"
)

// errResource tells that no statement names a resource.
var errResource = errors.New("resource of an unknown kind")

// maxClassDepth bounds how deep types lie in each other in the name of a class.
const maxClassDepth = 64

// nativeClasses are the types that Cassandra's classes of values are of.
var nativeClasses = map[string]string{
	"AsciiType": "ascii", "LongType": "bigint", "BytesType": "blob", "BooleanType": "boolean", "CounterColumnType": "counter",
	"SimpleDateType": "date", "DecimalType": "decimal", "DoubleType": "double", "DurationType": "duration", "FloatType": "float",
	"InetAddressType": "inet", "Int32Type": "int", "ShortType": "smallint", "UTF8Type": "text", "TimeType": "time",
	"TimestampType": "timestamp", "TimeUUIDType": "timeuuid", "ByteType": "tinyint", "UUIDType": "uuid", "IntegerType": "varint",
}

// typeOfClass translates a type's class, as org.apache.cassandra.db.marshal.ListType(org...Int32Type), to list<int>.
func typeOfClass(class string) (string, error) {
	p := classParser{rest: class}
	t, err := p.read(0)
	if err == nil && p.rest != "" {
		err = errResource
	}
	return t, err
}

// classParser reads the name of a class from its beginning.
type classParser struct{ rest string }

func (p *classParser) read(depth int) (string, error) {
	if depth > maxClassDepth {
		return "", errResource
	}
	end := strings.IndexAny(p.rest, "(), ")
	if end < 0 {
		end = len(p.rest)
	}
	name := strings.TrimPrefix(p.rest[:end], "org.apache.cassandra.db.marshal.")
	p.rest = p.rest[end:]
	if !strings.HasPrefix(p.rest, "(") {
		if native, ok := nativeClasses[name]; ok {
			return native, nil
		}
		return "", errResource
	}
	p.rest = p.rest[1:]
	switch name {
	case "UserType":
		return p.userType(depth)
	case "VectorType":
		return p.vector(depth)
	}
	inner, err := p.list(depth)
	if err != nil {
		return "", err
	}
	return collection(name, inner)
}

func collection(class string, inner []string) (string, error) {
	names := map[string]struct {
		name  string
		types int
	}{"ListType": {"list", 1}, "SetType": {"set", 1}, "MapType": {"map", 2}, "FrozenType": {"frozen", 1}, "TupleType": {"tuple", len(inner)}}
	c, ok := names[class]
	if !ok || len(inner) != c.types || len(inner) == 0 {
		return "", errResource
	}
	return c.name + "<" + strings.Join(inner, ", ") + ">", nil
}

// list reads types up to the closing bracket.
func (p *classParser) list(depth int) ([]string, error) {
	var all []string
	for {
		t, err := p.read(depth + 1)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		if closed, err := p.next(); closed || err != nil {
			return all, err
		}
	}
}

// next reads what parts two of a list, or ends it.
func (p *classParser) next() (closed bool, err error) {
	rest := strings.TrimLeft(p.rest, " ")
	switch {
	case strings.HasPrefix(rest, ")"):
		p.rest = rest[1:]
		return true, nil
	case strings.HasPrefix(rest, ","):
		p.rest = strings.TrimLeft(rest[1:], " ")
		return false, nil
	}
	return false, errResource
}

// userType reads (keyspace,name in hex,field in hex:type,...) and gives the name.
func (p *classParser) userType(depth int) (string, error) {
	_, rest, ok := strings.Cut(p.rest, ",")
	end := strings.IndexAny(rest, ",)")
	if !ok || end < 0 {
		return "", errResource
	}
	name, err := hex.DecodeString(rest[:end])
	if err != nil || len(name) == 0 {
		return "", errResource
	}
	for p.rest = rest[end:]; ; {
		if closed, err := p.next(); closed || err != nil {
			return quoteName(string(name)), err
		}
		_, p.rest, ok = strings.Cut(p.rest, ":")
		if !ok {
			return "", errResource
		}
		if _, err := p.read(depth + 1); err != nil {
			return "", err
		}
	}
}

// vector reads (type , dimension).
func (p *classParser) vector(depth int) (string, error) {
	t, err := p.read(depth + 1)
	if err != nil {
		return "", err
	}
	if closed, err := p.next(); closed || err != nil {
		return "", errResource
	}
	size, rest, ok := strings.Cut(p.rest, ")")
	if !ok || strings.Trim(size, "0123456789 ") != "" || strings.TrimSpace(size) == "" {
		return "", errResource
	}
	p.rest = rest
	return "vector<" + t + ", " + strings.TrimSpace(size) + ">", nil
}
