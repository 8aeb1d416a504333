package guest

import "os"

// window is how much of a file is asked about and given back at a time: few enough bytes that the three system calls for it
// vanish beside its 2,048 pages, and what eight files hold of the page cache beside that of a node. Windows begin at
// multiples of it: the kernel caches files in blocks of up to 2 MiB, aligned to their size, and gives back none that lies
// in a range only in part.
const window = 8 << 20

// windowsAhead are asked about before the window behind them is read, so that readahead has not touched them yet. It
// reaches at most two of its blocks ahead, which are 128 KiB as a rule, and some MiB on arrays and network disks.
const windowsAhead = 2

// wake is what the reading of a file leaves behind in the page cache.
type wake struct {
	f     *os.File
	size  int64
	page  int64
	now   seen // the window that is read
	ahead [windowsAhead]seen
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
	from := w.now.to
	for i := range w.ahead {
		w.ahead[i] = w.look(from)
		from = w.ahead[i].to
	}
	return w
}

func (w *wake) look(from int64) seen {
	s := seen{from: from, to: min(from+window, w.size)}
	if s.from < s.to {
		s.pages = resident(w.f, s.from, s.to-s.from, w.page)
	}
	return s
}

// atMost bounds a read so that it stays within the window: of what lies far behind it nothing has been asked.
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
	last := w.ahead[windowsAhead-1].to
	w.now = w.ahead[0]
	copy(w.ahead[:], w.ahead[1:])
	w.ahead[windowsAhead-1] = w.look(last)
}

// end gives back what was read of the window under way, and what readahead fetched beyond it.
func (w *wake) end() {
	if w == nil {
		return
	}
	w.leave(w.now)
	for _, s := range w.ahead {
		w.leave(s)
	}
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
