package fit

import (
	"fmt"
	"io"
)

// Print writes what was found for people: what refuses for good, what refuses unless accepted, what is only told, then the
// statements that mend the schema.
func (r *Result) Print(w io.Writer) {
	for _, part := range []struct {
		mark string
		in   func(Risk) bool
	}{
		{"  x  ", func(k Risk) bool { return k.Final }},
		{"  !  ", func(k Risk) bool { return k.Refuses && !k.Final }},
		{"  -  ", func(k Risk) bool { return !k.Refuses && !k.Final }},
	} {
		for _, k := range r.Risks {
			if part.in(k) {
				fmt.Fprintf(w, "%s%s\n", part.mark, k)
			}
		}
	}
	for _, s := range r.Mend() {
		fmt.Fprintf(w, "  cql> %s\n", s)
	}
}

// Mend are the statements, in order, that make the columns of the target fit.
func (r *Result) Mend() []string {
	var all []string
	for _, t := range r.Tables {
		for _, c := range t.Columns {
			all = append(all, c.Mend...)
		}
	}
	return all
}
