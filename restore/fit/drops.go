package fit

import (
	"strconv"
	"strings"
)

// Drop is a column that a table of the backup had lost before the backup.
type Drop struct {
	Keyspace, Table, Column string
	Micros                  int64 // cells written up to then are gone
	Again                   bool  // a column of the name was added afterwards
}

// maxDrops bounds what is held of a text of the schema. A table rarely loses more columns than it has.
const maxDrops = 1 << 20

// Drops finds the dropped columns in the text of a schema, as DESCRIBE … WITH INTERNALS and backups have them:
//
//	ALTER TABLE ks.t DROP col USING TIMESTAMP 1700000000000000;
//	ALTER TABLE ks.t ADD col int;
func Drops(cql string) []Drop {
	var drops []Drop
	at := make(map[[3]string]int)
	for len(cql) > 0 && len(drops) < maxDrops {
		var words []string
		words, cql = cutStatement(cql)
		if len(words) < 7 || !isKeyword(words[0], "alter") || !isKeyword(words[1], "table") || words[3] != "." {
			continue
		}
		key := [3]string{unquote(words[2]), unquote(words[4]), unquote(words[6])}
		i, known := at[key]
		switch {
		case isKeyword(words[5], "add") && known:
			drops[i].Again = true
		case isKeyword(words[5], "drop") && len(words) == 10 && isKeyword(words[7], "using"):
			micros, err := strconv.ParseInt(words[9], 10, 64)
			if err != nil {
				continue
			}
			at[key] = len(drops)
			drops = append(drops, Drop{key[0], key[1], key[2], micros, false})
		}
	}
	return drops
}

// maxWords is how many words of a statement are kept: those of a DROP.
const maxWords = 10

// cutStatement cuts a statement off and gives its first words and signs. Names stay between their quotes.
func cutStatement(cql string) (words []string, rest string) {
	for len(cql) > 0 {
		n := 1
		switch c := cql[0]; {
		case c == ';':
			return words, cql[1:]
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			cql = cql[1:]
			continue
		case strings.HasPrefix(cql, "--") || strings.HasPrefix(cql, "//"):
			cql = cql[through(cql, 2, "\n"):]
			continue
		case strings.HasPrefix(cql, "/*"):
			cql = cql[through(cql, 2, "*/"):]
			continue
		case strings.HasPrefix(cql, "$$"):
			n = through(cql, 2, "$$")
		case c == '\'' || c == '"':
			n = quoted(cql, cql[:1])
		case isWord(c):
			for n < len(cql) && isWord(cql[n]) {
				n++
			}
		}
		if len(words) <= maxWords {
			words = append(words, cql[:n])
		}
		cql = cql[n:]
	}
	return words, ""
}

// through is where what ends something, searched from a place on, is over.
func through(text string, from int, end string) int {
	if i := strings.Index(text[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(text)
}

// quoted is the length of a quoted text; a doubled quote is one of the text.
func quoted(text, quote string) int {
	n := through(text, 1, quote)
	for n < len(text) && text[n] == quote[0] {
		n = through(text, n+1, quote)
	}
	return n
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isKeyword(word, keyword string) bool { return strings.EqualFold(word, keyword) }

// unquote is the name that a word of CQL stands for.
func unquote(word string) string {
	if name, ok := strings.CutPrefix(word, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(name, `"`), `""`, `"`)
	}
	return strings.ToLower(word)
}
