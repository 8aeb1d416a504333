package fit

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/sstable"
)

// realHeaders are the headers of all real SSTables but those of indexes, by the fixture's name.
func realHeaders(t *testing.T, each func(f cassandratest.Fixture, version string, m *sstable.Metadata)) {
	t.Helper()
	n := 0
	for _, rel := range cassandratest.Releases() {
		for _, f := range cassandratest.Fixtures(t, rel.Release, rel.Format) {
			b, err := os.ReadFile(f.Component(sstable.Statistics))
			if err != nil {
				t.Fatal(err)
			}
			d, _, err := sstable.ParseName(f.Prefix + sstable.Data)
			if err != nil {
				t.Fatal(err)
			}
			m, err := sstable.ParseStatistics(b, d.Version)
			if err != nil {
				t.Fatal(f, err)
			}
			if !slices.Contains([]byte(f.Table), '.') {
				n++
				each(f, d.Version, m)
			}
		}
	}
	if n < 100 {
		t.Fatalf("only %d real headers", n)
	}
}

// schemaOf is the schema that a header was written under, its types read from CQL as system_schema has them.
func schemaOf(t *testing.T, h *sstable.Header) *Table {
	t.Helper()
	udts := make(map[string]Type)
	through := func(text string, was Type) Type {
		gather(udts, was)
		is, err := ParseCQL(was.String(), func(name string) (fields, types []string, ok bool) {
			u, ok := udts[name]
			for _, a := range u.Args {
				types = append(types, a.cql(false))
			}
			return u.Fields, types, ok
		})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		is.Reversed = was.Reversed
		return is
	}
	class := func(text string) Type {
		was, err := ParseClass(text)
		if err != nil {
			t.Fatal(err)
		}
		return through(text, was)
	}
	out := &Table{Keyspace: "zoo", Name: "t", Replicas: 1}
	key, err := ParseKey(h.KeyType)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range key {
		out.Partition = append(out.Partition, Column{fmt.Sprint("key", i), through(h.KeyType, k)})
	}
	for i, text := range h.ClusteringTypes {
		out.Clustering = append(out.Clustering, Column{fmt.Sprint("clustering", i), class(text)})
	}
	for _, c := range h.Static {
		out.Static = append(out.Static, Column{string(c.Name), class(c.Type)})
	}
	for _, c := range h.Regular {
		out.Regular = append(out.Regular, Column{string(c.Name), class(c.Type)})
	}
	return out
}

// gather keeps the user-defined types in a type.
func gather(to map[string]Type, t Type) {
	if t.Name == "udt" {
		to[t.UDT] = t
	}
	for _, a := range t.Args {
		gather(to, a)
	}
}

// against judges a header under a schema.
func against(target *Table, h *sstable.Header, version string, drops ...Drop) []ColumnFit {
	f := New(Input{Schema: []Table{*target}, Drops: drops})
	one := f.table(target.Keyspace, target.Name)
	one.header(h, version)
	return one.columns()
}

func TestASchemaEqualToTheHeaderNeverGivesAColumnRisk(t *testing.T) {
	kinds := make(map[string]bool)
	realHeaders(t, func(f cassandratest.Fixture, version string, m *sstable.Metadata) {
		if got := against(schemaOf(t, &m.Header), &m.Header, version); len(got) > 0 {
			t.Errorf("%s: %+v", f, got)
		}
		for _, c := range slices.Concat(m.Header.Static, m.Header.Regular) {
			typ, err := ParseClass(c.Type)
			if err != nil {
				t.Fatal(err)
			}
			kinds[typ.Name] = true
		}
	})
	for _, want := range []string{"udt", "tuple", "vector", "list", "set", "map", "counter", "duration", "blob", "empty"} {
		if !kinds[want] {
			t.Errorf("no real header has a %s", want)
		}
	}
}

func TestAColumnThatTheSchemaLacksIsFoundInEveryRealHeader(t *testing.T) {
	realHeaders(t, func(f cassandratest.Fixture, version string, m *sstable.Metadata) {
		for i, c := range m.Header.Regular {
			target := schemaOf(t, &m.Header)
			target.Regular = slices.Delete(target.Regular, i, i+1)
			got := against(target, &m.Header, version)
			if len(got) != 1 || got[0].Problem != Missing || got[0].Column != string(c.Name) || got[0].Kind != "regular" || len(got[0].Mend) != 1 {
				t.Fatalf("%s without %q: %+v", f, c.Name, got)
			}
		}
	})
}

func TestADroppedColumnIsReadWhereItWasDropped(t *testing.T) {
	realHeaders(t, func(f cassandratest.Fixture, version string, m *sstable.Metadata) {
		for i, c := range m.Header.Regular {
			target := schemaOf(t, &m.Header)
			gone := target.Regular[i]
			target.Regular = slices.Delete(target.Regular, i, i+1)
			target.Dropped = []Dropped{{gone, 1 << 60}}
			same := Drop{"zoo", "t", string(c.Name), 1 << 60, false}
			if got := against(target, &m.Header, version, same); len(got) > 0 {
				t.Fatalf("%s with %q dropped as in the backup: %+v", f, c.Name, got)
			}
			if got := against(target, &m.Header, version); len(got) != 1 || got[0].Problem != Hidden {
				t.Fatalf("%s with %q dropped after the backup: %+v", f, c.Name, got)
			}
		}
	})
}
