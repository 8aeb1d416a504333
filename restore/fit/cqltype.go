package fit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// userTypes finds the user-defined types of a keyspace: the names of the fields and their types in CQL.
type userTypes func(name string) (fields, types []string, ok bool)

// nativeNames are the CQL names of types without arguments.
func nativeName(name string) (string, bool) {
	if name == "varchar" {
		return "text", true
	}
	for _, n := range natives {
		if n == name {
			return n, true
		}
	}
	return "", false
}

// ParseCQL reads a type as system_schema writes it. Names that are no type of CQL are looked up in types, which may be nil.
func ParseCQL(text string, types func(name string) (fields, types []string, ok bool)) (Type, error) {
	if len(text) > maxTypeText {
		return Type{}, fmt.Errorf("type of %d bytes", len(text))
	}
	t, err := parseCQL(text, types, 0)
	if err != nil {
		return Type{}, fmt.Errorf("type %.100q: %w", text, err)
	}
	return t, nil
}

func parseCQL(text string, types userTypes, depth int) (Type, error) {
	if depth > maxTypeDepth {
		return Type{}, fmt.Errorf("more than %d types deep", maxTypeDepth)
	}
	text = strings.TrimSpace(text)
	if class, ok := strings.CutPrefix(text, "'"); ok {
		return parseClass(strings.ReplaceAll(strings.TrimSuffix(class, "'"), "''", "'"), depth)
	}
	if name, ok := strings.CutPrefix(text, `"`); ok {
		return named(strings.ReplaceAll(strings.TrimSuffix(name, `"`), `""`, `"`), types, depth)
	}
	name, rest, generic := strings.Cut(text, "<")
	if !generic {
		if native, ok := nativeName(name); ok {
			return Type{Name: native}, nil
		}
		return named(name, types, depth)
	}
	inside, closed := strings.CutSuffix(rest, ">")
	if !closed {
		return Type{}, fmt.Errorf("%s is not closed", name)
	}
	args, err := splitArgs(inside)
	if err != nil {
		return Type{}, err
	}
	return genericCQL(name, args, types, depth)
}

func genericCQL(name string, args []string, types userTypes, depth int) (Type, error) {
	t := Type{Name: name, Multi: depth == 0}
	want := 1
	switch name {
	case "list", "set", "frozen":
	case "map":
		want = 2
	case "tuple":
		t.Multi, want = false, len(args)
	case "vector":
		t.Multi, want = false, 2
	default:
		return Type{}, fmt.Errorf("%s<> is not known", name)
	}
	if len(args) != want || want == 0 {
		return Type{}, fmt.Errorf("%s of %d types", name, len(args))
	}
	if name == "vector" {
		size, err := strconv.Atoi(args[1])
		if err != nil || size < 1 {
			return Type{}, fmt.Errorf("vector of size %q", args[1])
		}
		t.Size, args = size, args[:1]
	}
	for _, arg := range args {
		a, err := parseCQL(arg, types, depth+1)
		if err != nil {
			return Type{}, err
		}
		t.Args = append(t.Args, a)
	}
	if name == "frozen" {
		return t.Args[0], nil
	}
	return t, nil
}

// named is a user-defined type.
func named(name string, types userTypes, depth int) (Type, error) {
	if types == nil {
		return Type{}, fmt.Errorf("%q is no type", name)
	}
	fields, texts, ok := types(name)
	if !ok || len(fields) != len(texts) {
		return Type{}, fmt.Errorf("%q is no type", name)
	}
	t := Type{Name: "udt", UDT: name, Fields: slices.Clone(fields), Multi: depth == 0}
	for _, text := range texts {
		of, err := parseCQL(text, types, depth+1)
		if err != nil {
			return Type{}, err
		}
		t.Args = append(t.Args, of)
	}
	return t, nil
}
