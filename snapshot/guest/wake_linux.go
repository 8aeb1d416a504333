package guest

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// resident returns a byte for each page of a part of f that begins at a page, or nil where the kernel does not say.
func resident(f *os.File, from, length, page int64) []byte {
	at, err := unix.MmapPtr(int(f.Fd()), from, nil, uintptr(length), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil
	}
	pages := make([]byte, (length+page-1)/page)
	_, _, failed := unix.Syscall(unix.SYS_MINCORE, uintptr(at), uintptr(length), uintptr(unsafe.Pointer(&pages[0])))
	if err := unix.MunmapPtr(at, uintptr(length)); err != nil || failed != 0 {
		return nil
	}
	return pages
}

// evict gives back pages of f. What the kernel does not take stays cached, and nothing else comes of it.
func evict(f *os.File, from, length int64) {
	_ = unix.Fadvise(int(f.Fd()), from, length, unix.FADV_DONTNEED)
}
