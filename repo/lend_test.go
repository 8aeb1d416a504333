package repo_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cbk/index"
	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// sessionKeys are those of the blobs that somebody wants of node-1.
func sessionKeys(t *testing.T, r *repo.Repo, wants ...repo.Want) map[pack.SessionID]*pack.Key {
	t.Helper()
	var ids repo.IDSet
	for _, w := range wants {
		ids.Add(w.ID)
		ids.Add(w.ID)
	}
	keys, err := reader(t, r, "node-1").SessionKeys(t.Context(), &ids)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// borrow opens the repository with a loan of some sessions of node-1.
func borrow(t *testing.T, lender *repo.Repo, st store.Store, keys map[pack.SessionID]*pack.Key) *repo.Repo {
	t.Helper()
	raw, err := lender.Key().Lend(time.Now().Add(time.Hour), roles.Lending{"node-1": keys})
	if err != nil {
		t.Fatal(err)
	}
	l, err := roles.ParseLoan(raw)
	if err != nil {
		t.Fatal(err)
	}
	return openWith(t, st, roles.WithLoan(l, time.Now()), "")
}

func TestALoanReachesEveryHolderOfABlobAndNothingElse(t *testing.T) {
	owner, st := newRepo(t)
	blobs := many(20, 500)
	wants, packs := twins(t, st, blobs...)
	other := put(t, openRepo(t, st, t.TempDir()), noise(99, 5000))
	if n := len(sessionKeys(t, owner, other...)); n != 1 {
		t.Fatalf("%d sessions of a blob that one has", n)
	}
	if n := len(sessionKeys(t, owner)); n != 0 {
		t.Fatalf("%d sessions of nothing", n)
	}
	keys := sessionKeys(t, owner, wants[1:]...)
	if len(keys) != 2 {
		t.Fatalf("%d sessions of blobs that two have", len(keys))
	}
	for _, name := range packs {
		copied := copyOf(t, st)
		replace(t, copied, name, nil)
		rd := reader(t, borrow(t, owner, copied, keys), "node-1")
		fetch(t, rd, wants).mustBe(t, wants, blobs)
		if _, err := load(t, rd, repo.Ref{ID: other[0].ID}); !errors.Is(err, roles.ErrNotLent) {
			t.Errorf("a blob of another session: %v", err)
		}
	}
}

// Another session may store a blob again after the loan was made, and the index then name that one first.
func TestABlobIsReadFromTheHolderWhoseSessionWasLent(t *testing.T) {
	owner, st := newRepo(t)
	blobs := many(20, 500)
	wants, _ := twins(t, st, blobs...)
	keys := sessionKeys(t, owner, wants...)
	for id, key := range keys {
		rd := reader(t, borrow(t, owner, st, map[pack.SessionID]*pack.Key{id: key}), "node-1")
		fetch(t, rd, wants).mustBe(t, wants, blobs)
		if _, err := load(t, rd, repo.Ref{ID: wants[3].ID}); err != nil {
			t.Errorf("alone: %v", err)
		}
	}
	rd := reader(t, borrow(t, owner, st, nil), "node-1")
	err := rd.Fetch(t.Context(), slices.Values(wants), func(repo.Want, []byte, error) error { return nil })
	if !errors.Is(err, roles.ErrNotLent) || !repo.KeyMismatch(err) {
		t.Errorf("neither was lent: %v", err)
	}
}

func TestAnOverlayIsAsGoodToLendAsTheFirstForm(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(1, 100_000)
	backup(t, owner, "node-1", "b", file)
	before := borrow(t, owner, st, everySession(t, owner, "b"))
	rotate(t, owner, "")
	retire(t, owner, "")
	fresh := openRepo(t, st, "")
	mustRestore(t, borrow(t, fresh, st, everySession(t, fresh, "b")), "node-1", "b", file)
	withoutOverlays(t, st)
	mustRestore(t, before, "node-1", "b", file) // it holds what nobody can open any more
	gone := openRepo(t, st, "")
	if keys := everySession(t, gone, "b"); len(keys) != 0 {
		t.Errorf("%d sessions that nobody can open", len(keys))
	}
}

// everySession are the sessions of a backup of node-1.
func everySession(t *testing.T, r *repo.Repo, backup string) map[pack.SessionID]*pack.Key {
	t.Helper()
	root, err := r.ReadRoot(t.Context(), rootName(t, r, backup))
	if err != nil {
		t.Fatal(err)
	}
	rd := reader(t, r, "node-1")
	var wants []repo.Want
	for _, id := range root.Refs {
		body, err := rd.Load(t.Context(), &repo.Scratch{}, nil, id, pack.Refs)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := repo.DecodeRefs(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range append(ids, root.Descriptions...) {
			wants = append(wants, repo.Want{ID: id})
		}
	}
	return sessionKeys(t, r, wants...)
}

func TestABorrowerReadsWhatWasLentAndDoesNothingElse(t *testing.T) {
	more := []try{
		{"add a record", nil, func(t *testing.T, r *repo.Repo) error {
			_, err := r.AddRecord(t.Context(), repo.HoldRecord, []byte("{}"))
			return err
		}},
		{"list records", nil, func(t *testing.T, r *repo.Repo) error {
			return r.Records(t.Context(), repo.HoldRecord, func(repo.Record, error) error { return nil })
		}},
		{"leave an audit record", nil, func(t *testing.T, r *repo.Repo) error {
			_, err := r.AppendAudit(t.Context(), repo.AuditEntry{})
			return err
		}},
		{"repair the index", nil, func(t *testing.T, r *repo.Repo) error {
			_, err := r.RepairIndex(t.Context(), impatient())
			return err
		}},
		{"sweep copies", nil, func(t *testing.T, r *repo.Repo) error {
			_, err := r.SweepFull(t.Context(), impatient())
			return err
		}},
		{"lend further", nil, func(_ *testing.T, r *repo.Repo) error {
			_, err := r.Key().Lend(time.Now(), roles.Lending{"node-1": nil})
			return err
		}},
	}
	may := []string{"read content", "list roots", "check"}
	for _, try := range append(tries(), more...) {
		t.Run(try.name, func(t *testing.T) {
			owner, st := newRepo(t)
			backup(t, owner, "node-1", "old", noise(1, 10_000))
			backup(t, owner, "node-2", "old", noise(2, 10_000))
			export(t, owner, roles.RoleReader)
			r := borrow(t, owner, st, everySession(t, owner, "old"))
			before := dump(t, st)
			err := try.do(t, r)
			if slices.Contains(may, try.name) {
				if err != nil {
					t.Error(err)
				}
			} else if !errors.Is(err, roles.ErrRole) {
				t.Errorf("error %v, want one of its role", err)
			}
			if after := dump(t, st); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("it left %d objects where %d were", len(after), len(before))
			}
		})
	}
}

// Whatever else should fail: the store of a borrower takes nothing.
func TestTheStoreOfABorrowerIsReadOnly(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "b", noise(1, 1000))
	r := borrow(t, owner, st, nil)
	for name, r := range map[string]*repo.Repo{"as opened": r, "by way of another store": r.By(st)} {
		err := r.Put(t.Context(), "packs/x", []byte("x"))
		if !errors.Is(err, store.ErrReadOnly) || len(objects(t, st, "packs/x")) > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// haunted lists a shard that is not there, as often as it is to.
type haunted struct {
	store.Store
	times int
}

func (h *haunted) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if strings.HasPrefix(prefix, "index/") && h.times > 0 {
		h.times--
		if err := fn(store.Info{Name: index.ShardName("node-1", 1<<20, nil)}); err != nil {
			return err
		}
	}
	return h.Store.List(ctx, prefix, fn)
}

func TestAShardThatGoesIsLookedForOnceMoreBeforeKeysAreLent(t *testing.T) {
	owner, st := newRepo(t)
	wants := put(t, owner, noise(1, 1000))
	h := &haunted{Store: st}
	rd := reader(t, openRepo(t, h, ""), "node-1")
	var ids repo.IDSet
	ids.Add(wants[0].ID)
	h.times = 1
	if keys, err := rd.SessionKeys(t.Context(), &ids); err != nil || len(keys) != 1 || h.times != 0 {
		t.Errorf("gone once: %d keys, %v", len(keys), err)
	}
	h.times = math.MaxInt
	if keys, err := rd.SessionKeys(t.Context(), &ids); err == nil || keys != nil {
		t.Errorf("gone at each look: %d keys", len(keys))
	}
}

func TestAStoreThatFailsEndsALoan(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "b", noise(1, 1000))
	keys := everySession(t, owner, "b")
	rotate(t, owner, "")
	retire(t, owner, "")
	broken := openRepo(t, mute{st}, "")
	rd := reader(t, broken, "node-1")
	root, err := broken.ReadRoot(t.Context(), rootName(t, broken, "b"))
	if err != nil {
		t.Fatal(err)
	}
	var ids repo.IDSet
	ids.Add(root.Descriptions[0])
	if got, err := rd.SessionKeys(t.Context(), &ids); !errors.Is(err, errStore) {
		t.Errorf("%d keys of %d, error %v", len(got), len(keys), err)
	}
}

// mute gives no session keys that were sealed anew.
type mute struct{ store.Store }

func (m mute) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if strings.HasPrefix(name, "sessions/") {
		return nil, errStore
	}
	return m.Store.Get(ctx, name, limit)
}
