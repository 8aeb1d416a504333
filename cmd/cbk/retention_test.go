package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

var updatePlans = flag.Bool("update-plans", false, "write the plans of testdata/plans as they are made")

// TestRetentionScripts runs stories of purge, delete and hold, on backups that need no Cassandra: "repository" makes a
// repository that opens fast, "plant NAME …" a backup in it, see parsePlanted.
func TestRetentionScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/retention", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"plant": plant, "repository": repository},
		Setup: func(e *testscript.Env) error {
			e.Setenv("CBK_STATE_DIR", e.WorkDir+"/state")
			e.Setenv("CBK_REPO", e.WorkDir+"/repo")
			e.Setenv("CBK_PASSPHRASE_FILE", e.WorkDir+"/pass")
			return os.WriteFile(e.WorkDir+"/pass", []byte("correct horse\n"), 0o600)
		}})
}

func repository(ts *testscript.TestScript, _ bool, _ []string) {
	st, err := store.Open(context.Background(), ts.MkAbs("repo"), store.Options{Make: true})
	ts.Check(err)
	defer st.Close()
	ts.Check(repo.Init(context.Background(), st, repo.DefaultSettings(), roles.Passphrase([]byte("correct horse"), roles.Cost{Time: 1, Memory: 8, Threads: 1})))
}

func plant(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: plant NAME [KEY=VALUE...]")
	}
	p, err := parsePlanted(args, time.Now().UTC())
	ts.Check(err)
	for _, letter := range p.nodes {
		ts.Check(p.commit(context.Background(), ts.MkAbs("repo"), letter))
	}
}

// TestPlans compares purge's plans with those that were read and found right.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/plans/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no plans", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	part := make(map[string]*txtar.File)
	for i := range a.Files {
		part[a.Files[i].Name] = &a.Files[i]
	}
	var out bytes.Buffer
	plan, err := planOf(t, part)
	if err == nil {
		if err = refused(plan); err == nil {
			printPurge(&out, plan)
		}
	}
	if err != nil {
		report(&out, err)
	}
	if *updatePlans {
		part["plan"].Data = out.Bytes()
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(part["plan"].Data), out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// planOf makes the plan of a file: its policy as in the configuration, its backups one a line, its holds with a name and a
// reason. It is made on day 60 of the year 2026.
func planOf(t *testing.T, part map[string]*txtar.File) (*snapshot.Plan, error) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var cfg struct {
		retentionConfig `yaml:",inline"`
		TrustTime       string `yaml:"trust_time"`
		Cluster         string `yaml:"cluster"`
	}
	if err := yaml.Unmarshal(part["policy"].Data, &cfg); err != nil {
		t.Fatal(err)
	}
	r := snapshot.Retention{Now: now, Trust: snapshot.TrustTime(cfg.TrustTime), Cluster: cfg.Cluster, Locked: make(map[string]time.Time)}
	var err error
	if r.Policy, err = cfg.policy(cli.NewContext(cli.NewApp(), flag.NewFlagSet("", flag.ContinueOnError), nil)); err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(part["backups"].Data)) {
		p, err := parsePlanted(strings.Fields(line), now)
		if err != nil {
			t.Fatal(err)
		}
		r.Backups = append(r.Backups, p.backup())
	}
	if part["holds"] != nil {
		for line := range strings.Lines(string(part["holds"].Data)) {
			name, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
			r.Holds = append(r.Holds, snapshot.Hold{Kind: snapshot.HoldLegal, Backup: name, Cluster: "shop", Reason: reason, By: "ann@desk", Added: now.AddDate(0, 0, -9)})
		}
	}
	if part["locks"] != nil {
		for line := range strings.Lines(string(part["locks"].Data)) {
			f := strings.Fields(line)
			if r.Locked[f[0]], err = when(f[1], now); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r.Plan()
}

func TestNamesNearAreOffered(t *testing.T) {
	all := []string{"b1", "b10", "monday", "monday-2", "data", "nightly"}
	for _, c := range []struct{ typed, want string }{
		{"b2", "b1, b10"},
		{"mondai", "monday"},
		{"monday-", "monday, monday-2"},
		{"nihgtly", "nightly"},
		{"wholly-different", ""},
	} {
		want := ""
		if c.want != "" {
			want = "; near it: " + c.want
		}
		if got := near(c.typed, all); got != want {
			t.Errorf("%s: %q, want %q", c.typed, got, want)
		}
	}
	many := []string{"m1", "m2", "m3", "m4", "m5", "m6"}
	if got := near("m", many); got != "; near it: m1, m2, m3, m4, m5" {
		t.Errorf("of many: %q", got)
	}
}
