package prove_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/cassandra/sstable"
	"cbk/cassandra/sstable/lookup"
	"cbk/cassandra/sstable/table"
	"cbk/restore/prove"
)

// cluster answers as a node would that has the SSTables it was loaded with.
type cluster struct {
	rows    map[string]map[string]int // rows by table and partition key
	answers map[string][][]string     // by query
	asked   []string                  // levels, tables and queries
	err     error
}

func newCluster() *cluster {
	return &cluster{rows: make(map[string]map[string]int), answers: make(map[string][][]string)}
}

// load counts the partitions of one SSTable, which has no other beside it.
func (c *cluster) load(t testing.TB, name string, f cassandratest.Fixture) {
	t.Helper()
	d, _, err := sstable.ParseName(f.Prefix + sstable.Data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := lookup.Open(f.Dir, d)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, err := s.All()
	if err != nil {
		t.Fatal(err)
	}
	if c.rows[name] == nil {
		c.rows[name] = make(map[string]int)
	}
	for r.Next() {
		key := string(r.Partition().Key)
		n, err := table.CountPartition(r, s.Header(), table.PresenceOptions{Now: time.Now(), Until: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		c.rows[name][key] = n.Now
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
}

func (c *cluster) Partition(_ context.Context, _, table string, columns []string, key [][]byte, level string, limit int) (int, error) {
	if len(key) != len(columns) {
		return 0, fmt.Errorf("%d columns and %d values", len(columns), len(key))
	}
	c.asked = append(c.asked, level+" "+table)
	whole := string(key[0])
	if len(key) > 1 {
		whole = ""
		for _, b := range key {
			whole += string(binary.BigEndian.AppendUint16(nil, uint16(len(b)))) + string(b) + "\x00"
		}
	}
	return min(c.rows[table][whole], limit), c.err
}

func (c *cluster) CountRows(_ context.Context, _, table, _, level string) (n int64, err error) {
	c.asked = append(c.asked, level+" "+table)
	for _, rows := range c.rows[table] {
		n += int64(rows)
	}
	return n, c.err
}

func (c *cluster) Select(_ context.Context, query, level string, limit int) ([][]string, error) {
	c.asked = append(c.asked, level+" "+query)
	rows, known := c.answers[query]
	switch {
	case c.err != nil:
		return nil, c.err
	case !known && !strings.HasSuffix(query, "LIMIT 1"):
		return nil, io.ErrUnexpectedEOF
	case len(rows) > limit:
		return rows[:limit], node.ErrTooManyRows
	}
	return rows, nil
}

// zoo are the SSTables of a release by table and by how they were written, without those of indexes.
func zoo(t testing.TB, rel cassandratest.Release) map[string]map[string][]cassandratest.Fixture {
	all := make(map[string]map[string][]cassandratest.Fixture)
	for _, f := range cassandratest.Fixtures(t, rel.Release, rel.Format) {
		if strings.Contains(f.Table, ".") {
			continue
		}
		if all[f.Table] == nil {
			all[f.Table] = make(map[string][]cassandratest.Fixture)
		}
		all[f.Table][f.How] = append(all[f.Table][f.How], f)
	}
	return all
}

// flushed is a table of the zoo as it was before it was compacted.
func flushed(name string, by map[string][]cassandratest.Fixture) prove.Table {
	key := []string{"k"}
	if name == "everything" {
		key = []string{"k1", "k2"}
	}
	return prove.Table{Keyspace: "zoo", Name: name, Key: key, Dirs: []string{by["flush"][0].Dir}}
}

func options(m prove.Mode) prove.Options {
	return prove.Options{Mode: m, Level: "QUORUM", Seed: 7, Now: time.Now(), Whole: true, Sole: true}
}

func prepare(t testing.TB, o prove.Options, tables ...prove.Table) *prove.Plan {
	t.Helper()
	p, err := prove.Prepare(t.Context(), tables, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func check(t testing.TB, c *cluster, p *prove.Plan, queries ...prove.Query) *prove.Report {
	t.Helper()
	r, err := prove.Check(t.Context(), c, p, queries)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
