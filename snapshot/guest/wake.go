package guest

import "os"

// window is how much of a file is asked about and given back at a time. It is more than any usual readahead (128 KiB,
// some MiB on arrays), so that what is asked about was not yet touched by the reading behind it; few enough bytes that
// eight files hold 128 MiB of page cache at the most; and three system calls for it vanish beside its 2,048 pages.
// Windows begin at multiples of it: the kernel caches files in blocks of up to 2 MiB, aligned to their size, and gives
// back none that lies in a range only in part.
const window = 8 << 20

// wake is what the reading of a file leaves behind in the page cache.
type wake struct {
	f         *os.File
	size      int64
	page      int64
	now, next seen // the window that is read, and the one after it
}

// seen is what was resident of a window before it was read: a byte a page, the lowest bit tells.
type seen struct {
	from, to int64
	pages    []byte // nil: not known, which counts as resident
}

// newWake returns nil for a file of one page at most. Asking and giving back cost some 10 µs of processor time, as much
// as all else about a small file that is cached; a backup opens tens of thousands of such files (TOC.txt, digests), and
// 80,000 of their pages are 320 MB at the most, which the kernel reclaims first as read once.
func newWake(f *os.File, size int64) *wake {
	w := &wake{f: f, size: size, page: int64(os.Getpagesize())}
	if size <= w.page {
		return nil
	}
	w.now = w.look(0)
	w.next = w.look(w.now.to)
	return w
}

func (w *wake) look(from int64) seen {
	s := seen{from: from, to: min(from+window, w.size)}
	if s.from < s.to {
		s.pages = resident(w.f, s.from, s.to-s.from, w.page)
	}
	return s
}

// atMost bounds a read so that it stays within the window: the one after it has been asked about, the next has not.
func (w *wake) atMost(pos int64, n int) int {
	if w == nil || pos >= w.now.to {
		return n
	}
	return int(min(int64(n), w.now.to-pos))
}

// passed gives back the window that ends at pos.
func (w *wake) passed(pos int64) {
	if w == nil || pos < w.now.to || w.now.from == w.now.to {
		return
	}
	w.leave(w.now)
	w.now = w.next
	w.next = w.look(w.now.to)
}

// end gives back what was read of the window under way, and what readahead fetched beyond it.
func (w *wake) end() {
	if w == nil {
		return
	}
	w.leave(w.now)
	w.leave(w.next)
}

// leave gives back the runs of pages that were not resident.
func (w *wake) leave(s seen) {
	const isResident = 1
	for i := 0; i < len(s.pages); i++ {
		first := i
		for i < len(s.pages) && s.pages[i]&isResident == 0 {
			i++
		}
		if first < i {
			evict(w.f, s.from+int64(first)*w.page, int64(i-first)*w.page)
		}
	}
}
