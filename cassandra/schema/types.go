package schema

import (
	"fmt"
	"strings"
)

// writeTypes writes each type after those that its fields are of.
func (k *keyspace) writeTypes() error {
	types, err := elements("types", k.rows.Types, "type_name", "")
	if err != nil {
		return err
	}
	w := typeWriter{keyspace: k, types: make(map[string]element, len(types)), seen: make(map[string]bool, len(types))}
	for _, t := range types {
		w.types[t.name] = t
	}
	for _, t := range types {
		if err := w.write(t, 0); err != nil {
			return err
		}
	}
	return nil
}

// maxTypeDepth bounds how deep types may lie in each other: Cassandra's own names of such a type would be a megabyte.
const maxTypeDepth = 1000

// typeWriter writes the types of a keyspace, each once.
type typeWriter struct {
	*keyspace
	types map[string]element
	seen  map[string]bool
}

func (w *typeWriter) write(t element, depth int) error {
	if w.seen[t.name] {
		return nil
	}
	if depth > maxTypeDepth {
		return fmt.Errorf("type %s lies more than %d types deep", t.name, maxTypeDepth)
	}
	w.seen[t.name] = true
	names, types := need[[]string](t.fields, "field_names"), need[[]string](t.fields, "field_types")
	if t.err != nil {
		return t.err
	}
	if len(names) != len(types) || len(names) == 0 {
		return fmt.Errorf("type %s has %d names of fields and %d types", t.name, len(names), len(types))
	}
	lines := make([]string, len(names))
	for i, name := range names {
		lines[i] = "    " + quoteName(name) + " " + types[i]
		for _, used := range TypeNames(types[i]) {
			if other, ok := w.types[used]; ok {
				if err := w.write(other, depth+1); err != nil {
					return err
				}
			}
		}
	}
	w.add("CREATE TYPE ", w.qualified(t.name), " (\n", strings.Join(lines, ",\n"), "\n);")
	return nil
}

// TypeNames are the names in the text of a type, as frozen, map, text and Place in frozen<map<text, "Place">>.
func TypeNames(text string) []string {
	var names []string
	for text != "" {
		if text[0] == '"' {
			var name string
			name, text = cutQuoted(text[1:])
			names = append(names, name)
			continue
		}
		end := strings.IndexAny(text, `<>, "`)
		if end < 0 {
			end = len(text)
		}
		if end == 0 {
			text = text[1:]
			continue
		}
		names = append(names, text[:end])
		text = text[end:]
	}
	return names
}

// cutQuoted cuts a quoted name after its first quote; a doubled quote is one of the name.
func cutQuoted(text string) (name, rest string) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, `"`)
		b.WriteString(before)
		if !found || !strings.HasPrefix(after, `"`) {
			return b.String(), after
		}
		b.WriteByte('"')
		text = after[1:]
	}
}

// isComplex tells whether a column of the type holds several cells: it does where it is a collection or a type of the
// user that is not frozen. Cassandra keeps such columns behind the others.
func (k *keyspace) isComplex(text string) bool {
	for _, collection := range []string{"map<", "list<", "set<"} {
		if strings.HasPrefix(text, collection) {
			return true
		}
	}
	names := TypeNames(text)
	return len(names) == 1 && !strings.HasPrefix(text, "'") && k.userTypes()[names[0]]
}

// userTypes are the names of the keyspace's types.
func (k *keyspace) userTypes() map[string]bool {
	if k.typeNames == nil {
		k.typeNames = make(map[string]bool, len(k.rows.Types))
		for _, row := range k.rows.Types {
			name, _ := row["type_name"].(string)
			k.typeNames[name] = true
		}
	}
	return k.typeNames
}

// thawed takes the outermost frozen<> from a type: functions must not have it.
func thawed(text string) string {
	if inner, ok := strings.CutPrefix(text, "frozen<"); ok && strings.HasSuffix(inner, ">") {
		return strings.TrimSuffix(inner, ">")
	}
	return text
}
