package store

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBytesFlowAtTheirRate(t *testing.T) {
	const size = 4 << 20
	data := make([]byte, size)
	for _, tc := range []struct {
		name     string
		up, down int64
		want     time.Duration // of one create and one get
	}{
		{"unlimited", 0, 0, 0},
		{"up", 1 << 20, 0, 4 * time.Second},
		{"down", 0, 2 << 20, 2 * time.Second},
		{"both", 1 << 20, 2 << 20, 6 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := Rate(openMemory(t, Options{}), tc.up, tc.down)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				if err := s.Create(t.Context(), "x", data); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Get(t.Context(), "x", size); err != nil {
					t.Fatal(err)
				}
				// the first quarter of a second's bytes, at most a piece, is free
				if got := time.Since(start); got > tc.want || got < tc.want-time.Second {
					t.Errorf("took %s, want about %s", got, tc.want)
				}
			})
		})
	}
}

func TestARateIsSharedByAllOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Rate(openMemory(t, Options{}), 1<<20, 0)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		done := make(chan error)
		for _, name := range []string{"a", "b"} {
			go func() { done <- s.Create(t.Context(), name, make([]byte, 2<<20)) }()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got > 4*time.Second || got < 3*time.Second {
			t.Errorf("4 MiB at 1 MiB/s took %s", got)
		}
	})
}

func TestTheSlowestRateIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Rate(openMemory(t, Options{Stall: 2 * time.Second, Retry: RetryOptions{Budget: -1}}), minRate, minRate)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Create(t.Context(), "x", make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		if _, err := s.Get(t.Context(), "x", 1<<20); err != nil {
			t.Error(err)
		}
	})
}

func TestRatesThatAreRefused(t *testing.T) {
	for _, r := range []int64{-1, 1, minRate - 1} {
		if _, err := Rate(&scripted{}, r, 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("up %d: %v", r, err)
		}
		if _, err := Open(t.Context(), "mem://", Options{Download: r}); !errors.Is(err, ErrInvalid) {
			t.Errorf("down %d: %v", r, err)
		}
	}
}
