package schema

import "strings"

// lexeme is what a token is.
type lexeme byte

const (
	lexBlank lexeme = iota // spaces and comments
	lexText                // 'text' or $$text$$
	lexName                // "name"
	lexWord                // a name or keyword without quotes, a number, or hex digits
	lexMark                // any other character
)

// token is a piece of CQL. The tokens of a text, joined, are the text, whatever it is.
type token struct {
	is   lexeme
	text string
}

// lex parts CQL into tokens. What is opened and not closed goes on to the end.
func lex(cql string) (all []token) {
	for cql != "" {
		t := next(cql)
		all = append(all, t)
		cql = cql[len(t.text):]
	}
	return all
}

// next is the first token of a text that is not empty.
func next(s string) token {
	switch c := s[0]; {
	case isBlank(c):
		return token{lexBlank, s[:span(s, isBlank)]}
	case strings.HasPrefix(s, "--"), strings.HasPrefix(s, "//"):
		return token{lexBlank, until(s, 2, "\n")}
	case strings.HasPrefix(s, "/*"):
		return token{lexBlank, until(s, 2, "*/")}
	case strings.HasPrefix(s, "$$"):
		return token{lexText, until(s, 2, "$$")}
	case c == '\'':
		return token{lexText, quoted(s)}
	case c == '"':
		return token{lexName, quoted(s)}
	case isWord(c):
		return token{lexWord, s[:span(s, isWord)]}
	}
	for i := range s { // a character may have several bytes
		if i > 0 {
			return token{lexMark, s[:i]}
		}
	}
	return token{lexMark, s}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// span is how many bytes s begins with that are of a kind.
func span(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return n
}

// until is the beginning of s up to and with end, which is looked for from a place on.
func until(s string, from int, end string) string {
	at := strings.Index(s[from:], end)
	if at < 0 {
		return s
	}
	return s[:from+at+len(end)]
}

// quoted is the beginning of s that stands between the quotes it begins with; a quote within is doubled.
func quoted(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			continue
		}
		if i+1 == len(s) || s[i+1] != s[0] {
			return s[:i+1]
		}
		i++
	}
	return s
}

// closed reports whether a token that opens something also ends it.
func (t token) closed() bool {
	switch {
	case t.is == lexText && strings.HasPrefix(t.text, "$$"):
		return len(t.text) >= 4 && strings.HasSuffix(t.text, "$$")
	case t.is == lexText || t.is == lexName:
		inner := strings.ReplaceAll(t.text[1:], t.text[:1]+t.text[:1], "")
		return strings.HasSuffix(inner, t.text[:1])
	case strings.HasPrefix(t.text, "/*"):
		return len(t.text) >= 4 && strings.HasSuffix(t.text, "*/")
	}
	return true
}

// identifier is the name that a token is, as Cassandra keeps it.
func (t token) identifier() (string, bool) {
	switch {
	case t.is == lexName && t.closed():
		return strings.ReplaceAll(t.text[1:len(t.text)-1], `""`, `"`), true
	case t.is == lexWord:
		return strings.ToLower(t.text), true
	}
	return "", false
}

// Split parts a text of CQL into its statements, each with the semicolon that ends it and with what stands before it.
// Joined, they are the text. Semicolons in strings, quoted names, bodies of functions and comments end nothing.
func Split(cql string) (statements []string) {
	from, at := 0, 0
	for at < len(cql) {
		t := next(cql[at:])
		at += len(t.text)
		if t.is == lexMark && t.text == ";" {
			statements = append(statements, cql[from:at])
			from = at
		}
	}
	if from < len(cql) {
		statements = append(statements, cql[from:])
	}
	return statements
}
