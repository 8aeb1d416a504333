package restore

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/pack"
	"cbk/pack/wire"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

const hostID = "aaaaaaaa-0000-4000-8000-000000000001"

// rig is a repository in memory.
type rig struct {
	t    *testing.T
	st   store.Store
	repo *repo.Repo
	cql  map[string]string // of the keyspaces of the node that is backed up
}

func newRig(t *testing.T) *rig {
	t.Helper()
	st, err := store.Open(t.Context(), "mem://", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := repo.DefaultSettings()
	cfg.PackSize = 1 << 20
	if err := repo.Init(t.Context(), st, cfg, roles.Passphrase([]byte("pass"), roles.Cost{Time: 1, Memory: 8, Threads: 1})); err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st, roles.WithPassphrase([]byte("pass")), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return &rig{t: t, st: st, repo: r}
}

// source is a node that is backed up: its files stand in snapshot directories from the start.
type source struct {
	*node.Node
	cql map[string]string
}

func (s *source) Identity(context.Context) (node.Identity, error) {
	return node.Identity{HostID: hostID, Name: "node-a", Cluster: "shop", Version: "5.0.6"}, nil
}

func (s *source) Ring(context.Context) (ring.Ring, error) {
	return ring.Ring{Members: []ring.Member{{HostID: hostID, State: ring.Normal}}}, nil
}

func (s *source) Schema(context.Context) (node.Schema, error) {
	all := node.Schema{Keyspaces: []node.KeyspaceSchema{{Name: "none", CQL: "-- none"}}}
	for _, k := range slices.Sorted(maps.Keys(s.cql)) {
		all.Keyspaces = append(all.Keyspaces, node.KeyspaceSchema{Name: k, CQL: s.cql[k]})
	}
	return all, nil
}
func (s *source) Snapshot(context.Context, string, ...string) error { return nil }
func (s *source) Roles(context.Context) (node.Roles, error)         { return node.Roles{Absent: "none"}, nil }
func (s *source) ConfigFiles() ([]node.ConfigFile, error)           { return nil, nil }
func (s *source) ClearSnapshot(context.Context, string) error       { return nil }
func (s *source) SnapshotTables(string) ([]node.TableDir, error)    { return s.Node.SnapshotTables("t") }

// tables by data directory: "ks/table-id/file" and content.
type files map[string]string

func noise(seed byte, n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return string(b)
}

func tableDir(keyspace, table string) string {
	return fmt.Sprintf("%s/%s-%032x", keyspace, table, len(table))
}

// backedUp are the files of the node of most tests: two user tables, one of them with an index, and a system table.
func backedUp() files {
	return files{
		tableDir("shop", "customers") + "/nb-1-big-Data.db":          noise(1, 200_000),
		tableDir("shop", "customers") + "/nb-1-big-Index.db":         noise(2, 3000),
		tableDir("shop", "customers") + "/nb-1-big-TOC.txt":          "Data.db\n",
		tableDir("shop", "customers") + "/.by_mail/nb-4-big-Data.db": noise(3, 500),
		tableDir("shop", "orders") + "/oa-2-big-Data.db":             noise(4, 1000),
		tableDir("shop", "orders") + "/oa-2-big-CRC.db":              "",
		tableDir("system", "local") + "/nb-7-big-Data.db":            noise(5, 700),
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// backup backs up a node that has these files, one map for each data directory, and opens what came of it.
func (r *rig) backup(name string, dataDirs ...files) *snapshot.Snapshot {
	r.t.Helper()
	s, _ := r.backupWith(name, dataDirs...)
	return s
}

// backupWith tells how the files are stored, too.
func (r *rig) backupWith(name string, dataDirs ...files) (*snapshot.Snapshot, []snapshot.RecipeUse) {
	r.t.Helper()
	dir := r.t.TempDir()
	yaml := "data_file_directories:\n"
	for i, content := range dataDirs {
		data := filepath.Join(dir, fmt.Sprint("data", i))
		yaml += "  - " + data + "\n"
		if err := os.Mkdir(data, 0o755); err != nil {
			r.t.Fatal(err)
		}
		for rel, b := range content {
			parts := strings.SplitN(rel, "/", 3)
			write(r.t, filepath.Join(data, parts[0], parts[1], "snapshots/t", parts[2]), b)
		}
	}
	write(r.t, filepath.Join(dir, "cassandra.yaml"), yaml)
	n, err := node.New(node.Config{YAML: filepath.Join(dir, "cassandra.yaml")}, silentLog)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := snapshot.Take(r.t.Context(), r.repo, &source{Node: n, cql: r.cql}, snapshot.Options{Name: name, Now: time.Now, Log: silentLog,
		Progress: silent{}, Open: snapshot.OpenFile})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.open(name), res.Recipes
}

func (r *rig) open(name string) *snapshot.Snapshot {
	r.t.Helper()
	b, err := snapshot.Find(r.t.Context(), r.repo, name, "")
	if err != nil {
		r.t.Fatal(err)
	}
	s, err := snapshot.Open(r.t.Context(), r.repo, &b.Nodes[0])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { s.Close() })
	return s
}

var silentLog = slog.New(slog.DiscardHandler)

type silent struct{}

func (silent) Expect(int, int64) {}
func (silent) Done(int, int64)   {}

// hooks is a Progress that runs code when a table is about to be fetched and when a component is done.
type hooks struct{ expect, done func() }

func (h hooks) Expect(int, int64) {
	if h.expect != nil {
		h.expect()
	}
}

func (h hooks) Done(int, int64) {
	if h.done != nil {
		h.done()
	}
}

// spoil flips a byte in the middle of a sealed blob. It returns the pack.
func (r *rig) spoil(id pack.ID) string {
	r.t.Helper()
	ctx := r.t.Context()
	rd, err := r.repo.NewReader(ctx, hostID)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rd.Close()
	loc, err := rd.Locate(ctx, id)
	if err != nil {
		r.t.Fatal(err)
	}
	name := repo.PackName(loc.Pack)
	b, err := r.st.Get(ctx, name, pack.MaxPack)
	if err == nil {
		b[loc.Offset+loc.Stored/2] ^= 1
		err = r.st.Delete(ctx, name)
	}
	if err == nil {
		err = r.st.Create(ctx, name, b)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return name
}

// recipeOf returns the recipe blob of the first SSTable of a table.
func (r *rig) recipeOf(s *snapshot.Snapshot, table string) (id pack.ID) {
	r.t.Helper()
	for i := range s.Node.Tables {
		if t := &s.Node.Tables[i]; t.Name == table {
			err := s.SSTables(r.t.Context(), t, func(one *snapshot.SSTable) error { id = one.Recipe; return nil })
			if err != nil {
				r.t.Fatal(err)
			}
		}
	}
	return id
}

// forged is an SSTable as a hostile or broken writer describes it, in the format of package snapshot.
type forged struct {
	prefix, name, content string
	lie                   bool // about the hash
}

// forge commits a backup of one table whose SSTables have one small component each.
func (r *rig) forge(name string, sstables ...forged) *snapshot.Snapshot {
	r.t.Helper()
	s, err := r.repo.NewSession(r.t.Context(), hostID)
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	put := func(typ pack.Type, b []byte) pack.ID {
		ref, _, err := s.Put(typ, b)
		if err != nil {
			r.t.Fatal(err)
		}
		return ref.ID
	}
	var page wire.Encoder
	page.Count(len(sstables))
	var bytes int64
	for _, f := range sstables {
		page.Uvarint(0)
		page.String("")
		page.String(f.prefix)
		none := put(pack.Recipe, nil)
		page.Fixed(none[:])
		page.Count(0) // damage
		page.Byte(0)  // no stats
		page.Count(1)
		page.String(f.name)
		page.Uvarint(uint64(len(f.content)))
		hash := sumOf(f.content)
		if f.lie {
			hash[0] ^= 1
		}
		page.Fixed(hash[:])
		page.Count(0) // no MD5
		page.String(f.content)
		bytes += int64(len(f.content))
	}
	desc := snapshot.Node{DataDirs: 1, Tables: []snapshot.Table{{Keyspace: "shop", Name: "customers", ID: "1", Dir: "shop/customers-1",
		Pages: []snapshot.ID{snapshot.ID(put(pack.Description, page.Out()))}}}}
	cat := snapshot.Catalogue{Kind: snapshot.KindSSTables, Backup: name, HostID: hostID, Node: "node-a", Files: len(sstables), BytesSource: bytes}
	root := &repo.Root{Catalogue: toJSON(r.t, cat), Ring: put(pack.Ring, []byte("{}")), Descriptions: []pack.ID{put(pack.Description, toJSON(r.t, desc))}}
	if err := s.Commit(name, root); err != nil {
		r.t.Fatal(err)
	}
	return r.open(name)
}

func toJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tree reads the files below dir.
func tree(t *testing.T, dir string) files {
	t.Helper()
	got := make(files)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		got[strings.TrimPrefix(path, dir+"/")] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// mustBe compares the files below dir with want.
func mustBe(t *testing.T, dir string, want files) {
	t.Helper()
	if diff := cmp.Diff(brief(want), brief(tree(t, dir))); diff != "" {
		t.Errorf("%s (-want +got):\n%s", dir, diff)
	}
}

// brief tells contents apart without showing them.
func brief(all files) files {
	out := make(files)
	for name, content := range all {
		out[name] = fmt.Sprintf("%d bytes, %.8x", len(content), sumOf(content))
	}
	return out
}

func merged(all ...files) files {
	out := make(files)
	for _, some := range all {
		for name, content := range some {
			out[name] = content
		}
	}
	return out
}

func without(all files, names ...string) files {
	out := make(files)
	for name, content := range all {
		if !slices.Contains(names, name) {
			out[name] = content
		}
	}
	return out
}

// toDir plans a restore into a directory and carries it out.
func toDir(ctx context.Context, s *snapshot.Snapshot, only *snapshot.Selection, dir string, progress snapshot.Progress) (*Fetched, error) {
	p, err := PlanDir(s, only, dir)
	if err != nil {
		return nil, err
	}
	return p.Fetch(ctx, progress)
}

// inodes lists everything below a directory with the number of its inode and the time it last changed.
func inodes(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			st := stat(t, path)
			all[path] = fmt.Sprintf("%d %d.%09d", st.Ino, st.Ctim.Sec, st.Ctim.Nsec)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
