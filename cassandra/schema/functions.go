package schema

import (
	"fmt"
	"strings"
)

func (k *keyspace) writeFunctions() error {
	functions, err := elements("functions", k.rows.Functions, "function_name", "argument_types")
	if err != nil {
		return err
	}
	for _, f := range functions {
		names, types := value[[]string](f.fields, "argument_names"), value[[]string](f.fields, "argument_types")
		if len(names) != len(types) {
			f.fail("function %s has %d names of arguments and %d types", f.name, len(names), len(types))
		}
		onNull := "RETURNS NULL"
		if value[bool](f.fields, "called_on_null_input") {
			onNull = "CALLED"
		}
		returns, language, body := need[string](f.fields, "return_type"), need[string](f.fields, "language"), need[string](f.fields, "body")
		if f.err != nil {
			return f.err
		}
		arguments := make([]string, len(names))
		for i := range names {
			arguments[i] = quoteName(names[i]) + " " + thawed(types[i])
		}
		k.add(fmt.Sprintf("CREATE FUNCTION %s(%s)\n    %s ON NULL INPUT\n    RETURNS %s\n    LANGUAGE %s\n    AS %s;",
			k.qualified(f.name), strings.Join(arguments, ", "), onNull, thawed(returns), language, quoteBody(body)))
	}
	return nil
}

func (k *keyspace) writeAggregates() error {
	aggregates, err := elements("aggregates", k.rows.Aggregates, "aggregate_name", "argument_types")
	if err != nil {
		return err
	}
	for _, a := range aggregates {
		var types []string
		for _, t := range value[[]string](a.fields, "argument_types") {
			types = append(types, thawed(t))
		}
		lines := []string{
			fmt.Sprintf("CREATE AGGREGATE %s(%s)", k.qualified(a.name), strings.Join(types, ", ")),
			"SFUNC " + quoteName(a.fields.name("state_func")),
			"STYPE " + thawed(need[string](a.fields, "state_type")),
		}
		if final := value[string](a.fields, "final_func"); final != "" {
			lines = append(lines, "FINALFUNC "+quoteName(final))
		}
		if first := value[string](a.fields, "initcond"); first != "" {
			lines = append(lines, "INITCOND "+first) // the rows hold it as CQL
		}
		if a.err != nil {
			return a.err
		}
		k.add(strings.Join(lines, "\n    "), ";")
	}
	return nil
}
