package filedriver

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob/driver"
	"pgregory.net/rapid"
)

func TestStrangersAreNotListed(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, Options{})
	if err := write(t, b, "packs/ab", ""); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".hidden", "packs/.nfs0001", "packs/a%zz", "packs/%41", tempDir + "/x"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "packs/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"packs/ab"}, keys(t, b, driver.ListOptions{})); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnreadableFolderFailsTheListing(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, Options{})
	if err := write(t, b, "a/b", ""); err != nil {
		t.Fatal(err)
	}
	b.root.Close() // root reads everything, so take the handle away instead
	if _, err := b.ListPaged(t.Context(), &driver.ListOptions{}); err == nil {
		t.Error("an unreadable root lists as empty")
	}
}

func TestListingEqualsSortingAllKeys(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.SampledFrom([]string{"a", "a-", "a.b", "b", "%", ".", "..", "", "é", "a\x00"})
		list := rapid.SliceOfNDistinct(rapid.Custom(func(rt *rapid.T) string {
			return strings.Join(rapid.SliceOfN(part, 1, 3).Draw(rt, "parts"), "/")
		}), 0, 6, rapid.ID)
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		b := openTest(t, dir, Options{})
		var want []string
		prefix := rapid.SampledFrom([]string{"", "a", "a/", "a-", ".", "b/a"}).Draw(rt, "prefix")
		for _, key := range list.Draw(rt, "keys") {
			err := write(t, b, key, key)
			if err == nil && strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
			if err != nil && !errors.Is(err, ErrInvalidKey) {
				rt.Fatalf("write %q: %v", key, err)
			}
		}
		slices.Sort(want)
		size := rapid.IntRange(1, 4).Draw(rt, "page")
		if diff := cmp.Diff(want, keys(t, b, driver.ListOptions{Prefix: prefix, PageSize: size})); diff != "" {
			rt.Fatalf("prefix %q (-want +got):\n%s", prefix, diff)
		}
	})
}
