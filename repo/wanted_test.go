package repo_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
)

// packID is the id in the name of a pack.
func packID(t *testing.T, name string) pack.ID {
	t.Helper()
	id, err := pack.ParseID(name[len(name)-64:])
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// want publishes what cannot be read of node-1.
func want(t *testing.T, r *repo.Repo, list ...repo.Unsound) []string {
	t.Helper()
	names, err := r.Want(t.Context(), "node-1", list)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// wholePacks says of packs that nothing in them can be read.
func wholePacks(t *testing.T, names ...string) (list []repo.Unsound) {
	t.Helper()
	for _, name := range names {
		list = append(list, repo.Unsound{Pack: packID(t, name)})
	}
	return list
}

// again stores the same files under another name and returns how many blobs were put back.
func again(t *testing.T, r *repo.Repo, name string, files ...[]byte) int {
	t.Helper()
	s := session(t, r, "node-1")
	if _, err := save(s, name, files...); err != nil {
		t.Fatal(err)
	}
	n := s.PutBack()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// ways are how a pack is spoilt.
var ways = map[string]func(t *testing.T, st store.Store, name string){
	"missing": func(t *testing.T, st store.Store, name string) { replace(t, st, name, nil) },
	"cut short": func(t *testing.T, st store.Store, name string) {
		data, err := st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		replace(t, st, name, data[:len(data)/2])
	},
	"altered": func(t *testing.T, st store.Store, name string) {
		data, err := st.Get(t.Context(), name, pack.MaxPack)
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Clone(data)
		for i := range len(data) / 2 {
			data[i] ^= 0x55
		}
		replace(t, st, name, data)
	},
}

func TestWhatIsWantedComesBackWithTheNextBackupAndSurvivesCollection(t *testing.T) {
	for what, spoil := range ways {
		for _, cache := range []string{"warm", "cold"} {
			t.Run(what+" "+cache, func(t *testing.T) {
				owner, st := newRepo(t)
				file := noise(1, 200_000)
				backup(t, owner, "node-1", "one", file)
				damaged, _ := only(t, st, "packs/")
				spoil(t, st, damaged)
				want(t, owner, wholePacks(t, damaged)...)
				writer := owner
				if cache == "cold" {
					writer = openRepo(t, st, t.TempDir())
				}
				if n := again(t, writer, "two", file); n == 0 {
					t.Error("nothing is put back")
				}
				sound := func(when string) {
					t.Helper()
					mustRestore(t, openRepo(t, st, ""), "node-1", "two", file)
					for range 3 { // the holders lie in memory in an order of chance
						if n := again(t, writer, "more"+when, file); n != 0 {
							t.Errorf("%s: %d blobs are put back once more", when, n)
						}
						remove(t, owner, "more"+when)
						when += "."
					}
				}
				sound("before")
				remove(t, owner, "one") // whose ring no other backup has
				for range 2 {
					now(t, owner)
				}
				if slices.Contains(objects(t, st, "packs/"), damaged) {
					t.Error("the damaged pack stays")
				}
				now(t, owner)
				if left := objects(t, st, "wanted/"); len(left) > 0 {
					t.Errorf("records stay: %v", left)
				}
				sound("after")
				mustBeSound(t, openRepo(t, st, ""))
			})
		}
	}
}

// Both packs hold all of the file, so collection may take either. The one it does not take is thin and goes: without the
// record that is the sound one half of the time.
func TestCollectionNeverCondemnsTheSoundCopyForADamagedOne(t *testing.T) {
	for what, spoil := range ways {
		for damaged, sound := range map[string]string{"one": "two", "two": "one"} {
			t.Run(what+" "+damaged, func(t *testing.T) {
				owner, st := newRepo(t)
				file := noise(7, 150_000)
				a, b := session(t, openRepo(t, st, t.TempDir()), "node-1"), session(t, openRepo(t, st, t.TempDir()), "node-1")
				pack := make(map[string]string)
				for name, s := range map[string]*repo.Session{"one": a, "two": b} {
					before := objects(t, st, "packs/")
					if _, err := save(s, name, file); err != nil {
						t.Fatal(err)
					}
					fresh := slices.DeleteFunc(objects(t, st, "packs/"), func(o string) bool { return slices.Contains(before, o) })
					pack[name] = fresh[0]
				}
				spoil(t, st, pack[damaged])
				want(t, owner, wholePacks(t, pack[damaged])...)
				now(t, owner)
				now(t, owner)
				mustRestore(t, openRepo(t, st, ""), "node-1", sound, file)
				if what == "missing" {
					return
				}
				if !slices.Contains(objects(t, st, "packs/"), pack[damaged]) {
					t.Error("the ring of a backup is in no other pack, and the pack is gone")
				}
			})
		}
	}
}

func TestAWrongClaimCostsAnUploadAndNothingElse(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(3, 200_000)
	backup(t, owner, "node-1", "one", file)
	sound, _ := only(t, st, "packs/")
	reader := keyed(t, owner, st, roles.RoleReader)
	want(t, reader, wholePacks(t, sound)...)
	if n := again(t, owner, "two", file); n == 0 {
		t.Fatal("the writer does not take the claim")
	}
	if n := again(t, owner, "three", file); n != 0 {
		t.Errorf("%d blobs stored a third time", n)
	}
	for range 3 {
		now(t, owner)
	}
	if !slices.Contains(objects(t, st, "packs/"), sound) {
		t.Error("a pack that is as written was deleted on somebody's word")
	}
	for _, name := range []string{"one", "two", "three"} {
		mustRestore(t, openRepo(t, st, ""), "node-1", name, file)
	}
	mustBeSound(t, openRepo(t, st, ""))
}

func TestOnlyKeysThatMayAskAreHeard(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(3, 100_000)
	backup(t, owner, "node-1", "one", file)
	name, _ := only(t, st, "packs/")
	writer := keyed(t, owner, st, roles.RoleWriter, "node-1")
	if _, err := writer.Want(t.Context(), "node-1", wholePacks(t, name)); err == nil {
		t.Error("a writer asks for blobs")
	}
	body := repo.EncodeWanted(wholePacks(t, name))[0]
	forged, err := writer.ForgeWanted("node-1", body)
	if err != nil {
		t.Fatal(err)
	}
	rubbish := []byte("no record at all")
	for _, data := range [][]byte{forged, rubbish} {
		if err := st.Create(t.Context(), repo.WantedName("node-1", data), data); err != nil {
			t.Fatal(err)
		}
	}
	if n := again(t, openRepo(t, st, t.TempDir()), "two", file); n != 0 {
		t.Errorf("%d blobs are put back because a writer asked", n)
	}
	now(t, owner)
	mustBeSound(t, openRepo(t, st, ""))
	thief := keyed(t, owner, st, roles.RoleReader)
	want(t, thief, wholePacks(t, name)...)
	if err := owner.Revoke(t.Context(), thief.Key().KeyID(), nil); err != nil {
		t.Fatal(err)
	}
	if n := again(t, openRepo(t, st, t.TempDir()), "three", file); n != 0 {
		t.Errorf("%d blobs are put back because a revoked key asked", n)
	}
}

// A record that rotted may have said which of two holders is the sound one.
func TestCollectionRefusesARecordThatRotted(t *testing.T) {
	owner, st := newRepo(t)
	file := noise(3, 100_000)
	backup(t, owner, "node-1", "one", file)
	name, _ := only(t, st, "packs/")
	record := want(t, owner, wholePacks(t, name)...)[0]
	_, data := only(t, st, record)
	replace(t, st, record, flip(data, len(data)/2))
	_, err := owner.GC(t.Context(), "node-1", impatient())
	mustDamage(t, err, record)
	f, _ := check(t, owner, false)
	if !slices.Contains(f.objects(), record) {
		t.Errorf("the check tells %v", f.objects())
	}
	if n := again(t, openRepo(t, st, t.TempDir()), "two", file); n != 0 {
		t.Errorf("%d blobs are put back", n)
	}
}

func TestWhatIsWantedIsSaidOnceAndInRecordsOfBoundedSize(t *testing.T) {
	owner, st := newRepo(t)
	backup(t, owner, "node-1", "one", noise(3, 1000))
	var blobs []pack.ID
	for i := range 3 * repo.MaxWantedIDs / 2 {
		blobs = append(blobs, pack.ID{byte(i), byte(i >> 8), byte(i >> 16), 1})
	}
	some := repo.Unsound{Pack: pack.ID{1}, Blobs: blobs}
	if n := len(want(t, owner, some, repo.Unsound{Pack: pack.ID{2}})); n != 2 {
		t.Fatalf("%d records", n)
	}
	if names := want(t, owner, repo.Unsound{Pack: pack.ID{1}, Blobs: blobs[:9]}, repo.Unsound{Pack: pack.ID{2}}, repo.Unsound{Pack: pack.ID{2}, Blobs: blobs[:3]}); len(names) != 0 {
		t.Errorf("said again: %v", names)
	}
	if n := len(want(t, owner, repo.Unsound{Pack: pack.ID{1}})); n != 1 {
		t.Errorf("%d records for the whole of a pack of which blobs were wanted", n)
	}
	if n := len(objects(t, st, "wanted/node-1/")); n != 3 {
		t.Errorf("%d records", n)
	}
	// None of the packs is named by a shard.
	now(t, owner)
	if left := objects(t, st, "wanted/"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestWantedBodiesThatAreNotAsWrittenAreRefused(t *testing.T) {
	good := repo.EncodeWanted([]repo.Unsound{{Pack: pack.ID{1}, Blobs: []pack.ID{{2}, {3}}}, {Pack: pack.ID{4}}})[0]
	if list, err := repo.DecodeWanted(good); err != nil || len(list) != 2 || len(list[0].Blobs) != 2 || len(list[1].Blobs) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	for what, body := range map[string][]byte{
		"empty": {}, "no pack": {0}, "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0),
		"too many": {0xff, 0xff, 0xff, 0xff, 0x0f}, "too many blobs": append(append([]byte{1}, make([]byte, 32)...), 0xff, 0xff, 0xff, 0x7f),
	} {
		if list, err := repo.DecodeWanted(body); err == nil {
			t.Errorf("%s: %v", what, list)
		}
	}
	if name := repo.WantedName("node-1", good); repo.Classify(name) != repo.KindWanted || !strings.HasPrefix(name, "wanted/node-1/") {
		t.Error(name)
	}
}
