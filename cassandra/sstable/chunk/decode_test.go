package chunk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestDecodeBlock(t *testing.T) {
	tests := []struct {
		what, block, want string
	}{
		{"nothing", "00", ""},
		{"literals", "30616263", "abc"},
		{"a match that repeats one byte", "1461010050" + "6263646566", "a" + "aaaaaaaa" + "bcdef"},
		{"a match that repeats three bytes", "30616263030050" + "7675747372", "abc" + "abca" + "vutsr"},
		{"a match without literals after another", "4061626364" + "0400" + "000800" + "10" + "65", "abcdabcdabcde"},
		{"a length of 15 and 0", "f000" + hex.EncodeToString([]byte("0123456789abcde")), "0123456789abcde"},
		{"an end without literals", "106101000" + "0", "aaaaa"},
	}
	for _, tt := range tests {
		dst := make([]byte, 64)
		n, err := DecodeBlock(dst, unhex(t, tt.block))
		if err != nil || string(dst[:n]) != tt.want {
			t.Errorf("%s: %q, %v", tt.what, dst[:n], err)
		}
		if n, err := DecodeBlock(make([]byte, len(tt.want)), unhex(t, tt.block)); err != nil || n != len(tt.want) {
			t.Errorf("%s, with just the room: %d, %v", tt.what, n, err)
		}
	}
}

func TestDecodeBlockRefuses(t *testing.T) {
	tests := []struct {
		what, block string
		room        int
	}{
		{"no token", "", 64},
		{"a length that is cut off", "f0", 64},
		{"a length of 255s that is cut off", "f0ffffff", 64},
		{"literals that are cut off", "306162", 64},
		{"an offset that is cut off", "106101", 64},
		{"a match length that is cut off", "1f610100", 64},
		{"a match and no token after it", "14610100", 64},
		{"an offset of zero", "10610000" + "50" + "6262626262", 64},
		{"an offset before the block", "10610200" + "50" + "6262626262", 64},
		{"an offset before the block, far from its end", "10610900" + "f009" + strings.Repeat("62", 24), 64},
		{"a match length and no match", "31616263", 64},
		{"literals beyond the room", "30616263", 2},
		{"a match beyond the room", "10610100" + "10" + "62", 4},
		{"a length beyond the room", "1f610100" + "ffffffff00" + "10" + "62", 64},
	}
	for _, tt := range tests {
		if n, err := DecodeBlock(make([]byte, tt.room, 1<<12), unhex(t, tt.block)); !errors.Is(err, ErrCorrupt) || n != 0 {
			t.Errorf("%s: %d, %v", tt.what, n, err)
		}
	}
}

// TestDecodeBlockStaysInside decodes blocks that fill their room exactly, and such with less
// room, and looks at what lies behind.
func TestDecodeBlockStaysInside(t *testing.T) {
	r := seeded(t)
	e := NewEncoder(Early)
	guard := bytes.Repeat([]byte{0xa5}, 64)
	for range 2000 {
		plain := make([]byte, r.IntN(400))
		kinds[r.IntN(len(kinds))].fill(r, plain)
		block := e.AppendBlock(nil, plain)
		room := len(plain)
		if r.IntN(2) == 0 {
			room = r.IntN(len(plain) + 1)
		}
		buf := append(make([]byte, room), guard...)
		n, err := DecodeBlock(buf[:room], block)
		if (err == nil) != (room == len(plain)) || err == nil && !bytes.Equal(buf[:n], plain) {
			t.Fatalf("%d bytes in the room of %d: %d, %v", len(plain), room, n, err)
		}
		if !bytes.Equal(buf[room:], guard) {
			t.Fatalf("%d bytes in the room of %d are written beyond it", len(plain), room)
		}
	}
}

// TestDecodeBlockStaysInsideAtItsEnds has a sequence of each short length at each distance
// from the end of the block and of the room.
func TestDecodeBlockStaysInsideAtItsEnds(t *testing.T) {
	guard := bytes.Repeat([]byte{0xa5}, 64)
	letters := []byte("abcdefghijklmnopqrstuvwxyz")
	for run := 8; run < 15; run++ {
		for more := range 15 {
			for tail := range 15 {
				block := append([]byte{byte(run<<4 | more)}, letters[:run]...)
				block = append(block, byte(run), 0, byte(tail<<4))
				block = append(block, letters[:tail]...)
				want := bytes.Repeat(letters[:run], 4)[:run+minMatch+more]
				want = append(want, letters[:tail]...)
				buf := append(make([]byte, len(want)), guard...)
				n, err := DecodeBlock(buf[:len(want)], block)
				if err != nil || !bytes.Equal(buf[:n], want) || !bytes.Equal(buf[len(want):], guard) {
					t.Fatalf("%d literals, match of %d, %d literals: %q, %v", run, minMatch+more, tail, buf, err)
				}
			}
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
