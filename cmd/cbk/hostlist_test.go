package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
	"cbk/cassandra/node"
	"cbk/cassandra/ring"
	"cbk/restore"
	"cbk/snapshot/fleet"
)

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

// TestAClusterComesBackInPlaceAndOnThreeOthersByAHostList backs a cluster of two racks up by SSH, while a node is down and
// then whole; restores it in place, and then onto the empty nodes of another cluster, whose data centre and tokens are others.
func TestAClusterComesBackInPlaceAndOnThreeOthersByAHostList(t *testing.T) {
	source := newRacks(t, "source", "dc1", "", "-9000000000000000000", "-1000000000000000000", "5000000000000000000")
	first := source.nodes[0]
	first.ok("init", "--pack-size", "1MiB")
	first.corners(cassandratest.Version, "{'class': 'NetworkTopologyStrategy', 'dc1': 2}", source.nodes[1:]...)
	// A read of both replicas makes them alike, also where the update of a view is still under way.
	monday := first.readCorners(gocql.Quorum)
	desk := source.desk()
	source.backUpWithoutOne(desk)
	first.emptyCorners()
	desk.restored("--in-place")
	if diff := cmp.Diff(monday, first.readCorners(gocql.Quorum)); diff != "" {
		t.Errorf("rows after the restore in place (-want +got):\n%s", diff)
	}
	tokens := source.tokens()
	if out := desk.ok("restore-cluster", "monday", "--seed-target", first.node.Address, "--dry-run"); !strings.Contains(out, "in place: ") {
		t.Errorf("onto its own nodes:\n%s", out)
	}
	for _, n := range source.cluster.Nodes {
		n.Kill() // nothing is asked of it any more
	}

	target := newRacks(t, "target", "dcx", first.cfg.Repository, "1", "-4000000000000000000", "4000000000000000000")
	before := target.yamls()
	desk = target.desk()
	toTarget := []string{"--map-dc", "dc1=dcx", "--host-list", target.hostList(source, 0, 1, 2)}
	desk.fails(exitRefused, []string{"risk", "replicas"}, "restore-cluster", "monday", "--yes", "--map-dc", "dc1=dcx", "--host-list", target.hostList(source, 1, 0, 2))
	out := desk.ok("restore-cluster", "monday", "--seed-target", target.nodes[2].node.Address, "--map-dc", "dc1=dcx", "--dry-run")
	if !strings.Contains(out, "another cluster of the same shape") || !strings.Contains(out, `when all are up: ALTER KEYSPACE "corners"`) {
		t.Errorf("onto other nodes:\n%s", out)
	}
	desk.restored(toTarget...)
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

// clusterDesk is a machine that reaches the nodes of a cluster by SSH. It has a key; the nodes lose theirs with the first restore.
type clusterDesk struct {
	*rig
	all *trio
}

func (all *trio) desk() *clusterDesk {
	all.t.Helper()
	first := all.nodes[0]
	d := &clusterDesk{rig: &rig{t: all.t, node: first.node, dir: all.t.TempDir()}, all: all}
	d.cfg = config{Repository: first.cfg.Repository, PassphraseFile: first.path("pass"), StateDir: d.path("state")}
	d.reach(all.nodes...)
	d.save()
	return d
}

// reach puts an sshd in front of nodes, whose configurations are those of their rigs, and configures the way to them.
func (r *rig) reach(nodes ...*rig) {
	r.t.Helper()
	lab := sshtest.New(r.t)
	key := lab.Key("id", "ed25519", "")
	lab.Authorize(key)
	cbk, err := exec.LookPath("cbk")
	if err != nil {
		r.t.Fatal(err)
	}
	known := ""
	for _, n := range nodes {
		s := lab.Start(sshtest.Options{IP: n.node.Address, Env: []string{"PATH=" + os.Getenv("PATH")}})
		known += s.Line() + "\n"
		r.cfg.Cluster.Nodes = append(r.cfg.Cluster.Nodes, cluster.NodeConfig{Address: n.node.Address, SSHPort: s.Port, RemoteConfig: n.path("cbk.yaml")})
	}
	r.cfg.Cluster.Seed, r.cfg.Cluster.RemoteCbk = nodes[0].node.Address, cbk
	r.cfg.Cluster.SSH = cluster.SSHConfig{User: lab.User, IdentityFiles: []string{key.File}, KnownHosts: r.write("known_hosts", known, 0o600), Config: r.write("ssh_config", "", 0o600)}
}

// backUpWithoutOne has a cluster back up while a node is down: refused where a range would be missing, and otherwise incomplete
// until the same command finds the node.
func (all *trio) backUpWithoutOne(d *clusterDesk) {
	t, last := all.t, all.nodes[2]
	t.Helper()
	if err := last.node.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the node is seen down", func() bool {
		return slices.ContainsFunc(doc[fleet.Here](all.nodes[0], "node", "ring").Ring.Members, func(m ring.Member) bool { return !m.Up })
	})
	d.fails(exitFailed, []string{"too-few-nodes", "system_auth", last.node.Address}, "backup-cluster", "--name", "monday", "--require", "quorum")
	code, stdout, stderr := d.run("backup-cluster", "--name", "monday", "--require", "none", "--json")
	var got clusterBackupJSON
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitIncomplete || got.Done != 2 || got.Total != 3 || got.Complete || got.Spread <= 0 {
		t.Fatalf("without a node: exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	if events := strings.Count(stderr, `"schema":"cbk.node-event/1"`); events < 6 {
		t.Errorf("%d events:\n%s", events, stderr)
	}
	if out := d.ok("list"); !strings.Contains(out, "Incomplete [2 of 3 nodes]") {
		t.Errorf("listed:\n%s", out)
	}
	all.start()
	if out := d.ok("backup-cluster", "--name", "monday", "--parallel-uploads", "1", "--bandwidth", "1GiB"); !strings.Contains(out, "is complete: 3 nodes") || strings.Count(out, "recorded") != 2 {
		t.Errorf("with the node:\n%s", out)
	}
	d.fails(exitUsage, []string{"duplicate-name"}, "backup-cluster", "--name", "monday")
	if out := d.ok("list"); strings.Contains(out, "Incomplete") {
		t.Errorf("listed:\n%s", out)
	}
	for _, r := range all.nodes {
		if left := r.snapshots(); len(left) > 0 {
			t.Errorf("%s has snapshots left: %v", r.node.Address, left)
		}
	}
}

// until waits for what another process does.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatalf("not in two minutes: %s", what)
		}
	}
}

// restored has a cluster restored whose nodes have no key, and committed.
func (d *clusterDesk) restored(way ...string) {
	d.t.Helper()
	for _, r := range d.all.nodes {
		r.cfg.PassphraseFile = ""
		r.save()
		if code, out, _ := r.run("list"); code == 0 {
			d.t.Fatalf("it has a key:\n%s", out)
		}
	}
	words := append([]string{"restore-cluster", "monday", "--yes"}, way...)
	got := doc[clusterRestoreJSON](d.rig, append(words, "--verify", "counts", "--parallel", "2")...)
	if !got.OK || len(got.Nodes) != 3 {
		d.t.Errorf("%+v", got)
	}
	for _, n := range got.Nodes {
		if n.Phase != restore.PhaseDone || n.Sampled == 0 || n.Found == 0 || n.Failures > 0 || len(n.Keeps) == 0 {
			d.t.Errorf("%+v", n)
		}
	}
	if out := d.ok(append(words, "--commit")...); strings.Count(out, "committed") != 3 {
		d.t.Errorf("committed:\n%s", out)
	}
	d.fails(exitUsage, []string{"no restore of backup monday stands"}, append(words, "--rollback")...)
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
