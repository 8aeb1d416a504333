package restore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/ring"
	"cbk/restore/fit"
	"cbk/snapshot"
)

func address(i int) string { return fmt.Sprintf("10.0.0.%d", i) }
func member(i int) string  { return fmt.Sprintf("%08d-0000-4000-8000-000000000000", i) }

// ringOf has members i in racks r1, r2, … of dc1 with a token each; their host ids count from first.
func ringOf(first, nodes, racks, factor int) ring.Ring {
	r := ring.Ring{Cluster: "shop", Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
		Replication: map[string]map[string]string{"shop": {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": fmt.Sprint(factor)},
			"system_auth": {"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1": fmt.Sprint(factor)},
			"system":      {"class": "org.apache.cassandra.locator.LocalStrategy"}}}
	for i := range nodes {
		r.Members = append(r.Members, ring.Member{HostID: member(first + i), Address: address(first + i), DC: "dc1", Rack: fmt.Sprintf("r%d", 1+i%racks),
			State: ring.Normal, Up: true, Tokens: []string{fmt.Sprint(-9000 + 1000*(first+i))}})
	}
	r.Sort()
	return r
}

// backupOf is a backup of members of a ring.
func backupOf(members ...int) *snapshot.Backup {
	b := &snapshot.Backup{Name: "monday", Cluster: "shop"}
	for _, i := range members {
		b.Nodes = append(b.Nodes, snapshot.Entry{Root: "snapshots/" + member(i), Catalogue: snapshot.Catalogue{Backup: "monday", Cluster: "shop", HostID: member(i),
			Node: address(i), Files: i, BytesSource: int64(100 * i)}})
	}
	return b
}

func clone(hosts ring.HostList) ClusterInput {
	return ClusterInput{Backup: backupOf(1, 2, 3), Source: ringOf(1, 3, 3, 3), Way: Clone, Target: ringOf(11, 3, 3, 3), Hosts: hosts, Asked: started}
}

func TestAHostListGivesEveryNodeItsOwnSourceAndTokens(t *testing.T) {
	p, err := PlanCluster(clone(ring.HostList{{Target: address(12), Source: address(2), Line: 1}, {Target: address(11), Source: address(1), Line: 2},
		{Seed: true, Target: address(13), Source: address(3), Line: 3}}))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != planID || p.Bytes != 600 || len(p.Missing) != 0 || len(p.Risks) != 0 || len(p.Statements) != 0 {
		t.Errorf("%+v", p)
	}
	var got []string
	for _, n := range p.Nodes {
		got = append(got, fmt.Sprint(n.Target, " ", n.Order.Node, " ", n.Root, " ", n.Seed, " ", n.Order.FirstStart.Tokens, " ", n.Order.WholeCluster, n.Bytes))
	}
	want := []string{"10.0.0.13 10.0.0.3 snapshots/" + member(3) + " true [-6000] true 300", "10.0.0.11 10.0.0.1 snapshots/" + member(1) + " false [-8000] true 100",
		"10.0.0.12 10.0.0.2 snapshots/" + member(2) + " false [-7000] true 200"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAClusterPlanThatWouldLoseRowsIsRefused(t *testing.T) {
	all := ring.HostList{{Target: address(11), Source: address(1), Line: 1}, {Target: address(12), Source: address(2), Line: 2}, {Target: address(13), Source: address(3), Line: 3}}
	for _, c := range []struct {
		name   string
		change func(in *ClusterInput)
		codes  []string // of the risks; empty: another error
		says   string
	}{
		{"a node of three is missing, of each range one replica of two", func(in *ClusterInput) {
			in.Backup, in.Source, in.Hosts = backupOf(1, 2), ringOf(1, 3, 3, 2), all[:2]
			in.Target = ringOf(11, 3, 3, 2)
		}, []string{fit.Ranges, fit.Replicas}, "below QUORUM"},
		{"the racks are others, and so are the replicas", func(in *ClusterInput) {
			in.Source, in.Target = ringOf(1, 3, 3, 2), ringOf(11, 3, 3, 2)
			in.Source.Members[0].Rack, in.Source.Members[1].Rack = "r1", "r1"
			in.Hosts = all
		}, []string{fit.Replicas}, ""},
		{"nobody knows the racks of the target", func(in *ClusterInput) { in.Target.Members, in.Hosts = nil, all }, []string{fit.Replicas}, "cannot be told"},
		{"the target has fewer nodes", func(in *ClusterInput) { in.Target = ringOf(11, 2, 2, 2) }, nil, "another shape"},
		{"a target gets a node that is not in the backup", func(in *ClusterInput) { in.Backup, in.Hosts, in.Accept = backupOf(1, 2), all, []string{fit.Ranges} }, nil,
			"backup monday has nothing"},
		{"a source that is no node", func(in *ClusterInput) { in.Hosts = ring.HostList{{Target: address(11), Source: "elsewhere", Line: 7}} }, nil, "line 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := clone(nil)
			c.change(&in)
			p, err := PlanCluster(in)
			if len(c.codes) == 0 {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got %v, want %q", err, c.says)
				}
				return
			}
			var refused *fit.RefusedError
			if !errors.As(err, &refused) || p == nil {
				t.Fatalf("got %v", err)
			}
			var codes []string
			for _, r := range refused.Risks {
				codes = append(codes, r.Code)
			}
			codes = slices.Compact(codes)
			if !slices.Equal(codes, c.codes) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v, want %v and %q", codes, err, c.codes, c.says)
			}
			in.Accept = c.codes
			if _, err := PlanCluster(in); err != nil {
				t.Errorf("accepted: %v", err)
			}
		})
	}
}

func TestNodesOfAnUnknownRingGetTheirOwnBackWhereThatIsAccepted(t *testing.T) {
	in := ClusterInput{Backup: backupOf(1, 2), Source: ring.Ring{Cluster: "shop", Absent: "of 2.1"}, Way: InPlace, Asked: started}
	for _, accepted := range [][]string{nil, {fit.Ranges}, {fit.Replicas}} {
		in.Accept = accepted
		if _, err := PlanCluster(in); !errors.As(err, new(*fit.RefusedError)) {
			t.Errorf("%v is accepted: %v", accepted, err)
		}
	}
	in.Accept = []string{fit.Ranges, fit.Replicas}
	p, err := PlanCluster(in)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range p.Nodes {
		if n.Target != address(i+1) || n.Root != "snapshots/"+member(i+1) || n.Order.HostID != member(i+1) || n.Order.WholeCluster || n.Order.FirstStart != nil {
			t.Errorf("%+v", n)
		}
	}
	if len(p.Nodes) != 2 || p.Bytes != 300 {
		t.Errorf("%+v", p)
	}
	in.Way, in.Hosts = Clone, ring.HostList{{Target: address(11), Source: address(1), Line: 1}}
	if _, err := PlanCluster(in); !errors.As(err, new(*RefusedError)) || !strings.Contains(err.Error(), "of 2.1") {
		t.Errorf("onto others: %v", err)
	}
}

func TestRenamedDataCentresAreRenamedInTheSchema(t *testing.T) {
	in := clone(nil)
	for i := range in.Target.Members {
		in.Target.Members[i].DC = "dc'2"
	}
	var err error
	if in.Renames, err = ring.ParseRenames([]string{"dc1=dc'2"}, nil); err != nil {
		t.Fatal(err)
	}
	p, err := PlanCluster(in)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`ALTER KEYSPACE "shop" WITH replication = {'class': 'org.apache.cassandra.locator.NetworkTopologyStrategy', 'dc''2': '3'};`,
		`ALTER KEYSPACE "system_auth" WITH replication = {'class': 'org.apache.cassandra.locator.NetworkTopologyStrategy', 'dc''2': '3'};`,
	}
	if diff := cmp.Diff(want, p.Statements); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Roles cannot be read before that.
	if len(p.Risks) != 1 || p.Risks[0].Code != fit.Roles || p.Risks[0].Refuses {
		t.Errorf("risks %+v", p.Risks)
	}
	delete(in.Source.Replication, "system_auth")
	delete(in.Target.Replication, "system_auth")
	if p, err = PlanCluster(in); err != nil || len(p.Risks) != 0 || len(p.Statements) != 1 {
		t.Errorf("without roles: %v, %+v, %q", err, p.Risks, p.Statements)
	}
}

func TestAClusterInPlaceIsProvenToBeTheSame(t *testing.T) {
	in := ClusterInput{Backup: backupOf(1, 2, 3), Source: ringOf(1, 3, 3, 3), Way: InPlace, Target: ringOf(1, 3, 3, 3), Asked: started,
		Selection: snapshot.Selection{Tables: []string{"shop.orders"}}}
	p, err := PlanCluster(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Nodes {
		if n.Target != n.Order.Node || n.Order.FirstStart != nil || n.Order.WholeCluster || n.Order.Selection.All() {
			t.Errorf("%+v", n)
		}
	}
	in.Target.Members[0].Tokens = []string{"42"}
	if _, err := PlanCluster(in); !errors.As(err, new(*ring.ChangedError)) {
		t.Errorf("other tokens: %v", err)
	}
}
