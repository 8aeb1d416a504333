package fit

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Type is the type of a column, read from a class name or from CQL.
type Type struct {
	Name     string   // "int", "list", "tuple", "udt", "vector"; of a class that CQL has no name for, the class with its arguments
	Args     []Type   // of elements, keys and values, fields
	Fields   []string // names of a user-defined type's fields
	UDT      string   // name of a user-defined type
	Size     int      // of a vector
	Multi    bool     // it has several cells: a collection or user-defined type that is not frozen
	Reversed bool     // a clustering column in descending order
}

// marshal is the package of Cassandra's types.
const marshal = "org.apache.cassandra.db.marshal."

// natives are the CQL names of the types without arguments, by class.
var natives = map[string]string{
	"AsciiType": "ascii", "LongType": "bigint", "BytesType": "blob", "BooleanType": "boolean", "CounterColumnType": "counter",
	"SimpleDateType": "date", "DecimalType": "decimal", "DoubleType": "double", "DurationType": "duration", "FloatType": "float",
	"InetAddressType": "inet", "Int32Type": "int", "ShortType": "smallint", "UTF8Type": "text", "TimeType": "time",
	"TimestampType": "timestamp", "TimeUUIDType": "timeuuid", "LegacyTimeUUIDType": "timeuuid", "ByteType": "tinyint",
	"UUIDType": "uuid", "IntegerType": "varint", "EmptyType": "empty",
}

// oldDate is the timestamp of the time before 1.2, for which CQL has no name of its own.
const oldDate = marshal + "DateType"

// generics are the classes that have types as arguments, by their CQL name; how many, or any number where 0.
var generics = map[string]struct {
	name  string
	args  int
	multi bool // unless in a FrozenType
}{
	"ListType": {"list", 1, true}, "SetType": {"set", 1, true}, "MapType": {"map", 2, true}, "TupleType": {"tuple", 0, false},
}

const (
	// maxTypeText bounds the text of a type, which a header may have a MiB of. A type of a hundred fields has 10 KiB.
	maxTypeText = 1 << 20
	// maxTypeDepth bounds how deep types lie in one another: people nest three or four.
	maxTypeDepth = 64
)

// ParseClass reads a type as SSTables name it, as "org.apache.cassandra.db.marshal.ListType(…UTF8Type)".
func ParseClass(text string) (Type, error) {
	if len(text) > maxTypeText {
		return Type{}, fmt.Errorf("type of %d bytes", len(text))
	}
	t, err := parseClass(text, 0)
	if err != nil {
		return Type{}, fmt.Errorf("type %.100q: %w", text, err)
	}
	return t, nil
}

func parseClass(text string, depth int) (Type, error) {
	if depth > maxTypeDepth {
		return Type{}, fmt.Errorf("more than %d types deep", maxTypeDepth)
	}
	text = strings.TrimSpace(text)
	class, rest, generic := strings.Cut(text, "(")
	short := strings.TrimPrefix(class, marshal)
	if !generic {
		if name, ok := natives[short]; ok {
			return Type{Name: name}, nil
		}
		return classType(text)
	}
	inside, closed := strings.CutSuffix(rest, ")")
	if !closed {
		return Type{}, fmt.Errorf("%q is not closed", class)
	}
	args, err := splitArgs(inside)
	if err != nil {
		return Type{}, err
	}
	switch short {
	case "FrozenType", "ReversedType":
		return wrapped(short, args, depth)
	case "UserType":
		return userType(args, depth)
	case "VectorType":
		return vectorType(args, depth)
	}
	g, known := generics[short]
	if !known {
		return classType(text)
	}
	t := Type{Name: g.name, Multi: g.multi && depth == 0}
	if t.Args, err = parseClasses(args, depth+1); err == nil && g.args > 0 && len(args) != g.args {
		err = fmt.Errorf("%s of %d types", g.name, len(args))
	}
	return t, err
}

// classType is a type that is known by its class only.
func classType(text string) (Type, error) {
	if text == "" {
		return Type{}, fmt.Errorf("no class")
	}
	if !strings.ContainsAny(text, ".") {
		text = marshal + text
	}
	return Type{Name: text}, nil
}

// wrapped reads FrozenType(T) and ReversedType(T).
func wrapped(class string, args []string, depth int) (Type, error) {
	if len(args) != 1 {
		return Type{}, fmt.Errorf("%s of %d types", class, len(args))
	}
	t, err := parseClass(args[0], depth+1)
	t.Reversed = class == "ReversedType"
	return t, err
}

// userType reads UserType(keyspace,hex name,hex field:type,…). The keyspace says nothing of the bytes.
func userType(args []string, depth int) (Type, error) {
	if len(args) < 2 {
		return Type{}, fmt.Errorf("user-defined type without a name")
	}
	name, err := hex.DecodeString(args[1])
	if err != nil {
		return Type{}, fmt.Errorf("name of a user-defined type: %w", err)
	}
	t := Type{Name: "udt", UDT: string(name), Multi: depth == 0}
	for _, arg := range args[2:] {
		field, class, _ := strings.Cut(arg, ":")
		name, err := hex.DecodeString(field)
		if err != nil {
			return Type{}, fmt.Errorf("field of a user-defined type: %w", err)
		}
		of, err := parseClass(class, depth+1)
		if err != nil {
			return Type{}, err
		}
		t.Fields, t.Args = append(t.Fields, string(name)), append(t.Args, of)
	}
	return t, nil
}

// vectorType reads VectorType(type , size).
func vectorType(args []string, depth int) (Type, error) {
	if len(args) != 2 {
		return Type{}, fmt.Errorf("vector of %d arguments", len(args))
	}
	size, err := strconv.Atoi(args[1])
	if err != nil || size < 1 {
		return Type{}, fmt.Errorf("vector of size %q", args[1])
	}
	of, err := parseClass(args[0], depth+1)
	return Type{Name: "vector", Args: []Type{of}, Size: size}, err
}

func parseClasses(texts []string, depth int) ([]Type, error) {
	all := make([]Type, len(texts))
	for i, text := range texts {
		var err error
		if all[i], err = parseClass(text, depth); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// splitArgs cuts at the commas that lie in no brackets.
func splitArgs(text string) (args []string, err error) {
	open, start := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(', '<':
			open++
		case ')':
			open--
		case '>':
			// In a DynamicCompositeType an alias stands before "=>".
			if i == 0 || text[i-1] != '=' {
				open--
			}
		case ',':
			if open == 0 {
				args, start = append(args, strings.TrimSpace(text[start:i])), i+1
			}
		}
		if open < 0 {
			return nil, fmt.Errorf("a bracket too many")
		}
	}
	if open != 0 {
		return nil, fmt.Errorf("a bracket is not closed")
	}
	if last := strings.TrimSpace(text[start:]); last != "" || len(args) > 0 {
		args = append(args, last)
	}
	return args, nil
}

// ParseKey reads the type of a partition key: of several columns it is a CompositeType.
func ParseKey(text string) ([]Type, error) {
	if len(text) > maxTypeText {
		return nil, fmt.Errorf("type of %d bytes", len(text))
	}
	inside, ok := strings.CutPrefix(text, marshal+"CompositeType(")
	if !ok {
		t, err := ParseClass(text)
		return []Type{t}, err
	}
	args, err := splitArgs(strings.TrimSuffix(inside, ")"))
	if err != nil {
		return nil, fmt.Errorf("type %.100q: %w", text, err)
	}
	// Depth 1: nothing in a key has several cells.
	return parseClasses(args, 1)
}

// String is the type in CQL.
func (t Type) String() string { return t.cql(t.Multi) }

// cql writes the type. What is frozen is written so where CQL wants it: tuples and vectors always are.
func (t Type) cql(thawed bool) string {
	text := t.Name
	switch t.Name {
	case "udt":
		text = quote(t.UDT)
	case "list", "set", "map", "tuple", "vector":
		var args []string
		for _, a := range t.Args {
			args = append(args, a.cql(false))
		}
		if t.Name == "vector" {
			args = append(args, strconv.Itoa(t.Size))
		}
		return frozen(t.Name+"<"+strings.Join(args, ", ")+">", thawed || t.Name == "vector")
	default:
		if strings.Contains(t.Name, ".") {
			return "'" + strings.ReplaceAll(t.Name, "'", "''") + "'"
		}
		return text
	}
	return frozen(text, thawed)
}

func frozen(text string, thawed bool) string {
	if thawed {
		return text
	}
	return "frozen<" + text + ">"
}

// quote writes a name of CQL: between quotes it may be any, a reserved word too.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// has tells whether the type is of the name, or has it inside.
func (t Type) has(name string) bool {
	return t.Name == name || slices.ContainsFunc(t.Args, func(a Type) bool { return a.has(name) })
}
