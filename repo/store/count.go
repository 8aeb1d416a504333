package store

import (
	"context"
	"sync/atomic"
)

// Counts are the requests that really went out: repetitions, single pages of a
// listing and the reading back of a taken name each count.
type Counts struct {
	Puts, Gets, Heads, Lists, Deletes, Copies atomic.Int64
	// BytesUp and BytesDown are payload bytes; a Put counts in full also when
	// it is refused.
	BytesUp, BytesDown atomic.Int64
}

// Total is the number of requests of all kinds.
func (c *Counts) Total() int64 {
	return c.Puts.Load() + c.Gets.Load() + c.Heads.Load() + c.Lists.Load() + c.Deletes.Load() + c.Copies.Load()
}

// Counting returns s with the counts of the requests made through it. The
// innermost layer counts, told by the context, so it may stand anywhere among
// the decorators and still see every repetition below it.
func Counting(s Store) (Store, *Counts) {
	c := &Counts{}
	return &telling{s, func(ctx context.Context) context.Context {
		outer, _ := ctx.Value(tallyKey{}).(*tally)
		return context.WithValue(ctx, tallyKey{}, &tally{c, outer})
	}}, c
}

// tally chains the counts of nested Counting decorators.
type tally struct {
	counts *Counts
	outer  *tally
}

type tallyKey struct{}

// count applies add to all counts that ctx tells of.
func count(ctx context.Context, add func(*Counts)) {
	t, _ := ctx.Value(tallyKey{}).(*tally)
	for ; t != nil; t = t.outer {
		add(t.counts)
	}
}
