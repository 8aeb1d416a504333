package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

func TestAKeyThatMayLeaveNoRecordChecksAllTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take(oneTable(t, hostA), "one")
	writer := r.keyed(roles.RoleWriter, hostA)
	rep := r.verify(writer, CheckOptions{ReadData: true})
	if _, err := Leave(t.Context(), writer, rep); !errors.Is(err, roles.ErrRole) || !rep.OK() || rep.Packs.Read == 0 {
		t.Errorf("%v, %+v", err, rep)
	}
	frozen := r.reopen(store.ReadOnly(r.st), "")
	rep = r.verify(frozen, CheckOptions{ReadData: true})
	if _, err := Leave(t.Context(), frozen, rep); !errors.Is(err, store.ErrReadOnly) || !rep.OK() {
		t.Errorf("%v, %+v", err, rep)
	}
	if len(r.objects("checks/")) > 0 {
		t.Error("there is a record")
	}
}

func TestRecordsThatDoNotCountMakeNothingRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take(oneTable(t, hostA), "one")
	r.recorded(CheckOptions{ReadData: true})
	name := r.objects("checks/")[0]
	if _, err := r.seen.AddRecord(t.Context(), repo.CheckRecord, []byte(`{"version":9}`)); err != nil {
		t.Fatal(err)
	}
	r.damage(name, flip)
	if st := r.status(); st.Unread != 2 || st.Readable.NeverPacks != st.Packs || len(st.Runs) != 0 {
		t.Errorf("%+v", st)
	}
}

func TestAKeepersReadingIsNotReadable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take(oneTable(t, hostA), "one")
	keeper := r.keyed(roles.RoleKeeper)
	rep := r.verify(keeper, CheckOptions{ReadData: true})
	if _, err := Leave(t.Context(), keeper, rep); err != nil {
		t.Fatal(err)
	}
	st := r.status()
	if st.Unaltered.NeverPacks != 0 || st.Readable.NeverPacks != st.Packs || st.Runs[0].Author != keeper.Key().KeyID().String() {
		t.Errorf("%+v", st)
	}
}

// A repository that was copied to another disk, with other times, is checked there without a word written.
func TestACopyOnADiskIsCheckedOffline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.take(oneTable(t, hostA), "one")
	dir := t.TempDir()
	for _, name := range r.objects("") {
		b, err := r.st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(b))
		old := written.AddDate(-1, 0, 0)
		if err := errors.Join(os.Chtimes(filepath.Join(dir, name), old, old), os.Chmod(filepath.Join(dir, name), 0o400)); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, dir)
	st, err := store.Open(t.Context(), dir, store.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	opened := r.reopen(st, "")
	defer opened.Close()
	rep := r.verify(opened, CheckOptions{ReadData: true})
	if _, err := Leave(t.Context(), opened, rep); !errors.Is(err, store.ErrReadOnly) {
		t.Error(err)
	}
	if !rep.OK() || rep.Backups != 1 || rep.Packs.Read != rep.Packs.Listed {
		t.Errorf("%+v", rep)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("written (-before +after):\n%s", diff)
	}
	victim := filepath.Join(dir, r.objects("packs/")[0])
	b, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(victim, 0o600), os.WriteFile(victim, flip(b), 0o600)); err != nil { // bit rot: of the same size
		t.Fatal(err)
	}
	if quick := r.verify(opened, CheckOptions{}); !quick.OK() {
		t.Errorf("found without being read: %+v", quick.Damage)
	}
	if rep := r.verify(opened, CheckOptions{ReadData: true}); rep.OK() || rep.Damage[0].Object != r.objects("packs/")[0] {
		t.Errorf("%+v", rep)
	}
}

// tree returns the files below a directory with mode and time.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all = append(all, path+" "+info.Mode().String()+" "+info.ModTime().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
