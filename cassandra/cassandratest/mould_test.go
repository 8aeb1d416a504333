package cassandratest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cbk/cassandra/cassandratest"
)

func TestAMouldHasASchemaAndSSTablesForManyNodes(t *testing.T) {
	m := cassandratest.NewMould(t)
	if entries, err := os.ReadDir(filepath.Join(m.Data, m.Table)); err != nil || len(entries) > 1 { // its directory of backups
		t.Errorf("%s has %v, %v", m.Table, entries, err)
	}
	for _, pattern := range []string{"system_schema/keyspaces-*/*-Data.db", "system/local-*/*-Data.db", strings.Replace(cassandratest.MouldEmpty, ".", "/", 1) + "-*"} {
		if found, err := filepath.Glob(filepath.Join(m.Data, pattern)); err != nil || len(found) == 0 {
			t.Errorf("no %s: %v", pattern, err)
		}
	}
	seen := make(map[string]bool)
	for _, prefix := range m.SSTables {
		digest, err := os.ReadFile(prefix + "Digest.crc32")
		if err != nil || seen[string(digest)] {
			t.Errorf("%s: digest %q again, or %v", prefix, digest, err)
		}
		seen[string(digest)] = true
	}
}
