package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/chunk"
	"cbk/cassandra/sstable/peel"
	"cbk/cassandra/sstable/peel/peeltest"
	"cbk/pack"
	"cbk/repo"
)

// compressed writes an SSTable whose Data.db is that of n plain bytes in chunks of 4 KiB.
func (n *fakeNode) compressed(dir, prefix string, seed uint64, size int) peeltest.File {
	n.t.Helper()
	h := peeltest.LZ4(size, 4<<10)
	f := peeltest.Compress(n.t, "nb", peeltest.Words(size, seed), h, peeltest.By(n.t, chunk.Late, h))
	n.putFile(dir+"/"+prefix, f)
	n.put(dir+"/"+prefix+"Digest.crc32", fmt.Sprint(seed))
	return f
}

func (n *fakeNode) putFile(prefix string, f peeltest.File) {
	n.t.Helper()
	n.put(prefix+"Data.db", string(f.Data))
	n.put(prefix+"CompressionInfo.db", string(f.Info))
}

// uncompressed writes an SSTable with the checksums of its Data.db in CRC.db.
func (n *fakeNode) uncompressed(dir, prefix string, seed uint64, size int) {
	n.t.Helper()
	plain := peeltest.Words(size, seed)
	var crc bytes.Buffer
	s := sstable.NewSumsWriter(&crc, 1<<10)
	_, err := s.Write(plain)
	if err := errors.Join(err, s.Close()); err != nil {
		n.t.Fatal(err)
	}
	n.put(dir+"/"+prefix+"Data.db", string(plain))
	n.put(dir+"/"+prefix+"CRC.db", crc.String())
	n.put(dir+"/"+prefix+"Digest.crc32", fmt.Sprint(seed))
}

// recipesOf names the recipe of every component of the only node snapshot of a backup.
func (r *rig) recipesOf(backup string) map[string]string {
	r.t.Helper()
	s := r.snapshot(backup)
	got := make(map[string]string)
	for dir, list := range r.sstables(s) {
		for i := range list {
			for j, how := range r.recipes(s, &list[i]) {
				got[dir+"/"+list[i].File(&list[i].Components[j])] = how.name()
			}
		}
	}
	return got
}

func (r *rig) mustCheck() {
	r.t.Helper()
	rep, err := Check(r.t.Context(), r.seen, true)
	if err != nil || len(rep.Damage) > 0 {
		r.t.Fatalf("check: %v, %+v", err, rep)
	}
}

func TestEveryDataFileHasTheBestRecipeThatIsProven(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.compressed(dir, "nb-1-big-", 1, 1<<20)
	n.uncompressed(dir, "nb-2-big-", 2, 1<<20)
	n.compressed(dir, "nb-3-big-", 3, 5000) // its CompressionInfo.db is small
	n.uncompressed(dir, "nb-4-big-", 4, 5000)
	n.put(dir+"/nb-5-big-Data.db", "tiny")
	n.sstable(dir, "nb-6-big-", 6, 5000) // its CRC.db says nothing of it
	h := peeltest.LZ4(1<<20, 4<<10)
	odd := peeltest.Compress(t, "nb", peeltest.Words(1<<20, 7), h, peeltest.By(t, chunk.Late, h))
	odd.Info = append(odd.Info, "more"...) // only the offsets follow from Data.db
	n.putFile(dir+"/nb-7-big-", odd)
	zstd := h
	zstd.Class = "ZstdCompressor"
	info, err := sstable.AppendCompressionHeader(nil, zstd, "nb")
	if err != nil {
		t.Fatal(err)
	}
	n.putFile(dir+"/nb-8-big-", peeltest.File{Data: odd.Data, Info: info})
	res := r.take(n, "one")
	r.mustHold("one", n.live())
	r.mustCheck()

	got := r.recipesOf("one")
	maps.DeleteFunc(got, func(name, _ string) bool {
		return !strings.HasSuffix(name, "Data.db") && !strings.HasSuffix(name, "Info.db") && !strings.HasSuffix(name, "CRC.db")
	})
	want := map[string]string{
		"nb-1-big-Data.db": RecipeLZ4, "nb-1-big-CompressionInfo.db": RecipeDerived,
		"nb-2-big-Data.db": RecipeBlobs, "nb-2-big-CRC.db": RecipeDerived,
		"nb-3-big-Data.db": RecipeLZ4, "nb-3-big-CompressionInfo.db": RecipeInline,
		"nb-4-big-Data.db": RecipeBlobs, "nb-4-big-CRC.db": RecipeInline,
		"nb-5-big-Data.db": RecipeInline,
		"nb-6-big-Data.db": RecipeBlobs, "nb-6-big-CRC.db": RecipeInline,
		"nb-7-big-Data.db": RecipeLZ4, "nb-7-big-CompressionInfo.db": RecipeBlobs,
		"nb-8-big-Data.db": RecipeBlobs, "nb-8-big-CompressionInfo.db": RecipeInline,
	}
	for name := range maps.Clone(want) {
		want[dir+"/"+name] = want[name]
		delete(want, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recipes (-want +got):\n%s", diff)
	}
	uses := make(map[string]RecipeUse)
	files := 0
	for _, u := range res.Recipes {
		uses[u.Recipe+" "+u.Reason] = u
		files += u.Files
	}
	if files != res.Files || uses["blobs compressor ZstdCompressor"].Files != 1 || uses["derived "].BytesPlain != 0 {
		t.Errorf("uses of %d files: %+v", res.Files, res.Recipes)
	}
	if lz4 := uses["lz4 "]; lz4.BytesPlain != 2<<20+5000 || lz4.Files != 3 || lz4.Chunks != 514 || lz4.ChunksStored != 0 {
		t.Errorf("use of lz4: %+v", lz4)
	}
}

func TestAFullCopyHoldsWhatRecipesNeed(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.compressed(dir, "nb-1-big-", 1, 1<<20)
	n.uncompressed(dir, "nb-2-big-", 2, 1<<20)
	r.take(n, "one")
	opt := r.options("two")
	opt.Mode = ModeFull
	if _, err := Take(t.Context(), r.repo, n, opt); err != nil {
		t.Fatal(err)
	}
	for _, object := range r.objects("packs/") {
		if err := r.st.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	r.mustHold("two", n.live())
	if got := r.recipesOf("two")[dir+"/nb-1-big-Data.db"]; got != RecipeLZ4 {
		t.Errorf("Data.db is stored as %s", got)
	}
}

func TestRecipeBlobsKeepsBytesAsTheyAre(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.compressed(dir, "nb-1-big-", 1, 1<<20)
	opt := r.options("one")
	opt.Recipe = RecipeBlobs
	if _, err := Take(t.Context(), r.repo, n, opt); err != nil {
		t.Fatal(err)
	}
	n.compressed(dir, "nb-2-big-", 2, 1<<20)
	r.take(n, "two")
	r.mustHold("two", n.live())
	r.mustCheck()
	want := map[string]string{
		dir + "/nb-1-big-Data.db": RecipeBlobs, dir + "/nb-1-big-CompressionInfo.db": RecipeBlobs, dir + "/nb-1-big-Digest.crc32": RecipeInline,
		dir + "/nb-2-big-Data.db": RecipeLZ4, dir + "/nb-2-big-CompressionInfo.db": RecipeDerived, dir + "/nb-2-big-Digest.crc32": RecipeInline,
	}
	if diff := cmp.Diff(want, r.recipesOf("two")); diff != "" {
		t.Errorf("recipes (-want +got):\n%s", diff)
	}
	opt = r.options("three")
	opt.Recipe = "rows"
	if _, err := Take(t.Context(), r.repo, n, opt); err == nil || !strings.Contains(err.Error(), `recipe "rows"`) {
		t.Errorf("an unknown recipe gives %v", err)
	}
}

func TestTheSameRowsInOtherChunksAreStoredOnce(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.compressed(dir, "nb-1-big-", 1, 4<<20)
	first := r.take(n, "one")
	h := peeltest.LZ4(4<<20, 64<<10)
	n.putFile(dir+"/nb-2-big-", peeltest.Compress(t, "nb", peeltest.Words(4<<20, 1), h, peeltest.By(t, chunk.Early, h)))
	second := r.take(n, "two")
	r.mustHold("two", n.live())
	// The first chunk that tells the encoders apart ends a run, and with it a blob.
	if second.BytesNew > first.BytesNew/4 {
		t.Errorf("%d new bytes, after %d", second.BytesNew, first.BytesNew)
	}
}

func TestWhatIsRememberedOfADataFileAndItsInfoCountsTogether(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		touch  []string
		opened []string
	}{
		{"neither changed", nil, nil},
		{"Data.db looks new", []string{"nb-1-big-Data.db"}, []string{"t/nb-1-big-Data.db", "t/nb-1-big-CompressionInfo.db"}},
		{"CompressionInfo.db looks new", []string{"nb-1-big-CompressionInfo.db"}, []string{"t/nb-1-big-Data.db", "t/nb-1-big-CompressionInfo.db"}},
		{"CRC.db looks new", []string{"nb-2-big-CRC.db"}, []string{"t/nb-2-big-Data.db", "t/nb-2-big-CRC.db"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			dir := n.table(0, "t", 1)
			n.compressed(dir, "nb-1-big-", 1, 1<<20)
			n.uncompressed(dir, "nb-2-big-", 2, 1<<20)
			files := r.take(n, "one").Files
			for _, name := range c.touch {
				n.age(n.Layout().DataDirs[0]+"/"+dir+"/"+name, written.Add(time.Minute))
			}
			res := r.take(n, "two")
			r.mustOpen(append(c.opened, "t/nb-1-big-Digest.crc32", "t/nb-2-big-Digest.crc32")...)
			if res.Unchanged != files {
				t.Errorf("%d of %d files unchanged", res.Unchanged, files)
			}
			r.mustHold("two", n.live())
		})
	}
}

func TestADerivedFileIsNotKeptWithoutItsDataFile(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.compressed(dir, "nb-1-big-", 1, 1<<20)
	r.take(n, "one")
	n.age(n.Layout().DataDirs[0]+"/"+dir+"/nb-1-big-Data.db", written.Add(time.Minute))
	opt := r.options("two")
	opt.Recipe = RecipeBlobs
	if _, err := Take(t.Context(), r.repo, n, opt); err != nil {
		t.Fatal(err)
	}
	r.mustHold("two", n.live())
	if got := r.recipesOf("two")[dir+"/nb-1-big-CompressionInfo.db"]; got != RecipeBlobs {
		t.Errorf("CompressionInfo.db is stored as %s", got)
	}
}

func TestALargeDataFileHasSegmentsOfItsKinds(t *testing.T) {
	t.Parallel()
	cfg := repo.DefaultSettings()
	cfg.PackSize = 1 << 20
	cfg.DataChunks = pack.Sizes{Min: 4 << 10, Bits: 12, Max: 16 << 10}
	r, n := newRigWith(t, cfg), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	const size = 48 << 20 // some 6,000 blobs
	h := peeltest.LZ4(size, 4<<10)
	f := peeltest.Compress(t, "nb", peeltest.Words(size, 1), h, peeltest.By(t, chunk.Late, h))
	at := binary.BigEndian.Uint64(f.Info[len(f.Info)-8*2000:])
	f.Data[at+20] ^= 1 // a chunk that stays as it is
	n.putFile(dir+"/nb-1-big-", f)
	n.put(dir+"/nb-1-big-Digest.crc32", digest(1))
	res := r.take(n, "one")
	r.mustHold("one", n.live())
	r.mustCheck()
	s := r.snapshot("one")
	for i, c := range r.sstables(s)[dir][0].Components {
		if how := r.recipes(s, &r.sstables(s)[dir][0])[i]; c.Name == "Data.db" && (!how.segmented || len(how.refs) < 2) {
			t.Errorf("%d refs, segmented: %v", len(how.refs), how.segmented)
		}
	}
	for _, u := range res.Recipes {
		if u.Recipe == RecipeLZ4 && (u.ChunksStored != 1 || u.ChunksBroken != 1) {
			t.Errorf("%+v", u)
		}
	}
	r.take(n, "two")
	r.mustOpen("t/nb-1-big-Digest.crc32")
}

func TestWhatFollowsFromALostDataFileIsRefusedWithIt(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.compressed(dir, "nb-1-big-", 1, 1<<20)
	n.uncompressed(dir, "nb-2-big-", 2, 1<<20)
	n.compressed(dir, "nb-3-big-", 3, 1<<20)
	r.take(n, "one")
	s := r.snapshot("one")
	for i, t := range r.sstables(s)[dir] {
		if t.Prefix == "nb-3-big-" {
			continue
		}
		hows := r.recipes(s, &r.sstables(s)[dir][i])
		r.spoil(s, r.data(s, hows[t.data()])[1])
	}
	want := make(map[string]bool)
	for name := range n.live() {
		want[strings.TrimPrefix(name, "0/")] = strings.HasSuffix(name, "3-big-Data.db") || strings.HasSuffix(name, "3-big-CompressionInfo.db") ||
			strings.HasSuffix(name, "crc32")
	}
	got := make(map[string]bool)
	for name, err := range r.fates(s) {
		got[name] = err == nil
		if damage := (*repo.DamageError)(nil); err != nil && !errors.As(err, &damage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("restored (-want +got):\n%s", diff)
	}
}

func TestAComponentThatCannotBeCreatedIsToldWithWhatFollows(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.compressed(dir, "nb-1-big-", 1, 1<<20)
	r.take(n, "one")
	s := r.snapshot("one")
	full := errors.New("no space")
	for _, fails := range []string{"Data.db", "CompressionInfo.db"} {
		fates := make(map[string]bool)
		err := s.Content(t.Context(), []Page{{SSTables: r.sstables(s)[dir]}}, func(f File) (io.Writer, error) {
			if f.Component.Name == fails {
				return nil, full
			}
			return io.Discard, nil
		}, func(f File, err error) error {
			fates[f.Component.Name] = errors.Is(err, full)
			return nil
		})
		want := map[string]bool{"Data.db": true, "CompressionInfo.db": true, "Digest.crc32": false}
		if diff := cmp.Diff(want, fates); err != nil || diff != "" {
			t.Errorf("%s: %v, failed (-want +got):\n%s", fails, err, diff)
		}
	}
}

func TestARecipeThatMakesAnotherFileIsDamage(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	f := n.compressed(dir, "nb-1-big-", 1, 1<<20)
	r.take(n, "one")
	s := r.snapshot("one")
	one := r.sstables(s)[dir][0]
	good := r.recipes(s, &one)[one.data()]
	for name, change := range map[string]func(*recipe){
		"another encoder": func(h *recipe) {
			for i := range h.refs {
				h.refs[i].Kind = peel.Early
			}
		},
		"a chunk more": func(h *recipe) {
			h.layout.Header = bytes.Replace(h.layout.Header, []byte{0, 0, 1, 0}, []byte{0, 0, 1, 1}, 1)
		},
		"a blob less":             func(h *recipe) { h.refs = h.refs[1:] },
		"no layout":               func(h *recipe) { h.layout.Header = nil },
		"a version to come":       func(h *recipe) { h.layout.Version = "zz" },
		"another compressor":      func(h *recipe) { h.layout.Header = bytes.Replace(h.layout.Header, []byte("LZ4"), []byte("LZ5"), 1) },
		"plain bytes as they are": func(h *recipe) { h.typ = recipeBlobs },
	} {
		how := good
		how.refs = append([]ref(nil), good.refs...)
		how.layout.Header = bytes.Clone(f.Info[:len(good.layout.Header)])
		change(&how)
		hows := make([]recipe, len(one.Components))
		hows[one.data()] = how
		for i, c := range one.Components {
			if c.Name == sstable.CompressionInfo && how.typ == recipeLZ4 {
				hows[i] = recipe{typ: recipeDerived, from: fromPeel}
			}
		}
		fates := make(map[string]error)
		err := s.rebuild(t.Context(), []*Table{nil}, []*SSTable{&one}, []recipes{{list: hows}}, &pouring{create: discard, done: func(f File, err error) error {
			fates[f.Component.Name] = err
			return nil
		}})
		if damage := (*repo.DamageError)(nil); err != nil || !errors.As(fates["Data.db"], &damage) || !errors.As(fates["CompressionInfo.db"], &damage) {
			t.Errorf("%s: %v, %v", name, err, fates)
		}
	}
}

func TestRecipesDeriveOnlyWhatDataGives(t *testing.T) {
	one := SSTable{Components: []Component{{Name: "Data.db", Size: 1000}, {Name: "CompressionInfo.db", Size: 1000}, {Name: "CRC.db", Size: 1000}}}
	lz4, blobs := recipe{typ: recipeLZ4}, recipe{typ: recipeBlobs}
	info, sums := recipe{typ: recipeDerived, from: fromPeel}, recipe{typ: recipeDerived, from: fromData, length: 1}
	for _, c := range []struct {
		name string
		hows []recipe
		ok   bool
	}{
		{"info of lz4", []recipe{lz4, info, blobs}, true},
		{"sums of blobs", []recipe{blobs, blobs, sums}, true},
		{"info of blobs", []recipe{blobs, info, blobs}, false},
		{"sums of lz4", []recipe{lz4, blobs, sums}, false},
		{"two of one", []recipe{lz4, info, info}, false},
		{"data of itself", []recipe{info, blobs, blobs}, false},
	} {
		if got, err := one.decodeRecipes(encodeRecipes(c.hows)); (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	lone := SSTable{Components: one.Components[1:2]}
	if _, err := lone.decodeRecipes(encodeRecipes([]recipe{info})); err == nil {
		t.Error("derived without a Data.db")
	}
}
