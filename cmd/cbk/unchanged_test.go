package main

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

// opened counts what a backup opens; fail, if set, is asked before each file.
type opened struct {
	mu    sync.Mutex
	names []string
	fail  func(path string) error
}

func (o *opened) open(path string) (io.ReadCloser, error) {
	o.mu.Lock()
	o.names = append(o.names, path)
	o.mu.Unlock()
	if o.fail != nil {
		if err := o.fail(path); err != nil {
			return nil, err
		}
	}
	return snapshot.OpenFile(path)
}

// domainLabel is what the writer's key of a rig is for.
const domainLabel = "node-1"

// writer returns the key file of a writer, which the first call has made.
func (r *rig) writer() string {
	r.t.Helper()
	if r.key == "" {
		r.key = r.ok("key", "export", "--role", "writer", "--domain", domainLabel)
	}
	return r.key
}

// take backs up in this process with a writer's key, so that what is opened can be seen.
func (r *rig) take(name string, o *opened) (*snapshot.Result, *store.Counts, error) {
	r.t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(r.t.Context(), r.cfg.Repository, store.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	counted, counts := store.Counting(st)
	key, err := roles.ParseKeyFile([]byte(r.writer()))
	if err != nil {
		r.t.Fatal(err)
	}
	opening, err := repo.Open(r.t.Context(), counted, roles.WithKeyFile(key), r.path("state"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer opening.Close()
	n, err := node.New(r.cfg.node(), log)
	if err != nil {
		r.t.Fatal(err)
	}
	defer n.Close()
	res, err := snapshot.Take(r.t.Context(), opening, n, snapshot.Options{Name: name, Domain: domainLabel, Now: time.Now, Log: log, Progress: &tally{}, Open: o.open})
	if err == nil {
		_, err = opening.AppendAudit(r.t.Context(), repo.AuditEntry{Command: "backup", At: time.Now()})
	}
	return res, counts, err
}

// settle waits until what was just written is old enough to be trusted as unchanged.
func settle() { time.Sleep(2500 * time.Millisecond) }

func (r *rig) table(backup, name string) (t shownTableJSON) {
	r.t.Helper()
	for _, t := range doc[showJSON](r, "show", backup).Nodes[0].Tables {
		if t.Keyspace+"."+t.Table == name {
			return t
		}
	}
	r.t.Fatalf("backup %s has no table %s", backup, name)
	return t
}

func TestASecondBackupWithNothingNewReadsAndStoresAlmostNothing(t *testing.T) {
	r := newRig(t)
	r.shop(3000)
	r.nodetool("flush")
	settle()
	first, second := &opened{}, &opened{}
	if _, _, err := r.take("one", first); err != nil {
		t.Fatal(err)
	}
	userData := func(path string) bool { return strings.Contains(path, "/shop/") && strings.HasSuffix(path, "-Data.db") }
	if !slices.ContainsFunc(first.names, userData) {
		t.Fatal("the first backup read no Data.db of a user table: the test would prove nothing")
	}
	two, counts, err := r.take("two", second)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range second.names {
		base := filepath.Base(name)
		small := strings.HasSuffix(base, "TOC.txt") || strings.HasSuffix(base, "Statistics.db") || strings.Contains(base, "Digest.") ||
			strings.HasSuffix(base, "CompressionInfo.db") || strings.HasSuffix(base, "Filter.db") || strings.HasSuffix(base, "Summary.db")
		if strings.Contains(name, "/shop/") && !small {
			t.Errorf("read again: %s", name)
		}
	}
	var system int64
	for _, table := range doc[showJSON](r, "show", "two").Nodes[0].Tables {
		if strings.HasPrefix(table.Keyspace, "system") {
			system += table.BytesStored
		} else if table.BytesNew != 0 {
			t.Errorf("%s.%s: %d new bytes", table.Keyspace, table.Table, table.BytesNew)
		}
	}
	t.Logf("stored %d bytes, %d of them the system tables' new SSTables; requests: %d put, %d get, %d head, %d list",
		two.BytesStored, system, counts.Puts.Load(), counts.Gets.Load(), counts.Heads.Load(), counts.Lists.Load())
	if two.BytesStored-system > 64<<10 {
		t.Errorf("stored %d bytes beyond the system tables' %d", two.BytesStored-system, system)
	}
	if counts.Total() > 14 {
		t.Errorf("%d requests", counts.Total())
	}
}

func TestOnePercentOfNewRowsStoresAboutThatMuch(t *testing.T) {
	r := newRig(t)
	r.shop(5000)
	r.nodetool("flush")
	settle()
	all := doc[backupJSON](r, "backup", "--name", "one")
	r.cql(func(s *gocql.Session) error { return cassandratest.Fill(s, 1, 5000, 5050) })
	r.nodetool("flush", "shop")
	doc[backupJSON](r, "backup", "--name", "two")
	var before, after, stored int64
	for _, name := range cassandratest.Tables() {
		before += r.table("one", "shop."+name).BytesSource
		after += r.table("two", "shop."+name).BytesSource
		stored += r.table("two", "shop."+name).BytesStored
	}
	// What is new on the node, and per small SSTable some 8 files of a few hundred bytes with 55 bytes of envelope each.
	if grown := after - before; stored == 0 || stored > grown+grown/2+16<<10 {
		t.Errorf("%d bytes stored for %d new bytes on the node (%d in all)", stored, grown, all.BytesSource)
	}
}

func TestAComponentThatCannotBeReadFailsTheBackup(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(path string) error
		says string
	}{
		{"vanished", func(string) error { return fs.ErrNotExist }, "file does not exist"},
		{"unreadable", func(string) error { return fs.ErrPermission }, "permission denied"},
		{"bad sector", func(string) error { return errors.New("input/output error") }, "input/output error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.shop(20)
			o := &opened{fail: func(path string) error {
				if strings.Contains(path, "/shop/files-") && strings.HasSuffix(path, "-Data.db") {
					return c.fail(path)
				}
				return nil
			}}
			_, _, err := r.take("b", o)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "shop.files") {
				t.Fatalf("got %v", err)
			}
			if len(r.names()) != 0 || len(r.snapshots()) != 0 {
				t.Errorf("backups %v, snapshots %v", r.names(), r.snapshots())
			}
			if _, _, err := r.take("b", &opened{}); err != nil {
				t.Errorf("the next backup: %v", err)
			}
			r.ok("check", "--read-data")
		})
	}
}
