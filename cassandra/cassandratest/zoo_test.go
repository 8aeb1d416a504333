package cassandratest

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"
)

func TestTheZooOfAReleaseIsAlwaysTheSame(t *testing.T) {
	rel := Releases()[0]
	for i, first := range zooTables(rel) {
		again := zooTables(rel)[i]
		for round := range zooRounds {
			one, two := first.rows(seeded(first.name, round), round), again.rows(seeded(again.name, round), round)
			if len(one) == 0 || !reflect.DeepEqual(one, two) {
				t.Errorf("%s, round %d: %d writes, then other %d", first.name, round, len(one), len(two))
			}
		}
	}
}

func TestAChangeOfWhatMakesFixturesMakesThemAnew(t *testing.T) {
	seen := make(map[string]bool)
	for _, rel := range []Release{{"5.0.6", "nb"}, {"5.0.6", "oa"}, {"4.0.19", "nb"}} {
		for _, makers := range []fstest.MapFS{{"a": {Data: []byte("1")}}, {"a": {Data: []byte("2")}}, {"b": {Data: []byte("1")}}, {"a": {}, "b": {}}} {
			key, err := fixturesKey(rel, makers)
			if err != nil || seen[key] {
				t.Errorf("%v %v: key %s was seen: %v, %v", rel, makers, key, seen[key], err)
			}
			seen[key] = true
		}
	}
}

func TestTablesAreThereWhereTheReleaseHasSuch(t *testing.T) {
	has := func(rel Release, name string) bool {
		return slices.ContainsFunc(zooTables(rel), func(t table) bool { return t.name == name })
	}
	for _, rel := range Releases() {
		four, five, formats := rel.Release[0] >= '4', rel.Release[0] >= '5', rel.Format == "oa" || rel.Format == "da"
		for name, want := range map[string]bool{
			"everything": true, "lz4_16": true, "zstd_16": four, "lz4_ratio_16": four, "indexed_sai": five, "far": formats,
		} {
			if has(rel, name) != want {
				t.Errorf("%v: %s is there: %v", rel, name, !want)
			}
		}
	}
}

func TestTheNamesOfTablesAreDistinct(t *testing.T) {
	for _, rel := range Releases() {
		seen := make(map[string]bool)
		for _, table := range zooTables(rel) {
			if seen[table.name] {
				t.Errorf("%v: %s twice", rel, table.name)
			}
			seen[table.name] = true
		}
	}
}

func TestOnlyTheCompressionOfCompressorTablesDiffers(t *testing.T) {
	for round := range zooRounds {
		one, two := mixed("one", round), mixed("two", round)
		for i := range one {
			if fmt.Sprint(one[i].args) != fmt.Sprint(two[i].args) {
				t.Fatalf("round %d, row %d differs", round, i)
			}
		}
	}
}

func TestTheCompressorIsReadOffTheFile(t *testing.T) {
	tests := []struct {
		what, content, want string
		fails               bool
	}{
		{"a class", "\x00\x0dLZ4Compressor\x00\x00", "LZ4Compressor", false},
		{"a file cut short", "\x00\x0dLZ4", "", true},
		{"an empty file", "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "CompressionInfo.db")
			if err := os.WriteFile(path, []byte(tt.content), 0o644); err != nil {
				t.Fatal(err)
			}
			if got, err := compressor(path); got != tt.want || (err != nil) != tt.fails {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if got, err := compressor(filepath.Join(t.TempDir(), "none")); got != "none" || err != nil {
		t.Errorf("without the file: %q, %v", got, err)
	}
}

func TestFixturesAreFoundByTheirFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"flush/wide/nb-1-big-Data.db", "flush/indexed/.by_name/nb-2-big-Data.db", "compaction/wide/nb-3-big-Data.db",
		"compaction/indexed/.by_name/nb-4-big-Data.db", "node/data/nb-5-big-Data.db", "text/flush+wide+nb-1-big-json",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := listFixtures(dir, Release{"5.0.6", "nb"})
	var got []string
	for _, f := range all {
		got = append(got, fmt.Sprint(f, " ", f.Dump != ""))
	}
	want := []string{"5.0.6/nb/flush/wide/nb-1-big- true", "5.0.6/nb/flush/indexed.by_name/nb-2-big- false", "5.0.6/nb/compaction/wide/nb-3-big- false"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := listFixtures(t.TempDir(), Release{}); err == nil {
		t.Error("an empty directory is no error")
	}
}
