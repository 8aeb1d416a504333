package storefault

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"cbk/repo/store"
	"cbk/repo/store/storetest"

	"github.com/google/go-cmp/cmp"
)

func memory(t *testing.T, o store.Options) store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "mem://", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWithoutFaultsItIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return New(memory(t, store.Options{PageSize: storetest.PageSize})) })
}

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		mode   Mode
		first  error // of the operation struck
		second error // of its repetition
		third  error
		other  error // of another operation in between
		effect bool  // of the first
	}{
		{Error, ErrInjected, nil, nil, nil, false},
		{ErrorAfter, ErrInjected, nil, nil, nil, true},
		{Crash, ErrCrashed, ErrCrashed, ErrCrashed, ErrCrashed, false},
		{CrashAfter, ErrCrashed, ErrCrashed, ErrCrashed, ErrCrashed, true},
		{Twice, ErrInjected, ErrInjected, nil, nil, false},
	} {
		t.Run(tc.mode.String(), func(t *testing.T) {
			ctx := t.Context()
			inner := memory(t, store.Options{})
			f := New(inner, Fault{At: 1, Mode: tc.mode})
			check := func(what string, err, want error) {
				t.Helper()
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
			check("the operation before", f.Create(ctx, "a", nil), nil)
			check("the operation struck", f.Create(ctx, "b", nil), tc.first)
			_, err := inner.Stat(ctx, "b")
			if there := err == nil; there != tc.effect {
				t.Errorf("effect: %v, want %v", there, tc.effect)
			}
			check("another operation", f.Create(ctx, "c", nil), tc.other)
			check("the second try", f.Create(ctx, "b", nil), tc.second)
			check("the third try", f.Create(ctx, "b", nil), tc.third)
			if f.Fired() != 1 {
				t.Errorf("%d faults fired", f.Fired())
			}
		})
	}
}

func TestEveryOperationIsCountedAndCanFail(t *testing.T) {
	ops := map[Op]func(context.Context, *Store) error{
		{"create", "x"}: func(ctx context.Context, f *Store) error { return f.Create(ctx, "x", []byte("1")) },
		{"get", "a"}:    func(ctx context.Context, f *Store) error { _, err := f.Get(ctx, "a", 9); return err },
		{"read", "a"}:   func(ctx context.Context, f *Store) error { return f.ReadAt(ctx, "a", 0, make([]byte, 1)) },
		{"stat", "a"}:   func(ctx context.Context, f *Store) error { _, err := f.Stat(ctx, "a"); return err },
		{"list", "p"}: func(ctx context.Context, f *Store) error {
			return f.List(ctx, "p", func(store.Info) error { return nil })
		},
		{"delete", "a"}: func(ctx context.Context, f *Store) error { return f.Delete(ctx, "a") },
		{"copy", "b"}:   func(ctx context.Context, f *Store) error { return f.Copy(ctx, "b", "a") },
	}
	for op, run := range ops {
		for _, mode := range Modes {
			inner := memory(t, store.Options{})
			if err := inner.Create(t.Context(), "a", []byte("1")); err != nil {
				t.Fatal(err)
			}
			f := New(inner, Fault{At: 0, Mode: mode})
			if err := run(t.Context(), f); err == nil {
				t.Errorf("%v, %v: no error", op, mode)
			}
			if diff := cmp.Diff([]Op{op}, f.Ops()); diff != "" {
				t.Errorf("%v: %s", op, diff)
			}
		}
	}
}

// Under store.Retry a caller sees what the modes promise.
func TestRetrySeesThroughTwiceAndNothingElse(t *testing.T) {
	for _, mode := range Modes {
		s := memory(t, store.Options{
			Retry: store.RetryOptions{First: time.Nanosecond},
			Wrap:  func(s store.Store) store.Store { return New(s, Fault{At: 0, Mode: mode}) },
		})
		err := s.Create(t.Context(), "a", []byte("1"))
		if healed := err == nil; healed != (mode == Twice) {
			t.Errorf("%v: %v", mode, err)
		}
	}
}

func TestARefusalIsLostLikeAnyOtherAnswer(t *testing.T) {
	f := New(memory(t, store.Options{}), Fault{At: 0, Mode: ErrorAfter})
	if _, err := f.Stat(t.Context(), "absent"); !errors.Is(err, ErrInjected) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestArmedFaultsAreCountedFromTheNextOperation(t *testing.T) {
	f := New(memory(t, store.Options{}))
	for n := range 3 {
		if err := f.Create(t.Context(), fmt.Sprint("before", n), nil); err != nil {
			t.Fatal(err)
		}
	}
	f.Arm(Fault{At: 1, Mode: Error})
	for n, want := range []error{nil, ErrInjected, nil} {
		if err := f.Create(t.Context(), fmt.Sprint("after", n), nil); !errors.Is(err, want) {
			t.Errorf("operation %d after arming: %v, want %v", n, err, want)
		}
	}
}

func TestUnknownModesHaveAName(t *testing.T) {
	if got := fmt.Sprint(Mode(17)); got != "mode 17" {
		t.Error(got)
	}
}
