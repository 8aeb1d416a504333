package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest/standin"
	"cbk/cassandra/ring"
	"cbk/restore"
)

func TestSixNodesOfThreeDataCentresComeBackOnSixOthers(t *testing.T) {
	newManyNodes(t, 6, t.TempDir()+"/repo").story(4)
}

// story backs the source up in full and again, with a node that dies in the middle and one that is down, keeps the last
// backup, and restores it onto the target. So many nodes are at work at a time.
func (m *manyNodes) story(atOnce int) {
	m.t.Helper()
	n := len(m.source)
	backup := []string{"backup-cluster", "--require", "quorum", "--parallel-snapshots", strconv.Itoa(2 * atOnce), "--parallel-uploads", strconv.Itoa(atOnce), "--tries", "2", "--json"}
	monday := m.killed(append(backup, "--name", "monday"), m.source[n/3])
	tuesday := m.down(append(backup, "--name", "tuesday"), m.source[n/2])
	if tuesday == 0 || tuesday >= monday {
		m.t.Errorf("%d bytes of content were new in the first backup, %d in the second", monday, tuesday)
	}
	if m.coordinate(nil, "check").code != 0 {
		m.t.Error("check found damage")
	}
	m.mustList(map[string]int{"monday": n, "tuesday": n})
	if o := m.coordinate(nil, "purge", "--keep-last", "1", "--yes"); o.code != 0 {
		m.t.Fatal(tail(o.stdout), tail(o.stderr))
	}
	m.mustList(map[string]int{"tuesday": n})
	m.restored(strconv.Itoa(atOnce))
}

// killed backs up while a machine dies: in the middle of its upload, with all that runs there. The same command finds it
// again and completes the backup. It returns the bytes that were new in it.
func (m *manyNodes) killed(backup []string, victim *manyNode) (bytesNew int64) {
	m.t.Helper()
	for _, n := range m.source {
		m.give(n)
	}
	m.give(victim)
	m.give(victim)
	victim.cfg.Limits.Upload = "64KiB" // slow enough to be caught at it
	m.reachable()
	dead := make(chan struct{})
	o := m.coordinate(func(e nodeEventJSON) {
		if e.Address == victim.Address && e.State == "upload" && victim.server != nil {
			server := victim.server
			victim.server = nil
			go func() { defer close(dead); m.kill(victim, server.Stop) }()
		}
	}, backup...)
	if victim.server == nil {
		<-dead
	}
	doc := end[clusterBackupJSON](m, o, exitIncomplete)
	m.mustLack(doc, victim, "failed")
	bytesNew = bytesOf(doc)
	m.mustList(map[string]int{"monday": len(m.source) - 1})
	victim.cfg.Limits.Upload = ""
	m.serve(victim)
	m.reachable()
	doc = end[clusterBackupJSON](m, m.coordinate(nil, backup...), 0)
	m.mustHaveAll(doc)
	return bytesNew + bytesOf(doc)
}

// kill ends a machine when cbk uploads there: first the connection, then each process of cbk, as a power cut does both.
func (m *manyNodes) kill(n *manyNode, disconnect func()) {
	var pids []int
	for deadline := time.Now().Add(time.Minute); len(pids) == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		pids = n.uploads()
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			m.t.Errorf("kill cbk on %s: %v", n.Address, err)
		}
	}
	if len(pids) == 0 {
		m.t.Errorf("no upload was seen on %s", n.Address)
	}
	disconnect()
}

// uploads are the processes of cbk that upload on a node, by its configuration, which nothing else names, and that have its
// files open.
func (n *manyNode) uploads() (pids []int) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		b, err := os.ReadFile(line)
		words := strings.Split(string(b), "\x00")
		if err != nil || filepath.Base(words[0]) != "cbk" || !slices.Contains(words, "upload") || !bytes.Contains(b, []byte(n.config())) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line))); err == nil && reads(pid, n.Data()) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// reads tells whether a process has a file below a directory open.
func reads(pid int, dir string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	return slices.ContainsFunc(links, func(link string) bool {
		to, err := os.Readlink(link)
		return err == nil && strings.HasPrefix(to, dir+"/")
	})
}

// down backs up what was written since, while a node's Cassandra is down, and then with it. It returns the bytes that were new.
func (m *manyNodes) down(backup []string, lame *manyNode) (bytesNew int64) {
	m.t.Helper()
	for _, n := range m.source {
		m.give(n)
	}
	m.must(standin.Run(lame.Dir, []string{"stop"}, io.Discard))
	doc := end[clusterBackupJSON](m, m.coordinate(nil, backup...), exitIncomplete)
	m.mustLack(doc, lame, "down")
	bytesNew = bytesOf(doc)
	m.requests(doc)
	m.mustList(map[string]int{"monday": len(m.source), "tuesday": len(m.source) - 1})
	m.must(standin.Run(lame.Dir, []string{"start"}, io.Discard))
	doc = end[clusterBackupJSON](m, m.coordinate(nil, backup...), 0)
	m.mustHaveAll(doc)
	for _, n := range m.source {
		if left, _ := filepath.Glob(filepath.Join(n.Data(), "*/*/snapshots/*")); len(left) > 0 {
			m.t.Errorf("snapshots left: %v", left)
		}
	}
	return bytesNew + bytesOf(doc)
}

func bytesOf(doc clusterBackupJSON) (bytesNew int64) {
	for _, n := range doc.Nodes {
		bytesNew += n.New
	}
	return bytesNew
}

// mustLack demands that all nodes but one are in, and that it is told why that one is not.
func (m *manyNodes) mustLack(doc clusterBackupJSON, lacks *manyNode, state string) {
	m.t.Helper()
	if doc.Complete || doc.Done != len(m.source)-1 || doc.Total != len(m.source) {
		m.t.Errorf("%d of %d nodes", doc.Done, doc.Total)
	}
	for _, n := range doc.Nodes {
		if is := n.Address == lacks.Address; is != (n.State == state) || is != (n.Error != "") || is == (n.Files > 0) {
			m.t.Errorf("%+v", n)
		}
	}
}

func (m *manyNodes) mustHaveAll(doc clusterBackupJSON) {
	m.t.Helper()
	if !doc.Complete || doc.Done != len(m.source) || doc.Total != len(m.source) || doc.Restorable != ring.All {
		m.t.Errorf("%d of %d nodes, restorable at %s", doc.Done, doc.Total, doc.Restorable)
	}
}

// mustList holds the list of backups, with how many nodes each has.
func (m *manyNodes) mustList(want map[string]int) {
	m.t.Helper()
	got := make(map[string]int)
	for _, b := range end[listJSON](m, m.coordinate(nil, "list", "--json"), 0).Backups {
		got[b.Name] = b.NodesDone
		if b.NodesTotal != len(m.source) || b.Complete == nil || *b.Complete != (b.NodesDone == b.NodesTotal) || b.Damaged > 0 || b.Missing > 0 {
			m.t.Errorf("%+v", b)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Errorf("backups (-want +got):\n%s", diff)
	}
}

// requests tells what the nodes asked of the store, by the metrics that each has left.
func (m *manyNodes) requests(doc clusterBackupJSON) {
	m.t.Helper()
	sum, source, stored := make(map[string]int), int64(0), int64(0)
	for _, n := range m.source {
		b, err := os.ReadFile(n.cfg.MetricsFile)
		m.must(err)
		for line := range strings.Lines(string(b)) {
			if _, rest, ok := strings.Cut(line, `op="`); ok && strings.HasPrefix(line, "cbk_backup_requests{") {
				op, _, _ := strings.Cut(rest, `"`)
				count, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, " "):]))
				m.must(err)
				sum[op] += count
			}
		}
	}
	for _, n := range doc.Nodes {
		source, stored = source+n.Source, stored+n.Stored
	}
	m.t.Logf("the last backup of %d nodes: requests %v, %s of files, %s new, %s put", len(m.source), sum, size(source), size(bytesOf(doc)), size(stored))
	if sum["put"] < len(m.source)-1 {
		m.t.Errorf("requests %v", sum)
	}
}

// restored brings the last backup onto the target, each node in the place of one of the same rack, and commits it.
func (m *manyNodes) restored(parallel string) {
	m.t.Helper()
	words := m.restoreWords(parallel)
	got := end[clusterRestoreJSON](m, m.coordinate(nil, words...), 0)
	if !got.OK || len(got.Nodes) != len(m.target) {
		m.t.Errorf("%t, %d nodes", got.OK, len(got.Nodes))
	}
	for _, n := range got.Nodes {
		if n.Phase != restore.PhaseDone || n.Failures > 0 || len(n.Keeps) == 0 {
			m.t.Errorf("%+v", n)
		}
	}
	members, err := standin.Cluster{Dir: m.path("target")}.Members()
	m.must(err)
	told := make(map[string]standin.Member)
	for _, member := range members {
		told[member.Address] = member
	}
	for i, n := range m.target {
		want, have := m.tableOf(m.source[i]), m.tableOf(n)
		if diff := cmp.Diff(want, have); diff != "" || len(want) < 16 {
			m.t.Errorf("files of %s on %s, %d (-want +got):\n%s", m.source[i].Address, n.Address, len(want), diff)
		}
		took := told[n.Address]
		if diff := cmp.Diff(slices.Sorted(slices.Values(m.source[i].Tokens)), slices.Sorted(slices.Values(took.Tokens))); diff != "" || !took.Up {
			m.t.Errorf("tokens of %s, which is up: %t (-want +got):\n%s", n.Address, took.Up, diff)
		}
	}
	if o := m.coordinate(nil, append(words, "--commit")...); o.code != 0 {
		m.t.Error(tail(o.stdout), tail(o.stderr))
	}
}

// restoreWords are the command that restores the last backup.
func (m *manyNodes) restoreWords(parallel string) []string {
	m.t.Helper()
	return []string{"restore-cluster", "tuesday", "--host-list", m.write("hosts", m.hostsOf(), 0o600), "--key-file", m.path("reader.key"), "--verify", "hashes", "--parallel", parallel, "--yes", "--json"}
}

// hostsOf is a host list: each node of the target takes the place of one of the same rack.
func (m *manyNodes) hostsOf() (hosts string) {
	for i, n := range m.target {
		hosts += fmt.Sprintf("%t,%s,%s\n", i < 3, n.Address, m.source[i].Address)
	}
	return hosts
}

// tableOf hashes the files of the table that differs from node to node.
func (m *manyNodes) tableOf(n *manyNode) map[string]string {
	m.t.Helper()
	files := make(map[string]string)
	collect(m.t, filepath.Join(n.Data(), m.mould.Table), files, func(rel string) (string, bool) { return rel, true })
	for name, content := range files {
		files[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	}
	return files
}
