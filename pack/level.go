package pack

import "github.com/klauspost/compress/zstd"

// Level says how much work goes into making blobs smaller. What one level wrote, every reader reads.
type Level int32

// The levels, measured on JSON rows: the two above Fastest take about 2 and 6 times its work to encode a blob. zstd's
// best level is left out: it takes 19 times that work and 37 MiB a processor.
const (
	Fastest Level = iota
	Default
	Better
)

const (
	// raiseAt is the share of their time above which workers who wait for the store may work harder instead. With
	// hashing, sealing and verifying counted in, a blob takes some 1.5 times the work at Default and another 2.8 times at
	// Better: workers who wait for 70 % of their time keep up with the store at either.
	raiseAt = 0.7
	// lowerAt is the share below which the store waits for the workers. The gap is wider than what one level changes, so
	// that a steady store ends at a steady level: 1 - (1 - 0.7) * 2.8 is still above it.
	lowerAt = 0.1
)

// Next returns the level for what follows when workers spent the given share of their time, 0 to 1, waiting for packs to
// leave. It goes one step at a time: the next share tells whether another is worth it.
func (l Level) Next(waiting float64) Level {
	switch {
	case waiting > raiseAt && l < Better:
		return l + 1
	case waiting < lowerAt && l > Fastest:
		return l - 1
	}
	return l
}

// zstd returns the encoder's name for the level.
func (l Level) zstd() zstd.EncoderLevel {
	return [...]zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression}[l]
}
