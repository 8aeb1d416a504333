package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/ring"
)

const (
	hostA = "0bb3e8b8-27f3-4b2b-9a4b-5ad7c7a5ae0c"
	hostB = "1bb3e8b8-27f3-4b2b-9a4b-5ad7c7a5ae0c"
	hostC = "2bb3e8b8-27f3-4b2b-9a4b-5ad7c7a5ae0c"
	hostD = "3bb3e8b8-27f3-4b2b-9a4b-5ad7c7a5ae0c"
)

const status = `WARN  something said by the JVM

Datacenter: dc1
===============
Status=Up/Down
|/ State=Normal/Leaving/Joining/Moving
--  Address    Load        Tokens  Owns (effective)  Host ID                               Rack
UN  10.0.0.1   104.34 KiB  16      100.0%            ` + hostA + `  rack1
DL  10.0.0.2   ?           16      ?                 ` + hostB + `  rack 2

Datacenter: dc two
==================
Status=Up/Down
|/ State=Normal/Leaving/Joining/Moving
--  Address         Load       Tokens  Owns  Host ID                               Rack
UJ  10.0.0.3:7001   1.2 GiB    16      ?     ` + hostC + `  r1
UM  2001:db8::1     1.2 GiB    16      ?     ` + hostD + `  r1
?J  10.0.0.9        ?          16      ?     null                                  r1

Note: Non-system keyspaces don't have the same replication settings, effective ownership information is meaningless
`

func TestParseStatus(t *testing.T) {
	got, err := parseStatus(status)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]ring.Member{
		hostA: {HostID: hostA, Address: "10.0.0.1", DC: "dc1", Rack: "rack1", State: ring.Normal, Up: true},
		hostB: {HostID: hostB, Address: "10.0.0.2", DC: "dc1", Rack: "rack 2", State: ring.Leaving},
		hostC: {HostID: hostC, Address: "10.0.0.3", DC: "dc two", Rack: "r1", State: ring.Joining, Up: true},
		hostD: {HostID: hostD, Address: "2001:db8::1", DC: "dc two", Rack: "r1", State: ring.Moving, Up: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseStatusRefusesWhatItCannotRead(t *testing.T) {
	line := "UN  10.0.0.1   104.34 KiB  16      100.0%            " + hostA + "  rack1\n"
	for what, out := range map[string]string{
		"no member":          "Datacenter: dc1\n",
		"nothing":            "",
		"an unknown state":   line + strings.Replace(line, "UN", "UX", 1),
		"a line cut short":   line + line[:60] + "\n",
		"a host id too long": strings.Replace(line, hostA, hostA+"0", 1),
	} {
		if got, err := parseStatus(out); err == nil {
			t.Errorf("%s gives %v", what, got)
		}
	}
}

func TestMembersAreThoseOfStatusWithTheTokensOfTheTables(t *testing.T) {
	seen := map[string]ring.Member{
		hostA: {HostID: hostA, Address: "10.0.0.1", DC: "seen", State: ring.Normal, Up: true},
		hostC: {HostID: hostC, Address: "10.0.0.3", DC: "seen", State: ring.Joining, Up: true},
	}
	known := map[string]ring.Member{
		hostA: {HostID: hostA, Address: "10.0.0.1", DC: "dc1", Rack: "r1", Tokens: []string{"1"}},
		hostB: {HostID: hostB, Address: "10.0.0.2", DC: "dc1", Rack: "r1", Tokens: []string{"2"}}, // a ghost
	}
	got, err := members(seen, known)
	if err != nil {
		t.Fatal(err)
	}
	r := ring.Ring{Members: got}
	r.Sort()
	want := []ring.Member{
		{HostID: hostA, Address: "10.0.0.1", DC: "dc1", Rack: "r1", State: ring.Normal, Up: true, Tokens: []string{"1"}},
		{HostID: hostC, Address: "10.0.0.3", DC: "seen", State: ring.Joining, Up: true, Tokens: []string{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMemberThatOwnsRangesMustHaveTokens(t *testing.T) {
	seen := map[string]ring.Member{hostA: {HostID: hostA, Address: "10.0.0.1", State: ring.Normal}}
	for what, known := range map[string]map[string]ring.Member{
		"unknown":        {},
		"without tokens": {hostA: {HostID: hostA}},
	} {
		if got, err := members(seen, known); err == nil || !strings.Contains(err.Error(), hostA) {
			t.Errorf("%s: members %v, error %v", what, got, err)
		}
	}
}
