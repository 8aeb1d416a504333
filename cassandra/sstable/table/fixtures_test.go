package table_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/rows"
	"cbk/cassandra/sstable/table"
)

func read(t testing.TB, f cassandratest.Fixture, component string) []byte {
	t.Helper()
	b, err := os.ReadFile(f.Component(component))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, f cassandratest.Fixture) table.SSTable {
	t.Helper()
	s := table.SSTable{Version: f.Format, Statistics: read(t, f, sstable.Statistics), Data: bytes.NewReader(read(t, f, sstable.Data))}
	if f.Compressor != "none" {
		s.CompressionInfo = bytes.NewReader(read(t, f, sstable.CompressionInfo))
	}
	return s
}

// keysOf makes up names for the keys of a fixture.
func keysOf(t testing.TB, f cassandratest.Fixture) (k table.Keys) {
	t.Helper()
	meta, err := sstable.ParseStatistics(read(t, f, sstable.Statistics), f.Format)
	if err != nil {
		t.Fatal(err)
	}
	key, err := rows.ParseType(meta.Header.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	n := 1
	if key.Class == "CompositeType" {
		n = len(key.Params)
	}
	for i := range n {
		k.Partition = append(k.Partition, fmt.Sprint("key", i))
	}
	for i := range meta.Header.ClusteringTypes {
		k.Clustering = append(k.Clustering, fmt.Sprint("clustering", i))
	}
	return k
}

// zoo groups the fixtures of a release by table and by how they were written.
func zoo(t testing.TB, rel cassandratest.Release) map[string]map[string][]cassandratest.Fixture {
	all := make(map[string]map[string][]cassandratest.Fixture)
	for _, f := range cassandratest.Fixtures(t, rel.Release, rel.Format) {
		if strings.Contains(f.Table, ".") {
			continue // an index is not compacted with its table
		}
		if all[f.Table] == nil {
			all[f.Table] = make(map[string][]cassandratest.Fixture)
		}
		all[f.Table][f.How] = append(all[f.Table][f.How], f)
	}
	return all
}

// merged reads the table of some fixtures, the last of them first where turned.
func merged(t *testing.T, all []cassandratest.Fixture, turned bool) ([]table.Row, error) {
	t.Helper()
	// The fixtures are older than the test: what had expired for a compaction has for it.
	tab := table.New(keysOf(t, all[0]), time.Now(), all[0].Format == "me")
	for i := range all {
		if turned {
			i = len(all) - 1 - i
		}
		if err := tab.Add(open(t, all[i])); err != nil {
			return nil, err
		}
	}
	return tab.Rows()
}

// Of all the zoo these are the tables that are not read: they have counters, or user types that are not frozen.
func unread(name string) bool { return name == "counters" || name == "everything" }

// columnsDropped is the table with columns that were dropped between: a compaction leaves them out, but only the schema
// knows of it.
const columnsDropped = "dropped"

// What Cassandra's own compaction made of the SSTables of a table is what merging them comes to.
func TestMergingComesToWhatCompactionMade(t *testing.T) {
	for _, rel := range cassandratest.Releases() {
		t.Run(rel.Release+" "+rel.Format, func(t *testing.T) {
			total := 0
			for name, by := range zoo(t, rel) {
				flushed, err := merged(t, by["flush"], false)
				if name == columnsDropped {
					continue
				}
				if unread(name) {
					if !errors.Is(err, table.ErrUnsupported) {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				other, err := merged(t, by["flush"], true)
				if err != nil || !reflect.DeepEqual(flushed, other) {
					t.Errorf("%s: another order of SSTables gives other rows, error %v", name, err)
				}
				var compacted []table.Row
				if len(by["compaction"]) > 0 { // nothing is left of a table that has expired
					compacted, err = merged(t, by["compaction"], false)
				}
				// Most tables have megabytes, which cmp takes byte by byte.
				if err != nil || !reflect.DeepEqual(compacted, flushed) {
					t.Errorf("%s: %v (-compacted +flushed):\n%.2000s", name, err, cmp.Diff(compacted, flushed))
				}
				total += len(flushed)
			}
			if total < 5000 {
				t.Errorf("%d rows", total)
			}
		})
	}
}

func TestDamagedSSTablesGiveErrorsAndNoRows(t *testing.T) {
	f := zoo(t, cassandratest.Release{Release: "5.0.6", Format: "nb"})["wide"]["compaction"][0]
	tests := []struct {
		what string
		edit func(s *table.SSTable)
		want error
	}{
		{"a bit changed in a chunk", func(s *table.SSTable) {
			b := read(t, f, sstable.Data)
			b[len(b)/2] ^= 1
			s.Data = bytes.NewReader(b)
		}, nil},
		{"data cut short", func(s *table.SSTable) {
			b := read(t, f, sstable.Data)
			s.Data = bytes.NewReader(b[:len(b)/2])
		}, nil},
		{"no data", func(s *table.SSTable) { s.Data = bytes.NewReader(nil) }, io.ErrUnexpectedEOF},
		{"compression taken for none", func(s *table.SSTable) { s.CompressionInfo = nil }, rows.ErrFormat},
		{"compression info cut short", func(s *table.SSTable) {
			s.CompressionInfo = bytes.NewReader(read(t, f, sstable.CompressionInfo)[:40])
		}, io.ErrUnexpectedEOF},
		{"a version of 2.1", func(s *table.SSTable) { s.Version = "ka" }, sstable.ErrUnsupportedVersion},
		{"a version to come", func(s *table.SSTable) { s.Version = "zz" }, sstable.ErrUnsupportedVersion},
		{"no statistics", func(s *table.SSTable) { s.Statistics = nil }, io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			s := open(t, f)
			tt.edit(&s)
			err := table.New(keysOf(t, f), time.Now(), false).Add(s)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestKeysMustBeThoseOfTheTable(t *testing.T) {
	f := zoo(t, cassandratest.Release{Release: "5.0.6", Format: "nb"})["wide"]["compaction"][0]
	for _, keys := range []table.Keys{{}, {Partition: []string{"k"}}, {Partition: []string{"k", "l"}, Clustering: []string{"c"}}} {
		if err := table.New(keys, time.Unix(1e9, 0), false).Add(open(t, f)); !errors.Is(err, rows.ErrFormat) {
			t.Errorf("%v: error %v", keys, err)
		}
	}
}

func FuzzAdd(f *testing.F) {
	for _, rel := range cassandratest.Releases() {
		for name, by := range zoo(f, rel) {
			if fixture := by["flush"][0]; name == "ranges" || name == "uncompressed" || name == "expired" || name == "static_70" {
				data := read(f, fixture, sstable.Data)
				f.Add(fixture.Format, read(f, fixture, sstable.Statistics), read(f, fixture, sstable.CompressionInfo), data[:min(len(data), 64<<10)])
			}
		}
	}
	f.Fuzz(func(t *testing.T, version string, statistics, info, data []byte) {
		meta, err := sstable.ParseStatistics(statistics, version)
		if err != nil {
			return
		}
		keys := table.Keys{Partition: []string{"k"}, Clustering: make([]string, len(meta.Header.ClusteringTypes))}
		tab := table.New(keys, time.Unix(1e9, 0), false)
		for range 2 { // merged with itself it has the same rows
			s := table.SSTable{Version: version, Statistics: statistics, Data: bytes.NewReader(data)}
			if len(info) > 0 {
				s.CompressionInfo = bytes.NewReader(info)
			}
			if err := tab.Add(s); err != nil {
				return
			}
		}
		if _, err := tab.Rows(); err != nil {
			return
		}
	})
}
