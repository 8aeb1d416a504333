package restore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

// generated is what BenchmarkRecipes works on: the rows of each kind, and its table.
var generated = []struct {
	kind string
	rows int64
}{{"docs", 1_200_000}, {"iot", 12_000_000}, {"blobs", 200_000}}

// BenchmarkRecipes backs SSTables that Cassandra wrote up into a directory and restores them, once stored as they are and
// once without their compression, in the same run. It reports the speed of the second beside that of the first, and the
// bytes stored beside those of the files.
func BenchmarkRecipes(b *testing.B) {
	for _, g := range generated {
		b.Run(g.kind, func(b *testing.B) {
			src := generatedNode(b, g.kind, g.rows)
			size := sizeOf(b, src.Layout().DataDirs[0])
			b.SetBytes(size)
			var took [2][2]time.Duration // by recipe: backup, restore
			var stored [2]int64
			for b.Loop() {
				for i, recipe := range []string{snapshot.RecipeBlobs, snapshot.RecipeAuto} {
					backup, restore, bytes := recipeRound(b, src, recipe)
					took[i][0] += backup
					took[i][1] += restore
					stored[i] = bytes
				}
			}
			mb := float64(size) * float64(b.N) / 1e6
			b.ReportMetric(mb/took[1][0].Seconds(), "backup-MB/s")
			b.ReportMetric(took[0][0].Seconds()/took[1][0].Seconds(), "x-blobs-backup")
			b.ReportMetric(mb/took[1][1].Seconds(), "restore-MB/s")
			b.ReportMetric(took[0][1].Seconds()/took[1][1].Seconds(), "x-blobs-restore")
			b.ReportMetric(float64(stored[0])/float64(size), "stored-blobs")
			b.ReportMetric(float64(stored[1])/float64(size), "stored")
		})
	}
}

// generatedNode is a node whose snapshot holds SSTables of generated rows.
func generatedNode(b *testing.B, kind string, rows int64) *source {
	b.Helper()
	dir := b.TempDir()
	out := filepath.Join(dir, "data", tableDir("lab", kind), "snapshots/t")
	made, err := cassandratest.Generate(b.Context(), filepath.Join(dir, "made"), kind, rows, time.Now().UnixNano(), cassandratest.GenerateOptions{})
	if err == nil {
		err = os.MkdirAll(filepath.Dir(out), 0o755)
	}
	if err == nil {
		err = os.Rename(made, out)
	}
	yaml := filepath.Join(dir, "cassandra.yaml")
	if err == nil {
		err = os.WriteFile(yaml, []byte("data_file_directories:\n  - "+filepath.Join(dir, "data")+"\n"), 0o644)
	}
	n, failed := node.New(node.Config{YAML: yaml}, silentLog)
	if err := errors.Join(err, failed); err != nil {
		b.Fatal(err)
	}
	return &source{Node: n}
}

// sizeOf adds up the files below dir.
func sizeOf(b *testing.B, dir string) (n int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			info, failed := d.Info()
			if err = failed; err == nil {
				n += info.Size()
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// recipeRound backs up into a new repository and restores, and returns the times and what the repository holds.
func recipeRound(b *testing.B, src *source, recipe string) (backup, back time.Duration, stored int64) {
	b.Helper()
	dir := b.TempDir()
	defer os.RemoveAll(dir)
	if err := os.Mkdir(filepath.Join(dir, "repo"), 0o755); err != nil {
		b.Fatal(err)
	}
	st, err := store.Open(b.Context(), filepath.Join(dir, "repo"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	pass := []byte("pass")
	if err := repo.Init(b.Context(), st, repo.DefaultSettings(), roles.Passphrase(pass, roles.Cost{Time: 1, Memory: 8, Threads: 1})); err != nil {
		b.Fatal(err)
	}
	r, err := repo.Open(b.Context(), st, roles.WithPassphrase(pass), filepath.Join(dir, "state"))
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	start := time.Now()
	res, err := snapshot.Take(b.Context(), r, src, snapshot.Options{Name: "one", Recipe: recipe, Now: time.Now, Log: silentLog,
		Progress: silent{}, Open: snapshot.OpenFile})
	backup = time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	for _, u := range res.Recipes {
		if recipe == snapshot.RecipeAuto && (u.Reason != "" || u.ChunksStored > 0) {
			b.Fatalf("not every Data.db comes back from its plain bytes: %+v", u)
		}
	}
	found, err := snapshot.Find(b.Context(), r, "one", "")
	if err != nil {
		b.Fatal(err)
	}
	snap, err := snapshot.Open(b.Context(), r, &found.Nodes[0])
	if err != nil {
		b.Fatal(err)
	}
	defer snap.Close()
	start = time.Now()
	if _, err := toDir(b.Context(), snap, &snapshot.Selection{}, filepath.Join(dir, "out"), silent{}); err != nil {
		b.Fatal(err)
	}
	back = time.Since(start)
	if n := sizeOf(b, filepath.Join(dir, "out")); n != sizeOf(b, src.Layout().DataDirs[0]) {
		b.Fatalf("%d bytes came back", n)
	}
	return backup, back, sizeOf(b, filepath.Join(dir, "repo", "packs"))
}
