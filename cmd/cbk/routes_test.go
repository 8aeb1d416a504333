package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
)

// routes is a node that SSTables reach in every way, and a second one that joins it later. Both have one repository.
type routes struct {
	t     *testing.T
	nodes []*rig
	steps []step
}

// step is a backup, named after what came before it, and the files of its snapshot by name with their SHA-256.
type step struct {
	rig   *rig
	after string
	files map[string]string
}

func newRoutes(t *testing.T) *routes {
	t.Helper()
	c, err := cassandratest.New(t.TempDir(), cassandratest.Options{Nodes: 2, DataDirs: 2, Cluster: "routes", ExtraYAML: patient()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	x := &routes{t: t}
	for _, n := range c.Nodes {
		r := rigOf(t, n)
		x.nodes = append(x.nodes, r)
		r.cfg.Repository = x.nodes[0].path("repo")
		r.save()
	}
	x.start(0)
	x.nodes[0].ok("init", "--pack-size", "1MiB")
	x.nodes[0].cql(func(s *gocql.Session) error { return cassandratest.CreateShop(s, 1) })
	return x
}

func (x *routes) start(n int) {
	x.t.Helper()
	if err := x.nodes[n].node.Start(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
}

// fill writes rows. The snapshot of the next backup flushes them.
func (x *routes) fill(from, to int) {
	x.t.Helper()
	x.nodes[0].cql(func(s *gocql.Session) error { return cassandratest.Fill(s, uint64(from), from, to) })
}

// backup backs up a node and takes down what its snapshot held. Data of the shop must have come or gone since the node's
// last backup: else what happened in between is no test.
func (x *routes) backup(n int, after string) map[string]string {
	x.t.Helper()
	r := x.nodes[n]
	took := doc[backupJSON](r, "backup", "--name", after, "--keep-snapshot")
	s := step{r, after, r.snapshot(took.SnapshotLeft, r.dataDirs()...)}
	for name, content := range s.files {
		s.files[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	}
	if len(s.files) != took.Files || took.Damaged != 0 {
		x.t.Errorf("after %s: %d files in the snapshot, the backup says %d, %d SSTables damaged", after, len(s.files), took.Files, took.Damaged)
	}
	last := x.last(n)
	if slices.Equal(dataOf(s.files), dataOf(last.files)) {
		x.t.Errorf("%s has changed nothing", after)
	}
	if last.files != nil && took.Unchanged == 0 {
		x.t.Errorf("after %s no file is taken for unchanged", after)
	}
	x.steps = append(x.steps, s)
	return s.files
}

// mustLackTOC fails the test unless SSTables of the last backup were streamed as whole files, which Cassandra leaves without
// TOC.txt.
func (x *routes) mustLackTOC() {
	x.t.Helper()
	files := x.last(0).files
	for _, data := range dataOf(files) {
		name, _, _ := strings.Cut(data, "Data.db ")
		if _, ok := files[name+"TOC.txt"]; !ok {
			return
		}
	}
	x.t.Error("every SSTable has TOC.txt: none was streamed as whole files")
}

// last is the last backup of a node.
func (x *routes) last(n int) (last step) {
	for _, s := range x.steps {
		if s.rig == x.nodes[n] {
			last = s
		}
	}
	return last
}

// dataOf lists the Data.db of the shop, each with its hash.
func dataOf(files map[string]string) (data []string) {
	for name, hash := range files {
		if strings.HasPrefix(name, "shop/") && strings.HasSuffix(name, "-Data.db") {
			data = append(data, name+" "+hash)
		}
	}
	slices.Sort(data)
	return data
}

// restored restores the first backup, whose files are to come back in other ways, and returns the directories of the tables.
func (x *routes) restored() map[string]string {
	x.t.Helper()
	out := x.nodes[0].path("first")
	x.nodes[0].ok("restore", x.steps[0].after, "--to", out)
	dirs := make(map[string]string)
	for _, table := range cassandratest.Tables() {
		dirs[table] = glob(x.t, out+"/shop/"+table+"-*")[0]
	}
	return dirs
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v, %v", pattern, found, err)
	}
	return found
}

// refresh puts the files of a directory among the live ones of a table, under an id that is free, and has them loaded.
func (x *routes) refresh(dir, table string) {
	x.t.Helper()
	live := glob(x.t, x.nodes[0].dataDirs()[0]+"/shop/"+table+"-*")[0]
	for _, file := range glob(x.t, dir+"/nb-*") {
		version, rest, _ := strings.Cut(filepath.Base(file), "-")
		if err := os.Rename(file, filepath.Join(live, version+"-9"+rest)); err != nil {
			x.t.Fatal(err)
		}
	}
	x.nodes[0].nodetool("refresh", "shop", table)
}

// load streams the files of a directory to the node.
func (x *routes) load(dir string) {
	x.t.Helper()
	n := x.nodes[0].node
	out, err := exec.Command(n.Bin("sstableloader"), "-d", n.Address, "-f", n.YAML(), "--no-progress", dir).CombinedOutput()
	if err != nil {
		x.t.Fatalf("sstableloader: %v\n%s", err, out)
	}
}

// restart stops a node with nothing left to replay and starts it.
func (x *routes) restart(n int) {
	x.t.Helper()
	x.nodes[n].nodetool("drain")
	if err := x.nodes[n].node.Stop(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
	x.start(n)
}

// join has the second node stream what it owns from the first.
func (x *routes) join() {
	x.t.Helper()
	n := x.nodes[1].node
	b, err := os.ReadFile(n.YAML())
	if err != nil {
		x.t.Fatal(err)
	}
	// A seed does not bootstrap.
	text := strings.Replace(string(b), "auto_bootstrap: false", "auto_bootstrap: true", 1)
	text = strings.Replace(text, ","+n.Address+"'", "'", 1)
	if err := os.WriteFile(n.YAML(), []byte(text), 0o644); err != nil {
		x.t.Fatal(err)
	}
	x.start(1)
}

// TestSSTablesThatCameByAnyRouteAreBackedUp lets SSTables come and go in every way between two backups. Each backup must
// hold exactly its snapshot, and still when all the others were made.
func TestSSTablesThatCameByAnyRouteAreBackedUp(t *testing.T) {
	x := newRoutes(t)
	one := x.nodes[0]
	x.fill(0, 300)
	first := x.backup(0, "flush")
	x.fill(150, 450)
	x.backup(0, "a second flush")
	one.nodetool("compact", "shop")
	x.backup(0, "compaction")
	old := x.restored()
	one.nodetool("import", "shop", "files", old["files"])
	x.backup(0, "import")
	x.refresh(old["readings"], "readings")
	x.backup(0, "refresh")
	x.load(old["customers"])
	x.backup(0, "sstableloader")
	x.mustLackTOC()
	one.nodetool("upgradesstables", "-a", "shop")
	x.backup(0, "upgradesstables")
	one.nodetool("scrub", "--no-snapshot", "shop")
	x.backup(0, "scrub")
	x.empty(first)
	x.again()
	x.two()
	x.mustComeBack()
}

// empty truncates the tables. After a restart Cassandra counts from 1: the names are those of the first backup.
func (x *routes) empty(first map[string]string) {
	x.t.Helper()
	x.nodes[0].truncate()
	if left := dataOf(x.backup(0, "TRUNCATE")); len(left) > 0 {
		x.t.Errorf("after TRUNCATE: %v", left)
	}
	x.restart(0)
	x.fill(1000, 1300)
	reused := 0
	for name, hash := range x.backup(0, "flush after TRUNCATE") {
		if old, ok := first[name]; ok && old != hash && strings.HasSuffix(name, "-Data.db") && strings.HasPrefix(name, "shop/") {
			reused++
		}
	}
	if reused == 0 {
		x.t.Error("no name was given to another Data.db")
	}
}

// again makes the tables anew under their names.
func (x *routes) again() {
	x.t.Helper()
	old := x.last(0).files
	x.nodes[0].cql(func(s *gocql.Session) error {
		return errors.Join(s.Query("DROP KEYSPACE shop").Exec(), cassandratest.CreateShop(s, 1))
	})
	x.fill(0, 300)
	for name := range x.backup(0, "DROP and CREATE") {
		if _, ok := old[name]; ok && strings.HasPrefix(name, "shop/") {
			x.t.Errorf("%s is of a table that was dropped", name)
		}
	}
}

// two lets SSTables be streamed to a second node.
func (x *routes) two() {
	x.t.Helper()
	x.join()
	x.backup(1, "bootstrap")
	x.nodes[0].nodetool("cleanup", "shop")
	x.backup(0, "cleanup")
	x.nodes[0].cql(func(s *gocql.Session) error {
		return s.Query("ALTER KEYSPACE shop WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 2}").Exec()
	})
	x.nodes[1].nodetool("repair", "shop")
	x.backup(0, "repair of the first node")
	x.backup(1, "repair of the second node")
}

// mustComeBack restores every backup and compares it with what its snapshot held.
func (x *routes) mustComeBack() {
	x.t.Helper()
	x.nodes[0].ok("check", "--read-data")
	for _, s := range x.steps {
		out := s.rig.path("out")
		s.rig.ok("restore", s.after, "--to", out)
		got := make(map[string]string)
		collect(x.t, out, got, func(rel string) (string, bool) { return rel, true })
		for name, content := range got {
			got[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
		}
		if diff := cmp.Diff(s.files, got); diff != "" {
			x.t.Errorf("the backup after %s (-snapshot +restored):\n%s", s.after, diff)
		}
		if err := os.RemoveAll(out); err != nil {
			x.t.Fatal(err)
		}
	}
}
