package snapshot

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
)

// fakeNode is a node without a Cassandra: its directories are real, its snapshots are hard links.
type fakeNode struct {
	*node.Node // directories and their listing, which need no running Cassandra
	t          *testing.T
	id         node.Identity
	members    ring.Ring
	schema     node.Schema // CQL; and the tables, where it is not what the directories say
	roles      node.Roles
	config     []node.ConfigFile
	calls      []string
	fail       map[string]error // by call and its number: "Schema 2"
	during     func()           // runs while the snapshot is taken
}

// newNode returns an empty node of cluster "shop", alone in its ring.
func newNode(t *testing.T, host string, dataDirs int) *fakeNode {
	t.Helper()
	dir := t.TempDir()
	yaml := "cluster_name: shop\ndata_file_directories:\n"
	for i := range dataDirs {
		data := filepath.Join(dir, fmt.Sprintf("data%d", i))
		yaml += "  - " + data + "\n"
		mkdir(t, data)
	}
	conf := filepath.Join(dir, "cassandra.yaml")
	writeFile(t, conf, yaml)
	n, err := node.New(node.Config{YAML: conf}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &fakeNode{Node: n, t: t, fail: make(map[string]error), schema: node.Schema{Keyspaces: []node.KeyspaceSchema{{Name: "ks", CQL: "CREATE KEYSPACE ks;\n"}}},
		id: node.Identity{HostID: host, Name: "node-" + host[:1], Cluster: "shop", Version: "5.0.6", Partitioner: "Murmur3",
			DC: "dc1", Rack: "r1", Address: "10.0.0.1", Tokens: []string{"-1", "7"}},
		members: ring.Ring{Cluster: "shop", Members: []ring.Member{member(host, ring.Normal)}}}
}

func member(host, state string) ring.Member {
	return ring.Member{HostID: host, Address: "addr-" + host[:1], DC: "dc1", Rack: "r1", State: state, Tokens: []string{"1"}}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func tableID(n int) string { return fmt.Sprintf("%032x", n) }

// noise returns n bytes that compress to nothing less; the same seed gives the same.
func noise(seed byte, n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return string(b)
}

// table makes the directory of a table of keyspace ks and returns it, relative to a data directory.
func (n *fakeNode) table(dataDir int, name string, id int) string {
	n.t.Helper()
	rel := "ks/" + name + "-" + tableID(id)
	mkdir(n.t, filepath.Join(n.Layout().DataDirs[dataDir], rel))
	return rel
}

// put writes a file below the first data directory, as of the common time.
func (n *fakeNode) put(rel, content string) string {
	n.t.Helper()
	return n.putIn(0, rel, content)
}

func (n *fakeNode) putIn(dataDir int, rel, content string) string {
	n.t.Helper()
	path := filepath.Join(n.Layout().DataDirs[dataDir], rel)
	writeFile(n.t, path, content)
	n.age(path, written)
	return path
}

func (n *fakeNode) age(path string, mtime time.Time) {
	n.t.Helper()
	if err := os.Chtimes(path, mtime, mtime); err != nil {
		n.t.Fatal(err)
	}
}

// sstable writes an SSTable of a data file of size bytes and six smaller components, three of them of a size that a page
// holds itself.
func (n *fakeNode) sstable(dir, prefix string, seed byte, size int) {
	n.t.Helper()
	for name, content := range map[string]string{
		"Data.db": noise(seed, size), "Index.db": noise(seed+100, 5000), "Statistics.db": noise(seed+101, 500),
		"Filter.db": noise(seed+102, 200), "CRC.db": noise(seed+103, 100),
		"Digest.crc32": digest(seed), "TOC.txt": "Data.db\nTOC.txt\n"} {
		n.put(dir+"/"+prefix+name, content)
	}
}

// digest is what Digest.crc32 of the SSTable of a seed says: a number, of the same length for all.
func digest(seed byte) string { return fmt.Sprintf("4%07d", seed) }

// live returns the node's files as content returns those of a backup.
func (n *fakeNode) live() map[string]string {
	n.t.Helper()
	files := make(map[string]string)
	for i, dir := range n.Layout().DataDirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			files[fmt.Sprintf("%d%s", i, strings.TrimPrefix(path, dir))] = string(b)
			return err
		})
		if err != nil {
			n.t.Fatal(err)
		}
	}
	return files
}

func (n *fakeNode) call(name string) error {
	n.calls = append(n.calls, name)
	count := 0
	for _, c := range n.calls {
		if c == name {
			count++
		}
	}
	return n.fail[fmt.Sprintf("%s %d", name, count)]
}

func (n *fakeNode) Identity(context.Context) (node.Identity, error) { return n.id, n.call("Identity") }

func (n *fakeNode) Ring(context.Context) (ring.Ring, error) { return n.members, n.call("Ring") }

func (n *fakeNode) Schema(context.Context) (node.Schema, error) {
	s := n.schema
	if s.Tables == nil {
		for _, dir := range n.tableDirs() {
			name, id, _ := strings.Cut(filepath.Base(dir), "-")
			s.Tables = append(s.Tables, node.Table{Keyspace: filepath.Base(filepath.Dir(dir)), Name: name, ID: id})
		}
	}
	return s, n.call("Schema")
}

func (n *fakeNode) tableDirs() (dirs []string) {
	n.t.Helper()
	for _, data := range n.Layout().DataDirs {
		found, err := filepath.Glob(filepath.Join(data, "*", "*-*"))
		if err != nil {
			n.t.Fatal(err)
		}
		dirs = append(dirs, found...)
	}
	return dirs
}

func (n *fakeNode) Roles(context.Context) (node.Roles, error) { return n.roles, n.call("Roles") }

func (n *fakeNode) ConfigFiles() ([]node.ConfigFile, error) { return n.config, n.call("ConfigFiles") }

func (n *fakeNode) Snapshot(_ context.Context, tag string, keyspaces ...string) error {
	for _, dir := range n.tableDirs() {
		if len(keyspaces) > 0 && !slices.Contains(keyspaces, filepath.Base(filepath.Dir(dir))) {
			continue
		}
		if err := link(dir, filepath.Join(dir, "snapshots", tag)); err != nil {
			return err
		}
	}
	if n.during != nil {
		n.during()
	}
	return n.call("Snapshot")
}

// link makes to a snapshot of from: hard links of its files and of those of its index directories.
func link(from, to string) error {
	entries, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o755)
	}
	for _, e := range entries {
		source, target := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case err != nil:
			return err
		case e.IsDir() && strings.HasPrefix(e.Name(), "."):
			err = link(source, target)
		case !e.IsDir():
			err = os.Link(source, target)
		}
	}
	return err
}

func (n *fakeNode) SnapshotTables(tag string) ([]node.TableDir, error) {
	dirs, err := n.Node.SnapshotTables(tag)
	if failed := n.call("SnapshotTables"); failed != nil {
		return nil, failed
	}
	return dirs, err
}

func (n *fakeNode) ClearSnapshot(_ context.Context, tag string) error {
	if err := n.call("ClearSnapshot"); err != nil {
		return err
	}
	for _, dir := range n.tableDirs() {
		if err := os.RemoveAll(filepath.Join(dir, "snapshots", tag)); err != nil {
			return err
		}
		os.Remove(filepath.Join(dir, "snapshots")) // stays while there is another
	}
	return nil
}

// snapshots names the tags of the snapshots that stand on the node.
func (n *fakeNode) snapshots() (tags []string) {
	n.t.Helper()
	for _, dir := range n.tableDirs() {
		entries, _ := os.ReadDir(filepath.Join(dir, "snapshots"))
		for _, e := range entries {
			if !slices.Contains(tags, e.Name()) {
				tags = append(tags, e.Name())
			}
		}
	}
	return tags
}
