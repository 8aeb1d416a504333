package node

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// yamlSecrets finds the values of secret settings in a YAML text, those in
// comments too. It works on positions, so that nothing is written anew. A text
// that does not parse is taken line by line.
func yamlSecrets(text []byte) []span {
	s := secrets{text: text, lines: lineStarts(text)}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return wholeLines(text)
		}
		s.walk(&doc, false)
	}
	return slices.Concat(s.found, named(text, commented), named(text, wordSetting), inURLs(text))
}

type secrets struct {
	text  []byte
	lines []int // where each line begins
	found []span
}

func lineStarts(text []byte) []int {
	starts := []int{0}
	for i, b := range text {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// walk looks at a node; below the name of a secret all is secret.
func (s *secrets) walk(n *yaml.Node, secret bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			s.walk(n.Content[i+1], secret || secretKey(n.Content[i].Value))
		}
	case yaml.AliasNode:
		if secret && n.Alias.Kind == yaml.ScalarNode { // its text stands elsewhere, under another name
			s.walk(n.Alias, true)
		}
	case yaml.ScalarNode:
		if secret && n.Value != "" && n.Tag != "!!null" {
			s.add(n)
		}
	default:
		for _, c := range n.Content {
			s.walk(c, secret)
		}
	}
}

func (s *secrets) add(n *yaml.Node) {
	if n.Line < 1 || n.Line > len(s.lines) {
		return
	}
	at := s.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(s.text[at:])
		at += size
	}
	at += len(properties(s.text[at:]))
	s.found = append(s.found, span{at, at + written(s.text[at:], n)})
}

// properties are the anchor and the tag before a value, with the blanks behind.
func properties(text []byte) []byte {
	end := 0
	for end < len(text) && (text[end] == '&' || text[end] == '!') {
		for end < len(text) && !unicode.IsSpace(rune(text[end])) {
			end++
		}
		for end < len(text) && unicode.IsSpace(rune(text[end])) {
			end++
		}
	}
	return text[:end]
}

// written is how many bytes a scalar takes where it stands.
func written(text []byte, n *yaml.Node) int {
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		return quoted(text, '\'', '\'')
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return quoted(text, '"', '\\')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		header := max(0, bytes.IndexByte(text, '\n'))
		return header + folded(text[header:], n.Value)
	}
	return folded(text, n.Value)
}

// quoted is the length of a quoted scalar, in which escape goes before what
// would end it.
func quoted(text []byte, quote, escape byte) int {
	for i := 1; i < len(text); i++ {
		next := i+1 < len(text)
		switch {
		case text[i] == escape && next && (escape != quote || text[i+1] == quote):
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

// folded is the length of a scalar that is its value but for blanks and line
// breaks.
func folded(text []byte, value string) int {
	end := 0
	for _, r := range value {
		if unicode.IsSpace(r) {
			continue
		}
		for end < len(text) && unicode.IsSpace(rune(text[end])) {
			end++
		}
		end += utf8.RuneLen(r)
	}
	return min(end, len(text))
}
