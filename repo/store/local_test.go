package store_test

import (
	"fmt"
	"testing"

	"cbk/repo/store"
	"cbk/repo/store/storetest"
)

func open(t *testing.T, url string, o store.Options) store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, "mem://", paged) })
}

func TestDirectoryConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir(), paged) })
}

func TestAListingAsksFor1000ObjectsAtATime(t *testing.T) {
	s, counts := store.Counting(open(t, "mem://", store.Options{}))
	for i := range 2001 {
		if err := s.Create(t.Context(), fmt.Sprintf("l/%04d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	if err := s.List(t.Context(), "l/", func(store.Info) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	if lists := counts.Lists.Load(); n != 2001 || lists != 3 {
		t.Errorf("%d objects in %d requests, want 2001 in 3", n, lists)
	}
}
