package ring

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Bounds on a host list. A line of it has two host names: 10,000 such lines are
// far below the bytes.
const (
	maxHostListBytes = 1 << 20
	maxHostListLines = 10_000
	// maxHostName is what DNS allows; the text of an address is shorter.
	maxHostName = 253
)

// Pair is a line of a host list: the target takes the place of the source.
type Pair struct {
	Seed   bool   // the target is a seed of its cluster
	Target string // address or host name
	Source string // address, host id or node name of a member of the backup's ring
	Line   int    // of the list, from 1
}

// HostList says node by node which target takes whose place. No two of its pairs
// have the same target or the same source.
type HostList []Pair

// ListError is what is wrong with a host list, or with what it says.
type ListError struct {
	Line int // from 1; 0 for the list as a whole
	Err  error
}

// Error implements error.
func (e *ListError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("host list: %v", e.Err)
	}
	return fmt.Sprintf("line %d of the host list: %v", e.Line, e.Err)
}

// Unwrap is the reason.
func (e *ListError) Unwrap() error { return e.Err }

// ReadHostList reads a host list as Medusa's users have it: CSV without a header,
// is_seed,target,source, where is_seed is True or False in any case. Blank lines
// and those that begin with # say nothing. What is wrong is a *ListError; errors
// of the reader are passed on.
func ReadHostList(r io.Reader) (HostList, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxHostListBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read host list: %w", err)
	}
	if len(text) > maxHostListBytes {
		return nil, &ListError{Err: fmt.Errorf("it is longer than %d bytes", maxHostListBytes)}
	}
	if n := bytes.Count(text, []byte{'\n'}); n > maxHostListLines {
		return nil, &ListError{Err: fmt.Errorf("%d lines are more than %d", n, maxHostListLines)}
	}
	return parseHostList(bytes.TrimPrefix(text, []byte("\ufeff"))) // spreadsheets put a byte order mark before
}

func parseHostList(text []byte) (HostList, error) {
	lines := csv.NewReader(bytes.NewReader(text))
	lines.Comment, lines.FieldsPerRecord, lines.TrimLeadingSpace = '#', -1, true
	var list HostList
	targets, sources := make(map[string]int), make(map[string]int)
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := lines.FieldPos(0)
		pair, err := parsePair(fields)
		if err == nil && pair != nil {
			err = cmp.Or(once(targets, "target", pair.Target, line), once(sources, "source", pair.Source, line))
		}
		if err != nil {
			return nil, &ListError{line, err}
		}
		if pair != nil {
			pair.Line = line
			list = append(list, *pair)
		}
	}
	if len(list) == 0 {
		return nil, &ListError{Err: errors.New("it names no node")}
	}
	return list, nil
}

func csvError(err error) error {
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return &ListError{syntax.StartLine, syntax.Err}
	}
	return &ListError{Err: err}
}

// parsePair is nil for a line of white space, and for a comment behind some.
func parsePair(fields []string) (*Pair, error) {
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	if strings.HasPrefix(fields[0], "#") || len(fields) == 1 && fields[0] == "" {
		return nil, nil
	}
	if len(fields) != 3 {
		return nil, fmt.Errorf("it has %d fields, not is_seed,target,source", len(fields))
	}
	seed := strings.EqualFold(fields[0], "true")
	if !seed && !strings.EqualFold(fields[0], "false") {
		return nil, fmt.Errorf("is_seed is %.20q, not True or False", fields[0])
	}
	pair := &Pair{Seed: seed, Target: fields[1], Source: fields[2]}
	return pair, cmp.Or(checkName("target", pair.Target), checkName("source", pair.Source))
}

// checkName refuses what is no name of a host. Names go to other programs on
// their command lines, where one that begins with - would be an option.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("the %s is empty", what)
	case len(name) > maxHostName:
		return fmt.Errorf("the %s has %d bytes, more than %d", what, len(name), maxHostName)
	case name[0] == '-':
		return fmt.Errorf("the %s %q begins with -", what, name)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == unicode.ReplacementChar }):
		return fmt.Errorf("the %s %q is no name of a host", what, name)
	}
	return nil
}

// once notes on which line a name stands and refuses it on a second one.
func once(seen map[string]int, what, name string, line int) error {
	key := nameKey(name)
	if before, twice := seen[key]; twice {
		return fmt.Errorf("%s %s stands on line %d too", what, name, before)
	}
	seen[key] = line
	return nil
}
