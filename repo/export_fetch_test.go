package repo

import (
	"context"
	"iter"
)

// FetchWithin is Fetch with other bounds on a window: ranges begin at multiples of block and add up to budget bytes.
func (rd *Reader) FetchWithin(ctx context.Context, block, budget int64, blobs int, wants iter.Seq[Want],
	emit func(Want, []byte, error) error) error {
	return rd.fetch(ctx, limits{block: block, budget: budget, blobs: blobs}, wants, emit)
}
