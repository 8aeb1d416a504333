package repo_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// contentSize is what the benchmarks move: sixteen packs and more, so that the first and the last weigh little.
const contentSize = 1 << 30

// contents are what SSTables hold, at its extremes: LZ4 and encrypted columns, or rows of text.
var contents = []struct {
	name  string
	write func(w io.Writer, n int64) error
}{{"random", writeNoise}, {"json", writeRows}}

// BenchmarkWrite is the write path from a file in the page cache to packs that a store takes at no cost. Beside MB/s it
// reports SHA-256 of the same file in the same run, and the ratio of the two.
func BenchmarkWrite(b *testing.B) {
	for _, c := range contents {
		b.Run(c.name, func(b *testing.B) {
			path := benchContent(b, c.write)
			b.SetBytes(contentSize)
			var summing, writing time.Duration
			var cost repo.Added
			for b.Loop() {
				b.StopTimer()
				summing += timed(b, func() error { return sum(path) })
				b.StartTimer()
				writing += timed(b, func() (err error) {
					_, cost, err = write(b, benchRepo(b, discard{memory(b)}), path)
					return err
				})
			}
			b.ReportMetric(rate(b.N, summing), "sha256-MB/s")
			b.ReportMetric(summing.Seconds()/writing.Seconds(), "x-sha256")
			b.ReportMetric(float64(cost.Stored)/float64(cost.Plain), "stored/plain")
		})
	}
}

// BenchmarkRead is the way back, blob by blob in order from a repository in a directory. It reports the write path in
// the same run, and the ratio of the two.
func BenchmarkRead(b *testing.B) {
	for _, c := range contents {
		b.Run(c.name, func(b *testing.B) {
			path := benchContent(b, c.write)
			r := benchRepo(b, directory(b))
			refs, _, err := write(b, r, path)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(contentSize)
			var writing, reading time.Duration
			for b.Loop() {
				b.StopTimer()
				writing += timed(b, func() error {
					_, _, err := write(b, benchRepo(b, discard{memory(b)}), path)
					return err
				})
				b.StartTimer()
				reading += timed(b, func() error { return read(b, r, refs) })
			}
			b.ReportMetric(rate(b.N, writing), "write-MB/s")
			b.ReportMetric(writing.Seconds()/reading.Seconds(), "x-write")
		})
	}
}

// benchRepo makes a repository with the default sizes.
func benchRepo(b *testing.B, st store.Store) *repo.Repo {
	b.Helper()
	if err := repo.Init(b.Context(), st, repo.DefaultSettings(), roles.Passphrase([]byte(passphrase), cheap)); err != nil {
		b.Fatal(err)
	}
	return openRepo(b, st, b.TempDir())
}

// discard is a store that takes packs and keeps none: what remains is the work of this program.
type discard struct{ store.Store }

func (d discard) Create(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "packs/") {
		return nil
	}
	return d.Store.Create(ctx, name, data)
}

func directory(b *testing.B) store.Store {
	b.Helper()
	st, err := store.Open(b.Context(), b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { st.Close() })
	return st
}

// benchContent writes a file, which is then in the page cache, outside the heap: a heap of that size would spare the
// collector its work.
func benchContent(b *testing.B, write func(io.Writer, int64) error) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "content")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(write(f, contentSize), f.Close()); err != nil {
		b.Fatal(err)
	}
	return path
}

func writeNoise(w io.Writer, n int64) error {
	_, err := io.CopyN(w, rand.NewChaCha8([32]byte{}), n)
	return err
}

// writeRows writes rows as an application keeps them: keys and times that differ, words that repeat.
func writeRows(w io.Writer, n int64) error {
	words := strings.Fields("order paid shipped returned parcel customer street city invoice note gift express standard")
	rng := rand.New(rand.NewPCG(1, 2))
	out := bufio.NewWriterSize(&atMost{w, n}, 1<<20)
	for i := int64(0); i*100 < n; i++ {
		_, err := fmt.Fprintf(out, `{"id":"%016x","at":%d,"state":%q,"total":%d.%02d,"note":"%s %s %s"}`+"\n", rng.Uint64(), 1_700_000_000+i,
			words[rng.IntN(4)], rng.IntN(1000), rng.IntN(100), words[rng.IntN(13)], words[rng.IntN(13)], words[rng.IntN(13)])
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// atMost drops what goes beyond n bytes.
type atMost struct {
	w io.Writer
	n int64
}

func (a *atMost) Write(p []byte) (int, error) {
	keep := p[:min(int64(len(p)), a.n)]
	a.n -= int64(len(keep))
	_, err := a.w.Write(keep)
	return len(p), err
}

func timed(b *testing.B, fn func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := fn(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func rate(rounds int, d time.Duration) float64 {
	return float64(rounds) * contentSize / 1e6 / d.Seconds()
}

func sum(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(sha256.New(), struct{ io.Reader }{f}, make([]byte, 512<<10))
	return err
}

// write takes the file through a session, to the last pack and shard.
func write(b *testing.B, r *repo.Repo, path string) (refs []repo.Ref, cost repo.Added, err error) {
	s, err := r.NewSession(b.Context(), "node-1")
	if err != nil {
		return nil, cost, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cost, errors.Join(err, s.Close())
	}
	defer f.Close()
	cost, err = s.Stream(f, s.DataSizes(), func(part []repo.Ref) error { refs = append(refs, part...); return nil })
	if err == nil {
		err = s.Finish()
	}
	return refs, cost, errors.Join(err, s.Close())
}

// read fetches every blob, in the order of the content.
func read(b *testing.B, r *repo.Repo, refs []repo.Ref) error {
	rd, err := r.NewReader(b.Context(), "node-1")
	if err != nil {
		return err
	}
	defer rd.Close()
	wants := func(yield func(repo.Want) bool) {
		for _, ref := range refs {
			if !yield(repo.Want{ID: ref.ID, Type: pack.Data}) {
				return
			}
		}
	}
	return rd.Fetch(b.Context(), wants, func(_ repo.Want, _ []byte, err error) error { return err })
}
