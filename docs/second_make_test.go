package docs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

const (
	passphrase = "correct horse"
	host       = "aaaaaaaa-0000-4000-8000-000000000001"
	rolesText  = "CREATE ROLE r;\n"
	configText = "cluster_name: shop\n"
	schemaText = "CREATE KEYSPACE ks;\nCREATE TABLE ks.t (k int PRIMARY KEY);\n"
	reason     = `{"by":"a test"}` // of a deletion
	tableDir   = "ks/t-00000000000000000000000000000001"
)

// made is a repository in a directory and what was backed up into it: by backup, files by their path below the node's
// data directory.
type made struct {
	dir   string
	files map[string]map[string]string
	key   string // the key file of a writer

	records map[string]string   // bodies of holds and results of checks, by kind
	chains  map[string][]string // commands of audit records, by the role of the key
}

// maker makes a repository with cbk itself.
type maker struct {
	t     *testing.T
	st    store.Store
	owner *repo.Repo
	node  *standIn
	made
}

// makeRepository leaves every kind of object that the format describes: backups by a writer before and after a change of
// its seal key, its successor's under the next generation of keys, one of them with a copy of its own and one with every
// kind of recipe, one that was deleted, and one that died in its first attempt.
func makeRepository(t *testing.T) made {
	t.Helper()
	m := newMaker(t)
	first, firstID := m.writer()
	m.take(first, "gone", snapshot.ModeDifferential)
	m.node.put("nb-2-big-Data.db", noise(2, 300_000))
	m.take(first, "monday", snapshot.ModeDifferential)
	m.rotate()
	m.die("again")
	m.collect()
	m.node.put("nb-3-big-Data.db", noise(3, 5000))
	m.take(first, "again", snapshot.ModeDifferential)
	m.remove("gone")
	m.node.remove("nb-2-big-Data.db")
	m.revoke(firstID)
	second, _ := m.writer()
	m.chains = map[string][]string{"writer": {"backup", "other", "backup"}, "owner": {"gc"}}
	m.note(second, m.chains["writer"]...)
	m.note(m.owner, m.chains["owner"]...)
	m.take(second, "full", snapshot.ModeFull)
	m.node.putCompressed()
	m.take(second, "tuesday", snapshot.ModeDifferential)
	m.collect()
	m.say()
	return m.made
}

func newMaker(t *testing.T) *maker {
	t.Helper()
	m := &maker{t: t, made: made{dir: t.TempDir(), files: make(map[string]map[string]string)}}
	m.records = map[string]string{"holds": `{"backup":"full"}`, "checks": "all is well"}
	var err error
	m.st, err = store.Open(t.Context(), "file://"+m.dir, store.Options{})
	m.must(err)
	t.Cleanup(func() { m.st.Close() })
	settings := repo.DefaultSettings()
	settings.PackSize = 1 << 20
	settings.DataChunks = pack.Sizes{Min: 4 << 10, Bits: 12, Max: 32 << 10}
	settings.MetaChunks = pack.Sizes{Min: 4 << 10, Bits: 12, Max: 32 << 10}
	m.must(repo.Init(t.Context(), m.st, settings, roles.Passphrase([]byte(passphrase), roles.Cost{Time: 1, Memory: 8, Threads: 1})))
	m.owner = m.open(roles.WithPassphrase([]byte(passphrase)))
	m.node = newStandIn(t)
	return m
}

func (m *maker) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) open(u roles.Unlock) *repo.Repo {
	m.t.Helper()
	r, err := repo.Open(m.t.Context(), m.st, u, m.t.TempDir())
	m.must(err)
	return r
}

// writer opens the repository with a key file made for a writer.
func (m *maker) writer() (*repo.Repo, roles.KeyID) {
	m.t.Helper()
	text, id, err := m.owner.ExportKey(m.t.Context(), roles.RoleWriter, []string{host})
	m.must(err)
	m.key = string(text)
	file, err := roles.ParseKeyFile(text)
	m.must(err)
	return m.open(roles.WithKeyFile(file)), id
}

func (m *maker) take(w *repo.Repo, name, mode string) {
	m.t.Helper()
	_, err := snapshot.Take(m.t.Context(), w, m.node, snapshot.Options{Name: name, Mode: mode, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Progress: silent{}, Open: snapshot.OpenFile})
	m.must(err)
	m.files[name] = m.node.live()
}

type silent struct{}

func (silent) Expect(int, int64) {}
func (silent) Done(int, int64)   {}

// rotate replaces the seal key, and destroys the old one: what was sealed to it opens by its second sealing only.
func (m *maker) rotate() {
	m.t.Helper()
	n, err := m.owner.RotateSeal(m.t.Context(), "")
	m.must(err)
	retired, err := m.owner.RetireSeals(m.t.Context(), "")
	m.must(err)
	if n == 0 || len(retired) != 1 {
		m.t.Fatalf("%d sessions sealed anew, %d keys retired", n, len(retired))
	}
}

// dying is a store in which a writer dies before its root.
type dying struct{ store.Store }

var errDied = errors.New("the writer died")

// Create implements store.Store.
func (d dying) Create(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "snapshots/") {
		return errDied
	}
	return d.Store.Create(ctx, name, data)
}

// die is a backup that ends between its pending root and its root.
func (m *maker) die(name string) {
	m.t.Helper()
	r, err := repo.Open(m.t.Context(), dying{m.st}, roles.WithPassphrase([]byte(passphrase)), m.t.TempDir())
	m.must(err)
	_, err = snapshot.Take(m.t.Context(), r, m.node, snapshot.Options{Name: name, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Progress: silent{}, Open: snapshot.OpenFile})
	if !errors.Is(err, errDied) {
		m.t.Fatalf("error %v", err)
	}
}

func (m *maker) collect() {
	m.t.Helper()
	_, err := m.owner.GC(m.t.Context(), host, repo.GCOptions{MaxRepack: math.MaxInt64, Now: time.Now})
	m.must(err)
}

// note appends to the audit chain of a key.
func (m *maker) note(r *repo.Repo, commands ...string) {
	m.t.Helper()
	for _, c := range commands {
		_, err := r.AppendAudit(m.t.Context(), repo.AuditEntry{Command: c, At: time.Now()})
		m.must(err)
	}
}

// say has a reader add a record of each kind.
func (m *maker) say() {
	m.t.Helper()
	text, _, err := m.owner.ExportKey(m.t.Context(), roles.RoleReader, nil)
	m.must(err)
	file, err := roles.ParseKeyFile(text)
	m.must(err)
	r := m.open(roles.WithKeyFile(file))
	for kind, body := range m.records {
		_, err := r.AddRecord(m.t.Context(), repo.RecordKind(kind), []byte(body))
		m.must(err)
	}
}

func (m *maker) remove(name string) {
	m.t.Helper()
	root, err := m.owner.Find(m.t.Context(), host, name)
	m.must(err)
	m.must(m.owner.Delete(m.t.Context(), root, []byte(reason)))
	delete(m.files, name)
}

func (m *maker) revoke(id roles.KeyID) {
	m.t.Helper()
	last, err := m.owner.Newest(m.t.Context(), id)
	m.must(err)
	m.must(m.owner.Revoke(m.t.Context(), id, last))
}

// standIn is a node without a Cassandra: its directories are real, its snapshots are hard links.
type standIn struct {
	*node.Node
	t    *testing.T
	data string
}

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	dir := t.TempDir()
	n := &standIn{t: t, data: filepath.Join(dir, "data")}
	n.put("nb-1-big-Data.db", noise(1, 300_000))
	n.put("nb-1-big-Index.db", noise(4, 1<<20)) // more chunks than a recipe names without segments
	n.put("nb-1-big-Statistics.db", strings.Repeat("text that compresses ", 1000))
	n.put("nb-1-big-Digest.crc32", "1234567890")
	n.put("nb-1-big-Filter.db", "")
	n.put(".by_mail/nb-1-big-Data.db", noise(5, 3000))
	conf := filepath.Join(dir, "cassandra.yaml")
	err := os.WriteFile(conf, []byte("cluster_name: shop\ndata_file_directories:\n  - "+n.data+"\n"), 0o644)
	if err == nil {
		n.Node, err = node.New(node.Config{YAML: conf}, slog.New(slog.DiscardHandler))
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// noise returns n bytes that do not compress.
func noise(seed byte, n int) string {
	b := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256([]byte{seed})).Read(b)
	return string(b)
}

func (n *standIn) put(name, content string) {
	n.t.Helper()
	path := filepath.Join(n.data, tableDir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o644)
	}
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *standIn) remove(name string) {
	n.t.Helper()
	if err := os.Remove(filepath.Join(n.data, tableDir, name)); err != nil {
		n.t.Fatal(err)
	}
}

// live returns the node's files by their path below the data directory.
func (n *standIn) live() map[string]string {
	n.t.Helper()
	files := make(map[string]string)
	err := fs.WalkDir(os.DirFS(n.data), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(n.data, path))
		files[path] = string(b)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return files
}

func (n *standIn) Identity(context.Context) (node.Identity, error) {
	return node.Identity{HostID: host, Name: "node-a", Cluster: "shop", Version: "5.0.6", Partitioner: "Murmur3",
		DC: "dc1", Rack: "r1", Address: "10.0.0.1", Tokens: []string{"-1", "7"}}, nil
}

func (n *standIn) Ring(context.Context) (ring.Ring, error) {
	return ring.Ring{Cluster: "shop", Members: []ring.Member{
		{HostID: host, Address: "10.0.0.1", DC: "dc1", Rack: "r1", State: ring.Normal, Tokens: []string{"-1", "7"}}}}, nil
}

func (n *standIn) Schema(context.Context) (node.Schema, error) {
	_, id, _ := strings.Cut(filepath.Base(tableDir), "-")
	return node.Schema{Keyspaces: []node.KeyspaceSchema{{Name: "ks", CQL: schemaText}}, Tables: []node.Table{{Keyspace: "ks", Name: "t", ID: id}}}, nil
}

func (n *standIn) Roles(context.Context) (node.Roles, error) {
	return node.Roles{CQL: rolesText}, nil
}

func (n *standIn) ConfigFiles() ([]node.ConfigFile, error) {
	return []node.ConfigFile{{Name: "cassandra.yaml", Text: []byte(configText), Masked: 1}}, nil
}

func (n *standIn) Snapshot(_ context.Context, tag string, _ ...string) error {
	from := filepath.Join(n.data, tableDir)
	for path := range n.live() {
		rel, err := filepath.Rel(tableDir, path)
		to := filepath.Join(from, "snapshots", tag, rel)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.Link(filepath.Join(from, rel), to)
		}
		if err != nil {
			return fmt.Errorf("link: %w", err)
		}
	}
	return nil
}

func (n *standIn) ClearSnapshot(context.Context, string) error {
	return os.RemoveAll(filepath.Join(n.data, tableDir, "snapshots"))
}
