package ring

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRenamesAreReadAsUsersWriteThem(t *testing.T) {
	got, err := ParseRenames([]string{"dc1=east", "dc 2=west:1"}, []string{"dc1:r1=a", "dc1:r2=a b", "dc2:x:y=z"})
	if err != nil {
		t.Fatal(err)
	}
	want := Renames{map[string]string{"dc1": "east", "dc 2": "west:1"}, map[Rack]string{{"dc1", "r1"}: "a", {"dc1", "r2"}: "a b", {"dc2", "x:y"}: "z"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRenamesThatSayNothingClearAreRefused(t *testing.T) {
	tests := []struct{ dcs, racks, want string }{
		{"dc1", "", `rename of data centre "dc1" is not old=new`},
		{"dc1=", "", `"dc1=" is not old=new`},
		{"=dc1", "", `"=dc1" is not old=new`},
		{"a=b=c", "", `"a=b=c" is not old=new`},
		{"a=b a=c", "", `data centre "a" is renamed twice`},
		{"", "r1=r2", `rename of rack "r1=r2" is not dc:old=new`},
		{"", ":r1=r2", `":r1=r2" is not dc:old=new`},
		{"", "dc1:=r2", `"dc1:=r2" is not dc:old=new`},
		{"", "dc1:r1", `"dc1:r1" is not dc:old=new`},
		{"", "dc1:r1=a dc1:r1=b", "rack dc1:r1 is renamed twice"},
	}
	for _, tt := range tests {
		if _, err := ParseRenames(strings.Fields(tt.dcs), strings.Fields(tt.racks)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

func TestRenamesMustFitTheRing(t *testing.T) {
	members := []Member{member(t, "a dc1 r1: 1"), member(t, "b dc2 r2: 2")}
	tests := []struct{ what, dcs, racks, want string }{
		{"none at all", "", "", ""},
		{"two that change places", "dc1=dc2 dc2=dc1", "", ""},
		{"racks keep the name of their data centre in the backup", "dc1=east", "dc1:r1=r9", ""},
		{"two racks made one are for the proof to judge", "", "dc1:r1=r2", ""},
		{"a data centre that is not there", "dc3=east", "", `in data centre "dc3"`},
		{"a rack that is not there", "", "dc1:r2=r9", "in rack dc1:r2"},
		{"two data centres made one", "dc1=dc2", "", `data centres "dc1" and "dc2" would both be "dc2"`},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			err := renames(t, tt.dcs, tt.racks).check(members)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// renames reads both lists from their texts.
func renames(t testing.TB, dcs, racks string) Renames {
	t.Helper()
	r, err := ParseRenames(strings.Fields(dcs), strings.Fields(racks))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReplicationTakesTheNamesOfTheTarget(t *testing.T) {
	tests := []struct{ what, dcs, give, want string }{
		{"each data centre keeps its factor", "dc1=east", "NetworkTopologyStrategy dc1:3 dc2:2", "NetworkTopologyStrategy east:3 dc2:2"},
		{"two may change places", "dc1=dc2 dc2=dc1", "NetworkTopologyStrategy dc1:3 dc2:2", "NetworkTopologyStrategy dc2:3 dc1:2"},
		{"the class may have its package", "dc1=east", "org.apache.cassandra.locator.NetworkTopologyStrategy dc1:3", "org.apache.cassandra.locator.NetworkTopologyStrategy east:3"},
		{"the short form names none", "dc1=east", "NetworkTopologyStrategy replication_factor:3", "NetworkTopologyStrategy replication_factor:3"},
		{"other strategies have no data centres", "replication_factor=x", "SimpleStrategy replication_factor:3", "SimpleStrategy replication_factor:3"},
		{"a data centre may be named like no option", "class=x", "NetworkTopologyStrategy dc1:1", "NetworkTopologyStrategy dc1:1"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			give := options(tt.give)
			got, err := RenameReplication(give, renames(t, tt.dcs, ""))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(options(tt.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(options(tt.give), give); diff != "" {
				t.Errorf("what was given has changed:\n%s", diff)
			}
		})
	}
}

func TestReplicationWithTwoDataCentresOfOneNameIsRefused(t *testing.T) {
	for dcs, want := range map[string]string{
		"dc1=dc2":                "would be \"dc2\"",
		"dc1=replication_factor": `cannot be named "replication_factor"`,
		"dc2=class":              `cannot be named "class"`,
	} {
		_, err := RenameReplication(options("NetworkTopologyStrategy dc1:3 dc2:2"), renames(t, dcs, ""))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", dcs, err, want)
		}
	}
}

func TestRenamesThereAndBackChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"dc1", "dc2", "dc3", "dc4"}
		there, back := Renames{DCs: map[string]string{}}, Renames{DCs: map[string]string{}}
		for i, name := range rapid.Permutation(names).Draw(t, "names") {
			there.DCs[names[i]], back.DCs[name] = name, names[i]
		}
		want := rapid.MapOf(rapid.SampledFrom(append(names, replicationFactor)), rapid.SampledFrom([]string{"0", "1", "3"})).Draw(t, "factors")
		want["class"] = NetworkTopologyStrategy
		renamed, err := RenameReplication(want, there)
		if err != nil {
			t.Fatal(err)
		}
		got, err := RenameReplication(renamed, back)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v %s", err, diff)
		}
	})
}
