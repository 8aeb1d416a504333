// Package layers holds the one test that keeps the house's storeys apart.
package layers

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// mayImport says which of cbk's own packages each package's code may import, transitively closed by hand so that a
// reader sees the whole permission in one line. Tests may import more.
var mayImport = map[string][]string{
	"cmd/cbk":                                 {"restore", "restore/fit", "restore/prove", "restore/whole", "cassandra/schema", "snapshot", "snapshot/fleet", "snapshot/guest", "repo", "index", "pack", "repo/store", "repo/roles", "cassandra/cluster", "cassandra/node", "cassandra/offline", "cassandra/ring"},
	"restore":                                 {"restore/fit", "restore/prove", "snapshot", "repo", "pack", "cassandra/node", "cassandra/ring", "cassandra/schema", "cassandra/sstable"},
	"restore/whole":                           {"restore", "restore/prove", "snapshot/fleet", "cassandra/cluster"},
	"restore/fit":                             {"snapshot", "repo", "cassandra/schema", "cassandra/sstable"},
	"restore/prove":                           {"cassandra/node", "cassandra/sstable", "cassandra/sstable/chunk", "cassandra/sstable/lookup", "cassandra/sstable/rows", "cassandra/sstable/table"},
	"snapshot":                                {"repo", "pack", "pack/wire", "cassandra/node", "cassandra/ring", "cassandra/sstable", "cassandra/sstable/chunk", "cassandra/sstable/peel", "cassandra/sstable/rows"},
	"snapshot/fleet":                          {"cassandra/cluster", "cassandra/ring"},
	"snapshot/guest":                          {},
	"repo":                                    {"index", "pack", "pack/wire", "repo/roles", "repo/store"},
	"repo/roles":                              {"pack", "pack/wire"},
	"repo/gcmodel":                            {},
	"repo/swarm":                              {},
	"repo/store":                              {"repo/store/filedriver"},
	"repo/store/storetest":                    {"repo/store"},
	"repo/store/storefault":                   {"repo/store"},
	"repo/store/storetest/server":             {"repo/store", "repo/store/storetest"},
	"repo/store/filedriver":                   {},
	"index":                                   {"pack", "pack/wire"},
	"pack":                                    {"pack/wire"},
	"pack/wire":                               {},
	"cassandra/sstable":                       {},
	"cassandra/sstable/chunk":                 {"cassandra/sstable"},
	"cassandra/sstable/rows":                  {"cassandra/sstable"},
	"cassandra/sstable/peel":                  {"cassandra/sstable", "cassandra/sstable/chunk"},
	"cassandra/sstable/peel/peeltest":         {"cassandra/sstable", "cassandra/sstable/chunk"},
	"cassandra/ring":                          {},
	"cassandra/schema":                        {},
	"cassandra/node":                          {"cassandra/ring", "cassandra/schema", "cassandra/sstable"},
	"cassandra/offline":                       {"cassandra/node", "cassandra/ring", "cassandra/schema", "cassandra/sstable", "cassandra/sstable/chunk", "cassandra/sstable/rows", "cassandra/sstable/table"},
	"cassandra/sstable/table":                 {"cassandra/sstable", "cassandra/sstable/chunk", "cassandra/sstable/rows"},
	"cassandra/sstable/lookup":                {"cassandra/sstable", "cassandra/sstable/chunk", "cassandra/sstable/rows"},
	"cassandra/cluster":                       {},
	"cassandra/cluster/sshtest":               {},
	"cassandra/cassandratest":                 {"cassandra/node"},
	"cassandra/cassandratest/demo":            {"cassandra/cassandratest"},
	"cassandra/cassandratest/standin":         {},
	"cassandra/cassandratest/standin/command": {"cassandra/cassandratest/standin"},
	"fuzz":   {},
	"docs":   {},
	"deploy": {},
}

// TestImportsGoDown reads what every package imports and names the edges that the design does not have.
func TestImportsGoDown(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "cbk/")
		if p.ImportPath == "cbk" {
			continue
		}
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("package %s has no place in the house: add it to the table with what it may import", name)
			continue
		}
		for _, imp := range p.Imports {
			if own, ok := strings.CutPrefix(imp, "cbk/"); ok && !contains(allowed, own) {
				t.Errorf("%s imports %s: imports go down only", name, own)
			}
		}
	}
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list found %d packages", len(all))
	}
	return all
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
