package store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// RetryOptions bound the repetition of failed operations by time: what counts
// for a nightly backup is how long an outage it outlasts, not how often it
// knocked.
type RetryOptions struct {
	// Budget is how long one operation may go on failing: 0 means 10 minutes, a
	// negative one means a single try. A listing has it for every page.
	Budget time.Duration
	// First and Max are the shortest and longest pause between two tries: 0
	// means 500 ms and 30 s. Each is varied by half, so that 180 nodes do not
	// come back at once.
	First, Max time.Duration
}

// defaultBudget outlasts the failovers and throttling that object stores
// publish in their incident reports, and still ends within a backup window.
const defaultBudget = 10 * time.Minute

// Retry repeats operations of s that failed in a way that may pass. Every
// operation of a Store may be repeated, so an unknown outcome is settled too.
// Repetitions are logged to log, which may be nil.
func Retry(s Store, o RetryOptions, log *slog.Logger) Store {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &retrying{s, o, log}
}

type retrying struct {
	Store
	o   RetryOptions
	log *slog.Logger
}

func (r *retrying) backoff() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval:     cmp.Or(r.o.First, 500*time.Millisecond),
		RandomizationFactor: 0.5,
		Multiplier:          2,
		MaxInterval:         cmp.Or(r.o.Max, 30*time.Second),
	}
}

// do repeats op within the budget.
func (r *retrying) do(ctx context.Context, op func() error) error {
	pauses := r.backoff()
	budget := cmp.Or(r.o.Budget, defaultBudget)
	start := time.Now()
	for tries := 1; ; tries++ {
		err := op()
		if err == nil || ctx.Err() != nil || !transient(err) {
			return err
		}
		pause := pauses.NextBackOff()
		if spent := time.Since(start); spent+pause > budget {
			return fmt.Errorf("%w (tries: %d, in %s)", err, tries, spent.Round(time.Second))
		}
		r.log.WarnContext(ctx, "store operation failed, trying again", "err", err, "pause", pause)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Create implements Store.
func (r *retrying) Create(ctx context.Context, name string, data []byte) error {
	return r.do(ctx, func() error { return r.Store.Create(ctx, name, data) })
}

// Get implements Store.
func (r *retrying) Get(ctx context.Context, name string, limit int64) (data []byte, err error) {
	err = r.do(ctx, func() error {
		data, err = r.Store.Get(ctx, name, limit)
		return err
	})
	return data, err
}

// ReadAt implements Store.
func (r *retrying) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	return r.do(ctx, func() error { return r.Store.ReadAt(ctx, name, off, p) })
}

// Stat implements Store.
func (r *retrying) Stat(ctx context.Context, name string) (info Info, err error) {
	err = r.do(ctx, func() error {
		info, err = r.Store.Stat(ctx, name)
		return err
	})
	return info, err
}

// List repeats single pages, so that a listing of any length ends as long as
// each page does.
func (r *retrying) List(ctx context.Context, prefix string, fn func(Info) error) error {
	return EachPage(ctx, r, prefix, fn)
}

// ListPage implements Pager.
func (r *retrying) ListPage(ctx context.Context, prefix string, token []byte) (page []Info, next []byte, err error) {
	err = r.do(ctx, func() error {
		page, next, err = ListPage(ctx, r.Store, prefix, token)
		return err
	})
	return page, next, err
}

// Delete implements Store.
func (r *retrying) Delete(ctx context.Context, name string) error {
	return r.do(ctx, func() error { return r.Store.Delete(ctx, name) })
}

// Copy implements Copier.
func (r *retrying) Copy(ctx context.Context, dst, src string) error {
	return r.do(ctx, func() error { return Copy(ctx, r.Store, dst, src) })
}
