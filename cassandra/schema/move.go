package schema

import "strings"

// In writes a statement for another keyspace: every name that the statement gives as one of its own keyspace is one of the
// other, and the ids of tables and views are left out, since they are taken. What stands in strings stays as it is.
func (s *Statement) In(keyspace string) string {
	tokens := s.withoutID()
	var b strings.Builder
	before := "" // the text of the last token that is no blank
	for i, t := range tokens {
		id, named := t.identifier()
		qualifies := before != "." && followed(tokens[i+1:], ".") || s.Kind == KindKeyspace && isNameOfKeyspace(before, tokens[i+1:])
		if named && id == s.Keyspace && qualifies {
			if i > 0 && tokens[i-1].is == lexWord { // its quotes parted them
				b.WriteByte(' ')
			}
			b.WriteString(quoteName(keyspace))
		} else {
			b.WriteString(t.text)
		}
		if t.is != lexBlank {
			before = t.text
		}
	}
	return b.String()
}

// followed reports whether a text is the next token that is no blank.
func followed(tokens []token, text string) bool {
	for _, t := range tokens {
		if t.is != lexBlank {
			return strings.EqualFold(t.text, text)
		}
	}
	return false
}

// isNameOfKeyspace tells the name in CREATE KEYSPACE [IF NOT EXISTS] name WITH.
func isNameOfKeyspace(before string, after []token) bool {
	for _, w := range []string{"keyspace", "schema", "exists"} {
		if strings.EqualFold(before, w) && followed(after, "with") {
			return true
		}
	}
	return false
}

// withoutID are the tokens but for ID = UUID, and one of the words WITH and AND that it stands between.
func (s *Statement) withoutID() []token {
	if s.Kind != KindTable && s.Kind != KindView {
		return s.tokens
	}
	for i, t := range s.tokens {
		isID := t.is == lexWord && strings.EqualFold(t.text, "id") && followed(s.tokens[i+1:], "=")
		if !isID {
			continue
		}
		end := idEnds(s.tokens, i)
		start := lastWord(s.tokens, i)
		if start < 0 {
			return s.tokens
		}
		if and := firstSolid(s.tokens, end); and >= 0 && strings.EqualFold(s.tokens[and].text, "and") {
			// WITH ID = x AND y: WITH stays, and so does the blank after AND.
			return append(append([]token(nil), s.tokens[:i]...), skipBlanks(s.tokens[and+1:])...)
		}
		return append(append([]token(nil), trimBlanks(s.tokens[:start])...), s.tokens[end:]...)
	}
	return s.tokens
}

// idEnds is the place after the UUID of the ID = UUID that begins at i.
func idEnds(tokens []token, i int) int {
	i = firstSolid(tokens, i+1) + 1 // after the =
	for i < len(tokens) && tokens[i].is == lexBlank {
		i++
	}
	for i < len(tokens) && (tokens[i].is == lexWord || tokens[i].text == "-") {
		i++
	}
	return i
}

// lastWord is the place of WITH or AND before i, -1 where neither stands there.
func lastWord(tokens []token, i int) int {
	for i--; i >= 0; i-- {
		if tokens[i].is == lexBlank {
			continue
		}
		if strings.EqualFold(tokens[i].text, "with") || strings.EqualFold(tokens[i].text, "and") {
			return i
		}
		return -1
	}
	return -1
}

// firstSolid is the first place from i on that is no blank, -1 where there is none.
func firstSolid(tokens []token, i int) int {
	for ; i < len(tokens); i++ {
		if tokens[i].is != lexBlank {
			return i
		}
	}
	return -1
}

func skipBlanks(tokens []token) []token {
	for len(tokens) > 0 && tokens[0].is == lexBlank {
		tokens = tokens[1:]
	}
	return tokens
}

func trimBlanks(tokens []token) []token {
	for len(tokens) > 0 && tokens[len(tokens)-1].is == lexBlank {
		tokens = tokens[:len(tokens)-1]
	}
	return tokens
}
