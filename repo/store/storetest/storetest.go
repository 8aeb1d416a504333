package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"cbk/repo/store"

	"github.com/google/go-cmp/cmp"
)

// PageSize is the store.Options.PageSize of the stores that Run tests: small,
// so that listings of several pages are cheap.
const PageSize = 20

// Run holds the Store that open returns to the contract of store.Store. Each
// subtest opens its own; open must give an empty store with pages of PageSize
// every time.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"objects come back as they were written", testRoundTrip},
		{"a create never overwrites", testCreateNeverOverwrites},
		{"a repeated create succeeds", testCreateIsIdempotent},
		{"absent objects are told apart", testAbsent},
		{"a get holds no more than its limit", testGetLimit},
		{"ranges are exact", testReadAt},
		{"names that no store keeps alike are refused", testNames},
		{"a listing is complete and sorted", testList},
		{"a listing longer than a page is complete", testListPages},
		{"a callback ends its listing", testListStops},
		{"listings see writes and deletes at once", testListConsistent},
		{"of many goroutines one wins a name", testRace},
		{"methods may be called concurrently", testConcurrent},
		{"a cancelled context ends every method", testCancelled},
		{"a copy follows the rules of create", testCopy},
		{"errors name operation and object", testErrors},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			tc.test(t, s)
		})
	}
}

const limit = 64 << 20

// bytesOf makes n bytes that differ from place to place.
func bytesOf(seed string, n int) []byte {
	b := []byte(strings.Repeat(seed, n/len(seed)+1)[:n])
	for i := range b {
		b[i] ^= byte(i >> 8)
	}
	return b
}

func create(t *testing.T, s store.Store, name string, data []byte) {
	t.Helper()
	if err := s.Create(t.Context(), name, data); err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func list(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	var names []string
	if err := s.List(t.Context(), prefix, func(i store.Info) error {
		names = append(names, i.Name)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

func testRoundTrip(t *testing.T, s store.Store) {
	for _, size := range []int{0, 1, 4096, 1 << 20, 9<<20 + 1} {
		name := fmt.Sprintf("packs/ab/%d", size)
		data := bytesOf(name, size)
		create(t, s, name, data)
		got, err := s.Get(t.Context(), name, limit)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back different", size)
		}
		info, err := s.Stat(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Name != name || info.Size != int64(size) || info.ModTime.IsZero() {
			t.Errorf("stat: %+v", info)
		}
	}
}

func testCreateNeverOverwrites(t *testing.T, s store.Store) {
	first := bytesOf("first", 1000)
	create(t, s, "a/b", first)
	for name, other := range map[string][]byte{
		"of the same length": bytesOf("other", 1000),
		"shorter":            first[:999],
		"longer":             append(slices.Clone(first), 0),
		"empty":              {},
		"large":              bytesOf("large", 9<<20),
	} {
		wantKind(t, "content "+name, s.Create(t.Context(), "a/b", other), store.ErrExists)
	}
	got, err := s.Get(t.Context(), "a/b", limit)
	if err != nil || !bytes.Equal(got, first) {
		t.Errorf("the first content is gone (%v)", err)
	}
}

func testCreateIsIdempotent(t *testing.T, s store.Store) {
	for _, size := range []int{0, 10, 9 << 20} {
		name := fmt.Sprint("n", size)
		for range 3 {
			create(t, s, name, bytesOf("same", size))
		}
	}
}

func testAbsent(t *testing.T, s store.Store) {
	ctx := t.Context()
	_, err := s.Get(ctx, "a/b", limit)
	wantKind(t, "get", err, store.ErrNotFound)
	_, err = s.Stat(ctx, "a/b")
	wantKind(t, "stat", err, store.ErrNotFound)
	wantKind(t, "read", s.ReadAt(ctx, "a/b", 0, make([]byte, 1)), store.ErrNotFound)
	wantKind(t, "delete", s.Delete(ctx, "a/b"), nil)
	create(t, s, "a/b", []byte("x"))
	wantKind(t, "delete", s.Delete(ctx, "a/b"), nil)
	_, err = s.Get(ctx, "a/b", limit)
	wantKind(t, "get after delete", err, store.ErrNotFound)
	create(t, s, "a/b", []byte("y"))
	_, err = s.Get(ctx, "a", limit)
	wantKind(t, "get of what is only a prefix", err, store.ErrNotFound)
}

func testGetLimit(t *testing.T, s store.Store) {
	create(t, s, "big", bytesOf("big", 1001))
	_, err := s.Get(t.Context(), "big", 1000)
	wantKind(t, "get", err, store.ErrTooLarge)
	if _, err := s.Get(t.Context(), "big", 1001); err != nil {
		t.Error(err)
	}
	create(t, s, "empty", nil)
	if got, err := s.Get(t.Context(), "empty", 0); err != nil || len(got) != 0 {
		t.Errorf("an empty object with limit 0: %d bytes, %v", len(got), err)
	}
}

func testReadAt(t *testing.T, s store.Store) {
	data := bytesOf("range", 100_000)
	create(t, s, "r", data)
	create(t, s, "empty", nil)
	for _, tc := range []struct {
		name string
		off  int64
		n    int
		want error
	}{
		{"r", 0, 1, nil},
		{"r", 0, 100_000, nil},
		{"r", 99_999, 1, nil},
		{"r", 12_345, 54_321, nil},
		{"r", 0, 0, nil},
		{"r", 0, 100_001, io.ErrUnexpectedEOF},
		{"r", 99_999, 2, io.ErrUnexpectedEOF},
		{"r", 100_000, 1, io.ErrUnexpectedEOF},
		{"r", 1 << 40, 1, io.ErrUnexpectedEOF},
		{"r", -1, 1, store.ErrInvalid},
		{"empty", 0, 1, io.ErrUnexpectedEOF},
	} {
		p := make([]byte, tc.n)
		err := s.ReadAt(t.Context(), tc.name, tc.off, p)
		wantKind(t, fmt.Sprintf("%d bytes of %s at %d", tc.n, tc.name, tc.off), err, tc.want)
		if err == nil && !bytes.Equal(p, data[tc.off:][:tc.n]) {
			t.Errorf("%d bytes at %d differ", tc.n, tc.off)
		}
	}
}

func testNames(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", ".hidden", "a/.b",
		"a b", "a\\b", "a\x00", "ä", "a\nb", "a?b", "a%2fb", "\xff", strings.Repeat("x", 256), strings.Repeat("a/", 300) + "a",
	} {
		wantKind(t, fmt.Sprintf("create %q", name), s.Create(ctx, name, nil), store.ErrInvalid)
		_, err := s.Get(ctx, name, 1)
		wantKind(t, fmt.Sprintf("get %q", name), err, store.ErrInvalid)
		_, err = s.Stat(ctx, name)
		wantKind(t, fmt.Sprintf("stat %q", name), err, store.ErrInvalid)
		wantKind(t, fmt.Sprintf("read %q", name), s.ReadAt(ctx, name, 0, make([]byte, 1)), store.ErrInvalid)
		wantKind(t, fmt.Sprintf("delete %q", name), s.Delete(ctx, name), store.ErrInvalid)
	}
	for _, prefix := range []string{"/", "/a", "a//", "a b", "\xff", strings.Repeat("x", 600)} {
		err := s.List(ctx, prefix, func(store.Info) error { return nil })
		wantKind(t, fmt.Sprintf("list %q", prefix), err, store.ErrInvalid)
	}
	if got := list(t, s, ""); got != nil {
		t.Errorf("created: %q", got)
	}
	for _, name := range []string{"a", "A", "a-b_c.d", "0/1/2", "x+y=z@w", "a..b", strings.Repeat("x", 255)} {
		create(t, s, name, []byte(name))
		if got, err := s.Get(ctx, name, 1000); err != nil || string(got) != name {
			t.Errorf("%q came back as %q, %v", name, got, err)
		}
	}
}

func testList(t *testing.T, s store.Store) {
	names := []string{"a", "a-", "a.b/c", "b/1/x", "b/1/y", "b/10", "b/2", "b-2/z", "c"}
	for _, n := range names {
		create(t, s, n, []byte(n))
	}
	slices.Sort(names)
	for _, prefix := range []string{"", "a", "a-", "a.b/", "b", "b/", "b/1", "b/1/", "c", "d", "b/1/x", "b/1/xx"} {
		var want, got []string
		for _, n := range names {
			if strings.HasPrefix(n, prefix) {
				want = append(want, fmt.Sprint(n, len(n)))
			}
		}
		err := s.List(t.Context(), prefix, func(i store.Info) error {
			if i.ModTime.IsZero() {
				t.Errorf("%s has no time", i.Name)
			}
			got = append(got, fmt.Sprint(i.Name, i.Size))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("prefix %q (-want +got):\n%s", prefix, diff)
		}
	}
}

func testListPages(t *testing.T, s store.Store) {
	const n = 2*PageSize + 3
	var want []string
	work := make(chan string)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for name := range work {
				if err := s.Create(t.Context(), name, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		want = append(want, fmt.Sprintf("l/%04d", i))
		work <- want[i]
	}
	close(work)
	wg.Wait()
	counted, counts := store.Counting(s)
	if diff := cmp.Diff(want, list(t, counted, "l/")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := counts.Lists.Load(); got != 3 {
		t.Errorf("%d list requests, want 3", got)
	}
}

func testListStops(t *testing.T, s store.Store) {
	for i := range 5 {
		create(t, s, fmt.Sprint("s/", i), nil)
	}
	stop := errors.New("enough")
	calls := 0
	err := s.List(t.Context(), "s/", func(store.Info) error {
		if calls++; calls == 2 {
			return stop
		}
		return nil
	})
	if err != stop || calls != 2 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}
