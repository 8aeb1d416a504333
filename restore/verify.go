package restore

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"cbk/pack"
	"cbk/snapshot"
)

// verifyFiles reads every component back from disk and compares it with its hash in the snapshot. The pages of a file
// are dropped from the cache first, as far as the kernel agrees, so that the disk and not the memory is read. each is told
// of every file that is right, with its size; it is called by several goroutines.
func verifyFiles(ctx context.Context, snap *snapshot.Snapshot, to target, each func(name string, size int64, sum pack.ID)) (files int, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	err = to.pages(ctx, snap, func(pages []snapshot.Page) error {
		for _, p := range pages {
			if p.Err != nil {
				return p.Err
			}
			for i := range p.SSTables {
				t := &p.SSTables[i]
				dir := to.dir(p.Table, t)
				files += len(t.Components)
				g.Go(func() error {
					if name, err := verifySSTable(ctx, dir, t); err != nil {
						return fmt.Errorf("verify restored file: %w", cmpErr(name, err))
					}
					for i := range t.Components {
						c := &t.Components[i]
						each(filepath.Join(dir, filepath.FromSlash(t.File(c))), c.Size, c.Hash)
					}
					return nil
				})
			}
		}
		return ctx.Err()
	})
	return files, cause(g, err)
}

// errMismatch is what a file gives that is not as it was written.
var errMismatch = errors.New("does not match its hash when read back from disk")

func cmpErr(name string, err error) error {
	if errors.Is(err, errMismatch) {
		return fmt.Errorf("%s %w", name, err)
	}
	return err
}

// verifySSTable returns the first file that is not right, and why.
func verifySSTable(ctx context.Context, dir string, s *snapshot.SSTable) (name string, err error) {
	for i := range s.Components {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		c := &s.Components[i]
		name := filepath.Join(dir, filepath.FromSlash(s.File(c)))
		got, err := hashFile(name)
		if err != nil {
			return name, err
		}
		if got != c.Hash {
			return name, errMismatch
		}
	}
	return "", nil
}

func hashFile(name string) (sum pack.ID, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	// Only a hint: a kernel that ignores it makes the proof weaker, not wrong.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return pack.ID(h.Sum(nil)), nil
}

// A proof lists the fetched files, so that a process that knows no repository can prove them again:
//
//	SHA-256 in hex, size, number of the data directory, path below it; a line each
type proof struct {
	mu   sync.Mutex
	file *os.File
	out  *bufio.Writer
	sum  hash.Hash
	dirs []Place
	err  error
}

func newProof(name string, dirs []Place) (*proof, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("proof of restored files: %w", err)
	}
	h := sha256.New()
	return &proof{file: f, out: bufio.NewWriter(io.MultiWriter(f, h)), sum: h, dirs: dirs}, nil
}

func (p *proof) add(name string, size int64, sum pack.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, d := range p.dirs {
		if rel, err := filepath.Rel(d.Staging, name); err == nil && filepath.IsLocal(rel) {
			_, err := fmt.Fprintf(p.out, "%x %d %d %s\n", sum[:], size, i, rel)
			p.err = errors.Join(p.err, err)
			return
		}
	}
	p.err = errors.Join(p.err, fmt.Errorf("%s lies in no place of the plan", name))
}

// end makes the proof durable and returns its hash.
func (p *proof) end() (string, error) {
	err := errors.Join(p.err, p.out.Flush(), p.file.Sync(), p.file.Close())
	if err != nil {
		return "", fmt.Errorf("proof of restored files: %w", err)
	}
	return hex.EncodeToString(p.sum.Sum(nil)), nil
}

// proven is one line of a proof.
type proven struct {
	sum  pack.ID
	size int64
	dir  int
	path string // below the data directory
}

// maxLine bounds a line of a proof: a path and three numbers.
const maxLine = 16 << 10

// readProof calls fn for every line of a proof whose hash is known, which is compared in the end.
func readProof(name, want string, fn func(proven) error) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("proof of restored files: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	lines := bufio.NewScanner(io.TeeReader(f, h))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		one, err := parseProven(lines.Text())
		if err == nil {
			err = fn(one)
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("proof of restored files: %w", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("proof of restored files: %s is not the one that the journal names", name)
	}
	return nil
}

func parseProven(line string) (p proven, err error) {
	parts := strings.SplitN(line, " ", 4)
	bad := fmt.Errorf("proof of restored files: a line reads %.80q", line)
	if len(parts) != 4 || !filepath.IsLocal(parts[3]) {
		return p, bad
	}
	sum, err1 := pack.ParseID(parts[0])
	size, err2 := strconv.ParseInt(parts[1], 10, 64)
	dir, err3 := strconv.Atoi(parts[2])
	if errors.Join(err1, err2, err3) != nil || dir < 0 {
		return p, bad
	}
	return proven{sum, size, dir, parts[3]}, nil
}
