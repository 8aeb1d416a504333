package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cbk/cassandra/cassandratest"
)

// anyNode is the host id of a node of files.
const anyNode = "11111111-2222-3333-4444-555555555555"

// anew makes the repository of a rig again, and forgets what is known of the old one.
func (r *rig) anew() {
	r.t.Helper()
	if err := errors.Join(os.RemoveAll(r.path("repo")), os.RemoveAll(r.path("state"))); err != nil {
		r.t.Fatal(err)
	}
	r.ok("init")
}

// timed is how long a command takes, which must succeed.
func timed(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return time.Since(start)
}

// BenchmarkBackupBesideTar backs 1 GB of generated SSTables up into a new repository in a directory, as they are, in
// turn with what a shell has for the same work. x-tar is the median of the times of backup over the times beside them.
func BenchmarkBackupBesideTar(b *testing.B) {
	r := stoppedRig(b, nil)
	table := r.path("data/shop/docs-" + strings.Repeat("0d", 16))
	made, err := cassandratest.Generate(b.Context(), r.path("made"), cassandratest.Docs, 2_000_000, time.Now().UnixNano(), cassandratest.GenerateOptions{})
	if err == nil {
		err = errors.Join(os.Mkdir(filepath.Dir(table), 0o755), os.Rename(made, table))
	}
	if err != nil {
		b.Fatal(err)
	}
	var ratios []float64
	for b.Loop() {
		r.anew()
		tar := timed(b, exec.Command("bash", "-o", "pipefail", "-c", "tar c "+table+" | zstd -1 -T2 | sha256sum"))
		backup := timed(b, r.command("backup", "--offline", "--node", anyNode, "--recipe", "blobs"))
		b.Logf("tar, zstd, sha256sum %.2f s; backup %.2f s", tar.Seconds(), backup.Seconds())
		ratios = append(ratios, backup.Seconds()/tar.Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "x-tar")
}

// BenchmarkManySSTables backs up 500 tables of 20 small SSTables, some 80,000 files, and then again with nothing new.
// The files are copies of real SSTables, each with an inode of its own.
func BenchmarkManySSTables(b *testing.B) {
	r := stoppedRig(b, nil)
	files := r.manySSTables(500, 20)
	settle()
	for b.Loop() {
		r.anew()
		for _, name := range []string{"first", "second"} {
			start := time.Now()
			peak := r.watched("backup", "--offline", "--node", anyNode, "--name", name)
			b.ReportMetric(time.Since(start).Seconds(), name+"-s")
			b.ReportMetric(float64(peak>>20), name+"-MiB")
		}
	}
	b.ReportMetric(float64(files), "files")
}

// manySSTables fills the data directory of a rig and returns the number of files.
func (r *rig) manySSTables(tables, each int) (files int) {
	r.t.Helper()
	small := slices.DeleteFunc(cassandratest.Fixtures(r.t, "5.0.6", "oa"), func(f cassandratest.Fixture) bool {
		data, err := os.Stat(f.Component("Data.db"))
		return err != nil || data.Size() > 64<<10 || strings.Contains(f.Table, ".")
	})
	for i := range tables * each {
		f := small[i%len(small)]
		dir := r.path(fmt.Sprintf("data/ks%d/t%03d-%032x", i/each%5, i/each, i/each))
		components, err := filepath.Glob(f.Component("*"))
		if err = errors.Join(err, os.MkdirAll(dir, 0o755)); err != nil {
			r.t.Fatal(err)
		}
		for _, c := range components {
			content, err := os.ReadFile(c)
			to := filepath.Join(dir, fmt.Sprintf("oa-%d-big-%s", i%each+1, strings.TrimPrefix(filepath.Base(c), f.Prefix)))
			if err = errors.Join(err, os.WriteFile(to, content, 0o644)); err != nil {
				r.t.Fatal(err)
			}
			files++
		}
	}
	return files
}

// BenchmarkSecondBackupOfARealNode backs 1 GB up from a running node and then again with nothing new. over-nodetool-s is
// how much longer the second takes than nodetool does for it.
func BenchmarkSecondBackupOfARealNode(b *testing.B) {
	r := newRig(b)
	r.shop(20)
	made, err := cassandratest.Generate(b.Context(), r.path("made"), cassandratest.Docs, 2_000_000, time.Now().UnixNano(), cassandratest.GenerateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	settle()
	r.wrapNodetool(fmt.Sprintf(`began=$(date +%%s%%N)
nodetool "$@"; code=$?
if [ "$1" = snapshot ]; then for f in %s/*; do b=$(basename $f); ln $f "$(echo %s/shop/files-*/snapshots/$TAG)/${b%%%%-*}-9000${b#*-}"; done; fi
echo $(( $(date +%%s%%N) - began )) >>%s
exit $code`, made, r.dataDirs()[0], r.path("times")))
	r.ok("backup", "--name", "first")
	settle()
	var over []float64
	for b.Loop() {
		if err := os.RemoveAll(r.path("times")); err != nil {
			b.Fatal(err)
		}
		took := timed(b, r.command("backup"))
		nodetool := r.timesOfNodetool()
		b.Logf("backup %.2f s, of it nodetool %.2f s", took.Seconds(), nodetool.Seconds())
		over = append(over, (took - nodetool).Seconds())
	}
	slices.Sort(over)
	b.ReportMetric(over[len(over)/2], "over-nodetool-s")
}

// timesOfNodetool adds up what the wrapper wrote down.
func (r *rig) timesOfNodetool() (sum time.Duration) {
	for _, n := range r.timesIn("times") {
		sum += time.Duration(n)
	}
	return sum
}

// timesIn reads the numbers of a file, nanoseconds.
func (r *rig) timesIn(name string) (all []int64) {
	r.t.Helper()
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, line := range strings.Fields(string(text)) {
		n, err := strconv.ParseInt(line, 10, 64)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}
