package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// rebuilt reads all tables of a snapshot and returns what there is: "table/file" and its bytes.
func (r *rig) rebuilt(s *Snapshot) map[string]string {
	r.t.Helper()
	var tables []*Table
	for i := range s.Node.Tables {
		tables = append(tables, &s.Node.Tables[i])
	}
	files := make(map[string]string)
	out := make(writers)
	err := s.Pages(r.t.Context(), tables, func(pages []Page) error {
		return s.Content(r.t.Context(), pages, out.create, func(f File, err error) error {
			files["0/"+f.Table.Dir+"/"+f.SSTable.File(f.Component)] = out.take(f)
			return err
		})
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return files
}

// writers take the components that are being written.
type writers map[*Component]*strings.Builder

func (w writers) create(f File) (io.Writer, error) {
	w[f.Component] = &strings.Builder{}
	return w[f.Component], nil
}

// take returns what was written of a component.
func (w writers) take(f File) string {
	defer delete(w, f.Component)
	return w[f.Component].String()
}

// counted opens the only node snapshot of a backup anew and counts the requests from then on.
func (r *rig) counted(backup string) (*Snapshot, *store.Counts) {
	r.t.Helper()
	st, counts := store.Counting(r.st)
	b, err := Find(r.t.Context(), r.reopen(st, ""), backup, "")
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := Open(r.t.Context(), r.reopen(st, ""), &b.Nodes[0])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { s.Close() })
	counts.Gets.Store(0)
	return s, counts
}

func TestSmallComponentsShareRequests(t *testing.T) {
	for _, c := range []struct {
		name   string
		tables int
		each   int
	}{{"a thousand SSTables of one table", 1, 1000}, {"many tables of one SSTable", 300, 1}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			for i := range c.tables {
				dir := n.table(0, fmt.Sprint("t", i), i+1)
				for j := range c.each {
					n.sstable(dir, fmt.Sprintf("nb-%d-big-", j), byte(i+j), 1000+i+j)
				}
			}
			r.take(n, "one")
			s, counts := r.counted("one")
			if diff := cmp.Diff(n.live(), r.rebuilt(s)); diff != "" {
				t.Fatalf("(-want +got):\n%.2000s", diff)
			}
			packs := int64(len(r.objects("packs/")))
			// Pages, recipes and data each pass over the packs, recipes and data twice for a thousand.
			if got := counts.Gets.Load(); got > 8*packs {
				t.Errorf("%d requests for %d components in %d packs", got, len(n.live()), packs)
			}
		})
	}
}

// fates reads all components of a snapshot and returns what became of each.
func (r *rig) fates(s *Snapshot) map[string]error {
	r.t.Helper()
	got := make(map[string]error)
	for dir, list := range r.sstables(s) {
		err := s.Content(r.t.Context(), []Page{{SSTables: list}}, discard, func(f File, err error) error {
			got[dir+"/"+f.SSTable.File(f.Component)] = err
			return nil
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	return got
}

func TestOneComponentIsRefusedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(r *rig, s *Snapshot, how recipe) string{
		"its first blob":    func(r *rig, s *Snapshot, how recipe) string { return r.spoil(s, r.data(s, how)[0]) },
		"one in the middle": func(r *rig, s *Snapshot, how recipe) string { return r.spoil(s, r.data(s, how)[100]) },
		"its last blob": func(r *rig, s *Snapshot, how recipe) string {
			all := r.data(s, how)
			return r.spoil(s, all[len(all)-1])
		},
		"a segment of its recipe": func(r *rig, s *Snapshot, how recipe) string { return r.spoil(s, how.refs[0].ID) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, n := newRig(t), newNode(t, hostA, 1)
			dir := n.table(0, "t", 1)
			for i := range 5 {
				n.put(fmt.Sprintf("%s/nb-%d-big-Index.db", dir, i), noise(byte(i), 2<<20))
				n.put(fmt.Sprintf("%s/nb-%d-big-TOC.txt", dir, i), "Index.db\n")
			}
			r.take(n, "one")
			s := r.snapshot("one")
			third := r.sstables(s)[dir][2]
			how := r.recipes(s, &third)[0]
			if !how.segmented {
				t.Fatal("the recipe has no segments")
			}
			object := spoil(r, s, how)
			fates := r.fates(s)
			for file, err := range fates {
				if bad := file == dir+"/nb-2-big-Index.db"; bad != isDamage(err, object) || !bad && err != nil {
					t.Errorf("%s: %v, damaged is %s", file, err, object)
				}
			}
			if len(fates) != 10 {
				t.Errorf("%d components", len(fates))
			}
		})
	}
}

// data returns the data blobs of a recipe.
func (r *rig) data(s *Snapshot, how recipe) (ids []pack.ID) {
	r.t.Helper()
	next := &segments{s: s}
	next.add(how)
	err := next.refs(r.t.Context(), how, func(refs []ref, err error) bool {
		for _, ref := range refs {
			ids = append(ids, ref.ID)
		}
		return err == nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return ids
}

func TestSegmentsOfAPartThatIsGivenUpArePassedOver(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	for i := range segmentsAtOnce + 4 {
		n.put(fmt.Sprintf("%s/nb-%02d-big-Index.db", dir, i), noise(byte(i), 1<<20))
	}
	r.take(n, "one")
	s := r.snapshot("one")
	next := &segments{s: s}
	var hows []recipe
	list := r.sstables(s)[dir]
	for i := range list {
		how := r.recipes(s, &list[i])[0]
		how.refs = slices.Concat(how.refs, how.refs, how.refs)
		hows = append(hows, how)
		next.add(how)
	}
	for i, how := range hows {
		took := 0
		err := next.refs(t.Context(), how, func(refs []ref, err error) bool {
			want := r.data(s, recipe{typ: recipeBlobs, segmented: true, refs: hows[i].refs[took : took+1]})
			took++
			if err != nil || len(refs) != len(want) || refs[0].ID != want[0] {
				t.Errorf("segment %d of %d: %d refs, %v", took, i, len(refs), err)
			}
			return took <= i%3
		})
		if err != nil || took != i%3+1 {
			t.Errorf("recipe %d: %d segments, %v", i, took, err)
		}
	}
	if len(next.wants)+len(next.ready) > 0 {
		t.Errorf("%d segments not read, %d not used", len(next.wants), len(next.ready))
	}
}

// offline is a store that answers no more once reads of packs are used up.
type offline struct {
	store.Store
	reads chan struct{}
}

var errOffline = errors.New("offline")

func (f *offline) ReadAt(ctx context.Context, name string, off int64, p []byte) error {
	select {
	case <-f.reads:
		return f.Store.ReadAt(ctx, name, off, p)
	default:
		return errOffline
	}
}

func TestAStoreThatFailsEndsContentAndTellsOfWhatWasBegun(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	for i := range 4 {
		n.put(fmt.Sprintf("%s/nb-%d-big-Index.db", dir, i), noise(byte(i), 20<<20))
	}
	r.take(n, "one")
	b, err := Find(t.Context(), r.seen, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	begun, ended := 0, 0
	for reads := 2; ; reads += 7 {
		f := &offline{Store: r.st, reads: make(chan struct{}, 1000)}
		for range reads {
			f.reads <- struct{}{}
		}
		s, err := Open(t.Context(), r.reopen(f, ""), &b.Nodes[0])
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		open := make(map[string]bool)
		err = s.Pages(t.Context(), []*Table{&s.Node.Tables[0]}, func(pages []Page) error {
			return s.Content(t.Context(), pages, func(f File) (io.Writer, error) {
				begun++
				open[f.SSTable.Prefix] = true
				return io.Discard, nil
			}, func(f File, err error) error {
				delete(open, f.SSTable.Prefix)
				if err != nil {
					ended++
				}
				return err
			})
		})
		if len(open) > 0 {
			t.Errorf("after %d reads these were begun and not ended: %v", reads, slices.Collect(maps.Keys(open)))
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errOffline) || errors.As(err, new(*repo.DamageError)) {
			t.Fatalf("after %d reads: %v", reads, err)
		}
	}
	if begun == 0 || ended == 0 {
		t.Errorf("%d components begun, %d ended by the store", begun, ended)
	}
}

// What a table says of the number of its SSTables is a writer's word; the size of its pages is not.
func TestPagesAreHeldWithinBoundsWhateverTheTableSays(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), oneTable(t, hostA)
	r.take(n, "one")
	w, err := r.repo.NewSession(t.Context(), hostA)
	if err != nil {
		t.Fatal(err)
	}
	var tables []*Table
	for i := range 12 {
		var page []SSTable
		for j := range pageSSTables {
			sst := SSTable{Prefix: fmt.Sprintf("nb-%d-big-", j)}
			for k := range 200 {
				c := Component{Name: fmt.Sprintf("%d.db", k), Inline: []byte(fmt.Sprintf("%0100d", i)), Size: 100}
				sst.Components = append(sst.Components, c)
			}
			page = append(page, sst)
		}
		b := encodePage(page)
		ref, _, err := w.Put(pack.Description, b)
		if err != nil || len(b) < pageBytes/3 {
			t.Fatalf("page of %d bytes: %v", len(b), err)
		}
		tables = append(tables, &Table{Name: fmt.Sprint(i), Cost: Cost{SSTables: -i}, Pages: []ID{ID(ref.ID)}})
	}
	if err := errors.Join(w.Finish(), w.Close()); err != nil {
		t.Fatal(err)
	}
	next := 0
	err = r.snapshot("one").Pages(t.Context(), tables, func(pages []Page) error {
		if len(pages) > 3 {
			t.Errorf("%d pages at once", len(pages))
		}
		for _, p := range pages {
			if p.Table != tables[next] || p.Err != nil || len(p.SSTables) != pageSSTables || string(p.SSTables[7].Components[3].Inline) != fmt.Sprintf("%0100d", next) {
				t.Errorf("page %d: %v", next, p.Err)
			}
			next++
		}
		return nil
	})
	if err != nil || next != len(tables) {
		t.Errorf("%d pages, %v", next, err)
	}
}

func TestNoMoreIsWantedOfAComponentThatIsGivenUp(t *testing.T) {
	t.Parallel()
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	for i, size := range []int{2 << 20, 100 << 10, 2 << 20} { // with segments, without, and with
		n.put(fmt.Sprintf("%s/nb-%d-big-Index.db", dir, i), noise(byte(i), size))
	}
	r.take(n, "one")
	s := r.snapshot("one")
	list := r.sstables(s)[dir]
	for name, keep := range map[string]int{"after its first blob": 1, "after some": 5, "never": 1 << 20} {
		var parts []*part
		next := &segments{s: s}
		var want []int // numbers of parts
		for i := range list {
			how := r.recipes(s, &list[i])[0]
			next.add(how)
			parts = append(parts, &part{how: how})
			want = append(want, slices.Repeat([]int{i}, min(keep, len(r.data(s, how))))...)
		}
		var got []int
		var broken error
		for w := range wants(t.Context(), parts, next, &broken) {
			got = append(got, w.Tag>>kindBits)
			if n := len(got); n >= keep && got[n-keep] == w.Tag>>kindBits {
				parts[w.Tag>>kindBits].skip.Store(true)
			}
		}
		if broken != nil || !slices.Equal(got, want) {
			t.Errorf("given up %s: %v: wants of %v, not of %v", name, broken, got, want)
		}
	}
}

func TestOnlyChosenComponentsAreRead(t *testing.T) {
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	want := make(map[string]string)
	for i := range 4 {
		prefix := fmt.Sprintf("nb-%d-big-", i)
		n.sstable(dir, prefix, byte(i), 8_000_000)
		for _, name := range []string{"Statistics.db", "TOC.txt"} {
			want["0/"+dir+"/"+prefix+name] = n.live()["0/"+dir+"/"+prefix+name]
		}
	}
	r.take(n, "one")
	s, counts := r.counted("one")
	got := make(map[string]string)
	out := make(writers)
	err := s.Pages(t.Context(), []*Table{&s.Node.Tables[0]}, func(pages []Page) error {
		chosen := func(f File) bool { return f.Component.Name == "Statistics.db" || f.Component.Name == "TOC.txt" }
		return s.ContentOf(t.Context(), pages, chosen, out.create, func(f File, err error) error {
			got["0/"+f.Table.Dir+"/"+f.SSTable.File(f.Component)] = out.take(f)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	if n := counts.BytesDown.Load(); n > 16_000_000 {
		t.Errorf("%d bytes of 32 million were read", n)
	}
}
