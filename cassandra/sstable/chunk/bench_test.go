package chunk

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// eachChunk runs a benchmark with one chunk of 16 KiB and one of 256 KiB of each kind.
func eachChunk(b *testing.B, run func(b *testing.B, plain []byte)) {
	for _, kind := range kinds {
		for _, n := range []int{16 << 10, 256 << 10} {
			plain := make([]byte, n)
			kind.fill(rand.New(rand.NewPCG(1, 2)), plain)
			b.Run(fmt.Sprintf("%s/%dKiB", kind.name, n>>10), func(b *testing.B) {
				b.SetBytes(int64(n))
				run(b, plain)
			})
		}
	}
}

func BenchmarkAppendBlock(b *testing.B) {
	e := NewEncoder(Late)
	eachChunk(b, func(b *testing.B, plain []byte) {
		var dst []byte
		for b.Loop() {
			dst = e.AppendBlock(dst[:0], plain)
		}
		b.ReportMetric(float64(len(plain))/float64(len(dst)), "ratio")
	})
}

func BenchmarkDecodeBlock(b *testing.B) {
	e := NewEncoder(Late)
	eachChunk(b, func(b *testing.B, plain []byte) {
		block := e.AppendBlock(nil, plain)
		dst := make([]byte, len(plain))
		for b.Loop() {
			if _, err := DecodeBlock(dst, block); err != nil {
				b.Fatal(err)
			}
		}
	})
}
