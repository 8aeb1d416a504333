package restore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cbk/cassandra/node"
	"cbk/cassandra/schema"
	"cbk/restore/fit"
	"cbk/snapshot"
)

// fakeHost is a node without a Cassandra: its directories are real.
type fakeHost struct {
	dir    string // above its directories
	layout node.Layout
	id     string
	up     bool
	tables []node.Table // of its schema
	tokens []string
	rows   schema.System
	calls  []string
	on     map[string]func() error // run at a call
	online
}

// oldFiles are what the directories of a host hold before a restore.
func oldFiles() files {
	return files{
		"data/shop/customers-0/nb-1-big-Data.db": "old row", "data/shop/gone-0/nb-1-big-Data.db": "old table",
		"commitlog/CommitLog-7-1.log": "old mutation", "hints/x.hints": "old hint", "saved_caches/k.db": "old cache",
	}
}

// newHost returns a running node with the old files, and other people's files beside its directories.
func newHost(t *testing.T) *fakeHost {
	t.Helper()
	dir := t.TempDir()
	for name, content := range oldFiles() {
		write(t, filepath.Join(dir, name), content)
	}
	return &fakeHost{dir: dir, id: strings.ToUpper(hostID), up: true, on: make(map[string]func() error), layout: node.Layout{
		DataDirs: []string{filepath.Join(dir, "data")}, CommitLog: filepath.Join(dir, "commitlog"), Hints: filepath.Join(dir, "hints"),
		SavedCaches: filepath.Join(dir, "saved_caches"), CDCRaw: filepath.Join(dir, "cdc_raw"), StorageMode: "NONE"}}
}

func (h *fakeHost) call(name string) error {
	h.calls = append(h.calls, name)
	if h.on[name] != nil {
		return h.on[name]()
	}
	return nil
}

func (h *fakeHost) Layout() node.Layout { return h.layout }

func (h *fakeHost) Answers(ctx context.Context) bool { return h.up && ctx.Err() == nil }

func (h *fakeHost) Identity(context.Context) (node.Identity, error) {
	return node.Identity{HostID: h.id, Name: "node-x", Tokens: h.tokens, Version: cmp.Or(h.version, "5.0.6")}, h.call("identity")
}

func (h *fakeHost) Schema(context.Context) (node.Schema, error) {
	s, err := h.describe()
	return s, errors.Join(err, h.call("schema"))
}

func (h *fakeHost) System(context.Context) (*schema.System, error) {
	return &h.rows, h.call("rows")
}

func (h *fakeHost) Partition(context.Context, string, string, []string, [][]byte, string, int) (int, error) {
	return 1, h.call("partition")
}

func (h *fakeHost) CountRows(context.Context, string, string, string, string) (int64, error) {
	return 0, h.call("count")
}

func (h *fakeHost) Select(context.Context, string, string, int) ([][]string, error) {
	return nil, h.call("select")
}

func (h *fakeHost) Drain(context.Context) error { return h.call("drain") }

func (h *fakeHost) PrepareFirstStart(_ context.Context, _ *node.FirstStart, keep string) error {
	return errors.Join(os.WriteFile(keep, []byte("an operator's"), 0o600), h.call("prepare first start"))
}

func (h *fakeHost) EndFirstStart(context.Context, *node.FirstStart) error {
	return h.call("end first start")
}

func (h *fakeHost) StopCassandra(context.Context) error {
	h.up = false
	return h.call("stop")
}

func (h *fakeHost) StartCassandra(context.Context) error {
	h.up = true
	return h.call("start")
}

func (h *fakeHost) RebuildIndexes(_ context.Context, keyspace, table string, names ...string) error {
	return h.call(fmt.Sprintf("rebuild %s.%s %v", keyspace, table, names))
}

func (h *fakeHost) WaitUp(context.Context) error { return h.call("wait") }

func (h *fakeHost) SampleQuery(_ context.Context, keyspace, table string) error {
	return h.call("query " + keyspace + "." + table)
}

// fails makes a call fail.
func (h *fakeHost) fails(call string) { h.on[call] = func() error { return errInjected } }

var errInjected = errors.New("injected failure")

// started is when the restores of these tests were asked for; planID is the id that makes.
var started = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const planID = "20260501T120000Z"

// placing is a restore in place that is planned.
type placing struct {
	Options
	Snap *snapshot.Snapshot
	Plan *Plan
}

// inPlace plans the restore of a snapshot onto a host.
func inPlace(t *testing.T, s *snapshot.Snapshot, h *fakeHost) *placing {
	t.Helper()
	plan, err := NewPlan(t.Context(), s, h, wholeOrder(s))
	if err != nil {
		t.Fatal(err)
	}
	return &placing{Options{Host: h, StateDir: filepath.Join(h.dir, "state"), Log: silentLog, Progress: silent{}}, s, plan}
}

// wholeOrder accepts that the SSTables of these tests are none.
func wholeOrder(s *snapshot.Snapshot) Order { return orderAt(InPlace, s, started) }

func orderAt(way Way, s *snapshot.Snapshot, asked time.Time, tables ...string) Order {
	o := NewOrder(way, s, snapshot.Selection{Tables: tables}, asked)
	o.Accept = []string{fit.Damaged, fit.Columns, fit.Tombstones}
	return o
}

// Run does what the command does: it goes on with what was interrupted, or begins.
func (r *placing) Run(ctx context.Context) (*Outcome, error) {
	job, err := Resume(r.Options, r.Plan.Order)
	if err == nil && job == nil {
		job, err = Begin(r.Options, r.Plan)
	}
	if err != nil {
		return nil, err
	}
	defer job.Close()
	return job.Run(ctx, r.Snap)
}

// job opens the restore whatever has become of it.
func (r *placing) job(t *testing.T) *Job {
	t.Helper()
	job, err := Find(r.Options, r.Plan.ID)
	if err != nil || job == nil {
		t.Fatal("no job", err)
	}
	t.Cleanup(job.Close)
	return job
}

// journal reads the restore's journal, nil if there is none.
func (r *placing) journal(t *testing.T) *Journal {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(journalDir(r.StateDir), r.Plan.ID+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	j := &Journal{}
	if err == nil {
		err = json.Unmarshal(b, j)
	}
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// moved returns files under the name of another directory.
func moved(all files, dir string) files {
	out := make(files)
	for name, content := range all {
		out[dir+"/"+name] = content
	}
	return out
}

// mustLive demands that the files of before are where they were, whatever lies beside them.
func (h *fakeHost) mustLive(t *testing.T) {
	t.Helper()
	got := tree(t, h.dir)
	for name, content := range oldFiles() {
		if got[name] != content {
			t.Errorf("%s: %q", name, got[name])
		}
	}
	for name := range got {
		dir, _, _ := strings.Cut(name, "/")
		if _, old := oldFiles()[name]; !old && dir != "state" && dir != stagingName(planID) {
			t.Errorf("left: %s", name)
		}
	}
}

// mustBeUntouched demands that a host is as it was, and nothing of the restore is left beside it.
func (h *fakeHost) mustBeUntouched(t *testing.T) {
	t.Helper()
	got := tree(t, h.dir)
	for name := range got {
		if strings.HasPrefix(name, "state/") {
			delete(got, name)
		}
	}
	for name, content := range oldFiles() {
		if got[name] != content {
			t.Errorf("%s: %q", name, got[name])
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("left: %s", name)
	}
	entries, err := filepath.Glob(filepath.Join(h.dir, "cbk-*"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}
