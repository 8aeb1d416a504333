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
	names := files{"a/x": "1", "b": "2", "cbk-before-1/old": "3", "cbk-restore-1/new": "4", "cbk-undone-1/new": "5", ".hidden": "6", "snapshots/s": "7"}
	for name, content := range names {
		write(t, filepath.Join(dir, "from", name), content)
	}
	if err := os.Chmod(filepath.Join(dir, "from"), 0o710); err != nil {
		t.Fatal(err)
	}
	if err := moveChildren(filepath.Join(dir, "from"), filepath.Join(dir, "to/deep"), []string{"snapshots"}, nothing); err != nil {
		t.Fatal(err)
	}
	mustBe(t, filepath.Join(dir, "to/deep"), files{"a/x": "1", "b": "2", ".hidden": "6"})
	mustBe(t, filepath.Join(dir, "from"), files{"cbk-before-1/old": "3", "cbk-restore-1/new": "4", "cbk-undone-1/new": "5", "snapshots/s": "7"})
	if got := mode(t, filepath.Join(dir, "to/deep")).Perm(); got != 0o710 {
		t.Errorf("the directory made has mode %o", got)
	}
	// Done again, it finds nothing to do.
	if err := moveChildren(filepath.Join(dir, "from"), filepath.Join(dir, "to/deep"), []string{"snapshots"}, nothing); err != nil {
		t.Error(err)
	}
	if err := moveChildren(filepath.Join(dir, "absent"), filepath.Join(dir, "to"), nil, nothing); err != nil {
		t.Errorf("a directory that is not there: %v", err)
	}
	write(t, filepath.Join(dir, "file"), "")
	if err := moveChildren(filepath.Join(dir, "file"), filepath.Join(dir, "to"), nil, nothing); err == nil {
		t.Error("a file has children")
	}
}

func TestOnlyEmptyDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"gone/a/b", "gone/c", "stays/a"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "stays/file"), "mine")
	if err := removeEmpty([]string{filepath.Join(dir, "gone"), filepath.Join(dir, "stays"), filepath.Join(dir, "absent")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "gone")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "stays/a")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	mustBe(t, filepath.Join(dir, "stays"), files{"file": "mine"})
}

func nothing(string) {}
