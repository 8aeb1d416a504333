package restore

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/table"

	"cbk/cassandra/cassandratest"
	"cbk/snapshot"
)

// compressing names the tables of fixtures that differ by compression alone; the others differ by their rows.
func compressing(f cassandratest.Fixture) string {
	for _, prefix := range []string{"lz4_", "snappy_", "deflate_", "zstd_", "noop_", "uncompressed"} {
		if strings.HasPrefix(f.Table, prefix) {
			return f.Table
		}
	}
	return "all kinds of rows"
}

// wanted is the recipe of the Data.db of such a table, and the reason for no better one.
func wanted(group string) (recipe, reason string) {
	switch kind, _, _ := strings.Cut(group, "_"); {
	case strings.HasPrefix(group, "lz4_high"):
		return snapshot.RecipeBlobs, "LZ4 high compression"
	case kind == "lz4", kind == "noop", kind == "all kinds of rows":
		return snapshot.RecipeLZ4, ""
	case kind == "uncompressed":
		return snapshot.RecipeBlobs, ""
	default:
		return snapshot.RecipeBlobs, "compressor " + map[string]string{"snappy": "Snappy", "deflate": "Deflate", "zstd": "Zstd"}[kind] + "Compressor"
	}
}

// components reads all components of fixtures, by where they lie in a snapshot.
func components(t *testing.T, list []cassandratest.Fixture) files {
	t.Helper()
	out := make(files)
	for _, f := range list {
		paths, err := filepath.Glob(f.Component("*"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%v: no components, %v", f, err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			out[tableDir("zoo", strings.ReplaceAll(f.Release+f.Format+f.Table, ".", "_")+"_"+f.How)+"/"+filepath.Base(path)] = string(b)
		}
	}
	return out
}

// TestSSTablesOfEveryReleaseComeBack backs real SSTables up and restores them: every release, format and compressor, every
// kind of rows, flushed and compacted. With -v it prints what became of each.
func TestSSTablesOfEveryReleaseComeBack(t *testing.T) {
	out := table.NewWriter()
	out.AppendHeader(table.Row{"release", "format", "table", "files", "bytes", "Data.db", "recipe", "chunks", "verbatim"})
	for _, rel := range cassandratest.Releases() {
		groups := make(map[string][]cassandratest.Fixture)
		for _, f := range cassandratest.Fixtures(t, rel.Release, rel.Format) {
			groups[compressing(f)] = append(groups[compressing(f)], f)
		}
		if len(groups) < 10 {
			t.Errorf("only %d groups of tables of %v", len(groups), rel)
		}
		r := newRig(t)
		for _, name := range slices.Sorted(maps.Keys(groups)) {
			out.AppendRow(append(table.Row{rel.Release, rel.Format, name}, r.thereAndBack(name, groups[name])...))
		}
	}
	t.Log("\n" + out.Render())
}

// thereAndBack backs up fixtures, compares what is restored and how Data.db files were stored, and returns what to print.
func (r *rig) thereAndBack(group string, list []cassandratest.Fixture) table.Row {
	r.t.Helper()
	want := components(r.t, list)
	snap, uses := r.backupWith(group, want)
	dir := filepath.Join(r.t.TempDir(), "out")
	if _, err := toDir(r.t.Context(), snap, &snapshot.Selection{}, dir, silent{}); err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(sums(want), sums(tree(r.t, dir))); diff != "" {
		r.t.Errorf("%s came back different (-want +got):\n%s", group, diff)
	}
	recipe, reason := wanted(group)
	var data snapshot.RecipeUse
	for _, u := range uses {
		if u.Recipe == recipe && u.Reason == reason {
			data = u
		}
		if u.Reason != "" && u.Reason != reason || u.Recipe == snapshot.RecipeLZ4 && recipe != u.Recipe {
			r.t.Errorf("%s: %+v", group, u)
		}
	}
	named := recipe == snapshot.RecipeLZ4 || reason != "" // else the other components count with Data.db
	if data.ChunksStored > 0 || named && data.Files != len(list) || recipe == snapshot.RecipeLZ4 && data.Chunks == 0 {
		r.t.Errorf("%s: %d SSTables, %+v", group, len(list), uses)
	}
	var size int
	for _, b := range want {
		size += len(b)
	}
	return table.Row{len(want), size, len(list), strings.TrimSpace(recipe + " " + reason), data.Chunks, data.ChunksStored}
}

// sums shortens contents for comparing.
func sums(all files) map[string]string {
	out := make(map[string]string)
	for name, b := range all {
		out[name] = fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256([]byte(b)))
	}
	return out
}
