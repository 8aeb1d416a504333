package restore

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

// counted opens a backup through a store that counts from then on.
func (r *rig) counted(name string) (*snapshot.Snapshot, *store.Counts) {
	r.t.Helper()
	st, counts := store.Counting(r.st)
	opened, err := repo.Open(r.t.Context(), st, roles.WithPassphrase([]byte("pass")), "")
	if err != nil {
		r.t.Fatal(err)
	}
	s := (&rig{t: r.t, st: st, repo: opened}).open(name)
	counts.Gets.Store(0)
	counts.Lists.Store(0)
	return s, counts
}

func TestManySmallSSTablesCostFewRequests(t *testing.T) {
	t.Parallel()
	r, content := newRig(t), make(files)
	for i := range 200 {
		for j, c := range []string{"Data.db", "Index.db", "Filter.db", "Statistics.db", "TOC.txt"} {
			name := fmt.Sprintf("%s/nb-%d-big-%s", tableDir("shop", fmt.Sprint("t", i%7)), i, c)
			content[name] = fmt.Sprint(i, j, noise(byte(i), 3000-600*j))
		}
	}
	r.backup("b", content)
	s, counts := r.counted("b")
	out := filepath.Join(t.TempDir(), "out")
	if _, err := toDir(t.Context(), s, &snapshot.Selection{}, out, silent{}); err != nil {
		t.Fatal(err)
	}
	mustBe(t, out, content)
	packs := 0
	if err := r.st.List(t.Context(), "packs/", func(store.Info) error { packs++; return nil }); err != nil {
		t.Fatal(err)
	}
	if got := counts.Gets.Load(); got > int64(6*packs) {
		t.Errorf("%d requests for %d files in %d packs", got, len(content), packs)
	}
}

func TestAllThatIsDamagedIsReportedTogether(t *testing.T) {
	t.Parallel()
	r, content := newRig(t), make(files)
	var spoilt []string
	for i := range 40 {
		content[fmt.Sprintf("%s/nb-%d-big-Data.db", tableDir("shop", "t"), i)] = noise(byte(i), 50_000)
	}
	r.backup("b", content)
	for i := 0; i < 40; i += 9 {
		r.spoil(r.blobOf(noise(byte(i), 50_000)))
		spoilt = append(spoilt, fmt.Sprintf("nb-%d-big-Data.db", i))
		delete(content, tableDir("shop", "t")+"/"+spoilt[len(spoilt)-1])
	}
	out := filepath.Join(t.TempDir(), "out")
	s, counts := r.counted("b")
	got, err := toDir(t.Context(), s, &snapshot.Selection{}, out, silent{})
	if got == nil || err == nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	var refused []string
	for _, one := range got.Refused {
		refused = append(refused, one.Component)
	}
	slices.Sort(refused)
	slices.Sort(spoilt)
	if !slices.Equal(refused, spoilt) || got.Files != len(content) {
		t.Errorf("%d files written, refused %v, want %v", got.Files, refused, spoilt)
	}
	mustBe(t, out, content)
	if lists := counts.Lists.Load(); lists != 1 { // one look for other holders
		t.Errorf("%d listings for %d damaged blobs", lists, len(spoilt))
	}
}
