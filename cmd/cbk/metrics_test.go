package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

var night = time.Date(2026, 3, 9, 2, 0, 0, 0, time.UTC)

// fullRun is a backup that went well.
func fullRun() backupRun {
	return backupRun{Cluster: "shop", Node: "127.0.1.3", Started: night, Finished: night.Add(90 * time.Second), Recorded: true,
		Requests: requestsJSON{Put: 4, Get: 2, Head: 1, List: 5}, BytesSource: 1 << 40, BytesNew: 7, BytesStored: 5, BytesCopied: 3,
		Tables: 12, SSTables: 34, Files: 272, Unchanged: 200, Damaged: 1, Missing: 2}
}

// values returns the lines of a file that are no comments, without the build's.
func values(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "cbk_build_info") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

func TestMetricsOfABackup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cbk.prom")
	if err := writeMetrics(file, fullRun()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`cbk_backup_bytes{cluster="shop",kind="copied",node="127.0.1.3"} 3`,
		`cbk_backup_bytes{cluster="shop",kind="new",node="127.0.1.3"} 7`,
		`cbk_backup_bytes{cluster="shop",kind="source",node="127.0.1.3"} 1.099511627776e+12`,
		`cbk_backup_bytes{cluster="shop",kind="stored",node="127.0.1.3"} 5`,
		`cbk_backup_damaged_sstables{cluster="shop",node="127.0.1.3"} 1`,
		`cbk_backup_duration_seconds{cluster="shop",node="127.0.1.3"} 90`,
		`cbk_backup_exit_code{cluster="shop",node="127.0.1.3"} 0`,
		`cbk_backup_files{cluster="shop",node="127.0.1.3"} 272`,
		`cbk_backup_files_unchanged{cluster="shop",node="127.0.1.3"} 200`,
		`cbk_backup_last_run_timestamp_seconds{cluster="shop",node="127.0.1.3"} 1.77302169e+09`,
		`cbk_backup_last_success_timestamp_seconds{cluster="shop",node="127.0.1.3"} 1.77302169e+09`,
		`cbk_backup_missing_tables{cluster="shop",node="127.0.1.3"} 2`,
		`cbk_backup_requests{cluster="shop",node="127.0.1.3",op="copy"} 0`,
		`cbk_backup_requests{cluster="shop",node="127.0.1.3",op="get"} 2`,
		`cbk_backup_requests{cluster="shop",node="127.0.1.3",op="head"} 1`,
		`cbk_backup_requests{cluster="shop",node="127.0.1.3",op="list"} 5`,
		`cbk_backup_requests{cluster="shop",node="127.0.1.3",op="put"} 4`,
		`cbk_backup_sstables{cluster="shop",node="127.0.1.3"} 34`,
		`cbk_backup_tables{cluster="shop",node="127.0.1.3"} 12`,
	}
	if diff := cmp.Diff(want, values(t, file)); diff != "" {
		t.Error(diff)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	info, statErr := os.Stat(file)
	if err != nil || statErr != nil || len(left) != 1 || info.Mode().Perm() != 0o644 {
		t.Errorf("%d files, mode %v, %v %v", len(left), info.Mode(), err, statErr)
	}
}

func TestAFailedRunKeepsTheTimeOfTheLastSuccess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cbk.prom")
	if err := writeMetrics(file, fullRun()); err != nil {
		t.Fatal(err)
	}
	// It ended before it knew its node; and once more, so that what was kept is kept again.
	for i := range 2 {
		failed := backupRun{Started: night.Add(24 * time.Hour), Finished: night.Add(24*time.Hour + time.Second), Exit: exitFailed}
		if err := writeMetrics(file, failed); err != nil {
			t.Fatal(err)
		}
		want := []string{
			`cbk_backup_duration_seconds{cluster="shop",node="127.0.1.3"} 1`,
			`cbk_backup_exit_code{cluster="shop",node="127.0.1.3"} 1`,
			`cbk_backup_last_run_timestamp_seconds{cluster="shop",node="127.0.1.3"} 1.773108001e+09`,
			`cbk_backup_last_success_timestamp_seconds{cluster="shop",node="127.0.1.3"} 1.77302169e+09`,
		}
		var got []string
		for _, line := range values(t, file) {
			if !strings.HasPrefix(line, "cbk_backup_requests") {
				got = append(got, line)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("failure %d:\n%s", i+1, diff)
		}
	}
}

func TestDamageIsNoSuccess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cbk.prom")
	run := fullRun()
	run.Exit = exitDamage
	if err := writeMetrics(file, run); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(values(t, file), "\n"); strings.Contains(text, lastSuccess) || !strings.Contains(text, "cbk_backup_tables") {
		t.Error(text)
	}
}

func TestTheSuccessOfAnotherNodeIsNotTakenOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cbk.prom")
	if err := writeMetrics(file, fullRun()); err != nil {
		t.Fatal(err)
	}
	other := backupRun{Cluster: "shop", Node: "127.0.1.4", Started: night, Finished: night, Exit: exitFailed}
	if err := writeMetrics(file, other); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(values(t, file), "\n"); strings.Contains(text, lastSuccess) {
		t.Error(text)
	}
}

func TestWhatStandsAtTheMetricsFilesName(t *testing.T) {
	for _, tc := range []struct {
		name, file, text, want string
	}{
		{"nothing", "a.prom", "", ""},
		{"what a crash has left", "a.prom", "cbk_backup_ex\x00\x00\x00", ""},
		{"more than may be read", "a.prom", strings.Repeat("# much\n", maxMetricsFile/4), ""},
		{"another program's", "a.prom", "node_load1 0.5\n", "another program"},
		{"no name of the collector's", "cassandra.yaml", "cluster_name: shop\n", "does not end in .prom"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), tc.file)
			if tc.text != "" {
				if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := writeMetrics(file, fullRun())
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if text, _ := os.ReadFile(file); (string(text) == tc.text) != (tc.want != "") {
				t.Errorf("the file holds %.50q", text)
			}
		})
	}
}

func TestADirectoryIsNoMetricsFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir.prom")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeMetrics(dir, fullRun()); err == nil {
		t.Error("it was replaced")
	}
}

// runMeasured runs a backup that does nothing but end as told.
func runMeasured(t *testing.T, end error, args ...string) (stderr string, err error) {
	t.Helper()
	var out bytes.Buffer
	app := &cli.App{ErrWriter: &out, Flags: commonFlags(metricsFlag()), ExitErrHandler: func(*cli.Context, error) {},
		Action: func(c *cli.Context) error {
			return measured(c, func(run *backupRun) error {
				run.Cluster, run.Node = "shop", "n1"
				return end
			})
		}}
	err = app.Run(append([]string{"cbk"}, args...))
	return out.String(), err
}

func TestMetricsAreWrittenHoweverABackupEnds(t *testing.T) {
	dir := t.TempDir()
	file, config := filepath.Join(dir, "cbk.prom"), filepath.Join(dir, "cbk.yaml")
	if err := os.WriteFile(config, []byte("repository: x\nmetrics_file: "+file+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		end  error
		want string
	}{
		{nil, "} 0"}, {errors.New("broken"), "} 1"}, {usageError("no"), "} 2"}, {quiet{exitDamage}, "} 4"}, {context.Canceled, "} 130"},
	} {
		for _, args := range [][]string{{"--config", config}, {"--metrics-file", file, "--config", config + ".absent"}} {
			if stderr, err := runMeasured(t, tc.end, args...); err != tc.end || stderr != "" {
				t.Fatalf("%q: %v, %s", args, err, stderr)
			}
			line := `cbk_backup_exit_code{cluster="shop",node="n1"` + tc.want
			if text := strings.Join(values(t, file), "\n"); !strings.Contains(text, line) {
				t.Errorf("%v %q: no %s in\n%s", tc.end, args, line, text)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestMetricsThatCannotBeWrittenAreAWarning(t *testing.T) {
	file := filepath.Join(t.TempDir(), "absent", "cbk.prom")
	for _, end := range []error{nil, errInterrupted} {
		stderr, err := runMeasured(t, end, "--repo", "x", "--metrics-file", file)
		if err != end || !strings.Contains(stderr, "level=WARN") || !strings.Contains(stderr, file) {
			t.Errorf("%v: got %v, %s", end, err, stderr)
		}
	}
	if stderr, err := runMeasured(t, nil, "--repo", "x"); err != nil || stderr != "" {
		t.Errorf("without a file: %v, %s", err, stderr)
	}
}
