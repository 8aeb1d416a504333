package fit

import (
	_ "embed"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
)

//go:embed testdata/Compatible.java
var compatibleText string

// classes are types by class, % standing for the package of Cassandra's types.
var classes = strings.Fields(`
%AsciiType %LongType %BytesType %BooleanType %CounterColumnType %SimpleDateType %DecimalType %DoubleType %DurationType %FloatType
%InetAddressType %Int32Type %ShortType %UTF8Type %TimeType %TimestampType %DateType %TimeUUIDType %ByteType %UUIDType
%IntegerType %EmptyType %LexicalUUIDType
%ReversedType(%AsciiType) %ReversedType(%UTF8Type) %ReversedType(%Int32Type) %ReversedType(%LongType)
%ListType(%Int32Type) %ListType(%AsciiType) %ListType(%UTF8Type) %ListType(%BytesType) %ListType(%LongType) %ListType(%TimestampType)
%ListType(%TimeType) %ListType(%IntegerType) %ListType(%UUIDType) %ListType(%TimeUUIDType)
%FrozenType(%ListType(%Int32Type)) %FrozenType(%ListType(%AsciiType)) %FrozenType(%ListType(%UTF8Type)) %FrozenType(%ListType(%BytesType))
%FrozenType(%ListType(%LongType)) %FrozenType(%ListType(%TimestampType)) %FrozenType(%ListType(%TimeType))
%SetType(%Int32Type) %SetType(%AsciiType) %SetType(%UTF8Type) %SetType(%LongType) %SetType(%TimestampType)
%FrozenType(%SetType(%Int32Type)) %FrozenType(%SetType(%AsciiType)) %FrozenType(%SetType(%UTF8Type)) %FrozenType(%SetType(%LongType))
%MapType(%Int32Type,%AsciiType) %MapType(%Int32Type,%UTF8Type) %MapType(%LongType,%UTF8Type) %MapType(%AsciiType,%LongType)
%MapType(%UTF8Type,%TimestampType) %MapType(%UTF8Type,%TimeType)
%FrozenType(%MapType(%Int32Type,%AsciiType)) %FrozenType(%MapType(%Int32Type,%UTF8Type)) %FrozenType(%MapType(%AsciiType,%LongType))
%FrozenType(%MapType(%UTF8Type,%TimestampType)) %FrozenType(%MapType(%UTF8Type,%TimeType)) %FrozenType(%MapType(%LongType,%UTF8Type))
%TupleType(%Int32Type) %TupleType(%Int32Type,%AsciiType) %TupleType(%Int32Type,%UTF8Type) %TupleType(%LongType,%UTF8Type)
%TupleType(%IntegerType,%UTF8Type,%LongType)
%UserType(ks,61,62:%Int32Type) %UserType(ks,61,62:%Int32Type,63:%AsciiType) %UserType(ks,61,62:%Int32Type,63:%UTF8Type) %UserType(ks,61,62:%IntegerType)
%FrozenType(%UserType(ks,61,62:%Int32Type)) %FrozenType(%UserType(ks,61,62:%Int32Type,63:%AsciiType))
%FrozenType(%UserType(ks,61,62:%Int32Type,63:%UTF8Type)) %FrozenType(%UserType(ks,61,62:%IntegerType))
%FrozenType(%ListType(%FrozenType(%UserType(ks,61,62:%Int32Type)))) %FrozenType(%ListType(%FrozenType(%UserType(ks,61,62:%Int32Type,63:%UTF8Type))))
%ListType(%FrozenType(%UserType(ks,61,62:%Int32Type))) %ListType(%FrozenType(%UserType(ks,61,62:%Int32Type,63:%UTF8Type)))
%MapType(%UTF8Type,%FrozenType(%ListType(%Int32Type))) %MapType(%UTF8Type,%FrozenType(%ListType(%IntegerType)))
%MapType(%UTF8Type,%FrozenType(%UserType(ks,61,62:%Int32Type))) %MapType(%UTF8Type,%FrozenType(%UserType(ks,61,62:%Int32Type,63:%UTF8Type)))
%CompositeType(%Int32Type,%UTF8Type) %CompositeType(%Int32Type,%AsciiType)
`)

// sinceFive are types that older releases do not have.
var sinceFive = strings.Fields(`%VectorType(%FloatType,3) %VectorType(%FloatType,4) %VectorType(%UTF8Type,3) %VectorType(%AsciiType,3)
	%ListType(%FrozenType(%VectorType(%FloatType,3)))`)

// cassandraSays asks a release about each pair of types.
func cassandraSays(t *testing.T, release string, types []string) []string {
	t.Helper()
	dir, err := cassandratest.Jars(release)
	if err != nil {
		t.Fatal(err)
	}
	jars, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	if err != nil || len(jars) == 0 {
		t.Fatalf("%d jars, %v", len(jars), err)
	}
	cmd, err := cassandratest.Java(t.Context(), "Compatible", compatibleText, strings.Join(jars, ":"), "-Xmx256m",
		"--add-opens", "java.base/java.nio=ALL-UNNAMED", "--add-opens", "java.base/sun.nio.ch=ALL-UNNAMED", "--add-opens", "java.base/jdk.internal.ref=ALL-UNNAMED",
		"--add-exports", "java.base/jdk.internal.ref=ALL-UNNAMED", "--add-exports", "java.base/sun.nio.ch=ALL-UNNAMED")
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(strings.Join(types, "\n")), &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var answers []string
	for line := range strings.Lines(string(out)) {
		if pairs, ok := strings.CutPrefix(line, "pairs "); ok {
			answers = append(answers, strings.TrimSpace(pairs))
		}
	}
	return answers
}

// TestTypesAreAsCompatibleAsCassandraSays compares all pairs with what a release answers. It is stricter only where
// cells have another layout, which the release's answer does not ask for, and for composites, whose insides are not looked at.
func TestTypesAreAsCompatibleAsCassandraSays(t *testing.T) {
	for _, release := range []string{"4.1.10", "5.0.6"} {
		t.Run(release, func(t *testing.T) {
			texts := slices.Clone(classes)
			if release == "5.0.6" {
				texts = append(texts, sinceFive...)
			}
			for i := range texts {
				texts[i] = strings.ReplaceAll(texts[i], "%", marshal)
			}
			answers := cassandraSays(t, release, texts)
			if len(answers) != len(texts) {
				t.Fatalf("%d answers for %d types", len(answers), len(texts))
			}
			for i, is := range texts {
				for j, was := range texts {
					comparePair(t, is, was, answers[i][2*j:2*j+2])
				}
			}
		})
	}
}

func comparePair(t *testing.T, isText, wasText, answer string) {
	t.Helper()
	is, err := ParseClass(isText)
	if err != nil {
		t.Fatal(err)
	}
	was, err := ParseClass(wasText)
	if err != nil {
		t.Fatal(err)
	}
	stricter := is.Multi != was.Multi || is.Name == "blob" && was.Name == "counter" || strings.Contains(is.Name, "(") && is.Name != was.Name
	if got, want := ValueCompatible(is, was), answer[0] == 'v' && !stricter; got != want {
		t.Errorf("%s reads %s: %v, Cassandra says %v", is, was, got, want)
	}
	if got, want := OrderCompatible(is, was), answer[1] == 'o' && !stricter; got != want {
		t.Errorf("%s sorts as %s: %v, Cassandra says %v", is, was, got, want)
	}
}
