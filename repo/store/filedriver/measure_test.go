package filedriver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gocloud.dev/blob/driver"
)

func TestAListingHasSizeAndTimeOfEachObject(t *testing.T) {
	b := openTest(t, t.TempDir(), Options{})
	const objects = 3*measureShare + 7 // in shares, the last of them smaller
	for i := range objects {
		if err := write(t, b, fmt.Sprintf("a/%03d", i), strings.Repeat("x", i)); err != nil {
			t.Fatal(err)
		}
	}
	page, err := b.ListPaged(t.Context(), &driver.ListOptions{})
	if err != nil || len(page.Objects) != objects {
		t.Fatalf("%d objects, %v", len(page.Objects), err)
	}
	for i, o := range page.Objects {
		a, err := b.Attributes(t.Context(), o.Key)
		if err != nil || o.Size != int64(i) || o.Size != a.Size || !o.ModTime.Equal(a.ModTime) {
			t.Errorf("%s: %d bytes of %s, attributes %+v, %v", o.Key, o.Size, o.ModTime, a, err)
		}
	}
}

func TestAnObjectDeletedWhileItsFolderIsListedIsNotThere(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, Options{})
	for _, key := range []string{"a/1", "a/2", "a/3", "b"} {
		if err := write(t, b, key, key); err != nil {
			t.Fatal(err)
		}
	}
	p := &pager{opts: &driver.ListOptions{}, size: 3}
	page, err := p.list(t.Context(), b.root, func(key string) (*driver.ListObject, error) {
		if key == "a/3" {
			if err := os.Remove(filepath.Join(dir, key)); err != nil {
				t.Fatal(err)
			}
		}
		return p.add(key)
	})
	if err != nil || len(page.Objects) != 2 || page.Objects[1].Key != "a/2" {
		t.Fatalf("listed %+v, %v", page.Objects, err)
	}
	if string(page.NextPageToken) != "a/3" {
		t.Errorf("the next page begins after %q: an object that vanished counts for the page", page.NextPageToken)
	}
}

func TestAFolderThatCannotBeMeasuredFailsTheListing(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, Options{})
	if err := write(t, b, "a/b", ""); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := measure(f, []unmeasured{{&driver.ListObject{}, "b"}}); err == nil {
		t.Error("a folder that is closed has sizes")
	}
}
