package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/index"
	"cbk/pack"
	"cbk/repo"
)

func (r *rig) check(readData bool) *Report {
	r.t.Helper()
	rep, err := Check(r.t.Context(), r.seen, readData)
	if err != nil {
		r.t.Fatal(err)
	}
	return rep
}

// find returns where a blob lies.
func (r *rig) find(s *Snapshot, id pack.ID) index.Location {
	r.t.Helper()
	loc, err := s.rd.Locate(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return loc
}

// spoil flips a byte in the middle of a sealed blob and returns the object it lies in.
func (r *rig) spoil(s *Snapshot, id pack.ID) string {
	r.t.Helper()
	loc := r.find(s, id)
	r.damage(repo.PackName(loc.Pack), flipAt(int(loc.Offset+loc.Stored/2)))
	return repo.PackName(loc.Pack)
}

func TestASoundRepositoryIsFoundSound(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	r.take(a, "one")
	a.sstable("ks/t-"+tableID(1), "nb-2-big-", 2, 2000)
	r.take(a, "two")
	r.take(b, "one")
	objects := len(r.objects(""))
	quick := r.check(false)
	if !quick.OK() || quick.Backups != 3 || quick.Objects != objects || quick.Strangers != 0 || quick.Blobs == 0 || quick.BytesRead != 0 {
		t.Errorf("%d objects: %+v", objects, quick)
	}
	whole := r.check(true)
	if !whole.OK() || whole.Backups != 3 || whole.Blobs != quick.Blobs || whole.BytesRead < 2*300_000*2 {
		t.Errorf("%+v", whole)
	}
}

func TestAnEmptyRepositoryIsSound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if rep := r.check(true); !rep.OK() || rep.Backups != 0 || rep.Objects != 6 {
		t.Errorf("%+v", rep)
	}
}

func TestStrangersAreCountedAndNeverRead(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	r.take(n, "one")
	sound := r.check(true)
	strangers := []string{"README", "packs/aa/short", "packs/zz/" + strings.Repeat("a", 64), "index/" + hostA + "/1-2",
		"snapshots/" + hostA + "/x", "snapshots/UPPER/" + strings.Repeat("a", 64), "keys/none", "lost+found/x"}
	for _, name := range strangers {
		if err := r.st.Create(t.Context(), name, []byte("stranger")); err != nil {
			t.Fatal(err)
		}
	}
	want := *sound
	want.Strangers = len(strangers)
	want.Damage = nil
	got := r.check(true)
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.mustTell(told{"shop", "one", "node-a", "", true})
}

func TestADamagedBlobIsNamedWithAllItHits(t *testing.T) {
	at := func(component string) Hit { return Hit{"one", "node-a", "ks", "t", component} }
	recipeHits := []Hit{at("nb-1-big-Data.db"), at("nb-1-big-Filter.db"), at("nb-1-big-Index.db"), at("nb-1-big-Statistics.db")}
	for _, c := range []struct {
		name  string
		blob  func(r *rig, s *Snapshot) pack.ID
		hits  []Hit
		quick bool // found without reading the data
	}{
		{"a data blob", func(r *rig, s *Snapshot) pack.ID { return r.recipe(s, "Data.db").refs[0].ID }, []Hit{at("nb-1-big-Data.db")}, false},
		{"a recipe", func(r *rig, s *Snapshot) pack.ID { return r.only(s).Recipe }, recipeHits, true},
		{"a page", func(_ *rig, s *Snapshot) pack.ID { return pack.ID(s.Node.Tables[0].Pages[0]) }, []Hit{at("")}, true},
		{"the description", func(_ *rig, s *Snapshot) pack.ID { return s.root.Descriptions[0] }, []Hit{{Backup: "one", Node: "node-a"}}, true},
		{"the ring", func(_ *rig, s *Snapshot) pack.ID { return s.root.Ring }, []Hit{{Backup: "one", Node: "node-a"}}, true},
		{"the schema", func(_ *rig, s *Snapshot) pack.ID { return pack.ID(s.Node.Schema[0].Blobs[0]) }, []Hit{{Backup: "one", Node: "node-a", Component: "ks"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), oneTable(t, hostA)
			n.sstable(n.table(0, "u", 2), "nb-1-big-", 40, 3000)
			r.take(n, "one")
			s := r.snapshot("one")
			object := r.spoil(s, c.blob(r, s))
			rep := r.check(true)
			if len(rep.Damage) != 1 || rep.Damage[0].Object != object || rep.Damage[0].HitsTotal != len(c.hits) {
				t.Fatalf("damage %+v, want %s", rep.Damage, object)
			}
			if diff := cmp.Diff(c.hits, rep.Damage[0].Hits); diff != "" {
				t.Errorf("hits (-want +got):\n%s", diff)
			}
			if quick := r.check(false); quick.OK() == c.quick || c.quick && cmp.Diff(c.hits, quick.Damage[0].Hits) != "" {
				t.Errorf("without reading the data: %+v", quick.Damage)
			}
		})
	}
}

// only returns the SSTable of table t.
func (r *rig) only(s *Snapshot) *SSTable {
	r.t.Helper()
	list := r.sstables(s)["ks/t-"+tableID(1)]
	if len(list) != 1 {
		r.t.Fatalf("%d SSTables", len(list))
	}
	return &list[0]
}

// onePage returns a page of the SSTable of table t.
func (r *rig) onePage(s *Snapshot) []Page {
	r.t.Helper()
	return []Page{{Table: &s.Node.Tables[0], SSTables: []SSTable{*r.only(s)}}}
}

// page returns the first page of the first table.
func (r *rig) page(s *Snapshot) []SSTable {
	r.t.Helper()
	var first []SSTable
	err := s.Pages(r.t.Context(), []*Table{&s.Node.Tables[0]}, func(pages []Page) error { first = pages[0].SSTables; return pages[0].Err })
	if err != nil {
		r.t.Fatal(err)
	}
	return first
}

// recipes returns the recipes of an SSTable's components.
func (r *rig) recipes(s *Snapshot, t *SSTable) []recipe {
	r.t.Helper()
	all, err := s.recipes(r.t.Context(), []*SSTable{t})
	if err != nil || all[0].err != nil {
		r.t.Fatal(err, all[0].err)
	}
	return all[0].list
}

func (r *rig) recipe(s *Snapshot, component string) recipe {
	r.t.Helper()
	one := r.only(s)
	all := r.recipes(s, one)
	return all[slices.IndexFunc(one.Components, func(c Component) bool { return c.Name == component })]
}

func TestADamagedObjectIsNamed(t *testing.T) {
	first := func(prefix string) func(r *rig) string { return func(r *rig) string { return r.objects(prefix)[0] } }
	for _, c := range []struct {
		name   string
		object func(r *rig) string
		change func([]byte) []byte
		also   string // an object that is missed in consequence
		hits   bool
		quick  bool // found without reading the data
		what   string
	}{
		{"a pack is missing", first("packs/"), remove, "", true, true, "missing"},
		{"a pack is cut short", first("packs/"), func(b []byte) []byte { return b[:len(b)-1] }, "", true, true, "bytes long"},
		{"the tail of a pack is flipped", first("packs/"), func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, "", false, false, "do not match its name"},
		{"a shard is flipped", first("index/"), flip, "", true, true, "authentication failed"},
		{"a shard is empty", first("index/"), func([]byte) []byte { return []byte{} }, "", true, true, ""},
		{"a shard is missing", first("index/"), remove, "index/" + hostA, true, true, "no shard names"},
		{"a root is flipped", first("snapshots/"), flip, "", true, true, "authentication failed"},
		{"a slot is flipped", first("keys/"), flip, "", false, true, "do not match its name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), oneTable(t, hostA)
			r.take(n, "one")
			object := c.object(r)
			r.damage(object, c.change)
			want := slices.DeleteFunc([]string{c.also, object}, func(s string) bool { return s == "" })
			if c.what == "no shard names" {
				want = want[:1]
			}
			for _, readData := range []bool{false, true} {
				rep := r.check(readData)
				var objects []string
				hits := 0
				for _, d := range rep.Damage {
					objects = append(objects, d.Object)
					hits += d.HitsTotal
				}
				if readData || c.quick {
					if diff := cmp.Diff(want, objects); diff != "" || (hits > 0) != c.hits {
						t.Errorf("read %v: %d hits, objects (-want +got):\n%s", readData, hits, diff)
					}
					if last := rep.Damage[len(rep.Damage)-1].What; !strings.Contains(last, c.what) {
						t.Errorf("read %v: %q, want %q", readData, last, c.what)
					}
				} else if !rep.OK() {
					t.Errorf("read %v: %+v", readData, rep.Damage)
				}
			}
		})
	}
}

func TestAPackThatNoShardNamesIsComparedWithItsName(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	r.take(n, "one")
	name := repo.PackName(filled(0xab))
	if err := r.st.Create(t.Context(), name, []byte("of a backup that was killed")); err != nil {
		t.Fatal(err)
	}
	rep := r.check(true)
	if len(rep.Damage) != 1 || rep.Damage[0].Object != name || rep.Damage[0].HitsTotal != 0 || !strings.Contains(rep.Damage[0].What, "no index shard") {
		t.Errorf("%+v", rep.Damage)
	}
	if !r.check(false).OK() {
		t.Error("found without being read")
	}
}

func TestDamageOfOneNodeHitsEveryBackupThatNeedsIt(t *testing.T) {
	t.Parallel()
	r, a, b := newRig(t), oneTable(t, hostA), oneTable(t, hostB)
	r.take(a, "one")
	r.take(a, "two")
	r.take(b, "two")
	s := r.snapshot("one")
	object := r.spoil(s, r.recipe(s, "Index.db").refs[0].ID)
	rep := r.check(true)
	want := []Damage{{Object: object, What: rep.Damage[0].What, HitsTotal: 2,
		Hits: []Hit{{"one", "node-a", "ks", "t", "nb-1-big-Index.db"}, {"two", "node-a", "ks", "t", "nb-1-big-Index.db"}}}}
	byBackup := func(d []Damage) []Damage {
		slices.SortFunc(d[0].Hits, func(x, y Hit) int { return strings.Compare(x.Backup, y.Backup) })
		return d
	}
	if diff := cmp.Diff(want, byBackup(rep.Damage)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if rep.Backups != 3 {
		t.Errorf("%d backups read", rep.Backups)
	}
}

func TestHitsAreCountedBeyondThoseListed(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	for i := range maxHits + 5 {
		n.put(fmt.Sprintf("%s/nb-%d-big-Data.db", dir, i), noise(1, 150)) // one blob
	}
	r.take(n, "one")
	s := r.snapshot("one")
	how := r.recipes(s, &r.sstables(s)[dir][0])
	r.spoil(s, how[0].refs[0].ID)
	rep := r.check(true)
	if len(rep.Damage) != 1 || rep.Damage[0].HitsTotal != maxHits+5 || len(rep.Damage[0].Hits) != maxHits {
		t.Errorf("%d damaged objects, %d hits, %d listed", len(rep.Damage), rep.Damage[0].HitsTotal, len(rep.Damage[0].Hits))
	}
}

// rewritten stores a copy of a backup under another name, after change.
func (r *rig) rewritten(from, to string, change func(page []SSTable, n *Node)) {
	r.t.Helper()
	s := r.snapshot(from)
	page := r.page(s)
	n, cat := s.Node, s.Entry.Catalogue
	n.Tables = slices.Clone(n.Tables)
	change(page, &n)
	cat.Backup = to
	old := pack.ID(s.Node.Tables[0].Pages[0])
	r.commit(cat, func(w *repo.Session) *repo.Root {
		n.Tables[0].Pages = []ID{ID(r.blob(w, pack.Description, encodePage(page)))}
		doc, err := encodeJSON(n)
		if err != nil {
			r.t.Fatal(err)
		}
		root := &repo.Root{Ring: s.root.Ring, Descriptions: []pack.ID{r.blob(w, pack.Description, doc)}}
		needed := slices.DeleteFunc(r.references(s), func(id pack.ID) bool { return id == old || id == s.root.Descriptions[0] })
		needed = append(needed, root.Descriptions[0], pack.ID(n.Tables[0].Pages[0]))
		root.Refs = []pack.ID{r.blob(w, pack.Refs, repo.EncodeRefs(needed))}
		return root
	})
}

// references returns every blob that the reference segments of a snapshot name.
func (r *rig) references(s *Snapshot) (all []pack.ID) {
	r.t.Helper()
	for _, seg := range s.root.Refs {
		b, err := s.rd.Load(r.t.Context(), &repo.Scratch{}, nil, seg, pack.Refs)
		if err != nil {
			r.t.Fatal(err)
		}
		ids, err := repo.DecodeRefs(b)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, ids...)
	}
	return all
}

func TestOneDroppedOrForeignReferenceIsFound(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	r.take(n, "true")
	s := r.snapshot("true")
	all := r.references(s)
	if len(all) < 5 {
		t.Fatalf("only %d references", len(all))
	}
	for i := range len(all) + 1 {
		name := fmt.Sprintf("without %d", i)
		refs := slices.Clone(all)
		if i < len(all) {
			refs = slices.Delete(refs, i, i+1)
		} else {
			name, refs = "one more", append(refs, s.root.Ring)
		}
		cat := s.Entry.Catalogue
		cat.Backup = name
		r.commit(cat, func(w *repo.Session) *repo.Root {
			root := repo.Root{Ring: s.root.Ring, Descriptions: s.root.Descriptions}
			root.Refs = []pack.ID{r.blob(w, pack.Refs, repo.EncodeRefs(refs))}
			return &root
		})
	}
	found := make(map[string]string)
	for _, d := range r.check(false).Damage {
		found[d.Hits[0].Backup] = d.What
	}
	for i := range len(all) {
		if what := found[fmt.Sprintf("without %d", i)]; !strings.HasPrefix(what, "its references lack blobs") {
			t.Errorf("reference %d dropped: %q", i, what)
		}
	}
	if what := found["one more"]; !strings.HasPrefix(what, "its references name blobs") {
		t.Errorf("one more: %q", what)
	}
	if what, ok := found["true"]; ok {
		t.Errorf("the true one: %q", what)
	}
}

func TestAHashThatLiesIsFoundInEveryBackupThatHasIt(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	r.take(n, "true")
	lie := func(page []SSTable, _ *Node) { page[0].Components[1].Hash[0] ^= 1 }
	r.rewritten("true", "false", lie)
	r.rewritten("true", "false too", lie)
	if rep := r.check(false); !rep.OK() || rep.Backups != 3 {
		t.Errorf("without rebuilding anything: %+v", rep)
	}
	rep := r.check(true)
	var hits []Hit
	for _, d := range rep.Damage {
		if !strings.HasPrefix(d.Object, "snapshots/"+hostA) || !strings.Contains(d.What, "nb-1-big-Data.db: rebuilt 300000 bytes") {
			t.Errorf("%+v", d)
		}
		hits = append(hits, d.Hits...)
	}
	slices.SortFunc(hits, func(x, y Hit) int { return strings.Compare(x.Backup, y.Backup) })
	if diff := cmp.Diff([]Hit{{"false", "node-a", "ks", "t", "nb-1-big-Data.db"}, {"false too", "node-a", "ks", "t", "nb-1-big-Data.db"}}, hits); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
}

func TestWhatAPageSaysOfABlobIsProvenWhenItIsRebuilt(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *SSTable)
	}{
		{"another size", func(s *SSTable) { s.Components[1].Size++ }},
		{"another hash", func(s *SSTable) { s.Components[1].Hash = filled(1) }},
		{"other inline content", func(s *SSTable) { s.Components[0].Inline[0] ^= 1 }},
		{"the recipes of two components changed places", func(s *SSTable) { s.Components[1].Name, s.Components[3].Name = "Index.db", "Data.db" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), oneTable(t, hostA)
			r.take(n, "true")
			r.rewritten("true", "false", func(page []SSTable, _ *Node) { c.change(&page[0]) })
			if swapped := strings.Contains(c.name, "places"); r.check(true).OK() != swapped {
				t.Error("names may be exchanged with their content, nothing else")
			}
			s := r.snapshot("false")
			bad := 0
			err := s.Content(t.Context(), r.onePage(s), discard, func(_ File, err error) error {
				if err != nil && !isDamage(err, "component") {
					t.Errorf("got %v", err)
				}
				if err != nil {
					bad++
				}
				return nil
			})
			if want := map[bool]int{true: 0, false: 1}[strings.Contains(c.name, "places")]; err != nil || bad != want {
				t.Errorf("%d components refused: %v", bad, err)
			}
		})
	}
}

func TestAHostileDescriptionIsDamage(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	r.take(n, "true")
	r.rewritten("true", "false", func(_ []SSTable, n *Node) { n.Tables[0].Dir = "../../etc" })
	rep := r.check(false)
	if len(rep.Damage) != 1 || !strings.Contains(rep.Damage[0].What, "../../etc") || rep.Damage[0].Hits[0].Backup != "false" {
		t.Errorf("%+v", rep.Damage)
	}
	b, err := Find(t.Context(), r.seen, "false", "")
	if err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), r.seen, &b.Nodes[0]); s != nil || !isDamage(err, rep.Damage[0].Object) {
		t.Errorf("opened: %v, %v", s, err)
	}
}
