package repo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// twins stores the same blobs in two packs, as two sessions do that begin before either has ended, and returns the wants
// and the packs.
func twins(t *testing.T, st store.Store, blobs ...[]byte) (wants []repo.Want, packs []string) {
	t.Helper()
	var both []*repo.Session
	for range 2 {
		both = append(both, session(t, openRepo(t, st, t.TempDir()), "node-1"))
	}
	for _, s := range both {
		wants = nil
		for i, b := range blobs {
			ref, added, err := s.Put(pack.Data, b)
			if err != nil || added.Stored == 0 {
				t.Fatalf("blob %d: stored %+v, %v", i, added, err)
			}
			wants = append(wants, repo.Want{ID: ref.ID, Type: pack.Data, Tag: i})
		}
		if err := errors.Join(s.Finish(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	packs = objects(t, st, "packs/")
	if len(packs) != 2 {
		t.Fatalf("packs %v", packs)
	}
	return wants, packs
}

func TestAnotherHolderIsTriedBeforeDamageIsClaimed(t *testing.T) {
	blobs := many(40, 500)
	flipAll := func(b []byte) []byte {
		for i := range b {
			b[i] ^= 1
		}
		return b
	}
	for what, change := range map[string]func([]byte) []byte{
		"missing": func([]byte) []byte { return nil }, "empty": func([]byte) []byte { return []byte{} },
		"cut in the middle": func(b []byte) []byte { return b[:len(b)/2] }, "flipped in one place": func(b []byte) []byte { return flip(b, 20_000) },
		"flipped all over": flipAll,
	} {
		t.Run(what, func(t *testing.T) {
			_, st := newRepo(t)
			wants, packs := twins(t, st, blobs...)
			sound := make(map[string][]byte)
			for _, name := range packs {
				data, err := st.Get(t.Context(), name, pack.MaxPack)
				if err != nil {
					t.Fatal(err)
				}
				sound[name] = data
			}
			for _, name := range packs {
				replace(t, st, name, change(bytes.Clone(sound[name])))
				rd := reader(t, openRepo(t, st, ""), "node-1")
				fetch(t, rd, wants).mustBe(t, wants, blobs)
				for i, w := range wants {
					got, err := load(t, rd, repo.Ref{ID: w.ID})
					if err != nil || !bytes.Equal(got, blobs[i]) {
						t.Fatalf("%s: blob %d alone: %d bytes, %v", name, i, len(got), err)
					}
				}
				replace(t, st, name, sound[name])
			}
			for _, name := range packs {
				replace(t, st, name, change(bytes.Clone(sound[name])))
			}
			f := fetch(t, reader(t, openRepo(t, st, ""), "node-1"), wants)
			for i, err := range f.errs {
				if err != nil {
					mustDamage(t, err, "packs/")
				} else if part := strings.Contains(what, " in "); !part || !bytes.Equal(f.plain[i], blobs[i]) {
					t.Errorf("both holders spoilt, blob %d: %d bytes", i, len(f.plain[i]))
				}
			}
		})
	}
}

func TestAllThatIsLostIsReportedAndTheRestGiven(t *testing.T) {
	_, st := newRepo(t)
	var wants []repo.Want
	var blobs [][]byte
	var packs, shards []string
	for i := range 6 {
		for j := range 20 {
			blobs = append(blobs, noise(100*i+j, 3000))
		}
		for _, w := range put(t, openRepo(t, st, t.TempDir()), blobs[20*i:]...) {
			w.Tag = len(wants)
			wants = append(wants, w)
		}
		for _, name := range objects(t, st, "packs/") {
			if !slices.Contains(packs, name) {
				packs = append(packs, name)
			}
		}
		shards = objects(t, st, "index/")
	}
	data := func(name string) []byte {
		b, err := st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	object := make(map[int]string) // what takes the blobs of each pack with it
	replace(t, st, packs[1], nil)
	object[1] = packs[1]
	replace(t, st, packs[2], flip(data(packs[2]), 100))
	replace(t, st, packs[3], data(packs[3])[:10])
	object[3] = packs[3]
	replace(t, st, shards[4], flip(data(shards[4]), 60))
	object[4] = shards[4]
	wants = append(wants, repo.Want{ID: wants[7].ID, Type: pack.Recipe, Tag: 120})
	slices.SortFunc(wants, func(a, b repo.Want) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	w := &watched{Store: st}
	rd := reader(t, openRepo(t, w, ""), "node-1")
	w.lists = 0
	f := fetch(t, rd, wants)
	flipped := 0
	for i, err := range f.errs {
		tag := f.tags[i]
		switch {
		case tag == 120:
			mustDamage(t, err, packs[0])
		case object[tag/20] != "":
			mustDamage(t, err, object[tag/20])
		case err != nil && tag/20 == 2:
			mustDamage(t, err, packs[2])
			flipped++
		case err != nil || !bytes.Equal(f.plain[i], blobs[tag]):
			t.Errorf("blob %d: %d bytes, %v", tag, len(f.plain[i]), err)
		}
	}
	if flipped != 1 {
		t.Errorf("%d blobs damaged by one bit", flipped)
	}
	if w.lists > 4 { // reloads for what was not named and for the pack that is gone, and two looks for other holders
		t.Errorf("%d listings for one window", w.lists)
	}
}

func TestOneDamagedShardTakesOnlyItsOwnBlobsWithIt(t *testing.T) {
	_, st := newRepo(t)
	lost := stored(t, openRepo(t, st, t.TempDir()), []byte("lost"))
	name, data := only(t, st, "index/")
	kept := stored(t, openRepo(t, st, t.TempDir()), []byte("kept"))
	replace(t, st, name, flip(data, 60))
	rd := reader(t, openRepo(t, st, t.TempDir()), "node-1")
	if got, err := load(t, rd, kept); err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := load(t, rd, lost)
	mustDamage(t, err, name)
	if !strings.Contains(err.Error(), "authentication") || !strings.Contains(err.Error(), lost.ID.String()) {
		t.Errorf("says only %v", err)
	}
	f := fetch(t, rd, []repo.Want{{ID: lost.ID, Type: pack.Data}, {ID: kept.ID, Type: pack.Data}})
	mustDamage(t, f.errs[0], name)
	if f.errs[1] != nil {
		t.Error(f.errs[1])
	}
}

// during calls do before the n-th read of a pack.
type during struct {
	store.Store
	n  atomic.Int64
	do func()
}

func (d *during) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	if d.n.Add(-1) == 0 {
		d.do()
	}
	return d.Store.ReadAt(ctx, name, off, p)
}

// Collectors may delete what a running restore has looked up, once its blobs are copied. It must not notice.
func TestWhatGCMovesMeanwhileIsFoundAgain(t *testing.T) {
	for _, n := range []int64{1, 2, 3} {
		t.Run(fmt.Sprint("before read ", n), func(t *testing.T) {
			_, st := newRepo(t)
			r := openRepo(t, st, t.TempDir())
			gone, kept := noise(1, 3<<20), noise(2, 1<<20)
			backup(t, r, "node-1", "old", gone, kept)
			backup(t, r, "node-1", "new", kept)
			wants := wanted(t, r, "new")
			d := &during{Store: st}
			d.n.Store(n)
			before := objects(t, st, "packs/")
			d.do = func() {
				remove(t, r, "old")
				if res := now(t, r); res.Copied == 0 || res.Deleted == 0 {
					t.Errorf("gc moved nothing: %+v", res)
				}
			}
			rd := reader(t, openRepo(t, d, t.TempDir()), "node-1")
			var got []byte
			err := rd.FetchWithin(t.Context(), 64<<10, 256<<10, 1000, slices.Values(wants), func(_ repo.Want, plain []byte, err error) error {
				got = append(got, plain...)
				return err
			})
			if err != nil || !bytes.Equal(got, kept) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if d.n.Load() > 0 || slices.Equal(before, objects(t, st, "packs/")) {
				t.Error("nothing happened meanwhile")
			}
		})
	}
}

// wanted returns wants for the blobs of the only file of a backup.
func wanted(t *testing.T, r *repo.Repo, name string) (wants []repo.Want) {
	t.Helper()
	at, err := r.RootName("node-1", name)
	if err != nil {
		t.Fatal(err)
	}
	root, err := r.ReadRoot(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	rd, err := r.NewReader(t.Context(), "node-1")
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	list, err := rd.Load(t.Context(), &repo.Scratch{}, nil, root.Descriptions[0], pack.Description)
	if err != nil {
		t.Fatal(err)
	}
	for id := range slices.Chunk(list, 32) {
		wants = append(wants, repo.Want{ID: pack.ID(id), Type: pack.Data})
	}
	return wants
}

// noShards is a store whose listings fail when off.
type noShards struct {
	store.Store
	off bool
}

func (n *noShards) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if n.off {
		return errOffline
	}
	return n.Store.List(ctx, prefix, fn)
}

func TestWhereOtherHoldersCannotBeLookedForNothingIsCalledDamaged(t *testing.T) {
	_, st := newRepo(t)
	wants, packs := twins(t, st, noise(1, 5000))
	n := &noShards{Store: st}
	sound := make(map[string][]byte)
	for _, name := range packs {
		data, err := st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		sound[name] = data
	}
	for what, change := range map[string]func([]byte) []byte{
		"missing": func([]byte) []byte { return nil }, "flipped": func(b []byte) []byte { return flip(b, 100) },
	} {
		for name, data := range sound {
			replace(t, st, name, change(bytes.Clone(data)))
		}
		n.off = false
		rd := reader(t, openRepo(t, n, ""), "node-1")
		n.off = true
		err := rd.Fetch(t.Context(), slices.Values(wants), func(_ repo.Want, _ []byte, err error) error { return err })
		_, alone := load(t, rd, repo.Ref{ID: wants[0].ID})
		for _, err := range []error{err, alone} {
			if !errors.Is(err, errOffline) || errors.As(err, new(*repo.DamageError)) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
}

func TestFetchFindsWhatIsWrittenAfterItsReaderWithOneListing(t *testing.T) {
	_, st := newRepo(t)
	w := &watched{Store: st}
	rd := reader(t, openRepo(t, w, ""), "node-1")
	blobs := many(50, 100)
	wants := put(t, openRepo(t, st, t.TempDir()), blobs...)
	w.lists = 0
	fetch(t, rd, wants).mustBe(t, wants, blobs)
	if w.lists != 1 {
		t.Errorf("%d listings", w.lists)
	}
}
