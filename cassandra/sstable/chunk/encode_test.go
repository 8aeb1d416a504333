package chunk

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// TestAppendBlock holds the bytes of small blocks.
func TestAppendBlock(t *testing.T) {
	tests := []struct {
		what, plain string
		early, late string // late where it differs
	}{
		{"nothing is one token", "", "00", ""},
		{"12 bytes are literals", strings.Repeat("a", 12), "c0" + strings.Repeat("61", 12), ""},
		{"15 literals take a length byte", "abcdefghijklmno", "f000" + hex.EncodeToString([]byte("abcdefghijklmno")), ""},
		{"13 equal bytes: only late looks at the last position", strings.Repeat("a", 13), "d0" + strings.Repeat("61", 13), "13610100506161616161"},
		{"14 equal bytes", strings.Repeat("a", 14), "14610100506161616161", ""},
	}
	for _, tt := range tests {
		if tt.late == "" {
			tt.late = tt.early
		}
		for d, want := range map[Dialect]string{Early: tt.early, Late: tt.late} {
			got := NewEncoder(d).AppendBlock([]byte("before"), []byte(tt.plain))
			if hex.EncodeToString(got) != hex.EncodeToString([]byte("before"))+want {
				t.Errorf("%s: %v gives %x, want %s", tt.what, d, got[6:], want)
			}
		}
	}
}

// TestBlocksComeBack decodes blocks of every kind, in sizes around what the format and the
// encoder treat differently, with an encoder that has other blocks behind it.
func TestBlocksComeBack(t *testing.T) {
	r := seeded(t)
	sizes := []int{0, 1, 11, 12, 13, 14, 20, 255, 4096, 16 << 10, 65535, 65536, smallLimit - 1, smallLimit, 200 << 10}
	for _, d := range []Dialect{Early, Late} {
		e := NewEncoder(d)
		for _, kind := range kinds {
			for _, n := range append(sizes, r.IntN(100_000)) {
				plain := make([]byte, n)
				kind.fill(r, plain)
				block := e.AppendBlock(nil, plain)
				if len(block) > BlockBound(n) {
					t.Fatalf("%v: %d bytes of %s make a block of %d", d, n, kind.name, len(block))
				}
				got := make([]byte, n)
				if m, err := DecodeBlock(got, block); err != nil || !bytes.Equal(got[:m], plain) {
					t.Fatalf("%v: %d bytes of %s come back as %d, %v", d, n, kind.name, m, err)
				}
			}
		}
	}
}
