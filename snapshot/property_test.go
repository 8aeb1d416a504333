package snapshot

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cbk/pack"
	"cbk/repo"
	"cbk/repo/store"
)

// Whatever is backed up, deleted, held, purged and collected, in whatever order, by clocks that are wrong, with faults of
// the store and crashes at any operation, beside each other, and whatever is damaged meanwhile: what should be restorable
// is, byte for byte, what is damaged is told, and nothing else is.
func TestWhatShouldBeRestorableIsWhateverHappens(t *testing.T) {
	empty := emptyRepository(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt, empty)
		acts := []func(*rapid.T){w.backup, w.backup, w.backup, w.writes, w.deletes, w.collects, w.purges, w.purges, w.holds, w.holds, w.clock, w.damage, w.repairs}
		for range rapid.IntRange(1, 14).Draw(rt, "acts") {
			acts[rapid.IntRange(0, len(acts)-1).Draw(rt, "act")](rt)
			w.listsWhatItShould(rt)
		}
		w.end(rt)
	})
}

var wordsOfWorld = []string{"b1", "b10", "b", "data", "finished"}

func (w *world) someNode(t *rapid.T) *resident { return w.nodes[rapid.IntRange(0, 1).Draw(t, "node")] }

func (w *world) writes(t *rapid.T) {
	n := w.someNode(t)
	if len(n.files) > 3 || len(n.files) > 0 && rapid.Bool().Draw(t, "compacts") {
		n.drop(rapid.IntRange(0, len(n.files)-1).Draw(t, "SSTable"))
	}
	n.write(byte(rapid.IntRange(1, 6).Draw(t, "content")), rapid.SampledFrom([]int{300, 5_000, 70_000}).Draw(t, "size"))
}

func (w *world) clock(t *rapid.T) {
	w.skew = time.Duration(rapid.IntRange(-13, 42*24).Draw(t, "hours")) * time.Hour
}

// backup is of one node or of both.
func (w *world) backup(t *rapid.T) {
	name, who := rapid.SampledFrom(wordsOfWorld).Draw(t, "name"), rapid.IntRange(0, 3).Draw(t, "nodes")
	for i, n := range w.nodes {
		if who > 1 || who == i {
			w.take(t, n, name)
		}
	}
}

// take backs one node up, and while that runs others may delete what it relies on.
func (w *world) take(t *rapid.T, n *resident, name string) {
	mode := rapid.SampledFrom([]string{ModeDifferential, ModeDifferential, ModeFull}).Draw(t, "mode")
	p, want := share{name, n.id.HostID}, n.live()
	if w.lost[p] {
		return // whether the name is free depends on which attempt it was
	}
	victim, now := rapid.SampledFrom(wordsOfWorld).Draw(t, "victim"), w.now()
	tr := w.draw(t, func() error {
		by := w.open(t, "")
		if victim != name {
			if err := w.erase(t, by, victim); err != nil {
				return err
			}
		}
		return errors.Join(w.gc(t.Context(), by), w.gc(t.Context(), by))
	})
	taken := w.kept[p] != nil
	_, err := Take(t.Context(), n.repo.By(tr.st), n, quiet(name, mode, func() time.Time { return now }))
	if taken && err == nil {
		t.Fatalf("%s was taken twice of one node", name)
	}
	if !taken || !errors.Is(err, repo.ErrSnapshotExists) {
		w.excused(t, tr, err)
	}
	if e, ok := w.listed(t)[p]; ok && !taken {
		w.kept[p], w.roots[p] = want, e.Root
		w.order[p.host] = append(w.order[p.host], e.Root)
		w.look(t, p)
	} else if err == nil {
		t.Fatalf("%s succeeded and is not there", name)
	}
}

// erase deletes a backup by name, and knows what is gone by then.
func (w *world) erase(t *rapid.T, by *repo.Repo, name string) error {
	gone, err := w.named(t.Context(), by, name)
	if err == nil {
		err = w.remove(t.Context(), by, gone)
	}
	switch {
	case w.held[name] && errors.Is(err, errHeld):
		return nil
	case err != nil:
		return err
	case w.held[name] && len(gone) > 0:
		t.Fatalf("%s was deleted, and it is held", name)
	}
	for i := range gone {
		for _, e := range gone[i].Nodes {
			w.drop(share{name, e.HostID})
		}
	}
	return nil
}

func (w *world) deletes(t *rapid.T) {
	name := rapid.SampledFrom(wordsOfWorld).Draw(t, "name")
	tr := w.draw(t, func() error { return w.gc(t.Context(), w.open(t, "")) })
	by := w.open(t, "").By(tr.st)
	if err := w.erase(t, by, name); err != nil {
		w.excused(t, tr, err)
		w.recount(t, name)
	}
}

// recount drops what a deletion that was cut short had deleted by then.
func (w *world) recount(t *rapid.T, name string) {
	found := w.listed(t)
	for p := range maps.Clone(w.kept) {
		if _, ok := found[p]; p.backup == name && !ok && !w.injured[w.roots[p]] {
			w.drop(p)
		}
	}
}

func (w *world) holds(t *rapid.T) {
	name, by := rapid.SampledFrom(wordsOfWorld).Draw(t, "name"), w.open(t, "")
	if !w.held[name] {
		if _, err := AddHold(t.Context(), by, Hold{Kind: HoldLegal, Backup: name, Cluster: "shop", Reason: "a case", By: "counsel", Added: w.now()}); err != nil {
			t.Fatalf("hold %s: %v", name, err)
		}
		w.held[name] = true
		return
	}
	all, err := Holds(t.Context(), by)
	if err != nil {
		t.Fatal(err)
	}
	h, err := FindHold(all, name, "shop", w.now())
	if err == nil {
		err = RemoveHold(t.Context(), by, h, Removal{By: "counsel", Reason: "closed", At: w.now()})
	}
	if err != nil {
		t.Fatalf("end of the hold of %s: %v", name, err)
	}
	delete(w.held, name)
}

// complete are the names that both nodes are in.
func (w *world) complete() (names []string) {
	for _, name := range wordsOfWorld {
		if w.kept[share{name, hostA}] != nil && w.kept[share{name, hostB}] != nil {
			names = append(names, name)
		}
	}
	return names
}

func (w *world) purges(t *rapid.T) {
	tr := w.draw(t, func() error { return w.gc(t.Context(), w.open(t, "")) })
	by := w.open(t, "").By(tr.st)
	r := Retention{Policy: Policy{KeepLast: 1, IncompleteGrace: time.Second}, Now: w.now(), Trust: rapid.SampledFrom([]TrustTime{"", TrustStore, TrustClaimed, TrustClaimed}).Draw(t, "trust")}
	if rapid.Bool().Draw(t, "any policy") {
		r.Policy = policy(t)
	}
	var err error
	if r.Holds, err = Holds(t.Context(), by); err == nil {
		r.Backups, err = List(t.Context(), by, func(*repo.DamageError) {})
	}
	if err != nil {
		w.excused(t, tr, err)
		return
	}
	p, err := r.Plan()
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	had := w.complete()
	var gone []Backup
	for _, v := range fate(p) {
		if !v.Keep && len(p.Refused) == 0 {
			gone = append(gone, v.Backup)
		}
	}
	slices.SortFunc(gone, func(a, b Backup) int { return strings.Compare(a.Name, b.Name) })
	err = w.remove(t.Context(), by, gone)
	if err != nil {
		w.excused(t, tr, err)
	}
	for i := range gone {
		switch {
		case w.held[gone[i].Name]:
			t.Fatalf("purge takes %s, which is held", gone[i].Name)
		case err == nil:
			w.forget(gone[i].Name)
		default:
			w.recount(t, gone[i].Name)
		}
	}
	if len(had) > 0 && len(w.complete()) == 0 && len(w.injured) == 0 {
		t.Fatalf("purge leaves no complete backup of %v", had)
	}
}

func (w *world) collects(t *rapid.T) {
	tr := w.draw(t, func() error { return w.gc(t.Context(), w.open(t, "")) })
	w.excused(t, tr, w.gc(t.Context(), w.open(t, "").By(tr.st)))
}

// damage flips a bit of an object or removes it, twice at most.
func (w *world) damage(t *rapid.T) {
	if len(w.injured) >= 2 {
		return
	}
	var all []store.Info
	prefix := rapid.SampledFrom([]string{"packs/", "index/", "snapshots/", "full/"}).Draw(t, "kind")
	if err := w.st.List(t.Context(), prefix, func(i store.Info) error { all = append(all, i); return nil }); err != nil {
		t.Fatal(err)
	}
	// Names are hashes of what chance sealed; the order in which objects were made is more or less the same each time.
	slices.SortFunc(all, func(a, b store.Info) int { return a.ModTime.Compare(b.ModTime) })
	// Who takes away an abort record makes a name free that is taken: what stands at the name of a root is a root here.
	roots := slices.Collect(maps.Values(w.roots))
	all = slices.DeleteFunc(all, func(i store.Info) bool { return prefix == "snapshots/" && !slices.Contains(roots, i.Name) })
	if len(all) == 0 {
		return
	}
	name := all[rapid.IntRange(0, len(all)-1).Draw(t, "object")].Name
	b, err := w.st.Get(t.Context(), name, pack.MaxPack)
	if err == nil {
		err = w.st.Delete(t.Context(), name)
	}
	if err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "removed") {
		w.vanished(name)
	} else {
		b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1
		if err := w.st.Create(t.Context(), name, b); err != nil {
			t.Fatal(err)
		}
	}
	w.injured[name] = true
	for p := range w.kept {
		w.look(t, p)
	}
}

// vanished notes the removal of an object: a backup whose root it was is none.
func (w *world) vanished(name string) {
	for p, root := range w.roots {
		if root != name {
			continue
		}
		w.drop(p)
		w.lost[p], w.removed[name] = true, true
	}
}

// look reads a share and notes it as broken where something is injured and it does not come back.
func (w *world) look(t *rapid.T, p share) {
	if len(w.injured) == 0 {
		return
	}
	e, ok := w.listed(t)[p]
	if !ok {
		w.broken[p] = true
		return
	}
	files, err := w.read(t.Context(), w.seen, &e)
	if w.broken[p] = err != nil; err == nil && !maps.Equal(files, w.kept[p]) {
		t.Fatalf("%v comes back with other bytes", p)
	}
}

func (w *world) repairs(t *rapid.T) {
	if len(w.injured) == 0 {
		return
	}
	_, err := w.open(t, "").RepairIndex(t.Context(), repo.GCOptions{Now: w.now})
	if err != nil && !errors.As(err, new(*repo.DamageError)) {
		t.Fatalf("repair index: %v", err)
	}
}

// listsWhatItShould runs after every step.
func (w *world) listsWhatItShould(t *rapid.T) {
	found := w.listed(t)
	for p := range found {
		if w.kept[p] == nil {
			t.Fatalf("%v is listed, and should not be there", p)
		}
	}
	for p := range w.kept {
		if _, ok := found[p]; !ok && !w.broken[p] {
			t.Fatalf("%v is not listed", p)
		}
	}
}

// end collects what is dead once more and looks at everything.
func (w *world) end(t *rapid.T) {
	for range 2 {
		w.excused(t, &trouble{}, w.gc(t.Context(), w.open(t, "")))
	}
	w.listsWhatItShould(t)
	rep, err := Check(t.Context(), w.open(t, ""), true)
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	if len(w.injured) == 0 && !rep.OK() {
		t.Fatalf("nothing is damaged, and check says: %+v", rep.Damage)
	}
	told := make(map[share]bool)
	for _, b := range rep.Hurt {
		for _, n := range b.Nodes {
			told[share{b.Backup, n.HostID}] = true
		}
	}
	objects := make(map[string]bool)
	for _, d := range rep.Damage {
		objects[d.Object] = true
	}
	// Where another root cannot be read, the chain has an end that nobody knows.
	for _, name := range w.missing() {
		if len(w.injured) == 1 && !objects[name] && !objects[repo.DeletionRecord(name)] {
			t.Fatalf("the root before %s is gone, and check does not tell: %+v", name, rep.Damage)
		}
	}
	w.compare(t, told, objects)
}

// missing returns the roots behind those that were removed: each knows that there was one before it.
func (w *world) missing() (behind []string) {
	for _, roots := range w.order {
		gap := false
		for _, name := range roots {
			if gap && !w.removed[name] {
				behind = append(behind, name)
			}
			gap = w.removed[name]
		}
	}
	return behind
}

// compare reads every share: it is what it was, or it was told to be damaged.
func (w *world) compare(t *rapid.T, told map[share]bool, objects map[string]bool) {
	found, by := w.listed(t), w.seen
	for p, want := range w.kept {
		e, ok := found[p]
		if !ok {
			if !objects[w.roots[p]] {
				t.Fatalf("%v cannot be listed, and check does not tell: %v", p, objects)
			}
			continue
		}
		got, err := w.read(t.Context(), by, &e)
		switch {
		case err != nil && !w.broken[p]:
			t.Fatalf("%v was sound and is lost: %v", p, err)
		case err != nil && !told[p]:
			t.Fatalf("%v: told to be damaged: %v, and read with %v", p, told[p], err)
		case err == nil && !maps.Equal(got, want):
			t.Fatalf("%v (-want +got):\n%.1000s", p, cmp.Diff(want, got))
		}
	}
}
