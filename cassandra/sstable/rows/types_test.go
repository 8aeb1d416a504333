package rows

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const m = marshalPackage

func TestClassNamesTellHowValuesAreWritten(t *testing.T) {
	for _, c := range []struct {
		class string
		fixed int
		multi bool
	}{
		{m + "Int32Type", 4, false},
		{"Int32Type", 4, false},
		{m + "EmptyType", 0, false},
		{m + "BooleanType", 1, false},
		{m + "TimeUUIDType", 16, false},
		{m + "ShortType", Variable, false},
		{m + "TimeType", Variable, false},
		{m + "SimpleDateType", Variable, false},
		{m + "CounterColumnType", Variable, false},
		{m + "ReversedType(" + m + "TimestampType)", 8, false},
		{m + "ReversedType(" + m + "UTF8Type)", Variable, false},
		{m + "ListType(" + m + "Int32Type)", Variable, true},
		{m + "SetType(" + m + "Int32Type)", Variable, true},
		{m + "MapType(" + m + "Int32Type," + m + "LongType)", Variable, true},
		{m + "FrozenType(" + m + "MapType(" + m + "Int32Type," + m + "LongType))", Variable, false},
		{m + "UserType(ks,61646472,6e6f:" + m + "Int32Type)", Variable, true},
		{m + "FrozenType(" + m + "UserType(ks,61646472,6e6f:" + m + "Int32Type))", Variable, false},
		{m + "TupleType(" + m + "Int32Type," + m + "Int32Type)", Variable, false},
		{m + "VectorType(" + m + "FloatType , 3)", 12, false},
		{m + "VectorType(" + m + "UTF8Type , 3)", Variable, false},
		{m + "VectorType(" + m + "VectorType(" + m + "DoubleType , 2) , 3)", 48, false},
		{m + "CompositeType(" + m + "Int32Type," + m + "UTF8Type)", Variable, false},
		{m + "DynamicCompositeType(a=>" + m + "UTF8Type,b=>" + m + "Int32Type)", Variable, false},
	} {
		parsed, err := ParseType(c.class)
		if err != nil {
			t.Errorf("%s: %v", c.class, err)
			continue
		}
		n, err := parsed.FixedLength()
		if err != nil || n != c.fixed || parsed.MultiCell() != c.multi {
			t.Errorf("%s: length %d, multi-cell %v, error %v", c.class, n, parsed.MultiCell(), err)
		}
	}
}

func TestParametersAndLabelsAreKept(t *testing.T) {
	got, err := ParseType(m + "UserType(ks,61,6e6f:" + m + "Int32Type,74:" + m + "FrozenType(" + m + "SetType(" + m + "UTF8Type)))")
	if err != nil {
		t.Fatal(err)
	}
	want := Type{Class: "UserType", Params: []Type{
		{Class: "ks"},
		{Class: "61"},
		{Class: "Int32Type", Label: "6e6f"},
		{Class: "FrozenType", Label: "74", Params: []Type{{Class: "SetType", Params: []Type{{Class: "UTF8Type"}}}}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWhatIsNoClassNameIsRefused(t *testing.T) {
	for _, s := range []string{
		"", "(", ")", "A(", "A(B", "A(B,", "A(B)C", "A(B))", "A(B C)", "A(:B)(", "A(b:)", "é",
		strings.Repeat("ListType(", maxTypeDepth+2),
		strings.Repeat("x", maxTypeLength+1),
	} {
		if got, err := ParseType(s); !errors.Is(err, ErrType) {
			t.Errorf("%q: %v, error %v", clip(s), got, err)
		}
	}
}

func TestTypesOfUnknownEncodingAreRefused(t *testing.T) {
	for _, s := range []string{
		"com.example.OwnType", "FrozenType", "ReversedType(A,B)", "Int32Type(UTF8Type)", "VectorType(FloatType)",
		"VectorType(FloatType , 0)", "VectorType(FloatType , x)", "VectorType(FloatType , 16777217)",
		"VectorType(VectorType(DoubleType , 16777216) , 16777216)", "VectorType(OwnType , 2)", "ReversedType(OwnType)",
	} {
		parsed, err := ParseType(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if n, err := parsed.FixedLength(); !errors.Is(err, ErrType) {
			t.Errorf("%s: length %d, error %v", s, n, err)
		}
	}
}

func FuzzParseType(f *testing.F) {
	f.Add(m + "MapType(" + m + "Int32Type," + m + "FrozenType(" + m + "UserType(k,61,62:" + m + "UTF8Type)))")
	f.Add("VectorType(FloatType , 3)")
	f.Add("DynamicCompositeType(a=>UTF8Type)")
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := ParseType(s)
		if err != nil {
			if !errors.Is(err, ErrType) {
				t.Fatalf("%q: error of another kind: %v", s, err)
			}
			return
		}
		again, err := ParseType(classText(parsed))
		if d := cmp.Diff(parsed, again); err != nil || d != "" {
			t.Fatalf("%q printed as %q: %v\n%s", s, classText(parsed), err, d)
		}
		if n, err := parsed.FixedLength(); err == nil && (n < Variable || n > MaxUnfiltered) {
			t.Fatalf("%q has length %d", s, n)
		}
	})
}

// classText is the inverse of ParseType, up to the package and blanks.
func classText(t Type) string {
	s := m + t.Class
	if t.Label != "" {
		s = t.Label + ":" + s
	}
	if len(t.Params) == 0 {
		return s
	}
	var params []string
	for _, p := range t.Params {
		params = append(params, classText(p))
	}
	return s + "(" + strings.Join(params, ",") + ")"
}
