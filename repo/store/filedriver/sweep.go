package filedriver

import (
	"path/filepath"
	"time"
)

// tempDir holds the temporary files. One folder for all makes sweeping one
// readdir, and its leading dot keeps it out of the name space.
const tempDir = ".cbk-tmp"

// staleAfter is how long a temporary file may rest before it counts as left
// behind by a crash: an object is written in seconds, a stalled disk or a
// suspended machine may take hours. Sweeping a live one costs its writer only
// a retry, because publishing a removed file fails.
const staleAfter = 24 * time.Hour

// sweep removes stale temporary files. It is housekeeping: what it cannot
// read or remove stays for the next one.
func (b *bucket) sweep(now time.Time) {
	dir, err := b.root.Open(tempDir)
	if err != nil {
		return
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(256)
		for _, e := range entries {
			temp := filepath.Join(tempDir, e.Name())
			if info, err := b.root.Lstat(temp); err == nil && now.Sub(info.ModTime()) > staleAfter {
				b.root.Remove(temp)
			}
		}
		if err != nil {
			return
		}
	}
}
