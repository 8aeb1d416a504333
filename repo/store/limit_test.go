package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slow takes a second for each operation and knows how many run at once.
type slow struct {
	scripted
	running, most atomic.Int64
}

func (s *slow) Stat(ctx context.Context, name string) (Info, error) {
	s.most.Store(max(s.most.Load(), s.running.Add(1)))
	defer s.running.Add(-1)
	return Info{Name: name}, sleep(ctx, time.Second)
}

func TestNoMoreThanTheLimitRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		l := Limit(s, 3)
		var wg sync.WaitGroup
		start := time.Now()
		for range 9 {
			wg.Go(func() {
				if _, err := l.Stat(t.Context(), "x"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if s.most.Load() != 3 || time.Since(start) != 3*time.Second {
			t.Errorf("%d at once, %s", s.most.Load(), time.Since(start))
		}
	})
}

func TestWaitingForAPlaceEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Limit(&slow{}, 1)
		go l.Stat(t.Context(), "first")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := l.Stat(ctx, "second")
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "stat second: context deadline exceeded" {
			t.Errorf("error %v", err)
		}
	})
}

func TestEveryOperationTakesAPlaceAndGivesItBack(t *testing.T) {
	for name, op := range everyOperation {
		l := Limit(&scripted{}, 1).(*limited)
		for range 3 {
			if err := op(t.Context(), l); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		l.places <- struct{}{}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := op(ctx, l); !errors.Is(err, context.Canceled) {
			t.Errorf("%s ran without a place: %v", name, err)
		}
	}
}

func TestACallbackMayUseTheStoreThatListsForIt(t *testing.T) {
	l := Limit(&scripted{}, 1)
	err := l.List(t.Context(), "", func(i Info) error {
		_, err := l.Stat(t.Context(), i.Name)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
