package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/restore"
)

// TestEveryCommandOfTheRunbookDoesWhatItSays runs the blocks of docs/restore.md case by case: on the shared node, on a
// second cluster of one node, and on a bucket with object lock.
func TestEveryCommandOfTheRunbookDoesWhatItSays(t *testing.T) {
	page, err := os.ReadFile("../../docs/restore.md")
	if err != nil {
		t.Fatal(err)
	}
	book, err := readRunbook(string(page))
	if err != nil {
		t.Fatal(err)
	}
	for _, lost := range book.unknown(runbookCases()) {
		t.Error(lost)
	}
	r := newRig(t)
	r.shop(1000)
	s := &scene{book: book, shared: r, monday: r.dump()}
	r.ok("backup", "--name", "monday")
	for _, c := range runbookCases() {
		t.Run(c.name, func(t *testing.T) { s.play(t, c) })
	}
}

// runbookCases are the cases, in an order in which each begins with what the one before has left.
func runbookCases() []caseOf {
	return []caseOf{
		{"first", once}, {"files", once}, {"drill", once}, {"import", (*desk).imports}, {"verify", once}, {"damaged", (*desk).damaged},
		{"in-place", (*desk).inPlace}, {"interrupted", (*desk).interrupted}, {"undo", (*desk).undone}, {"tables", (*desk).tables},
		{"whole", (*desk).whole}, {"cluster", (*desk).cluster}, {"clone", (*desk).clone}, {"attack", (*desk).attacked},
	}
}

func once(d *desk) { d.next() }

// mustBeMonday compares every row of the node with those of the backup.
func (d *desk) mustBeMonday() {
	d.t.Helper()
	if diff := cmp.Diff(d.monday, d.dump()); diff != "" {
		d.t.Errorf("not as it was on Monday (-want +got):\n%.2000s", diff)
	}
}

// imports loses a table, spoils it, and looks at Monday's beside it.
func (d *desk) imports() {
	d.exec("DROP TABLE shop.customers")
	d.next()
	d.mustBeMonday()
	d.exec("UPDATE shop.customers SET name = 'wrong' WHERE id = 7", "INSERT INTO shop.customers (id) VALUES (-1)")
	d.next()
	d.mustBeMonday()
	d.next()
	d.next()
	d.mustBeMonday()
}

// inPlace has the node lose its disk.
func (d *desk) inPlace() {
	if err := d.node.Stop(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	for _, dir := range d.dataDirs() {
		if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
			d.t.Fatal(err)
		}
	}
	d.next()
	d.mustBeMonday()
}

func (d *desk) interrupted() {
	d.exec("DELETE FROM shop.customers WHERE id = 7")
	d.killed()
	d.next()
	d.mustBeMonday()
}

// killed begins the restore of the page and kills it while Cassandra is being started.
func (d *desk) killed() {
	d.t.Helper()
	start := d.cfg.Cassandra.Start
	d.cfg.Cassandra.Start = []string{d.write("start", "#!/bin/sh\ncd "+d.dir+"\necho $$ >starts\nmv starts starting\nexec sleep 60\n", 0o755)}
	d.save()
	cmd := d.command("restore", "monday", "--in-place", "--yes")
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	for _, err := os.Stat(d.path("starting")); err != nil; _, err = os.Stat(d.path("starting")) {
		time.Sleep(10 * time.Millisecond)
	}
	pid, err := os.ReadFile(d.path("starting"))
	if err == nil {
		err = errors.Join(cmd.Process.Kill(), ignoreExit(cmd.Wait()), kill(string(pid)))
	}
	if err != nil {
		d.t.Fatal(err)
	}
	d.cfg.Cassandra.Start = start
	d.save()
}

func kill(pid string) error {
	n, err := strconv.Atoi(strings.TrimSpace(pid))
	if err != nil {
		return err
	}
	return syscall.Kill(n, syscall.SIGKILL)
}

// undone takes back the restore of interrupted: what was deleted before it is deleted again.
func (d *desk) undone() {
	d.set("ID=" + d.id())
	d.next()
	if rows := d.query("SELECT id FROM shop.customers WHERE id = 7"); len(rows) != 0 {
		d.t.Errorf("what was deleted before is there: %v", rows)
	}
}

func (d *desk) tables() {
	d.next()
	d.mustBeMonday()
}

// damaged has two copies of the repository with the same damage, in the blob of shop.files, which is most of its pack: one
// is healed by the node, of the other is given up what is lost.
func (d *desk) damaged() {
	for i, name := range []string{"healed", "lost"} {
		if out, err := exec.Command("cp", "-a", d.path("repo"), d.path(name)).CombinedOutput(); err != nil {
			d.t.Fatalf("%v: %s", err, out)
		}
		flip(d.t, largest(d.t, d.path(name)+"/packs/*/*"), middle)
		d.set("CBK_REPO="+d.path(name), "CBK_STATE_DIR="+d.path("state-of-"+name))
		for range 2 - i {
			d.next()
		}
	}
}

// whole has the node restored by SSH, from another machine than itself.
func (d *desk) whole() {
	d.truncate()
	onNode := *d.rig
	onNode.dir = d.t.TempDir()
	onNode.cfg.PassphraseFile = ""
	onNode.save()
	d.reach(&onNode)
	d.cfg.StateDir, d.cfg.Cassandra = d.path("elsewhere"), cassandraConfig{}
	d.save()
	d.next()
	d.cfg = d.scene.shared.cfg
	d.save()
	d.mustBeMonday()
}

// cluster has the node restored by an order, without a key of its own.
func (d *desk) cluster() {
	d.truncate()
	d.guest()
	d.set("NODE=" + d.node.Address)
	d.next()
	d.set("ID=" + d.id())
	d.next()
	d.mustBeMonday()
}

// guest writes the configuration that ssh uses on the node: it has no key.
func (d *desk) guest() {
	d.t.Helper()
	key := d.cfg.PassphraseFile
	d.cfg.PassphraseFile = ""
	d.save()
	if err := os.Rename(d.path("cbk.yaml"), d.path(d.node.Address+".yaml")); err != nil {
		d.t.Fatal(err)
	}
	d.cfg.PassphraseFile = key
	d.save()
}

// clone has a node of another cluster, in a data centre and a rack of other names, take over the tokens. The shared node is
// down meanwhile.
func (d *desk) clone() {
	old := d.rig
	if err := old.node.Stop(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	defer func() {
		if err := old.node.Start(d.t.Context()); err != nil {
			d.t.Error(err)
		}
	}()
	cluster := cassandratest.Run(d.t, cassandratest.Options{Cluster: "second", DCs: []string{"dc2"}, Racks: []string{"r1"}, Vnodes: 16})
	defer cluster.Stop()
	d.rig = rigOf(d.t, cluster.Nodes[0])
	d.cfg.Repository = old.cfg.Repository
	d.save()
	d.open("10.0.0.1", old.node.Address, "10.0.1.1", d.node.Address)
	d.guest()
	d.set("NEW=" + d.node.Address)
	d.next()
	d.next()
	d.set("ID=" + d.id())
	d.next()
	d.exec(d.statements()...)
	d.next()
	d.mustBeMonday()
	if yaml, err := os.ReadFile(d.node.YAML()); err != nil || strings.Contains(string(yaml), "cbk") {
		d.t.Errorf("what the first start needed is left: %v\n%s", err, yaml)
	}
}

// statements are those that the plan lists.
func (d *desk) statements() []string {
	d.t.Helper()
	b, err := os.ReadFile(filepath.Join(d.at, "plan.json"))
	var plan restore.ClusterPlan
	if err == nil {
		err = json.Unmarshal(b, &plan)
	}
	if err != nil || len(plan.Statements) == 0 {
		d.t.Fatalf("%v: %s", err, b)
	}
	return plan.Statements
}

// attacked has a bucket of which every object was deleted.
func (d *desk) attacked() {
	r, a := lockedRig(d.t, realFiles(d.t, "flush", "lz4_16"))
	r.offline("monday")
	for _, name := range a.names("") {
		a.hide(name)
	}
	d.rig = r
	d.open()
	d.next()
}
