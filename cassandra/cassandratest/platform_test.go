package cassandratest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheNumberOfAReleaseOrdersIt(t *testing.T) {
	tests := []struct {
		version string
		want    number
	}{
		{"3.11.19", number{3, 11}}, {"4.0.19", number{4, 0}}, {"5.0.6", number{5, 0}}, {"6.0-alpha2", number{}}, {"5", number{}}, {"five.0.1", number{}},
	}
	for _, tt := range tests {
		if got, err := parseNumber(tt.version); got != tt.want || (err == nil) != (tt.want != number{}) {
			t.Errorf("%q: %v, %v", tt.version, got, err)
		}
	}
	for _, tt := range []struct {
		n, than number
		want    bool
	}{{number{4, 1}, number{4, 0}, true}, {number{4, 1}, number{4, 1}, true}, {number{4, 1}, number{5, 0}, false}, {number{3, 11}, number{4, 0}, false}} {
		if tt.n.since(tt.than.major, tt.than.minor) != tt.want {
			t.Errorf("%v since %v is not %v", tt.n, tt.than, tt.want)
		}
	}
}

func TestUnitsStandInTheNamesOfOptionsBefore41(t *testing.T) {
	tests := []struct {
		n       number
		with    []string
		without []string
	}{
		{number{3, 11}, []string{"commitlog_segment_size_in_mb: 8", "disk_access_mode: standard"}, []string{"commitlog_segment_size: 8MiB"}},
		{number{4, 0}, []string{"enable_materialized_views: true"}, []string{"disk_access_mode: standard", "materialized_views_enabled: true"}},
		{number{4, 1}, []string{"commitlog_segment_size: 8MiB"}, []string{"commitlog_segment_size_in_mb: 8"}},
	}
	for _, tt := range tests {
		lines := strings.Split(tt.n.yaml(), "\n")
		for _, line := range tt.with {
			if !slices.Contains(lines, line) {
				t.Errorf("%v lacks %q", tt.n, line)
			}
		}
		for _, line := range tt.without {
			if slices.Contains(lines, line) {
				t.Errorf("%v has %q", tt.n, line)
			}
		}
	}
}

// The story of a node of each release: it starts, takes a row and gives it back,
// makes a snapshot and stops.
func TestANodeOfEachRelease(t *testing.T) {
	for _, version := range []string{"3.11.19", "4.0.19", "4.1.10", "5.0.6"} {
		t.Run(version, func(t *testing.T) {
			n := Run(t, Options{Version: version}).Nodes[0]
			keepRow(t, n, version)
			run(t, n.Bin("nodetool"), "snapshot", "-t", "kept", "story")
			files, err := filepath.Glob(n.path("data/data/story/kept-*/snapshots/kept/*-big-Data.db"))
			if err != nil || len(files) != 1 {
				t.Errorf("Data.db of the snapshot: %v, %v", files, err)
			}
			if err := n.Stop(t.Context()); err != nil || n.Running() {
				t.Errorf("the node runs on: %v", err)
			}
		})
	}
}

func keepRow(t *testing.T, n *Node, value string) {
	t.Helper()
	s := session(t, n)
	for _, stmt := range []string{
		`CREATE KEYSPACE story WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}`,
		`CREATE TABLE story.kept (k int PRIMARY KEY, v text)`,
		`INSERT INTO story.kept (k, v) VALUES (1, '` + value + `')`,
	} {
		if err := s.Query(stmt).Exec(); err != nil {
			t.Fatalf("%s: %v", stmt, err)
		}
	}
	var got, release string
	if err := s.Query(`SELECT v FROM story.kept WHERE k = 1`).Scan(&got); err != nil || got != value {
		t.Errorf("row %q, %v", got, err)
	}
	if err := s.Query(`SELECT release_version FROM system.local WHERE key = 'local'`).Scan(&release); err != nil || release != value {
		t.Errorf("release %q, %v", release, err)
	}
}

func TestAWheelIsUnpackedWithTheRightToRun(t *testing.T) {
	home, err := java11()
	if err != nil {
		t.Fatal(err)
	}
	if out := run(t, home, "-version"); !strings.Contains(out, "11.0.13") {
		t.Errorf("java -version: %s", out)
	}
	release := filepath.Join(filepath.Dir(home), "..", "release")
	if info, err := os.Stat(release); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%s: %v, %v", release, info, err)
	}
}
