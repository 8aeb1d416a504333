package standin_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest/standin"
	"cbk/cassandra/node"
	"cbk/cassandra/ring"
)

// lab is a cluster of stand-ins.
type lab struct {
	t       *testing.T
	program string
	cluster standin.Cluster
	nodes   []standin.Node
}

func newLab(t *testing.T, nodes int) *lab {
	t.Helper()
	l := &lab{t: t, program: standin.Build(t), cluster: standin.Cluster{Dir: t.TempDir(), Name: "Stand In"}}
	for i := range nodes {
		n, err := l.cluster.Add(standin.Member{Address: fmt.Sprintf("127.0.9.%d", i+1), DC: fmt.Sprint("dc", i%2), Rack: "a rack",
			HostID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i), Tokens: []string{fmt.Sprint(-i - 1), fmt.Sprint(1000 * i)}})
		if err != nil {
			t.Fatal(err)
		}
		l.nodes = append(l.nodes, n)
	}
	return l
}

// connect makes what a backup works with.
func (l *lab) connect(i int) *node.Node {
	l.t.Helper()
	run := func(what string) []string { return []string{l.program, l.nodes[i].Dir, what} }
	n, err := node.New(node.Config{YAML: l.nodes[i].YAML(), Nodetool: run("nodetool"), Start: run("start"), Stop: run("stop"),
		CQL: node.CQLConfig{Host: l.nodes[i].Address, Port: 9042}}, slog.New(slog.DiscardHandler))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(n.Close)
	return n
}

func (l *lab) put(i int, rel, text string) string {
	l.t.Helper()
	name := filepath.Join(l.nodes[i].Data(), rel)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = os.WriteFile(name, []byte(text), 0o644)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return name
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestTheNodesSeeEachOtherStartAndStop(t *testing.T) {
	l := newLab(t, 3)
	first, last := l.connect(0), l.connect(2)
	if _, err := first.ToldIdentity(t.Context()); err == nil || first.Answers(t.Context()) || !strings.Contains(err.Error(), "Connection refused") {
		t.Errorf("a node that does not run: %v", err)
	}
	l.must(errors.Join(first.StartCassandra(t.Context()), last.StartCassandra(t.Context()), first.WaitUp(t.Context())))
	got, err := first.ToldRing(t.Context())
	l.must(err)
	var want []ring.Member
	for i, n := range l.nodes {
		tokens := slices.Clone(n.Tokens)
		ring.SortTokens(tokens)
		want = append(want, ring.Member{HostID: n.HostID, Address: n.Address, DC: n.DC, Rack: n.Rack, Tokens: tokens, State: ring.Normal, Up: i != 1})
	}
	if diff := cmp.Diff(want, got.Members); diff != "" || got.Cluster != "Stand In" {
		t.Errorf("ring of %s (-want +got):\n%s", got.Cluster, diff)
	}
	id, err := last.ToldIdentity(t.Context())
	if err != nil || id.HostID != l.nodes[2].HostID || id.Address != l.nodes[2].Address || id.Version != standin.Release {
		t.Errorf("identity %+v, %v", id, err)
	}
	l.must(last.StopCassandra(t.Context()))
	members, err := l.cluster.Members()
	if err != nil || len(members) != 3 || members[2].Up || !members[0].Up {
		t.Errorf("members %+v, %v", members, err)
	}
}

func TestASnapshotIsHardLinksAndGoesAgain(t *testing.T) {
	l := newLab(t, 1)
	n := l.connect(0)
	l.must(n.StartCassandra(t.Context()))
	id := strings.Repeat("a", 32)
	live := l.put(0, "ks/t-"+id+"/nb-1-big-Data.db", "rows")
	l.put(0, "ks/t-"+id+"/.by_mail/nb-1-big-Data.db", "entries")
	l.put(0, "other/u-"+id+"/nb-1-big-Data.db", "rows")
	l.must(n.Snapshot(t.Context(), "one", "ks"))
	if err := n.Snapshot(t.Context(), "one", "ks"); err == nil || !strings.Contains(err.Error(), "already exists") {
		t.Errorf("the same tag again: %v", err)
	}
	dirs, err := n.SnapshotTables("one")
	if err != nil || len(dirs) != 1 {
		t.Fatalf("directories %v, %v", dirs, err)
	}
	all, err := dirs[0].SSTables()
	if err != nil || len(all) != 2 {
		t.Errorf("SSTables %+v, %v", all, err)
	}
	a, err := os.Stat(live)
	l.must(err)
	if b, err := os.Stat(filepath.Join(dirs[0].Path, filepath.Base(live))); err != nil || !os.SameFile(a, b) {
		t.Errorf("no hard link: %v", err)
	}
	l.must(n.ClearSnapshot(t.Context(), "one"))
	if dirs, err := n.SnapshotTables("one"); err != nil || len(dirs) > 0 {
		t.Errorf("after clearing: %v, %v", dirs, err)
	}
}

// Cassandra heeds initial_token at a first start only, and never another number of tokens.
func TestTokensAreTakenOverAtAFirstStartOnly(t *testing.T) {
	l := newLab(t, 1)
	n := l.connect(0)
	take := func(tokens ...string) []string {
		f := &node.FirstStart{Restore: "x", Tokens: tokens}
		l.must(n.PrepareFirstStart(t.Context(), f, filepath.Join(t.TempDir(), "kept")))
		failed := n.StartCassandra(t.Context())
		l.must(n.EndFirstStart(t.Context(), f))
		l.must(failed)
		id, err := n.ToldIdentity(t.Context())
		l.must(err)
		return id.Tokens
	}
	if diff := cmp.Diff([]string{"5", "77"}, take("77", "5")); diff != "" {
		t.Errorf("first start (-want +got):\n%s", diff)
	}
	l.put(0, "system/local-7ad54392bcdd35a684174e047860b377/nb-1-big-Data.db", "who I am")
	if diff := cmp.Diff([]string{"5", "77"}, take("1", "2")); diff != "" {
		t.Errorf("second start (-want +got):\n%s", diff)
	}
	f := &node.FirstStart{Restore: "x", Tokens: []string{"1"}}
	l.must(n.PrepareFirstStart(t.Context(), f, filepath.Join(t.TempDir(), "kept")))
	if err := n.StartCassandra(t.Context()); err == nil || !strings.Contains(err.Error(), "number of tokens") {
		t.Errorf("another number of tokens: %v", err)
	}
}
