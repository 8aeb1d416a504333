package node_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/node"
)

func int32Bytes(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func TestRowsOfAPartitionAreCountedByItsSerializedKey(t *testing.T) {
	s := keyspace(t, "Counted",
		`CREATE TABLE %s."Mixed" ("K" int, b text, c int, v text, PRIMARY KEY (("K", b), c))`,
		`CREATE TABLE %s.alone (k text PRIMARY KEY, n int)`,
	)
	for i := range 30 {
		if err := s.Query(`INSERT INTO "Counted"."Mixed" ("K", b, c, v) VALUES (-1, 'it''s', ?, 'x')`, i).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	n := connect(t, nil)
	key := [][]byte{int32Bytes(0xffffffff), []byte("it's")}
	for limit, want := range map[int]int{100: 30, 30: 30, 7: 7} {
		got, err := n.Partition(t.Context(), "Counted", "Mixed", []string{"K", "b"}, key, "quorum", limit)
		if err != nil || got != want {
			t.Errorf("limit %d: %d rows, error %v", limit, got, err)
		}
	}
	none, err := n.Partition(t.Context(), "Counted", "alone", []string{"k"}, [][]byte{[]byte("none")}, "", 10)
	if err != nil || none != 0 {
		t.Errorf("%d rows, error %v", none, err)
	}
	all, err := n.CountRows(t.Context(), "Counted", "Mixed", "K", "ONE")
	if err != nil || all != 30 {
		t.Errorf("%d rows in all, error %v", all, err)
	}
}

func TestQueriesThatCannotBeAskedAreErrors(t *testing.T) {
	n := connect(t, nil)
	one := [][]byte{[]byte("k")}
	for what, ask := range map[string]func() (int, error){
		"an unknown level": func() (int, error) {
			return n.Partition(t.Context(), "system", "local", []string{"key"}, one, "MOST", 1)
		},
		"more columns than values": func() (int, error) {
			return n.Partition(t.Context(), "system", "local", []string{"key", "b"}, one, "", 1)
		},
		"a table that is not there": func() (int, error) {
			return n.Partition(t.Context(), "system", "none", []string{"key"}, one, "", 1)
		},
		"a limit of nothing": func() (int, error) {
			return n.Partition(t.Context(), "system", "local", []string{"key"}, one, "", 0)
		},
		"a statement that writes": func() (int, error) {
			rows, err := n.Select(t.Context(), "TRUNCATE system.local", "", 1)
			return len(rows), err
		},
		"nothing": func() (int, error) {
			rows, err := n.Select(t.Context(), "", "", 1)
			return len(rows), err
		},
	} {
		if got, err := ask(); err == nil || got != 0 {
			t.Errorf("%s: %d, error %v", what, got, err)
		}
	}
}

func TestLevelsHaveCassandrasNames(t *testing.T) {
	for level, ok := range map[string]bool{"": true, "one": true, "LOCAL_QUORUM": true, "Each_Quorum": true, "ALL": true, "most": false, "QUORUM ": false} {
		if err := node.CheckLevel(level); (err == nil) != ok {
			t.Errorf("%q: %v", level, err)
		}
	}
}

func TestSelectedValuesComeAsText(t *testing.T) {
	keyspace(t, "Texts",
		`CREATE TYPE %s.place (street text, code int)`,
		`CREATE TABLE %s.all (k int PRIMARY KEY, tags set<text>, home frozen<place>, pair frozen<tuple<int, text>>, at timestamp, price decimal, nothing blob)`,
		`INSERT INTO %s.all (k, tags, home, pair, at, price) VALUES (1, {'b', 'a'}, {street: 'it''s', code: 5}, (7, 'x'), '2024-01-01T00:00:00Z', -1.50)`,
		`INSERT INTO %s.all (k, nothing) VALUES (2, 0x00)`,
	)
	n := connect(t, nil)
	query := `SELECT k, tags, home, pair, at, price, nothing FROM "Texts".all WHERE k = 1`
	got, err := n.Select(t.Context(), query, "QUORUM", 5)
	want := [][]string{{"1", "{'a', 'b'}", "{street: 'it''s', code: 5}", "(7, 'x')", "2024-01-01T00:00:00.000Z", "-1.50", "null"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	first, err := n.Select(t.Context(), `SELECT k FROM "Texts".all`, "", 1)
	if !errors.Is(err, node.ErrTooManyRows) || len(first) != 1 {
		t.Errorf("%v, error %v", first, err)
	}
}
