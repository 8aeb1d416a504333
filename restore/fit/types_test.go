package fit

import (
	"slices"
	"strings"
	"testing"
)

func TestTypesReadFromClassesAreWrittenInCQL(t *testing.T) {
	for class, want := range map[string]string{
		"%UTF8Type":                                            "text",
		"%ReversedType(%Int32Type)":                            "int",
		"%ListType(%Int32Type)":                                "list<int>",
		"%FrozenType(%ListType(%ListType(%Int32Type)))":        "frozen<list<frozen<list<int>>>>",
		"%MapType(%UTF8Type,%FrozenType(%SetType(%ByteType)))": "map<text, frozen<set<tinyint>>>",
		"%TupleType(%Int32Type,%UTF8Type)":                     "frozen<tuple<int, text>>",
		"%UserType(ks,506c616365,61:%Int32Type)":               `"Place"`,
		"%FrozenType(%UserType(ks,61,61:%Int32Type))":          `frozen<"a">`,
		"%UserType(ks,226122)":                                 `"""a"""`,
		"%VectorType(%FloatType , 3)":                          "vector<float, 3>",
		"%DateType":                                            "'" + marshal + "DateType'",
		"OwnType":                                              "'" + marshal + "OwnType'",
		"com.example.Own(it's)":                                "'com.example.Own(it''s)'",
		"%DynamicCompositeType(a=>%BytesType,i=>%Int32Type)":   "'%DynamicCompositeType(a=>%BytesType,i=>%Int32Type)'",
	} {
		typ, err := ParseClass(strings.ReplaceAll(class, "%", marshal))
		if want = strings.ReplaceAll(want, "%", marshal); err != nil || typ.String() != want {
			t.Errorf("%s: %s, %v", class, typ, err)
		}
	}
}

func TestWhatIsNoClassIsRefused(t *testing.T) {
	for _, text := range []string{"", "%ListType(", "%ListType(%Int32Type", "%ListType(%Int32Type))", "%ListType()", "%ListType(%Int32Type,%Int32Type)",
		"%MapType(%Int32Type)", "%FrozenType()", "%UserType(ks)", "%UserType(ks,zz)", "%UserType(ks,61,zz:%Int32Type)", "%UserType(ks,61,61)",
		"%VectorType(%FloatType)", "%VectorType(%FloatType,0)", "%VectorType(%FloatType,x)", "%TupleType(,)",
		strings.Repeat("%ListType(", 100) + "%Int32Type" + strings.Repeat(")", 100), strings.Repeat("a", maxTypeText+1)} {
		if typ, err := ParseClass(strings.ReplaceAll(text, "%", marshal)); err == nil {
			t.Errorf("%.60s is %s", text, typ)
		}
	}
	if _, err := ParseKey(strings.Repeat("a", maxTypeText+1)); err == nil {
		t.Error("a key of more than a MiB is read")
	}
}

func TestKeysOfSeveralColumnsAreTakenApart(t *testing.T) {
	for text, want := range map[string]string{
		"%UUIDType": "uuid", "%CompositeType(%Int32Type,%UTF8Type)": "int, text",
		"%CompositeType(%FrozenType(%MapType(%Int32Type,%UTF8Type)),%UTF8Type)": "frozen<map<int, text>>, text",
	} {
		key, err := ParseKey(strings.ReplaceAll(text, "%", marshal))
		var got []string
		for _, k := range key {
			got = append(got, k.String())
		}
		if err != nil || strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestTypesReadFromCQLAreWrittenAsTheyWere(t *testing.T) {
	for text, want := range map[string]string{
		"varchar": "text", "list<int>": "", "frozen<list<int>>": "", "frozen<map<text, frozen<list<frozen<\"place\">>>>>": "",
		"tuple<int, text>": "frozen<tuple<int, text>>", "place": `"place"`, "frozen<place>": `frozen<"place">`, "vector<float, 3>": "", "vector<list<int>, 2>": "vector<frozen<list<int>>, 2>",
		"'org.apache.cassandra.db.marshal.DateType'": "", "'com.example.Own(it''s)'": "", "map<int,  text>": "map<int, text>",
	} {
		if want == "" {
			want = text
		}
		if got := typed(t, text).String(); got != want {
			t.Errorf("%s is %s", text, got)
		}
	}
	for _, text := range []string{"", "nobody", "list<int", "list<>", "list<int, int>", "map<int>", "tuple<>", "vector<int>", "vector<int, 0>", "pile<int>", "frozen<list<int>>>",
		strings.Repeat("list<", 100) + "int" + strings.Repeat(">", 100), strings.Repeat("a", maxTypeText+1)} {
		if typ, err := ParseCQL(text, func(string) ([]string, []string, bool) { return nil, nil, false }); err == nil {
			t.Errorf("%.60s is %s", text, typ)
		}
	}
}

func TestATypeThatIsInItselfIsRefused(t *testing.T) {
	if typ, err := ParseCQL("a", func(string) ([]string, []string, bool) { return []string{"f"}, []string{"list<a>"}, true }); err == nil {
		t.Error(typ)
	}
	if _, err := ParseCQL("a", nil); err == nil {
		t.Error("there are no types of users")
	}
}

// FuzzParseClass: what is read as a type is compatible with itself, and reads as the same type from its CQL.
func FuzzParseClass(f *testing.F) {
	for _, c := range slices.Concat(classes, sinceFive) {
		f.Add(strings.ReplaceAll(c, "%", marshal))
	}
	f.Fuzz(func(t *testing.T, text string) {
		typ, err := ParseClass(text)
		if err != nil {
			return
		}
		if !ValueCompatible(typ, typ) || !OrderCompatible(typ, typ) {
			t.Errorf("%q does not fit itself", text)
		}
		udts := make(map[string]Type)
		gather(udts, typ)
		if len(udts) > 0 || typ.has("") {
			return // types of users need their names to be distinct
		}
		again, err := ParseCQL(typ.String(), nil)
		if again.Reversed = typ.Reversed; err != nil || !again.equal(typ) {
			t.Errorf("%q is %s in CQL, which reads as %+v: %v", text, typ, again, err)
		}
	})
}

// FuzzParseCQL: reading ends, and what was read is written so that it reads as the same.
func FuzzParseCQL(f *testing.F) {
	for _, text := range []string{"int", "map<text, frozen<list<place>>>", "vector<float, 3>", `"Place"`, "'a.b(c)'", "tuple<int>"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		types := func(name string) (fields, types []string, ok bool) { return []string{"a"}, []string{"int"}, true }
		typ, err := ParseCQL(text, types)
		if err != nil {
			return
		}
		if again, err := ParseCQL(typ.String(), types); err != nil || !again.equal(typ) {
			t.Errorf("%q is %s, which reads as %+v: %v", text, typ, again, err)
		}
	})
}
