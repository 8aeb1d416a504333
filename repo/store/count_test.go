package store

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func openMemory(t *testing.T, o Options) Store {
	t.Helper()
	s, err := Open(t.Context(), "mem://", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *Counts) String() string {
	return fmt.Sprintf("put %d get %d head %d list %d delete %d copy %d up %d down %d", c.Puts.Load(), c.Gets.Load(),
		c.Heads.Load(), c.Lists.Load(), c.Deletes.Load(), c.Copies.Load(), c.BytesUp.Load(), c.BytesDown.Load())
}

func TestCountsAreWhatGoesOut(t *testing.T) {
	ctx := t.Context()
	create := func(name string, n int) func(Store) error {
		return func(s Store) error { return s.Create(ctx, name, make([]byte, n)) }
	}
	for _, tc := range []struct {
		name string
		ops  []func(Store) error
		want string
	}{
		{"a create is one put", []func(Store) error{create("a", 5)},
			"put 1 get 0 head 0 list 0 delete 0 copy 0 up 5 down 0"},
		{"a repeated create reads back", []func(Store) error{create("a", 5), create("a", 5)},
			"put 2 get 1 head 0 list 0 delete 0 copy 0 up 10 down 5"},
		{"a refused name costs nothing", []func(Store) error{func(s Store) error { create("a//b", 1)(s); return nil }},
			"put 0 get 0 head 0 list 0 delete 0 copy 0 up 0 down 0"},
		{"every reading method counts", []func(Store) error{create("x", 8),
			func(s Store) error { return everyOperation["get"](ctx, s) },
			func(s Store) error { return everyOperation["read"](ctx, s) },
			func(s Store) error { return everyOperation["stat"](ctx, s) },
			func(s Store) error { return everyOperation["list"](ctx, s) }},
			"put 1 get 2 head 1 list 1 delete 0 copy 0 up 8 down 9"},
		{"deletes and copies count", []func(Store) error{create("x", 8),
			func(s Store) error { return everyOperation["copy"](ctx, s) },
			func(s Store) error { return everyOperation["delete"](ctx, s) }},
			"put 1 get 0 head 0 list 0 delete 1 copy 1 up 8 down 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, counts := Counting(openMemory(t, Options{}))
			for _, op := range tc.ops {
				if err := op(s); err != nil {
					t.Fatal(err)
				}
			}
			if got := counts.String(); got != tc.want {
				t.Errorf("counts %s\nwant   %s", got, tc.want)
			}
			if got := counts.Total(); got == 0 && tc.want[4] != '0' {
				t.Error("total is 0")
			}
		})
	}
}

// late fails after the operation took effect.
type late struct {
	Store
	fails int
}

func (l *late) Create(ctx context.Context, name string, data []byte) error {
	err := l.Store.Create(ctx, name, data)
	if l.fails--; l.fails >= 0 {
		return errFlaky
	}
	return err
}

func TestRepetitionsAndNestedCountsAreCounted(t *testing.T) {
	o := Options{Retry: RetryOptions{First: time.Nanosecond}, Wrap: func(s Store) Store { return &late{s, 2} }}
	inner, innerCounts := Counting(openMemory(t, o))
	outer, outerCounts := Counting(inner)
	if err := outer.Create(t.Context(), "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	want := "put 3 get 2 head 0 list 0 delete 0 copy 0 up 3 down 2"
	if innerCounts.String() != want || outerCounts.String() != want {
		t.Errorf("inner %s\nouter %s\nwant  %s", innerCounts, outerCounts, want)
	}
	if got := innerCounts.Total(); got != 5 {
		t.Errorf("total %d, want 5", got)
	}
}
