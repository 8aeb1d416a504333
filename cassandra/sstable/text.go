package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDigest and MaxTOC are the most bytes a reader need take from a digest or
// TOC component. A digest is at most ten digits. A TOC names some ten components
// and a few more per index; 2.1 to 4.1 append lines again and again.
const (
	MaxDigest = 64
	MaxTOC    = 1 << 20
)

// ParseDigest reads the text of a digest component: the CRC32 (2.2 and older:
// Adler32) of the whole Data.db as an unsigned decimal number.
func ParseDigest(b []byte) (uint32, error) {
	if len(b) > MaxDigest {
		return 0, fmt.Errorf("digest of %d bytes, more than %d", len(b), MaxDigest)
	}
	v, err := strconv.ParseUint(string(bytes.TrimRight(b, "\r\n")), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("digest %q is not a 32 bit decimal number", b)
	}
	return uint32(v), nil
}

// ParseTOC reads the text of a TOC component: the component names of the
// SSTable, one a line, in the order of the file. Lines that Cassandra appended
// twice come once. The list may name components that a snapshot has not.
func ParseTOC(b []byte) ([]string, error) {
	if len(b) > MaxTOC {
		return nil, fmt.Errorf("TOC of %d bytes, more than %d", len(b), MaxTOC)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("TOC is not UTF-8 text")
	}
	var names []string
	seen := make(map[string]bool)
	for line := range strings.Lines(string(b)) {
		name := strings.TrimSpace(line)
		if name == "" || seen[name] {
			continue
		}
		if len(name) > maxName || strings.ContainsFunc(name, notInName) {
			return nil, fmt.Errorf("TOC line %q is not a component name", name)
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, nil
}

func notInName(r rune) bool { return r == '/' || r < 0x20 || r == 0x7f }
