package repo_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
)

// told is what Records tells of a kind: bodies, and names of what is damaged.
func told(t *testing.T, r *repo.Repo, kind repo.RecordKind) (bodies, damaged []string) {
	t.Helper()
	err := r.Records(t.Context(), kind, func(rec repo.Record, err error) error {
		if err != nil {
			mustDamage(t, err, rec.Name)
			damaged = append(damaged, rec.Name)
			return nil
		}
		bodies = append(bodies, string(rec.Body))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(bodies)
	return bodies, damaged
}

func addRecord(t *testing.T, r *repo.Repo, kind repo.RecordKind, body string) repo.Record {
	t.Helper()
	rec, err := r.AddRecord(t.Context(), kind, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestARecordIsReadBackByEveryRoleButWriters(t *testing.T) {
	owner, st := newRepo(t)
	signers := []*repo.Repo{owner, keyed(t, owner, st, roles.RoleKeeper), keyed(t, owner, st, roles.RoleReader)}
	var want []string
	for i, r := range signers {
		body := fmt.Sprint("said by ", i)
		rec := addRecord(t, r, repo.HoldRecord, body)
		addRecord(t, r, repo.CheckRecord, "a check")
		if name := "holds/" + rec.ID.String(); rec.Name != name || rec.Author != r.Key().KeyID() || string(rec.Body) != body {
			t.Errorf("made %+v", rec)
		}
		want = append(want, body)
	}
	for i, r := range signers {
		if got, damaged := told(t, r, repo.HoldRecord); !slices.Equal(got, want) || len(damaged) > 0 {
			t.Errorf("reader %d: %q, damaged %v", i, got, damaged)
		}
		if got, _ := told(t, r, repo.CheckRecord); len(got) != 3 {
			t.Errorf("reader %d: checks %q", i, got)
		}
		mustBeSound(t, r)
	}
}

func TestARecordNamesItsAuthorAndTheHashOfItsBytes(t *testing.T) {
	owner, st := newRepo(t)
	u, id := export(t, owner, roles.RoleKeeper)
	made := addRecord(t, openWith(t, st, u, ""), repo.HoldRecord, "why")
	name, data := only(t, st, "holds/")
	if made.Name != name || made.ID != sha256.Sum256(data) || bytes.Contains(data, []byte("why")) {
		t.Errorf("made %+v at %s", made, name)
	}
	for _, revoked := range []bool{false, true} {
		if revoked {
			if err := owner.Revoke(t.Context(), id, nil); err != nil {
				t.Fatal(err)
			}
		}
		err := owner.Records(t.Context(), repo.HoldRecord, func(rec repo.Record, err error) error {
			if err != nil || rec.Author != id || rec.Revoked != revoked || rec.ID != made.ID || string(rec.Body) != "why" {
				t.Errorf("revoked %v: %+v, %v", revoked, rec, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWriterNeitherAddsNorSeesRecords(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "daily", []byte("file"))
	addRecord(t, owner, repo.HoldRecord, "hold")
	w := keyed(t, owner, st, roles.RoleWriter, "node-1")
	if _, err := w.AddRecord(t.Context(), repo.HoldRecord, nil); !errors.Is(err, roles.ErrRole) {
		t.Errorf("added: %v", err)
	}
	if err := w.Records(t.Context(), repo.HoldRecord, nil); !errors.Is(err, roles.ErrRole) {
		t.Errorf("listed: %v", err)
	}
	inv, err := w.Inventory(t.Context())
	if err != nil || inv.Unseen != 1 {
		t.Errorf("%d unseen, %v", inv.Unseen, err)
	}
	mustBeSound(t, w)
}

func TestARecordThatIsNotAsWrittenIsNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, v *theft, rec repo.Record, data []byte) (name string)
	}{
		{"a bit flipped", func(t *testing.T, v *theft, rec repo.Record, data []byte) string {
			replace(t, v.st, rec.Name, flip(data, len(data)-1))
			return rec.Name
		}},
		{"cut", func(t *testing.T, v *theft, rec repo.Record, data []byte) string {
			replace(t, v.st, rec.Name, data[:10])
			return rec.Name
		}},
		{"passed off as the result of a check", func(t *testing.T, v *theft, rec repo.Record, data []byte) string {
			return v.put(t, strings.Replace(rec.Name, "holds", "checks", 1), data)
		}},
		{"under another name", func(t *testing.T, v *theft, _ repo.Record, data []byte) string {
			return v.put(t, "holds/"+pack.ID{1}.String(), data)
		}},
		{"signed by a writer who has the key it is sealed under", func(t *testing.T, v *theft, _ repo.Record, _ []byte) string {
			data := must(t)(v.thief.ForgeRecord(v.owner, repo.HoldRecord, []byte("held")))
			return v.put(t, "holds/"+pack.ID(sha256.Sum256(data)).String(), data)
		}},
		{"sealed under a writer's key", func(t *testing.T, v *theft, _ repo.Record, _ []byte) string {
			data := must(t)(v.thief.Forge("node-1", pack.ClassRecord, "holds/x", nil))
			return v.put(t, "holds/"+pack.ID(sha256.Sum256(data)).String(), data)
		}},
		{"one of a size that none has", func(t *testing.T, v *theft, _ repo.Record, _ []byte) string {
			return v.put(t, "checks/"+pack.ID{1}.String(), make([]byte, repo.MaxRecord+64<<10))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newTheft(t)
			addRecord(t, v.owner, repo.HoldRecord, "sound")
			rec := addRecord(t, v.owner, repo.HoldRecord, "hit")
			data, err := v.st.Get(t.Context(), rec.Name, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			name := c.do(t, v, rec, data)
			kind, _, _ := strings.Cut(name, "/")
			if _, damaged := told(t, v.owner, repo.RecordKind(kind)); !slices.Equal(damaged, []string{name}) {
				t.Errorf("damaged %v, not %s", damaged, name)
			}
			if bodies, _ := told(t, v.owner, repo.HoldRecord); !slices.Contains(bodies, "sound") {
				t.Errorf("left of the others: %q", bodies)
			}
			if f, _ := check(t, v.owner, false); !slices.Equal(f.objects(), []string{name}) {
				t.Errorf("a check finds %v", f.damage)
			}
		})
	}
}

func TestRecordsAreCountedByACheckAndLeftByGarbageCollection(t *testing.T) {
	r, st := newRepo(t)
	backup(t, r, "node-1", "daily", []byte("file"))
	before, err := r.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addRecord(t, r, repo.HoldRecord, "hold")
	addRecord(t, r, repo.CheckRecord, "check")
	after, err := r.Inventory(t.Context())
	if err != nil || after.Objects != before.Objects+2 || after.Strangers != 0 {
		t.Errorf("%d objects, before %d; %d strangers", after.Objects, before.Objects, after.Strangers)
	}
	remove(t, r, "daily")
	for range 2 {
		if _, err := r.GC(t.Context(), "node-1", impatient()); err != nil {
			t.Fatal(err)
		}
		sweep(t, r, 0)
	}
	if len(objects(t, st, "packs/")) > 0 {
		t.Fatal("nothing was collected: the test proves nothing")
	}
	for _, kind := range []repo.RecordKind{repo.HoldRecord, repo.CheckRecord} {
		if got, damaged := told(t, r, kind); len(got) != 1 || len(damaged) > 0 {
			t.Errorf("%s: %q, damaged %v", kind, got, damaged)
		}
	}
}

func TestManyRecordsAndLargeOnesAreAllRead(t *testing.T) {
	r, _ := newRepo(t)
	for i := range 40 {
		addRecord(t, r, repo.CheckRecord, fmt.Sprintf("%02d", i))
	}
	for i := range 3 {
		addRecord(t, r, repo.CheckRecord, string(noise(i, repo.MaxRecord)))
	}
	if got, damaged := told(t, r, repo.CheckRecord); len(got) != 43 || len(damaged) > 0 || len(slices.Compact(got)) != 43 {
		t.Errorf("%d records, damaged %v", len(got), damaged)
	}
	if _, err := r.AddRecord(t.Context(), repo.CheckRecord, make([]byte, repo.MaxRecord+1)); err == nil {
		t.Error("a record over the limit is taken")
	}
	stop := errors.New("enough")
	if err := r.Records(t.Context(), repo.CheckRecord, func(repo.Record, error) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("ended with %v", err)
	}
}
