package ring

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// addressed is a ring of members written as "id dc rack: tokens", each with an
// address by its number: the first has 10.0.0.1.
func addressed(t testing.TB, replication string, members ...string) Ring {
	t.Helper()
	r := Ring{Cluster: "shop", Partitioner: murmur3, Replication: map[string]map[string]string{"ks": options(replication)}}
	for i, text := range members {
		m := member(t, text)
		m.Address = fmt.Sprint("10.0.0.", i+1)
		r.Members = append(r.Members, m)
	}
	return r
}

// ready is the ring ready to be asked.
func ready(t testing.TB, r Ring) *Topology {
	t.Helper()
	topo, err := r.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func hostList(t testing.TB, lines ...string) HostList {
	t.Helper()
	list, err := ReadHostList(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// pairs writes a mapping as "source>target", with a * behind a seed.
func pairs(m Mapping) []string {
	var all []string
	for _, a := range m.Assignments {
		text := a.Source.HostID + ">" + a.Target
		if a.Member.HostID != "" {
			text += "=" + a.Member.HostID
		}
		if a.Seed {
			text += "*"
		}
		all = append(all, text)
	}
	return all
}

func TestAHostListNamesSourcesAsPeopleKnowThem(t *testing.T) {
	source := ready(t, addressed(t, "SimpleStrategy replication_factor:1", "a dc1 r1: 10", "b dc1 r1: 20", "C dc1 r1: 30"))
	target := addressed(t, "SimpleStrategy replication_factor:1", "x dc1 r1: 1", "y dc1 r1: 2", "z dc1 r1: 3").Members
	tests := []struct {
		what string
		list HostList
		opts HostOptions
		want []string
	}{
		{"by address, host id and node name", hostList(t, "False,h3,c", "True,h1,10.0.0.1", "False,h2,node-b"),
			HostOptions{Names: Names{"b": {"node-b"}}}, []string{"C>h3", "a>h1*", "b>h2"}},
		{"names and ids in any case", hostList(t, "True,h1,A", "False,h2,NODE-B", "False,h3,c"),
			HostOptions{Names: Names{"B": {"node-b", "other"}}}, []string{"C>h3", "a>h1*", "b>h2"}},
		{"a node name that is its address too", hostList(t, "True,h1,10.0.0.1", "False,h2,b", "False,h3,c"),
			HostOptions{Names: Names{"a": {"10.0.0.1"}}}, []string{"C>h3", "a>h1*", "b>h2"}},
		{"targets found in their own ring", hostList(t, "True,10.0.0.2,a", "False,X,b", "False,host-z,c"),
			HostOptions{Target: target, TargetNames: Names{"z": {"host-z"}}}, []string{"C>host-z=z", "a>10.0.0.2=y*", "b>X=x"}},
		{"a subset that is asked for", hostList(t, "True,h2,b"), HostOptions{Subset: true}, []string{"b>h2*"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			m, err := MapHosts(source, tt.list, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, pairs(m)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAHostListThatDoesNotFitTheRingsIsRefused(t *testing.T) {
	source := addressed(t, "SimpleStrategy replication_factor:1", "a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r1: 30", "j dc1 r1: 40")
	source.Members[3].State = Joining
	target := source.Members[:2]
	full := hostList(t, "True,h1,a", "False,h2,b", "False,h3,c")
	tests := []struct {
		what string
		list HostList
		opts HostOptions
		want string
	}{
		{"nodes of the backup are missing", full[1:2], HostOptions{}, "2 nodes of the backup have no target: 10.0.0.1 (a), 10.0.0.3 (c)"},
		{"a source that nobody is", hostList(t, "True,h1,a", "", "False,h9,who"), HostOptions{}, "line 3 of the host list: source who is no member of the backup's ring"},
		{"a source that owned nothing", hostList(t, "True,h1,j"), HostOptions{}, "source j is no member"},
		{"one source by two names", hostList(t, "True,h1,a", "False,h2,10.0.0.1"), HostOptions{}, "line 2 of the host list: source 10.0.0.1 is named on line 1 too"},
		{"a name of two nodes", full, HostOptions{Names: Names{"b": {"a"}}}, "line 1 of the host list: source a stands for 2 members"},
		{"a target that is not in its ring", full, HostOptions{Target: target}, "line 1 of the host list: target h1 is no member of the target's ring"},
		{"one target by two names", hostList(t, "True,a,a", "False,10.0.0.1,b"), HostOptions{Target: target}, "line 2 of the host list: target 10.0.0.1 is named on line 1 too"},
		{"a rename of what is not there", full, HostOptions{Renames: Renames{DCs: map[string]string{"dc7": "x"}}}, `"dc7"`},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			if _, err := MapHosts(ready(t, source), tt.list, tt.opts); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTheNodesWithoutATargetAreInTheError(t *testing.T) {
	var members []string
	for i := range 15 {
		members = append(members, fmt.Sprintf("n%02d dc1 r1: %d", i, i))
	}
	_, err := MapHosts(ready(t, addressed(t, "SimpleStrategy replication_factor:1", members...)), hostList(t, "True,h,n03"), HostOptions{})
	var unmapped *UnmappedError
	if !errors.As(err, &unmapped) || len(unmapped.Missing) != 14 || unmapped.Missing[3].HostID != "n04" {
		t.Fatalf("error %v", err)
	}
	if text := err.Error(); !strings.HasSuffix(text, "10.0.0.11 (n10) and 4 more") {
		t.Errorf("text %q", text)
	}
}

func TestTheRingAfterARestoreHasTheTokensOfTheSourceInThePlaceOfTheTarget(t *testing.T) {
	source := addressed(t, "NetworkTopologyStrategy dc1:2", "a dc1 r1: 10 11", "b dc1 r2: 20")
	target := addressed(t, "SimpleStrategy replication_factor:1", "x east ra: 1", "y east rb:", "z east rb: 5")
	target.Members[1].State = Joining
	m, err := MapHosts(ready(t, source), hostList(t, "True,10.0.0.1,b", "False,10.0.0.2,a"),
		HostOptions{Target: target.Members, Renames: renames(t, "dc1=east", "")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.After(ready(t, source), target)
	if err != nil {
		t.Fatal(err)
	}
	want := addressed(t, "NetworkTopologyStrategy east:2", "x east ra: 20", "y east rb: 10 11", "z east rb: 5")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if target.Members[0].Tokens[0] != "1" || target.Members[1].State != Joining {
		t.Errorf("the ring before has changed: %+v", target.Members)
	}
}

func TestARingAfterThatCannotBeIsRefused(t *testing.T) {
	source := addressed(t, "NetworkTopologyStrategy dc1:2 old:1", "a dc1 r1: 10")
	target := addressed(t, "SimpleStrategy replication_factor:1", "x old r1: 1")
	other := target
	other.Partitioner = random
	known := HostOptions{Target: target.Members}
	tests := []struct {
		what   string
		opts   HostOptions
		target Ring
		want   string
	}{
		{"targets that were not looked up", HostOptions{}, target, "target x is no member of the target's ring"},
		{"another partitioner", known, other, `partitioner "org.apache.cassandra.dht.RandomPartitioner" cannot hold rows of Murmur3Partitioner`},
		{"two data centres of one name", HostOptions{Target: target.Members, Renames: Renames{DCs: map[string]string{"dc1": "old"}}}, target, "keyspace ks: two data centres"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			m, err := MapHosts(ready(t, source), hostList(t, "True,x,a"), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.After(ready(t, source), tt.target); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// Medusa cuts targets into batches but not their sources, so that a second batch
// gets the rows and tokens of the first one's.
func TestEveryBatchHasItsOwnSources(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Mapping
		source := map[string]string{}
		for i := range rapid.IntRange(0, 30).Draw(t, "nodes") {
			a := Assignment{Source: Member{HostID: fmt.Sprint("s", i)}, Target: fmt.Sprint("t", i), Seed: rapid.Bool().Draw(t, "seed")}
			source[a.Target] = a.Source.HostID
			m.Assignments = append(m.Assignments, a)
		}
		n := rapid.IntRange(-1, 35).Draw(t, "n")
		var started []bool
		for _, batch := range m.Batches(n) {
			if len(batch) == 0 || len(batch) > max(n, 1) {
				t.Fatalf("%d in a batch of up to %d", len(batch), n)
			}
			for _, a := range batch {
				if source[a.Target] != a.Source.HostID || a.Seed != batch[0].Seed {
					t.Fatalf("%s gets %s: %+v", a.Target, a.Source.HostID, batch)
				}
				delete(source, a.Target)
				started = append(started, !a.Seed)
			}
		}
		if len(source) > 0 {
			t.Fatalf("in no batch: %v", source)
		}
		if first := slices.Index(started, true); first >= 0 && slices.Contains(started[first:], false) {
			t.Fatalf("a seed comes late: %v", started)
		}
	})
}

func TestAMappingHasThisJSON(t *testing.T) {
	m, err := MapHosts(ready(t, addressed(t, "SimpleStrategy replication_factor:1", "a dc1 r1: 10")), hostList(t, "True,h1,a"), HostOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"assignments":[{"source":{"host_id":"a","address":"10.0.0.1","dc":"dc1","rack":"r1","state":"NORMAL","up":false,"tokens":["10"]},` +
		`"target":"h1","member":{"host_id":"","address":"","dc":"","rack":"","state":"","up":false,"tokens":null},"seed":true,"line":1}],"in_place":false}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
