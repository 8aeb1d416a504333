package cluster_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"cbk/cassandra/cluster"
)

func TestTheSectionOfTheConfigurationIsRead(t *testing.T) {
	text := `
seed: 10.0.0.1
ssh: {user: cassandra, port: 2222, identity_files: [~/.ssh/a], known_hosts: ~/k, config: ~/c, sudo: true, timeout: 45s}
remote_cbk: /opt/cbk
remote_config: /opt/cbk.yaml
nodes:
  - {address: 10.0.0.3, ssh_host: bastion-name, ssh_port: 2203, remote_config: /etc/cbk/node3.yaml}
`
	want := cluster.Config{Seed: "10.0.0.1", RemoteCbk: "/opt/cbk", RemoteConfig: "/opt/cbk.yaml",
		SSH:   cluster.SSHConfig{User: "cassandra", Port: 2222, IdentityFiles: []string{"~/.ssh/a"}, KnownHosts: "~/k", Config: "~/c", Sudo: true, Timeout: 45 * time.Second},
		Nodes: []cluster.NodeConfig{{Address: "10.0.0.3", SSHHost: "bastion-name", SSHPort: 2203, RemoteConfig: "/etc/cbk/node3.yaml"}}}
	var got cluster.Config
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.WithDefaults()); diff != "" {
		t.Error(diff)
	}
	c, err := cluster.New(t.Context(), got, cluster.Options{Home: t.TempDir()})
	if err == nil {
		t.Error("an ssh config that is named and not there is no error")
		c.Close()
	}
}

func TestWhatIsNotConfiguredHasADefault(t *testing.T) {
	got := cluster.Config{}.WithDefaults()
	want := cluster.Config{RemoteCbk: "/usr/local/bin/cbk", RemoteConfig: "/etc/cbk/cbk.yaml", SSH: cluster.SSHConfig{Timeout: 30 * time.Second}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestASettingThatCannotBeMeantIsNamed(t *testing.T) {
	for want, cfg := range map[string]cluster.Config{
		"cluster.ssh.timeout: -1s":                  {SSH: cluster.SSHConfig{Timeout: -time.Second}},
		"cluster.ssh.port: 70000 is no port":        {SSH: cluster.SSHConfig{Port: 70000}},
		"cluster.nodes: a node has no address":      {Nodes: []cluster.NodeConfig{{SSHHost: "x"}}},
		"cluster.nodes: 10.0.0.1 is there twice":    {Nodes: []cluster.NodeConfig{{Address: "10.0.0.1"}, {Address: "10.0.0.1"}}},
		"cluster.nodes: n: ssh_port: -1 is no port": {Nodes: []cluster.NodeConfig{{Address: "n", SSHPort: -1}}},
	} {
		if _, err := cluster.New(t.Context(), cfg, cluster.Options{Home: t.TempDir()}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %v, not %s", err, want)
		}
	}
}

func TestANodeMayHaveAConfigurationOfItsOwn(t *testing.T) {
	c, err := cluster.New(t.Context(), cluster.Config{Nodes: []cluster.NodeConfig{{Address: "a", RemoteConfig: "/a.yaml"}, {Address: "b"}}}, cluster.Options{Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for address, want := range map[string]string{"a": "/a.yaml", "b": "/etc/cbk/cbk.yaml", "c": "/etc/cbk/cbk.yaml"} {
		if got := c.RemoteConfig(cluster.Host{Address: address}); got != want {
			t.Errorf("%s has %s", address, got)
		}
	}
}

func TestALeashedCommandReadsItsInputAndEndsWithIt(t *testing.T) {
	r, w := io.Pipe()
	ctx, in := cluster.Leash(t.Context(), r)
	io.WriteString(w, "order\n")
	order := make([]byte, 6)
	if _, err := io.ReadFull(in, order); err != nil || string(order) != "order\n" {
		t.Errorf("order is %q: %v", order, err)
	}
	if ctx.Err() != nil {
		t.Error("the context has ended before the input")
	}
	w.Close()
	<-ctx.Done()
	if err := context.Cause(ctx); err != cluster.ErrUnleashed {
		t.Errorf("it ended by %v", err)
	}
	if _, err := in.Read(order); err != io.EOF {
		t.Errorf("the input ends with %v", err)
	}
}
