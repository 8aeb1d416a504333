package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/ring"
)

const info = `ID                     : ` + hostA + `
Gossip active          : true
Native Transport active: false
Load                   : 104.34 KiB
Data Center            : dc1
Rack                   : rack1
Key Cache              : entries 0, size 0 bytes, capacity 19 MiB, 0 hits, 0 requests, NaN recent hit rate, 14400 save period in seconds
Token                  : 10
Token                  : -9145391258406741634
`

const ringOutput = `
Datacenter: dc1
==========
Address          Rack        Status State   Load            Owns                Token
                                                                                10
10.0.0.1         rack1       Up     Normal  104.34 KiB      100.00%             -9145391258406741634
10.0.0.2         rack 2      Down   Leaving ?               ?                   -5
10.0.0.1         rack1       Up     Normal  104.34 KiB      100.00%             10

Datacenter: dc two
==========
Address          Rack        Status State   Load            Owns                Token
                                                                                7
10.0.0.3:7001    a-very-long-rackUp     Joining 1.2 GiB         ?                   6
2001:db8::1      r1          Up     Moving  1.2 GiB         ?                   7

  Warning: "nodetool ring" is used to output all the tokens of a node.
  To view status related info of a node use "nodetool status" instead.
`

const described = `WARN  something said by the JVM
Cluster Information:
	Name: My Cluster
	Snitch: org.apache.cassandra.locator.GossipingPropertyFileSnitch
	Partitioner: org.apache.cassandra.dht.Murmur3Partitioner
	Schema versions:
		86afa796-d883-3932-aa73-6b017cef0d19: [10.0.0.1, 10.0.0.2]
`

func TestNodetoolTellsHostIDAndTokens(t *testing.T) {
	id, tokens, err := parseInfo(info)
	if diff := cmp.Diff([]string{"-9145391258406741634", "10"}, tokens); err != nil || id != hostA || diff != "" {
		t.Errorf("host id %q, error %v, tokens (-want +got):\n%s", id, err, diff)
	}
	for what, out := range map[string]string{
		"nothing":        "",
		"no host id":     strings.Replace(info, hostA, "null", 1),
		"no token":       info[:strings.Index(info, "Token")],
		"no member yet":  info[:strings.Index(info, "Token")] + "Token                  : (node is not joined to the cluster)\n",
		"without option": info[:strings.Index(info, "Token")] + "Token                  : (invoke with -T/--tokens to see all 16 tokens)\n",
	} {
		if id, tokens, err := parseInfo(out); err == nil {
			t.Errorf("%s: %s, %v", what, id, tokens)
		}
	}
}

func TestNodetoolTellsTheTokensOfAllMembers(t *testing.T) {
	seen, err := parseStatus(status)
	if err != nil {
		t.Fatal(err)
	}
	known, err := parseRing(ringOutput, seen)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	for id, m := range known {
		got[id] = m.Tokens
		m.Tokens = nil
		if diff := cmp.Diff(seen[id], m); diff != "" {
			t.Errorf("%s (-status +ring):\n%s", id, diff)
		}
	}
	want := map[string][]string{hostA: {"-9145391258406741634", "10"}, hostB: {"-5"}, hostC: {"6"}, hostD: {"7"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tokens (-want +got):\n%s", diff)
	}
}

func TestARingThatCannotBeReadIsRefused(t *testing.T) {
	seen := map[string]ring.Member{hostA: {HostID: hostA, Address: "10.0.0.1"}}
	if _, err := parseRing("10.0.0.1 rack1 Up Normal 1 KiB 5% 8f3a\n", seen); err == nil || !strings.Contains(err.Error(), "8f3a") {
		t.Errorf("a token of another partitioner: %v", err)
	}
	seen[hostB] = ring.Member{HostID: hostB, Address: "10.0.0.1"}
	if _, err := parseRing(ringOutput, seen); err == nil || !strings.Contains(err.Error(), "same address") {
		t.Errorf("two nodes of an address: %v", err)
	}
}

// toldNode has a nodetool with these answers; any other question fails.
func toldNode(t *testing.T, yaml string, answers map[string]string) *Node {
	t.Helper()
	script := "case \"$*\" in\n"
	for args, out := range answers {
		script += fmt.Sprintf("'%s') cat <<'END'\n%s\nEND\n;;\n", args, strings.TrimSuffix(out, "\n"))
	}
	n, err := New(Config{YAML: writeYAML(t, "data_file_directories: ["+t.TempDir()+"]\n"+yaml), Nodetool: shell(script + "*) exit 1;; esac"),
		CQL: CQLConfig{Host: "127.0.0.1", Port: 1}}, discard()) // a port that nothing listens on
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func answers() map[string]string {
	return map[string]string{"version": "ReleaseVersion: 5.0.6", "describecluster": described, "info -T": info, "status": status, "ring": ringOutput, "statusbinary": "not running"}
}

func TestANodeWithoutCQLIsKnownByNodetoolAlone(t *testing.T) {
	n := toldNode(t, "", answers())
	if _, err := n.Identity(t.Context()); !errors.Is(err, ErrNoCQL) || !strings.Contains(err.Error(), "nodetool enablebinary") {
		t.Errorf("by CQL: %v", err)
	}
	if !n.Answers(t.Context()) {
		t.Error("it does not answer")
	}
	id, err := n.ToldIdentity(t.Context())
	want := Identity{HostID: hostA, Name: "10.0.0.1", Cluster: "My Cluster", Version: "5.0.6", Partitioner: "org.apache.cassandra.dht.Murmur3Partitioner",
		DC: "dc1", Rack: "rack1", Address: "10.0.0.1", Tokens: []string{"-9145391258406741634", "10"}}
	if diff := cmp.Diff(want, id); err != nil || diff != "" {
		t.Errorf("identity: %v (-want +got):\n%s", err, diff)
	}
	r, err := n.ToldRing(t.Context())
	if err != nil || r.Cluster != want.Cluster || r.Partitioner != want.Partitioner || len(r.Members) != 4 {
		t.Fatalf("ring: %+v, %v", r, err)
	}
	if m := r.Members[1]; m.HostID != hostB || m.Up || m.State != ring.Leaving || m.Rack != "rack 2" || len(m.Tokens) != 1 {
		t.Errorf("member %+v", m)
	}
}

func TestWhatNodetoolDoesNotTellIsAnError(t *testing.T) {
	for question := range answers() {
		if question == "statusbinary" || question == "ring" {
			continue
		}
		a := answers()
		a[question] = "null"
		n := toldNode(t, "", a)
		if id, err := n.ToldIdentity(t.Context()); err == nil {
			t.Errorf("identity without %s: %+v", question, id)
		}
		if r, err := n.ToldRing(t.Context()); err == nil && question != "info -T" {
			t.Errorf("ring without %s: %+v", question, r)
		}
	}
	a := answers()
	a["info -T"] = strings.ReplaceAll(info, hostA, strings.ReplaceAll(hostA, "0", "9"))
	if id, err := toldNode(t, "", a).ToldIdentity(t.Context()); err == nil {
		t.Errorf("a node that status does not show: %+v", id)
	}
}

func TestANodeThatIsDownHasItsCQLNotOff(t *testing.T) {
	n := toldNode(t, "", nil)
	if _, err := n.Identity(t.Context()); err == nil || errors.Is(err, ErrNoCQL) {
		t.Errorf("by CQL: %v", err)
	}
	if n.Answers(t.Context()) {
		t.Error("it answers")
	}
}

// A node that is to speak CQL is up when it does; one that never will is up when it has joined.
func TestANodeWithoutCQLIsUpWhenItHasJoined(t *testing.T) {
	for _, tt := range []struct {
		yaml, netstats string
		up             bool
	}{
		{"start_native_transport: false\n", "Mode: NORMAL\nNot sending any streams.", true},
		{"start_native_transport: false\n", "Mode: JOINING\nNot sending any streams.", false},
		{"start_native_transport: false\n", "nothing", false},
		{"start_native_transport: true\n", "Mode: NORMAL", false},
		{"", "Mode: NORMAL", false},
	} {
		a := answers()
		a["netstats"] = tt.netstats
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := toldNode(t, tt.yaml, a).WaitUp(ctx)
		cancel()
		if (err == nil) != tt.up {
			t.Errorf("%q, %q: %v", tt.yaml, tt.netstats, err)
		}
	}
}
