package repo_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

const day = 24 * time.Hour

// versions makes a repository in a store that keeps what is deleted.
func versions(t *testing.T) (*repo.Repo, *newest, *vault) {
	t.Helper()
	st := memory(t)
	if err := repo.Init(t.Context(), st, smallSettings(), roles.Passphrase([]byte(passphrase), cheap)); err != nil {
		t.Fatal(err)
	}
	now := &newest{Store: st, hidden: map[string]bool{}}
	return openRepo(t, now, t.TempDir()), now, &vault{Store: st, locks: map[string]store.Lock{}}
}

// monthly are the options of a store whose new objects are locked for thirty days.
func monthly(at time.Time) repo.LockOptions {
	return repo.LockOptions{Mode: "compliance", For: 30 * day, Within: 15 * day, Now: func() time.Time { return at }}
}

func extend(t *testing.T, r *repo.Repo, v *vault, o repo.LockOptions) *repo.LockResult {
	t.Helper()
	v.asked = 0
	res, err := r.ExtendLocks(t.Context(), v, o)
	if err != nil {
		t.Fatal(err)
	}
	if res.Asked != v.asked {
		t.Errorf("it says that it asked %d times, and did %d times", res.Asked, v.asked)
	}
	return res
}

// locked are the objects below a prefix that are locked beyond a time.
func (v *vault) locked(beyond time.Time, prefix string) (names []string) {
	for name, l := range v.locks {
		if strings.HasPrefix(name, prefix) && l.Until.After(beyond) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func mustBe(t *testing.T, what string, want, got []string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestLocksOfWhatBackupsNeedAreExtendedAndOfNothingElse(t *testing.T) {
	r, now, v := versions(t)
	at := time.Now()
	dead, kept := noise(1, 3<<20), noise(2, 3<<20)
	backup(t, r, "node-1", "dead", dead)
	deadPacks, deadRoot := objects(t, now, "packs/"), objects(t, now, "snapshots/")
	backup(t, r, "node-1", "kept", kept)
	backup(t, r, "node-2", "kept", kept)
	live := slices.DeleteFunc(objects(t, now, "packs/"), func(n string) bool { return slices.Contains(deadPacks, n) })
	remove(t, r, "dead")
	collect(t, r, 0, 0, at)

	res := extend(t, r, v, monthly(at))
	if res.Extended == 0 || res.Extended != res.Needed || res.Asked != res.Needed || !res.Earliest.Equal(at.Add(30*day).UTC().Truncate(time.Second)) {
		t.Errorf("%+v", res)
	}
	mustBe(t, "packs", live, v.locked(at, "packs/"))
	mustBe(t, "shards", objects(t, now, "index/"), v.locked(at, "index/"))
	mustBe(t, "roots", slices.DeleteFunc(objects(t, now, "snapshots/"), func(n string) bool { return n == deadRoot[0] }), v.locked(at, "snapshots/"))
	mustBe(t, "tombstones", objects(t, now, "gc/"), v.locked(at, "gc/"))
	for _, prefix := range []string{"config", "keys/", "trust/", "deleted/", "audit/", "holds/", "checks/", "sessions/"} {
		mustBe(t, prefix, objects(t, now, prefix), v.locked(at, prefix))
	}
	mustBe(t, "announcements", nil, v.locked(at, "pending/"))

	if again := extend(t, r, v, monthly(at.Add(14*day))); again.Extended != 0 || again.Asked != 0 || again.Needed != res.Needed {
		t.Errorf("known locks that last: %+v", again)
	}
	backup(t, r, "node-1", "new", noise(3, 1000))
	if few := extend(t, r, v, monthly(at.Add(14*day))); few.Asked == 0 || few.Asked != few.Extended || few.Asked >= res.Needed {
		t.Errorf("what is new: %+v", few)
	}
	if all := extend(t, r, v, monthly(at.Add(16*day))); all.Extended != res.Needed {
		t.Errorf("half of the time later: %+v, want %d", all, res.Needed)
	}
}

// A lock is never shortened, and one in compliance mode stays in it.
func TestLocksAreNeverShortened(t *testing.T) {
	r, _, v := versions(t)
	backup(t, r, "node-1", "one", noise(1, 1000))
	at := time.Now()
	far := store.Lock{Mode: "compliance", Until: at.Add(400 * day)}
	v.locks["config"] = far
	v.locks["trust/1"] = store.Lock{Mode: "compliance", Until: at.Add(day)}
	o := monthly(at)
	o.Mode = "governance"
	extend(t, r, v, o)
	if v.locks["config"] != far || v.locks["trust/1"].Mode != "compliance" || !v.locks["trust/1"].Until.After(at.Add(29*day)) {
		t.Errorf("%+v, %+v", v.locks["config"], v.locks["trust/1"])
	}
	o.Within = o.For
	if _, err := r.ExtendLocks(t.Context(), v, o); err == nil {
		t.Error("locks that cannot outlast the time were taken")
	}
}

// Whoever hides backups does not make their locks run out.
func TestLocksOfWhatSomebodyHidAreExtendedToo(t *testing.T) {
	r, now, v := versions(t)
	backup(t, r, "node-1", "one", noise(1, 2<<20))
	backup(t, r, "node-2", "two", noise(2, 2<<20))
	want := map[string][]string{}
	for _, prefix := range []string{"packs/", "index/", "snapshots/", "keys/"} {
		want[prefix] = objects(t, now, prefix)
		for _, name := range want[prefix] {
			now.hidden[name] = true
		}
	}
	if len(objects(t, now, "packs/")) > 0 {
		t.Fatal("nothing is hidden")
	}
	at := time.Now()
	extend(t, r, v, monthly(at))
	for prefix, names := range want {
		mustBe(t, prefix, names, v.locked(at, prefix))
	}
}

// A backup that the policy will remove keeps the lock it has, and its packs outlast it.
func TestABackupThatIsToGoIsLeftToItsLock(t *testing.T) {
	r, now, v := versions(t)
	backup(t, r, "node-1", "old", noise(1, 2<<20))
	old := objects(t, now, "snapshots/")[0]
	backup(t, r, "node-1", "new", noise(2, 2<<20))
	at := time.Now()
	o := monthly(at)
	o.Ending = map[string]bool{old: true}
	extend(t, r, v, o)
	if v.locks[old] != (store.Lock{}) || len(v.locked(at, "snapshots/")) != 1 {
		t.Errorf("locked: %q", v.locked(at, "snapshots/"))
	}
	mustBe(t, "packs", objects(t, now, "packs/"), v.locked(at, "packs/"))
}

func TestARehearsalExtendsNoLock(t *testing.T) {
	r, _, v := versions(t)
	backup(t, r, "node-1", "one", noise(1, 2<<20))
	o := monthly(time.Now())
	o.DryRun = true
	would := extend(t, r, v, o)
	if len(v.locks) > 0 || would.Extended == 0 || !would.Earliest.IsZero() {
		t.Errorf("%d locks, %+v", len(v.locks), would)
	}
	o.DryRun = false
	if did := extend(t, r, v, o); did.Extended != would.Extended {
		t.Errorf("rehearsed %+v, did %+v", would, did)
	}
}

func TestLocksThatAreRefusedAreNamedAndTheOthersExtended(t *testing.T) {
	r, now, v := versions(t)
	backup(t, r, "node-1", "one", noise(1, 5<<20))
	packs := objects(t, now, "packs/")
	v.denies = "packs/"
	at := time.Now()
	res, err := r.ExtendLocks(t.Context(), v, monthly(at))
	if !errors.Is(err, store.ErrDenied) || res.Failed != len(packs) || res.Extended != res.Needed-len(packs) || len(packs) < 2 {
		t.Errorf("%+v, %v", res, err)
	}
	for _, p := range packs {
		if !strings.Contains(fmt.Sprint(err), p) {
			t.Errorf("%s is not named: %v", p, err)
		}
	}
	v.denies, v.breaks = "", true
	if _, err := r.ExtendLocks(t.Context(), v, monthly(at.Add(20*day))); !errors.Is(err, errStore) {
		t.Errorf("a store that does not answer: %v", err)
	}
	v.breaks = false
	if res := extend(t, r, v, monthly(at)); res.Extended != len(packs) || res.Asked != len(packs) {
		t.Errorf("what is left after two runs that failed: %+v", res)
	}
}

// Where it cannot be told what backups need, no lock runs out for that.
func TestWhereItIsNotClearWhatIsNeededEveryPackIs(t *testing.T) {
	r, now, v := versions(t)
	backup(t, r, "node-1", "one", noise(1, 2<<20))
	backup(t, r, "node-2", "two", noise(2, 2<<20))
	replace(t, v.Store, objects(t, now, "snapshots/")[0], []byte("squatted"))
	at := time.Now()
	res, err := r.ExtendLocks(t.Context(), v, monthly(at))
	mustDamage(t, err, "snapshots/")
	if res == nil || res.Extended == 0 {
		t.Fatalf("%+v", res)
	}
	mustBe(t, "packs", objects(t, now, "packs/"), v.locked(at, "packs/"))
	mustBe(t, "shards", objects(t, now, "index/"), v.locked(at, "index/"))
}

// What only bears the name of a deletion record takes no lock away.
func TestAForgedDeletionRecordLetsNoLockRunOut(t *testing.T) {
	r, now, v := versions(t)
	backup(t, r, "node-1", "one", noise(1, 2<<20))
	root := objects(t, now, "snapshots/")[0]
	if err := now.Create(t.Context(), repo.DeletionRecord(root), []byte("deleted, believe me")); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	_, err := r.ExtendLocks(t.Context(), v, monthly(at))
	mustDamage(t, err, "deleted/")
	mustBe(t, "roots", []string{root}, v.locked(at, "snapshots/"))
	mustBe(t, "packs", objects(t, now, "packs/"), v.locked(at, "packs/"))
}

// A copy is needed for as long as its backup is.
func TestLocksOfCopiesAreExtendedWithTheirBackups(t *testing.T) {
	r, now, v := versions(t)
	at := time.Now()
	s := session(t, r, "node-1")
	if _, err := saveAs(s, "full", &repo.Root{Catalogue: []byte("full"), Full: true}, noise(1, 2<<20)); err != nil {
		t.Fatal(err)
	}
	tree := objects(t, now, "full/")
	extend(t, r, v, monthly(at))
	if len(tree) < 3 {
		t.Fatal(tree)
	}
	mustBe(t, "copies", tree, v.locked(at, "full/"))
	remove(t, r, "full")
	extend(t, r, v, monthly(at.Add(20*day)))
	mustBe(t, "copies of what is deleted", nil, v.locked(at.Add(31*day), "full/"))
	mustBe(t, "roots of what is deleted", nil, v.locked(at.Add(31*day), "snapshots/"))
}

// What is remembered saves requests and decides nothing.
func TestWithoutItsMemoryAKeeperAsksForEveryLock(t *testing.T) {
	_, now, v := versions(t)
	dir := t.TempDir()
	r := openRepo(t, now, dir)
	backup(t, r, "node-1", "one", noise(1, 2<<20))
	at := time.Now()
	all := extend(t, r, v, monthly(at))
	file := filepath.Join(dir, "locks", r.ID())
	for name, spoil := range map[string]func() error{
		"gone":      func() error { return os.Remove(file) },
		"nonsense":  func() error { return os.WriteFile(file, []byte("x\n\x00"), 0o600) },
		"backwards": func() error { return os.WriteFile(file, []byte("99999999999 1\tz\n99999999999 1\tconfig\n"), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if res := extend(t, r, v, monthly(at)); res.Asked != all.Needed || res.Extended != 0 {
			t.Errorf("%s: %+v", name, res)
		}
		if res := extend(t, r, v, monthly(at)); res.Asked != 0 {
			t.Errorf("%s, the next run: %+v", name, res)
		}
	}
	bare := openRepo(t, now, "")
	if res := extend(t, bare, v, monthly(at)); res.Asked != all.Needed || res.Extended != 0 {
		t.Errorf("without a state directory: %+v", res)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "locks", ".tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestAWriterExtendsNoLocks(t *testing.T) {
	r, now, v := versions(t)
	w := keyed(t, r, now, roles.RoleWriter, "node-1")
	if _, err := w.ExtendLocks(t.Context(), v, monthly(time.Now())); !errors.Is(err, roles.ErrRole) {
		t.Errorf("%v", err)
	}
}

// By first versions shards come back that a keeper replaced, also when the packs they name are gone for good.
func TestPacksThatWereGivenUpAreNoDamageByFirstVersions(t *testing.T) {
	r, now, v := versions(t)
	gone, file := noise(1, 3<<20), noise(2, 100_000)
	backup(t, r, "node-1", "both", gone, file)
	before := objects(t, now, "packs/")
	backup(t, r, "node-1", "kept", file)
	remove(t, r, "both")
	collect(t, r, 0, 0, time.Now())
	var expired int
	for _, name := range before {
		if now.hidden[name] {
			expired++
			if err := v.Store.Delete(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if expired < 2 || len(objects(t, v.Store, "index/")) <= len(objects(t, now, "index/")) {
		t.Fatalf("%d packs expired, shards %q", expired, objects(t, v.Store, "index/"))
	}
	first := openRepo(t, v.Store, "")
	if f, _ := check(t, first, true); len(f.damage) > 0 {
		t.Errorf("damage: %v", f.damage)
	}
	mustRestore(t, first, "node-1", "kept", file)
	extend(t, r, v, monthly(time.Now()))

	needed := objects(t, now, "packs/")
	if err := v.Store.Delete(t.Context(), needed[0]); err != nil {
		t.Fatal(err)
	}
	if f, _ := check(t, openRepo(t, v.Store, ""), false); f.damage[needed[0]] == "" {
		t.Errorf("a pack that nobody gave up is missing, and the damage is %v", f.damage)
	}
}

// A shard that a keeper replaced names packs that are needed too, and its lock runs out all the same.
func TestLocksOfShardsThatWereReplacedRunOut(t *testing.T) {
	r, now, v := versions(t)
	gone, file := noise(1, 3<<20), noise(2, 3<<20)
	backup(t, r, "node-1", "both", gone, file) // one shard names what dies and what stays
	old := objects(t, now, "index/")[0]
	backup(t, r, "node-1", "kept", file)
	remove(t, r, "both")
	collect(t, r, 0, 0, time.Now())
	if !now.hidden[old] {
		t.Fatal("the shard was not replaced")
	}
	at := time.Now()
	extend(t, r, v, monthly(at))
	mustBe(t, "shards", objects(t, now, "index/"), v.locked(at, "index/"))
	mustBe(t, "packs", objects(t, now, "packs/"), v.locked(at, "packs/"))
}
