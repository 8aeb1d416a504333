package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind is what a statement makes.
type Kind string

// Kinds of statements. One of another kind is "".
const (
	KindKeyspace  Kind = "keyspace"
	KindType      Kind = "type"
	KindFunction  Kind = "function"
	KindAggregate Kind = "aggregate"
	KindTable     Kind = "table"
	KindIndex     Kind = "index"
	KindView      Kind = "view"
	KindTrigger   Kind = "trigger"
	KindDrop      Kind = "drop" // a column that was dropped
	KindAdd       Kind = "add"  // a column that was dropped and added again
)

// Statement is a statement of a schema. Names are as Cassandra keeps them, without quotes.
type Statement struct {
	Kind     Kind
	Keyspace string // empty where the statement does not name one
	Name     string // of what it makes, or of the column
	On       string // the table that an index, trigger or column is of, or a view's base table
	// Arguments are the types that tell functions of one name apart.
	Arguments []string
	Columns   []Column // of a table, or of a type its fields; the one that is added
	Query     string   // of a view: what it selects, in one form whatever the blanks and quotes
	CQL       string   // without comments and blanks before it; with its semicolon, where it has one

	tokens []token
}

// Column is a column of a table, or a field of a type.
type Column struct {
	Name string
	Type string // without blanks but after a comma; in small letters where it is not quoted
	Key  string // of a key column, what it is: "partition 0", "clustering 1 desc"; "static"; or empty
}

// Parse reads a statement as DESCRIBE and this package write them. One that is of no kind known here has the kind "" and
// nothing but its text.
func Parse(statement string) (*Statement, error) {
	all := lex(statement)
	for len(all) > 0 && all[0].is == lexBlank && all[0].closed() {
		all = all[1:]
	}
	s := &Statement{tokens: all, CQL: join(all)}
	p := &parser{}
	for _, t := range all {
		if !t.closed() {
			return nil, fmt.Errorf("CQL %.80q opens what it does not close", statement)
		}
		if t.is != lexBlank {
			p.left = append(p.left, t)
		}
	}
	if err := p.statement(s); err != nil {
		return nil, fmt.Errorf("CQL %.80q is not understood: %w", s.CQL, err)
	}
	return s, nil
}

func join(all []token) string {
	var b strings.Builder
	for _, t := range all {
		b.WriteString(t.text)
	}
	return b.String()
}

// ParseAll reads the statements of a text. A text without a statement has none.
func ParseAll(cql string) (all []*Statement, err error) {
	for _, one := range Split(cql) {
		s, err := Parse(one)
		if err != nil {
			return nil, err
		}
		if s.CQL != "" && s.CQL != ";" {
			all = append(all, s)
		}
	}
	return all, nil
}

// parser reads the tokens of a statement that are no blanks. Its first error is kept, and nothing is read after it.
type parser struct {
	left []token
	err  error
}

// peek is the next token, an empty mark at the end.
func (p *parser) peek() token {
	if p.err != nil || len(p.left) == 0 {
		return token{is: lexMark}
	}
	return p.left[0]
}

func (p *parser) take() token {
	t := p.peek()
	if p.err == nil && len(p.left) > 0 {
		p.left = p.left[1:]
	}
	return t
}

// words takes keywords if they are next, all of them.
func (p *parser) words(list ...string) bool {
	for i, w := range list {
		if p.err != nil || i >= len(p.left) || p.left[i].is != lexWord || !strings.EqualFold(p.left[i].text, w) {
			return false
		}
	}
	p.left = p.left[len(list):]
	return true
}

// mark takes a character if it is next.
func (p *parser) mark(c string) bool {
	if t := p.peek(); t.is != lexMark || t.text != c || c == "" {
		return false
	}
	p.take()
	return true
}

func (p *parser) need(ok bool, what string) {
	if !ok && p.err == nil {
		p.err = fmt.Errorf("%s is missing before %.40q", what, p.peek().text)
	}
}

func (p *parser) name() string {
	id, ok := p.peek().identifier()
	p.need(ok, "a name")
	p.take()
	return id
}

// qualified takes NAME or KEYSPACE.NAME.
func (p *parser) qualified() (keyspace, id string) {
	id = p.name()
	if p.mark(".") {
		return id, p.name()
	}
	return "", id
}

func (p *parser) statement(s *Statement) error {
	switch {
	case p.words("create", "keyspace"), p.words("create", "schema"):
		s.Kind = KindKeyspace
		p.absent()
		s.Keyspace = p.name()
		s.Name = s.Keyspace
	case p.words("create"):
		p.words("or", "replace")
		p.create(s)
	case p.words("alter", "table"):
		p.alter(s)
	}
	return p.err
}

// absent passes over IF NOT EXISTS.
func (p *parser) absent() { p.words("if", "not", "exists") }

func (p *parser) create(s *Statement) {
	for _, k := range []struct {
		kind  Kind
		words []string
		rest  func(*Statement)
	}{
		{KindType, []string{"type"}, p.columns},
		{KindFunction, []string{"function"}, p.arguments},
		{KindAggregate, []string{"aggregate"}, p.arguments},
		{KindTable, []string{"table"}, p.table},
		{KindView, []string{"materialized", "view"}, p.view},
		{KindIndex, []string{"custom", "index"}, nil},
		{KindIndex, []string{"index"}, nil},
		{KindTrigger, []string{"trigger"}, nil},
	} {
		if !p.words(k.words...) {
			continue
		}
		s.Kind = k.kind
		p.absent()
		if k.rest == nil {
			s.Name = p.name()
			p.need(p.words("on"), "ON")
			s.Keyspace, s.On = p.qualified()
			return
		}
		s.Keyspace, s.Name = p.qualified()
		k.rest(s)
		return
	}
}

func (p *parser) alter(s *Statement) {
	s.Keyspace, s.On = p.qualified()
	switch {
	case p.words("drop"):
		s.Kind, s.Name = KindDrop, p.name()
	case p.words("add"):
		s.Kind = KindAdd
		var c Column
		c, _ = p.column()
		s.Name, s.Columns = c.Name, []Column{c}
	default:
		s.Keyspace, s.On = "", ""
	}
}

// view takes a view's base table and what it selects of it.
func (p *parser) view(s *Statement) {
	var query []string
	note := func() {
		p.need(len(p.left) > 0, "the end of a view")
		t := p.take()
		if id, ok := t.identifier(); ok {
			t.text = quoteType(id)
		}
		query = append(query, t.text)
	}
	for p.err == nil && !p.words("from") {
		note()
	}
	_, s.On = p.qualified()
	query = append(query, "from", quoteType(s.On))
	for p.err == nil && !p.words("primary", "key") {
		note()
	}
	query = append(query, "primary key")
	for depth := 0; p.err == nil; {
		switch p.peek().text {
		case "(":
			depth++
		case ")":
			depth--
		}
		note()
		if depth == 0 {
			break
		}
	}
	s.Query = strings.Join(query, " ")
}

// arguments takes the types of a function's arguments, which have names there, or of an aggregate's.
func (p *parser) arguments(s *Statement) {
	p.need(p.mark("("), "(")
	for !p.mark(")") && p.err == nil {
		if s.Kind == KindFunction {
			p.name()
		}
		s.Arguments = append(s.Arguments, p.cqlType())
		if !p.mark(",") {
			p.need(p.peek().text == ")", ")")
		}
	}
}

var errKey = errors.New("the primary key names no column of the table")

// table takes the columns of a table, and how its clustering columns are ordered.
func (p *parser) table(s *Statement) {
	p.columns(s)
	for p.err == nil && len(p.left) > 0 {
		if !p.words("clustering", "order", "by") {
			p.take()
			continue
		}
		p.need(p.mark("("), "(")
		for p.err == nil && !p.mark(")") {
			at := s.column(p.name())
			if at == nil {
				p.err = errKey
				return
			}
			if p.words("desc") {
				at.Key += " desc"
			} else {
				p.words("asc")
			}
			p.mark(",")
		}
	}
}

// column is a column by its name, nil where there is none.
func (s *Statement) column(name string) *Column {
	i := slices.IndexFunc(s.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Columns[i]
}
