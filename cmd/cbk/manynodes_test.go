package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"cbk/cassandra/cassandratest"
	"cbk/cassandra/cassandratest/standin"
	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
)

// maxCoordinator is what a coordinator may take in memory, whatever the number of nodes.
const maxCoordinator = 200 << 20

// manyNodes are two clusters of as many nodes, and the machine that backs up the one and restores onto the other.
//
// Real: cbk on all machines, sshd in front of each node, the store, every SSTable and system table, hard links, tokens and
// replication of three data centres. Not real: Cassandra, which 360 times would need 200 GB. In its place package standin
// answers nodetool, start and stop, with CQL off; so nobody asks for rows, and the restore is proven by the files alone.
// The system tables of all nodes are those of one real node, and rows do not lie where their tokens would have them.
type manyNodes struct {
	*rig
	lab            *sshtest.Lab
	hostKey        *sshtest.Key
	program        string // the stand-in
	mould          cassandratest.Mould
	repository     string
	env            []string // of what sshd runs
	source, target []*manyNode
	random         *rand.Rand
}

// manyNode is one machine.
type manyNode struct {
	standin.Node
	label  string
	server *sshtest.Server
	cfg    config
}

// newManyNodes makes both clusters, the first with data, and a repository that its nodes may write to.
func newManyNodes(t *testing.T, nodes int, repository string, env ...string) *manyNodes {
	t.Helper()
	m := &manyNodes{rig: &rig{t: t, dir: t.TempDir()}, lab: sshtest.New(t), program: standin.Build(t), repository: repository,
		env: append(env, "PATH="+os.Getenv("PATH")), random: rand.New(rand.NewPCG(1, uint64(nodes)))}
	m.hostKey = m.lab.Key("host", "ed25519", "")
	m.copyMould()
	key := m.lab.Key("id", "ed25519", "")
	m.lab.Authorize(key)
	m.cfg = config{Repository: repository, PassphraseFile: m.write("pass", "correct horse\n", 0o600), StateDir: m.path("state")}
	m.save()
	m.ok("init", "--pack-size", "4MiB")
	m.source, m.target = m.newSide("source", 5, nodes), m.newSide("target", 6, nodes)
	m.keys()
	cbk, err := exec.LookPath("cbk")
	if err != nil {
		t.Fatal(err)
	}
	m.cfg.Cluster.RemoteCbk = cbk
	m.cfg.Cluster.SSH = cluster.SSHConfig{User: m.lab.User, IdentityFiles: []string{key.File}, KnownHosts: m.path("known_hosts"), Config: m.write("ssh_config", "", 0o600)}
	m.reachable()
	return m
}

// copyMould brings the mould to the file system of the test, where nodes have hard links of it.
func (m *manyNodes) copyMould() {
	m.t.Helper()
	m.mould = cassandratest.NewMould(m.t)
	data := m.path("mould")
	if err := os.CopyFS(data, os.DirFS(m.mould.Data)); err != nil {
		m.t.Fatal(err)
	}
	m.mould.Data = data
}

// newSide makes the nodes of a cluster: in three data centres of three racks, with 16 tokens each, all of them running.
func (m *manyNodes) newSide(name string, net, nodes int) (side []*manyNode) {
	m.t.Helper()
	c := standin.Cluster{Dir: m.path(name), Name: name}
	for i := range nodes {
		id, err := uuid.NewRandomFromReader(randomBytes{m.random})
		if err != nil {
			m.t.Fatal(err)
		}
		member := standin.Member{Address: fmt.Sprintf("127.0.%d.%d", net, i+1), HostID: id.String(),
			DC: cassandratest.MouldDCs[i%3], Rack: fmt.Sprint("rack", i/3%3+1)}
		for range 16 {
			member.Tokens = append(member.Tokens, fmt.Sprint(m.random.Int64()-m.random.Int64()))
		}
		added, err := c.Add(member)
		if err != nil {
			m.t.Fatal(err)
		}
		n := &manyNode{Node: added, label: fmt.Sprintf("%s-%d", name, i+1)}
		m.fill(n)
		run := func(what string) []string { return []string{m.program, n.Dir, what} }
		n.cfg = config{Repository: m.repository, StateDir: filepath.Join(n.Dir, "state"), Cassandra: cassandraConfig{
			Config: n.YAML(), Nodetool: run("nodetool"), Start: run("start"), Stop: run("stop"), CQL: cqlConfig{Host: n.Address, Port: 9042}}}
		m.serve(n)
		m.must(standin.Run(n.Dir, []string{"start"}, io.Discard))
		side = append(side, n)
	}
	return side
}

// randomBytes are those of a source with a seed.
type randomBytes struct{ *rand.Rand }

// Read implements io.Reader.
func (r randomBytes) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return len(p), nil
}

func (m *manyNodes) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// fill gives a node the files of the mould.
func (m *manyNodes) fill(n *manyNode) {
	m.t.Helper()
	m.must(filepath.WalkDir(m.mould.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(n.Data(), strings.TrimPrefix(path, m.mould.Data))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		return os.Link(path, to)
	}))
}

// give gives a node an SSTable of the mould, which no other has.
func (m *manyNodes) give(n *manyNode) {
	m.t.Helper()
	if len(m.mould.SSTables) == 0 {
		m.t.Fatal("the mould has no SSTable left")
	}
	prefix := m.mould.SSTables[0]
	m.mould.SSTables = m.mould.SSTables[1:]
	files, err := filepath.Glob(prefix + "*")
	m.must(err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		m.must(err)
		m.must(os.WriteFile(filepath.Join(n.Data(), m.mould.Table, filepath.Base(file)), b, 0o644))
	}
}

// serve puts an sshd in front of a node.
func (m *manyNodes) serve(n *manyNode) {
	n.server = m.lab.Start(sshtest.Options{IP: n.Address, HostKeys: []*sshtest.Key{m.hostKey}, Env: m.env})
}

// keys gives the nodes of the source a key that writes, in one file for all, and the coordinator one that reads. The nodes
// of the target have none.
func (m *manyNodes) keys() {
	m.t.Helper()
	export := []string{"key", "export", "--role", "writer"}
	for _, n := range m.source {
		export = append(export, "--domain", n.label)
	}
	writer := m.write("writer.key", m.ok(export...), 0o600)
	m.write("reader.key", m.ok("key", "export", "--role", "reader"), 0o600)
	for _, n := range m.source {
		n.cfg.KeyFile, n.cfg.Node, n.cfg.MetricsFile = writer, n.label, filepath.Join(n.Dir, "cbk.prom")
	}
}

// reachable writes the configuration of all machines.
func (m *manyNodes) reachable() {
	m.t.Helper()
	known := ""
	m.cfg.Cluster.Nodes, m.cfg.Cluster.Seed = nil, m.source[0].Address
	for _, side := range [][]*manyNode{m.source, m.target} {
		for _, n := range side {
			known += n.server.Line() + "\n"
			m.cfg.Cluster.Nodes = append(m.cfg.Cluster.Nodes, cluster.NodeConfig{Address: n.Address, SSHPort: n.server.Port, RemoteConfig: n.config()})
			b, err := yaml.Marshal(n.cfg)
			m.must(err)
			m.must(os.WriteFile(n.config(), b, 0o600))
		}
	}
	m.write("known_hosts", known, 0o600)
	m.save()
}

func (n *manyNode) config() string { return filepath.Join(n.Dir, "cbk.yaml") }

// outcome is how a command of the coordinator has ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// coordinate runs a command of the coordinator, which tells heard of each event of a node, and holds it to its memory.
func (m *manyNodes) coordinate(heard func(nodeEventJSON), args ...string) outcome {
	m.t.Helper()
	cmd := m.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout = &out
	pipe, err := cmd.StderrPipe()
	m.must(err)
	began := time.Now()
	m.must(cmd.Start())
	read := make(chan error, 1)
	go func() { read <- listen(pipe, &errs, heard) }()
	var peak int64
	for ended := false; !ended; {
		peak = max(peak, highWater(cmd.Process.Pid))
		select {
		case err := <-read:
			m.must(err)
			ended = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		m.t.Fatal(err)
	}
	m.t.Logf("cbk %s: exit %d, %s, peak %d MiB", strings.Join(args, " "), cmd.ProcessState.ExitCode(), time.Since(began).Round(time.Second), peak>>20)
	if peak > maxCoordinator {
		m.t.Errorf("cbk %s: peak memory %d MiB, at most %d MiB are allowed", args[0], peak>>20, maxCoordinator>>20)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// listen keeps what a coordinator says and tells of events.
func listen(r io.Reader, all *bytes.Buffer, heard func(nodeEventJSON)) error {
	lines := bufio.NewScanner(io.TeeReader(r, all))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e nodeEventJSON
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Schema == "cbk.node-event/1" && heard != nil {
			heard(e)
		}
	}
	return lines.Err()
}

// end decodes what a command printed, which must have ended with a code.
func end[T any](m *manyNodes, o outcome, code int) (v T) {
	m.t.Helper()
	if err := json.Unmarshal([]byte(o.stdout), &v); err != nil || o.code != code {
		m.t.Fatalf("exit %d, want %d, %v\n%s\n%s", o.code, code, err, tail(o.stdout), tail(o.stderr))
	}
	return v
}

// tail is enough of an output of 180 nodes to see what is wrong.
func tail(s string) string { return s[max(0, len(s)-6000):] }
