package store

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cbk/repo/store/filedriver"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"
)

func testBuckets(t *testing.T) map[string]*blob.Bucket {
	driver, err := filedriver.Open(t.TempDir(), filedriver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*blob.Bucket{"memory": memblob.OpenBucket(nil), "file": blob.NewBucket(driver)}
}

func TestAFailedBodyLeavesNoObject(t *testing.T) {
	failure := errors.New("source failed")
	for name, bucket := range testBuckets(t) {
		for _, tc := range []struct {
			name string
			body io.Reader
			size int64
			want error
		}{
			{"the source fails", broken{strings.NewReader("half"), failure}, 8, failure},
			{"the source ends early", strings.NewReader("half"), 8, io.ErrShortWrite},
			{"the source goes on", strings.NewReader("more than half"), 8, io.ErrShortWrite},
		} {
			err := writeObject(t.Context(), bucket, "x", tc.body, tc.size, &blob.WriterOptions{})
			if !errors.Is(err, tc.want) {
				t.Errorf("%s, %s: error %v, want %v", name, tc.name, err, tc.want)
			}
			if there, err := bucket.Exists(t.Context(), "x"); there || err != nil {
				t.Errorf("%s, %s: an object was left (%v)", name, tc.name, err)
			}
		}
	}
}

// This is the trap that writeObject exists for. If gocloud closes it, the test
// fails and the helper may become simpler.
func TestClosingAHalfWrittenGocloudWriterLeavesATruncatedObject(t *testing.T) {
	for name, bucket := range testBuckets(t) {
		w, err := bucket.NewWriter(t.Context(), "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, broken{strings.NewReader("half"), errors.New("source failed")}); err == nil {
			t.Fatal("the source did not fail")
		}
		if err := w.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
		if got, err := bucket.ReadAll(t.Context(), "x"); string(got) != "half" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestWritersAreCreateIfAbsent(t *testing.T) {
	for name, bucket := range testBuckets(t) {
		ctx := context.Background()
		if err := writeObject(ctx, bucket, "x", strings.NewReader("first"), 5, &blob.WriterOptions{}); err != nil {
			t.Fatal(err)
		}
		err := writeObject(ctx, bucket, "x", strings.NewReader("other"), 5, &blob.WriterOptions{})
		if gcerrors.Code(err) != gcerrors.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// writing are the methods of a blob.Bucket that make objects.
var writing = []string{"NewWriter", "WriteAll", "Upload", "Copy"}

// bucketWrites returns "line: call" of every call of a writing method in a file
// that knows gocloud buckets.
func bucketWrites(t *testing.T, path string, src any) []string {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	knows := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool {
		name, _ := strconv.Unquote(i.Path.Value)
		return name == "gocloud.dev" || strings.HasPrefix(name, "gocloud.dev/blob")
	})
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || !knows {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(writing, sel.Sel.Name) {
			x, _ := sel.X.(*ast.Ident)
			if x == nil || x.Name != "io" {
				found = append(found, sel.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestTheScanForWritersFindsThem(t *testing.T) {
	src := `package p
import ("gocloud.dev/blob"; "io")
func f(b *blob.Bucket) { b.NewWriter(nil, "", nil); b.WriteAll(nil, "", nil, nil); io.Copy(nil, nil); g.b.Upload(nil, "", nil, nil); b.Copy(nil, "", "", nil) }`
	if diff := cmp.Diff([]string{"NewWriter", "WriteAll", "Upload", "Copy"}, bucketWrites(t, "p.go", src)); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyTheHelperOpensObjectWriters(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		// Tests of this package and of the driver must use writers directly.
		own := strings.HasPrefix(path, filepath.Join(root, "repo/store")) && strings.HasSuffix(path, "_test.go")
		if filepath.Ext(path) == ".go" && !own {
			if found := bucketWrites(t, path, nil); found != nil {
				rel, _ := filepath.Rel(root, path)
				got[rel] = found
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"repo/store/write.go": {"NewWriter", "Copy"},
		"repo/store/azure.go": {"Upload"}, // Put Blob on Azure's own client: one request, no writer
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("object writers outside the helper (-want +got):\n%s", diff)
	}
}
