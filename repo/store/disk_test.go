package store_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"cbk/repo/store"
)

func TestAFullDiskIsOneClearErrorAndLeavesNoObject(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	checkFull(t, dir, "packs/ab/1: store is full: write")
}

func TestAFileSizeLimitIsOneClearErrorAndLeavesNoObject(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 20, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	checkFull(t, t.TempDir(), "packs/ab/1: store is full: write")
}

func checkFull(t *testing.T, dir, want string) {
	s := open(t, dir, store.Options{})
	defer s.Close()
	err := s.Create(t.Context(), "packs/ab/1", make([]byte, 2<<20))
	if !errors.Is(err, store.ErrFull) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q, want %q", err, want)
	}
	if err := s.List(t.Context(), "", func(i store.Info) error { return fmt.Errorf("left %s", i.Name) }); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir + "/.cbk-tmp"); len(entries) != 0 {
		t.Errorf("temporary files left: %v", entries)
	}
	if err := s.Create(t.Context(), "packs/ab/1", make([]byte, 1000)); err != nil {
		t.Errorf("a small object afterwards: %v", err)
	}
}
