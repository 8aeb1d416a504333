package restore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
	"cbk/snapshot"
)

func sumOf(s string) pack.ID { return sha256.Sum256([]byte(s)) }

func TestADirectoryGetsEveryFileByteForByte(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "not/there/yet")
	got, err := toDir(t.Context(), newRig(t).backup("b", backedUp()), &snapshot.Selection{}, out, silent{})
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, b := range backedUp() {
		bytes += int64(len(b))
	}
	if diff := cmp.Diff(&Fetched{Files: len(backedUp()), Bytes: bytes}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	mustBe(t, out, backedUp())
}

func TestSeveralDataDirectoriesBecomeOne(t *testing.T) {
	t.Parallel()
	one := files{tableDir("shop", "customers") + "/nb-1-big-Data.db": noise(1, 900)}
	two := files{tableDir("shop", "customers") + "/nb-2-big-Data.db": noise(2, 900), tableDir("shop", "orders") + "/nb-1-big-Data.db": "x"}
	out := t.TempDir() // empty, which is allowed
	if _, err := toDir(t.Context(), newRig(t).backup("b", one, two), &snapshot.Selection{}, out, silent{}); err != nil {
		t.Fatal(err)
	}
	mustBe(t, out, merged(one, two))
}

func TestAnEmptyTableBecomesAnEmptyDirectory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := r.forge("b")
	out := filepath.Join(t.TempDir(), "out")
	got, err := toDir(t.Context(), s, &snapshot.Selection{}, out, silent{})
	if err != nil || got.Files != 0 {
		t.Fatal(got, err)
	}
	if info, err := os.Stat(filepath.Join(out, "shop/customers-1")); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
}

func TestOnlyAnEmptyDirectoryIsWrittenTo(t *testing.T) {
	t.Parallel()
	s := newRig(t).backup("b", backedUp())
	dir := t.TempDir()
	write(t, filepath.Join(dir, "full/.hidden"), "mine")
	write(t, filepath.Join(dir, "file"), "mine")
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling")); err != nil {
		t.Fatal(err)
	}
	before := without(tree(t, filepath.Join(dir, "full")), "")
	for name, says := range map[string]string{"full": "is not empty", "file": "not a directory", "file/below": "not a directory", "dangling": "restore"} {
		if got, err := toDir(t.Context(), s, &snapshot.Selection{}, filepath.Join(dir, name), silent{}); err == nil || got != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	mustBe(t, filepath.Join(dir, "full"), before)
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestFilesAndDirectoriesGetOrdinaryModes(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	if _, err := toDir(t.Context(), newRig(t).backup("b", backedUp()), &snapshot.Selection{}, out, silent{}); err != nil {
		t.Fatal(err)
	}
	// What the test's own umask allows is what an ordinary directory and file have.
	plain := filepath.Join(t.TempDir(), "dir")
	if err := errors.Join(os.Mkdir(plain, 0o755), os.WriteFile(filepath.Join(plain, "file"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	wantDir, wantFile := mode(t, plain), mode(t, filepath.Join(plain, "file"))
	err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		want := wantFile
		if err == nil && d.IsDir() {
			want = wantDir
		}
		if err == nil && mode(t, path) != want {
			t.Errorf("%s has mode %v, want %v", path, mode(t, path), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func TestDamageIsRefusedByNameAndTheRestIsWritten(t *testing.T) {
	customers := tableDir("shop", "customers")
	data := customers + "/nb-1-big-Data.db"
	for _, c := range []struct {
		name    string
		spoil   func(r *rig, s *snapshot.Snapshot) pack.ID
		refused []string
		missing []string
	}{
		{"a recipe", func(r *rig, s *snapshot.Snapshot) pack.ID { return r.recipeOf(s, "orders") },
			[]string{"shop.orders oa-2-big-Data.db"}, []string{tableDir("shop", "orders") + "/oa-2-big-Data.db"}},
		{"a page", func(_ *rig, s *snapshot.Snapshot) pack.ID { return pack.ID(s.Node.Tables[0].Pages[0]) },
			[]string{"shop.customers SSTables of a damaged description"},
			[]string{data, customers + "/nb-1-big-Index.db", customers + "/nb-1-big-TOC.txt", customers + "/.by_mail/nb-4-big-Data.db"}},
		{"a data blob", func(r *rig, _ *snapshot.Snapshot) pack.ID { return r.blobOf(noise(1, 200_000)) },
			[]string{"shop.customers nb-1-big-Data.db"}, []string{data}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			s := r.backup("b", backedUp())
			object := r.spoil(c.spoil(r, s))
			out := filepath.Join(t.TempDir(), "out")
			got, err := toDir(t.Context(), s, &snapshot.Selection{}, out, silent{})
			var damage *DamagedError
			if !errors.As(err, &damage) || got == nil {
				t.Fatalf("got %+v, %v", got, err)
			}
			var refused []string
			for _, one := range got.Refused {
				refused = append(refused, one.Keyspace+"."+one.Table+" "+one.Component)
				if !damaged(one.Err, object) {
					t.Errorf("%s: %v does not name %s", one.Component, one.Err, object)
				}
			}
			if diff := cmp.Diff(c.refused, refused); diff != "" || !strings.Contains(err.Error(), c.refused[0]) {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if got.Files != len(backedUp())-len(c.missing) {
				t.Errorf("%d files counted", got.Files)
			}
			mustBe(t, out, without(backedUp(), c.missing...)) // and no half-written one
		})
	}
}

// blobOf returns the id of content that is one data blob.
func (r *rig) blobOf(content string) pack.ID {
	r.t.Helper()
	s, err := r.repo.NewSession(r.t.Context(), hostID)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	ref, added, err := s.Put(pack.Data, []byte(content))
	if err != nil || added.Plain != 0 {
		r.t.Fatal("no such blob in the repository", err)
	}
	return ref.ID
}

func damaged(err error, object string) bool {
	var damage *repo.DamageError
	return errors.As(err, &damage) && damage.Object == object
}

func TestAHashThatLiesIsRefused(t *testing.T) {
	t.Parallel()
	s := newRig(t).forge("b", forged{"nb-1-big-", "Data.db", "true", false}, forged{"nb-2-big-", "Data.db", "false", true})
	out := filepath.Join(t.TempDir(), "out")
	got, err := toDir(t.Context(), s, &snapshot.Selection{}, out, silent{})
	var damage *DamagedError
	if !errors.As(err, &damage) || len(damage.Refused) != 1 || damage.Refused[0].Component != "nb-2-big-Data.db" || got.Files != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	mustBe(t, out, files{"shop/customers-1/nb-1-big-Data.db": "true"})
}

func TestADescriptionThatClimbsWritesNothingOutside(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../../../escaped", "/escaped", "..", "x/../../../escaped", "a\x00b", `..\escaped`} {
		r := newRig(t)
		s := r.forge("b", forged{"", name, "content", false})
		root := t.TempDir()
		out := filepath.Join(root, "a/b/out")
		got, err := toDir(t.Context(), s, &snapshot.Selection{}, out, silent{})
		var damage *DamagedError
		if !errors.As(err, &damage) || got.Files != 0 {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
		mustBe(t, root, files{})
	}
}

func TestAFileThatCannotBeWrittenIsAnErrorAndNoDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		snap func(r *rig) *snapshot.Snapshot
		stop func(table string) error // makes writing fail
		says string
	}{
		{"a name too long for the file system", func(r *rig) *snapshot.Snapshot {
			return r.forge("b", forged{"nb-1-big-", strings.Repeat("x", 300), "content", false})
		}, func(string) error { return nil }, "file name too long"},
		{"its place is taken while it is written", func(r *rig) *snapshot.Snapshot {
			return r.forge("b", forged{"nb-1-big-", "Data.db", "content", false})
		}, func(table string) error { return os.MkdirAll(table+"/nb-1-big-Data.db"+partSuffix, 0o755) }, "file exists"},
		{"its name is taken by a directory", func(r *rig) *snapshot.Snapshot {
			return r.forge("b", forged{"nb-1-big-", "Data.db", "content", false})
		}, func(table string) error { return os.MkdirAll(table+"/nb-1-big-Data.db", 0o755) }, "file exists"},
		{"its directory is a file", func(r *rig) *snapshot.Snapshot {
			return r.forge("b", forged{"nb-1-big-", "Data.db", "content", false})
		}, func(table string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(table), 0o755), os.WriteFile(table, nil, 0o644))
		}, "not a directory"},
		{"the keyspace is a file", func(r *rig) *snapshot.Snapshot {
			return r.forge("b", forged{"nb-1-big-", "Data.db", "content", false})
		}, func(table string) error { return os.WriteFile(filepath.Dir(table), nil, 0o644) }, "not a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := c.snap(newRig(t))
			out := filepath.Join(t.TempDir(), "out")
			got, err := toDir(t.Context(), s, &snapshot.Selection{}, out, hooks{expect: func() {
				if err := c.stop(filepath.Join(out, "shop/customers-1")); err != nil {
					t.Error(err)
				}
			}})
			if got != nil || err == nil || !strings.Contains(err.Error(), c.says) || errors.As(err, new(*DamagedError)) {
				t.Errorf("got %+v, %v, want %q", got, err, c.says)
			}
		})
	}
}

// The failure of one file ends the others; that they were ended must not look like an interruption by the user.
func TestTheFirstFailureIsTheErrorOfTheWhole(t *testing.T) {
	t.Parallel()
	content := make(files)
	for i := range 600 { // pages enough that the listing meets the end of its context
		content[tableDir("shop", "customers")+"/nb-"+strings.Repeat("1", i%9+1)+string(rune('0'+i/9%10))+string(rune('0'+i/90))+"-big-Data.db"] = "x"
	}
	s := newRig(t).backup("b", content)
	out := filepath.Join(t.TempDir(), "out")
	first := ""
	for name := range content {
		if first == "" || name < first {
			first = name
		}
	}
	_, err := toDir(t.Context(), s, &snapshot.Selection{}, out, hooks{expect: func() {
		if err := os.MkdirAll(filepath.Join(out, first), 0o755); err != nil {
			t.Error(err)
		}
	}})
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "file exists") {
		t.Errorf("got %v", err)
	}
}

func TestAnInterruptedRestoreIsAnErrorAndLeavesNoHalfFile(t *testing.T) {
	t.Parallel()
	content := backedUp()
	for i := range 20 {
		content[tableDir("shop", strings.Repeat("t", i+1))+"/nb-1-big-Data.db"] = noise(byte(i+20), 2<<20)
	}
	s := newRig(t).backup("b", content)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := filepath.Join(t.TempDir(), "out")
	got, err := toDir(ctx, s, &snapshot.Selection{}, out, hooks{done: cancel})
	if got != nil || !errors.Is(err, context.Canceled) || errors.As(err, new(*DamagedError)) {
		t.Errorf("got %+v, %v", got, err)
	}
	written := tree(t, out)
	for name, b := range written {
		if content[name] != b {
			t.Errorf("%s: %d bytes of %d", name, len(b), len(content[name]))
		}
	}
	if len(written) == len(content) {
		t.Error("nothing was interrupted")
	}
}

func TestEveryDirectoryThatIsMadeIsMadeDurable(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	f := &fetch{made: make(map[string]bool)}
	deep := filepath.Join(base, "a/b/ks/t-1/.idx")
	for range 2 {
		if err := f.mkdir(deep); err != nil {
			t.Fatal(err)
		}
	}
	var made []string
	for dir := range f.made {
		rel, err := filepath.Rel(base, dir)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, rel)
	}
	slices.Sort(made)
	if diff := cmp.Diff([]string{"a", "a/b", "a/b/ks", "a/b/ks/t-1", "a/b/ks/t-1/.idx"}, made); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := f.syncDirs(); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Join(base, "a")); err != nil {
		t.Fatal(err)
	}
	if err := f.syncDirs(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that cannot be synced: %v", err)
	}
}

func TestADirectoryIsMadeAsItsOwnerWants(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	f := &fetch{made: make(map[string]bool), owner: &owner{uid: os.Geteuid(), gid: os.Getegid(), dirMode: 0o777}}
	if err := f.mkdir(filepath.Join(base, "ks/t-1")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"ks", "ks/t-1"} {
		if got := mode(t, filepath.Join(base, dir)).Perm(); got != 0o777 { // whatever the umask
			t.Errorf("%s has mode %v", dir, got)
		}
	}
}

func TestDamageIsToldInOneLine(t *testing.T) {
	t.Parallel()
	err := &DamagedError{[]Refused{{"ks", "t", "nb-1-big-Data.db", errors.New("gone")}, {"ks", "t", "nb-1-big-Index.db", errors.New("gone too")}}}
	const want = "damaged in the repository and not restored: 2 of the components, first ks.t nb-1-big-Data.db: gone"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestDamageTellsWhatIsLeft(t *testing.T) {
	t.Parallel()
	e := &DamagedError{}
	for i := range maxRefused + 1 {
		e.Refused = append(e.Refused, Refused{"shop", "files", fmt.Sprintf("nb-%d-big-Data.db", i), errors.New("gone")})
	}
	whole := e.Whole(&Plan{Tables: []Task{{Keyspace: "shop", Table: "files"}, {Keyspace: "shop", Table: "orders"}, {Keyspace: "system", Table: "local"},
		{Keyspace: "ship", Table: "files"}}})
	if diff := cmp.Diff([]string{"shop.orders", "ship.files"}, whole); diff != "" {
		t.Errorf("whole (-want +got):\n%s", diff)
	}
	var out strings.Builder
	e.Print(&out, whole)
	lines := strings.Split(out.String(), "\n")
	if len(lines) != maxRefused+3 || lines[0] != "  damaged shop.files nb-0-big-Data.db: gone" || lines[maxRefused] != "  damaged and so on, 21 components in all" ||
		lines[maxRefused+1] != "  whole and can be restored with --table: shop.orders, ship.files" {
		t.Errorf("it says\n%s", &out)
	}
	out.Reset()
	(&DamagedError{e.Refused[:1]}).Print(&out, nil)
	if !strings.HasSuffix(out.String(), "gone\n  whole and can be restored with --table: none\n") {
		t.Errorf("it says\n%s", &out)
	}
}

func TestADirectoryWithTooLittleRoomIsNotMade(t *testing.T) {
	t.Parallel()
	s := described()
	s.Node.Tables[0].BytesSource = 1 << 60
	out := filepath.Join(t.TempDir(), "a/b")
	_, err := PlanDir(s, &snapshot.Selection{}, out)
	if space := (*SpaceError)(nil); !errors.As(err, &space) || space.Need < 1<<60 || space.Free <= 0 || space.Dir != out {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(filepath.Dir(out)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
}

// TestRoomIsNeededForWhatWasChosenAlone chooses a small table beside one that no disk would take.
func TestRoomIsNeededForWhatWasChosenAlone(t *testing.T) {
	t.Parallel()
	s := described()
	s.Node.Tables[0].BytesSource = 1 << 60
	small := snapshot.Selection{Tables: []string{"shop.orders"}}
	p, err := PlanDir(s, &small, filepath.Join(t.TempDir(), "a"))
	if err != nil || p.Bytes != 1<<20 {
		t.Errorf("into a directory: %+v, %v", p, err)
	}
}
