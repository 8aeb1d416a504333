package cassandratest

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

func TestEachReleaseHasFixturesOfEachTable(t *testing.T) {
	for _, rel := range Releases() {
		t.Run(rel.Release+" "+rel.Format, func(t *testing.T) {
			seen := make(map[string]int)
			for _, f := range Fixtures(t, rel.Release, rel.Format) {
				seen[f.How+" "+f.Table]++
				checkFixture(t, f)
			}
			for _, table := range zooTables(rel) {
				if seen["flush "+table.name] < zooRounds || seen["compaction "+table.name] != 1 {
					t.Errorf("%s: %d flushed, %d compacted", table.name, seen["flush "+table.name], seen["compaction "+table.name])
				}
			}
		})
	}
}

// checkFixture looks for the components every SSTable has, and at what the tools
// wrote.
func checkFixture(t *testing.T, f Fixture) {
	t.Helper()
	for _, component := range []string{"Data.db", "Statistics.db", "TOC.txt", "Digest.crc32"} {
		if _, err := os.Stat(f.Component(component)); err != nil {
			t.Errorf("%v: %v", f, err)
		}
	}
	if text, err := os.ReadFile(f.Metadata); err != nil || !bytes.Contains(text, []byte("Partitioner: ")) {
		t.Errorf("%v: metadata %.100q, %v", f, text, err)
	}
	if f.Dump == "" {
		if !undumped(f.Table) {
			t.Errorf("%v has no dump", f)
		}
		return
	}
	text, err := os.ReadFile(f.Dump)
	var partitions []any
	if err != nil || json.Unmarshal(text, &partitions) != nil || len(partitions) == 0 {
		t.Errorf("%v: dump %.100q, %v", f, text, err)
	}
}
