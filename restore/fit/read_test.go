package fit

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/sstable"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

const hostID = "aaaaaaaa-0000-4000-8000-000000000001"

// source is a node of files that is backed up.
type source struct{ *node.Node }

func (s *source) Identity(context.Context) (node.Identity, error) {
	return node.Identity{HostID: hostID, Name: "node-a", Cluster: "shop"}, nil
}

func (s *source) Ring(context.Context) (ring.Ring, error) {
	return ring.Ring{Members: []ring.Member{{HostID: hostID, State: ring.Normal}}}, nil
}

func (s *source) Schema(context.Context) (node.Schema, error) {
	return node.Schema{Keyspaces: []node.KeyspaceSchema{{Name: "none", CQL: "-- none"}}}, nil
}
func (s *source) Snapshot(context.Context, string, ...string) error { return nil }
func (s *source) Roles(context.Context) (node.Roles, error)         { return node.Roles{Absent: "none"}, nil }
func (s *source) ConfigFiles() ([]node.ConfigFile, error)           { return nil, nil }
func (s *source) ClearSnapshot(context.Context, string) error       { return nil }
func (s *source) SnapshotTables(string) ([]node.TableDir, error)    { return s.Node.SnapshotTables("t") }

type silent struct{}

func (silent) Expect(int, int64) {}
func (silent) Done(int, int64)   {}

// backup backs up the files of tables, "table/file" and where they stand.
func backup(t *testing.T, files map[string]string) *snapshot.Snapshot {
	t.Helper()
	st, err := store.Open(t.Context(), "mem://", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Init(t.Context(), st, repo.DefaultSettings(), roles.Passphrase([]byte("pass"), roles.Cost{Time: 1, Memory: 8, Threads: 1})); err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), st, roles.WithPassphrase([]byte("pass")), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	log := slog.New(slog.DiscardHandler)
	n, err := node.New(node.Config{YAML: nodeOf(t, files)}, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Take(t.Context(), r, &source{n}, snapshot.Options{Name: "one", Now: time.Now, Log: log, Progress: silent{}, Open: snapshot.OpenFile}); err != nil {
		t.Fatal(err)
	}
	b, err := snapshot.Find(t.Context(), r, "one", "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.Open(t.Context(), r, &b.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// nodeOf lays out the snapshot of a node and returns its cassandra.yaml.
func nodeOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, from := range files {
		table, file, _ := strings.Cut(name, "/")
		to := filepath.Join(dir, "data/zoo", fmt.Sprintf("%s-%032x", table, len(table)), "snapshots/t", file)
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	yaml := filepath.Join(dir, "cassandra.yaml")
	if err := os.WriteFile(yaml, []byte("data_file_directories: ["+filepath.Join(dir, "data")+"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return yaml
}

// flushed are the files of the zoo's tables as they were flushed.
func flushed(t *testing.T, rel cassandratest.Release, tables ...string) (files map[string]string, headers map[string][]*sstable.Header) {
	t.Helper()
	files, headers = make(map[string]string), make(map[string][]*sstable.Header)
	for _, f := range cassandratest.Fixtures(t, rel.Release, rel.Format) {
		for _, table := range tables {
			if f.Table != table || f.How != "flush" {
				continue
			}
			all, err := filepath.Glob(f.Component("*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range all {
				files[table+"/"+filepath.Base(path)] = path
			}
			b, err := os.ReadFile(f.Component(sstable.Statistics))
			if err != nil {
				t.Fatal(err)
			}
			m, err := sstable.ParseStatistics(b, rel.Format)
			if err != nil {
				t.Fatal(err)
			}
			headers[table] = append(headers[table], &m.Header)
		}
	}
	return files, headers
}

func chosen(s *snapshot.Snapshot) (tables []*snapshot.Table) {
	for i := range s.Node.Tables {
		tables = append(tables, &s.Node.Tables[i])
	}
	return tables
}

func TestABackupOfRealSSTablesIsJudged(t *testing.T) {
	for _, rel := range []cassandratest.Release{{Release: "3.11.19", Format: "me"}, {Release: "5.0.6", Format: "da"}} {
		t.Run(rel.Format, func(t *testing.T) {
			files, headers := flushed(t, rel, "dropped", "everything")
			s := backup(t, files)
			whole := schemaOf(t, headers["everything"][0])
			whole.Name = "everything"
			// The second flush of the table came when its columns were gone.
			later := schemaOf(t, headers["dropped"][1])
			later.Name = "dropped"
			r, err := Read(t.Context(), s, chosen(s), Input{Now: now, Backup: now.Add(-day), Way: Import, Release: rel.Release, Mode: "NONE",
				Schema: []Table{*whole, *later}, Drops: []Drop{{"zoo", "dropped", "gone", 55, false}}})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{`ALTER TABLE "zoo"."dropped" ADD "gone" text;`, `ALTER TABLE "zoo"."dropped" DROP "gone" USING TIMESTAMP 55;`,
				`ALTER TABLE "zoo"."dropped" ADD "gone_list" list<int>;`}
			if len(later.Regular) > 2 || len(r.Tables) != 2 || r.Tables[1].Unread+len(r.Tables[1].Columns) > 0 || r.Tables[1].SSTables != len(headers["everything"]) {
				t.Errorf("%+v", r.Tables)
			}
			if diff := cmp.Diff(want, r.Mend()); diff != "" {
				t.Errorf("(-want +got):\n%s\n%+v", diff, r.Risks)
			}
		})
	}
}

func TestSSTablesWithoutReadableStatisticsAreToldAsSuch(t *testing.T) {
	files, headers := flushed(t, cassandratest.Release{Release: "4.1.10", Format: "nb"}, "everything")
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte(strings.Repeat("no statistics ", 50)), 0o644); err != nil {
		t.Fatal(err)
	}
	for name := range files {
		if strings.HasSuffix(name, sstable.Statistics) {
			files["everything/nb-91-big-Data.db"], files["everything/nb-92-big-Data.db"] = files[name], files[name]
			files["everything/nb-92-big-Statistics.db"] = broken
		}
	}
	s := backup(t, files)
	target := schemaOf(t, headers["everything"][0])
	target.Name = "everything"
	r, err := Read(t.Context(), s, chosen(s), Input{Now: now, Backup: now, Release: "4.1.10", Schema: []Table{*target}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Tables[0]; got.Unread != 2 || got.SSTables != len(headers["everything"])+2 || len(got.Columns) > 0 {
		t.Errorf("%+v", got)
	}
	idle, err := Judge(r.Risks, []string{Columns, Damaged})
	if err != nil || len(idle) > 0 {
		t.Error(idle, err, says(r))
	}
}
