package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cbk/repo"
	"cbk/repo/store"
)

// hooked runs a function before the first creation of an object whose name starts with a prefix: another actor's work at
// the worst moment.
type hooked struct {
	store.Store
	prefix string
	do     func()
	once   sync.Once
}

func (h *hooked) Create(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, h.prefix) {
		h.once.Do(h.do)
	}
	return h.Store.Create(ctx, name, data)
}

// at returns a repository on st with a cache of its own, which calls do before it first creates an object under prefix.
func at(t *testing.T, st store.Store, prefix string, do func()) *repo.Repo {
	t.Helper()
	return openRepo(t, &hooked{Store: st, prefix: prefix, do: do}, t.TempDir())
}

func collect(t *testing.T, r *repo.Repo, grace, minAge time.Duration, now time.Time) *repo.GCResult {
	t.Helper()
	res, err := r.GC(t.Context(), "node-1", repo.GCOptions{Grace: grace, MinAge: minAge, MaxRepack: math.MaxInt64, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// now collects without any patience.
func now(t *testing.T, r *repo.Repo) *repo.GCResult { return collect(t, r, 0, 0, time.Now()) }

func remove(t *testing.T, r *repo.Repo, name string) {
	t.Helper()
	root, err := r.RootName("node-1", name)
	if err == nil {
		err = r.Delete(t.Context(), root, []byte("no longer needed"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatOnlyADeletedBackupNeededIsCollectedAndNothingElse(t *testing.T) {
	r, st := newRepo(t)
	shared, gone, kept := noise(1, 1<<20), noise(2, 3<<20), noise(3, 1<<20)
	backup(t, r, "node-1", "old", shared, gone)
	backup(t, r, "node-1", "new", shared, kept)
	if res := now(t, r); res.Condemned != 0 || res.Deleted != 0 {
		t.Fatalf("collected from live backups: %+v", res)
	}
	remove(t, r, "old")
	before := bytesIn(t, st, "packs/")
	res := now(t, r)
	after := bytesIn(t, st, "packs/")
	if res.Condemned == 0 || res.Deleted != res.Condemned || before-after < 2<<20 {
		t.Errorf("%+v; packs %d bytes before, %d after", res, before, after)
	}
	mustRestore(t, r, "node-1", "new", shared, kept)
	mustRestore(t, openRepo(t, st, t.TempDir()), "node-1", "new", shared, kept)
	now(t, r)
	if epochs := objects(t, st, "gc/"); len(epochs) > 1 {
		t.Errorf("tombstones left: %v", epochs)
	}
	backup(t, r, "node-1", "again", gone)
	mustRestore(t, r, "node-1", "again", gone)
}

func bytesIn(t *testing.T, st store.Store, prefix string) (n int64) {
	t.Helper()
	if err := st.List(t.Context(), prefix, func(i store.Info) error { n += i.Size; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheDeletionRecordOfARootIsFoundByItsName(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "b", []byte("file"))
	root := rootName(t, r, "b")
	remove(t, r, "b")
	if name, _ := only(t, st, "deleted/"); repo.DeletionRecord(root) != name {
		t.Errorf("%s, made was %s", repo.DeletionRecord(root), name)
	}
}

func TestYoungPacksAreSparedAndDeletionWaitsForTheGraceTime(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "b", noise(1, 2<<20))
	remove(t, r, "b")
	if res := collect(t, r, 0, time.Hour, time.Now()); res.Condemned != 0 {
		t.Errorf("condemned young packs: %+v", res)
	}
	if res := collect(t, r, time.Hour, 0, time.Now()); res.Condemned == 0 || res.Deleted != 0 || !slices.Equal(res.Epochs, []string{"gc/node-1/1"}) {
		t.Errorf("deleted before the grace time: %+v", res)
	}
	if res := collect(t, r, time.Hour, 0, time.Now().Add(2*time.Hour)); res.Deleted == 0 || len(objects(t, st, "packs/")) != 0 {
		t.Errorf("not deleted after the grace time: %+v, %v", res, objects(t, st, "packs/"))
	}
}

func TestAWriterThatGCOvertakesCommitsNothingAndSucceedsInASecondSession(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 2<<20)
	backup(t, r, "node-1", "old", file)
	remove(t, r, "old")
	// Between the last shard and the pending root, a keeper condemns and deletes what the writer relies on.
	w := at(t, st, "pending/", func() { now(t, r) })
	s := session(t, w, "node-1")
	if _, err := save(s, "new", file); !errors.Is(err, repo.ErrCondemned) {
		t.Fatalf("error %v", err)
	}
	s.Close()
	s = session(t, w, "node-1")
	if cost, err := save(s, "new", file); err != nil || cost.Plain < int64(len(file)) {
		t.Fatalf("second session stored %d bytes: %v", cost.Plain, err)
	}
	s.Close()
	mustRestoreAttempt(t, w, "new", file)
	now(t, r)
	mustRestoreAttempt(t, r, "new", file)
}

func TestAKeeperCopiesWhatABackupBeganToNeedAfterItLooked(t *testing.T) {
	_, st := newRepo(t)
	file := noise(1, 2<<20)
	w := openRepo(t, st, t.TempDir())
	backup(t, w, "node-1", "old", file)
	remove(t, w, "old")
	// The keeper has planned; before its tombstone stands, a backup is committed that relies on the dead packs.
	k := at(t, st, "gc/", func() { backup(t, w, "node-1", "new", file) })
	res := now(t, k)
	if res.Copied == 0 || res.Deleted == 0 {
		t.Fatalf("%+v", res)
	}
	mustRestore(t, w, "node-1", "new", file)
	mustRestore(t, openRepo(t, st, t.TempDir()), "node-1", "new", file)
}

func TestAKeeperAndAWriterRaceForADeadSessionAndOneWins(t *testing.T) {
	_, st := newRepo(t)
	file := noise(1, 1<<20)
	k := openRepo(t, st, t.TempDir())
	// The keeper takes the session for dead after it announced its root, just before it would create it.
	w := at(t, st, "snapshots/", func() {
		if res := now(t, k); res.Aborted != 1 || res.Tidied != 1 {
			t.Errorf("keeper: %+v", res)
		}
	})
	s := session(t, w, "node-1")
	if _, err := save(s, "b", file); !errors.Is(err, repo.ErrCondemned) {
		t.Fatalf("error %v", err)
	}
	s.Close()
	if roots := committed(t, w); len(roots) != 0 {
		t.Errorf("an aborted attempt is a backup: %v", roots)
	}
	s = session(t, w, "node-1")
	if _, err := save(s, "b", file); err != nil {
		t.Fatal(err)
	}
	s.Close()
	mustRestoreAttempt(t, w, "b", file)
	// A session that has committed is no longer to be ended.
	if res := now(t, k); res.Aborted != 0 || len(committed(t, k)) != 1 {
		t.Errorf("%+v", res)
	}
}

func TestAPendingRootOfADeadSessionIsClosedByTheNext(t *testing.T) {
	_, st := newRepo(t)
	file := noise(1, 1<<20)
	dying := openRepo(t, dead{st, "snapshots/"}, t.TempDir())
	s := session(t, dying, "node-1")
	if _, err := save(s, "b", file); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	s.Close()
	r := openRepo(t, st, t.TempDir())
	backup(t, r, "node-1", "b", file)
	mustRestoreAttempt(t, r, "b", file)
	s = session(t, r, "node-1")
	if _, err := save(s, "b", file); !errors.Is(err, repo.ErrSnapshotExists) {
		t.Errorf("the name was given twice: %v", err)
	}
}

// dead is a store whose writer dies before it creates anything under a prefix.
type dead struct {
	store.Store
	prefix string
}

var errDead = errors.New("the writer died")

func (d dead) Create(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, d.prefix) {
		return errDead
	}
	return d.Store.Create(ctx, name, data)
}

func TestADeletedRootThatComesBackIsNoBackup(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 1<<20)
	backup(t, r, "node-1", "b", file)
	name, err := r.RootName("node-1", "b")
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := st.Get(t.Context(), name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	remove(t, r, "b")
	if err := st.Create(t.Context(), name, bytes); err != nil {
		t.Fatal(err)
	}
	if roots := committed(t, r); len(roots) != 0 {
		t.Errorf("listed: %v", roots)
	}
	if res := now(t, r); res.Deleted == 0 {
		t.Errorf("it keeps its packs alive: %+v", res)
	}
	backup(t, r, "node-1", "b", file)
	mustRestoreAttempt(t, r, "b", file)
}

func TestGCRefusesADomainThatCannotBeRead(t *testing.T) {
	for _, prefix := range []string{"snapshots/", "index/", "pending/", "gc/"} {
		t.Run(prefix, func(t *testing.T) {
			r, st := newRepo(t)
			backup(t, r, "node-1", "a", noise(1, 1<<20))
			backup(t, r, "node-1", "b", noise(2, 1<<20))
			remove(t, r, "b")
			collect(t, r, time.Hour, 0, time.Now()) // leaves a tombstone
			s := session(t, openRepo(t, dead{st, "snapshots/"}, t.TempDir()), "node-1")
			if _, err := save(s, "c", noise(3, 1<<20)); !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			name := objects(t, st, prefix)[0]
			data, err := st.Get(t.Context(), name, 64<<20)
			if err != nil {
				t.Fatal(err)
			}
			data = bytes.Clone(data)
			data[len(data)/2] ^= 1
			replace(t, st, name, data)
			packs := len(objects(t, st, "packs/"))
			_, err = r.GC(t.Context(), "node-1", repo.GCOptions{MinAge: time.Hour, Now: time.Now})
			var damage *repo.DamageError
			if !errors.As(err, &damage) || damage.Object != name {
				t.Errorf("error %v, want damage of %s", err, name)
			}
			if left := len(objects(t, st, "packs/")); left != packs {
				t.Errorf("%d packs before, %d after", packs, left)
			}
		})
	}
}

func TestACacheFromBeforeForgottenTombstonesIsNotTrusted(t *testing.T) {
	r, st := newRepo(t)
	file := noise(1, 2<<20)
	stale := t.TempDir()
	backup(t, openRepo(t, st, stale), "node-1", "old", file)
	remove(t, r, "old")
	now(t, r)
	backup(t, r, "node-1", "x", noise(2, 1<<20))
	remove(t, r, "x")
	now(t, r) // a newer tombstone: the first one goes
	now(t, r)
	w := openRepo(t, st, stale)
	if cost := backup(t, w, "node-1", "new", file); cost.Plain < int64(len(file)) {
		t.Errorf("relied on packs that are gone: %d bytes stored", cost.Plain)
	}
	mustRestore(t, w, "node-1", "new", file)
}

// committed lists what counts as a backup.
func committed(t *testing.T, r *repo.Repo) (names []string) {
	t.Helper()
	err := r.ListRoots(t.Context(), func(name string) error {
		if _, err := r.ReadRoot(t.Context(), name); repo.Aborted(err) {
			return nil
		} else if err != nil {
			return err
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// mustRestoreAttempt finds the one committed root of a backup name, whatever attempt it was, and compares its files.
func mustRestoreAttempt(t *testing.T, r *repo.Repo, name string, want ...[]byte) {
	t.Helper()
	var found []string
	for _, at := range committed(t, r) {
		root, err := r.ReadRoot(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if string(root.Catalogue) == name {
			found = append(found, at)
		}
	}
	if len(found) != 1 {
		t.Fatalf("backup %s has the roots %v", name, found)
	}
	got, err := restoreRoot(t.Context(), r, found[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if i >= len(got) || !bytes.Equal(got[i], want[i]) {
			t.Errorf("file %d of %s came back different", i, name)
		}
	}
}

// A long random life: backups, deletions, collections and deaths, writers with stale caches. Whatever is committed and
// not deleted reads back, always.
func TestNoCommittedBackupEverLosesAByte(t *testing.T) {
	_, st := newRepo(t)
	caches := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	live := make(map[string][]byte)
	for step := range 120 {
		r := openRepo(t, st, caches[step%len(caches)])
		// Contents come from a small set, so that they die and come back.
		file := noise(step%5, 300<<10)
		name := fmt.Sprintf("b%d", step)
		switch step * 7919 % 11 {
		case 0, 1:
			now(t, r)
		case 2, 3:
			for victim := range live {
				remove(t, r, victim)
				delete(live, victim)
				break
			}
		case 4:
			s := session(t, openRepo(t, dead{st, "snapshots/"}, caches[step%len(caches)]), "node-1")
			if _, err := save(s, name, file); !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			s.Close()
		case 5:
			s := session(t, at(t, st, "pending/", func() { now(t, r) }), "node-1")
			_, err := save(s, name, file)
			s.Close()
			if err == nil {
				live[name] = file
			} else if !errors.Is(err, repo.ErrCondemned) {
				t.Fatal(err)
			}
		default:
			backup(t, r, "node-1", name, file)
			live[name] = file
		}
	}
	r := openRepo(t, st, t.TempDir())
	if len(live) < 10 {
		t.Fatalf("only %d backups live", len(live))
	}
	for name, file := range live {
		mustRestoreAttempt(t, r, name, file)
	}
	if found := committed(t, r); len(found) != len(live) {
		t.Errorf("%d roots for %d backups", len(found), len(live))
	}
}
