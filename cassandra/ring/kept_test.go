package ring

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sixNodes are two in each of three racks, one token each.
var sixNodes = []string{"a dc1 r1: 10", "b dc1 r2: 20", "c dc1 r3: 30", "d dc1 r1: 40", "e dc1 r2: 50", "f dc1 r3: 60"}

// restored maps source and target member by member in the order in which they
// stand, and proves it. A source beyond the targets has none.
func restored(t testing.TB, source, target Ring, r Renames) Differences {
	t.Helper()
	m := Mapping{Renames: r}
	for i := range min(len(source.Members), len(target.Members)) {
		m.Assignments = append(m.Assignments, Assignment{Source: source.Members[i], Target: target.Members[i].Address, Member: target.Members[i]})
	}
	from := ready(t, source)
	after, err := m.After(from, target)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ReplicasKept(from, ready(t, after), nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// standing are nodes with no tokens yet, by the places where they stand.
func standing(t testing.TB, places ...string) Ring {
	t.Helper()
	for i, at := range places {
		places[i] = fmt.Sprintf("t%d %s", i+1, at)
	}
	return addressed(t, "", places...)
}

func TestAMappingKeepsReplicasOrNot(t *testing.T) {
	const racks = "NetworkTopologyStrategy dc1:3"
	twoDCs := []string{"a dc1 r1: 10", "b dc2 r1: 20", "c dc1 r1: 30", "d dc2 r1: 40"}
	tests := []struct {
		what        string
		replication string
		source      []string
		target      Ring
		dcs         string // renames
		want        string // what is told, empty where replicas are kept
	}{
		{"the same racks", racks, sixNodes, standing(t, "dc1 r1:", "dc1 r2:", "dc1 r3:", "dc1 r1:", "dc1 r2:", "dc1 r3:"), "", ""},
		{"racks of other names are the same racks", racks, sixNodes, standing(t, "dc1 r3:", "dc1 r1:", "dc1 x:", "dc1 r3:", "dc1 r1:", "dc1 x:"), "", ""},
		{"two neighbours whose racks have changed places", racks, sixNodes, standing(t, "dc1 r1:", "dc1 r2:", "dc1 r1:", "dc1 r3:", "dc1 r2:", "dc1 r3:"), "",
			`keyspace ks: the replicas of 2 of 6 ranges would differ
(60,10] of ks: rows would be on 10.0.0.1, 10.0.0.2, 10.0.0.3, looked for on 10.0.0.1, 10.0.0.2, 10.0.0.4
(30,40] of ks: rows would be on 10.0.0.4, 10.0.0.5, 10.0.0.6, looked for on 10.0.0.4, 10.0.0.5, 10.0.0.1
`},
		{"racks that have changed places between nodes of which no range has one only", "NetworkTopologyStrategy dc1:6", sixNodes,
			standing(t, "dc1 r1:", "dc1 r1:", "dc1 r1:", "dc1 r2:", "dc1 r2:", "dc1 r3:"), "", ""},
		{"all in one rack, of a strategy that knows none", "SimpleStrategy replication_factor:3", sixNodes,
			standing(t, "dc1 r1:", "dc1 r1:", "dc1 r1:", "dc1 r1:", "dc1 r1:", "dc1 r1:"), "", ""},
		{"all in one rack, in the order in which the racks came", racks, sixNodes,
			standing(t, "dc1 r1:", "dc1 r1:", "dc1 r1:", "dc1 r1:", "dc1 r1:", "dc1 r1:"), "", ""},
		{"data centres of other names", "NetworkTopologyStrategy dc1:2 dc2:1", twoDCs,
			standing(t, "east r1:", "dc1 r1:", "east r1:", "dc1 r1:"), "dc1=east dc2=dc1", ""},
		{"data centres that are not renamed", "NetworkTopologyStrategy dc1:1", twoDCs[:1], standing(t, "east r1:"), "",
			`keyspace ks: the replicas of 1 of 1 ranges would differ
keyspace ks: 1 replicas do not fit data centre dc1: 0 nodes, at the backup 1
the whole ring of ks: rows would be on 10.0.0.1, looked for on no node
`},
		{"a node without a target, and too few for the factor", "SimpleStrategy replication_factor:3", sixNodes[:3], standing(t, "dc1 r1:", "dc1 r1:"), "",
			`keyspace ks: the replicas of 3 of 3 ranges would differ
keyspace ks: 3 replicas do not fit the target: 2 nodes, at the backup 3
(30,10] of ks: rows would be on 10.0.0.1, 10.0.0.2, 10.0.0.3 (c) of the backup, not restored, looked for on 10.0.0.1, 10.0.0.2
(10,20] of ks: rows would be on 10.0.0.2, 10.0.0.3 (c) of the backup, not restored, 10.0.0.1, looked for on 10.0.0.2, 10.0.0.1
(20,30] of ks: rows would be on 10.0.0.3 (c) of the backup, not restored, 10.0.0.1, 10.0.0.2, looked for on 10.0.0.1, 10.0.0.2
`},
		{"too few nodes in a data centre of another name", "NetworkTopologyStrategy dc1:2", twoDCs, standing(t, "east r1:", "dc2 r1:"), "dc1=east",
			`keyspace ks: the replicas of 4 of 4 ranges would differ
keyspace ks: 2 replicas do not fit data centre east: 1 nodes, at the backup 2
(40,10] of ks: rows would be on 10.0.0.1, 10.0.0.3 (c) of the backup, not restored, looked for on 10.0.0.1
(10,20] of ks: rows would be on 10.0.0.3 (c) of the backup, not restored, 10.0.0.1, looked for on 10.0.0.1
(20,30] of ks: rows would be on 10.0.0.3 (c) of the backup, not restored, 10.0.0.1, looked for on 10.0.0.1
(30,40] of ks: rows would be on 10.0.0.1, 10.0.0.3 (c) of the backup, not restored, looked for on 10.0.0.1
`},
		{"a factor that the backup's ring had not the nodes for either", "SimpleStrategy replication_factor:3", sixNodes[:2], standing(t, "dc1 r1:", "dc1 r1:"), "", ""},
		{"a node more at the target, with a token of its own", "SimpleStrategy replication_factor:1", sixNodes[:2], standing(t, "dc1 r1:", "dc1 r1:", "dc1 r1: 15"), "",
			`keyspace ks: the replicas of 1 of 3 ranges would differ
(10,15] of ks: rows would be on 10.0.0.2, looked for on 10.0.0.3
`},
		{"rows of a node's own", "LocalStrategy", sixNodes[:2], standing(t, "dc1 r1:", "dc1 r1:"), "", ""},
		{"transient replicas", "NetworkTopologyStrategy dc1:3/1", sixNodes[:1], standing(t, "dc1 r1:"), "",
			"keyspace ks: where its rows lie cannot be told: data centre \"dc1\": factor \"3/1\": transient replication is not supported\n"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			d := restored(t, addressed(t, tt.replication, tt.source...), tt.target, renames(t, tt.dcs, ""))
			if diff := cmp.Diff(tt.want, d.String()); diff != "" || d.None() != (tt.want == "") {
				t.Errorf("none: %v (-want +got):\n%s", d.None(), diff)
			}
		})
	}
}

// The schema of the target may have its own replication, and its own keyspaces.
func TestTheReplicationOfTheTargetsSchemaCounts(t *testing.T) {
	keyspaces := func(texts ...string) map[string]map[string]string {
		all := map[string]map[string]string{}
		for _, text := range texts {
			name, rest, _ := strings.Cut(text, " ")
			all[name] = options(rest)
		}
		return all
	}
	before := keyspaces("gone SimpleStrategy replication_factor:1", "more SimpleStrategy replication_factor:1",
		"node LocalStrategy", "same SimpleStrategy replication_factor:2", "mine org.example.Mine")
	after := keyspaces("more SimpleStrategy replication_factor:2", "node SimpleStrategy replication_factor:1",
		"same NetworkTopologyStrategy dc1:2", "mine SimpleStrategy replication_factor:1", "new SimpleStrategy replication_factor:1")
	members := []string{"a dc1 r1: 10", "b dc1 r1: 20"}
	source, now := topology(t, before, members...), topology(t, after, members...)
	m, err := MapInPlace(source, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		keyspaces []string
		want      Differences
	}{
		{[]string{"same"}, Differences{}},
		{[]string{"same", "more", "more"}, Differences{Keyspaces: []KeyspaceDifference{{"more", 2, 2}}, First: []Difference{
			{[]string{"more"}, Range{"20", "10"}, []string{"a"}, []string{"a", "b"}},
			{[]string{"more"}, Range{"10", "20"}, []string{"b"}, []string{"b", "a"}}}}},
		{[]string{"node", "new", "mine", "gone"}, Differences{Untold: []Untold{
			{"gone", "the ring after the restore has no such keyspace"}, {"mine", "the strategy is not known"},
			{"new", "the backup's ring has no such keyspace"}, {"node", "its replication was LocalStrategy and will be SimpleStrategy"}}}},
	}
	for _, tt := range tests {
		d, err := ReplicasKept(source, now, tt.keyspaces, m)
		if diff := cmp.Diff(tt.want, d); err != nil || diff != "" {
			t.Errorf("%v: %v (-want +got):\n%s", tt.keyspaces, err, diff)
		}
	}
}

func TestDifferencesAreCountedButNotAllListed(t *testing.T) {
	var members, places []string
	for i := range 30 {
		members = append(members, fmt.Sprintf("n%02d dc1 r%d: %d", i, i%3, i))
		places = append(places, fmt.Sprintf("dc1 r%d:", i/10))
	}
	source := addressed(t, "NetworkTopologyStrategy dc1:2", members...)
	for i := range 12 {
		source.Replication[fmt.Sprintf("same%02d", i)] = source.Replication["ks"]
	}
	d := restored(t, source, standing(t, places...), Renames{})
	if len(d.Keyspaces) != 13 || d.Keyspaces[12] != (KeyspaceDifference{"same11", 27, 30}) || len(d.First) != maxDifferences {
		t.Fatalf("%d keyspaces, the last %+v; %d ranges", len(d.Keyspaces), d.Keyspaces[12], len(d.First))
	}
	const want = "(29,0] of ks, same00, same01, same02, same03, same04, same05, same06, same07, same08 and 3 more: " +
		"rows would be on 10.0.0.1, 10.0.0.2, looked for on 10.0.0.1, 10.0.0.11"
	if diff := cmp.Diff(want, d.First[0].String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMappingThatDoesNotFitTheRingsIsNoProof(t *testing.T) {
	source := ready(t, addressed(t, "SimpleStrategy replication_factor:1", "a dc1 r1: 10", "b dc1 r1: 20"))
	after := ready(t, addressed(t, "SimpleStrategy replication_factor:1", "x dc1 r1: 10", "y dc1 r1: 20"))
	pair := func(from, to string) Assignment {
		return Assignment{Source: Member{HostID: from}, Target: to, Member: Member{HostID: to}}
	}
	tests := []struct {
		what        string
		after       *Topology
		assignments []Assignment
		want        string
	}{
		{"a source of another ring", after, []Assignment{pair("c", "x")}, "source c is no member of the backup's ring"},
		{"a source twice", after, []Assignment{pair("a", "x"), pair("a", "y")}, "source a is no member of the backup's ring, or mapped twice"},
		{"a target of another ring", after, []Assignment{pair("a", "z")}, "target z is no member of the ring after the restore"},
		{"a target twice", after, []Assignment{pair("a", "x"), pair("b", "x")}, "target x is no member of the ring after the restore, or mapped twice"},
		{"a ring of another partitioner", ready(t, Ring{Partitioner: random, Members: []Member{member(t, "x dc1 r1: 10")}}), nil, "RandomPartitioner cannot hold rows of Murmur3Partitioner"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			if _, err := ReplicasKept(source, tt.after, nil, Mapping{Assignments: tt.assignments}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDifferencesHaveThisJSON(t *testing.T) {
	d := restored(t, addressed(t, "NetworkTopologyStrategy dc1:1", "a dc1 r1: 10"), standing(t, "dc2 r1:"), Renames{})
	d.Untold = []Untold{{"x", "so"}}
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"keyspaces":[{"keyspace":"ks","ranges":1,"of":1}],` +
		`"first":[{"keyspaces":["ks"],"range":{"start":"10","end":"10"},"want":["10.0.0.1"],"got":[]}],` +
		`"short":[{"keyspace":"ks","dc":"dc1","factor":1,"nodes":0,"was":1}],"untold":[{"keyspace":"x","reason":"so"}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
