package ring_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/cassandra/sstable"
)

// keyspaces of the live ring, by name. Cassandra's own distributed keyspaces are
// compared too.
var keyspaces = map[string]string{
	"simple1": "{'class': 'SimpleStrategy', 'replication_factor': 1}",
	"simple3": "{'class': 'SimpleStrategy', 'replication_factor': 3}",
	"simple9": "{'class': 'SimpleStrategy', 'replication_factor': 9}",
	"north2":  "{'class': 'NetworkTopologyStrategy', 'north': 2}",
	"north3":  "{'class': 'NetworkTopologyStrategy', 'north': 3}",
	"both":    "{'class': 'NetworkTopologyStrategy', 'north': 2, 'south': 1}",
	"more":    "{'class': 'NetworkTopologyStrategy', 'north': 5, 'south': 2}",
	"spread":  "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}",
}

// liveRing is a running cluster with cbk's picture of it.
type liveRing struct {
	nodes  []*cassandratest.Node
	ring   ring.Ring
	topo   *ring.Topology
	hostOf map[string]string // by address
}

// TestReplicasAreThoseOfARealRing compares what this package says with what a
// ring of two data centres says. Node four is the only one of its data centre,
// node three the only one of its rack, and each has another number of tokens,
// among them the lowest and the highest but one: with the highest itself nodetool
// status counts the empty range behind it as the whole ring.
func TestReplicasAreThoseOfARealRing(t *testing.T) {
	c := cassandratest.Run(t, cassandratest.Options{
		Nodes: 4, DCs: []string{"north", "north", "north", "south"}, Racks: []string{"r1", "r1", "r2", "r1"}, Tokens: randomTokens(8, 3, 5, 1),
	})
	createKeyspaces(t, c.Nodes[0])
	l := &liveRing{nodes: c.Nodes}
	l.look(t)
	t.Run("every range of every keyspace has the replicas of describering", l.testDescribering)
	t.Run("keys are where getendpoints says", l.testEndpoints)
	t.Run("members own what status says", l.testOwnership)
	t.Run("a member that leaves keeps its ranges until it has left", l.testLeaving)
}

func randomTokens(counts ...int) [][]string {
	random := rand.New(rand.NewPCG(7, 7))
	edges := []int64{math.MinInt64, math.MaxInt64 - 1}
	var all [][]string
	for i, n := range counts {
		var tokens []string
		for v := range n {
			token := int64(random.Uint64())
			if v == 0 && i < len(edges) {
				token = edges[i]
			}
			tokens = append(tokens, strconv.FormatInt(token, 10))
		}
		all = append(all, tokens)
	}
	return all
}

func createKeyspaces(t *testing.T, n *cassandratest.Node) {
	t.Helper()
	s, err := n.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, replication := range keyspaces {
		for _, stmt := range []string{"CREATE KEYSPACE " + name + " WITH replication = " + replication, "CREATE TABLE " + name + ".t (k text PRIMARY KEY)"} {
			if err := s.Query(stmt).Exec(); err != nil {
				t.Fatalf("%s: %v", stmt, err)
			}
		}
	}
}

// look asks the first node for the ring.
func (l *liveRing) look(t *testing.T) {
	t.Helper()
	n, err := node.New(l.nodes[0].Config(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if l.ring, err = n.Ring(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.topo, err = l.ring.Topology(); err != nil {
		t.Fatal(err)
	}
	l.hostOf = make(map[string]string)
	for _, m := range l.ring.Members {
		l.hostOf[m.Address] = m.HostID
	}
}

func (l *liveRing) nodetool(t *testing.T, args ...string) string {
	t.Helper()
	command := append(slices.Clone(l.nodes[0].Config().Nodetool), args...)
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).Output()
	if err != nil {
		t.Fatalf("nodetool %v: %v\n%s", args, err, out)
	}
	return string(out)
}

var describedRange = regexp.MustCompile(`TokenRange\(start_token:(-?\d+), end_token:(-?\d+), endpoints:\[([^\]]*)\]`)

// described reads the output of nodetool describering as lines of range and host
// ids, in the order of the text.
func (l *liveRing) described(t *testing.T, keyspace string) []string {
	t.Helper()
	var all []string
	for _, f := range describedRange.FindAllStringSubmatch(l.nodetool(t, "describering", keyspace), -1) {
		var hosts []string
		for _, address := range strings.Split(f[3], ",") {
			hosts = append(hosts, l.hostOf[strings.TrimSpace(address)])
		}
		all = append(all, fmt.Sprint(ring.Range{Start: f[1], End: f[2]}, hosts))
	}
	slices.Sort(all)
	return all
}

func (l *liveRing) computed(t *testing.T, keyspace string) []string {
	t.Helper()
	p, err := l.topo.Placement(keyspace)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for r, replicas := range p.All() {
		all = append(all, fmt.Sprint(r, replicas))
	}
	slices.Sort(all)
	return all
}

func (l *liveRing) testDescribering(t *testing.T) {
	compared := 0
	for keyspace, options := range l.ring.Replication {
		r, err := ring.ParseReplication(keyspace, options)
		if err != nil {
			t.Fatal(err)
		}
		if r.Strategy == ring.LocalStrategy {
			continue
		}
		compared++
		want := l.described(t, keyspace)
		if len(want) != 17 {
			t.Errorf("%s: Cassandra describes %d ranges, the nodes have 17 tokens", keyspace, len(want))
		}
		if diff := cmp.Diff(want, l.computed(t, keyspace)); diff != "" {
			t.Errorf("%s %v (-Cassandra +computed):\n%s", keyspace, options, diff)
		}
	}
	if compared < len(keyspaces)+3 {
		t.Errorf("only %d keyspaces compared", compared)
	}
}

func (l *liveRing) testEndpoints(t *testing.T) {
	p, err := l.topo.Placement("both")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"alice", "bob", "a key that is longer than sixteen bytes"} {
		var want []string
		for _, address := range strings.Fields(l.nodetool(t, "getendpoints", "both", "t", key)) {
			want = append(want, l.hostOf[address])
		}
		i, err := l.topo.Find(strconv.FormatInt(sstable.Token([]byte(key)), 10))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Replicas(i)); diff != "" {
			t.Errorf("%s (-Cassandra +computed):\n%s", key, diff)
		}
	}
}

var ownedShare = regexp.MustCompile(` (\d+\.\d)% +([0-9a-f-]{36})`)

func (l *liveRing) testOwnership(t *testing.T) {
	p, err := l.topo.Placement("both")
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]string{}, map[string]string{}
	for _, f := range ownedShare.FindAllStringSubmatch(l.nodetool(t, "status", "both"), -1) {
		want[f[2]] = f[1]
	}
	for id, share := range p.Ownership() {
		got[id] = strconv.FormatFloat(100*share, 'f', 1, 64)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-Cassandra +computed):\n%s", diff)
	}
}

// testLeaving has node two leave and holds it on the way, and comes last.
func (l *liveRing) testLeaving(t *testing.T) {
	leaver := l.nodes[1]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	command := append(slices.Clone(leaver.Config().Nodetool), "decommission", "--force")
	leave := exec.CommandContext(ctx, command[0], command[1:]...)
	leave.WaitDelay = time.Second
	if err := leave.Start(); err != nil {
		t.Fatal(err)
	}
	l.waitLeaving(t, leaver.Address)
	leaver.Kill()
	cancel()
	_ = leave.Wait() // it was ended
	l.look(t)
	states := map[string]int{}
	for _, m := range l.ring.Members {
		states[m.State]++
	}
	if diff := cmp.Diff(map[string]int{ring.Normal: 3, ring.Leaving: 1}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	for _, keyspace := range []string{"simple3", "north2"} {
		if diff := cmp.Diff(l.described(t, keyspace), l.computed(t, keyspace)); diff != "" {
			t.Errorf("%s (-Cassandra +computed):\n%s", keyspace, diff)
		}
	}
}

// waitLeaving waits until the first node has heard that a member leaves. It asks
// no other node: the member itself knows it before all others.
func (l *liveRing) waitLeaving(t *testing.T, address string) {
	t.Helper()
	c := gocql.NewCluster(l.nodes[0].Address)
	c.HostFilter = gocql.WhiteListHostFilter(l.nodes[0].Address)
	c.Timeout = 30 * time.Second
	s, err := c.CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		var status string
		err := s.Query("SELECT status_with_port FROM system_views.gossip_info WHERE address = ?", address).Consistency(gocql.One).Scan(&status)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(status, "LEAVING") {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s does not leave: %s", address, status)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
