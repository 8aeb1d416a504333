package filedriver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
	"pgregory.net/rapid"
)

func openTest(t *testing.T, dir string, o Options) *bucket {
	t.Helper()
	drv, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { drv.Close() })
	return drv.(*bucket)
}

func write(t *testing.T, b *bucket, key, content string) error {
	t.Helper()
	w, err := b.NewTypedWriter(t.Context(), key, "", &driver.WriterOptions{IfNotExist: true})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, content); err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

// tree returns every path below dir but the temporary folder itself.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		if rel != "." && rel != tempDir {
			paths = append(paths, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func keys(t *testing.T, b *bucket, o driver.ListOptions) []string {
	t.Helper()
	var keys []string
	for {
		page, err := b.ListPaged(t.Context(), &o)
		if err != nil {
			t.Fatal(err)
		}
		for _, obj := range page.Objects {
			keys = append(keys, obj.Key)
		}
		if o.PageToken = page.NextPageToken; o.PageToken == nil {
			return keys
		}
	}
}

func TestOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		dir  string
		o    Options
		want error
	}{
		{"a missing directory is refused", filepath.Join(t.TempDir(), "a"), Options{}, fs.ErrNotExist},
		{"a missing directory is made with its parents", filepath.Join(t.TempDir(), "a/b/c"), Options{Make: true}, nil},
		{"an existing directory is opened", t.TempDir(), Options{Make: true}, nil},
		{"opening read-only makes nothing", filepath.Join(t.TempDir(), "a"), Options{Make: true, ReadOnly: true}, fs.ErrNotExist},
		{"a file is no directory", file, Options{}, syscall.ENOTDIR},
		{"a directory below a file cannot be made", file + "/a", Options{Make: true}, syscall.ENOTDIR},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := Open(tc.dir, tc.o)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if err == nil {
				b.Close()
			}
		})
	}
}

func TestAReadOnlyBucketWritesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, tempDir), 0o700); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, tempDir, "stale")
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(stale, time.Time{}, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	b := openTest(t, dir, Options{ReadOnly: true})
	if err := write(t, b, "x", ""); !errors.Is(err, errReadOnly) {
		t.Errorf("write: %v", err)
	}
	if err := b.Delete(t.Context(), "x", nil); !errors.Is(err, errReadOnly) {
		t.Errorf("delete: %v", err)
	}
	if err := b.Copy(t.Context(), "y", "x", nil); err == nil {
		t.Error("copy succeeded")
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestSweepTakesOnlyStaleTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, Options{})
	w, err := b.NewTypedWriter(t.Context(), "live", "", &driver.WriterOptions{IfNotExist: true})
	if err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(dir, tempDir, "stale")
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-staleAfter - time.Minute)
	if err := os.Chtimes(stale, old, old); err != nil {
		t.Fatal(err)
	}
	openTest(t, dir, Options{})
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stale temporary file: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Errorf("the live writer was swept: %v", err)
	}
}

func TestASweptWriterPublishesNothing(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, Options{})
	w, err := b.NewTypedWriter(t.Context(), "key", "", &driver.WriterOptions{IfNotExist: true})
	if err != nil {
		t.Fatal(err)
	}
	b.sweep(time.Now().Add(2 * staleAfter))
	err = w.Close()
	if err == nil || b.ErrorCode(err) == gcerrors.NotFound {
		t.Errorf("close: %v, want an error that does not read as a missing object", err)
	}
	if got := tree(t, dir); got != nil {
		t.Errorf("left behind: %v", got)
	}
	if err := write(t, b, "key", "second try"); err != nil {
		t.Error(err)
	}
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	for _, tc := range []struct {
		name string
		fail func(w *writer, cancel context.CancelFunc)
	}{
		{"the context ends", func(_ *writer, cancel context.CancelFunc) { cancel() }},
		{"a write fails", func(w *writer, _ context.CancelFunc) { w.file.Close(); w.Write([]byte("x")) }},
		{"the source of a copy fails", func(w *writer, _ context.CancelFunc) {
			w.err = errors.Join(copyClose(w, iotestErr{}))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w, err := openTest(t, dir, Options{}).NewTypedWriter(ctx, "key", "", &driver.WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte("half")); err != nil {
				t.Fatal(err)
			}
			tc.fail(w.(*writer), cancel)
			if err := w.Close(); err == nil {
				t.Error("close succeeded")
			}
			if got := tree(t, dir); got != nil {
				t.Errorf("left behind: %v", got)
			}
		})
	}
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func TestPublishing(t *testing.T) {
	refuse := func(errno syscall.Errno) publisher {
		return func(*os.Root, string, string) error { return &os.LinkError{Err: errno} }
	}
	for _, tc := range []struct {
		name    string
		publish []publisher
		want    error
	}{
		{"by link", []publisher{linkFile}, nil},
		{"by rename", []publisher{renameNoReplace}, nil},
		{"by rename where links are missing", []publisher{refuse(syscall.EPERM), renameNoReplace}, nil},
		{"refused where neither is offered", []publisher{refuse(syscall.EPERM), refuse(syscall.EINVAL)}, errNoPublish},
		{"failing for another reason tries no second way", []publisher{refuse(syscall.EIO), renameNoReplace}, syscall.EIO},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			b := openTest(t, dir, Options{})
			b.publish = tc.publish
			if err := write(t, b, "a/b/c", "first"); !errors.Is(err, tc.want) {
				t.Fatalf("error %v, want %v", err, tc.want)
			}
			if tc.want != nil {
				if got := tree(t, dir); slices.Contains(got, "a/b/c") {
					t.Errorf("published: %v", got)
				}
				return
			}
			if err := write(t, b, "a/b/c", "second"); !errors.Is(err, fs.ErrExist) {
				t.Errorf("second create: %v", err)
			}
			got, err := os.ReadFile(filepath.Join(dir, "a/b/c"))
			if err != nil || string(got) != "first" {
				t.Errorf("object %q %v", got, err)
			}
		})
	}
}

func TestAnObjectAndAFolderCannotShareAName(t *testing.T) {
	b := openTest(t, t.TempDir(), Options{})
	if err := write(t, b, "a/b", ""); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a/b/c", "a/b/c/d"} {
		if err := write(t, b, key, ""); b.ErrorCode(err) != gcerrors.InvalidArgument {
			t.Errorf("create %s: %v", key, err)
		}
		if _, err := b.NewRangeReader(t.Context(), key, 0, -1, nil); b.ErrorCode(err) != gcerrors.NotFound {
			t.Errorf("read %s: %v", key, err)
		}
	}
}

func TestNoKeyLeavesTheRoot(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(outside, "repo")
	b := openTest(t, dir, Options{Make: true})
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"../secret", "link/secret", "link/../../secret", "/" + secret, "a/../../secret"} {
		if _, err := b.NewRangeReader(t.Context(), key, 0, -1, nil); err == nil {
			t.Errorf("read %q", key)
		}
		if err := b.Delete(t.Context(), key, nil); err == nil {
			t.Errorf("deleted %q", key)
		}
		write(t, b, key, "overwritten")
	}
	if got, err := os.ReadFile(secret); err != nil || string(got) != "secret" {
		t.Errorf("secret is %q, %v", got, err)
	}
	if got := tree(t, outside); slices.Contains(got, "x") {
		t.Errorf("%v", got)
	}
	for _, key := range keys(t, b, driver.ListOptions{}) {
		if strings.HasPrefix(key, "link/") {
			t.Errorf("listed %q through a symbolic link", key)
		}
	}
}

func TestPartsOfKeysSurviveTheirFileNames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.StringMatching(`[^/]{0,20}`).Draw(rt, "part")
		name := encodePart(part)
		if strings.ContainsAny(name, "/\\\x00") || name == "" || name[0] == '.' {
			rt.Fatalf("unsafe file name %q", name)
		}
		if got, ok := decodePart(name); !ok || got != part {
			rt.Fatalf("%q became %q, %v", part, got, ok)
		}
	})
}

func TestKeysThatAreRefused(t *testing.T) {
	b := openTest(t, t.TempDir(), Options{})
	for _, key := range []string{"", "a\xff", strings.Repeat("a", 256), strings.Repeat(".", 256)} {
		if err := write(t, b, key, ""); !errors.Is(err, ErrInvalidKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestVanishedFoldersAreMadeAgain(t *testing.T) {
	dir := t.TempDir()
	b := openTest(t, dir, Options{})
	if err := write(t, b, "a/b/1", ""); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"a", tempDir} {
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(t, b, "a/b/2", ""); err == nil || b.ErrorCode(err) == gcerrors.NotFound {
		t.Errorf("first write: %v, want an error that may be retried", err)
	}
	if err := write(t, b, "a/b/2", ""); err != nil {
		t.Errorf("second write: %v", err)
	}
}

func TestKnownFoldersAreBounded(t *testing.T) {
	b := openTest(t, t.TempDir(), Options{})
	for i := range 2 * maxDurable {
		b.remember(fmt.Sprint(i))
		if len(b.durable) > maxDurable+1 {
			t.Fatalf("%d folders held", len(b.durable))
		}
	}
	if !b.durable["."] {
		t.Error("the root was forgotten")
	}
}

func TestAFullDiskFailsTheWriteAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	drv, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := blob.NewBucket(drv)
	defer b.Close()
	err = b.WriteAll(t.Context(), "packs/big", bytes.Repeat([]byte("x"), 1<<20), &blob.WriterOptions{IfNotExist: true})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want ENOSPC", err)
	}
	if got := keys(t, drv.(*bucket), driver.ListOptions{}); got != nil {
		t.Errorf("left behind: %v", got)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, tempDir)); len(left) != 0 {
		t.Errorf("temporary files: %v", left)
	}
}
