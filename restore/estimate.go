package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"

	"cbk/snapshot"
)

const (
	// sampleBytes and sampleTime end the sample, whichever comes first: enough to outweigh the first request of a far
	// store, and little beside any restore that takes long.
	sampleBytes = 32 << 20
	sampleTime  = 3 * time.Second
)

// Estimate is how long a fetch will take, told from how fast its first part came when the plan was made.
type Estimate struct {
	Sampled int64 `json:"sampled_bytes"`
	Rate    int64 `json:"bytes_per_second"`
	Seconds int64 `json:"seconds"` // about, for all bytes
}

// String is the estimate for people.
func (e *Estimate) String() string {
	took := "less than a minute"
	if e.Seconds >= 60 {
		took = "about " + (time.Duration(e.Seconds) * time.Second).Round(time.Minute/4).String()
	}
	return fmt.Sprintf("%s to fetch, as the first %s came, at %s/s", took, humanize.IBytes(uint64(e.Sampled)), humanize.IBytes(uint64(e.Rate)))
}

// errEnough ends a sample.
var errEnough = errors.New("sampled enough")

// sampler counts what is written to it, until it is enough.
type sampler struct {
	limit, got int64
	began      time.Time
}

// Write implements io.Writer.
func (s *sampler) Write(b []byte) (int, error) {
	s.got += int64(len(b))
	if s.got >= s.limit || time.Since(s.began) >= sampleTime {
		return len(b), errEnough
	}
	return len(b), nil
}

// estimate fetches the first part of what will be fetched, at most a quarter of it, and keeps nothing. It is nil where that
// does not come: the fetch will say why.
func estimate(ctx context.Context, snap *snapshot.Snapshot, to target, bytes int64) (*Estimate, error) {
	s := &sampler{limit: min(sampleBytes, bytes/4), began: time.Now()}
	create := func(snapshot.File) (io.Writer, error) { return s, nil }
	err := to.pages(ctx, snap, func(pages []snapshot.Page) error {
		return snap.Content(ctx, pages, create, func(_ snapshot.File, err error) error { return err })
	})
	took := time.Since(s.began)
	if s.got == 0 || err != nil && !errors.Is(err, errEnough) {
		return nil, ctx.Err()
	}
	rate := max(1, int64(float64(s.got)/took.Seconds()))
	return &Estimate{Sampled: s.got, Rate: rate, Seconds: bytes / rate}, ctx.Err()
}
