package cassandratest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// startTimeout is far above the 6 s of one node and the 25 s of three on two
// cores: it ends a hang, not a slow machine.
const startTimeout = 5 * time.Minute

// Options says what cluster to make. The zero value is one node with one data
// directory, four vnodes and no authentication.
type Options struct {
	Version   string   // a Cassandra release of 3.11 or later; Version where empty
	Nodes     int      // 1 where zero
	Vnodes    int      // tokens a node; 4 where zero
	Cluster   string   // name; "test" where empty
	Heap      string   // Java heap of a node, as "384M"
	DataDirs  int      // data directories a node; 1 where zero
	ExtraYAML []string // lines for cassandra.yaml
	DCs       []string // data centre of each node; "dc1" where missing
	Racks     []string // rack of each node; "rack1" where missing
	Auth      bool     // passwords; Cassandra's first superuser is made

	Tokens [][]string // tokens of each node; Vnodes of them, evenly spread, where missing

	LocalSystem  bool // a directory of their own for the node's own system keyspaces; since 4.0
	AutoSnapshot bool // a snapshot of a table that is dropped or emptied

	TLS        bool // CQL over TLS only
	ClientAuth bool // with TLS: clients show a certificate too
	JMX        bool // JMX over TLS, with a user and certificates on both sides
}

func (o Options) withDefaults() Options {
	setDefault(&o.Version, Version)
	setDefault(&o.Cluster, "test")
	setDefault(&o.Heap, "384M")
	setDefault(&o.Nodes, 1)
	setDefault(&o.Vnodes, 4)
	setDefault(&o.DataDirs, 1)
	return o
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Cluster is a cluster made by New. Its nodes run on this machine.
type Cluster struct {
	Nodes []*Node

	options  Options
	platform platform
	slots    []slot
	release  sync.Once
}

// New writes the files of a cluster into an absolute directory, which is created
// where it is missing, and starts nothing. It fetches Cassandra at its first call
// on a machine. Stop gives back what it holds.
func New(dir string, o Options) (*Cluster, error) {
	if !filepath.IsAbs(dir) || strings.ContainsAny(dir, "' \n") {
		return nil, fmt.Errorf("directory %q of a cluster is not an absolute path without blanks and quotes", dir)
	}
	c := &Cluster{options: o.withDefaults()}
	var err error
	if c.platform, err = newPlatform(c.options.Version); err != nil {
		return nil, err
	}
	if c.slots, err = takeSlots(c.options.Nodes); err != nil {
		return nil, err
	}
	if err := c.write(dir); err != nil {
		c.Stop()
		return nil, fmt.Errorf("write the files of a cluster: %w", err)
	}
	return c, nil
}

func (c *Cluster) write(dir string) error {
	for i, s := range c.slots {
		c.Nodes = append(c.Nodes, &Node{
			Dir:     filepath.Join(dir, fmt.Sprintf("n%d", i+1)),
			Address: s.address,
			JMXPort: s.jmx,
			cluster: c,
			slot:    s,
			index:   i,
			dc:      at(c.options.DCs, i, "dc1"),
			rack:    at(c.options.Racks, i, "rack1"),
		})
	}
	for _, n := range c.Nodes {
		if err := n.write(); err != nil {
			return err
		}
	}
	return nil
}

func at(list []string, i int, otherwise string) string {
	if i < len(list) {
		return list[i]
	}
	return otherwise
}

func (c *Cluster) addresses() []string {
	var all []string
	for _, s := range c.slots {
		all = append(all, s.address)
	}
	return all
}

// ringDelay is how long, in milliseconds, a node waits for the others' gossip
// before it takes its tokens. A single node has nobody to wait for.
func (c *Cluster) ringDelay() int {
	if c.options.Nodes == 1 {
		return 100
	}
	return 3000
}

// Start starts all nodes and returns when each answers CQL and sees every other
// one up. The error of a node that does not come up ends with its last log lines.
func (c *Cluster) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.ensureArchive(ctx); err != nil {
		return fmt.Errorf("archive Cassandra's classes: %w", err)
	}
	var all errgroup.Group
	for _, n := range c.Nodes {
		all.Go(func() error { return n.Start(ctx) })
	}
	if err := all.Wait(); err != nil || len(c.Nodes) == 1 {
		return err
	}
	for _, n := range c.Nodes {
		if err := n.waitRing(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the cluster: it kills what runs and gives the addresses back. The
// files stay. To stop a node in order, use Node.Stop.
func (c *Cluster) Stop() {
	c.release.Do(func() {
		for _, n := range c.Nodes {
			n.Kill()
		}
		releaseSlots(c.slots)
	})
}

// Run makes and starts a cluster for one test, in the test's own directory. The
// cluster ends with the test.
func Run(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := New(t.TempDir(), o)
	if err != nil {
		t.Fatalf("make a cluster: %v", err)
	}
	t.Cleanup(c.Stop)
	if err := c.Start(t.Context()); err != nil {
		t.Fatalf("start a cluster: %v", err)
	}
	return c
}

// Main is the body of a TestMain whose tests share one cluster: it makes and
// starts the cluster in a temporary directory, runs the tests and removes both.
// The tests use the cluster that is handed to set. It returns the exit code.
func Main(ctx context.Context, m *testing.M, o Options, set func(*Cluster)) int {
	code, err := runMain(ctx, m, o, set)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster for the tests:", err)
		return 1
	}
	return code
}

func runMain(ctx context.Context, m *testing.M, o Options, set func(*Cluster)) (code int, err error) {
	dir, err := os.MkdirTemp("", "cassandratest-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := New(dir, o)
	if err != nil {
		return 0, err
	}
	defer c.Stop()
	if err := c.Start(ctx); err != nil {
		return 0, err
	}
	set(c)
	return m.Run(), nil
}
