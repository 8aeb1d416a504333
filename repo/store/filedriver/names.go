package filedriver

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrInvalidKey marks a key that cannot be a file name here: empty, not UTF-8
// or with a part longer than a file name may be.
var ErrInvalidKey = errors.New("invalid object key")

// maxPart is NAME_MAX of every file system in use, in bytes.
const maxPart = 255

// emptyPart stands for the empty part of keys such as "a//b". A lone percent
// sign cannot come from encodePart, which follows each with two digits.
const emptyPart = "%"

// keyPath maps a key to a relative path: parts between slashes become file
// names, in which bytes that are special to a file system are written %XX. A
// leading dot is special too, so that ".." cannot climb and dot files stay
// outside the name space.
func keyPath(key string) (string, error) {
	if key == "" || !utf8.ValidString(key) {
		return "", fmt.Errorf("%w %q", ErrInvalidKey, key)
	}
	parts := strings.Split(key, "/")
	for i, part := range parts {
		parts[i] = encodePart(part)
		if len(parts[i]) > maxPart {
			return "", fmt.Errorf("%w: part %d of %q exceeds %d bytes", ErrInvalidKey, i+1, key, maxPart)
		}
	}
	return strings.Join(parts, "/"), nil
}

// encodePart writes one part of a key as a file name.
func encodePart(part string) string {
	if part == "" {
		return emptyPart
	}
	if ordinary(part) {
		return part
	}
	var b strings.Builder
	for i := range len(part) {
		if c := part[i]; special(c) || i == 0 && c == '.' {
			fmt.Fprintf(&b, "%%%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// ordinary reports a part that is its own file name, as nearly all are.
func ordinary(part string) bool {
	for i := range len(part) {
		if special(part[i]) {
			return false
		}
	}
	return part[0] != '.'
}

// special reports bytes that are escaped wherever they stand: control bytes,
// the escape itself, and the separator of other systems.
func special(c byte) bool {
	return c < 0x20 || c == 0x7f || c == '%' || c == '\\'
}

// decodePart reverses encodePart; false if encodePart never writes name, so
// that a stranger's file cannot pose as a second spelling of an object.
func decodePart(name string) (string, bool) {
	part, ok := unescape(name)
	return part, ok && encodePart(part) == name
}

func unescape(name string) (string, bool) {
	if name == emptyPart {
		return "", true
	}
	if strings.IndexByte(name, '%') < 0 {
		return name, true
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' {
			if i+2 >= len(name) {
				return "", false
			}
			if _, err := fmt.Sscanf(name[i+1:i+3], "%02x", &c); err != nil {
				return "", false
			}
			i += 2
		}
		b.WriteByte(c)
	}
	return b.String(), true
}
