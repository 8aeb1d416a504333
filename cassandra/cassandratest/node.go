package cassandratest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gocql/gocql"

	"cbk/cassandra/node"
)

// Cassandra makes this superuser where passwords are on and none exists.
const (
	superUser     = "cassandra"
	superPassword = "cassandra"
)

// pollEvery is how often a state is looked at while waiting for it.
const pollEvery = 50 * time.Millisecond

// Node is one node of a cluster: a directory with conf, data, logs and bin.
type Node struct {
	Dir     string
	Address string // loopback address for CQL (port 9042) and the other nodes
	JMXPort int    // on 127.0.0.1

	cluster  *Cluster
	slot     slot
	index    int
	dc, rack string
}

// YAML is the path of the node's cassandra.yaml.
func (n *Node) YAML() string { return n.path("conf/cassandra.yaml") }

// Bin is the path of a program in the node's bin folder: start, stop, nodetool,
// sstabledump, sstablemetadata, sstableloader, sstableutil.
func (n *Node) Bin(name string) string { return n.path("bin/" + name) }

// Config is how cbk reaches the node.
func (n *Node) Config() node.Config {
	c := node.Config{
		YAML:     n.YAML(),
		Nodetool: []string{n.Bin("nodetool"), "-h", "127.0.0.1", "-p", strconv.Itoa(n.JMXPort)},
		CQL:      node.CQLConfig{Host: n.Address, Port: cqlPort},
		Start:    []string{n.Bin("start")},
		Stop:     []string{n.Bin("stop")},
	}
	o := n.cluster.options
	if o.Auth {
		c.CQL.Username, c.CQL.PasswordFile = superUser, n.path("conf/password")
	}
	if o.TLS {
		c.CQL.CAFile = n.path("conf/ca.pem")
	}
	if o.ClientAuth {
		c.CQL.CertFile, c.CQL.KeyFile = n.path("conf/client.pem"), n.path("conf/client-key.pem")
	}
	if o.JMX {
		c.Nodetool = []string{n.Bin("nodetool")}
		c.JMX = node.JMXConfig{
			Host: "127.0.0.1", Port: n.JMXPort, Username: jmxUser, PasswordFile: n.path("conf/jmxremote.password"),
			SSL: true, SSLProperties: n.path("conf/nodetool-ssl.properties"),
		}
	}
	return c
}

// Session opens a CQL session to the cluster, with this node as contact point.
func (n *Node) Session() (*gocql.Session, error) {
	c := gocql.NewCluster(n.Address)
	c.Port = cqlPort
	c.ProtoVersion = 4
	c.Consistency = gocql.Quorum
	c.Timeout = 30 * time.Second
	c.ConnectTimeout = 10 * time.Second
	c.Logger = quiet{}
	if n.cluster.options.Auth {
		c.Authenticator = gocql.PasswordAuthenticator{Username: superUser, Password: superPassword}
	}
	if n.cluster.options.TLS {
		c.SslOpts = &gocql.SslOptions{EnableHostVerification: true, CaPath: n.path("conf/ca.pem"),
			CertPath: n.path("conf/client.pem"), KeyPath: n.path("conf/client-key.pem")}
	}
	s, err := c.CreateSession()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", n.Address, err)
	}
	return s, nil
}

type quiet struct{}

// Print implements gocql.StdLogger.
func (quiet) Print(...any) {}

// Printf implements gocql.StdLogger.
func (quiet) Printf(string, ...any) {}

// Println implements gocql.StdLogger.
func (quiet) Println(...any) {}

// Start starts the node and returns when it answers CQL.
func (n *Node) Start(ctx context.Context) error { return n.start(ctx, "") }

// start starts the node with more options for its JVM.
func (n *Node) start(ctx context.Context, jvm string) error {
	cmd := exec.CommandContext(ctx, n.Bin("start"))
	cmd.Env = append(os.Environ(), "CASSANDRATEST_JVM="+jvm)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("start node %s: %w: %s", n.Address, err, out)
	}
	ctx, stop := context.WithTimeout(ctx, startTimeout)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go n.cancelWhenDead(ctx, cancel)
	client, err := n.client()
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.WaitUp(ctx); err != nil {
		return fmt.Errorf("start node %s: %w\n%s", n.Address, err, n.logTail())
	}
	return nil
}

var errDead = errors.New("the process has ended")

// cancelWhenDead ends a wait for a node that will never come up.
func (n *Node) cancelWhenDead(ctx context.Context, cancel context.CancelCauseFunc) {
	for sleep(ctx, pollEvery) {
		if !n.Running() {
			cancel(errDead)
			return
		}
	}
}

// sleep waits and tells whether the context still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (n *Node) client() (*node.Node, error) {
	return node.New(n.Config(), slog.New(slog.NewTextHandler(io.Discard, nil)))
}

// waitRing waits until this node sees all nodes of the cluster up.
func (n *Node) waitRing(ctx context.Context) error {
	client, err := n.client()
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		r, err := client.Ring(ctx)
		up := 0
		for _, m := range r.Normal() {
			if m.Up {
				up++
			}
		}
		if err == nil && up == len(n.cluster.Nodes) {
			return nil
		}
		if !sleep(ctx, pollEvery) {
			return fmt.Errorf("node %s sees %d of %d nodes: %w", n.Address, up, len(n.cluster.Nodes), errors.Join(err, context.Cause(ctx)))
		}
	}
}

// Stop stops the node in order and returns when it has ended.
func (n *Node) Stop(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, n.Bin("stop")).CombinedOutput(); err != nil {
		return fmt.Errorf("stop node %s: %w: %s", n.Address, err, out)
	}
	return nil
}

// Kill ends the node's process at once, as a power cut would, and returns when
// it is gone. It does nothing where the node does not run.
func (n *Node) Kill() {
	for pid := n.pid(); pid != 0; pid = n.pid() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return
		}
		time.Sleep(pollEvery)
	}
}

// Running tells whether the node's process lives.
func (n *Node) Running() bool { return n.pid() != 0 }

// pid is the node's process, or 0. The number in the file counts only while
// that process has the node's directory on its command line.
func (n *Node) pid() int {
	b, err := os.ReadFile(n.path("pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.Contains(line, []byte(n.Dir+"/")) {
		return 0
	}
	return pid
}

// logTail is the end of what the node wrote before it failed.
func (n *Node) logTail() string {
	var tail []string
	for _, name := range []string{"logs/system.log", "logs/stdout"} {
		if b, err := os.ReadFile(n.path(name)); err == nil && len(b) > 0 {
			tail = append(tail, n.path(name)+":", lastLines(b, 20))
		}
	}
	return strings.Join(tail, "\n")
}
