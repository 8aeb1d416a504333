package guest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// content writes a file of bytes that do not repeat.
func content(t *testing.T, size int) (path string, b []byte) {
	t.Helper()
	b = make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	path = filepath.Join(t.TempDir(), "nb-1-big-Data.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, b
}

func open(t *testing.T, g *Guest, path string) io.ReadCloser {
	t.Helper()
	f, err := g.Opener(t.Context())(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFileOfAnySizeComesAsItIs(t *testing.T) {
	page := os.Getpagesize()
	for _, size := range []int{0, 1, page, page + 1, window - 1, window, window + 1, 2*window + 5*page + 7} {
		path, want := content(t, size)
		f := open(t, New(Options{}), path)
		// More than two windows at a time are asked for.
		var all bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&all}, f, make([]byte, 2*window+1))
		got := all.Bytes()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, equal: %t, %v", size, len(got), bytes.Equal(got, want), err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAFileThatGrowsIsReadToItsNewEnd(t *testing.T) {
	path, want := content(t, 3*os.Getpagesize())
	f := open(t, New(Options{}), path)
	defer f.Close()
	if err := os.WriteFile(path, append(bytes.Clone(want), want...), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err != nil || len(got) != 2*len(want) {
		t.Errorf("got %d of %d bytes, %v", len(got), 2*len(want), err)
	}
}

func TestASymbolicLinkIsNotFollowed(t *testing.T) {
	path, _ := content(t, 10)
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{}).Opener(t.Context())(link); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("got %v", err)
	}
}

func TestARateIsSharedByAllFiles(t *testing.T) {
	for _, tc := range []struct {
		name  string
		rate  int64
		files int
		want  time.Duration
	}{
		{"no limit", 0, 2, 0},
		{"one file", 1 << 20, 1, 4 * time.Second},
		{"two files", 1 << 20, 2, 8 * time.Second},
		{"a fast disk", 64 << 20, 2, 125 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path, _ := content(t, 4<<20)
			synctest.Test(t, func(t *testing.T) {
				g, start, done := New(Options{ReadRate: tc.rate}), time.Now(), make(chan error)
				for range tc.files {
					f := open(t, g, path)
					go func() {
						_, err := io.Copy(io.Discard, f)
						done <- errors.Join(err, f.Close())
					}()
				}
				for range tc.files {
					if err := <-done; err != nil {
						t.Fatal(err)
					}
				}
				// What may be read at once is free.
				free := time.Duration(0)
				if tc.rate > 0 {
					free = time.Duration(burst(tc.rate)) * time.Second / time.Duration(tc.rate)
				}
				if got := time.Since(start); got > tc.want || got < tc.want-free-time.Millisecond {
					t.Errorf("took %s, want %s less %s at the most", got, tc.want, free)
				}
			})
		})
	}
}

func TestAnInterruptionEndsAThrottledRead(t *testing.T) {
	signal := errors.New("interrupted")
	path, _ := content(t, 4<<20)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		f, err := New(Options{ReadRate: 64 << 10}).Opener(ctx)(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		start := time.Now()
		time.AfterFunc(3*time.Second, func() { cancel(signal) })
		_, err = io.Copy(io.Discard, f)
		if took := time.Since(start); !errors.Is(err, signal) || took != 3*time.Second {
			t.Errorf("ended after %s with %v", took, err)
		}
	})
}

func TestOneReadTakesAQuarterOfASecondWithinBounds(t *testing.T) {
	for _, tc := range []struct {
		rate int64
		want int
	}{{1 << 10, 64 << 10}, {1 << 20, 256 << 10}, {4 << 20, 1 << 20}, {1 << 40, 1 << 20}} {
		if got := burst(tc.rate); got != tc.want {
			t.Errorf("%d bytes a second: %d, want %d", tc.rate, got, tc.want)
		}
	}
}
