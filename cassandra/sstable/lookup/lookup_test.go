package lookup_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/lookup"
	"cbk/cassandra/sstable/rows"
)

// tables are those of the zoo that differ in their keys, in how they are compressed, and in the size of their partitions.
var tables = []string{"no_clustering", "everything", "wide", "large", "clusterings_34", "uncompressed", "key_only"}

func fixtures(t testing.TB, rel cassandratest.Release) []cassandratest.Fixture {
	all := cassandratest.Fixtures(t, rel.Release, rel.Format)
	return slices.DeleteFunc(slices.Clone(all), func(f cassandratest.Fixture) bool { return !slices.Contains(tables, f.Table) })
}

func open(t testing.TB, dir, prefix string) *lookup.SSTable {
	t.Helper()
	s, err := lookup.Open(dir, descriptor(t, prefix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func descriptor(t testing.TB, prefix string) sstable.Descriptor {
	t.Helper()
	d, _, err := sstable.ParseName(prefix + sstable.Data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// positions reads the whole of an SSTable for the positions of its keys.
func positions(t testing.TB, s *lookup.SSTable) (map[string]int64, [][]byte) {
	t.Helper()
	r, err := s.All()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]int64)
	var keys [][]byte
	for r.Next() {
		p := r.Partition()
		all[string(p.Key)] = p.Position
		keys = append(keys, bytes.Clone(p.Key))
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return all, keys
}

func TestEveryKeyIsFoundWhereItsPartitionStands(t *testing.T) {
	for _, rel := range cassandratest.Releases() {
		t.Run(rel.Release+" "+rel.Format, func(t *testing.T) {
			found := 0
			for _, f := range fixtures(t, rel) {
				s := open(t, f.Dir, f.Prefix)
				all, keys := positions(t, s)
				for key, want := range all {
					if at, ok, err := s.Find([]byte(key)); err != nil || !ok || at != want {
						t.Fatalf("%v: key %x found %v at %d, not %d, error %v", f, key, ok, at, want, err)
					}
					found++
				}
				first, last, err := s.Ends()
				if err != nil || !bytes.Equal(first, keys[0]) || !bytes.Equal(last, keys[len(keys)-1]) {
					t.Errorf("%v: ends %x and %x, error %v", f, first, last, err)
				}
				if !slices.IsSortedFunc(keys, lookup.Compare) {
					t.Errorf("%v: keys out of order", f)
				}
			}
			if found < 1000 {
				t.Errorf("%d keys", found)
			}
		})
	}
}

func TestKeysThatAreNotThereAreNotFound(t *testing.T) {
	for _, rel := range cassandratest.Releases() {
		for _, f := range fixtures(t, rel) {
			s := open(t, f.Dir, f.Prefix)
			all, _ := positions(t, s)
			for i := range uint32(40) {
				key := binary.BigEndian.AppendUint32([]byte("none"), i)
				if _, ok, err := s.Find(key); all[string(key)] == 0 && (ok || err != nil) {
					t.Fatalf("%v: key %x found %v, error %v", f, key, ok, err)
				}
			}
		}
	}
}

// A choice that kept to a part would leave out more than the tenth of keys that chance does.
func TestAnyKeyMayBeChosen(t *testing.T) {
	for _, rel := range []cassandratest.Release{bigRelease, btiRelease} {
		for _, f := range fixtures(t, rel) {
			if f.How == "flush" && f.Table == "no_clustering" {
				continue // those of the compaction are the same, and it takes its time
			}
			s := open(t, f.Dir, f.Prefix)
			all, _ := positions(t, s)
			r := rand.New(rand.NewPCG(1, 2))
			seen := make(map[string]int)
			for range 8 * len(all) {
				key, err := s.Random(r)
				if _, known := all[string(key)]; err != nil || !known {
					t.Fatalf("%v: key %x, error %v", f, key, err)
				}
				seen[string(key)]++
			}
			if most := slices.Max(slices.Collect(maps.Values(seen))); 10*len(seen) < 9*len(all) || most > 100 {
				t.Errorf("%v: %d of %d keys were chosen, one %d times", f, len(seen), len(all), most)
			}
		}
	}
}

func TestTheReaderStandsAtThePartition(t *testing.T) {
	for _, rel := range cassandratest.Releases() {
		for _, f := range fixtures(t, rel) {
			s := open(t, f.Dir, f.Prefix)
			all, keys := positions(t, s)
			for _, key := range [][]byte{keys[0], keys[len(keys)/2], keys[len(keys)-1]} {
				r, err := s.Partition(all[string(key)], 1<<30, rows.ErrTooLarge)
				if err != nil || !r.Next() || !bytes.Equal(r.Partition().Key, key) {
					t.Fatalf("%v: not key %x, error %v", f, key, err)
				}
				for r.NextUnfiltered() {
				}
				if r.Err() != nil {
					t.Errorf("%v: key %x: %v", f, key, r.Err())
				}
			}
		}
	}
}

// one returns an SSTable of a table in a copy of its directory that a test may damage.
func one(t *testing.T, rel cassandratest.Release, table string) (dir, prefix string) {
	t.Helper()
	for _, f := range fixtures(t, rel) {
		if f.Table == table && f.How == "compaction" {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(f.Dir)); err != nil {
				t.Fatal(err)
			}
			return dir, f.Prefix
		}
	}
	t.Fatalf("no compacted %s", table)
	return "", ""
}

var bigRelease, btiRelease = cassandratest.Release{Release: "5.0.6", Format: "nb"}, cassandratest.Release{Release: "5.0.6", Format: "da"}

func TestAnIndexWithoutASummaryIsSearchedAllTheSame(t *testing.T) {
	dir, prefix := one(t, bigRelease, "no_clustering")
	if err := os.Remove(filepath.Join(dir, prefix+sstable.Summary)); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, prefix)
	all, keys := positions(t, s)
	if at, ok, err := s.Find(keys[300]); err != nil || !ok || at != all[string(keys[300])] {
		t.Errorf("found %v at %d, error %v", ok, at, err)
	}
	if key, err := s.Random(rand.New(rand.NewPCG(1, 2))); err != nil || all[string(key)] == 0 && !bytes.Equal(key, keys[0]) {
		t.Errorf("key %x, error %v", key, err)
	}
	if first, last, err := s.Ends(); first != nil || last != nil || err != nil {
		t.Errorf("ends %x and %x, error %v", first, last, err)
	}
}

func TestWhatIsReadOfAPartitionIsBounded(t *testing.T) {
	dir, prefix := one(t, bigRelease, "wide")
	s := open(t, dir, prefix)
	enough := errors.New("enough")
	at, ok, err := s.Find([]byte("wide-1"))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	r, err := s.Partition(at, 4096, enough)
	if err != nil || !r.Next() {
		t.Fatal(err)
	}
	n := 0
	for r.NextUnfiltered() {
		n++
	}
	if !errors.Is(r.Err(), enough) || n < 2 || n > 40 {
		t.Errorf("%d rows, error %v", n, r.Err())
	}
}

func TestDamageIsAnErrorAndNoMissingKey(t *testing.T) {
	tests := []struct {
		what, component string
		rel             cassandratest.Release
		edit            func(b []byte) []byte
	}{
		{"a chunk changed", sstable.Data, bigRelease, func(b []byte) []byte { b[5] ^= 1; return b }},
		{"data cut short", sstable.Data, btiRelease, func(b []byte) []byte { return b[:10] }},
		{"offsets cut short", sstable.CompressionInfo, bigRelease, func(b []byte) []byte { return b[:len(b)-20] }},
		{"positions of another file", sstable.Index, bigRelease, shifted},
		{"an empty summary", sstable.Summary, bigRelease, func([]byte) []byte { return nil }},
		{"a summary of too many samples", sstable.Summary, bigRelease, func(b []byte) []byte { b[4] = 0x7f; return b }},
		{"samples beyond the summary", sstable.Summary, bigRelease, func(b []byte) []byte { b[24+3] = 0x7f; return b }},
		{"a trie of zeros", sstable.Partitions, btiRelease, func(b []byte) []byte { clear(b[:len(b)/2]); return b }},
		{"a trie cut short", sstable.Partitions, btiRelease, func(b []byte) []byte { return b[:20] }},
		{"no statistics", sstable.Statistics, bigRelease, func([]byte) []byte { return nil }},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			dir, prefix := one(t, tt.rel, "no_clustering")
			_, keys := positions(t, open(t, dir, prefix))
			name := filepath.Join(dir, prefix+tt.component)
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, tt.edit(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := findAll(dir, descriptor(t, prefix), keys); err == nil {
				t.Error("all keys are found")
			} else {
				t.Log(err)
			}
		})
	}
}

// shifted adds one to the position of the first partition, whose key of two bytes of length is followed by it.
func shifted(b []byte) []byte {
	b[2+int(b[1])]++
	return b
}

// findAll is the error of the first lookup that has one.
func findAll(dir string, d sstable.Descriptor, keys [][]byte) error {
	s, err := lookup.Open(dir, d)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, key := range keys {
		if _, ok, err := s.Find(key); err != nil || !ok {
			return err
		}
	}
	return nil
}

func TestWhatCannotBeReadIsToldByItsReason(t *testing.T) {
	dir, prefix := one(t, bigRelease, "no_clustering")
	d := descriptor(t, prefix)
	d.Version = "zz"
	if err := os.Rename(filepath.Join(dir, prefix+sstable.Statistics), filepath.Join(dir, d.Prefix()+sstable.Statistics)); err != nil {
		t.Fatal(err)
	}
	if _, err := lookup.Open(dir, d); !errors.Is(err, sstable.ErrUnsupportedVersion) {
		t.Error(err)
	}
	for _, f := range cassandratest.Fixtures(t, "5.0.6", "nb") {
		if f.Table == "indexed.indexed_email" {
			if _, err := lookup.Open(f.Dir, descriptor(t, f.Prefix)); !errors.Is(err, lookup.ErrPartitioner) {
				t.Error(err)
			}
		}
	}
}
