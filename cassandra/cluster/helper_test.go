package cluster_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"cbk/cassandra/cluster"
	"cbk/cassandra/cluster/sshtest"
)

// site is a lab with one authorized key in the place where ssh looks for it, and
// servers that are known.
type site struct {
	*sshtest.Lab
	t     testing.TB
	key   *sshtest.Key
	cfg   cluster.Config
	opt   cluster.Options
	host  cluster.Host // the first server
	spare string       // a file that a test comes back to
}

// newSite starts servers, the addresses of which are node-1 and so on. When the test
// ends nothing of its clusters may be left.
func newSite(t testing.TB, servers ...sshtest.Options) (*site, []*sshtest.Server) {
	t.Helper()
	t.Cleanup(func() {
		sshtest.Until(t, "no goroutine of the clusters is left", func() bool { return stacks("crypto/ssh", "cbk/cassandra/cluster.") == "" })
	})
	s := &site{Lab: sshtest.New(t), t: t, host: cluster.Host{Address: "node-1"}}
	s.key = s.Key("id", "ed25519", "")
	s.Authorize(s.key)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.RemoteCbk = self
	s.cfg.SSH.IdentityFiles = []string{s.key.File}
	s.opt = cluster.Options{Home: s.Home, User: s.User}
	var all []*sshtest.Server
	for i, o := range servers {
		o.Env = append(o.Env, fakeVariable+"=1")
		server := s.Start(o)
		all = append(all, server)
		s.know(server.Line())
		s.cfg.Nodes = append(s.cfg.Nodes, cluster.NodeConfig{Address: fmt.Sprintf("node-%d", i+1), SSHHost: server.IP, SSHPort: server.Port})
	}
	return s, all
}

func (s *site) file(name string) string { return filepath.Join(s.Home, ".ssh", name) }

// know adds lines to known_hosts.
func (s *site) know(lines ...string) { s.append("known_hosts", lines...) }

// sshConfig adds lines to the user's ssh config.
func (s *site) sshConfig(lines ...string) { s.append("config", lines...) }

func (s *site) append(name string, lines ...string) {
	s.t.Helper()
	f, err := os.OpenFile(s.file(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	for _, line := range lines {
		if _, err := f.WriteString(line + "\n"); err != nil {
			s.t.Fatal(err)
		}
	}
}

// forget empties known_hosts.
func (s *site) forget() {
	s.t.Helper()
	if err := os.WriteFile(s.file("known_hosts"), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// open returns the cluster as it is configured.
func (s *site) open() *cluster.Cluster {
	s.t.Helper()
	c, err := cluster.New(s.t.Context(), s.cfg, s.opt)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return c
}

// stacks returns the stacks of goroutines that run one of these packages.
func stacks(packages ...string) string {
	b := make([]byte, 1<<20)
	var found []string
	for _, stack := range strings.Split(string(b[:runtime.Stack(b, true)]), "\n\n") {
		for _, p := range packages {
			if strings.Contains(stack, p) {
				found = append(found, stack)
				break
			}
		}
	}
	return strings.Join(found, "\n\n")
}

// hello runs a command that has nothing to do and returns its lines.
func (s *site) hello(c *cluster.Cluster) (string, error) {
	return s.output(c, cluster.Command{Args: []string{"args", "hello"}})
}

func (s *site) output(c *cluster.Cluster, cmd cluster.Command) (string, error) {
	var out strings.Builder
	cmd.Line = func(line []byte) error {
		out.Write(line)
		out.WriteByte('\n')
		return nil
	}
	err := c.Run(s.t.Context(), s.host, cmd)
	return out.String(), err
}

// greets fails the test unless the node is reached.
func (s *site) greets() {
	s.t.Helper()
	if out, err := s.hello(s.open()); err != nil || out != "[\"hello\"]\n" {
		s.t.Fatalf("node said %q: %v", out, err)
	}
}
