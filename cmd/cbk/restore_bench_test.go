package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"cbk/cassandra/cassandratest"
	"cbk/snapshot"
)

// BenchmarkRestoreInPlace restores a real node with 1 GB of generated rows from a repository in a directory, in turn with
// what a shell has for the same files: once stored as they are, once by default, where Cassandra's compression has to be
// done again. x-cp is the median of the times of restore, less those of stopping and starting Cassandra alone, over the
// times of cp -r and sync; swap-s the longest time between the end of the one command and the begin of the other; MiB the
// highest resident memory.
func BenchmarkRestoreInPlace(b *testing.B) {
	cluster := cassandratest.Run(b, cassandratest.Options{Heap: "1G", ExtraYAML: []string{"storage_compatibility_mode: NONE"}})
	r := rigOf(b, cluster.Nodes[0])
	r.bulk(2_000_000)
	r.stamped()
	for _, recipe := range []string{snapshot.RecipeBlobs, snapshot.RecipeAuto} {
		r.anew()
		r.ok("backup", "--name", "b", "--recipe", recipe)
		b.Run(recipe, func(b *testing.B) {
			var ratios, swaps, peaks []float64
			for b.Loop() {
				ratio, swap, peak := r.beside(b)
				ratios, swaps, peaks = append(ratios, ratio), append(swaps, swap), append(peaks, peak)
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x-cp")
			b.ReportMetric(slices.Max(swaps), "swap-s")
			b.ReportMetric(slices.Max(peaks), "MiB")
		})
	}
}

// beside restores once, and copies the same files.
func (r *rig) beside(b *testing.B) (ratio, swap, peak float64) {
	b.Helper()
	alone := r.restarted(b)
	copied := timed(b, exec.Command("bash", "-c", fmt.Sprintf("rm -rf %[1]s && cp -r %[2]s %[1]s && sync", r.path("copy"), r.dataDirs()[0])))
	if err := os.RemoveAll(r.path("stamps")); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	peak = float64(r.watched("restore", "b", "--in-place", "--yes") >> 20)
	took := time.Since(began)
	stamps := r.timesIn("stamps")
	swap = time.Duration(stamps[1] - stamps[0]).Seconds()
	b.Logf("cp -r and sync %.2f s; stop and start %.2f s; restore %.2f s, of it between stop and start %.2f s", copied.Seconds(), alone.Seconds(),
		took.Seconds(), swap)
	r.ok("restore", "--commit", "--yes")
	return (took - alone).Seconds() / copied.Seconds(), swap, peak
}

// bulk has the node take generated SSTables in, and leave them as they are: it would compact them beside the restore.
func (r *rig) bulk(rows int64) {
	r.t.Helper()
	r.exec(`CREATE KEYSPACE bulk WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
		`CREATE TABLE bulk.docs (id uuid PRIMARY KEY, email text, name text, body text, tags set<text>, created timestamp)
			WITH compaction = {'class': 'SizeTieredCompactionStrategy', 'enabled': 'false'}`)
	made, err := cassandratest.Generate(r.t.Context(), r.path("made"), cassandratest.Docs, rows, time.Now().UnixNano(), cassandratest.GenerateOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.nodetool("import", "bulk", "docs", made)
}

// stamped has the end of the stop and the begin of the start written down.
func (r *rig) stamped() {
	stop, start := r.cfg.Cassandra.Stop, r.cfg.Cassandra.Start
	script := func(name, text string) []string { return []string{r.write(name, "#!/bin/sh\n"+text, 0o755)} }
	r.cfg.Cassandra.Stop = script("stop", fmt.Sprintf("%s && date +%%s%%N >>%s", stop[0], r.path("stamps")))
	r.cfg.Cassandra.Start = script("start", fmt.Sprintf("date +%%s%%N >>%s; exec %s", r.path("stamps"), start[0]))
	r.save()
}

// restarted is how long the node takes to stop, and to answer again.
func (r *rig) restarted(b *testing.B) time.Duration {
	b.Helper()
	began := time.Now()
	if err := r.node.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := r.node.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
