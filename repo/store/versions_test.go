package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// history is a bucket's versions in the order of their listing, some of them
// delete markers, which have no size.
type history struct {
	versioned
	entries []version
}

func (h *history) versions(_ context.Context, prefix string, after marker, limit int) (p versionPage, err error) {
	from := 0
	if after.Key != "" {
		from = 1 + slices.IndexFunc(h.entries, func(v version) bool { return v.Key == after.Key && v.ID == after.Version })
	}
	for _, v := range h.entries[from:] {
		if len(v.Key) < len(prefix) || v.Key[:len(prefix)] != prefix {
			continue
		}
		if limit == 0 {
			return p, nil
		}
		limit--
		p.beyond = p.beyond || v.Key != prefix
		if v.Size >= 0 {
			p.versions = append(p.versions, v)
		}
		p.next = &marker{v.Key, v.ID}
	}
	p.next = nil
	return p, nil
}

// Whatever the history and wherever pages end, the oldest version of each key is
// listed, in order, and found by its name.
func TestTheOldestVersionOfEachKeyIsFound(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		h, want := &history{}, []version(nil)
		for _, key := range []string{"a", "a/1", "a/10", "a/11", "a/2", "b"} {
			var first *version
			for n := range random.IntN(6) {
				v := version{Key: key, ID: fmt.Sprintf("%s#%d", key, n), Size: int64(random.IntN(9) - 4)}
				h.entries = append(h.entries, v)
				if v.Size >= 0 {
					first = &v
				}
			}
			if first != nil {
				want = append(want, *first)
			}
		}
		for page := 1; page < 8; page++ {
			f := &firstVersions{from: h, page: page, ids: map[string]string{}}
			if got := walk(t, f, ""); !cmp.Equal(want, got) {
				t.Fatalf("seed %d, pages of %d: %s", seed, page, cmp.Diff(want, got))
			}
			for _, w := range want {
				f := &firstVersions{from: h, page: page, ids: map[string]string{}}
				if v, err := f.find(t.Context(), w.Key); err != nil || v != w {
					t.Fatalf("seed %d, pages of %d: %s is %+v, %v, want %+v", seed, page, w.Key, v, err, w)
				}
			}
		}
	}
}

func walk(t *testing.T, f *firstVersions, prefix string) (all []version) {
	t.Helper()
	var token []byte
	for {
		page, next, err := f.list(t.Context(), prefix, token)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if token = next; token == nil {
			return all
		}
	}
}

func TestIdsOfVersionsAreForgottenBeforeTheyFillMemory(t *testing.T) {
	f := &firstVersions{ids: map[string]string{}}
	for n := range 2*maxVersions + 1 {
		f.remember(version{Key: fmt.Sprint(n), ID: "x"})
		if len(f.ids) > maxVersions {
			t.Fatalf("%d ids after %d", len(f.ids), n)
		}
	}
}
