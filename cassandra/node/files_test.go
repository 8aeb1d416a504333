package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const tableID = "5a1c395eb41f11eeb5e00123456789ab"

// touch makes files, and the directories above them, under one directory.
func touch(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// outline draws SSTables as text: sub-directory, prefix and file names.
func outline(all []SSTable) []string {
	var lines []string
	for _, s := range all {
		line := s.Sub + "/" + s.Desc.Prefix() + ":"
		for _, f := range s.Files {
			line += " " + strings.TrimPrefix(f.Name, s.Desc.Prefix())
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSSTablesGroupsTheFilesOfASnapshot(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "manifest.json", "schema.cql",
		"nb-2-big-TOC.txt", "nb-2-big-Data.db", "nb-10-big-Data.db", "nb-2-big-SAI+aa+x+Meta.db",
		".by_mail/nb-1-big-Data.db", ".by_mail/nb-1-big-TOC.txt", ".by_name/nb-1-big-Data.db")
	got, err := TableDir{Keyspace: "ks", Table: "t", Path: dir}.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/nb-10-big-: Data.db",
		"/nb-2-big-: Data.db SAI+aa+x+Meta.db TOC.txt",
		".by_mail/nb-1-big-: Data.db TOC.txt",
		".by_name/nb-1-big-: Data.db",
	}
	if diff := cmp.Diff(want, outline(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFilesTellTheirIdentity(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "nb-1-big-Data.db")
	if err := os.Link(filepath.Join(dir, "nb-1-big-Data.db"), filepath.Join(dir, "nb-2-big-Data.db")); err != nil {
		t.Fatal(err)
	}
	all, err := TableDir{Path: dir}.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	one, other := all[0].Files[0], all[1].Files[0]
	if one.Size != 16 || one.Inode == 0 || one.Path != filepath.Join(dir, "nb-1-big-Data.db") || one.ModTime.IsZero() {
		t.Errorf("file %+v", one)
	}
	if one.Inode != other.Inode || one.Dev != other.Dev {
		t.Errorf("two links of a file differ: %+v, %+v", one, other)
	}
}

func TestSSTablesNamesWhateverIsNoComponent(t *testing.T) {
	tests := []struct {
		what string
		make func(t *testing.T, dir string)
		name string
	}{
		{"a stranger", func(t *testing.T, dir string) { touch(t, dir, "notes.txt") }, "notes.txt"},
		{"a file not finished", func(t *testing.T, dir string) { touch(t, dir, "nb-1-big-Data.db.tmp") }, "nb-1-big-Data.db.tmp"},
		{"a directory that is no index", func(t *testing.T, dir string) { touch(t, dir, "sub/nb-1-big-Data.db") }, "sub"},
		{"a directory in an index", func(t *testing.T, dir string) { touch(t, dir, ".idx/.deeper/nb-1-big-Data.db") }, ".deeper"},
		{"a manifest in an index", func(t *testing.T, dir string) { touch(t, dir, ".idx/manifest.json") }, "manifest.json"},
		{"a directory named as a component", func(t *testing.T, dir string) { touch(t, dir, "nb-1-big-Data.db/x") }, "nb-1-big-Data.db"},
		{"a link", func(t *testing.T, dir string) {
			if err := os.Symlink("/dev/null", filepath.Join(dir, "nb-1-big-Data.db")); err != nil {
				t.Fatal(err)
			}
		}, "nb-1-big-Data.db"},
		{"a link to an index", func(t *testing.T, dir string) {
			if err := os.Symlink(t.TempDir(), filepath.Join(dir, ".idx")); err != nil {
				t.Fatal(err)
			}
		}, ".idx"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			dir := t.TempDir()
			touch(t, dir, "nb-7-big-Data.db")
			tt.make(t, dir)
			if got, err := (TableDir{Path: dir}).SSTables(); err == nil || !strings.Contains(err.Error(), tt.name) {
				t.Errorf("%v, error %v", outline(got), err)
			}
		})
	}
}

func TestAnEmptySnapshotDirectoryHasNoSSTables(t *testing.T) {
	dir := t.TempDir()
	touch(t, dir, "manifest.json")
	if all, err := (TableDir{Path: dir}).SSTables(); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := (TableDir{Path: filepath.Join(dir, "gone")}).SSTables(); err == nil {
		t.Error("a directory that is gone has no error")
	}
}

// twoDirs is a node that is down, with two data directories.
func twoDirs(t *testing.T) (n *Node, dirs []string) {
	t.Helper()
	dirs = []string{t.TempDir(), t.TempDir()}
	n, err := New(Config{YAML: writeYAML(t, fmt.Sprintf("data_file_directories: [%s, %s]\n", dirs[0], dirs[1]))}, discard())
	if err != nil {
		t.Fatal(err)
	}
	return n, dirs
}

func TestSnapshotTablesLooksIntoEveryDataDirectory(t *testing.T) {
	n, dirs := twoDirs(t)
	touch(t, dirs[0], "ks/t-"+tableID+"/snapshots/mine/manifest.json", "ks/t-"+tableID+"/snapshots/other/manifest.json",
		"ks/T-"+tableID+"/snapshots/mine/manifest.json", "ks/empty-"+tableID+"/x", "stray", "ks/stray", "lost+found/x")
	touch(t, dirs[1], "ks/t-"+tableID+"/snapshots/mine/manifest.json", "a/z-"+tableID+"/snapshots/mine/manifest.json")
	got, err := n.SnapshotTables("mine")
	if err != nil {
		t.Fatal(err)
	}
	dir := func(keyspace, table string, index int) TableDir {
		live := keyspace + "/" + table + "-" + tableID
		return TableDir{Keyspace: keyspace, Table: table, ID: tableID, DataDir: index, Live: live,
			Path: filepath.Join(dirs[index], live, "snapshots", "mine")}
	}
	want := []TableDir{dir("a", "z", 1), dir("ks", "T", 0), dir("ks", "t", 0), dir("ks", "t", 1)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSnapshotTablesFollowsKeyspacesOnOtherDisks(t *testing.T) {
	n, dirs := twoDirs(t)
	elsewhere := t.TempDir()
	touch(t, elsewhere, "t-"+tableID+"/snapshots/mine/manifest.json")
	if err := os.Symlink(elsewhere, filepath.Join(dirs[0], "ks")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/no/such/place", filepath.Join(dirs[0], "broken")); err != nil {
		t.Fatal(err)
	}
	got, err := n.SnapshotTables("mine")
	if err != nil || len(got) != 1 || got[0].Live != "ks/t-"+tableID {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSnapshotTablesRefusesASnapshotItCannotName(t *testing.T) {
	for _, place := range []string{"ks/no-id/snapshots/mine/x", "bad-keyspace/t-" + tableID + "/snapshots/mine/x", "ks/t-" + tableID + "00/snapshots/mine/x"} {
		n, dirs := twoDirs(t)
		touch(t, dirs[0], place)
		if got, err := n.SnapshotTables("mine"); err == nil {
			t.Errorf("%s gives %+v", place, got)
		}
	}
}

func TestSnapshotTablesNeedsEveryDataDirectory(t *testing.T) {
	n, dirs := twoDirs(t)
	if err := os.Remove(dirs[1]); err != nil {
		t.Fatal(err)
	}
	if got, err := n.SnapshotTables("mine"); err == nil || !strings.Contains(err.Error(), dirs[1]) {
		t.Errorf("%v, %v", got, err)
	}
}
