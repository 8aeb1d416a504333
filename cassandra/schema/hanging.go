package schema

import (
	"fmt"
	"strings"
)

// viewsByBase parts the views by the table that they are views of.
func (k *keyspace) viewsByBase() (map[string][]element, error) {
	views, err := elements("views", k.rows.Views, "view_name", "")
	if err != nil {
		return nil, err
	}
	parts := make(map[string][]element)
	for _, v := range views {
		base := v.fields.name("base_table_name")
		if v.err != nil {
			return nil, v.err
		}
		parts[base] = append(parts[base], v)
	}
	return parts, nil
}

func (k *keyspace) writeView(e element, base string) error {
	t, err := k.newTable(e)
	if err != nil {
		return err
	}
	where := need[string](e.fields, "where_clause")
	options, err := t.options(false)
	if err != nil {
		return err
	}
	selected := "*"
	if !value[bool](e.fields, "include_all_columns") {
		var names []string
		for _, list := range [][]column{t.keys, t.clusters, t.others} {
			names = append(names, columnNames(list)...)
		}
		selected = quoteNames(names)
	}
	k.add(fmt.Sprintf("CREATE MATERIALIZED VIEW %s AS\n    SELECT %s\n    FROM %s\n    WHERE %s\n    %s\n WITH %s;",
		t.qualified, selected, k.qualified(base), where, t.primaryKey(), options))
	return e.err
}

// writeIndexes writes the indexes of a table. Their targets are CQL in the rows.
func (k *keyspace) writeIndexes(t element) error {
	indexes, err := elements("indexes", k.indexes[t.name], "index_name", "")
	if err != nil {
		return err
	}
	for _, i := range indexes {
		options := make(map[string]string)
		for name, v := range need[map[string]string](i.fields, "options") {
			if name != "target" && name != "class_name" {
				options[name] = v
			}
		}
		target, class := value[map[string]string](i.fields, "options")["target"], value[map[string]string](i.fields, "options")["class_name"]
		if target == "" {
			i.fail("index %s has no target", i.name)
		}
		if i.err != nil {
			return i.err
		}
		custom, using := "", ""
		if class != "" {
			custom, using = "CUSTOM ", " USING "+quoteText(class)
			if len(options) > 0 {
				using += " WITH OPTIONS = " + quoteMap(options)
			}
		}
		k.add("CREATE ", custom, "INDEX ", quoteName(i.name), " ON ", k.qualified(t.name), " (", target, ")", using, ";")
	}
	return nil
}

// writeTriggers writes the triggers of a table. Their classes are jars in the triggers directory of each node.
func (k *keyspace) writeTriggers(t element) error {
	triggers, err := elements("triggers", k.triggers[t.name], "trigger_name", "")
	if err != nil {
		return err
	}
	for _, tr := range triggers {
		class := need[map[string]string](tr.fields, "options")["class"]
		if class == "" {
			tr.fail("trigger %s has no class", tr.name)
		}
		if tr.err != nil {
			return tr.err
		}
		k.add("CREATE TRIGGER ", quoteName(tr.name), " ON ", k.qualified(t.name), " USING ", quoteText(class), ";")
	}
	return nil
}

// columnMasks writes how the columns of a table are masked, by column.
func (k *keyspace) columnMasks(tableName string) (map[string]string, error) {
	masks := make(map[string]string)
	for _, row := range k.masks[tableName] {
		f := &fields{table: "column_masks", row: row}
		types, values := value[[]string](f, "function_argument_types"), value[[]string](f, "function_argument_values")
		nulls := value[[]bool](f, "function_argument_nulls")
		if len(types) != len(values) || len(nulls) != len(values) {
			f.fail("%d types, %d values and %d nulls of arguments", len(types), len(values), len(nulls))
		}
		name := f.name("column_name")
		function := quoteName(f.name("function_keyspace")) + "." + quoteName(f.name("function_name"))
		if f.err != nil {
			return nil, f.err
		}
		arguments := make([]string, len(values))
		for i := range values {
			arguments[i] = "null"
			if !nulls[i] {
				arguments[i] = literal(types[i], values[i])
			}
		}
		masks[name] = " MASKED WITH " + function + "(" + strings.Join(arguments, ", ") + ")"
	}
	return masks, nil
}

// literal makes a term of the text of a value, which the rows of masks hold.
func literal(cqlType, text string) string {
	switch cqlType {
	case "ascii", "text", "varchar", "date", "inet", "time", "timestamp":
		return quoteText(text)
	case "blob":
		return "0x" + strings.TrimPrefix(text, "0x")
	}
	return text
}
