package repo_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// did is what a test notes.
func did(what string) repo.AuditEntry {
	return repo.AuditEntry{At: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC), User: "ops", Host: "db1", Command: what, Result: "done"}
}

func note(t testing.TB, r *repo.Repo, commands ...string) (head repo.AuditHead) {
	t.Helper()
	for _, c := range commands {
		var err error
		if head, err = r.AppendAudit(t.Context(), did(c)); err != nil {
			t.Fatal(err)
		}
	}
	return head
}

// walked is what Audit tells.
type walked struct {
	commands map[roles.KeyID]string // by chain
	wrong    map[string]string      // by object
	records  []repo.AuditRecord
}

func walk(t testing.TB, r *repo.Repo, o repo.AuditOptions) *walked {
	t.Helper()
	w := &walked{commands: map[roles.KeyID]string{}, wrong: map[string]string{}}
	err := r.Audit(t.Context(), o, func(rec repo.AuditRecord, err error) error {
		var damage *repo.DamageError
		if errors.As(err, &damage) {
			w.wrong[damage.Object] = damage.What
			return nil
		}
		w.commands[rec.Key] += rec.Command + " "
		w.records = append(w.records, rec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func recordAt(key roles.KeyID, seq int) string { return fmt.Sprintf("audit/%s/%d", key, seq) }

func TestEveryRoleHasAChainThatOthersVerify(t *testing.T) {
	owner, st := newRepo(t)
	keys := map[roles.Role]*repo.Repo{roles.RoleOwner: owner, roles.RoleKeeper: keyed(t, owner, st, roles.RoleKeeper),
		roles.RoleReader: keyed(t, owner, st, roles.RoleReader), roles.RoleWriter: keyed(t, owner, st, roles.RoleWriter, "node-2", "node-1")}
	want := map[roles.KeyID]string{}
	for role, r := range keys {
		for i := range 12 { // so that the order of names is not that of numbers
			note(t, r, fmt.Sprint(role, i))
			want[r.Key().KeyID()] += fmt.Sprint(role, i, " ")
		}
	}
	for role, r := range keys {
		if role == roles.RoleWriter {
			own := r.Key().KeyID()
			maps.DeleteFunc(want, func(k roles.KeyID, _ string) bool { return k != own })
			defer func() {
				if got := walk(t, r, repo.AuditOptions{}); !maps.Equal(got.commands, want) || len(got.wrong) > 0 {
					t.Errorf("a writer sees %v", got)
				}
				inv, err := r.Inventory(t.Context())
				if err != nil || inv.Unseen != 36 {
					t.Errorf("%d records unseen by a writer, %v", inv.Unseen, err)
				}
				mustBeSound(t, r)
			}()
			continue
		}
		got := walk(t, r, repo.AuditOptions{})
		if len(got.commands) != 4 || len(got.wrong) > 0 || len(got.records) != 48 {
			t.Errorf("%s sees %d records, wrong %v", role, len(got.records), got.wrong)
		}
		for key, commands := range want {
			if got.commands[key] != commands {
				t.Errorf("%s reads %q in the chain of %s", role, got.commands[key], key)
			}
		}
		mustBeSound(t, r)
	}
}

func TestARecordSaysWhatWasDoneAndNamesTheOneBefore(t *testing.T) {
	r, st := newRepo(t)
	first := note(t, r, "init")
	entry := did("delete")
	entry.Args, entry.Plan, entry.Result, entry.Exit = []string{"--yes", "monday"}, strings.Repeat("ab", 32), "failed", 1
	entry.Objects = []string{"deleted/n/" + pack.ID{}.String()}
	head, err := r.AppendAudit(t.Context(), entry)
	if err != nil {
		t.Fatal(err)
	}
	data, err := st.Get(t.Context(), recordAt(r.Key().KeyID(), 2), 1<<20)
	if err != nil || head.Hash != sha256.Sum256(data) || head.Seq != 2 || head.Key != r.Key().KeyID() {
		t.Errorf("head %s, %v", head, err)
	}
	got := walk(t, r, repo.AuditOptions{}).records[1]
	entry.Made = 1
	if fmt.Sprint(got.AuditEntry) != fmt.Sprint(entry) || got.AuditHead != head || got.Previous != first.Hash || got.Revoked {
		t.Errorf("read %+v", got)
	}
	back, err := repo.ParseAuditHead(head.String())
	if err != nil || back != head {
		t.Errorf("%s is read as %v, %v", head, back, err)
	}
}

func TestWhatIsNoHeadIsRefused(t *testing.T) {
	hash, key := pack.ID{1}.String(), "0123456789abcdef"
	for _, bad := range []string{"", ":", "::", key + ":1", key + ":0:" + hash, key + ":01:" + hash, key + ":-1:" + hash, key[1:] + ":1:" + hash,
		key + ":1:" + hash[1:], key + ":1:" + hash + ":", key + ":99999999999999999999:" + hash, "x" + key[1:] + ":1:" + hash} {
		if h, err := repo.ParseAuditHead(bad); err == nil {
			t.Errorf("%q is %v", bad, h)
		}
	}
}

// Whatever happens to the local state, and whatever somebody put in the way, the next record stands behind the last.
func TestAChainGoesOn(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, v *chain) (dir string)
		next int
	}{
		{"with its local state", func(_ *testing.T, v *chain) string { return v.dir }, 6},
		{"without local state", func(*testing.T, *chain) string { return "" }, 6},
		{"with the state of before", func(t *testing.T, v *chain) string {
			note(t, openWith(t, v.st, v.u, ""), "by a process of no state")
			return v.dir
		}, 7},
		{"with a state that is damaged", func(t *testing.T, v *chain) string {
			file := filepath.Join(v.dir, "audit", v.writer.ID(), v.key.String())
			if err := os.WriteFile(file, []byte("nonsense"), 0o600); err != nil {
				t.Fatal(err)
			}
			return v.dir
		}, 6},
		{"over what is no record", func(t *testing.T, v *chain) string {
			v.put(t, recordAt(v.key, 6), []byte("in the way"))
			v.put(t, recordAt(v.key, 7), v.get(t, 3))
			return v.dir
		}, 8},
		{"below a number that none can follow", func(t *testing.T, v *chain) string {
			v.put(t, "audit/"+v.key.String()+"/9223372036854775807", []byte("in the way"))
			return ""
		}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newChain(t)
			before := v.get(t, 5)
			r := openWith(t, v.st, v.u, c.do(t, v))
			if head := note(t, r, "on"); head.Seq != uint64(c.next) {
				t.Errorf("stands at %d", head.Seq)
			}
			got := walk(t, v.owner, repo.AuditOptions{Key: v.key})
			if last := got.records[len(got.records)-1]; last.Command != "on" || c.next == 6 && last.Previous != sha256.Sum256(before) {
				t.Errorf("last is %+v", last)
			}
			for name, what := range got.wrong {
				if data, err := v.st.Get(t.Context(), name, 1<<20); err != nil || string(data) != "in the way" && string(data) != string(v.get(t, 3)) {
					t.Errorf("%s: %s", name, what)
				}
			}
		})
	}
}

// What was put in the way and taken out again leaves a gap: nobody can say any more that it was no record.
func TestAGapStaysWhereSomethingWasSteppedOver(t *testing.T) {
	v := newChain(t)
	v.put(t, recordAt(v.key, 6), []byte("in the way"))
	note(t, v.writer, "on")
	replace(t, v.st, recordAt(v.key, 6), nil)
	if got := walk(t, v.owner, repo.AuditOptions{}); len(got.wrong) != 1 || got.wrong[recordAt(v.key, 6)] == "" {
		t.Errorf("found %v", got.wrong)
	}
}

func TestTwoProcessesOfOneKeyMakeOneChain(t *testing.T) {
	owner, st := newRepo(t)
	u, id := export(t, owner, roles.RoleKeeper)
	shared := t.TempDir()
	var all sync.WaitGroup
	for _, dir := range []string{shared, shared, t.TempDir(), ""} {
		r := openWith(t, st, u, dir)
		all.Go(func() {
			for range 10 {
				if _, err := r.AppendAudit(t.Context(), did("race")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got := walk(t, owner, repo.AuditOptions{Key: id})
	if len(got.records) != 40 || len(got.wrong) > 0 || got.records[39].Seq != 40 {
		t.Errorf("%d records, wrong %v", len(got.records), got.wrong)
	}
}

func TestARecordCostsOneRequestWhereTheEndIsKnown(t *testing.T) {
	v := newChain(t)
	for _, c := range []struct {
		name, dir string
		want      int64
	}{{"known", v.dir, 1}, {"unknown", "", 3}, {"known, but not the newest", v.dir, 5}} {
		counted, counts := store.Counting(v.st)
		r := openWith(t, counted, v.u, c.dir)
		before := counts.Total()
		note(t, r, "x")
		if got := counts.Total() - before; got != c.want {
			t.Errorf("%s: %d requests", c.name, got)
		}
	}
}

func TestEntriesAreCutToWhatARecordHolds(t *testing.T) {
	r, _ := newRepo(t)
	e := did("purge")
	for range 1000 {
		e.Args = append(e.Args, strings.Repeat("\x01é", 200))
		e.Objects = append(e.Objects, "deleted/"+strings.Repeat("n", 64)+"/"+pack.ID{}.String())
	}
	if _, err := r.AppendAudit(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	got := walk(t, r, repo.AuditOptions{}).records[0]
	if got.Made != 1000 || len(got.Objects) != 256 || len(got.Args) != 64 || len(got.Args[0]) > 256+3 || !strings.HasSuffix(got.Args[0], "…") {
		t.Errorf("%d objects of %d, %d arguments, %q", len(got.Objects), got.Made, len(got.Args), got.Args[0])
	}
	e.User = strings.Repeat("u", 300<<10)
	if _, err := r.AppendAudit(t.Context(), e); err == nil {
		t.Error("a record over the limit is taken")
	}
}

func TestTheChainOfARevokedKeyStaysReadable(t *testing.T) {
	v := newChain(t)
	if err := v.owner.Revoke(t.Context(), v.key, nil); err != nil {
		t.Fatal(err)
	}
	got := walk(t, openRepo(t, v.st, ""), repo.AuditOptions{Key: v.key})
	if len(got.records) != 5 || len(got.wrong) > 0 || !got.records[0].Revoked {
		t.Errorf("%d records, wrong %v", len(got.records), got.wrong)
	}
}

func TestAStoreThatFailsEndsAWalkAndAnAppend(t *testing.T) {
	v := newChain(t)
	for _, op := range []string{"list", "get", "create"} {
		r := openWith(t, &failingAudit{Store: v.st, op: op}, v.u, "")
		if _, err := r.AppendAudit(t.Context(), did("x")); !errors.Is(err, errStore) {
			t.Errorf("append, %s: %v", op, err)
		}
		err := r.Audit(t.Context(), repo.AuditOptions{}, func(_ repo.AuditRecord, err error) error { return err })
		if op != "create" && !errors.Is(err, errStore) {
			t.Errorf("walk, %s: %v", op, err)
		}
	}
}

// failingAudit is a store in which one operation on audit records fails.
type failingAudit struct {
	store.Store
	op string
}

func (f *failingAudit) hit(op, name string) error {
	if f.op == op && strings.HasPrefix(name, "audit/") {
		return errStore
	}
	return nil
}

func (f *failingAudit) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	return errors.Join(f.hit("list", prefix), f.Store.List(ctx, prefix, fn))
}

func (f *failingAudit) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := f.hit("get", name); err != nil {
		return nil, err
	}
	return f.Store.Get(ctx, name, limit)
}

func (f *failingAudit) Create(ctx context.Context, name string, data []byte) error {
	if err := f.hit("create", name); err != nil {
		return err
	}
	return f.Store.Create(ctx, name, data)
}
