package schema

import (
	"encoding/hex"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// plainName is a name that CQL takes, as it is, without quotes.
var plainName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// reserved are the words that no name may be without quotes: reserved_keywords.txt of 3.11, 4.0, 4.1 and 5.0 together.
var reserved = func() map[string]bool {
	words := make(map[string]bool)
	for _, w := range strings.Fields(`
		add allow alter and apply asc authorize batch begin by columnfamily create default delete desc describe drop entries
		execute from full grant if in index infinity insert into is keyspace limit materialized mbean mbeans modify nan
		norecursive not null of on or order primary rename replace revoke schema select set table to token truncate unlogged
		unset update use using view where with`) {
		words[w] = true
	}
	return words
}()

// quoteName writes the name of a keyspace, table, column and so on.
func quoteName(name string) string {
	if plainName.MatchString(name) && !reserved[name] {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func quoteEach(names []string) []string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quoteName(n)
	}
	return quoted
}

func quoteNames(names []string) string { return strings.Join(quoteEach(names), ", ") }

// quoteText writes a string.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// quoteBody writes a function's body, between $$ where it holds none.
func quoteBody(s string) string {
	if strings.Contains(s, "$$") || strings.HasSuffix(s, "$") {
		return quoteText(s)
	}
	return "$$" + s + "$$"
}

// quoteMap writes a map of strings in the order of its keys.
func quoteMap(m map[string]string) string {
	return joinMap(m, quoteText)
}

// quoteBlobs writes a map of blobs in the order of its keys.
func quoteBlobs(m map[string][]byte) string {
	return joinMap(m, func(b []byte) string { return "0x" + hex.EncodeToString(b) })
}

func joinMap[T any](m map[string]T, write func(T) string) string {
	var entries []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		entries = append(entries, quoteText(k)+": "+write(m[k]))
	}
	return "{" + strings.Join(entries, ", ") + "}"
}

// quoteDouble writes a number as Java does, which DESCRIBE uses: 0.01, 1.0, 2.0E-4.
func quoteDouble(d float64) string {
	size := math.Abs(d)
	if size != 0 && (size < 1e-3 || size >= 1e7) && !math.IsInf(d, 0) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(d, 'e', -1, 64), "e")
		n, _ := strconv.Atoi(exponent)
		return withPoint(mantissa) + "E" + strconv.Itoa(n)
	}
	return withPoint(strconv.FormatFloat(d, 'f', -1, 64))
}

func withPoint(number string) string {
	if strings.ContainsAny(number, ".NI") {
		return number
	}
	return number + ".0"
}

// quoteUUID writes a UUID.
func quoteUUID(id [16]byte) string {
	h := hex.EncodeToString(id[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
