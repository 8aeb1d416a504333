package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
	"cbk/restore"
	"cbk/restore/whole"
)

// trio is a cluster of three nodes, each with a state directory and a configuration of its own, and one repository.
type trio struct {
	t       *testing.T
	cluster *cassandratest.Cluster
	nodes   []*rig
}

// patient is what a node is told on a machine with much else to do: two seconds for a write and the usual doubt about a
// silent neighbour would fail the test.
func patient(more ...string) []string {
	return append(more, "write_request_timeout: 30s", "read_request_timeout: 30s", "range_request_timeout: 30s", "phi_convict_threshold: 16")
}

// newTrio starts three nodes in two data centres. Cassandra would flush a table of Zstd with LZ4, were it not told otherwise.
func newTrio(t *testing.T) *trio {
	t.Helper()
	c := cassandratest.Run(t, cassandratest.Options{Nodes: 3, Cluster: "three", DCs: []string{"dc1", "dc1", "dc2"}, ExtraYAML: patient("flush_compression: table")})
	all := &trio{t: t, cluster: c}
	for _, n := range c.Nodes {
		r := rigOf(t, n)
		all.nodes = append(all.nodes, r)
		r.cfg.Repository = all.nodes[0].path("repo")
		r.save()
	}
	all.nodes[0].ok("init", "--pack-size", "1MiB")
	return all
}

// start starts the nodes that do not run.
func (all *trio) start() {
	all.t.Helper()
	if err := all.cluster.Start(all.t.Context()); err != nil {
		all.t.Fatal(err)
	}
}

// shop makes every range of tokens stand on two nodes, and in each table of each node an SSTable of every compression.
// Later ones update and delete rows of earlier ones, so compaction would make them fewer.
func (all *trio) shop() {
	all.t.Helper()
	all.nodes[0].cql(func(s *gocql.Session) error { return cassandratest.CreateShop(s, 2) })
	for i, compression := range []string{"{'class': 'LZ4Compressor'}", "{'class': 'LZ4Compressor', 'chunk_length_in_kb': 64}",
		"{'class': 'NoopCompressor'}", "{'enabled': 'false'}", "{'class': 'ZstdCompressor'}"} {
		all.nodes[0].cql(func(s *gocql.Session) error {
			for _, table := range cassandratest.Tables() {
				err := s.Query(fmt.Sprintf(`ALTER TABLE shop.%s WITH compression = %s
					AND compaction = {'class': 'SizeTieredCompactionStrategy', 'enabled': 'false'}`, table, compression)).Exec()
				if err != nil {
					return err
				}
			}
			from := i * 200
			return errors.Join(cassandratest.Fill(s, uint64(i), from, from+400), cassandratest.Delete(s, from, from+50))
		})
		together(all.nodes[0], all.nodes, func(r *rig) error { return r.flush(cassandratest.Shop) })
	}
}

// compressions counts the SSTables of a keyspace on the disk of a node by their compression, its chunk length and table.
func (r *rig) compressions(keyspace string) map[string]int {
	r.t.Helper()
	found := make(map[string]int)
	for _, dir := range r.dataDirs() {
		files, err := filepath.Glob(filepath.Join(dir, keyspace, "*", "*-Data.db"))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, data := range files {
			table, _, _ := sstable.ParseTableDir(filepath.Base(filepath.Dir(data)))
			found[r.compression(data)+" "+table]++
		}
	}
	return found
}

func (r *rig) compression(data string) string {
	r.t.Helper()
	d, _, err := sstable.ParseName(filepath.Base(data))
	if err != nil {
		r.t.Fatal(err)
	}
	f, err := os.Open(strings.TrimSuffix(data, "Data.db") + "CompressionInfo.db")
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	h, _, err := sstable.ParseCompressionHeader(bufio.NewReader(f), d.Version)
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("%s %d", h.Class, h.ChunkLength)
}

func TestThreeNodesOfSeveralCompressionsComeBackRowByRow(t *testing.T) {
	all := newTrio(t)
	all.shop()
	want := make(map[string]int)
	for _, table := range cassandratest.Tables() {
		for _, c := range []string{"LZ4Compressor 16384", "LZ4Compressor 65536", "NoopCompressor 16384", "none", "ZstdCompressor 16384"} {
			want[c+" "+table] = 1
		}
	}
	for _, r := range all.nodes {
		if diff := cmp.Diff(want, r.compressions("shop")); diff != "" {
			t.Fatalf("SSTables on %s (-want +got):\n%s", r.node.Address, diff)
		}
	}
	hosts := all.backup("monday")
	monday := all.nodes[0].dump()
	if len(monday["customers"]) != 1200-5*50 {
		t.Fatalf("%d customers", len(monday["customers"]))
	}

	all.lose()
	all.nodes[0].fails(5, []string{"the backup is of " + hosts[1]}, "restore", "monday", "--in-place", "--yes", "--node", hosts[1])
	id := all.startByOrder(all.nodes[2], "monday", hosts[2])
	for i, r := range all.nodes[:2] {
		got := doc[restoreJSON](r, "restore", "monday", "--in-place", "--yes", "--node", hosts[i])
		if got.Node.HostID != hosts[i] || got.Verified == nil || len(got.Verified.Tables) != 3 || len(got.Refused) != 0 {
			t.Errorf("restore of node %d: %+v", i+1, got)
		}
		if diff := cmp.Diff(want, r.compressions("shop")); diff != "" {
			t.Errorf("SSTables restored on %s (-want +got):\n%s", r.node.Address, diff)
		}
	}
	// What an order says of the whole cluster is true when all nodes are back.
	all.endByOrder(all.nodes[2], id)
	all.mustHold(monday)
	// Both replicas together come last: such a read repairs what one of them lacks.
	all.start()
	if diff := cmp.Diff(monday, all.nodes[0].dump()); diff != "" {
		t.Fatalf("the rows of both replicas together (-want +got):\n%s", diff)
	}
	if got := doc[checkJSON](all.nodes[2], "check", "--read-data"); !got.OK || !got.Readable || len(got.Damage) != 0 {
		t.Errorf("check: %+v", got)
	}
	all.grow(hosts)
}

// grow goes on with a backup that lacks a node, one that has all, and a policy that keeps the last complete one.
func (all *trio) grow(hosts []string) {
	all.t.Helper()
	first := all.nodes[0]
	together(first, all.nodes[:2], func(r *rig) error { return r.backup("tuesday") })
	if line := first.ok("list"); !strings.Contains(line, "Incomplete [2 of 3 nodes]") {
		all.t.Errorf("list says\n%s", line)
	}
	if text := first.ok("show", "tuesday"); !strings.Contains(text, all.nodes[2].node.Address) || !strings.Contains(text, hosts[2]) {
		all.t.Errorf("the missing node is not named:\n%s", text)
	}
	// Of two replicas of each range at least one is at hand.
	if text := first.ok("show", "tuesday", "--json"); !strings.Contains(text, `{"keyspace":"shop","level":"ONE"`) {
		all.t.Errorf("what can be restored is not told:\n%s", text)
	}
	first.fails(exitRefused, []string{"risk", "ranges", "below QUORUM"}, "node", "orders", "tuesday", "--in-place")
	first.ok("node", "orders", "tuesday", "--in-place", "--accept", "ranges")
	d := all.desk()
	// Of system_auth, as Cassandra makes it, there is one replica.
	d.fails(exitIncomplete, []string{"Incomplete [2 of 3 nodes]", "restorable at NONE"}, "backup-cluster", "--name", "wednesday", "--dc", "dc1")
	if out := d.ok("backup-cluster", "--name", "wednesday"); !strings.Contains(out, "is complete: 3 nodes") {
		all.t.Errorf("of both data centres:\n%s", out)
	}
	first.ok("purge", "--keep-last", "1", "--incomplete-grace", "1s", "--yes")
	for range 2 {
		first.ok("gc", "--grace", "0s", "--min-age", "0s")
	}
	left := doc[listJSON](first, "list").Backups
	if len(left) != 1 || left[0].Name != "wednesday" || *left[0].Complete != true {
		all.t.Errorf("left after purge: %+v", left)
	}
	if got := doc[checkJSON](first, "check", "--read-data"); !got.OK || len(got.Damage) != 0 {
		all.t.Errorf("check: %+v", got)
	}
	for _, host := range hosts {
		if got := doc[restoreJSON](first, "restore", "wednesday", "--node", host, "--to", first.path("out-"+host)); got.Files == 0 || len(got.Refused) != 0 {
			all.t.Errorf("restore of %s: %+v", host, got)
		}
	}
}

// startByOrder has a node do the first phases of a cluster's restore, by an order that another has made: it has no key at
// all.
func (all *trio) startByOrder(r *rig, backup, host string) (id string) {
	all.t.Helper()
	var order string
	for line := range strings.Lines(all.nodes[0].ok("node", "orders", backup, "--in-place")) {
		var o nodeOrderJSON
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			all.t.Fatal(err)
		}
		if o.Order.HostID == host {
			order = line
		}
	}
	key := r.cfg.PassphraseFile
	r.cfg.PassphraseFile = ""
	r.save()
	defer func() { r.cfg.PassphraseFile = key; r.save() }()
	if code, out, _ := r.run("list"); code == 0 {
		all.t.Fatalf("it has a key:\n%s", out)
	}
	for range 2 { // what is fetched is not fetched again
		cmd := r.command("node", "fetch")
		cmd.Stdin = strings.NewReader(order)
		if out, err := cmd.CombinedOutput(); err != nil {
			all.t.Fatalf("fetch: %v\n%s", err, out)
		}
	}
	id = doc[whole.Restores](r, "restore", "--status").Restores[0].ID
	all.phase(r, id, "switch", restore.PhaseStart)
	all.phase(r, id, "start", restore.PhaseVerify)
	return id
}

func (all *trio) endByOrder(r *rig, id string) {
	all.t.Helper()
	all.phase(r, id, "verify", restore.PhaseDone)
	all.phase(r, id, "commit", restore.PhaseCommitted)
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(r.dataDirs()[0]), "cbk-*-"+id)); len(left) > 0 {
		all.t.Errorf("left: %v", left)
	}
}

// phase runs a phase, twice, since each may be called again.
func (all *trio) phase(r *rig, id, name string, then restore.Phase) {
	all.t.Helper()
	for range 2 {
		var got whole.PhaseLine
		if err := json.Unmarshal([]byte(r.ok("node", name, id)), &got); err != nil || got.ID != id || got.Phase != then {
			all.t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// backup backs up each node under one name and returns their host ids. What the nodes say of recipes is judged together.
func (all *trio) backup(name string) (hosts []string) {
	all.t.Helper()
	uses := make(map[string]int)
	var chunks, verbatim int
	for i, r := range all.nodes {
		took := doc[backupJSON](r, "backup", "--name", name)
		hosts = append(hosts, took.Node.HostID)
		for _, u := range took.Recipes {
			uses[strings.TrimSpace(u.Recipe+" "+u.Reason)] += u.Files
			chunks += u.Chunks
			verbatim += u.ChunksStored
		}
		b := doc[listJSON](all.nodes[0], "list").Backups[0]
		if b.NodesDone != i+1 || b.NodesTotal != 3 || *b.Complete != (i == 2) {
			all.t.Errorf("after %d backups: %+v", i+1, b)
		}
	}
	if line := all.nodes[1].ok("list"); !strings.Contains(line, "3 of 3 nodes") {
		all.t.Errorf("list says\n%s", line)
	}
	all.t.Logf("files by recipe: %v; %d chunks", uses, chunks)
	if uses["lz4"] == 0 || uses["derived"] == 0 || chunks == 0 || verbatim != 0 {
		all.t.Errorf("files by recipe: %v; %d of %d chunks kept as they are", uses, verbatim, chunks)
	}
	return hosts
}

// lose writes over rows of the backup, so that what comes back differs from what is last known, and then empties the tables.
func (all *trio) lose() {
	all.t.Helper()
	all.nodes[1].cql(func(s *gocql.Session) error {
		return errors.Join(cassandratest.Fill(s, 99, 500, 700), cassandratest.Delete(s, 900, 950))
	})
	all.nodes[1].truncate()
	for table, rows := range all.nodes[1].dump() {
		if len(rows) > 0 {
			all.t.Fatalf("%d rows in %s after all was lost", len(rows), table)
		}
	}
}

// mustHold compares what is read of one replica of each row, with each node down in turn: then the row is read from the
// other replica, and both have been read alone when all were down once.
func (all *trio) mustHold(want map[string][]string) {
	all.t.Helper()
	for i, n := range all.cluster.Nodes {
		all.start()
		if err := n.Stop(all.t.Context()); err != nil {
			all.t.Fatal(err)
		}
		got := all.nodes[(i+1)%3].dumpAt(gocql.One)
		if diff := cmp.Diff(want, got); diff != "" {
			all.t.Errorf("rows without node %d (-want +got):\n%s", i+1, diff)
		}
	}
}
