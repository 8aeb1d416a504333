package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/node"
	"cbk/restore"
	"cbk/restore/whole"
)

// part is one node's order and the rig of the node that it is for.
type part struct {
	rig   *rig
	line  string // with the loan
	order restore.NodeOrder
}

// racks has more nodes in one rack than in the other: of two replicas, one in each, the lone node of a rack has every row.
var racks = []string{"r1", "r2", "r2"}

// newRacks starts three nodes of a token each.
func newRacks(t *testing.T, name, dc, repository string, tokens ...string) *trio {
	t.Helper()
	o := cassandratest.Options{Nodes: 3, Vnodes: 1, Cluster: name, Racks: racks, DCs: []string{dc, dc, dc}, ExtraYAML: patient("counter_write_request_timeout: 30s")}
	for _, token := range tokens {
		o.Tokens = append(o.Tokens, []string{token})
	}
	all := &trio{t: t, cluster: cassandratest.Run(t, o)}
	for _, n := range all.cluster.Nodes {
		r := rigOf(t, n)
		if repository == "" {
			repository = r.path("repo")
		}
		r.cfg.Repository = repository
		r.save()
		all.nodes = append(all.nodes, r)
	}
	return all
}

// TestThreeNodesComeBackByOrdersAndOnThreeOthersByAHostList restores a cluster of two racks in place, every node by an order,
// and then onto the empty nodes of another cluster, whose data centre and tokens are others.
func TestThreeNodesComeBackByOrdersAndOnThreeOthersByAHostList(t *testing.T) {
	source := newRacks(t, "source", "dc1", "", "-9000000000000000000", "-1000000000000000000", "5000000000000000000")
	first := source.nodes[0]
	first.ok("init", "--pack-size", "1MiB")
	first.corners(cassandratest.Version, "{'class': 'NetworkTopologyStrategy', 'dc1': 2}", source.nodes[1:]...)
	// A read of both replicas makes them alike, also where the update of a view is still under way.
	monday := first.readCorners(gocql.Quorum)
	together(first, source.nodes, func(r *rig) error { return r.backup("monday") })
	first.emptyCorners()
	parts, _ := source.orders(first, "monday", "--in-place")
	source.carryOut(parts, nil)
	if diff := cmp.Diff(monday, first.readCorners(gocql.Quorum)); diff != "" {
		t.Errorf("rows after the restore in place (-want +got):\n%s", diff)
	}
	tokens := source.tokens()
	for _, n := range source.cluster.Nodes {
		n.Kill() // nothing is asked of it any more
	}

	target := newRacks(t, "target", "dcx", first.cfg.Repository, "1", "-4000000000000000000", "4000000000000000000")
	before := target.yamls()
	list := target.hostList(source, 0, 1, 2)
	target.nodes[0].fails(exitRefused, []string{"risk", "replicas"}, "node", "orders", "monday", "--map-dc", "dc1=dcx", "--host-list", target.hostList(source, 1, 0, 2))
	parts, plan := target.orders(target.nodes[0], "monday", "--map-dc", "dc1=dcx", "--host-list", list)
	if len(plan.Statements) != 1 || !parts[0].order.Seed || parts[1].order.Seed || parts[0].rig != target.nodes[1] {
		t.Errorf("%d orders, the first %+v; statements %q", len(parts), parts[0].order, plan.Statements)
	}
	target.carryOut(parts, plan.Statements)
	target.mustHoldCorners(monday)
	if diff := cmp.Diff(tokens, target.tokens()); diff != "" {
		t.Errorf("tokens of the source, and those taken over (-want +got):\n%s", diff)
	}
	for i, want := range before {
		if got := target.yamls()[i]; !bytes.Equal(want, got) {
			t.Errorf("cassandra.yaml of node %d after the restore (-before +after):\n%s", i+1, cmp.Diff(string(want), string(got)))
		}
	}
}

// hostList writes a list in which the i-th node takes the place of the from[i]-th of the source. The second is the seed.
func (all *trio) hostList(source *trio, from ...int) string {
	all.t.Helper()
	var text strings.Builder
	for i, r := range all.nodes {
		fmt.Fprintf(&text, "%t,%s,%s\n", i == 1, r.node.Address, source.nodes[from[i]].node.Address)
	}
	return all.nodes[0].write(fmt.Sprint("hosts", from), text.String(), 0o600)
}

// orders are those of a backup for the nodes, as the coordinator plans them.
func (all *trio) orders(coordinator *rig, backup string, args ...string) (parts []part, plan restore.ClusterPlan) {
	all.t.Helper()
	code, stdout, stderr := coordinator.run(append([]string{"node", "orders", backup}, args...)...)
	if code != 0 {
		all.t.Fatalf("orders: exit %d\n%s", code, stderr)
	}
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "{") {
			if err := json.Unmarshal([]byte(line), &plan); err != nil {
				all.t.Fatal(err)
			}
		}
	}
	for line := range strings.Lines(stdout) {
		p := part{line: line}
		if err := json.Unmarshal([]byte(line), &p.order); err != nil {
			all.t.Fatal(err)
		}
		i := slices.IndexFunc(all.nodes, func(r *rig) bool { return r.node.Address == p.order.Target })
		if i < 0 {
			all.t.Fatalf("an order for %s", p.order.Target)
		}
		p.rig = all.nodes[i]
		parts = append(parts, p)
	}
	if len(parts) != 3 || plan.ID == "" || len(plan.Risks) > 0 {
		all.t.Fatalf("%d orders, plan %+v", len(parts), plan)
	}
	return parts, plan
}

// carryOut does what a coordinator does: each phase on all nodes that have no key, seeds first where Cassandra starts, and
// the statements of the plan on one node when all are up.
func (all *trio) carryOut(parts []part, statements []string) {
	all.t.Helper()
	orders := make(map[*rig]part)
	var seeds, others []*rig
	for _, p := range parts {
		orders[p.rig] = p
		if p.order.Seed {
			seeds = append(seeds, p.rig)
		} else {
			others = append(others, p.rig)
		}
		p.rig.withoutKey(all.t)
	}
	first := all.nodes[0]
	together(first, all.nodes, func(r *rig) error { return r.nodePhase(restore.PhaseFetched, orders[r].line, "fetch") })
	phase := func(rigs []*rig, name string, then restore.Phase) {
		all.t.Helper()
		together(first, rigs, func(r *rig) error { return r.nodePhase(then, "", name, orders[r].order.Order.ID) })
	}
	phase(all.nodes, "switch", restore.PhaseStart)
	phase(seeds, "start", restore.PhaseVerify)
	phase(others, "start", restore.PhaseVerify)
	all.start() // a change of the schema reaches the nodes that see one another up
	first.cql(func(s *gocql.Session) error {
		for _, stmt := range statements {
			if err := s.Query(strings.TrimSuffix(stmt, ";")).Exec(); err != nil {
				return fmt.Errorf("%s: %w", stmt, err)
			}
		}
		return nil
	})
	phase(all.nodes, "verify", restore.PhaseDone)
	phase(all.nodes, "commit", restore.PhaseCommitted)
}

// withoutKey takes the key from the configuration of a node.
func (r *rig) withoutKey(t *testing.T) {
	t.Helper()
	r.cfg.PassphraseFile = ""
	r.save()
	if code, out, _ := r.run("list"); code == 0 {
		t.Fatalf("it has a key:\n%s", out)
	}
}

// nodePhase runs a phase of a cluster's restore on a node, which must come to another by it.
func (r *rig) nodePhase(then restore.Phase, stdin string, args ...string) error {
	cmd := r.command(append([]string{"node"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var got whole.PhaseLine
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil || got.Phase != then {
		return fmt.Errorf("%s: phase %q, want %q: %w\n%s", args[0], got.Phase, then, err, &stderr)
	}
	return nil
}

// mustHoldCorners reads the rows of the lone node of its rack with the others down, then those of the others, and in the end
// both replicas together: that last, for such a read repairs what one of them lacks.
func (all *trio) mustHoldCorners(want map[string][]string) {
	all.t.Helper()
	alone, pair := all.nodes[0], all.nodes[1:]
	together(alone, pair, func(r *rig) error { return r.node.Stop(all.t.Context()) })
	if diff := cmp.Diff(want, alone.readCorners(gocql.One)); diff != "" {
		all.t.Errorf("rows of the replicas in rack r1 (-want +got):\n%s", diff)
	}
	together(alone, pair, func(r *rig) error { return r.node.Start(all.t.Context()) })
	if err := alone.node.Stop(all.t.Context()); err != nil {
		all.t.Fatal(err)
	}
	if diff := cmp.Diff(want, pair[0].readCorners(gocql.One)); diff != "" {
		all.t.Errorf("rows of the replicas in rack r2 (-want +got):\n%s", diff)
	}
	all.start()
	if diff := cmp.Diff(want, pair[1].readCorners(gocql.Quorum)); diff != "" {
		all.t.Errorf("rows of both replicas together (-want +got):\n%s", diff)
	}
}

// tokens are those of each node, as it says itself.
func (all *trio) tokens() (tokens [][]string) {
	all.t.Helper()
	for _, r := range all.nodes {
		n, err := node.New(r.node.Config(), slog.New(slog.DiscardHandler))
		if err != nil {
			all.t.Fatal(err)
		}
		defer n.Close()
		id, err := n.Identity(all.t.Context())
		if err != nil || len(id.Tokens) != 1 {
			all.t.Fatalf("tokens %v, %v", id.Tokens, err)
		}
		tokens = append(tokens, id.Tokens)
	}
	return tokens
}

// yamls are the nodes' cassandra.yaml.
func (all *trio) yamls() (texts [][]byte) {
	all.t.Helper()
	for _, r := range all.nodes {
		b, err := os.ReadFile(r.node.YAML())
		if err != nil {
			all.t.Fatal(err)
		}
		texts = append(texts, b)
	}
	return texts
}
