package sstable

import (
	"encoding/hex"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestTokensAreCassandras(t *testing.T) {
	text, err := os.ReadFile("testdata/tokens.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen, top := make(map[int]bool), 0
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] == "#" {
			continue
		}
		key, err := hex.DecodeString(strings.TrimPrefix(fields[0], "-"))
		if err != nil || len(fields) != 3 {
			t.Fatalf("line %q: %v", line, err)
		}
		if got := Token(key); strconv.FormatInt(got, 10) != fields[1] {
			t.Errorf("token of %x is %d, want %s", key, got, fields[1])
		}
		if got := RandomToken(key); got.String() != fields[2] {
			t.Errorf("random token of %x is %s, want %s", key, got, fields[2])
		}
		seen[len(key)] = true
		if Token(key) == math.MaxInt64 {
			top++
		}
	}
	for n := range 34 {
		if !seen[n] {
			t.Errorf("no key of %d bytes", n)
		}
	}
	// One hashes to the highest number, the other to the lowest.
	if top != 2 {
		t.Errorf("%d keys with the highest token, want 2", top)
	}
}
