package node

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// masked stands where a secret stood. It means nothing to YAML, shells and URLs,
// so that a masked file still parses.
const masked = "MASKED-BY-CBK"

// span is a piece of a text, from its first byte to the one after its last.
type span struct{ from, to int }

// Names of settings whose values are secrets, in lower case. Whatever ends in
// file, path or class tells where a secret is or who checks it, not what it is;
// tokens of a node are places on the ring.
var (
	secretName = regexp.MustCompile(`passw(or)?d|passphrase|secret|credential|private[._-]?key|access[._-]?key|api[._-]?key|(^|[._-]|[a-z])token$`)
	harmless   = regexp.MustCompile(`(file|path|dir|class|class_?name)$|initial[._-]?token$|replace[._-]?token$|^credentials_(validity|update|cache)|password_(validator|generator|policy)`)
)

// secretKey tells whether the value of a setting is a secret.
func secretKey(name string) bool {
	name = strings.ToLower(name)
	return secretName.MatchString(name) && !harmless.MatchString(name)
}

// setting finds the names of settings in a text and, behind a name that is that
// of a secret, its value. Values are looked at behind such names only: a quoted
// value of another may hold settings of its own.
type setting struct{ name, value *regexp.Regexp }

// Where secrets stand in texts that are not YAML.
var (
	word = regexp.MustCompile(`^(?:"(?:\\.|[^"\\])+"|'[^']+'|(?:\\.|[^\s"'\\])+)`)
	// NAME=VALUE and NAME: VALUE, the value to the end of the line.
	lineSetting = setting{regexp.MustCompile(`([\w.\-]+)[ \t]*[=:][ \t]*`), regexp.MustCompile(`^\S(?:[^\n]*[^\s])?`)}
	// NAME=VALUE in a shell script or a URL, the value a word or quoted.
	wordSetting = setting{regexp.MustCompile(`([\w.\-]+)=`), word}
	// --password VALUE, as programs take it.
	argument = setting{regexp.MustCompile(`(?:^|\s)(--?[\w\-]+)[ \t]+`), word}
	// <password>VALUE</password> in XML.
	element = setting{regexp.MustCompile(`<([\w.\-]+)>`), regexp.MustCompile(`^[^<\s][^<]*`)}
	// A setting of cassandra.yaml that is commented out: no prose.
	commented = setting{regexp.MustCompile(`(?m)^[ \t]*#[# \t]*(?:- )?([\w.\-]+)[ \t]*:[ \t]+`), regexp.MustCompile(`^\S+[ \t]*\r?(?:$|\n)`)}
	// scheme://user:PASSWORD@host.
	userinfo = regexp.MustCompile(`\w://[^\s/:@"']*:([^\s/@"']+)@`)
)

func named(text []byte, s setting) []span {
	var found []span
	for _, m := range s.name.FindAllSubmatchIndex(text, -1) {
		if name := string(text[m[2]:m[3]]); !secretKey(name) && name != "-pw" {
			continue
		}
		if v := s.value.Find(text[m[1]:]); v != nil {
			found = append(found, span{m[1], m[1] + len(bytes.TrimSpace(v))})
		}
	}
	return found
}

func inURLs(text []byte) []span {
	var found []span
	for _, m := range userinfo.FindAllSubmatchIndex(text, -1) {
		found = append(found, span{m[2], m[3]})
	}
	return found
}

// wholeLines finds secrets in a file with a setting a line.
func wholeLines(text []byte) []span {
	return slices.Concat(named(text, lineSetting), words(text))
}

// words finds secrets in a shell script, a command or XML.
func words(text []byte) []span {
	return slices.Concat(named(text, wordSetting), named(text, argument), named(text, element), inURLs(text))
}

// mask replaces the secrets that find finds and counts them. Of two that overlap
// the longer one counts.
func mask(text []byte, find func([]byte) []span) ([]byte, int) {
	found := find(text)
	slices.SortFunc(found, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	var out bytes.Buffer
	count, at := 0, 0
	for _, s := range found {
		if s.to <= at {
			continue
		}
		if s.from >= at {
			out.Write(text[at:s.from])
			out.WriteString(masked)
			count++
		}
		at = s.to
	}
	out.Write(text[at:])
	return out.Bytes(), count
}

// Mask returns the value of a setting fit to be shown: nothing of a secret, and
// of any other value nothing that looks like one, such as the password in a URL
// or behind -Djavax.net.ssl.keyStorePassword=.
func Mask(key, value string) string {
	if value != "" && secretKey(key) {
		return masked
	}
	shown, _ := mask([]byte(value), words)
	return string(shown)
}

// MaskCommand returns the words of a command fit to be shown.
func MaskCommand(argv []string) []string {
	var shown []string
	for i, word := range argv {
		if i > 0 && passwordFlag(argv[i-1]) {
			word = masked
		}
		shown = append(shown, Mask("", word))
	}
	return shown
}

func passwordFlag(word string) bool {
	return word == "-pw" || strings.HasPrefix(word, "-") && !strings.Contains(word, "=") && secretKey(word)
}
