package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"cbk/repo/store"
)

func testListConsistent(t *testing.T, s store.Store) {
	for i := range 20 {
		name := fmt.Sprint("gc/", i)
		create(t, s, name, nil)
		if got := list(t, s, "gc/"); !slices.Equal(got, []string{name}) {
			t.Errorf("after creating %s: %q", name, got)
		}
		if err := s.Delete(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if got := list(t, s, "gc/"); got != nil {
			t.Errorf("after deleting %s: %q", name, got)
		}
	}
}

func testRace(t *testing.T, s store.Store) {
	for round := range 5 {
		name := fmt.Sprint("race/", round)
		results := make([]error, 16)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				<-start
				results[i] = s.Create(t.Context(), name, []byte{byte(i)})
			})
		}
		close(start)
		wg.Wait()
		got, err := s.Get(t.Context(), name, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, err := range results {
			if won := got[0] == byte(i); won && err != nil || !won && !errors.Is(err, store.ErrExists) {
				t.Errorf("object of %d; writer %d got %v", got[0], i, err)
			}
		}
	}
}

func testConcurrent(t *testing.T, s store.Store) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("c/%d/x", i)
			data := bytesOf(name, 100_000)
			if err := s.Create(t.Context(), name, data); err != nil {
				t.Error(err)
			}
			got, err := s.Get(t.Context(), name, limit)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s came back different (%v)", name, err)
			}
			if err := s.List(t.Context(), "c/", func(store.Info) error { return nil }); err != nil {
				t.Error(err)
			}
			if err := s.Delete(t.Context(), name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := list(t, s, ""); got != nil {
		t.Errorf("left: %q", got)
	}
}

func testCancelled(t *testing.T, s store.Store) {
	create(t, s, "there", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantKind(t, "create", s.Create(ctx, "fresh", bytesOf("x", 1<<20)), context.Canceled)
	err := s.List(ctx, "", func(store.Info) error { return nil })
	wantKind(t, "list", err, context.Canceled)
	_, err = s.Get(ctx, "there", 1)
	wantKind(t, "get", err, context.Canceled)
	wantKind(t, "read", s.ReadAt(ctx, "there", 0, make([]byte, 1)), context.Canceled)
	_, err = s.Stat(ctx, "there")
	wantKind(t, "stat", err, context.Canceled)
	wantKind(t, "delete", s.Delete(ctx, "there"), context.Canceled)
	if got := list(t, s, ""); !slices.Equal(got, []string{"there"}) {
		t.Errorf("afterwards: %q", got)
	}
}

func testCopy(t *testing.T, s store.Store) {
	c, ok := s.(store.Copier)
	if !ok {
		t.Fatal("not a Copier")
	}
	ctx := t.Context()
	data := bytesOf("copy", 3<<20)
	create(t, s, "packs/src", data)
	create(t, s, "packs/other", bytesOf("other", 3<<20))
	for range 2 {
		if err := c.Copy(ctx, "full/1/packs/src", "packs/src"); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "copy over other bytes", c.Copy(ctx, "packs/other", "packs/src"), store.ErrExists)
	wantKind(t, "copy of nothing", c.Copy(ctx, "packs/none", "packs/nothing"), store.ErrNotFound)
	wantKind(t, "copy to a bad name", c.Copy(ctx, "a//b", "packs/src"), store.ErrInvalid)
	wantKind(t, "delete", s.Delete(ctx, "packs/src"), nil)
	got, err := s.Get(ctx, "full/1/packs/src", limit)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("the copy differs (%v)", err)
	}
	if got := list(t, s, "packs/"); !slices.Equal(got, []string{"packs/other"}) {
		t.Errorf("afterwards: %q", got)
	}
}

func testErrors(t *testing.T, s store.Store) {
	create(t, s, "packs/ab/cd", []byte("x"))
	for want, err := range map[string]error{
		"get packs/ab/ef: not found":                    second(s.Get(t.Context(), "packs/ab/ef", 1)),
		"create packs/ab/cd: exists with other content": s.Create(t.Context(), "packs/ab/cd", nil),
		"get packs/ab/cd: larger than allowed":          second(s.Get(t.Context(), "packs/ab/cd", 0)),
		"read packs/ab/cd: object is too short":         s.ReadAt(t.Context(), "packs/ab/cd", 0, make([]byte, 2)),
		"create: object name \"a//b\": invalid":         s.Create(t.Context(), "a//b", nil),
		"stat packs/ab: not found":                      second(s.Stat(t.Context(), "packs/ab")),
	} {
		var e *store.Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q, want %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
