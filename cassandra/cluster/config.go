package cluster

import (
	"cmp"
	"fmt"
	"time"
)

// Defaults of a [Config]. User and port have none here, because the user's ssh
// config comes before them.
const (
	DefaultTimeout      = 30 * time.Second
	DefaultRemoteCbk    = "/usr/local/bin/cbk"
	DefaultRemoteConfig = "/etc/cbk/cbk.yaml"
)

// Config is the section cluster: of the configuration file.
type Config struct {
	// Seed is the address of a node that knows the ring.
	Seed string    `yaml:"seed"`
	SSH  SSHConfig `yaml:"ssh"`
	// RemoteCbk is where cbk is on the nodes.
	RemoteCbk string `yaml:"remote_cbk"`
	// RemoteConfig is cbk's configuration on the nodes.
	RemoteConfig string `yaml:"remote_config"`
	// Nodes has what differs from the ring and the rest, by the ring's address.
	Nodes []NodeConfig `yaml:"nodes"`
}

// SSHConfig says how the nodes are reached. What is not set is as the user's ssh
// config has it, else as ssh's defaults are.
type SSHConfig struct {
	User string `yaml:"user"`
	Port int    `yaml:"port"`
	// IdentityFiles are private keys; a certificate is looked for beside each.
	IdentityFiles []string `yaml:"identity_files"`
	// KnownHosts is the file of the servers' keys; ~/.ssh/known_hosts.
	KnownHosts string `yaml:"known_hosts"`
	// Config is the user's ssh config; ~/.ssh/config, where it exists.
	Config string `yaml:"config"`
	// Sudo runs cbk on the nodes as root, by sudo -n.
	Sudo bool `yaml:"sudo"`
	// Timeout is what a server has to take a connection and let us in.
	Timeout time.Duration `yaml:"timeout"`
}

// NodeConfig is how one node differs. What is empty does not.
type NodeConfig struct {
	Address      string `yaml:"address" json:"address"` // in the ring
	SSHHost      string `yaml:"ssh_host" json:"ssh_host,omitempty"`
	SSHPort      int    `yaml:"ssh_port" json:"ssh_port,omitempty"`
	RemoteConfig string `yaml:"remote_config" json:"remote_config,omitempty"`
}

// WithDefaults returns the settings with what nothing has set.
func (c Config) WithDefaults() Config {
	c.SSH.Timeout = cmp.Or(c.SSH.Timeout, DefaultTimeout)
	c.RemoteCbk = cmp.Or(c.RemoteCbk, DefaultRemoteCbk)
	c.RemoteConfig = cmp.Or(c.RemoteConfig, DefaultRemoteConfig)
	return c
}

// Validate names the first setting that cannot be meant.
func (c Config) Validate() error {
	if c.SSH.Timeout < 0 {
		return fmt.Errorf("cluster.ssh.timeout: %s is negative", c.SSH.Timeout)
	}
	if !isPort(c.SSH.Port) {
		return fmt.Errorf("cluster.ssh.port: %d is no port", c.SSH.Port)
	}
	seen := make(map[string]bool)
	for _, n := range c.Nodes {
		switch {
		case n.Address == "":
			return fmt.Errorf("cluster.nodes: a node has no address")
		case seen[n.Address]:
			return fmt.Errorf("cluster.nodes: %s is there twice", n.Address)
		case !isPort(n.SSHPort):
			return fmt.Errorf("cluster.nodes: %s: ssh_port: %d is no port", n.Address, n.SSHPort)
		}
		seen[n.Address] = true
	}
	return nil
}

// isPort tells whether a number is a port or not set.
func isPort(n int) bool { return n >= 0 && n <= 65535 }

// node returns what is configured for a node of the ring.
func (c Config) node(address string) NodeConfig {
	for _, n := range c.Nodes {
		if n.Address == address {
			return n
		}
	}
	return NodeConfig{Address: address}
}
