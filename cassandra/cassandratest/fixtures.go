package cassandratest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Release is a release of Cassandra and the version of the SSTable format that it
// is made to write.
type Release struct {
	Release string // "5.0.6"
	Format  string // "me", "nb", "oa", "da"
}

// Releases are those that [Fixtures] has SSTables of, oldest first.
func Releases() []Release {
	return []Release{
		{"3.11.19", "me"}, {"4.0.19", "nb"}, {"4.1.10", "nb"},
		{"5.0.6", "nb"}, {"5.0.6", "oa"}, {"5.0.6", "da"},
	}
}

// number is the release's; a malformed one is older than all.
func (r Release) number() number {
	n, _ := parseNumber(r.Release)
	return n
}

// Fixture is one real SSTable made by a Cassandra release.
type Fixture struct {
	Release string // "5.0.6"
	Format  string // "me", "nb", "oa", "da"
	Table   string // name of the table in the zoo, as "everything", "wide", "lz4_16"; of an index "indexed.indexed_email"
	How     string // "flush" or "compaction"
	Dir     string // directory with the components, and with the others of the table
	Prefix  string // what the names of its components begin with: "nb-1-big-"
	// Metadata is the path of the text of sstablemetadata. Dump is that of the JSON of
	// sstabledump -t, with times as plain microseconds and seconds; it is empty for
	// the few tables that sstabledump fails on.
	Metadata, Dump string
	Compressor     string // "LZ4Compressor", ...; "none" without
}

// Component is the path of a component, as of "Data.db".
func (f Fixture) Component(name string) string { return filepath.Join(f.Dir, f.Prefix+name) }

// String names the fixture for messages.
func (f Fixture) String() string {
	return fmt.Sprintf("%s/%s/%s/%s/%s", f.Release, f.Format, f.How, f.Table, f.Prefix)
}

// Fixtures returns the SSTables of a release in a format, one of [Releases]: each
// table of the zoo, flushed twice and compacted once. They are made at the first
// call on a machine, in about a minute, and kept beside the jars. The files are
// shared: a test that writes copies them first.
func Fixtures(t testing.TB, release, format string) []Fixture {
	t.Helper()
	rel := Release{release, format}
	dir, err := fixturesDir(t.Context(), rel)
	if err != nil {
		t.Fatalf("fixtures of Cassandra %s in format %s: %v", release, format, err)
	}
	all, err := listFixtures(dir, rel)
	if err != nil {
		t.Fatalf("list the fixtures: %v", err)
	}
	return all
}

// toolsText is the program that runs the tools on all SSTables.
//
//go:embed Tools.java
var toolsText string

// makers are the texts that decide what the fixtures hold.
//
//go:embed Tools.java zoo.go zooeverything.go zoorows.go zookeys.go zookeeper.go
var makers embed.FS

// fixturesDir is the directory of a release's fixtures, which are made where they
// are missing.
func fixturesDir(ctx context.Context, rel Release) (string, error) {
	key, err := fixturesKey(rel, makers)
	if err != nil {
		return "", err
	}
	return cached("fixtures/"+key, func(dir string) error { return makeFixtures(ctx, rel, dir) })
}

// fixturesKey hashes the texts that make fixtures: a change makes them anew.
func fixturesKey(rel Release, makers fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(makers, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(makers, name)
		fmt.Fprintf(h, "%s %d %s", name, len(text), text)
		return err
	})
	return fmt.Sprintf("%s-%s-%x", rel.Release, rel.Format, h.Sum(nil)[:8]), err
}

// listFixtures finds the SSTables of a directory of fixtures. Those of an index
// are not compacted with their table, so only the flushed ones count.
func listFixtures(dir string, rel Release) ([]Fixture, error) {
	var all []Fixture
	for _, pattern := range []string{"flush/*/*-Data.db", "flush/*/.*/*-Data.db", "compaction/*/*-Data.db"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, data := range files {
			f, err := newFixture(dir, data, rel)
			if err != nil {
				return nil, err
			}
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there are none")
	}
	return all, nil
}

// newFixture reads the rest off the path, which is how/table or how/table/.index.
func newFixture(dir, data string, rel Release) (Fixture, error) {
	prefix := strings.TrimSuffix(filepath.Base(data), "Data.db")
	f := Fixture{Release: rel.Release, Format: rel.Format, Dir: filepath.Dir(data), Prefix: prefix}
	below, err := filepath.Rel(dir, f.Dir)
	if err != nil {
		return f, err
	}
	how, name, _ := strings.Cut(below, string(filepath.Separator))
	f.How, f.Table = how, strings.ReplaceAll(name, string(filepath.Separator), "")
	text := f.textPath(dir)
	f.Metadata = text + "metadata"
	if _, err := os.Stat(text + "json"); err == nil {
		f.Dump = text + "json"
	}
	f.Compressor, err = compressor(f.Component("CompressionInfo.db"))
	return f, err
}

// textPath is where the texts about an SSTable are, without their endings: apart
// from its components, as a directory of Cassandra has none of them.
func (f Fixture) textPath(dir string) string {
	return filepath.Join(dir, "text", f.How+"+"+f.Table+"+"+f.Prefix)
}

// compressor reads the class off the beginning of CompressionInfo.db.
func compressor(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "none", nil
	}
	if err != nil {
		return "", err
	}
	if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
		return "", fmt.Errorf("%s is cut short", path)
	}
	return string(b[2 : 2+binary.BigEndian.Uint16(b)]), nil
}
