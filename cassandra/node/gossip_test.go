package node

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/ring"
)

// gossip is what gossipinfo says in 3.11 of members in all states.
const gossip = `WARN  something said by the JVM
one.example/10.0.0.1
  generation:1795433185
  heartbeat:26
  STATUS:19:NORMAL,-4611686018427387903
  LOAD:25:67808.0
  DC:9:dc1
  RACK:11:rack 1
  RELEASE_VERSION:4:3.11.19
  HOST_ID:2:` + hostA + `
  TOKENS:18:<hidden>
/2001:db8:0:0:0:0:0:1
  STATUS:19:LEAVING,1
  DC:9:dc1
  RACK:11:r:1
  HOST_ID:2:` + hostB + `
/10.0.0.3
  STATUS_WITH_PORT:19:shutdown,true
  STATUS:19:NORMAL,7
  DC:9:dc1
  RACK:11:r1
  HOST_ID:2:` + hostC + `
/10.0.0.4
  STATUS:19:BOOT,7
  DC:9:dc1
  RACK:11:r1
  HOST_ID:2:` + hostD + `
/10.0.0.5
  STATUS:19:LEFT,7,1795433185
  HOST_ID:2:4bb3e8b8-27f3-4b2b-9a4b-5ad7c7a5ae0c
/10.0.0.6
  generation:0
  heartbeat:0
`

func TestParseGossip(t *testing.T) {
	got, err := parseGossip(gossip)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]ring.Member{
		hostA: {HostID: hostA, Address: "10.0.0.1", DC: "dc1", Rack: "rack 1", State: ring.Normal, Up: true},
		hostB: {HostID: hostB, Address: "2001:db8:0:0:0:0:0:1", DC: "dc1", Rack: "r:1", State: ring.Leaving, Up: true},
		hostC: {HostID: hostC, Address: "10.0.0.3", DC: "dc1", Rack: "r1", State: ring.Normal},
		hostD: {HostID: hostD, Address: "10.0.0.4", DC: "dc1", Rack: "r1", State: ring.Joining, Up: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseGossipRefusesWhatItCannotRead(t *testing.T) {
	for what, out := range map[string]string{
		"nothing":          "",
		"no address":       "  STATUS:19:NORMAL,1\n",
		"an unknown state": strings.Replace(gossip, "NORMAL,-", "DANCING,-", 1),
		"no member":        "/10.0.0.6\n  generation:0\n",
	} {
		if got, err := parseGossip(out); err == nil {
			t.Errorf("%s gives %v", what, got)
		}
	}
}

func TestOnlyAnOldNodeIsAskedForItsGossip(t *testing.T) {
	script := `case "$1" in status) echo 'error: No such attribute: JoiningNodesWithPort' >&2; exit 2;; gossipinfo) cat <<'END'` + "\n" + gossip + "END\nesac"
	n := offline(t, Config{Nodetool: shell(script)})
	for _, version := range []string{"3.11.19", "3.0.31", "2.2.19"} {
		if seen, err := n.seen(t.Context(), version); err != nil || len(seen) != 4 {
			t.Errorf("%s: %d members, error %v", version, len(seen), err)
		}
	}
	if seen, err := n.seen(t.Context(), "4.0.19"); err == nil || !strings.Contains(err.Error(), "JoiningNodesWithPort") {
		t.Errorf("4.0.19: members %v, error %v", seen, err)
	}
	n = offline(t, Config{Nodetool: shell("echo 'error: '$1; exit 1")})
	if _, err := n.seen(t.Context(), "3.11.19"); err == nil || !strings.Contains(err.Error(), "error: status") {
		t.Errorf("both fail: %v", err)
	}
	n = offline(t, Config{Nodetool: shell("[ $1 = status ] && cat <<'END'\n" + status + "END\n")})
	if seen, err := n.seen(t.Context(), "3.11.19"); err != nil || len(seen) != 4 {
		t.Errorf("its own nodetool: %d members, error %v", len(seen), err)
	}
}
