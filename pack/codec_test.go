package pack_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cbk/pack"
)

func newCodec(t testing.TB) *pack.Codec {
	t.Helper()
	c, err := pack.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryPlaintextComesBack(t *testing.T) {
	c := newCodec(t)
	sample := 64 << 10
	for _, in := range []struct {
		name  string
		plain []byte
	}{
		{"nothing", nil},
		{"one byte", []byte{7}},
		{"a few words", []byte("CREATE TABLE ks.t (k int PRIMARY KEY)")},
		{"just the size of the sample", text(sample)},
		{"one more than the sample", text(sample + 1)},
		{"the largest blob, of zeros", make([]byte, pack.MaxBlob)},
		{"the largest blob, of noise", noise(1, pack.MaxBlob)},
		{"the largest blob, of text", text(pack.MaxBlob)},
		{"noise around text", slices.Concat(noise(2, 1<<20), text(1<<20), noise(3, 1<<20))},
		{"text around noise", slices.Concat(text(1<<20), noise(4, 1<<20), text(1<<20))},
	} {
		t.Run(in.name, func(t *testing.T) {
			encoded := c.Encode([]byte("before"), in.plain)
			encoded, ok := bytes.CutPrefix(encoded, []byte("before"))
			if !ok || len(encoded) > len(in.plain)+1 {
				t.Fatalf("%d bytes became %d", len(in.plain), len(encoded))
			}
			got, err := c.Decode(nil, encoded, len(in.plain))
			if err != nil || !bytes.Equal(got, in.plain) {
				t.Fatalf("%d bytes came back as %d: %v", len(in.plain), len(got), err)
			}
		})
	}
}

func TestAnyBytesComeBackInAnyBuffer(t *testing.T) {
	c := newCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		plain := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "word"), rapid.IntRange(0, 50).Draw(t, "times"))
		dst := make([]byte, rapid.IntRange(0, 99).Draw(t, "len"), 100+rapid.IntRange(0, 9000).Draw(t, "cap"))
		got, err := c.Decode(dst, c.Encode(nil, plain), len(plain))
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes came back as %d: %v", len(plain), len(got), err)
		}
		if len(plain) > 0 && len(plain) <= cap(dst) && &got[0] != &dst[:1][0] {
			t.Fatal("the buffer given was large enough and not used")
		}
	})
}

func TestTheFirstByteNamesTheCodec(t *testing.T) {
	c := newCodec(t)
	for _, in := range []struct {
		name  string
		plain []byte
		codec byte
	}{
		{"nothing stays raw", nil, 0},
		{"short noise stays raw", noise(1, 100), 0},
		{"long noise stays raw", noise(1, 1<<20), 0},
		{"text is zstd", text(1 << 20), 1},
		{"short text is zstd", text(2000), 1},
	} {
		t.Run(in.name, func(t *testing.T) {
			encoded := c.Encode(nil, in.plain)
			if encoded[0] != in.codec {
				t.Errorf("codec %d", encoded[0])
			}
			if raw := len(encoded) == len(in.plain)+1; raw != (in.codec == 0) {
				t.Errorf("%d bytes became %d", len(in.plain), len(encoded))
			}
		})
	}
}

func TestEncodedBytesThatLieAreRefused(t *testing.T) {
	c := newCodec(t)
	plain := text(5000)
	packed, raw := append([]byte{1}, frame(t, plain)...), append([]byte{0}, plain...)
	for _, in := range []struct {
		name    string
		encoded []byte
		size    int
		want    string
	}{
		{"no codec byte", nil, 0, "no codec byte"},
		{"a size over the limit", raw, pack.MaxBlob + 1, "over the limit"},
		{"raw, one byte short", raw, len(plain) + 1, "where 5001 belong"},
		{"raw, one byte long", raw, len(plain) - 1, "where 4999 belong"},
		{"raw, empty where bytes belong", []byte{0}, 1, "where 1 belong"},
		{"zstd, one byte short", packed, len(plain) + 1, "where 5001 belong"},
		{"zstd, one byte long", packed, len(plain) - 1, "decode blob"},
		{"zstd, cut", packed[:len(packed)-1], len(plain), "decode blob"},
		{"zstd, two frames", append(packed, packed[1:]...), len(plain), "decode blob"},
		{"zstd of nothing where bytes belong", []byte{1}, 1, "where 1 belong"},
		{"no zstd at all", append([]byte{1}, plain...), len(plain), "decode blob"},
	} {
		t.Run(in.name, func(t *testing.T) {
			got, err := c.Decode(nil, in.encoded, in.size)
			if got != nil || err == nil || !strings.Contains(err.Error(), in.want) {
				t.Fatalf("%d bytes, error %v", len(got), err)
			}
		})
	}
}

func TestAnUnknownCodecIsANewerFormat(t *testing.T) {
	c := newCodec(t)
	for _, codec := range []byte{2, 3, 255} {
		if _, err := c.Decode(nil, []byte{codec, 1, 2}, 2); !errors.Is(err, pack.ErrNewer) {
			t.Errorf("codec %d: %v", codec, err)
		}
	}
}

// A bomb is a few bytes that decompress to many. Whatever the frame claims, no more memory is touched than the size that
// the tail authenticated.
func TestABombIsRefusedWithoutItsMemory(t *testing.T) {
	c := newCodec(t)
	bomb := append([]byte{1}, frame(t, make([]byte, 256<<20))...)
	claim := []byte{1, 0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0} // content size 4 GiB, one empty block
	squib := append([]byte{1}, frame(t, make([]byte, 7<<20))...)                      // within a blob, not within its size
	if _, err := c.Decode(nil, squib, 7<<20); err != nil {
		t.Fatal(err) // and from here on the decoder has what memory it keeps
	}
	for name, encoded := range map[string][]byte{"256 MiB of zeros": bomb, "a header that claims 4 GiB": claim, "7 MiB of zeros": squib} {
		for _, size := range []int{0, 100, pack.MaxBlob} {
			t.Run(fmt.Sprintf("%s where %d bytes belong", name, size), func(t *testing.T) {
				var err error
				dst := make([]byte, 0, pack.MaxBlob)
				got := allocated(func() { _, err = c.Decode(dst, encoded, size) })
				if err == nil {
					t.Fatal("it was decoded")
				}
				if got > 2<<20 {
					t.Errorf("%d bytes allocated to refuse %d", got, len(encoded))
				}
			})
		}
	}
}
