package main

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/snapshot"
)

// diffJSON is cbk.diff/1 as a whole.
type diffJSON struct {
	diffHeadJSON
	Nodes []diffNodeJSON `json:"nodes"`
	Total diffTotals     `json:"total"`
}

// twoBackups returns a stopped node of which there are two backups: between them, table wide went and uncompressed has
// each SSTable twice, the second under a name of its own.
func twoBackups(t *testing.T) (r *rig, first, second content) {
	t.Helper()
	first = oldNode(t, "mc", of311)
	r = stoppedRig(t, first)
	r.ok("init", "--pack-size", "1MiB")
	r.offline("one")
	second = maps.Clone(first)
	for name, text := range first {
		dir, file, _ := strings.Cut(strings.TrimPrefix(name, "zoo/"), "/")
		switch {
		case strings.HasPrefix(dir, "wide-"):
			delete(second, name)
		case strings.HasPrefix(dir, "uncompressed-"):
			second["zoo/"+dir+"/"+strings.Replace(file, "mc-", "mc-99", 1)] = text
		}
	}
	if err := os.RemoveAll(r.path("data/zoo")); err != nil {
		t.Fatal(err)
	}
	r.place(second)
	r.offline("two")
	return r, first, second
}

// amount adds up the SSTables of tables.
func (c content) amount(prefix string) (a snapshot.Amount) {
	for name, text := range c {
		if strings.HasPrefix(name, prefix) {
			a.Add(snapshot.Amount{Bytes: int64(len(text))})
			if strings.HasSuffix(name, "-Data.db") {
				a.SSTables++
			}
		}
	}
	return a
}

func TestADiffOfTwoBackupsTellsTablesSSTablesAndBytes(t *testing.T) {
	r, first, second := twoBackups(t)
	d := doc[diffJSON](r, "diff", "one", "two")
	if len(d.Nodes) != 1 || d.First != "one" || d.Second != "two" || d.Cluster == "" {
		t.Fatalf("%+v", d)
	}
	wide, twice := first.amount("zoo/wide-"), first.amount("zoo/uncompressed-")
	want := []snapshot.TableDiff{
		{Keyspace: "zoo", Table: "uncompressed", Fate: "changed", Added: twice, Same: twice},
		{Keyspace: "zoo", Table: "wide", Fate: "dropped", Gone: wide},
	}
	got := d.Nodes[0].Tables
	for i := range got {
		got[i].ID = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.Total.Changed != 1 || d.Total.Dropped != 1 || d.Total.Added != twice || d.Total.Gone != wide ||
		d.Total.Same.Bytes != second.amount("").Bytes-twice.Bytes {
		t.Errorf("total %+v", d.Total)
	}
	text := r.ok("diff", "one", "two", "--node", hostID)
	for _, word := range []string{"zoo.wide", "dropped", "zoo.uncompressed", "changed", "0 tables created, 1 dropped, 1 changed"} {
		if !strings.Contains(text, word) {
			t.Errorf("the text does not say %q:\n%s", word, text)
		}
	}
	if same := r.ok("diff", "two", "latest"); !strings.Contains(same, "no table differs") {
		t.Errorf("a backup and itself:\n%s", same)
	}
	r.fails(2, []string{"not-found", "three"}, "diff", "one", "three")
	r.fails(2, []string{"not-found", "node-9"}, "diff", "one", "two", "--node", "node-9")
	r.fails(2, []string{"usage", "two backups"}, "diff", "one")
	keeper := r.write("keeper.key", r.ok("key", "export", "--role", "keeper"), 0o600)
	r.fails(12, []string{"not-allowed", "a keeper key cannot diff backups"}, "diff", "one", "two", "--key-file", keeper)
}

func TestNodesArePairedByHostId(t *testing.T) {
	node := func(host, name string) snapshot.Entry {
		return snapshot.Entry{Catalogue: snapshot.Catalogue{HostID: host, Node: name}}
	}
	before := &snapshot.Backup{Name: "a", Nodes: []snapshot.Entry{node("h1", "10.0.0.1"), node("h2", "10.0.0.2")}}
	after := &snapshot.Backup{Name: "b", Nodes: []snapshot.Entry{node("h3", "10.0.0.1"), node("H1", "10.0.0.9")}}
	for _, k := range []struct {
		only string
		want []string // host ids before and after
	}{
		{"", []string{" h3", "h2 ", "h1 H1"}},
		{"h1", []string{"h1 H1"}},
		{"10.0.0.1", []string{" h3", "h1 H1"}}, // its address went from one node to another
		{"H2", []string{"h2 "}},
	} {
		all, err := nodePairs(before, after, k.only)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range all {
			var hosts [2]string
			for i, e := range []*snapshot.Entry{p.before, p.after} {
				if e != nil {
					hosts[i] = e.HostID
				}
			}
			got = append(got, hosts[0]+" "+hosts[1])
		}
		if diff := cmp.Diff(k.want, got); diff != "" {
			t.Errorf("--node %q (-want +got):\n%s", k.only, diff)
		}
	}
	if _, err := nodePairs(before, after, "h4"); !errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("an unknown node: %v", err)
	}
}

func TestNodesThatOnlyOneBackupHasAreTold(t *testing.T) {
	files := oldNode(t, "mc", of311).only("zoo/counters-")
	r := stoppedRig(t, files)
	r.ok("init", "--pack-size", "1MiB")
	const hostA, hostC = "8a065892-12ee-471a-8e14-591ed1194200", "8a065892-12ee-471a-8e14-591ed1194202"
	for _, taken := range [][2]string{{hostA, "one"}, {hostID, "one"}, {hostID, "two"}, {hostC, "two"}} {
		r.ok("backup", "--offline", "--node", taken[0], "--name", taken[1])
	}
	held := files.amount("")
	d := doc[diffJSON](r, "diff", "one", "two")
	got := make(map[string]string)
	for _, n := range d.Nodes {
		got[n.HostID] = n.In
		if len(n.Tables) > 0 || n.Added != (map[bool]snapshot.Amount{true: held}[n.In == "second"]) || n.Gone != (map[bool]snapshot.Amount{true: held}[n.In == "first"]) {
			t.Errorf("%+v", n)
		}
	}
	if diff := cmp.Diff(map[string]string{hostA: "first", hostID: "both", hostC: "second"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if d.Total.Added != held || d.Total.Gone != held || d.Total.Same != held || d.Total.Created != 1 || d.Total.Dropped != 1 || d.Total.Kept != 1 {
		t.Errorf("total %+v, of a node %+v", d.Total, held)
	}
	text := r.ok("diff", "one", "two")
	for _, word := range []string{hostA + "): only in the first backup", hostC + "): only in the second backup", "no table differs"} {
		if !strings.Contains(text, word) {
			t.Errorf("the text does not say %q:\n%s", word, text)
		}
	}
}

func TestADiffIsPrintedAsATableOfWhatChanged(t *testing.T) {
	n := &diffNodeJSON{Node: "10.0.0.1", In: "both", Tables: []snapshot.TableDiff{
		{Keyspace: "shop", Table: "orders", Fate: "changed", Added: snapshot.Amount{SSTables: 1, Bytes: 2048}, Gone: snapshot.Amount{SSTables: 2, Bytes: 3072},
			Same: snapshot.Amount{SSTables: 30, Bytes: 1 << 30}},
		{Keyspace: "shop", Table: "old", Fate: "dropped", Gone: snapshot.Amount{SSTables: 4, Bytes: 100}}}}
	var out strings.Builder
	printDiff(&out, n)
	want := `node 10.0.0.1
TABLE        STATE    ADDED    BYTES  GONE    BYTES  SAME    BYTES
shop.orders  changed      1  2.0 KiB     2  3.0 KiB    30  1.0 GiB
shop.old     dropped      0      0 B     4    100 B     0      0 B
`
	if diff := cmp.Diff(want, trimmed(out.String())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// trimmed is a text without blanks at the ends of its lines.
func trimmed(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}
