package repo_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store/storefault"
)

// stored puts one data blob into a finished session and returns its ref.
func stored(t *testing.T, r *repo.Repo, plain []byte) repo.Ref {
	t.Helper()
	s, err := r.NewSession(t.Context(), "node-1")
	if err != nil {
		t.Fatal(err)
	}
	ref, _, err := s.Put(pack.Data, plain)
	if err := errors.Join(err, s.Finish(), s.Close()); err != nil {
		t.Fatal(err)
	}
	return ref
}

func load(t *testing.T, rd *repo.Reader, ref repo.Ref) ([]byte, error) {
	t.Helper()
	return rd.Load(t.Context(), &repo.Scratch{}, nil, ref.ID, pack.Data)
}

func TestAReaderServesManyGoroutines(t *testing.T) {
	r, _ := newRepo(t)
	var refs []repo.Ref
	s := session(t, r, "node-1")
	for i := range 50 {
		ref, _, err := s.Put(pack.Data, noise(i, 1000*i))
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	if err := errors.Join(s.Finish(), s.Close()); err != nil {
		t.Fatal(err)
	}
	rd := reader(t, r, "node-1")
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			var w repo.Scratch
			var buf []byte
			for i, ref := range refs {
				got, err := rd.Load(t.Context(), &w, buf, ref.ID, pack.Data)
				if err != nil || !bytes.Equal(got, noise(i, 1000*i)) || int(ref.Plain) != len(got) {
					t.Errorf("blob %d: %d bytes, %v", i, len(got), err)
				}
				buf = got
			}
		})
	}
	wait.Wait()
}

func TestDamageOfAPackIsNamedWhenABlobIsLoaded(t *testing.T) {
	r, st := newRepo(t)
	ref := stored(t, r, noise(1, 1000))
	name, data := only(t, st, "packs/")
	for what, bad := range map[string][]byte{
		"the header": flip(data, 3), "the version": flip(data, 4), "the nonce": flip(data, 20), "the content": flip(data, 500),
		"the tag": flip(data, 39+1001+15), "its length": data[:500], "everything": nil, "its place": append([]byte{0}, data...),
	} {
		replace(t, st, name, bad)
		_, err := load(t, reader(t, r, "node-1"), ref)
		if err == nil {
			t.Fatalf("without %s it loads", what)
		}
		mustDamage(t, err, name)
	}
	replace(t, st, name, data)
	if got, err := load(t, reader(t, r, "node-1"), ref); err != nil || !bytes.Equal(got, noise(1, 1000)) {
		t.Errorf("healed: %d bytes, %v", len(got), err)
	}
}

func TestABlobOfAnotherTypeIsDamage(t *testing.T) {
	r, st := newRepo(t)
	ref := stored(t, r, []byte("data"))
	name, _ := only(t, st, "packs/")
	_, err := reader(t, r, "node-1").Load(t.Context(), &repo.Scratch{}, nil, ref.ID, pack.Description)
	mustDamage(t, err, name)
}

func TestABlobThatNoShardNamesIsDamageOfTheIndex(t *testing.T) {
	r, _ := newRepo(t)
	stored(t, r, []byte("data"))
	_, err := load(t, reader(t, r, "node-1"), repo.Ref{ID: pack.ID{1}})
	mustDamage(t, err, "index/node-1")
	_, err = load(t, reader(t, r, "node-2"), repo.Ref{ID: pack.ID{1}})
	mustDamage(t, err, "index/node-2")
}

func TestAStoreThatFailsIsNotDamage(t *testing.T) {
	_, st := newRepo(t)
	cache := t.TempDir()
	ref := stored(t, openRepo(t, st, cache), []byte("data"))
	name, _ := only(t, st, "packs/")
	alt := &altered{Store: st, name: name, err: errors.New("offline")}
	_, err := load(t, reader(t, openRepo(t, alt, cache), "node-1"), ref)
	if !errors.Is(err, alt.err) || errors.As(err, new(*repo.DamageError)) {
		t.Errorf("error %v", err)
	}
}

func TestAReaderFindsWhatIsWrittenAfterIt(t *testing.T) {
	_, st := newRepo(t)
	rd := reader(t, openRepo(t, st, t.TempDir()), "node-1")
	ref := stored(t, openRepo(t, st, t.TempDir()), []byte("late"))
	if got, err := load(t, rd, ref); err != nil || string(got) != "late" {
		t.Errorf("%q, %v", got, err)
	}
}

// A listing that fails once must not make a blob lost for as long as the reader lives.
func TestAReaderLooksAgainAfterAFailedReload(t *testing.T) {
	_, st := newRepo(t)
	f, broken := faulty(st)
	rd := reader(t, openRepo(t, broken, t.TempDir()), "node-1")
	ref := stored(t, openRepo(t, st, t.TempDir()), []byte("late"))
	f.Arm(storefault.Fault{Mode: storefault.Error})
	if _, err := load(t, rd, ref); !errors.Is(err, storefault.ErrInjected) || errors.As(err, new(*repo.DamageError)) {
		t.Errorf("the reload that failed: %v", err)
	}
	if got, err := load(t, rd, ref); err != nil || string(got) != "late" {
		t.Errorf("the next: %q, %v", got, err)
	}
}

// A shard that was damaged when a reader looked may be put right by hand; the local cache must not remember it as read.
func TestAHealedShardIsFoundAgain(t *testing.T) {
	_, st := newRepo(t)
	cache := t.TempDir()
	r := openRepo(t, st, cache)
	rd, err := r.NewReader(t.Context(), "node-1")
	if err != nil {
		t.Fatal(err)
	}
	ref := stored(t, openRepo(t, st, t.TempDir()), []byte("late"))
	name, data := only(t, st, "index/")
	replace(t, st, name, flip(data, 60))
	_, err = load(t, rd, ref)
	mustDamage(t, err, "index/node-1")
	rd.Close()
	_, err = load(t, reader(t, r, "node-1"), ref)
	mustDamage(t, err, name)
	replace(t, st, name, data)
	if got, err := load(t, reader(t, r, "node-1"), ref); err != nil || string(got) != "late" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestACheckReaderGoesOnWithoutDamagedShards(t *testing.T) {
	_, st := newRepo(t)
	r := openRepo(t, st, t.TempDir())
	lost := stored(t, r, []byte("lost"))
	name, data := only(t, st, "index/")
	kept := stored(t, r, []byte("kept"))
	replace(t, st, name, flip(data, 60))
	var told []string
	rd, err := r.NewCheckReader(t.Context(), "node-1", func(e *repo.DamageError) { told = append(told, e.Object) })
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	if len(told) != 1 || told[0] != name {
		t.Errorf("told of %v", told)
	}
	if got, err := load(t, rd, kept); err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
	_, err = load(t, rd, lost)
	mustDamage(t, err, "index/node-1")
}

func TestALocationIsWhereTheShardSays(t *testing.T) {
	r, st := newRepo(t)
	ref := stored(t, r, noise(1, 1000))
	name, data := only(t, st, "packs/")
	loc, err := reader(t, r, "node-1").Locate(t.Context(), ref.ID)
	if err != nil {
		t.Fatal(err)
	}
	if repo.PackName(loc.Pack) != name || int(loc.PackSize) != len(data) || loc.Offset != 0 || loc.Plain != 1000 ||
		loc.Stored != 1001+pack.Overhead || loc.Type != pack.Data || len(loc.Session.Sealed) == 0 {
		t.Errorf("%+v", loc)
	}
}
