package sstable_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// A node dies while it compacts. What Live says of its files, and of the log with
// other ends, is what sstableutil of the same Cassandra says.
func TestLiveAgreesWithSSTableUtil(t *testing.T) {
	c := cassandratest.Run(t, cassandratest.Options{DataDirs: 2, ExtraYAML: []string{"compaction_throughput: 1MiB/s"}})
	n := c.Nodes[0]
	log := dieCompacting(t, n)
	unfinished, err := os.ReadFile(log)
	if err != nil || strings.Count(string(unfinished), "\n") != 1 {
		t.Fatalf("log %q, %v", unfinished, err)
	}
	var logs []string
	var removals strings.Builder
	for _, d := range tableDirs(t, n) {
		logs = append(logs, filepath.Join(d.Path, filepath.Base(log)))
		for prefix, r := range sstablesOf(d) {
			if !strings.Contains(string(unfinished), prefix) {
				fmt.Fprintln(&removals, r)
			}
		}
	}
	commit := sstable.LogRecord{Type: sstable.LogCommit}.String()
	ends := []struct{ what, end string }{
		{"cut off within a line", "REMOVE:[/a/b"},
		{"committed", removals.String() + commit + "\n"},
		{"with a changed line", strings.Replace(removals.String(), ",", ",1", 1) + commit + "\n"},
	}
	for _, tt := range ends {
		t.Run(tt.what, func(t *testing.T) {
			for _, log := range logs {
				if err := os.WriteFile(log, []byte(string(unfinished)+tt.end), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			compare(t, n)
		})
	}
	t.Run("committed in one copy", func(t *testing.T) {
		if err := os.WriteFile(logs[0], []byte(string(unfinished)+removals.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(logs[1], []byte(string(unfinished)+removals.String()+commit+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		compareCleanup(t, n)
	})
}

// dieCompacting kills the node in the middle of a compaction and returns its log,
// of which there is one copy until the SSTables read are told.
func dieCompacting(t *testing.T, n *cassandratest.Node) string {
	t.Helper()
	s, err := n.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	exec := func(cql string, args ...any) {
		if err := s.Query(cql, args...).Exec(); err != nil {
			t.Fatalf("%s: %v", cql, err)
		}
	}
	exec("CREATE KEYSPACE z WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	exec("CREATE TABLE z.t (k int PRIMARY KEY, v blob) WITH compression = {'enabled': false}")
	value := make([]byte, 32<<10)
	for round := range 3 {
		for i := range 150 {
			exec("INSERT INTO z.t (k, v) VALUES (?, ?)", 1000*round+i, value)
		}
		nodetool(t, n, "flush", "z")
	}
	compaction := command(n, "nodetool", "compact", "z", "t")
	if err := compaction.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		logs, err := filepath.Glob(n.Dir + "/data/data*/z/t-*/*_txn_compaction_*.log")
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("no compaction began: %v", err)
		}
		if len(logs) == 0 {
			continue
		}
		b, err := os.ReadFile(logs[0])
		if err != nil || len(b) == 0 {
			continue
		}
		r, err := sstable.ParseLogRecord(strings.TrimSuffix(string(b), "\n"))
		if err != nil {
			continue
		}
		if _, err := os.Stat(r.Path + sstable.Data); err != nil {
			continue
		}
		n.Kill()
		// It fails, for its node is gone.
		_ = compaction.Wait()
		return logs[0]
	}
}

func command(n *cassandratest.Node, name string, args ...string) *exec.Cmd {
	return exec.Command(n.Bin(name), args...)
}

func nodetool(t *testing.T, n *cassandratest.Node, args ...string) {
	t.Helper()
	if out, err := command(n, "nodetool", args...).CombinedOutput(); err != nil {
		t.Fatalf("nodetool %s: %v: %s", args, err, out)
	}
}

// tableDirs lists the directories of the table z.t.
func tableDirs(t *testing.T, n *cassandratest.Node) []sstable.Directory {
	t.Helper()
	paths, err := filepath.Glob(n.Dir + "/data/data*/z/t-*")
	if err != nil || len(paths) != 2 {
		t.Fatalf("directories %q, %v", paths, err)
	}
	var dirs []sstable.Directory
	for _, path := range paths {
		d := sstable.Directory{Path: path, Files: make(map[string]time.Time), Logs: make(map[string][]byte)}
		entries, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if !info.Mode().IsRegular() {
				continue
			}
			d.Files[e.Name()] = info.ModTime()
			if sstable.IsLog(e.Name()) {
				if d.Logs[e.Name()], err = os.ReadFile(filepath.Join(path, e.Name())); err != nil {
					t.Fatal(err)
				}
			}
		}
		dirs = append(dirs, d)
	}
	return dirs
}

// sstablesOf makes a removal of each SSTable in a directory.
func sstablesOf(d sstable.Directory) map[string]sstable.LogRecord {
	all := make(map[string]sstable.LogRecord)
	for name, modified := range d.Files {
		desc, component, err := sstable.ParseName(name)
		if err != nil {
			continue
		}
		r := all[desc.Prefix()]
		r.Type, r.Path = sstable.LogRemove, filepath.Join(d.Path, desc.Prefix())
		r.Files++
		if component != sstable.Statistics {
			r.UpdateTime = max(r.UpdateTime, modified.UnixMilli())
		}
		all[desc.Prefix()] = r
	}
	return all
}

// compare asks Live and sstableutil of the same files.
func compare(t *testing.T, n *cassandratest.Node) {
	t.Helper()
	dirs := tableDirs(t, n)
	out, toolErr := command(n, "sstableutil", "-t", "final", "z", "t").CombinedOutput()
	live, err := sstable.Live(dirs)
	if (err != nil) != (toolErr != nil) || err != nil && !errors.Is(err, sstable.ErrDamagedLog) {
		t.Fatalf("%v, and sstableutil: %v: %s", err, toolErr, out)
	}
	if err != nil {
		return
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, n.Dir) {
			want = append(want, line)
		}
	}
	compareFiles(t, want, live, dirs)
}

// compareCleanup has sstableutil remove what is left over, as a node does when it
// starts. It looks at all copies of a log, which its list does not.
func compareCleanup(t *testing.T, n *cassandratest.Node) {
	t.Helper()
	dirs := tableDirs(t, n)
	live, err := sstable.Live(dirs)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := command(n, "sstableutil", "-c", "z", "t").CombinedOutput(); err != nil {
		t.Fatalf("sstableutil: %v: %s", err, out)
	}
	var want []string
	for _, d := range tableDirs(t, n) {
		for name := range d.Files {
			want = append(want, filepath.Join(d.Path, name))
		}
	}
	compareFiles(t, want, live, dirs)
}

// compareFiles holds what Live left of directories against the right files, of
// which there must be some, and not all.
func compareFiles(t *testing.T, want []string, live [][]string, dirs []sstable.Directory) {
	t.Helper()
	var got []string
	all := 0
	for i, names := range live {
		all += len(dirs[i].Files) - len(dirs[i].Logs)
		for _, name := range names {
			got = append(got, filepath.Join(dirs[i].Path, name))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 || len(got) == all {
		t.Errorf("%d of %d files (-sstableutil +live):\n%s", len(got), all, diff)
	}
}
