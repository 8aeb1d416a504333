package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func writeYAML(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cassandra.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLayout(t *testing.T) {
	tests := []struct {
		what string
		yaml string
		want Layout
	}{
		{"reads every directory", `
cluster_name: 'Shop'
num_tokens: 16
data_file_directories:
    - /d1
    - /d2/
commitlog_directory: /c
hints_directory: /h
saved_caches_directory: /s
cdc_raw_directory: /r
storage_compatibility_mode: NONE
seed_provider:
    - class_name: x
`, Layout{DataDirs: []string{"/d1", "/d2"}, UserDirs: 2, StorageMode: "NONE", CommitLog: "/c", Hints: "/h", SavedCaches: "/s", CDCRaw: "/r", ClusterName: "Shop", NumTokens: 16}},
		{"leaves open what the file leaves open", "data_file_directories: [/d]\n", Layout{DataDirs: []string{"/d"}, UserDirs: 1, NumTokens: 1}},
		{"knows no number of tokens from a word", "data_file_directories: [/d]\nnum_tokens: many\n", Layout{DataDirs: []string{"/d"}, UserDirs: 1}},
		{"counts the directory of system tables as one more", "data_file_directories: [/d]\nlocal_system_data_file_directory: /sys\n",
			Layout{DataDirs: []string{"/d", "/sys"}, UserDirs: 1, SystemDir: "/sys", NumTokens: 1}},
		{"counts the same directory once", "data_file_directories: [/d, /d/]\nlocal_system_data_file_directory: /d\n",
			Layout{DataDirs: []string{"/d"}, UserDirs: 1, SystemDir: "/d", NumTokens: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := readLayout(writeYAML(t, tt.yaml))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestLayoutErrorsNameFileAndKeyInOneLine(t *testing.T) {
	tests := []struct {
		what, yaml, want string
	}{
		{"no data directories", "cluster_name: x\n", "has no data_file_directories"},
		{"an empty list", "data_file_directories: []\n", "has no data_file_directories"},
		{"only empty names", "data_file_directories: ['']\n", "only empty names"},
		{"a relative path", "data_file_directories: [data]\n", `"data" is not an absolute path`},
		{"a relative commit log", "data_file_directories: [/d]\ncommitlog_directory: c\n", `"c" is not an absolute path`},
		{"text instead of a list", "data_file_directories: /d\n", "parse"},
		{"no YAML", "a: [\n", "parse"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			path := writeYAML(t, tt.yaml)
			_, err := readLayout(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q and %q", err, tt.want, path)
			}
		})
	}
}

func TestLayoutRefusesAFileThatIsTooLarge(t *testing.T) {
	path := writeYAML(t, "data_file_directories: [/d]\n#"+strings.Repeat("x", maxYAML))
	if _, err := readLayout(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("error %v", err)
	}
}

func TestNewNeedsAReadableYAML(t *testing.T) {
	for path, want := range map[string]string{
		"": "set cassandra.config in the config",
		filepath.Join(t.TempDir(), "missing.yaml"): "check cassandra.config in the config",
	} {
		if _, err := New(Config{YAML: path}, discard()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v", path, err)
		}
	}
}

// The tables are those of SystemKeyspace in Cassandra 5.0.
func TestCassandraKeepsItsOwnTablesApart(t *testing.T) {
	for table, want := range map[string]bool{"system.local": true, "system.peers_v2": true, "system_schema.tables": true, "system.paxos": false,
		"system.batches": false, "system.repairs": false, "system_auth.roles": false, "system_distributed.repair_history": false, "shop.local": false,
		"systematics.local": false} {
		keyspace, name, _ := strings.Cut(table, ".")
		if got := InSystemDir(keyspace, name); got != want {
			t.Errorf("%s: %v", table, got)
		}
	}
}
