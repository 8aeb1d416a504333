package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/cassandra/cluster"
)

// crowd counts who is at work, and finds out where they are too many.
type crowd struct {
	mu     sync.Mutex
	limits cluster.Limits
	now    map[string]int
	visits map[string]int
	over   string
	most   int
}

func (c *crowd) enter(h cluster.Host) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visits[h.Address]++
	for place, limit := range c.places(h) {
		c.now[place]++
		if limit > 0 && c.now[place] > limit {
			c.over = fmt.Sprintf("%d at a time in %s", c.now[place], place)
		}
	}
	c.most = max(c.most, c.now["all"])
}

func (c *crowd) leave(h cluster.Host) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for place := range c.places(h) {
		c.now[place]--
	}
}

func (c *crowd) places(h cluster.Host) map[string]int {
	return map[string]int{"all": c.limits.Total, "dc " + h.DC: c.limits.PerDC, "rack " + h.DC + "/" + h.Rack: c.limits.PerRack}
}

// TestWhateverTheLimitsAllHostsAreVisitedWithinThem draws rings, limits and hosts that
// fail for a while.
func TestWhateverTheLimitsAllHostsAreVisitedWithinThem(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		limit := rapid.IntRange(0, 4)
		plan := cluster.Plan{Limits: cluster.Limits{Total: limit.Draw(r, "total"), PerDC: limit.Draw(r, "per dc"), PerRack: limit.Draw(r, "per rack")},
			Retry: cluster.Retry{Tries: 3}}
		var hosts []cluster.Host
		failures := make(map[string]int)
		for i := range rapid.IntRange(0, 40).Draw(r, "hosts") {
			h := cluster.Host{Address: fmt.Sprint(i), DC: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "dc"), Rack: rapid.SampledFrom([]string{"1", "2", "3"}).Draw(r, "rack")}
			hosts, failures[h.Address] = append(hosts, h), rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(r, "failures")
		}
		c := &crowd{limits: plan.Limits, now: make(map[string]int), visits: make(map[string]int)}
		var results []cluster.Result
		synctest.Test(t, func(t *testing.T) {
			results = cluster.Each(t.Context(), hosts, plan, func(_ context.Context, h cluster.Host) error {
				c.enter(h)
				defer c.leave(h)
				time.Sleep(time.Duration(1+len(h.Address)) * time.Second)
				if c.visited(h) <= failures[h.Address] {
					return &cluster.LostError{Host: h.Address, Err: errors.New("cut")}
				}
				return nil
			})
		})
		if c.over != "" {
			r.Fatal(c.over)
		}
		for i, result := range results {
			n := failures[hosts[i].Address]
			if want := min(n+1, 3); result.Host != hosts[i] || result.Tries != want || c.visits[hosts[i].Address] != want || (result.Err != nil) != (n == 3) {
				r.Fatalf("host %v that fails %d times: %+v", hosts[i], n, result)
			}
		}
		if len(results) != len(hosts) {
			r.Fatalf("%d results for %d hosts", len(results), len(hosts))
		}
	})
}

func (c *crowd) visited(h cluster.Host) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.visits[h.Address]
}

func TestAllPlacesThatThereAreAreTaken(t *testing.T) {
	var hosts []cluster.Host
	for i := range 30 {
		hosts = append(hosts, cluster.Host{Address: fmt.Sprint(i), DC: []string{"a", "b", "c"}[i/10], Rack: []string{"1", "2"}[i%2]})
	}
	for _, limit := range []struct {
		limits cluster.Limits
		most   int
	}{{cluster.Limits{}, 30}, {cluster.Limits{Total: 7}, 7}, {cluster.Limits{PerDC: 2}, 6}, {cluster.Limits{PerRack: 1}, 6},
		{cluster.Limits{PerDC: 4, PerRack: 1}, 6}, {cluster.Limits{Total: 5, PerRack: 1}, 5}} {
		c := &crowd{now: make(map[string]int), visits: make(map[string]int)}
		synctest.Test(t, func(t *testing.T) {
			cluster.Each(t.Context(), hosts, cluster.Plan{Limits: limit.limits}, func(_ context.Context, h cluster.Host) error {
				c.enter(h)
				defer c.leave(h)
				time.Sleep(time.Second)
				return nil
			})
		})
		if c.most != limit.most {
			t.Errorf("with %+v at most %d were at work, not %d", limit.limits, c.most, limit.most)
		}
	}
}

func TestWhatIsTriedAgainAndHowOften(t *testing.T) {
	lost := &cluster.LostError{Host: "n", Err: errors.New("cut")}
	exit := func(code int) error { return &cluster.ExitError{Host: "n", Code: code} }
	for name, c := range map[string]struct {
		err   error
		retry cluster.Retry
		tries int
	}{
		"a lost connection":              {lost, cluster.Retry{}, 8},
		"one that did not come about":    {fmt.Errorf("on the way: %w", &cluster.DialError{Err: errors.New("refused")}), cluster.Retry{Tries: 3}, 3},
		"once only":                      {lost, cluster.Retry{Tries: 1}, 1},
		"an exit code that may pass":     {exit(7), cluster.Retry{Tries: 4, Codes: []int{6, 7}}, 4},
		"an exit code that may not":      {exit(1), cluster.Retry{Codes: []int{7}}, 1},
		"who is not let in":              {&cluster.AuthError{Err: errors.New("no")}, cluster.Retry{}, 1},
		"a changed host key":             {&cluster.HostKeyError{Changed: true, Err: errors.New("no")}, cluster.Retry{}, 1},
		"an error that nobody knows":     {errors.New("disk full"), cluster.Retry{}, 1},
		"an exit code in a lost session": {errors.Join(exit(1), lost), cluster.Retry{}, 1},
		"success":                        {nil, cluster.Retry{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				results := cluster.Each(t.Context(), make([]cluster.Host, 1), cluster.Plan{Retry: c.retry}, func(context.Context, cluster.Host) error { return c.err })
				if results[0].Tries != c.tries || results[0].Err != c.err {
					t.Errorf("result is %+v", results[0])
				}
			})
		})
	}
}

func TestAHostThatWaitsForItsNextTryTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		hosts := []cluster.Host{{Address: "flaky"}, {Address: "b"}, {Address: "c"}}
		cluster.Each(t.Context(), hosts, cluster.Plan{Limits: cluster.Limits{Total: 1}, Retry: cluster.Retry{First: time.Minute, Max: time.Hour}},
			func(_ context.Context, h cluster.Host) error {
				order = append(order, h.Address)
				if h.Address == "flaky" && len(order) == 1 {
					return &cluster.DialError{Err: errors.New("refused")}
				}
				time.Sleep(time.Second)
				return nil
			})
		if diff := cmp.Diff([]string{"flaky", "b", "c", "flaky"}, order); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnInterruptionBeginsNothingMoreAndKeepsEveryResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		why, cut := errors.New("interrupted"), &cluster.LostError{Err: errors.New("cut")}
		hosts := []cluster.Host{{Address: "done"}, {Address: "paused"}, {Address: "busy"}, {Address: "waiting"}}
		time.AfterFunc(10*time.Second, func() { cancel(why) })
		results := cluster.Each(ctx, hosts, cluster.Plan{Limits: cluster.Limits{Total: 1}, Retry: cluster.Retry{First: time.Hour, Max: time.Hour}},
			func(ctx context.Context, h cluster.Host) error {
				switch h.Address {
				case "done":
					return nil
				case "paused":
					return cut
				}
				<-ctx.Done()
				return context.Cause(ctx)
			})
		want := []cluster.Result{{Host: hosts[0], Tries: 1}, {Host: hosts[1], Tries: 1, Err: cut}, {Host: hosts[2], Tries: 1, Err: why}, {Host: hosts[3], Err: why}}
		if diff := cmp.Diff(want, results, cmp.Comparer(func(a, b error) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		if got := len(cluster.Failed(results)); got != 3 {
			t.Errorf("%d failed", got)
		}
	})
}
