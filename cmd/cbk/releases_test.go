package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
)

var knownTokens = regexp.MustCompile(`tokens -?[0-9]+ to -?[0-9]+,`)

// TestRowsOfEveryReleaseComeBack backs a node of each release up, twice, empties it and restores it, the SSTables in each
// format that the release writes.
func TestRowsOfEveryReleaseComeBack(t *testing.T) {
	compatible := []string{"storage_compatibility_mode: NONE"}
	for _, c := range []struct {
		release, format string
		yaml            []string
	}{
		{"3.11.19", "me", nil},
		{"4.0.19", "nb", nil},
		{"4.1.10", "nb", []string{"uuid_sstable_identifiers_enabled: true"}},
		{"5.0.6", "oa", compatible},
		{"5.0.6", "da", append(compatible, "sstable:", "  selected_format: bti", "uuid_sstable_identifiers_enabled: true")},
	} {
		t.Run(c.release+" "+c.format, func(t *testing.T) {
			cluster := cassandratest.Run(t, cassandratest.Options{Version: c.release, DataDirs: 2, ExtraYAML: c.yaml})
			r := rigOf(t, cluster.Nodes[0])
			r.ok("init", "--pack-size", "1MiB")
			r.shop(300)
			r.nodetool("flush")
			want := r.dump()
			settle()
			doc[backupJSON](r, "backup", "--name", "one")
			two := doc[backupJSON](r, "backup", "--name", "two")
			if two.Unchanged == 0 || two.Damaged != 0 {
				t.Errorf("%d files unchanged, %d SSTables damaged: %+v", two.Unchanged, two.Damaged, two.DamagedNames)
			}
			if list := r.ok("show", "two", "--sstables"); !strings.Contains(list, "/"+c.format+"-") {
				t.Errorf("no SSTable of format %s:\n%s", c.format, list)
			}
			for line := range strings.Lines(r.ok("show", "two", "--sstables")) {
				if index := strings.Contains(line, "/."); strings.HasPrefix(line, "shop/") && knownTokens.MatchString(line) == index {
					t.Errorf("tokens of an SSTable, or of an index, which has none: %s", line)
				}
			}
			if cql := r.ok("show", "two", "--schema"); !strings.Contains(cql, "CREATE TABLE shop.customers") {
				t.Errorf("schema:\n%s", cql)
			}
			r.ok("check", "--read-data")
			r.truncate()
			r.ok("restore", "two", "--in-place", "--yes")
			if diff := cmp.Diff(want, r.dump()); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}
