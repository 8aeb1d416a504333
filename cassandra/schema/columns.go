package schema

import (
	"fmt"
	"strings"
)

// columns takes what stands between the parentheses of a table or type.
func (p *parser) columns(s *Statement) {
	p.need(p.mark("("), "(")
	for p.err == nil && !p.mark(")") {
		if p.words("primary", "key") {
			p.key(s)
		} else {
			c, alone := p.column()
			if alone {
				c.Key = "partition 0"
			}
			s.Columns = append(s.Columns, c)
		}
		if !p.mark(",") {
			p.need(p.peek().text == ")", ")")
		}
	}
}

// column takes a column; alone reports that it is the primary key.
func (p *parser) column() (c Column, alone bool) {
	c.Name = p.name()
	c.Type = p.cqlType()
	if p.words("static") {
		c.Key = "static"
	}
	alone = p.words("primary", "key")
	if p.words("masked", "with") {
		p.qualified()
		if p.mark("(") {
			p.skip()
		}
	}
	return c, alone
}

// skip passes over the rest of what is in parentheses.
func (p *parser) skip() {
	for depth := 1; depth > 0 && p.err == nil; {
		p.need(len(p.left) > 0, ")")
		switch t := p.take(); {
		case t.is == lexMark && t.text == "(":
			depth++
		case t.is == lexMark && t.text == ")":
			depth--
		}
	}
}

// key takes (a, b) or ((a, b), c).
func (p *parser) key(s *Statement) {
	p.need(p.mark("("), "(")
	var partition []string
	if p.mark("(") {
		partition = p.names()
	} else {
		partition = []string{p.name()}
	}
	var clustering []string
	if p.mark(",") {
		clustering = p.names()
	} else {
		p.need(p.mark(")"), ")")
	}
	for kind, list := range map[string][]string{"partition": partition, "clustering": clustering} {
		for i, n := range list {
			if at := s.column(n); at != nil {
				at.Key = fmt.Sprint(kind, " ", i)
			} else if p.err == nil {
				p.err = errKey
			}
		}
	}
}

// names takes names up to the closing parenthesis.
func (p *parser) names() (all []string) {
	for p.err == nil {
		all = append(all, p.name())
		if p.mark(")") {
			return all
		}
		p.need(p.mark(","), ")")
	}
	return all
}

// cqlType takes a type: a string, or a name and perhaps what it is of.
func (p *parser) cqlType() string {
	if p.peek().is == lexText {
		return p.take().text
	}
	keyspace, id := p.qualified()
	out := quoteType(id)
	if keyspace != "" {
		out = quoteType(keyspace) + "." + out
	}
	if !p.mark("<") {
		return out
	}
	var b strings.Builder
	b.WriteString(out + "<")
	for depth := 1; depth > 0 && p.err == nil; {
		p.need(len(p.left) > 0, ">")
		t := p.take()
		id, named := t.identifier()
		switch {
		case t.text == "<":
			depth++
		case t.text == ">":
			depth--
		}
		switch {
		case named:
			b.WriteString(quoteType(id))
		case t.text == ",":
			b.WriteString(", ")
		default:
			b.WriteString(t.text)
		}
	}
	return b.String()
}
