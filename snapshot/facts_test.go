package snapshot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cbk/cassandra/node"
	"cbk/pack"
)

// The components of one SSTable of the tests below: those that are always read, as a rule or because they are small, and
// those that are not read while they stay the same.
var (
	always   = []string{"t/nb-1-big-CRC.db", "t/nb-1-big-Digest.crc32", "t/nb-1-big-Statistics.db", "t/nb-1-big-TOC.txt"}
	kept     = []string{"t/nb-1-big-Data.db", "t/nb-1-big-Filter.db", "t/nb-1-big-Index.db"}
	everyone = append(slices.Clone(always), kept...)
)

// rewrite replaces a file's content in place: same inode, same mtime.
func (n *fakeNode) rewrite(path, content string) {
	n.t.Helper()
	before, err := os.Stat(path)
	if err != nil {
		n.t.Fatal(err)
	}
	if int64(len(content)) != before.Size() {
		n.t.Fatalf("%s has %d bytes, not %d", path, before.Size(), len(content))
	}
	n.age(path, before.ModTime())
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		n.t.Fatal(err)
	}
	n.age(path, before.ModTime())
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) || !after.ModTime().Equal(before.ModTime()) {
		n.t.Fatalf("%s shows that it was rewritten: %v", path, err)
	}
}

// replace puts another file in the place of one, with the same mtime.
func (n *fakeNode) replace(path, content string) {
	n.t.Helper()
	writeFile(n.t, path+".new", content)
	n.age(path+".new", written)
	if err := os.Rename(path+".new", path); err != nil {
		n.t.Fatal(err)
	}
}

func TestTheSecondBackupReadsWhatMayHaveChanged(t *testing.T) {
	type state struct {
		r   *rig
		n   *fakeNode
		dir string // of the table
	}
	file := func(s *state, component string) string { return filepath.Join(s.dir, "nb-1-big-"+component) }
	for _, c := range []struct {
		name   string
		before func(s *state) // the first backup
		change func(s *state)
		opened []string
		adds   bool // data blobs are stored
	}{
		{"nothing happened", nil, nil, always, false},
		{"the mtime moved", nil, func(s *state) { s.n.age(file(s, "Data.db"), written.Add(time.Minute)) }, append(always, "t/nb-1-big-Data.db"), false},
		{"a file was replaced by another of the same size and mtime", nil,
			func(s *state) { s.n.replace(file(s, "Index.db"), noise(9, 5000)) }, append(always, "t/nb-1-big-Index.db"), true},
		{"a file grew and has the mtime of before", nil,
			func(s *state) { s.n.replace(file(s, "Index.db"), noise(9, 5001)) }, append(always, "t/nb-1-big-Index.db"), true},
		{"TOC.txt was rewritten in place, unseen", nil, func(s *state) { s.n.rewrite(file(s, "TOC.txt"), "TOC.txt\nData.db\n") }, always, false},
		{"Statistics.db was rewritten in place, unseen", nil, func(s *state) { s.n.rewrite(file(s, "Statistics.db"), noise(9, 500)) }, always, true},
		{"a small component was rewritten in place, unseen", nil, func(s *state) { s.n.rewrite(file(s, "CRC.db"), noise(9, 100)) }, always, false},
		{"all was rewritten in place, unseen but for the digest", nil, func(s *state) {
			s.n.rewrite(file(s, "Data.db"), noise(9, 300_000))
			s.n.rewrite(file(s, "Filter.db"), noise(9, 200))
			s.n.rewrite(file(s, "Digest.crc32"), digest(9))
		}, everyone, true},
		{"the name was given to another SSTable", nil, func(s *state) {
			for _, f := range everyone {
				if err := os.Remove(filepath.Join(s.dir, filepath.Base(f))); err != nil {
					s.n.t.Fatal(err)
				}
			}
			s.n.sstable("ks/"+filepath.Base(s.dir), "nb-1-big-", 7, 300_000)
		}, everyone, true},
		{"the SSTable's digest went away", nil, func(s *state) {
			if err := os.Remove(file(s, "Digest.crc32")); err != nil {
				s.n.t.Fatal(err)
			}
		}, []string{always[0], always[2], always[3], kept[0], kept[1], kept[2]}, false},
		{"a file was younger than two seconds when it was read",
			func(s *state) { s.n.age(file(s, "Data.db"), s.r.clock.Add(time.Hour-time.Second)) }, nil, append(always, "t/nb-1-big-Data.db"), false},
		{"a file came from the future", func(s *state) { s.n.age(file(s, "Data.db"), s.r.clock.Add(240*time.Hour)) }, nil, append(always, "t/nb-1-big-Data.db"), false},
		{"the digest was young, so nothing it stands for is trusted",
			func(s *state) { s.n.age(file(s, "Digest.crc32"), s.r.clock.Add(time.Hour)) }, nil, everyone, false},
		{"the clock stood before the files when they were read", func(s *state) { s.r.clock = written.Add(-time.Hour) }, nil, everyone, false},
		{"the clock stepped back after they were read", nil, func(s *state) { s.r.clock = written.Add(-48 * time.Hour) }, always, false},
		{"files of before 1970 are files too", func(s *state) {
			s.n.age(file(s, "Data.db"), time.Date(1931, 1, 1, 0, 0, 0, 0, time.UTC))
		}, nil, always, false},
		{"every file became another of the same content", nil, func(s *state) {
			for _, f := range kept {
				s.n.replace(filepath.Join(s.dir, filepath.Base(f)), readFile(s.n.t, filepath.Join(s.dir, filepath.Base(f))))
			}
		}, everyone, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &state{r: newRig(t), n: newNode(t, hostA, 1)}
			s.dir = filepath.Join(s.n.Layout().DataDirs[0], s.n.table(0, "t", 1))
			s.n.sstable("ks/"+filepath.Base(s.dir), "nb-1-big-", 1, 300_000)
			if c.before != nil {
				c.before(s)
			}
			s.r.take(s.n, "one")
			s.r.mustOpen(slices.Clone(everyone)...)
			old := s.n.live()
			if c.change != nil {
				c.change(s)
			}
			two := s.r.take(s.n, "two")
			s.r.mustOpen(slices.Clone(c.opened)...)
			s.r.mustHold("two", s.n.live())
			s.r.mustHold("one", old) // whatever happened under its names
			data := s.r.snapshot("two").Node.Tables[0].Cost
			if added := two.BytesNew > 0 && hasNew(s.r, "one", "two"); added != c.adds {
				t.Errorf("data blobs were added: %v, want %v; table %+v", added, c.adds, data)
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dataBlobs returns the ids of all data blobs of a backup's components.
func (r *rig) dataBlobs(backup string) map[pack.ID]bool {
	r.t.Helper()
	s := r.snapshot(backup)
	blobs := make(map[pack.ID]bool)
	for _, list := range r.sstables(s) {
		for i := range list {
			for _, how := range r.recipes(s, &list[i]) {
				next := &segments{s: s}
				next.add(how)
				err := next.refs(r.t.Context(), how, func(refs []ref, err error) bool {
					for _, ref := range refs {
						blobs[ref.ID] = true
					}
					return err == nil
				})
				if err != nil {
					r.t.Fatal(err)
				}
			}
		}
	}
	return blobs
}

// hasNew reports whether a backup has data blobs that an earlier one has not.
func hasNew(r *rig, before, after string) bool {
	old := r.dataBlobs(before)
	for id := range r.dataBlobs(after) {
		if !old[id] {
			return true
		}
	}
	return false
}

func TestAYoungFileIsTrustedOnceItWasReadAtAge(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 1000)
	n.age(filepath.Join(n.Layout().DataDirs[0], "ks/t-"+tableID(1), "nb-1-big-Data.db"), r.clock.Add(time.Hour-time.Second))
	r.take(n, "one")
	r.take(n, "two")
	r.mustOpen(append(always, "t/nb-1-big-Data.db")...)
	r.take(n, "three")
	r.mustOpen(slices.Clone(always)...)
}

// Whatever becomes of the local cache, the next backup is whole; it only reads more.
func TestWithoutItsCacheABackupReadsEverythingAndStoresNothing(t *testing.T) {
	cacheOf := func(r *rig, host string) string { return filepath.Join(r.state, "cache", r.repo.ID(), host) }
	for _, c := range []struct {
		name string
		lose func(r *rig, n *fakeNode)
	}{
		{"the cache was deleted", func(r *rig, _ *fakeNode) { os.RemoveAll(r.state) }},
		{"the cache is that of another node", func(r *rig, _ *fakeNode) {
			other := newNode(r.t, hostB, 1)
			other.sstable(other.table(0, "t", 1), "nb-1-big-", 5, 2000)
			r.take(other, "one")
			if err := os.RemoveAll(cacheOf(r, hostA)); err != nil {
				r.t.Fatal(err)
			}
			if err := os.CopyFS(cacheOf(r, hostA), os.DirFS(cacheOf(r, hostB))); err != nil {
				r.t.Fatal(err)
			}
		}},
		{"the facts are garbage", func(r *rig, n *fakeNode) {
			r.facts(hostA, func(f *facts) {
				err := f.s.Facts().PutFact([]byte("epoch"), []byte("no number"))
				for _, key := range n.factKeys(f) {
					if err == nil {
						err = f.s.Facts().PutFact(key, []byte("12345678 no fact"))
					}
				}
				if err != nil {
					r.t.Fatal(err)
				}
			})
		}},
		{"the facts are too short to be any", func(r *rig, n *fakeNode) {
			r.facts(hostA, func(f *facts) {
				for _, key := range n.factKeys(f) {
					if err := f.s.Facts().PutFact(key, []byte{1}); err != nil {
						r.t.Fatal(err)
					}
				}
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 300_000)
			r.take(n, "one")
			c.lose(r, n)
			r.take(n, "two")
			r.mustOpen(slices.Clone(everyone)...)
			r.mustHold("two", n.live())
			if data := r.snapshot("two").Node.Tables[0]; data.BytesNew != 0 {
				t.Errorf("%d bytes were stored again", data.BytesNew)
			}
			r.take(n, "three")
			r.mustOpen(slices.Clone(always)...)
		})
	}
}

// facts opens the local facts of a node as the next backup would, and closes them.
func (r *rig) facts(host string, use func(*facts)) {
	r.t.Helper()
	s, err := r.repo.NewSession(r.t.Context(), host)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	use(&facts{s: s, epoch: 99, now: r.clock})
}

// factKeys returns the keys of the SSTables of table t, which must have facts.
func (n *fakeNode) factKeys(f *facts) (keys [][]byte) {
	n.t.Helper()
	live := "ks/t-" + tableID(1)
	d := node.TableDir{Keyspace: "ks", Table: "t", ID: tableID(1), Path: filepath.Join(n.Layout().DataDirs[0], live), Live: live}
	list, err := d.SSTables()
	if err != nil || len(list) == 0 {
		n.t.Fatal(list, err)
	}
	for i := range list {
		key := factKey(&d, &list[i])
		if b, err := f.s.Facts().Fact(key); err != nil || len(b) == 0 {
			n.t.Fatalf("no fact under %q: %v", key, err)
		}
		keys = append(keys, key)
	}
	return keys
}

func TestWhatTheStoreLostIsReadAndStoredAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		prefix string
	}{
		{"the shard is gone", "index/"},
		{"the shard and all packs are gone", "index/ packs/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 300_000)
			r.take(n, "one")
			for prefix := range strings.FieldsSeq(c.prefix) {
				for _, name := range r.objects(prefix) {
					r.damage(name, remove)
				}
			}
			two := r.take(n, "two")
			r.mustOpen(slices.Clone(everyone)...)
			r.mustHold("two", n.live())
			if two.BytesNew < 300_000 {
				t.Errorf("%d bytes stored: some blobs are taken for known", two.BytesNew)
			}
		})
	}
}

func TestASegmentWhoseRefsAreForgottenIsReadAgain(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	n.put(n.table(0, "t", 1)+"/nb-1-big-Digest.crc32", digest(1))
	file := n.put("ks/t-"+tableID(1)+"/nb-1-big-Index.db", "")
	if err := os.Truncate(file, (directRefs+10)*smallest); err != nil {
		t.Fatal(err)
	}
	n.age(file, written)
	r.take(n, "one")
	r.take(n, "two")
	r.mustOpen("t/nb-1-big-Digest.crc32")
	r.facts(hostA, func(f *facts) {
		if err := f.s.Facts().SweepFacts([]byte("g"), func([]byte) bool { return false }); err != nil {
			t.Fatal(err)
		}
	})
	r.take(n, "three")
	r.mustOpen("t/nb-1-big-Digest.crc32", "t/nb-1-big-Index.db")
	for _, name := range []string{"four", "five", "six"} { // what each backup meets is not swept at its end
		r.take(n, name)
		r.mustOpen("t/nb-1-big-Digest.crc32")
	}
}

func TestFactsOfWhatIsGoneAreSwept(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, 1000)
	n.sstable("ks/t-"+tableID(1), "nb-2-big-", 2, 1000)
	count := func() (sstables int) {
		r.facts(hostA, func(f *facts) {
			err := f.s.Facts().SweepFacts([]byte("s"), func([]byte) bool { sstables++; return true })
			if err != nil {
				t.Fatal(err)
			}
		})
		return sstables
	}
	r.take(n, "one")
	if got := count(); got != 2 {
		t.Fatalf("%d facts after the first backup", got)
	}
	gone, err := filepath.Glob(filepath.Join(n.Layout().DataDirs[0], "ks/*/nb-2-*"))
	if err != nil || len(gone) != 7 {
		t.Fatal(gone, err)
	}
	for _, f := range gone {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	r.take(n, "two")
	if got := count(); got != 1 {
		t.Errorf("%d facts after an SSTable went", got)
	}
}
