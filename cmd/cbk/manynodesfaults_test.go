package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"cbk/restore"
)

// endedAt runs a command of the coordinator and sends it a signal when a node comes to a state. It returns the exit code, -1
// where the signal was the end of it.
func (m *manyNodes) endedAt(state string, signal os.Signal, args ...string) int {
	m.t.Helper()
	cmd := m.command(args...)
	pipe, err := cmd.StderrPipe()
	m.must(err)
	var said bytes.Buffer
	m.must(cmd.Start())
	var once sync.Once
	m.must(listen(pipe, &said, func(e nodeEventJSON) {
		if e.State == state {
			once.Do(func() { m.must(cmd.Process.Signal(signal)) })
		}
	}))
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) {
		m.t.Fatalf("ended at %s: %v\n%s", state, err, tail(said.String()))
	}
	return exit.ExitCode()
}

// killedAt kills the coordinator.
func (m *manyNodes) killedAt(state string, args ...string) {
	m.t.Helper()
	if code := m.endedAt(state, os.Kill, args...); code != -1 {
		m.t.Fatalf("at %s it had ended with %d", state, code)
	}
}

// settled waits until no phase runs on any node: they end when they find the coordinator gone.
func (m *manyNodes) settled() {
	m.t.Helper()
	until(m.t, "the phases on the nodes have ended", func() bool {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, line := range lines {
			if b, err := os.ReadFile(line); err == nil && strings.Contains(string(b), "--leash") && strings.Contains(string(b), m.dir) {
				return false
			}
		}
		return true
	})
}

// snapshotsLeft are the directories of snapshots on all nodes of the source.
func (m *manyNodes) snapshotsLeft() (left []string) {
	for _, n := range m.source {
		found, _ := filepath.Glob(filepath.Join(n.Data(), "*/*/snapshots/*"))
		left = append(left, found...)
	}
	return left
}

// TestACoordinatorThatIsKilledIsFollowedByAnother kills the coordinator in each phase of a backup and of a restore. Whoever
// gives the same command again goes on.
func TestACoordinatorThatIsKilledIsFollowedByAnother(t *testing.T) {
	m := newManyNodes(t, 6, t.TempDir()+"/repo")
	m.giveAll()
	backup := []string{"backup-cluster", "--name", "tuesday", "--parallel-uploads", "2", "--json"}
	for _, state := range []string{"snapshot", "ready", "upload", "done"} {
		m.killedAt(state, backup...)
		m.settled()
	}
	m.mustHaveAll(end[clusterBackupJSON](m, m.coordinate(nil, backup...), 0))
	if left := m.snapshotsLeft(); len(left) > 0 {
		t.Errorf("snapshots left: %v", left)
	}
	m.mustList(map[string]int{"tuesday": 6})
	words := m.restoreWords("2")
	ids := make(map[string]bool)
	for _, state := range []string{"fetch", "fetched", "switch", "start", "verify"} {
		m.killedAt(state, words...)
		m.settled()
		for _, id := range m.underWay() {
			ids[id] = true
		}
	}
	swapped := m.write("swapped", strings.NewReplacer(m.source[0].Address, m.source[3].Address, m.source[3].Address, m.source[0].Address).Replace(m.hostsOf()), 0o600)
	m.fails(exitUsage, []string{"take the place of"}, "restore-cluster", "tuesday", "--host-list", swapped, "--key-file", m.path("reader.key"), "--yes")
	m.restored("2")
	if len(ids) != 1 {
		t.Errorf("restores were begun: %v", ids)
	}
}

// giveAll gives every node of the source two SSTables.
func (m *manyNodes) giveAll() {
	m.t.Helper()
	for _, n := range m.source {
		m.give(n)
		m.give(n)
	}
}

// TestAnInterruptedBackupOfAClusterLeavesNoSnapshot interrupts the coordinator, as Ctrl-C does, and looks for what is left.
func TestAnInterruptedBackupOfAClusterLeavesNoSnapshot(t *testing.T) {
	m := newManyNodes(t, 6, t.TempDir()+"/repo")
	for i, state := range []string{"snapshot", "ready", "upload"} {
		m.giveAll()
		name := fmt.Sprint("b", i)
		if code := m.endedAt(state, os.Interrupt, "backup-cluster", "--name", name, "--parallel-uploads", "1", "--limit-upload", "64KiB"); code != exitInterrupted {
			t.Errorf("%s: exit %d", state, code)
		}
		if left := m.snapshotsLeft(); len(left) > 0 {
			t.Errorf("%s: snapshots left: %v", state, left)
		}
	}
	m.mustHaveAll(end[clusterBackupJSON](m, m.coordinate(nil, "backup-cluster", "--name", "b2", "--json"), 0))
}

// underWay are the restores that the nodes of the target know.
func (m *manyNodes) underWay() (ids []string) {
	m.t.Helper()
	for _, n := range m.target {
		all, err := restore.Journals(n.cfg.StateDir)
		m.must(err)
		for _, j := range all {
			ids = append(ids, j.Plan.ID)
		}
	}
	return ids
}

// TestACutConnectionIsNoFailedNode cuts every connection while nodes upload.
func TestACutConnectionIsNoFailedNode(t *testing.T) {
	m := newManyNodes(t, 6, t.TempDir()+"/repo")
	cut := make(map[string]bool)
	o := m.coordinate(func(e nodeEventJSON) {
		for _, n := range m.source {
			if n.Address == e.Address && e.State == "upload" && !cut[e.Address] {
				cut[e.Address] = true
				n.server.Cut()
			}
		}
	}, "backup-cluster", "--name", "tuesday", "--json")
	m.mustHaveAll(end[clusterBackupJSON](m, o, 0))
	if len(cut) != 6 || !strings.Contains(o.stderr, "connection lost") {
		t.Errorf("%d connections were cut\n%s", len(cut), tail(o.stderr))
	}
	if left := m.snapshotsLeft(); len(left) > 0 {
		t.Errorf("snapshots left: %v", left)
	}
}

// TestADiskThatIsFullOnOneNodeChangesNothingOnAny lets a disk fill while the node fetches, which no look beforehand can see.
// It needs the right to mount; without it, it fails rather than be skipped.
func TestADiskThatIsFullOnOneNodeChangesNothingOnAny(t *testing.T) {
	m := newManyNodes(t, 3, t.TempDir()+"/repo")
	m.giveAll()
	m.mustHaveAll(end[clusterBackupJSON](m, m.coordinate(nil, "backup-cluster", "--name", "tuesday", "--json"), 0))
	full := m.target[1]
	data := full.Data()
	size := fmt.Sprintf("size=%d", m.blocksOf(data)+(64<<10))
	m.must(os.Rename(data, data+".kept"))
	m.must(os.Mkdir(data, 0o755))
	m.must(unix.Mount("tmpfs", data, "tmpfs", 0, size))
	t.Cleanup(func() {
		if err := unix.Unmount(data, 0); err != nil {
			t.Error(err)
		}
	})
	m.must(os.CopyFS(data, os.DirFS(data+".kept")))
	before := m.trees()
	words := m.restoreWords("3")
	o := m.coordinate(nil, words...)
	got := end[clusterRestoreJSON](m, o, exitFailed)
	if got.OK || !strings.Contains(o.stderr, "nothing was changed on any node") {
		t.Errorf("%+v\n%s", got, tail(o.stderr))
	}
	for _, n := range got.Nodes {
		if is := n.Address == full.Address; is != (n.Error != "") || n.Phase == restore.PhaseStart {
			t.Errorf("%+v", n)
		}
	}
	if o := m.coordinate(nil, append(words, "--rollback")...); o.code != 0 {
		t.Fatal(tail(o.stdout), tail(o.stderr))
	}
	if diff := cmp.Diff(before, m.trees()); diff != "" {
		t.Errorf("files (-before +after):\n%s", diff)
	}
	m.must(unix.Mount("tmpfs", data, "tmpfs", unix.MS_REMOUNT, "size=256m"))
	m.restored("3")
}

// blocksOf is what a directory takes of a file system with pages of 4 KiB.
func (m *manyNodes) blocksOf(dir string) (bytes int64) {
	m.t.Helper()
	m.must(filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			bytes += 4096 + (info.Size()+4095)/4096*4096
		}
		return err
	}))
	return bytes
}

// trees are the inodes of all files of the target's data directories.
func (m *manyNodes) trees() map[string]uint64 {
	m.t.Helper()
	inodes := make(map[string]uint64)
	for _, n := range m.target {
		m.must(filepath.Walk(n.Data(), func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().IsRegular() {
				var st unix.Stat_t
				err = unix.Stat(path, &st)
				inodes[path] = st.Ino
			}
			return err
		}))
	}
	return inodes
}
