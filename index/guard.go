package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// guard is a locked file beside a cache's directory, held while the cache is open. It is written to before badger opens
// the directory and emptied after: badger meets some damaged tables with a panic in a goroutine of its own, which nothing
// can catch, so only the next process can learn that the cache must go.
type guard struct{ f *os.File }

// lockDir takes the guard of dir; died is true if the last process that opened dir did not get to the end of it. The
// error matches ErrLocked while another process holds it.
func lockDir(dir string) (g guard, died bool, err error) {
	// The dot keeps it apart from the directories of domains, whose labels start with a letter or digit.
	name := filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return guard{}, false, fmt.Errorf("index cache: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	var info os.FileInfo
	if err == nil {
		info, err = f.Stat()
	}
	if err != nil {
		return guard{}, false, errors.Join(fmt.Errorf("index cache %s: %w", dir, err), f.Close())
	}
	return guard{f}, info.Size() > 0, nil
}

func (g guard) opening() error {
	_, err := g.f.WriteAt([]byte("opening\n"), 0)
	return err
}

func (g guard) opened() error { return g.f.Truncate(0) }

// release lets the next process in. The zero guard, of a temporary cache, holds nothing.
func (g guard) release() error {
	if g.f == nil {
		return nil
	}
	return g.f.Close()
}
