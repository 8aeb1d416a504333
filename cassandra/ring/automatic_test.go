package ring

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNodesAreMappedWithinTheirRacks(t *testing.T) {
	source := []string{"a dc1 r1: 10 11", "b dc1 r1: 20", "c dc1 r2: 30", "d dc2 r1: 40"}
	tests := []struct {
		what   string
		target []string
		opts   AutoOptions
		want   []string
	}{
		{"the same ring to itself, whatever the order", []string{"d dc2 r1: 40", "c dc1 r2: 30", "b dc1 r1: 20", "a dc1 r1: 10 11"}, AutoOptions{},
			[]string{"a>10.0.0.4=a", "b>10.0.0.3=b", "c>10.0.0.2=c", "d>10.0.0.1=d"}},
		{"the same address before the same tokens", []string{"z dc1 r1: 20", "y dc1 r1: 10 11", "x dc1 r2: 1", "w dc2 r1: 2"}, AutoOptions{},
			[]string{"a>10.0.0.1=z", "b>10.0.0.2=y", "c>10.0.0.3=x", "d>10.0.0.4=w"}},
		{"the same host id before the same address", []string{"b dc1 r1: 1", "y dc1 r1: 2", "x dc1 r2: 3", "w dc2 r1: 4"}, AutoOptions{},
			[]string{"a>10.0.0.2=y", "b>10.0.0.1=b", "c>10.0.0.3=x", "d>10.0.0.4=w"}},
		{"the same tokens before the order", []string{"w dc2 r1: 1", "x dc1 r2: 2", "m dc1 r1: +20", "n dc1 r1: 11 10"}, AutoOptions{},
			[]string{"a>10.0.0.4=n", "b>10.0.0.3=m", "c>10.0.0.2=x", "d>10.0.0.1=w"}},
		{"nodes that have never started, in the order of the host ids", []string{"w dc2 r1:", "x dc1 r2:", "n dc1 r1:", "m dc1 r1:"}, AutoOptions{},
			[]string{"a>10.0.0.4=m", "b>10.0.0.3=n", "c>10.0.0.2=x", "d>10.0.0.1=w"}},
		{"data centres and racks of other names", []string{"w east r1:", "x west rb:", "n west ra:", "m west ra:"},
			AutoOptions{Renames: renames(t, "dc1=west dc2=east", "dc1:r1=ra dc1:r2=rb")},
			[]string{"a>10.0.0.4=m", "b>10.0.0.3=n", "c>10.0.0.2=x", "d>10.0.0.1=w"}},
		{"racks are ignored on demand, but kept as far as there are any", []string{"w dc2 r9:", "x dc1 r2:", "n dc1 r2:", "m dc1 r1:"}, AutoOptions{IgnoreRacks: true},
			[]string{"a>10.0.0.4=m", "b>10.0.0.2=x", "c>10.0.0.3=n", "d>10.0.0.1=w"}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			m, err := MapAuto(ready(t, addressed(t, "SimpleStrategy replication_factor:1", source...)), addressed(t, "", tt.target...), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, pairs(m)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestATargetOfAnotherShapeIsRefusedWithWhatDiffers(t *testing.T) {
	source := ready(t, addressed(t, "SimpleStrategy replication_factor:1", "a dc1 r1: 10", "b dc1 r1: 20", "c dc1 r2: 30", "d dc2 r1: 40"))
	target := addressed(t, "", "w dc1 r1:", "x dc1 r2:", "y dc1 r3:", "z dc3 r1:")
	tests := []struct {
		opts AutoOptions
		want []RackCount
		text string
	}{
		{AutoOptions{}, []RackCount{{"dc1", "r1", 2, 1}, {"dc1", "r3", 0, 1}, {"dc2", "r1", 1, 0}, {"dc3", "r1", 0, 1}},
			"the target has another shape: rack dc1:r1 has 2 nodes in the backup and 1 at the target; rack dc1:r3 has 0 nodes in the backup and 1 at the target; " +
				"rack dc2:r1 has 1 nodes in the backup and 0 at the target; rack dc3:r1 has 0 nodes in the backup and 1 at the target"},
		{AutoOptions{IgnoreRacks: true}, []RackCount{{"dc2", "", 1, 0}, {"dc3", "", 0, 1}},
			"the target has another shape: data centre dc2 has 1 nodes in the backup and 0 at the target; data centre dc3 has 0 nodes in the backup and 1 at the target"},
	}
	for _, tt := range tests {
		_, err := MapAuto(source, target, tt.opts)
		var shape *ShapeError
		if !errors.As(err, &shape) {
			t.Fatalf("error %v", err)
		}
		if diff := cmp.Diff(tt.want, shape.Racks); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(tt.text, err.Error()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestATargetThatIsNotReadyIsRefused(t *testing.T) {
	source := ready(t, addressed(t, "SimpleStrategy replication_factor:1", "a dc1 r1: 10"))
	tests := []struct {
		what string
		edit func(*Ring)
		want string
	}{
		{"a node on its way", func(r *Ring) { r.Members[0].State = Leaving }, "node 10.0.0.1 (x) is LEAVING, not NORMAL"},
		{"an unknown ring", func(r *Ring) { r.Absent = "no peers table" }, "not known: no peers table"},
		{"another partitioner", func(r *Ring) { r.Partitioner = byteOrdered }, `ByteOrderedPartitioner" cannot hold rows of Murmur3Partitioner`},
		{"too many members", func(r *Ring) { r.Members = make([]Member, maxMembers+1) }, "has 65537 members"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			target := addressed(t, "", "x dc1 r1: 10")
			tt.edit(&target)
			if _, err := MapAuto(source, target, AutoOptions{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	_, err := MapAuto(source, addressed(t, "", "x dc1 r1: 10"), AutoOptions{Renames: Renames{DCs: map[string]string{"dc9": "x"}}})
	if err == nil || !strings.Contains(err.Error(), `"dc9"`) {
		t.Errorf("error %v", err)
	}
}

// Any ring whose racks have as many nodes, however named, addressed and ordered,
// gives every node one target of its rack, and the proof finds nothing.
func TestAnyRingOfTheSameShapeIsMappedAndKeepsItsReplicas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := drawBigRing(t)
		r := drawRenames(t, source)
		target := drawTwin(t, source, r)
		from, err := source.Topology()
		if err != nil {
			t.Fatal(err)
		}
		m, err := MapAuto(from, target, AutoOptions{Renames: r})
		if err != nil {
			t.Fatal(err)
		}
		taken := map[string]bool{}
		for _, a := range m.Assignments {
			if want, got := r.place(a.Source), (Rack{a.Member.DC, a.Member.Rack}); want != got || taken[a.Member.HostID] {
				t.Fatalf("%s should go to %s and goes to %s in %s", a.Source.HostID, want, a.Member.HostID, got)
			}
			taken[a.Member.HostID] = true
		}
		if len(taken) != len(target.Members) {
			t.Fatalf("%d of %d nodes are targets", len(taken), len(target.Members))
		}
		after, err := m.After(from, target)
		if err != nil {
			t.Fatal(err)
		}
		to, err := after.Topology()
		if err != nil {
			t.Fatal(err)
		}
		d, err := ReplicasKept(from, to, nil, m)
		if err != nil || !d.None() {
			t.Fatalf("%v: %s", err, d)
		}
	})
}

// drawTwin draws nodes that have never started, one for each that owns ranges.
func drawTwin(t *rapid.T, source Ring, r Renames) Ring {
	twin := Ring{Partitioner: source.Partitioner}
	for i, m := range rapid.Permutation(source.Members).Draw(t, "twins") {
		if m.State == Joining {
			continue
		}
		at := r.place(m)
		id := fmt.Sprintf("t%02d", i)
		if rapid.Bool().Draw(t, "same host") {
			id = m.HostID
		}
		twin.Members = append(twin.Members, Member{HostID: id, Address: fmt.Sprint("10.1.0.", i+1), DC: at.DC, Rack: at.Rack, State: Normal})
	}
	return twin
}
