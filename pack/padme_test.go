package pack_test

import (
	"testing"

	"pgregory.net/rapid"

	"cbk/pack"
)

// Worked out by hand from the paper: with e = floor(log2 n) and s = floor(log2 e)+1, the low e-s bits become zero.
func TestPadmeGivesTheSizesOfThePaper(t *testing.T) {
	for size, want := range map[uint64]uint64{
		0: 0, 1: 1, 2: 2, 3: 3, 7: 7, 8: 8, 9: 10, 15: 16, 16: 16, 17: 18, 100: 104, 1000: 1024, 1025: 1088,
		1 << 20: 1 << 20, 1<<20 + 1: 1<<20 + 1<<15, 10_000_000: 10_223_616,
		64 << 20: 64 << 20, 64<<20 - 1: 64 << 20, 64<<20 + 1: 66 << 20,
	} {
		if got := pack.Padme(size); got != want {
			t.Errorf("%d is padded to %d, want %d", size, got, want)
		}
	}
}

func TestPadmeCostsAtMostTwelvePercent(t *testing.T) {
	for size := uint64(1); size < 1<<17; size++ {
		checkPadme(t, size)
	}
	rapid.Check(t, func(t *rapid.T) { checkPadme(t, rapid.Uint64Range(1, 1<<40).Draw(t, "size")) })
}

func checkPadme(t interface{ Fatalf(string, ...any) }, size uint64) {
	got := pack.Padme(size)
	switch {
	case got < size:
		t.Fatalf("%d is padded to less, %d", size, got)
	case (got-size)*100 > size*12:
		t.Fatalf("%d is padded to %d, over 12 %%", size, got)
	case size >= 32<<20 && (got-size)*1000 > size*32:
		t.Fatalf("%d is padded to %d, over 3.2 %%", size, got)
	case pack.Padme(got) != got:
		t.Fatalf("%d is padded to %d, and that to %d", size, got, pack.Padme(got))
	case pack.Padme(size+1) < got:
		t.Fatalf("%d is padded to more than %d", size, size+1)
	}
}

// The reason for padding: an observer can tell apart only few sizes.
func TestPadmeLeavesFewSizes(t *testing.T) {
	sizes := make(map[uint64]bool)
	for size := uint64(1 << 20); size < 2<<20; size++ {
		sizes[pack.Padme(size)] = true
	}
	if len(sizes) != 33 {
		t.Errorf("between 1 and 2 MiB there are %d sizes", len(sizes))
	}
}

// Packs of the usual target sizes never outgrow their buffer by padding.
func TestAPowerOfTwoIsNeverPaddedOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := uint64(1) << rapid.IntRange(20, 27).Draw(t, "power")
		size := rapid.Uint64Range(1, target).Draw(t, "size")
		if got := pack.Padme(size); got > target {
			t.Fatalf("%d of %d is padded to %d", size, target, got)
		}
	})
}
