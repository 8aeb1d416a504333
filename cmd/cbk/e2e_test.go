package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"cbk/cassandra/cassandratest"
)

// rig is one test's repository, state directory and configuration for a node.
type rig struct {
	t    testing.TB
	node *cassandratest.Node
	dir  string
	cfg  config
	key  string // of a writer, see writer
}

// newRig returns a rig of the shared node.
func newRig(t testing.TB) *rig {
	t.Helper()
	r := rigOf(t, realNode(t))
	r.ok("init", "--pack-size", "1MiB")
	return r
}

// rigOf returns a rig of a node whose repository is still to be made.
func rigOf(t testing.TB, n *cassandratest.Node) *rig {
	t.Helper()
	r := &rig{t: t, node: n, dir: t.TempDir()}
	k := n.Config()
	r.cfg = config{Repository: r.path("repo"), PassphraseFile: r.path("pass"), StateDir: r.path("state"), Cassandra: cassandraConfig{
		Config: k.YAML, Nodetool: k.Nodetool, CQL: cqlConfig{Host: k.CQL.Host, Port: k.CQL.Port}, Start: k.Start, Stop: k.Stop}}
	r.write("pass", "correct horse\n", 0o600)
	r.save()
	return r
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, content string, mode os.FileMode) string {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(content), mode); err != nil {
		r.t.Fatal(err)
	}
	return r.path(name)
}

func (r *rig) save() {
	r.t.Helper()
	b, err := yaml.Marshal(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write("cbk.yaml", string(b), 0o600)
}

func (r *rig) command(args ...string) *exec.Cmd {
	cmd := exec.Command("cbk", args...)
	cmd.Env = append(os.Environ(), "CBK_CONFIG="+r.path("cbk.yaml"))
	return cmd
}

// run runs cbk and returns its exit code and what it printed.
func (r *rig) run(args ...string) (code int, stdout, stderr string) {
	r.t.Helper()
	cmd := r.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("cbk %v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// ok runs cbk, which must succeed, and returns its standard output.
func (r *rig) ok(args ...string) string {
	r.t.Helper()
	code, stdout, stderr := r.run(args...)
	if code != 0 {
		r.t.Fatalf("cbk %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// fails runs cbk, which must end with code and say all of words in the line about its error.
func (r *rig) fails(code int, words []string, args ...string) (stderr string) {
	r.t.Helper()
	got, stdout, stderr := r.run(args...)
	if got != code {
		r.t.Fatalf("cbk %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	line := ""
	for l := range strings.Lines(stderr) {
		if strings.HasPrefix(l, "cbk: ") {
			line += l
		}
	}
	if strings.Count(line, "\n") > 1 {
		r.t.Errorf("cbk %s: the error is not one line:\n%s", strings.Join(args, " "), line)
	}
	for _, w := range words {
		if !strings.Contains(line, w) {
			r.t.Errorf("cbk %s: the error does not say %q:\n%s", strings.Join(args, " "), w, stderr)
		}
	}
	return stderr
}

// doc runs cbk with --json and decodes what it prints.
func doc[T any](r *rig, args ...string) (v T) {
	r.t.Helper()
	out := r.ok(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		r.t.Fatalf("cbk %v: %v\n%s", args, err, out)
	}
	return v
}

func (r *rig) names() (names []string) {
	r.t.Helper()
	for _, b := range doc[listJSON](r, "list").Backups {
		names = append(names, b.Name)
	}
	return names
}

func (r *rig) nodetool(args ...string) string {
	r.t.Helper()
	k := r.node.Config()
	out, err := exec.Command(k.Nodetool[0], append(k.Nodetool[1:], args...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("nodetool %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// snapshots names the tags of cbk's snapshots that stand in the data directories.
func (r *rig) snapshots() (tags []string) {
	r.t.Helper()
	for _, dir := range r.dataDirs() {
		found, err := filepath.Glob(filepath.Join(dir, "*", "*", "snapshots", "cbk-*"))
		if err != nil {
			r.t.Fatal(err)
		}
		for _, f := range found {
			if tag := filepath.Base(f); !slices.Contains(tags, tag) {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}

func TestMondayComesBackRowByRowAfterCompactionAndTruncation(t *testing.T) {
	r := newRig(t)
	r.shop(2000)
	first := doc[backupJSON](r, "backup", "--name", "monday")
	monday := r.dump()
	if len(monday["customers"]) != 2000 || first.Tables < 40 || first.Unchanged != 0 {
		t.Fatalf("%d customers, backup %+v", len(monday["customers"]), first)
	}
	r.cql(func(s *gocql.Session) error {
		return errors.Join(cassandratest.Fill(s, 2, 1500, 2500), cassandratest.Delete(s, 0, 300))
	})
	r.nodetool("flush")
	r.nodetool("compact", "shop")
	r.ok("backup", "--name", "tuesday")
	tuesday := r.dump()
	if diff := cmp.Diff([]string{"monday", "tuesday"}, r.names()); diff != "" {
		t.Fatal(diff)
	}
	r.ok("check", "--read-data")
	if left := r.snapshots(); len(left) > 0 {
		t.Errorf("Cassandra snapshots left: %v", left)
	}

	for _, back := range []struct {
		name string
		rows map[string][]string
	}{{"monday", monday}, {"tuesday", tuesday}} {
		r.truncate()
		got := doc[restoreJSON](r, "restore", back.name, "--in-place", "--yes")
		if diff := cmp.Diff(back.rows, r.dump()); diff != "" {
			t.Fatalf("%s did not come back row by row (-want +got):\n%s", back.name, diff)
		}
		if got.Verified == nil || len(got.Verified.Tables) != 3 || got.Verified.Failures != 0 || len(got.Before) < 1 || len(got.Refused) != 0 {
			t.Errorf("restore %s: %+v", back.name, got)
		}
		for _, dir := range got.Before {
			if _, err := os.Stat(dir); err != nil {
				t.Errorf("the old files are not where restore says: %v", err)
			}
		}
	}
	// The index answers too: it came back with the base table.
	r.cql(func(s *gocql.Session) error {
		var id int
		err := s.Query("SELECT id FROM shop.customers WHERE email = ?", "customer700@example.com").Scan(&id)
		if err == nil && id != 700 {
			err = fmt.Errorf("index found customer %d", id)
		}
		return err
	})
	if left, _ := filepath.Glob(filepath.Join(r.node.Dir, "*", "cbk-restore-*")); len(left) > 0 {
		t.Errorf("staging directories left: %v", left)
	}
}

func TestRestoredDirectoryIsTheSnapshotByteForByte(t *testing.T) {
	r := newRig(t)
	r.shop(500)
	kept := doc[backupJSON](r, "backup", "--name", "b", "--keep-snapshot")
	defer r.nodetool("clearsnapshot", "-t", kept.SnapshotLeft)
	r.ok("restore", "b", "--to", r.path("out"))

	r.mustBeSnapshot(r.path("out"), kept)
	r.fails(1, []string{"is not empty"}, "restore", "b", "--to", r.path("out"))

	// files lists the same, with the same sizes.
	var list struct{ Files []fileJSON }
	if err := json.Unmarshal([]byte(r.ok("files", "b", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, f := range list.Files {
		if info, err := os.Stat(filepath.Join(r.path("out"), f.Path)); err != nil || info.Size() != f.Size {
			t.Errorf("files says %d bytes for %s: %v", f.Size, f.Path, err)
		}
	}
	if len(list.Files) != kept.Files {
		t.Errorf("files lists %d of %d", len(list.Files), kept.Files)
	}
}

// mustBeSnapshot compares restored files with the snapshot that the backup has left on the node.
func (r *rig) mustBeSnapshot(dir string, kept backupJSON) {
	r.t.Helper()
	live, restored := r.snapshot(kept.SnapshotLeft, r.dataDirs()...), make(map[string]string)
	collect(r.t, dir, restored, func(rel string) (string, bool) { return rel, true })
	if diff := cmp.Diff(live, restored); diff != "" {
		r.t.Fatalf("restored files differ from the snapshot (-snapshot +restored):\n%s", diff)
	}
	if len(live) != kept.Files {
		r.t.Errorf("%d files in the snapshot, the backup says %d", len(live), kept.Files)
	}
}

// snapshot reads the files of a snapshot in some data directories, by the names that they have in the live directories.
func (r *rig) snapshot(tag string, dataDirs ...string) map[string]string {
	r.t.Helper()
	files := make(map[string]string)
	for _, dir := range dataDirs {
		collect(r.t, dir, files, func(rel string) (string, bool) {
			before, after, found := strings.Cut(rel, "/snapshots/"+tag+"/")
			return before + "/" + after, found && after != "manifest.json" && after != "schema.cql"
		})
	}
	return files
}

// dataDirs are the node's data directories, that of the system keyspaces last where they have their own.
func (r *rig) dataDirs() []string {
	r.t.Helper()
	var y struct {
		Dirs  []string `yaml:"data_file_directories"`
		Local string   `yaml:"local_system_data_file_directory"`
	}
	b, err := os.ReadFile(r.node.YAML())
	if err == nil {
		err = yaml.Unmarshal(b, &y)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if y.Local != "" {
		y.Dirs = append(y.Dirs, y.Local)
	}
	return y.Dirs
}

// collect reads the regular files below dir whose path name accepts, under the name it gives.
func collect(t testing.TB, dir string, into map[string]string, name func(rel string) (string, bool)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		key, ok := name(filepath.ToSlash(rel))
		if !ok {
			return nil
		}
		b, err := os.ReadFile(path)
		into[key] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheJSONOfEveryCommandKeepsItsShape(t *testing.T) {
	r := newRig(t)
	r.shop(50)
	got := make(map[string]any)
	for _, args := range [][]string{{"backup", "--name", "golden"}, {"list"}, {"show", "golden"}, {"files", "golden"}, {"check"},
		{"restore", "golden", "--to", r.path("out")}, {"hold", "add", "golden", "--reason", "x"}, {"hold", "remove", "golden", "--reason", "y"},
		{"purge", "--keep-last", "1", "--dry-run"}, {"delete", "golden", "--yes"}, {"gc"}, {"key", "list"}} {
		got[args[0]] = shape(doc[any](r, args...))
	}
	have, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/shapes.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(have)); diff != "" {
		t.Errorf("fields may be added, never changed; testdata/shapes.json (-want +got):\n%s\n%s", diff, have)
	}
}

// shape keeps schema names and field names and replaces values by their types; a list is its first element.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any)
		for k, e := range v {
			out[k] = shape(e)
			if k == "schema" {
				out[k] = e
			}
		}
		return out
	case []any:
		if len(v) == 0 {
			return []any{}
		}
		return []any{shape(v[0])}
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	}
	return nil
}
