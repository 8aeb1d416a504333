package rows

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrType is wrapped by errors about class names that ParseType cannot read or
// whose encoding in a Data.db is not known.
var ErrType = errors.New("unknown column type")

const (
	// maxTypeDepth bounds the nesting of a class name. Cassandra itself recurses
	// without bound; tables with more than a handful of levels are not known.
	maxTypeDepth = 64
	// maxTypeLength bounds a class name in bytes. A user type of a thousand fields
	// has about 60 KiB.
	maxTypeLength = 1 << 20
)

// Variable is the length of types whose values bear their length with them.
const Variable = -1

// Type is a class name of Cassandra's marshal package with its parameters, as in
// "org.apache.cassandra.db.marshal.MapType(…UTF8Type,…Int32Type)".
//
// Words that are no class, such as the keyspace and the hexadecimal name of a
// UserType or the dimension of a VectorType, are parameters with a Class as well.
type Type struct {
	// Class is the name without "org.apache.cassandra.db.marshal.".
	Class string
	// Label is what stands before a parameter: the hexadecimal name of a field in
	// a UserType, the alias in a DynamicCompositeType.
	Label string
	// Params are the parameters in order.
	Params []Type
}

const marshalPackage = "org.apache.cassandra.db.marshal."

// ParseType reads a class name of at most 1 MiB and 64 levels.
func ParseType(s string) (Type, error) {
	if len(s) > maxTypeLength {
		return Type{}, fmt.Errorf("class name of %d bytes: %w", len(s), ErrType)
	}
	p := typeParser{rest: s}
	t, err := p.parse(0)
	if err == nil && p.rest != "" {
		err = fmt.Errorf("%q after class name: %w", clip(p.rest), ErrType)
	}
	return t, err
}

type typeParser struct{ rest string }

func (p *typeParser) parse(depth int) (Type, error) {
	if depth > maxTypeDepth {
		return Type{}, fmt.Errorf("class name nested deeper than %d: %w", maxTypeDepth, ErrType)
	}
	label, word := "", p.word()
	if sep := p.labelEnd(); sep > 0 {
		p.rest = p.rest[sep:]
		label, word = word, p.word()
	}
	if word == "" {
		return Type{}, fmt.Errorf("class name missing before %q: %w", clip(p.rest), ErrType)
	}
	t := Type{Class: strings.TrimPrefix(word, marshalPackage), Label: label}
	if !p.skip('(') {
		return t, nil
	}
	for !p.skip(')') {
		param, err := p.parse(depth + 1)
		if err != nil {
			return Type{}, err
		}
		t.Params = append(t.Params, param)
		if !p.skip(',') && !strings.HasPrefix(p.rest, ")") {
			return Type{}, fmt.Errorf("class name open at %q: %w", clip(p.rest), ErrType)
		}
	}
	return t, nil
}

// labelEnd returns the length of the sign between a label and its type: ":" for
// fields, "=>" for aliases.
func (p *typeParser) labelEnd() int {
	switch {
	case strings.HasPrefix(p.rest, ":"):
		return 1
	case strings.HasPrefix(p.rest, "=>"):
		return 2
	}
	return 0
}

// word takes a run of the letters Cassandra takes for an identifier, and the blanks
// around it: a vector is written as "(type , 3)".
func (p *typeParser) word() string {
	p.blanks()
	n := strings.IndexFunc(p.rest, func(r rune) bool { return !identifier(r) })
	if n < 0 {
		n = len(p.rest)
	}
	w := p.rest[:n]
	p.rest = p.rest[n:]
	p.blanks()
	return w
}

func identifier(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' ||
		r == '-' || r == '+' || r == '.' || r == '_' || r == '&' || r == '$'
}

func (p *typeParser) skip(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	p.blanks()
	return true
}

func (p *typeParser) blanks() { p.rest = strings.TrimLeft(p.rest, " \t\n") }

func clip(s string) string { return s[:min(len(s), 40)] }

// fixedLengths are the classes without parameters, with the length of their values
// in bytes where Cassandra leaves it out (AbstractType.valueLengthIfFixed, the same
// in 3.11, 4.0 and 5.0). ShortType, ByteType, TimeType and SimpleDateType have one
// length only and bear it all the same.
var fixedLengths = map[string]int{
	"AsciiType": Variable, "ByteType": Variable, "BytesType": Variable,
	"CounterColumnType": Variable, "DecimalType": Variable, "DurationType": Variable,
	"InetAddressType": Variable, "IntegerType": Variable, "ShortType": Variable,
	"SimpleDateType": Variable, "TimeType": Variable, "UTF8Type": Variable,
	"EmptyType": 0, "BooleanType": 1, "FloatType": 4, "Int32Type": 4,
	"DateType": 8, "DoubleType": 8, "LongType": 8, "TimestampType": 8,
	"LegacyTimeUUIDType": 16, "LexicalUUIDType": 16, "TimeUUIDType": 16, "UUIDType": 16,
}

// variableClasses are the classes with parameters whose values bear their length.
var variableClasses = map[string]bool{
	"ColumnToCollectionType": true, "CompositeType": true, "DynamicCompositeType": true,
	"ListType": true, "MapType": true, "PartitionerDefinedOrder": true, "SetType": true,
	"TupleType": true, "UserType": true,
}

// FixedLength returns how many bytes a value takes in a Data.db, or [Variable] where
// its length stands before it. The cells of a type with [Type.MultiCell] are
// Variable whatever their elements are.
func (t Type) FixedLength() (int, error) {
	if n, ok := fixedLengths[t.Class]; ok && len(t.Params) == 0 {
		return n, nil
	}
	switch {
	case variableClasses[t.Class]:
		return Variable, nil
	case t.wraps():
		return t.Params[0].FixedLength()
	case t.Class == "VectorType" && len(t.Params) == 2:
		return t.vectorLength()
	}
	return 0, fmt.Errorf("class %q: %w", clip(t.Class), ErrType)
}

// wraps tells the classes that change the order or the form of another type but
// not its encoding.
func (t Type) wraps() bool {
	return (t.Class == "ReversedType" || t.Class == "FrozenType") && len(t.Params) == 1
}

// maxVector bounds the dimension of a vector. Cassandra's own default limit is
// 8192; a vector of 2^24 doubles already is larger than [MaxUnfiltered].
const maxVector = 1 << 24

func (t Type) vectorLength() (int, error) {
	element, err := t.Params[0].FixedLength()
	if err != nil || element == Variable {
		return element, err
	}
	n, err := strconv.Atoi(t.Params[1].Class)
	if err != nil || n < 1 || n > maxVector {
		return 0, fmt.Errorf("vector of dimension %q: %w", clip(t.Params[1].Class), ErrType)
	}
	if element > MaxUnfiltered/n {
		return 0, fmt.Errorf("vector of %d elements of %d bytes: %w", n, element, ErrType)
	}
	return element * n, nil
}

// MultiCell tells whether a column of this type holds one cell for each element:
// collections and user types outside of FrozenType.
//
// Cassandra 3.0 knew no other user types than frozen ones and left FrozenType out of
// the HEADER; such a column is taken for a multi-cell one and its rows do not parse.
func (t Type) MultiCell() bool {
	switch t.Class {
	case "ListType", "MapType", "SetType", "UserType":
		return true
	}
	return false
}
