package snapshot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/repo"
	"cbk/repo/roles"
)

// lend opens the repository with a loan of node snapshots, on a machine that keeps nothing.
func (r *rig) lend(what ...Lent) *repo.Repo {
	r.t.Helper()
	raw, err := Lend(r.t.Context(), r.seen, r.clock.Add(time.Minute), what...)
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := roles.ParseLoan(raw)
	if err != nil {
		r.t.Fatal(err)
	}
	opened, err := repo.Open(r.t.Context(), r.st, roles.WithLoan(l, r.clock), "")
	if err != nil {
		r.t.Fatal(err)
	}
	return opened
}

// reads gives the files of tables of a node snapshot as a key sees them, and which tables did not come whole.
func (r *rig) reads(by *repo.Repo, root string) (files map[string]string, refused map[string]error) {
	r.t.Helper()
	e, err := EntryOf(r.t.Context(), by, root)
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := Open(r.t.Context(), by, e)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	if err := s.Schema(r.t.Context(), io.Discard); err != nil {
		r.t.Errorf("schema of %s: %v", root, err)
	}
	files, refused = make(map[string]string), make(map[string]error)
	for i := range s.Node.Tables {
		t := &s.Node.Tables[i]
		out := make(writers)
		err := s.Pages(r.t.Context(), []*Table{t}, func(pages []Page) error {
			for _, p := range pages {
				if p.Err != nil {
					return p.Err
				}
			}
			return s.Content(r.t.Context(), pages, out.create, func(f File, err error) error {
				files[fmt.Sprintf("%d/%s/%s", f.SSTable.DataDir, t.Dir, f.SSTable.File(f.Component))] = out.take(f)
				return err
			})
		})
		if err != nil {
			refused[t.Name] = err
		}
	}
	return files, refused
}

// entry finds a node's snapshot.
func (r *rig) entry(backup, nodeName string) *Entry {
	r.t.Helper()
	b, err := Find(r.t.Context(), r.seen, backup, "")
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := b.Pick(nodeName)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func named(names ...string) func(*Table) bool {
	return func(t *Table) bool { return slices.Contains(names, t.Name) }
}

// twoNodes has two nodes in domains of their own. Of the first, table "early" was stored by one session, "late" and what
// describes the node by the next.
func twoNodes(t *testing.T) (r *rig, one, two *fakeNode) {
	t.Helper()
	r, one, two = newRig(t), newNode(t, hostA, 2), newNode(t, hostB, 1)
	ring := append(one.members.Members, two.members.Members...)
	one.members.Members, two.members.Members = ring, ring
	one.sstable(one.table(0, "early", 1), "nb-1-big-", 1, 3<<20)
	r.take(one, "first")
	one.schema.Keyspaces[0].CQL = "CREATE KEYSPACE ks WITH durable_writes = true;\n"
	one.config = []node.ConfigFile{{Name: "cassandra.yaml", Text: []byte("cluster_name: shop\n")}}
	one.sstable(one.table(0, "late", 2), "nb-1-big-", 2, 200_000)
	two.sstable(two.table(0, "early", 1), "nb-1-big-", 3, 100_000)
	r.take(one, "second")
	r.take(two, "second")
	return r, one, two
}

func TestALoanBringsANodeBackByteForByte(t *testing.T) {
	r, one, two := twoNodes(t)
	first, second := r.entry("second", "node-a"), r.entry("second", "node-b")
	files, refused := r.reads(r.lend(Lent{Entry: first}), first.Root)
	if diff := cmp.Diff(one.live(), files); diff != "" || len(refused) > 0 {
		t.Errorf("one node: %v, %d bytes of difference", refused, len(diff))
	}
	both := r.lend(Lent{Entry: first}, Lent{Entry: second})
	for root, n := range map[string]*fakeNode{first.Root: one, second.Root: two} {
		files, refused := r.reads(both, root)
		if diff := cmp.Diff(n.live(), files); diff != "" || len(refused) > 0 {
			t.Errorf("%s of both: %v, %d bytes of difference", root, refused, len(diff))
		}
	}
}

func TestALoanForATableOpensItAndNoSessionOfAnother(t *testing.T) {
	r, one, _ := twoNodes(t)
	e, other := r.entry("second", "node-a"), r.entry("second", "node-b")
	by := r.lend(Lent{e, named("late")})
	want := make(map[string]string)
	for name, content := range one.live() {
		if strings.Contains(name, "/late-") {
			want[name] = content
		}
	}
	files, refused := r.reads(by, e.Root)
	if diff := cmp.Diff(want, files); diff != "" || !errors.Is(refused["early"], roles.ErrNotLent) || len(refused) != 1 {
		t.Errorf("%d files, refused %v", len(files), refused)
	}
	s, err := Open(t.Context(), by, e)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var cql, yaml strings.Builder
	if err := errors.Join(s.Schema(t.Context(), &cql), s.Text(t.Context(), &s.Node.Config[0], &yaml)); err != nil || cql.Len() == 0 || yaml.Len() == 0 {
		t.Errorf("schema %q, configuration %q: %v", &cql, &yaml, err)
	}
	if ring, err := s.Ring(t.Context()); err != nil || len(ring.Members) != 2 {
		t.Errorf("the ring: %v", err)
	}
	if _, err := EntryOf(t.Context(), by, other.Root); !errors.Is(err, roles.ErrRole) {
		t.Errorf("the other node: %v", err)
	}
	if _, err := by.NewReader(t.Context(), other.Domain); !errors.Is(err, roles.ErrRole) {
		t.Errorf("the other node's domain: %v", err)
	}
	if _, err := Take(t.Context(), by, one, r.options("third")); !errors.Is(err, roles.ErrRole) {
		t.Errorf("a backup with a loan: %v", err)
	}
	all, err := List(t.Context(), by, func(d *repo.DamageError) { t.Error(d) })
	if err != nil || len(all) != 2 || len(all[1].Nodes) != 1 || !all[1].Partial {
		t.Errorf("it lists %d backups, %v", len(all), err)
	}
}

func TestALoanServesEachKindOfBackup(t *testing.T) {
	for _, mode := range []string{ModeDifferential, ModeFull} {
		for _, size := range []int{-1, 0, 50, 3 << 20} {
			r, n := newRig(t), newNode(t, hostA, 1)
			if size >= 0 {
				n.sstable(n.table(0, "t", 1), "nb-1-big-", 1, size)
			}
			r.take(n, "before")
			o := r.options("b")
			o.Mode = mode
			if _, err := Take(t.Context(), r.repo, n, o); err != nil {
				t.Fatal(err)
			}
			e := r.entry("b", "")
			files, refused := r.reads(r.lend(Lent{Entry: e}), e.Root)
			if diff := cmp.Diff(n.live(), files); diff != "" || len(refused) > 0 {
				t.Errorf("%s of %d bytes: %v, %d bytes of difference", mode, size, refused, len(diff))
			}
		}
	}
}

func TestABlobThatOnlyASegmentOfARecipeNamesIsLent(t *testing.T) {
	r, n := newRig(t), newNode(t, hostA, 1)
	dir := n.table(0, "t", 1)
	n.put(dir+"/nb-1-big-Index.db", noise(1, 300_000))
	r.take(n, "before")
	if err := os.Remove(filepath.Join(n.Layout().DataDirs[0], dir, "nb-1-big-Index.db")); err != nil {
		t.Fatal(err)
	}
	n.put(dir+"/nb-2-big-Index.db", string(make([]byte, (repo.Window+10)*smallest))+noise(1, 300_000))
	r.take(n, "b")
	e := r.entry("b", "")
	files, refused := r.reads(r.lend(Lent{Entry: e}), e.Root)
	if diff := cmp.Diff(n.live(), files); diff != "" || len(refused) > 0 {
		t.Errorf("%v, %d bytes of difference", refused, len(diff))
	}
}

func TestWhatIsDamagedKeepsNothingElseFromBeingLent(t *testing.T) {
	r, n := newRig(t), newNode(t, hostA, 1)
	n.sstable(n.table(0, "early", 1), "nb-1-big-", 1, 3<<20)
	r.take(n, "first")
	lost := r.objects("packs/")
	n.schema.Keyspaces[0].CQL = "CREATE KEYSPACE ks WITH durable_writes = true;\n"
	n.sstable(n.table(0, "late", 2), "nb-1-big-", 2, 200_000)
	r.take(n, "second")
	for _, name := range lost {
		r.damage(name, remove)
	}
	e := r.entry("second", "")
	files, refused := r.reads(r.lend(Lent{Entry: e}), e.Root)
	var damage *repo.DamageError
	if len(files) != 7 || len(refused) != 1 || !errors.As(refused["early"], &damage) {
		t.Errorf("%d files, refused %v", len(files), refused)
	}
}

func TestALoanIsRefusedToWhoMayNotReadAndAfterItsEnd(t *testing.T) {
	r, _, _ := twoNodes(t)
	e := r.entry("second", "node-a")
	raw, err := Lend(t.Context(), r.seen, r.clock.Add(time.Minute), Lent{Entry: e})
	if err != nil {
		t.Fatal(err)
	}
	l, err := roles.ParseLoan(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Open(t.Context(), r.st, roles.WithLoan(l, r.clock.Add(time.Hour)), ""); !errors.Is(err, roles.ErrExpired) || !repo.KeyMismatch(err) {
		t.Errorf("after its end: %v", err)
	}
	if _, err := Lend(t.Context(), r.lend(Lent{Entry: e}), r.clock.Add(time.Minute), Lent{Entry: e}); !errors.Is(err, roles.ErrRole) {
		t.Errorf("with a loan: %v", err)
	}
	text, _, err := r.repo.ExportKey(t.Context(), roles.RoleKeeper, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := roles.ParseKeyFile(text)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := repo.Open(t.Context(), r.st, roles.WithKeyFile(f), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lend(t.Context(), keeper, r.clock.Add(time.Minute), Lent{Entry: e}); !errors.Is(err, roles.ErrRole) {
		t.Errorf("as a keeper: %v", err)
	}
	// The log of this machine lacks the statement that made the keeper's key; the loan's lender knew it.
	late, err := Lend(t.Context(), r.reopen(r.st, ""), r.clock.Add(time.Minute), Lent{Entry: e})
	if err != nil {
		t.Fatal(err)
	}
	if l, err = roles.ParseLoan(late); err != nil {
		t.Fatal(err)
	}
	statements := r.objects("trust/")
	r.damage(statements[len(statements)-1], remove)
	if _, err := repo.Open(t.Context(), r.st, roles.WithLoan(l, r.clock), ""); !errors.Is(err, roles.ErrRolledBack) {
		t.Errorf("by an older trust log: %v", err)
	}
}
