package chunk

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// kinds are the kinds of bytes the corpus has, by what they are like.
var kinds = []struct {
	name string
	fill func(r *rand.Rand, b []byte)
}{
	{"zeros", func(*rand.Rand, []byte) {}},
	{"random", randomBytes},
	{"text", text},
	{"rows", rows},
	{"mixed", mixed},
	{"repeats", repeats},
}

func randomBytes(r *rand.Rand, b []byte) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, r.Uint64())
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// text is words of a small vocabulary, the short ones most often.
func text(r *rand.Rand, b []byte) {
	words := make([]string, 400)
	for i := range words {
		w := make([]byte, 1+r.IntN(9))
		for j := range w {
			w[j] = 'a' + byte(r.IntN(26))
		}
		words[i] = string(w)
	}
	for len(b) > 0 {
		n := copy(b, words[int(float64(len(words))*r.Float64()*r.Float64())])
		n += copy(b[n:], " ")
		b = b[n:]
	}
}

// rows is what Data.db of a table of measurements is like: keys that rise, small
// deltas, few distinct names, some doubles.
func rows(r *rand.Rand, b []byte) {
	var one []byte
	for key := r.Uint32(); len(b) > 0; key += r.Uint32N(3) {
		one = append(one[:0], 0x24, 8)
		one = binary.BigEndian.AppendUint64(one, uint64(key))
		one = append(one, byte(30+r.IntN(8)), byte(40+r.IntN(2)), 0, byte(r.IntN(256)), byte(r.IntN(4)))
		one = fmt.Appendf(one, "sensor-%03d", r.IntN(60))
		if r.IntN(3) > 0 {
			one = binary.BigEndian.AppendUint64(one, 0x4030000000000000|r.Uint64N(1<<20)<<24)
		}
		b = b[copy(b, one):]
	}
}

// mixed changes its kind within.
func mixed(r *rand.Rand, b []byte) {
	for len(b) > 0 {
		n := min(len(b), 1+r.IntN(3000))
		kinds := []func(*rand.Rand, []byte){func(*rand.Rand, []byte) {}, randomBytes, text, rows}
		kinds[r.IntN(len(kinds))](r, b[:n])
		b = b[n:]
	}
}

// repeats is random bytes of which stretches come again at every distance, also just
// within and just past the greatest one.
func repeats(r *rand.Rand, b []byte) {
	for at := 0; at < len(b); {
		n := min(len(b)-at, 1+r.IntN(60))
		back := 1 + r.IntN(at+1)
		if r.IntN(3) == 0 {
			back = maxDistance - 2 + r.IntN(5)
		}
		if back > at || r.IntN(4) == 0 {
			randomBytes(r, b[at:at+n])
		} else {
			for i := range n {
				b[at+i] = b[at+i-back]
			}
		}
		at += n
	}
}

// corpus has some of each kind, to cut samples from.
type corpus struct {
	r     *rand.Rand
	bytes [][]byte
}

// sample is a chunk of the corpus.
type sample struct {
	kind  string
	plain []byte
}

func newCorpus(r *rand.Rand, size int) *corpus {
	c := &corpus{r: r}
	for _, kind := range kinds {
		b := make([]byte, size)
		kind.fill(r, b)
		c.bytes = append(c.bytes, b)
	}
	return c
}

// sample cuts n bytes of a kind.
func (c *corpus) sample(kind, n int) sample {
	from := c.r.IntN(len(c.bytes[kind]) - n + 1)
	return sample{kinds[kind].name, c.bytes[kind][from : from+n]}
}

func (c *corpus) any(n int) sample { return c.sample(c.r.IntN(len(kinds)), n) }

// seeded draws a seed for this run and prints it.
func seeded(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
