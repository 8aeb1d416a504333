package pack_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"cbk/pack"
)

var levels = []pack.Level{pack.Fastest, pack.Default, pack.Better}

// rows returns n bytes of rows that each differ a little: what a better level does better on.
func rows(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	words := []string{"order", "paid", "shipped", "returned", "parcel", "customer", "invoice"}
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":"%08x","at":%d,"state":%q,"note":"%s %s"}`, rng.Uint32(), 1_700_000_000+i, words[rng.IntN(7)],
			words[rng.IntN(7)], words[rng.IntN(7)])
	}
	return b.Bytes()[:n]
}

func TestALevelFollowsHowLongWorkersWait(t *testing.T) {
	for _, c := range []struct {
		name    string
		level   pack.Level
		waiting float64
		want    pack.Level
	}{
		{"busy workers stay at the fastest level", pack.Fastest, 0, pack.Fastest},
		{"workers that wait for half their time stay", pack.Fastest, 0.5, pack.Fastest},
		{"just at the threshold they stay", pack.Fastest, 0.7, pack.Fastest},
		{"workers that mostly wait go up", pack.Fastest, 0.71, pack.Default},
		{"one step at a time", pack.Fastest, 1, pack.Default},
		{"and another", pack.Default, 0.9, pack.Better},
		{"there is nothing above", pack.Better, 1, pack.Better},
		{"a share over one, from clocks read apart", pack.Default, 1.2, pack.Better},
		{"a little waiting keeps the level", pack.Better, 0.1, pack.Better},
		{"busy workers go down", pack.Better, 0.09, pack.Default},
		{"all the way", pack.Default, 0, pack.Fastest},
		{"an interval without length is none to judge by", pack.Default, math.NaN(), pack.Default},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.level.Next(c.waiting); got != c.want {
				t.Errorf("level %d after %v: %d, want %d", c.level, c.waiting, got, c.want)
			}
		})
	}
}

// A store of constant speed must not make the level swing: each change gives up what encoders have learned to hold.
func TestASteadyStoreEndsAtASteadyLevel(t *testing.T) {
	work := map[pack.Level]float64{pack.Fastest: 1, pack.Default: 1.5, pack.Better: 1.5 * 2.8}
	reached := make(map[pack.Level]bool)
	for start := range levels {
		for upload := 0.1; upload < 30; upload *= 1.05 {
			level := pack.Level(start)
			for range 4 {
				level = level.Next(max(0, 1-work[level]/upload))
			}
			if next := level.Next(max(0, 1-work[level]/upload)); next != level {
				t.Errorf("a pack that uploads in %.2f of its work swings between %d and %d", upload, level, next)
			}
			reached[level] = true
		}
	}
	if len(reached) != len(levels) {
		t.Errorf("levels reached: %v", reached)
	}
}

func TestEveryLevelGivesBackWhatItTook(t *testing.T) {
	for _, level := range levels {
		for name, plain := range map[string][]byte{"nothing": nil, "a byte": {1}, "rows": rows(1 << 20), "text": text(100_000),
			"the largest blob": rows(pack.MaxBlob), "zeros": make([]byte, 3<<20)} {
			t.Run(fmt.Sprintf("level %d, %s", level, name), func(t *testing.T) {
				c := newCodec(t)
				if err := c.SetLevel(level); err != nil || c.Level() != level {
					t.Fatalf("level %d, %v", c.Level(), err)
				}
				encoded := c.Encode(nil, plain)
				if len(encoded) > len(plain)+1 {
					t.Errorf("%d bytes became %d", len(plain), len(encoded))
				}
				got, err := newCodec(t).Decode(nil, encoded, len(plain))
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes came back as %d: %v", len(plain), len(got), err)
				}
			})
		}
	}
}

func TestNoiseStaysRawAtEveryLevel(t *testing.T) {
	c := newCodec(t)
	for _, level := range levels {
		if err := c.SetLevel(level); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 100, 64 << 10, 1 << 20} {
			if encoded := c.Encode(nil, noise(1, n)); encoded[0] != 0 || len(encoded) != n+1 {
				t.Errorf("level %d: %d bytes of noise became %d, codec %d", level, n, len(encoded), encoded[0])
			}
		}
	}
}

func TestTheBestLevelSavesBytes(t *testing.T) {
	c, plain := newCodec(t), rows(4<<20)
	fast := len(c.Encode(nil, plain))
	if err := c.SetLevel(pack.Better); err != nil {
		t.Fatal(err)
	}
	if better := len(c.Encode(nil, plain)); better >= fast {
		t.Errorf("%d bytes, %d at the fastest level", better, fast)
	}
}

func TestContentThatShrinksALotGetsMoreWorkAtOnce(t *testing.T) {
	c, hard := newCodec(t), newCodec(t)
	if err := hard.SetLevel(pack.Default); err != nil {
		t.Fatal(err)
	}
	plain := rows(4 << 20)
	if fast, more := len(c.Encode(nil, plain)), len(hard.Encode(nil, plain)); fast != more {
		t.Errorf("rows became %d bytes, not %d", fast, more)
	}
	// Noise of a hundred values and a few words shrinks by less than a third.
	dull := noise(1, 4<<20)
	for i := range dull {
		dull[i] %= 100
	}
	for i := 0; i < len(dull); i += 200 {
		copy(dull[i:], "some words")
	}
	fast, more := len(c.Encode(nil, dull)), len(hard.Encode(nil, dull))
	if fast == more || fast > len(dull)*97/100 {
		t.Errorf("%d bytes of noise became %d, and %d at another level", len(dull), fast, more)
	}
}

func TestALevelTakesAtMostEightMiBAProcessor(t *testing.T) {
	c, plain := newCodec(t), rows(pack.MaxBlob)
	for _, level := range levels {
		if err := c.SetLevel(level); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		got := allocated(func() {
			for range runtime.GOMAXPROCS(0) {
				all.Go(func() { c.Encode(make([]byte, 0, pack.MaxBlob+1), plain) })
			}
			all.Wait()
		})
		if n := uint64(runtime.GOMAXPROCS(0)); got > n*(pack.MaxBlob+8<<20+64<<10) {
			t.Errorf("level %d: %d bytes allocated by %d encoders", level, got, n)
		}
	}
}

func TestTheLevelMayChangeWhileBlobsAreEncoded(t *testing.T) {
	c, plain := newCodec(t), rows(200_000)
	var encoders sync.WaitGroup
	for range 3 {
		encoders.Go(func() {
			for range 20 {
				got, err := c.Decode(nil, c.Encode(nil, plain), len(plain))
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes came back as %d: %v", len(plain), len(got), err)
				}
			}
		})
	}
	for i := range 30 {
		if err := c.SetLevel(levels[i%len(levels)]); err != nil {
			t.Error(err)
		}
		runtime.Gosched()
	}
	encoders.Wait()
}
