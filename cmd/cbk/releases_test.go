package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
)

var knownTokens = regexp.MustCompile(`tokens -?[0-9]+ to -?[0-9]+,`)

// TestRowsOfEveryReleaseComeBack backs a node of each release up, twice, empties it and restores it, the SSTables in each
// format that the release writes, and then one table of it.
func TestRowsOfEveryReleaseComeBack(t *testing.T) {
	old := []string{"write_request_timeout_in_ms: 30000", "read_request_timeout_in_ms: 30000", "range_request_timeout_in_ms: 30000", "counter_write_request_timeout_in_ms: 30000"}
	compatible := patient("storage_compatibility_mode: NONE", "counter_write_request_timeout: 30s")
	for _, c := range []struct {
		release, format string
		vnodes          int
		yaml            []string
	}{
		{"3.11.19", "me", 4, old},
		{"4.0.19", "nb", 4, old},
		{"4.1.10", "nb", 4, patient("uuid_sstable_identifiers_enabled: true", "counter_write_request_timeout: 30s")},
		{"5.0.6", "oa", 16, compatible},
		{"5.0.6", "da", 1, append(compatible, "sstable:", "  selected_format: bti", "uuid_sstable_identifiers_enabled: true")},
	} {
		t.Run(c.release+" "+c.format, func(t *testing.T) {
			cluster := cassandratest.Run(t, cassandratest.Options{Version: c.release, Vnodes: c.vnodes, DataDirs: 2, ExtraYAML: c.yaml})
			r := rigOf(t, cluster.Nodes[0])
			r.ok("init", "--pack-size", "1MiB")
			r.corners(c.release, "{'class': 'SimpleStrategy', 'replication_factor': 1}")
			r.nodetool("flush")
			want := r.readCorners(gocql.Quorum)
			settle()
			doc[backupJSON](r, "backup", "--name", "one")
			two := doc[backupJSON](r, "backup", "--name", "two")
			if two.Unchanged == 0 || two.Damaged != 0 {
				t.Errorf("%d files unchanged, %d SSTables damaged: %+v", two.Unchanged, two.Damaged, two.DamagedNames)
			}
			list := r.ok("show", "two", "--sstables")
			if !strings.Contains(list, "/"+c.format+"-") {
				t.Errorf("no SSTable of format %s:\n%s", c.format, list)
			}
			for line := range strings.Lines(list) {
				if index := strings.Contains(line, "/."); strings.HasPrefix(line, "corners/") && knownTokens.MatchString(line) == index {
					t.Errorf("tokens of an SSTable, or of an index, which has none: %s", line)
				}
			}
			if cql := r.ok("show", "two", "--schema"); !strings.Contains(cql, "CREATE TABLE corners.types") {
				t.Errorf("schema:\n%s", cql)
			}
			r.ok("check", "--read-data")
			r.emptyCorners()
			r.ok("restore", "two", "--in-place", "--yes")
			if diff := cmp.Diff(want, r.readCorners(gocql.Quorum)); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			r.mustRestoreATable("two", want)
		})
	}
}

// mustRestoreATable takes one table back. What was written to others since must stay, also where only the commit log has it.
func (r *rig) mustRestoreATable(backup string, want map[string][]string) {
	r.t.Helper()
	r.cql(func(s *gocql.Session) error {
		if err := s.Query("TRUNCATE corners.deletes").Exec(); err != nil {
			return err
		}
		return s.Query("INSERT INTO corners.dropped (k, c, kept) VALUES (1000, 1, 'since')").Exec()
	})
	r.ok("restore", backup, "--in-place", "--yes", "--table", "corners.deletes")
	got := r.readCorners(gocql.Quorum)
	if len(got["dropped"]) != len(want["dropped"])+1 {
		r.t.Errorf("%d rows of a table that was not restored, want one more than %d", len(got["dropped"]), len(want["dropped"]))
	}
	got["dropped"] = want["dropped"]
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("rows after one table was restored (-want +got):\n%s", diff)
	}
}
