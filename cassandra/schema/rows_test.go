package schema

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// realRows reads rows that a node of a release held, as the test of package node wrote them.
func realRows(t testing.TB, version string) *System {
	t.Helper()
	text, err := os.ReadFile("testdata/" + version + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var tables map[string][]map[string]json.RawMessage
	if err := json.Unmarshal(text, &tables); err != nil {
		t.Fatal(err)
	}
	s := new(System)
	for name, rows := range tables {
		field := reflect.ValueOf(s).Elem().FieldByName(name).Addr().Interface().(*[]Row)
		for _, written := range rows {
			row := make(Row)
			for column, v := range written {
				row[column] = realValue(t, v)
			}
			*field = append(*field, row)
		}
	}
	return s
}

func realValue(t testing.TB, text json.RawMessage) any {
	t.Helper()
	var o struct {
		UUID, Blob *string
		Time       *time.Time
		Int        *int
		Texts      map[string]string
		Blobs      map[string][]byte
		Booleans   []bool
	}
	if text[0] == '{' {
		if err := json.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case o.UUID != nil:
		return [16]byte(unhex(t, *o.UUID))
	case o.Blob != nil:
		return unhex(t, *o.Blob)
	case o.Time != nil:
		return *o.Time
	case o.Int != nil:
		return *o.Int
	case o.Texts != nil:
		return o.Texts
	case o.Blobs != nil:
		return o.Blobs
	case o.Booleans != nil:
		return o.Booleans
	}
	if text[0] == '[' {
		var list []string
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// allTables are the rows of all tables.
func (s *System) allTables() []*[]Row {
	all := []*[]Row{&s.Keyspaces}
	for _, table := range systemTables {
		all = append(all, table.rows(s))
	}
	return all
}

// shuffled has the rows in another order.
func shuffled(s *System, seed uint64) *System {
	r := rand.New(rand.NewPCG(seed, 1))
	for _, rows := range s.allTables() {
		r.Shuffle(len(*rows), func(i, j int) { (*rows)[i], (*rows)[j] = (*rows)[j], (*rows)[i] })
	}
	return s
}

// text is the CQL of all keyspaces.
func text(t testing.TB, s *System) string {
	t.Helper()
	keyspaces, err := s.CQL()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, k := range keyspaces {
		b.WriteString(k.CQL)
	}
	return b.String()
}

// oneTable is the schema of one keyspace with one table, as an old release has it.
func oneTable() *System {
	return &System{
		Keyspaces: []Row{{"keyspace_name": "k", "replication": map[string]string{"class": "SimpleStrategy"}}},
		Tables:    []Row{{"keyspace_name": "k", "table_name": "t", "id": [16]byte{1}, "flags": []string{"compound"}}},
		Columns:   []Row{aColumn("id", "partition_key", "int")},
	}
}

func aColumn(name, kind, cqlType string) Row {
	return Row{"keyspace_name": "k", "table_name": "t", "column_name": name, "kind": kind, "type": cqlType, "clustering_order": "none", "position": 0}
}
