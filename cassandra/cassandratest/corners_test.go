package cassandratest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"
)

// The story of the corners on one node: what is shadowed is not read, and lies in an SSTable of its own.
func TestTheCornersShowWhatTheirLaterRoundsLeave(t *testing.T) {
	n, s := fillCorners(t)
	dump := dumpCorners(t, s)
	got := make(map[string]int)
	for name, rows := range dump {
		got[name] = len(rows)
	}
	want := map[string]int{"types": 60, "counters": 68, "lives": 64, "dropped": 120, "people": 100, "by_town": 80,
		"deletes": 480 - 5*(1+7+11+1), "deletes' statics": 40, "wide": 3603 - 1200, "wide, inside": 15, "wide, backward": 25,
		"people by email": 20, "people by former email": 40, "people by age": 14, "by_town of one": 13}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		name, text string
		rows       int
	}{
		{"types", `"name":"again `, 15}, {"types", `"work":{"code":1,"street":null,"town":null}`, 15}, {"types", `"tags":null`, 7},
		{"deletes", `"v":"shadowed"`, 0}, {"deletes", `"v":"after the deletion"`, 5}, {"deletes", `"v":"second"`, 5}, {"deletes", `"v":"older`, 0},
		{"deletes", `"v":null`, 5}, {"deletes' statics", `"s":null`, 10},
		{"counters", `"s":6`, 68}, {"counters", `"m":-6`, 64}, {"counters", `"m":null`, 4},
		{"lives", `"ttl(v)":true`, 16}, {"lives", `"v":"round 0"`, 24}, {"lives", `soon gone`, 0}, {"lives", `"w":"stays"`, 64},
		{"wide", `"s":"round 2"`, 2400}, {"wide", `"v":"round 1`, 1300},
		{"dropped", `"again":"again"`, 40}, {"dropped", `hidden`, 0}, {"dropped", `"later":null`, 60}, {"dropped", `gone`, 0},
	} {
		if n := strings.Count(strings.Join(dump[c.name], "\n"), c.text); n != c.rows {
			t.Errorf("%d rows of %s with %s, want %d", n, c.name, c.text, c.rows)
		}
	}
	mustLieApart(t, n)
	run(t, n.Bin("nodetool"), "compact", Corners)
	if diff := cmp.Diff(dump, dumpCorners(t, s)); diff != "" {
		t.Errorf("compacted (-before +after):\n%s", diff)
	}
	if err := EmptyCorners(s); err != nil {
		t.Fatal(err)
	}
	for name, rows := range dumpCorners(t, s) {
		if len(rows) > 0 {
			t.Errorf("%d rows of %s after all was emptied", len(rows), name)
		}
	}
}

func fillCorners(t *testing.T) (*Node, *gocql.Session) {
	t.Helper()
	n := Run(t, Options{}).Nodes[0]
	s := session(t, n)
	if err := CreateCorners(s, Version, `{'class': 'SimpleStrategy', 'replication_factor': 1}`); err != nil {
		t.Fatal(err)
	}
	for round := range CornerRounds {
		if err := FillCorners(s, round); err != nil {
			t.Fatal(err)
		}
		run(t, n.Bin("nodetool"), "flush", Corners)
	}
	return n, s
}

func dumpCorners(t *testing.T, s *gocql.Session) map[string][]string {
	t.Helper()
	dump, err := DumpCorners(s)
	if err != nil {
		t.Fatal(err)
	}
	return dump
}

// mustLieApart demands an SSTable of each round in every table, and an index of blocks in the wide partition where it is long
// enough, which the last round's is not: an entry of Index.db is else a key and a position.
func mustLieApart(t *testing.T, n *Node) {
	t.Helper()
	for _, c := range corners(number{5, 0}) {
		data, err := filepath.Glob(n.path("data/data/corners/" + c.name + "-*/*-Data.db"))
		rounds := CornerRounds
		if c.name == "lives" {
			rounds-- // the last has nothing for it
		}
		if err != nil || len(data) != rounds {
			t.Errorf("SSTables of %s: %v, %v", c.name, data, err)
		}
	}
	wide, err := filepath.Glob(n.path("data/data/corners/wide-*/*-Index.db"))
	if err != nil {
		t.Fatal(err)
	}
	indexed := 0
	for _, name := range wide {
		if info, err := os.Stat(name); err == nil && info.Size() > 40 { // two partitions take 20 bytes without
			indexed++
		}
	}
	if indexed < 2 {
		t.Errorf("%d of %v index a partition inside", indexed, wide)
	}
}

func TestARowOfTheCornersSaysThatItEndsAndNotWhen(t *testing.T) {
	long := strings.Repeat("x", cornerLong)
	for _, c := range []struct{ text, want string }{
		{`{"b": 12345678901234567890, "a": null}`, `{"a":null,"b":12345678901234567890}`},
		{`{"ttl(v)": 77, "ttl(w)": null}`, `{"ttl(v)":true,"ttl(w)":false}`},
	} {
		if got, err := cornerRow(c.text); err != nil || got != c.want {
			t.Errorf("%s becomes %s, %v", c.text, got, err)
		}
	}
	one, err := cornerRow(`{"v": "` + long + `1"}`)
	other, err2 := cornerRow(`{"v": "` + long + `2"}`)
	if err != nil || err2 != nil || one == other || len(one) > 2*cornerLong {
		t.Errorf("%s, %s, %v, %v", one, other, err, err2)
	}
	if _, err := cornerRow("no row"); err == nil {
		t.Error("no error")
	}
}
