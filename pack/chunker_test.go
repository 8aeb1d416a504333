package pack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
)

// small are sizes that give many chunks in little time.
var small = pack.Sizes{Min: 4 << 10, Bits: 12, Max: 32 << 10}

func polynomial(t testing.TB, key string) pack.Polynomial {
	t.Helper()
	p, err := pack.DerivePolynomial(secret(key))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cut returns the chunks of a stream, copied.
func cut(t testing.TB, r io.Reader, p pack.Polynomial, s pack.Sizes) (chunks [][]byte) {
	t.Helper()
	c := pack.NewChunker(r, p, s)
	var buf []byte
	for {
		chunk, err := c.Next(buf)
		if errors.Is(err, io.EOF) {
			return chunks
		}
		if err != nil {
			t.Fatal(err)
		}
		chunks, buf = append(chunks, bytes.Clone(chunk)), chunk
	}
}

func lengths(chunks [][]byte) (n []int) {
	for _, c := range chunks {
		n = append(n, len(c))
	}
	return n
}

// choppyReader returns random numbers of bytes, as a network does.
type choppyReader struct {
	r   io.Reader
	rng *rand.Rand
}

func (c choppyReader) Read(p []byte) (int, error) { return c.r.Read(p[:1+c.rng.IntN(len(p))]) }

func TestTheCutsDoNotDependOnHowTheStreamIsRead(t *testing.T) {
	p, data := polynomial(t, "a"), noise(1, 1<<20)
	want := lengths(cut(t, bytes.NewReader(data), p, small))
	if len(want) < 50 {
		t.Fatalf("only %d chunks", len(want))
	}
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"one byte at a time":          iotest.OneByteReader,
		"half of what is asked":       iotest.HalfReader,
		"the end with the last bytes": iotest.DataErrReader,
		"random pieces": func(r io.Reader) io.Reader {
			return choppyReader{r, rand.New(rand.NewPCG(1, 2))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want, lengths(cut(t, wrap(bytes.NewReader(data)), p, small))); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestTheChunksAreTheStreamWithinTheirBounds(t *testing.T) {
	p := polynomial(t, "a")
	for _, s := range []pack.Sizes{small, pack.OtherSizes, pack.DataSizes} {
		for name, data := range map[string][]byte{
			"nothing": nil, "one byte": {1}, "the minimum": noise(2, int(s.Min)), "the maximum": noise(3, int(s.Max)),
			"noise": noise(4, int(s.Max)*2+77), "zeros": make([]byte, s.Max*2+77), "text": text(int(s.Max)*2 + 77),
		} {
			chunks := cut(t, bytes.NewReader(data), p, s)
			if !bytes.Equal(slices.Concat(chunks...), data) {
				t.Errorf("sizes %+v, %s: the chunks are not the stream", s, name)
			}
			for i, c := range chunks {
				last := i == len(chunks)-1
				if len(c) == 0 || len(c) > int(s.Max) || !last && len(c) < int(s.Min) {
					t.Errorf("sizes %+v, %s: chunk %d of %d bytes", s, name, i, len(c))
				}
			}
		}
	}
}

// A row inserted at the front of a file moves everything behind it; the chunks behind it must stay what they were.
func TestAnInsertionAtTheFrontChangesOnlyTheFirstChunks(t *testing.T) {
	p, data := polynomial(t, "a"), noise(5, 1<<20)
	before := cut(t, bytes.NewReader(data), p, small)
	known := make(map[string]bool)
	for _, c := range before {
		known[string(c)] = true
	}
	for _, n := range []int{1, 7, 4096, 10_000} {
		after := cut(t, bytes.NewReader(append(noise(6, n), data...)), p, small)
		fresh := 0
		for _, c := range after {
			if !known[string(c)] {
				fresh++
			}
		}
		if fresh > 8 {
			t.Errorf("%d bytes inserted: %d of %d chunks are others", n, fresh, len(after))
		}
	}
}

func TestCutsDifferFromKeyToKey(t *testing.T) {
	data := noise(7, 1<<20)
	a := lengths(cut(t, bytes.NewReader(data), polynomial(t, "a"), small))
	b := lengths(cut(t, bytes.NewReader(data), polynomial(t, "b"), small))
	if cmp.Equal(a, b) {
		t.Error("two domains cut one file alike")
	}
}

func TestThePolynomialIsAFunctionOfTheKey(t *testing.T) {
	seen := make(map[pack.Polynomial]int)
	for i := range 40 {
		key := [32]byte{byte(i)}
		p, err := pack.DerivePolynomial(key)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := pack.DerivePolynomial(key); again != p {
			t.Errorf("key %d gives %v and then %v", i, p, again)
		}
		if other, ok := seen[p]; ok {
			t.Errorf("keys %d and %d give one polynomial", other, i)
		}
		if !p.Irreducible() || p.Deg() != 53 {
			t.Errorf("key %d gives %v", i, p)
		}
		seen[p] = i
	}
}

// A change of the cuts would store every file of every repository again.
func TestTheCutsOfAKnownStreamStay(t *testing.T) {
	p, err := pack.DerivePolynomial([32]byte{})
	if err != nil {
		t.Fatal(err)
	}
	if p != 0x2681bbf0eae4f7 {
		t.Errorf("polynomial %#x", uint64(p))
	}
	h := sha256.New()
	for _, n := range lengths(cut(t, bytes.NewReader(noise(8, 8<<20)), p, pack.OtherSizes)) {
		binary.Write(h, binary.BigEndian, uint32(n))
	}
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != "13f864c55356f965" {
		t.Errorf("cuts %s", got)
	}
}

func TestAReadErrorReachesTheCaller(t *testing.T) {
	broken := errors.New("disk on fire")
	c := pack.NewChunker(io.MultiReader(bytes.NewReader(noise(9, 20_000)), iotest.ErrReader(broken)), polynomial(t, "a"), small)
	var err error
	for err == nil {
		_, err = c.Next(nil)
	}
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestSizesOutOfRangeAreRefused(t *testing.T) {
	good := pack.Sizes{Min: 4 << 10, Bits: 12, Max: pack.MaxBlob}
	for _, s := range []pack.Sizes{good, small, pack.DataSizes, pack.OtherSizes, {Min: 1 << 20, Bits: 23, Max: 1 << 20}} {
		if err := s.Check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for name, s := range map[string]pack.Sizes{
		"no sizes":                 {},
		"a minimum of no use":      {Min: 4<<10 - 1, Bits: 12, Max: 1 << 20},
		"a maximum below minimum":  {Min: 1 << 20, Bits: 20, Max: 1<<20 - 1},
		"a maximum over a blob":    {Min: 1 << 20, Bits: 20, Max: pack.MaxBlob + 1},
		"an average of nothing":    {Min: 1 << 20, Bits: 11, Max: 2 << 20},
		"an average over the blob": {Min: 1 << 20, Bits: 24, Max: 2 << 20},
		"a negative average":       {Min: 1 << 20, Bits: -1, Max: 2 << 20},
	} {
		if s.Check() == nil {
			t.Errorf("%s: %+v passes", name, s)
		}
	}
}
