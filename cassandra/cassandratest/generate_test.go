package cassandratest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOneSeedGeneratesTheSameFiles(t *testing.T) {
	for _, kind := range []string{Docs, IoT, Blobs} {
		t.Run(kind, func(t *testing.T) {
			first, second := generate(t, kind, 7), generate(t, kind, 7)
			if len(first) < 2048 || !bytes.Equal(first, second) {
				t.Errorf("%d bytes, then %d of one seed", len(first), len(second))
			}
			if kind == Blobs && bytes.Equal(first, generate(t, kind, 8)) {
				t.Error("another seed gives the same rows")
			}
		})
	}
}

// generate returns the plain Data.db of a small table.
func generate(t *testing.T, kind string, seed int64) []byte {
	t.Helper()
	dir, err := Generate(t.Context(), t.TempDir(), kind, 1000, seed, GenerateOptions{Compression: "'enabled': false"})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join("bulk", kind); !strings.HasSuffix(dir, want) {
		t.Errorf("directory %s", dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*-big-Data.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAKindThatIsNotKnownIsAnError(t *testing.T) {
	if _, err := Generate(t.Context(), t.TempDir(), "none", 1, 1, GenerateOptions{}); err == nil || !strings.Contains(err.Error(), "no kind none") {
		t.Errorf("error %v", err)
	}
}
