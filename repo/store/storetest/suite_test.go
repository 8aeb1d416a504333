package storetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"cbk/repo/store"
)

// brokenEnv makes TestABrokenStore run the suite on one of the broken stores.
const brokenEnv = "CBK_STORETEST_BROKEN"

// broken are stores that break one promise each, and a subtest that must fail.
var broken = map[string]struct {
	breakIt func(store.Store) store.Store
	fails   string
}{
	"overwrites":            {func(s store.Store) store.Store { return overwriting{s} }, "a create never overwrites"},
	"is not idempotent":     {func(s store.Store) store.Store { return strict{s} }, "a repeated create succeeds"},
	"loses the last byte":   {func(s store.Store) store.Store { return truncating{s} }, "objects come back as they were written"},
	"ignores the limit":     {func(s store.Store) store.Store { return greedy{s} }, "a get holds no more than its limit"},
	"reads short":           {func(s store.Store) store.Store { return shortReads{s} }, "ranges are exact"},
	"deletes nothing":       {func(s store.Store) store.Store { return hoarding{s} }, "listings see writes and deletes at once"},
	"lists backwards":       {func(s store.Store) store.Store { return backwards{s} }, "a listing is complete and sorted"},
	"drops callback errors": {func(s store.Store) store.Store { return deaf{s} }, "a callback ends its listing"},
	"ignores contexts":      {func(s store.Store) store.Store { return tireless{s} }, "a cancelled context ends every method"},
	"cannot copy":           {func(s store.Store) store.Store { return struct{ store.Store }{s} }, "a copy follows the rules of create"},
}

type overwriting struct{ store.Store }

func (s overwriting) Create(ctx context.Context, name string, data []byte) error {
	if err := s.Store.Delete(ctx, name); err != nil {
		return err
	}
	return s.Store.Create(ctx, name, data)
}

type strict struct{ store.Store }

func (s strict) Create(ctx context.Context, name string, data []byte) error {
	if _, err := s.Store.Stat(ctx, name); err == nil {
		return &store.Error{Op: "create", Name: name, Kind: store.ErrExists}
	}
	return s.Store.Create(ctx, name, data)
}

type truncating struct{ store.Store }

func (s truncating) Create(ctx context.Context, name string, data []byte) error {
	return s.Store.Create(ctx, name, data[:max(0, len(data)-1)])
}

type greedy struct{ store.Store }

func (s greedy) Get(ctx context.Context, name string, _ int64) ([]byte, error) {
	return s.Store.Get(ctx, name, limit)
}

type shortReads struct{ store.Store }

func (s shortReads) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	err := s.Store.ReadAt(ctx, name, off, p)
	if err != nil && strings.Contains(err.Error(), "too short") {
		return nil
	}
	return err
}

type hoarding struct{ store.Store }

func (hoarding) Delete(context.Context, string) error { return nil }

type backwards struct{ store.Store }

func (s backwards) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	var all []store.Info
	err := s.Store.List(ctx, prefix, func(i store.Info) error { all = append(all, i); return nil })
	for _, i := range slices.Backward(all) {
		if err == nil {
			err = fn(i)
		}
	}
	return err
}

type deaf struct{ store.Store }

func (s deaf) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return s.Store.List(ctx, prefix, func(i store.Info) error { fn(i); return nil })
}

type tireless struct{ store.Store }

func (s tireless) Create(ctx context.Context, name string, data []byte) error {
	return s.Store.Create(context.WithoutCancel(ctx), name, data)
}

// TestTheSuiteFindsBrokenStores runs the suite on each broken store in a child
// process, because a failing subtest would fail this one.
func TestTheSuiteFindsBrokenStores(t *testing.T) {
	for name, b := range broken {
		cmd := exec.Command(os.Args[0], "-test.run=^TestABrokenStore$", "-test.v")
		cmd.Env = append(os.Environ(), brokenEnv+"="+name)
		out, err := cmd.CombinedOutput()
		want := fmt.Sprintf("--- FAIL: TestABrokenStore/%s ", strings.ReplaceAll(b.fails, " ", "_"))
		if err == nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("a store that %s passes %q", name, b.fails)
		}
	}
}

// TestABrokenStore is the child's test; by itself it holds the suite to an
// unbroken store.
func TestABrokenStore(t *testing.T) {
	b, ok := broken[os.Getenv(brokenEnv)]
	Run(t, func(t *testing.T) store.Store {
		s, err := store.Open(t.Context(), "mem://", store.Options{PageSize: PageSize})
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return b.breakIt(s)
		}
		return s
	})
}

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestARaceWithTwoWinnersIsFound(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Create(t.Context(), "race/prize", content("3")); err != nil {
		t.Fatal(err)
	}
	if err := checkWinner(t.Context(), dir, "3"); err != nil {
		t.Errorf("the winner: %v", err)
	}
	for _, wrong := range []string{"", "4", "34"} {
		if checkWinner(t.Context(), dir, wrong) == nil {
			t.Errorf("process %q passes for the winner", wrong)
		}
	}
}
