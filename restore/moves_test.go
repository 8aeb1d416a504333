package restore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyCassandrasOwnKeyspacesAreNotQueried(t *testing.T) {
	for keyspace, want := range map[string]bool{"system": true, "system_auth": true, "system_schema": true, "system_traces": true,
		"system_distributed": true, "system_cluster_metadata": true, "systematic": false, "system_of_ours": false, "shop": false, "": false} {
		if got := isSystem(keyspace); got != want {
			t.Errorf("%q: %v", keyspace, got)
		}
	}
}

func TestMovesStayInTheirDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names := files{"a/x": "1", "b": "2", "cbk-before-1/old": "3", "cbk-restore-1/new": "4", ".hidden": "5"}
	for name, content := range names {
		write(t, filepath.Join(dir, "from", name), content)
	}
	if err := moveChildren(filepath.Join(dir, "from"), filepath.Join(dir, "to/deep")); err != nil {
		t.Fatal(err)
	}
	mustBe(t, filepath.Join(dir, "to/deep"), files{"a/x": "1", "b": "2", ".hidden": "5"})
	mustBe(t, filepath.Join(dir, "from"), files{"cbk-before-1/old": "3", "cbk-restore-1/new": "4"})
	if err := removeEmpty(filepath.Join(dir, "from/cbk-before-1"), dir); err == nil {
		t.Error("removed a directory that holds something")
	}
	if err := os.MkdirAll(filepath.Join(dir, "shared/empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "shared/other"), "in use")
	if err := removeEmpty(filepath.Join(dir, "shared/empty"), filepath.Join(dir, "shared")); err != nil {
		t.Error(err)
	}
	mustBe(t, filepath.Join(dir, "shared"), files{"other": "in use"})
	if err := moveChildren(filepath.Join(dir, "absent"), filepath.Join(dir, "to")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
