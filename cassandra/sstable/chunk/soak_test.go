//go:build soak

package chunk

import "testing"

// TestSoakBlocks compares one chunk of every size up to 200 KiB.
func TestSoakBlocks(t *testing.T) {
	const most = 200 << 10
	r := seeded(t)
	compare(t, func(put func(sample)) {
		var c *corpus
		for n := range most + 1 {
			if n%4096 == 0 {
				c = newCorpus(r, 8*most)
			}
			put(c.any(n))
		}
	})
}
