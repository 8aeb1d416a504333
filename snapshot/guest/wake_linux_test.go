package guest

import (
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pagesOf returns which pages of a file are resident.
func pagesOf(t *testing.T, path string) []bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := resident(f, 0, info.Size(), int64(os.Getpagesize()))
	if b == nil {
		t.Fatalf("the kernel does not tell what of %s is resident", path)
	}
	pages := make([]bool, len(b))
	for i := range b {
		pages[i] = b[i]&1 == 1
	}
	return pages
}

func count(pages []bool) (n int) {
	for _, p := range pages {
		if p {
			n++
		}
	}
	return n
}

// part is a part of a file, in pages.
type part struct{ from, pages int }

// warm leaves exactly these parts of a file in the page cache.
func warm(t *testing.T, path string, parts []part) []bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	evict(f, 0, 0)
	if n := count(pagesOf(t, path)); n != 0 {
		t.Fatalf("%d pages cannot be evicted: this test needs a disk's file system, not one in memory; set TMPDIR", n)
	}
	// Random access is without readahead.
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM); err != nil {
		t.Fatal(err)
	}
	page := int64(os.Getpagesize())
	for _, p := range parts {
		if _, err := io.Copy(io.Discard, io.NewSectionReader(f, int64(p.from)*page, int64(p.pages)*page)); err != nil {
			t.Fatal(err)
		}
	}
	return pagesOf(t, path)
}

// everyOther are parts of n pages with gaps of n pages, up to the end.
func everyOther(n, end int) (parts []part) {
	for at := 0; at+n <= end; at += 2 * n {
		parts = append(parts, part{at, n})
	}
	return parts
}

func TestThePageCacheIsLeftAsItWas(t *testing.T) {
	page := os.Getpagesize()
	perWindow := window / page
	size := 3*window + 5*page + 7
	pages := 3*perWindow + 6
	all := func(f io.Reader) error { _, err := io.Copy(io.Discard, f); return err }
	some := func(n int64) func(io.Reader) error {
		return func(f io.Reader) error { _, err := io.CopyN(io.Discard, f, n); return err }
	}
	for _, tc := range []struct {
		name  string
		parts []part
		read  func(io.Reader) error
		rate  int64
	}{
		{"nothing was resident", nil, all, 0},
		{"all was resident", []part{{0, pages}}, all, 0},
		{"the first half was", []part{{0, pages / 2}}, all, 0},
		{"the second half was", []part{{pages / 2, pages}}, all, 0},
		{"every other page was", everyOther(1, pages), all, 0},
		{"every other 64 pages were", everyOther(64, pages), all, 0},
		{"pages on both sides of a window's border", []part{{perWindow - 3, 6}}, all, 0},
		{"the last page was", []part{{pages - 1, 1}}, all, 0},
		{"the reading ends within the first window", everyOther(16, pages), some(window / 2), 0},
		{"the reading ends just before the second window", nil, some(window - 1), 0},
		{"three windows are asked for at a time", everyOther(64, pages), func(f io.Reader) error {
			_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, f, make([]byte, 3*window))
			return err
		}, 0},
		{"the reading ends within the last window", []part{{0, 1}}, some(3*window + 9), 0},
		{"nothing is read", everyOther(64, pages), some(0), 0},
		{"with a rate", everyOther(64, pages), all, 1 << 30},
	} {
		t.Run(tc.name, func(t *testing.T) {
			live, _ := content(t, size)
			path := live + "-link"
			if err := os.Link(live, path); err != nil {
				t.Fatal(err)
			}
			var gone, left int
			for range 3 { // a machine short of memory reclaims pages on its own
				before := warm(t, live, tc.parts)
				f := open(t, New(Options{ReadRate: tc.rate}), path)
				if err := tc.read(f); err != nil {
					t.Fatal(err)
				}
				settle(t, live)
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				if gone, left = difference(before, pagesOf(t, live)); gone+left == 0 {
					return
				}
			}
			t.Errorf("of %d pages, %d that were resident are gone, %d others are left", pages, gone, left)
		})
	}
}

func difference(before, after []bool) (gone, left int) {
	for i := range before {
		if before[i] && !after[i] {
			gone++
		}
		if !before[i] && after[i] {
			left++
		}
	}
	return gone, left
}

// settle waits for what readahead has under way: the kernel gives back no page that is being read.
func settle(t *testing.T, path string) {
	t.Helper()
	for was, same := -1, 0; same < 3; time.Sleep(10 * time.Millisecond) {
		n := count(pagesOf(t, path))
		if same++; n != was {
			was, same = n, 0
		}
	}
}

func TestAPartlyResidentFileIsHalfResidentInTheseTests(t *testing.T) {
	page := os.Getpagesize()
	path, _ := content(t, 1024*page)
	if n := count(warm(t, path, everyOther(64, 1024))); n != 512 {
		t.Errorf("%d of 1024 pages", n)
	}
}

func TestNoMoreOfAFileIsHeldThanTheWindowsUnderWay(t *testing.T) {
	path, _ := content(t, 9*window)
	warm(t, path, nil)
	f := open(t, New(Options{}), path)
	defer f.Close()
	most := 0
	for {
		_, err := io.CopyN(io.Discard, f, 1<<20)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, count(pagesOf(t, path)))
	}
	if limit := (1 + windowsAhead) * window / os.Getpagesize(); most > limit {
		t.Errorf("%d pages of the file were resident at a time, want %d at the most", most, limit)
	}
}

// Readahead grows with what is read in one go, to as much as the disk is set up for.
func TestReadaheadDoesNotOvertakeTheQuestions(t *testing.T) {
	path, _ := content(t, 12*window)
	warm(t, path, nil)
	f := open(t, New(Options{}), path)
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, f, make([]byte, 512<<10)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(pagesOf(t, path)); n != 0 {
		t.Errorf("%d pages are left", n)
	}
}

func TestAFileOfOnePageIsLeftInTheCache(t *testing.T) {
	for size, want := range map[int]int{1: 1, os.Getpagesize(): 1, os.Getpagesize() + 1: 0} {
		path, _ := content(t, size)
		warm(t, path, nil)
		f := open(t, New(Options{}), path)
		if _, err := io.Copy(io.Discard, f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got := count(pagesOf(t, path)); got != want {
			t.Errorf("%d bytes: %d pages resident, want %d", size, got, want)
		}
	}
}

// What cannot be mapped is read all the same, and nothing of it is given back.
func TestAFileThatCannotBeMappedIsReadAllTheSame(t *testing.T) {
	// Files of /proc have no size and no mapping; a fifo has a size of 0.
	f := open(t, New(Options{}), "/proc/self/status")
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || len(got) == 0 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	w := newWake(f.(*file).f, 3*window)
	if w.now.pages != nil {
		t.Fatal("/proc/self/status can be mapped")
	}
	w.passed(window)
	w.passed(2 * window)
	w.end()
}
