package swarm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/repo/store/storetest/server"
)

const (
	writers = 180
	domains = 160 // so that twenty have two writers
	rounds  = 3
	atOnce  = 16
	kills   = 10 // percent of the backups that are killed once
)

// swarm is the repository under test and what is known of it.
type swarm struct {
	t     *testing.T
	url   string
	dir   string
	owner *repo.Repo

	mu      sync.Mutex
	made    map[string]bool // backups that are committed
	deleted map[string]bool
	again   int // times that writers had to store again
	killed  int
}

func TestEveryBackupOf180WritersReadsBackWhole(t *testing.T) {
	s := newSwarm(t)
	keepers := s.startKeepers(2)
	for round := range rounds {
		var g errgroup.Group
		g.SetLimit(atOnce)
		stop := s.deleteSome(round - 1)
		for _, w := range rand.Perm(writers) {
			g.Go(func() error { return s.backup(w, round) })
		}
		if err := errors.Join(g.Wait(), stop()); err != nil {
			t.Fatal(err)
		}
	}
	sum := s.endKeepers(keepers)
	t.Logf("%d backups, %d deleted, %d processes killed; stored again after W5 or W6: %d; keepers: %+v", len(s.made),
		len(s.deleted), s.killed, s.again, sum)
	for what, n := range map[string]int{"sessions that stored again": s.again, "blobs copied at K2": sum.Copied,
		"aborts": sum.Aborted, "packs deleted": sum.Deleted, "kills": s.killed} {
		if n == 0 {
			t.Errorf("no %s: the test proves less than it says", what)
		}
	}
	s.verify()
	s.collect()
	s.verify()
}

func newSwarm(t *testing.T) *swarm {
	t.Helper()
	srv := server.MinIO(t, "")
	srv.Setenv(t)
	s := &swarm{t: t, url: srv.Path("swarm"), dir: t.TempDir(), made: map[string]bool{}, deleted: map[string]bool{}}
	st, err := store.Open(t.Context(), s.url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	settings := repo.DefaultSettings()
	settings.PackSize = 1 << 20
	pass := []byte("swarm")
	if err := repo.Init(t.Context(), st, settings, roles.Passphrase(pass, roles.Cost{Time: 1, Memory: 8, Threads: 1})); err != nil {
		t.Fatal(err)
	}
	if s.owner, err = repo.Open(t.Context(), st, roles.WithPassphrase(pass), filepath.Join(s.dir, "owner")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.owner.Close() })
	for w := range writers {
		s.export(fmt.Sprintf("writer-%d.key", w), roles.RoleWriter, domain(w))
	}
	for k := range 2 {
		s.export(fmt.Sprintf("keeper-%d.key", k), roles.RoleKeeper)
	}
	return s
}

func (s *swarm) export(file string, role roles.Role, domains ...string) {
	s.t.Helper()
	text, _, err := s.owner.ExportKey(s.t.Context(), role, domains)
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, file), text, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func domain(w int) string { return fmt.Sprintf("node-%d", w%domains) }

func name(w, round int) string { return fmt.Sprintf("round-%d-writer-%d", round, w) }

// seeds says what a backup holds: a file that all backups of the domain share, one that dies with every other round and
// comes back, and one of its own.
func seeds(w, round int) []int {
	d := w % domains * 1000
	return []int{d, d + 1 + round%2, d + 10 + w/domains*100 + round}
}

// process starts the test binary in a role.
func (s *swarm) process(role string, o order) *exec.Cmd {
	o.URL = s.url
	text, err := json.Marshal(o)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, orderEnv+"="+string(text), "GOMAXPROCS=2")
	return cmd
}

// backup has a process make one backup; some are killed on the way and started again.
func (s *swarm) backup(w, round int) error {
	o := order{KeyFile: filepath.Join(s.dir, fmt.Sprintf("writer-%d.key", w)), State: filepath.Join(s.dir, fmt.Sprintf("state-%d", w)),
		Backup: name(w, round), Domain: domain(w), Seeds: seeds(w, round), Pause: time.Second}
	if rand.IntN(100) < kills {
		if err := s.kill(o); err != nil {
			return err
		}
	}
	cmd := s.process("writer", o)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", o.Backup, err, errs.Bytes())
	}
	var done wrote
	if err := json.Unmarshal(out, &done); err != nil {
		return fmt.Errorf("%s printed %q: %w", o.Backup, out, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again += done.Overtaken
	s.made[o.Backup] = true
	return nil
}

// kill starts a backup and kills it after a while, wherever it is by then.
func (s *swarm) kill(o order) error {
	cmd := s.process("writer", o)
	if err := cmd.Start(); err != nil {
		return err
	}
	time.Sleep(rand.N(time.Second))
	cmd.Process.Kill()
	if cmd.Wait() != nil {
		s.mu.Lock()
		s.killed++
		s.mu.Unlock()
	}
	return nil
}

// deleteSome deletes two of three backups of a round, until stop is called and has waited for the end.
func (s *swarm) deleteSome(round int) (stop func() error) {
	if round < 0 {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() {
		for _, w := range rand.Perm(writers) {
			if w%3 == 0 {
				continue
			}
			if err := s.delete(name(w, round), domain(w)); err != nil {
				done <- err
				return
			}
			time.Sleep(rand.N(20 * time.Millisecond))
		}
		done <- nil
	}()
	return func() error { return <-done }
}

func (s *swarm) delete(backup, domain string) error {
	at, err := s.owner.Find(s.t.Context(), domain, backup)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.deleted[backup] = true
	s.mu.Unlock()
	return s.owner.Delete(s.t.Context(), at, []byte("swarm"))
}

type keeper struct {
	cmd  *exec.Cmd
	in   io.Closer
	out  bytes.Buffer
	errs bytes.Buffer
}

func (s *swarm) startKeepers(n int) (all []*keeper) {
	for i := range n {
		k := &keeper{cmd: s.process("keeper", order{KeyFile: filepath.Join(s.dir, fmt.Sprintf("keeper-%d.key", i)),
			State: filepath.Join(s.dir, fmt.Sprintf("keeper-state-%d", i))})}
		k.cmd.Stdout, k.cmd.Stderr = &k.out, &k.errs
		in, err := k.cmd.StdinPipe()
		if err == nil {
			err = k.cmd.Start()
		}
		if err != nil {
			s.t.Fatal(err)
		}
		k.in = in
		s.t.Cleanup(func() { k.cmd.Process.Kill() })
		all = append(all, k)
	}
	return all
}

func (s *swarm) endKeepers(all []*keeper) (sum kept) {
	s.t.Helper()
	for _, k := range all {
		k.in.Close()
		if err := k.cmd.Wait(); err != nil {
			s.t.Fatalf("a keeper ended with %v: %s", err, k.errs.Bytes())
		}
		var one kept
		if err := json.Unmarshal(k.out.Bytes(), &one); err != nil {
			s.t.Fatalf("a keeper printed %q: %v", k.out.Bytes(), err)
		}
		sum = kept{sum.Runs + one.Runs, sum.Condemned + one.Condemned, sum.Copied + one.Copied, sum.Deleted + one.Deleted,
			sum.Aborted + one.Aborted, sum.AbortsLost + one.AbortsLost, sum.EpochsTaken + one.EpochsTaken, sum.Adopted + one.Adopted}
	}
	return sum
}

// verify reads every backup byte by byte and compares their names with what was made and not deleted.
func (s *swarm) verify() {
	s.t.Helper()
	want := make(map[string]bool)
	for b := range s.made {
		want[b] = !s.deleted[b]
	}
	maps.DeleteFunc(want, func(_ string, there bool) bool { return !there })
	byDomain := make(map[string][]string)
	err := s.owner.ListRoots(s.t.Context(), func(at string) error {
		d := strings.Split(at, "/")[1]
		byDomain[d] = append(byDomain[d], at)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	got := make(map[string]bool)
	for d, roots := range byDomain {
		for _, b := range s.verifyDomain(d, roots) {
			got[b] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("backups (-made +there):\n%s", diff)
	}
}

func (s *swarm) verifyDomain(domain string, roots []string) (names []string) {
	s.t.Helper()
	ctx := s.t.Context()
	rd, err := s.owner.NewReader(ctx, domain)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rd.Close()
	for _, at := range roots {
		root, err := s.owner.ReadRoot(ctx, at)
		if repo.Aborted(err) {
			continue
		}
		var e entry
		if err == nil {
			err = json.Unmarshal(root.Catalogue, &e)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		for i, d := range root.Descriptions {
			if b, err := file(ctx, rd, d); err != nil || !bytes.Equal(b, content(e.Seeds[i])) {
				s.t.Fatalf("%s of %s: file %d does not come back: %v", e.Backup, domain, i, err)
			}
		}
		names = append(names, e.Backup)
	}
	return names
}

func file(ctx context.Context, rd *repo.Reader, description pack.ID) (out []byte, err error) {
	var w repo.Scratch
	list, err := rd.Load(ctx, &w, nil, description, pack.Description)
	for id := range slices.Chunk(list, 32) {
		var chunk []byte
		if chunk, err = rd.Load(ctx, &w, nil, pack.ID(id), pack.Data); err != nil {
			return nil, err
		}
		out = append(out, chunk...)
	}
	return out, err
}

// collect ends the dead and lets the garbage go, and checks that only what is alive is left.
func (s *swarm) collect() {
	s.t.Helper()
	ctx, o := s.t.Context(), repo.GCOptions{MaxRepack: math.MaxInt64, Now: time.Now}
	for range 2 {
		all, err := s.owner.Domains(ctx)
		if err == nil {
			_, _, err = s.owner.Adopt(ctx, o)
		}
		for _, d := range all {
			if err == nil {
				_, err = s.owner.GC(ctx, d, o)
			}
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	inv, err := s.owner.Inventory(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	f := &findings{s.t}
	c := s.owner.NewChecker(inv, f)
	if err := errors.Join(c.Structure(ctx), c.Packs(ctx)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := c.ReadPacks(ctx, repo.Reading{Extent: repo.Everything()}); err != nil {
		s.t.Fatal(err)
	}
}

type findings struct{ t *testing.T }

// Damage implements repo.Findings.
func (f *findings) Damage(d *repo.DamageError) { f.t.Error(d) }

// BadBlob implements repo.Findings.
func (f *findings) BadBlob(domain string, id pack.ID, object string) {
	f.t.Errorf("domain %s: blob %s in %s", domain, id.Short(), object)
}
