package schema

import (
	"regexp"
	"strings"
)

// plainType is what needs no quotes in a type: names, keywords among them, and the length of a vector.
var plainType = regexp.MustCompile(`^([a-z][a-z0-9_]*|[0-9]+)$`)

func quoteType(id string) string {
	switch {
	case id == "varchar": // another word for the same
		return "text"
	case plainType.MatchString(id):
		return id
	}
	return `"` + strings.ReplaceAll(id, `"`, `""`) + `"`
}

// SameType reports whether two types of columns, as [Parse] gives them, mean the same. What is within a collection or
// tuple is frozen whether or not it says so, which releases write differently, and so is a tuple.
func SameType(a, b string) bool { return thaw(a) == thaw(b) }

// thaw leaves of the words frozen only one at the beginning that means something.
func thaw(cqlType string) string {
	var out strings.Builder
	var open []bool // by <, whether it is of a frozen that is left out
	all := lex(cqlType)
	for i := 0; i < len(all); i++ {
		t := all[i]
		frozen := t.is == lexWord && t.text == "frozen" && i+1 < len(all) && all[i+1].text == "<"
		if frozen && (i > 0 || i+2 < len(all) && all[i+2].text == "tuple") {
			open = append(open, true)
			i++ // the <
			continue
		}
		switch t.text {
		case "<":
			open = append(open, false)
		case ">":
			if len(open) == 0 {
				return cqlType
			}
			left := open[len(open)-1]
			open = open[:len(open)-1]
			if left {
				continue
			}
		}
		out.WriteString(t.text)
	}
	return out.String()
}
