//go:build soak

package main

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/repo/store/storetest/server"
)

// The budgets at any size of data: backup and restore run on the node, check and gc wherever there is room.
const (
	maxRSS      = 300 << 20
	maxCheckRSS = 512 << 20
)

// stream yields n bytes that do not compress, the same ones every time.
func stream(n int64) io.Reader {
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		panic(err)
	}
	return io.LimitReader(cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, 16)), R: zeros{}}, n)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestSoakTenGigabytes takes one component of 10 GB, which hardly compresses, through backup, an unchanged second
// backup, check and restore, each within its memory: in a directory, and in a bucket of a real MinIO.
func TestSoakTenGigabytes(t *testing.T) {
	t.Run("directory", func(t *testing.T) { tenGigabytes(t, func(r *rig) string { return r.path("big-repo") }) })
	t.Run("bucket", func(t *testing.T) {
		srv := server.MinIO(t, "")
		srv.Setenv(t)
		tenGigabytes(t, func(*rig) string { return srv.Path("soak") })
	})
}

func tenGigabytes(t *testing.T, place func(*rig) string) {
	r := newRig(t)
	r.shop(20)
	r.cfg.Repository = place(r)
	r.save()
	r.ok("init") // the default pack size: the largest buffers
	const size = 10_000_000_000
	f, err := os.Create(r.path("big"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, stream(size)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	settle()
	r.addSSTableOf("lb", "ln "+r.path("big"))
	withinMemory(r)
	found, err := filepath.Glob(r.path("out/shop/files-*/lb-987654-big-Data.db"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if out, err := exec.Command("cmp", r.path("big"), found[0]).CombinedOutput(); err != nil {
		t.Errorf("the component came back different: %s", out)
	}
}

// withinMemory takes what the node holds through backup, an unchanged second one, check and restore.
func withinMemory(r *rig) {
	r.t.Helper()
	for _, args := range [][]string{{"backup", "--name", "one"}, {"backup", "--name", "two", "--json"}, {"check", "--read-data"}, {"restore", "two", "--to", r.path("out")}} {
		allowed := int64(maxRSS)
		if args[0] == "check" {
			allowed = maxCheckRSS
		}
		if peak := r.watched(args...); peak > allowed {
			r.t.Errorf("cbk %s: peak memory %d MiB, at most %d MiB are allowed", args[0], peak>>20, allowed>>20)
		}
	}
}

// TestSoakGeneratedSSTables does the same with SSTables that Cassandra wrote and compressed: they are stored without that
// compression, and rebuilt.
func TestSoakGeneratedSSTables(t *testing.T) {
	r := newRig(t)
	r.shop(20)
	r.cfg.Repository = r.path("generated-repo")
	r.save()
	r.ok("init")
	made, err := cassandratest.Generate(t.Context(), r.path("made"), cassandratest.Docs, 1_200_000, 1, cassandratest.GenerateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	settle()
	// Numbers of their own keep the names apart from those of the table's SSTables.
	r.onSnapshot(fmt.Sprintf(`nodetool "$@" && for f in %s/*; do b=$(basename $f); ln $f "$(echo %s/shop/files-*/snapshots/$TAG)/${b%%%%-*}-9000${b#*-}"; done`, made, r.dataDirs()[0]))
	withinMemory(r)
	files, err := filepath.Glob(made + "/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		back, err := filepath.Glob(r.path("out/shop/files-*/" + strings.Replace(filepath.Base(f), "-", "-9000", 1)))
		if err != nil || len(back) != 1 {
			t.Fatal(f, back, err)
		}
		if out, err := exec.Command("cmp", f, back[0]).CombinedOutput(); err != nil {
			t.Errorf("a component came back different: %s", out)
		}
	}
}
