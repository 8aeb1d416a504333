package cluster

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Limits bound at how many hosts something is done at a time; 0 is no bound.
type Limits struct {
	Total   int
	PerDC   int
	PerRack int // of one data centre
}

// Retry says what is tried again and how. The zero value tries 8 times: with pauses
// of 1 s to 30 s and half a minute for each connection that does not come
// about, that outlasts a node that starts again.
type Retry struct {
	Tries      int           // in all; 1 tries once
	First, Max time.Duration // pauses, each varied by half; 0 means 1 s and 30 s
	Codes      []int         // exit codes that may pass, beside connections
}

// Result is how it went at one host.
type Result struct {
	Host  Host
	Tries int   // 0: it was not begun, because the context ended
	Err   error // of the last try
}

// Plan says how [Each] goes about it.
type Plan struct {
	Limits Limits
	Retry  Retry
	Log    *slog.Logger // gets the tries that failed and are repeated; may be nil
}

// Each does something at every host, side by side within the limits, and again where
// it failed in a way that may pass. It returns a result for each host, in their
// order, when all has ended. A host that waits for its next try takes no place. When
// ctx ends, no host is begun any more; fn is to end by the context it gets.
func Each(ctx context.Context, hosts []Host, plan Plan, fn func(context.Context, Host) error) []Result {
	e := &each{ctx: ctx, plan: plan, fn: fn, results: make([]Result, len(hosts)), tried: make(chan *task), rested: make(chan *task),
		dcs: make(map[string]int), racks: make(map[Host]int)}
	for i, h := range hosts {
		e.results[i].Host = h
		e.ready = append(e.ready, &task{result: &e.results[i], pauses: plan.Retry.pauses()})
	}
	e.run()
	return e.results
}

// Failed returns the results that are errors.
func Failed(results []Result) []Result {
	var failed []Result
	for _, r := range results {
		if r.Err != nil {
			failed = append(failed, r)
		}
	}
	return failed
}

func (r Retry) pauses() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: cmp.Or(r.First, time.Second), RandomizationFactor: 0.5, Multiplier: 2,
		MaxInterval: cmp.Or(r.Max, 30*time.Second)}
}

// task is the work at one host.
type task struct {
	result *Result
	pauses *backoff.ExponentialBackOff
}

// each is one call of Each. Only its own goroutine counts places.
type each struct {
	ctx     context.Context
	plan    Plan
	fn      func(context.Context, Host) error
	results []Result

	ready         []*task
	tried, rested chan *task

	total int
	dcs   map[string]int
	racks map[Host]int // by data centre and rack, without address
}

// run begins what fits and takes what has ended, until nothing is left.
func (e *each) run() {
	for busy := 0; ; busy-- {
		busy += e.begin()
		if busy == 0 {
			return
		}
		select {
		case t := <-e.tried:
			e.count(t, -1)
			if e.again(t) {
				busy++
			}
		case t := <-e.rested:
			e.ready = append(e.ready, t)
		}
	}
}

// begin starts every task that has a place, in their order, and returns how many.
func (e *each) begin() (begun int) {
	waiting := e.ready[:0]
	for _, t := range e.ready {
		switch {
		case e.ctx.Err() != nil:
			if t.result.Tries == 0 {
				t.result.Err = context.Cause(e.ctx)
			}
		case !e.fits(t):
			waiting = append(waiting, t)
		default:
			e.count(t, 1)
			begun++
			t.result.Tries++
			go func() {
				t.result.Err = e.fn(e.ctx, t.result.Host)
				e.tried <- t
			}()
		}
	}
	e.ready = waiting
	return begun
}

// again has a task come back after a pause, if there is sense in it.
func (e *each) again(t *task) bool {
	err := t.result.Err
	if err == nil || e.ctx.Err() != nil || t.result.Tries >= cmp.Or(e.plan.Retry.Tries, 8) || !MayPass(err, e.plan.Retry.Codes...) {
		return false
	}
	pause := t.pauses.NextBackOff()
	if e.plan.Log != nil {
		e.plan.Log.WarnContext(e.ctx, "node failed, trying again", "node", t.result.Host.Address, "err", err, "pause", pause)
	}
	go func() {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-e.ctx.Done():
		}
		e.rested <- t
	}()
	return true
}

func (e *each) fits(t *task) bool {
	h, l := t.result.Host, e.plan.Limits
	return room(e.total, l.Total) && room(e.dcs[h.DC], l.PerDC) && room(e.racks[Host{DC: h.DC, Rack: h.Rack}], l.PerRack)
}

func room(taken, limit int) bool { return limit <= 0 || taken < limit }

func (e *each) count(t *task, n int) {
	h := t.result.Host
	e.total += n
	e.dcs[h.DC] += n
	e.racks[Host{DC: h.DC, Rack: h.Rack}] += n
}
